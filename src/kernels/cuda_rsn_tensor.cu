/* cuda_rsn_tensor.cu: rsn at the output level for m to 64 with bf16 or tf32 products (run.precision), where all weights fit
 * the shared memory of a multiprocessor: one kernel for many steps. Both products on the tensor cores: a warp has 16 or 32
 * chains, their x, hidden units and y in registers in the layout of cuda_mma.h, m filled up to 16, 32 or 64. x and hidden
 * units are rounded to the precision before each product; sums, activation, noise and update are float32. There is no
 * barrier in the loop over steps, so the warps drift apart, and noise and activations of one run while another waits for
 * its products. */
#include "kernels/cuda_approx.h"
#include "kernels/cuda_mma.h"
#include "kernels/cuda_rsn_small.h"

enum { L = NSAMP_CUDA_LANES, THREADS = 256 };

/* A precision: how 16 hidden units or outputs, as two 16 x 8 matrices, become left factors, and how many products of
 * fragments take 16 of them (STEPS). */
struct bf16 {
    enum { STEPS = 1 };
    static __device__ __forceinline__ void left(const float c[2][4], uint32_t a[STEPS][4]) {
        a[0][0] = nsamp_pack_bf16(c[0][0], c[0][1]);
        a[0][1] = nsamp_pack_bf16(c[0][2], c[0][3]);
        a[0][2] = nsamp_pack_bf16(c[1][0], c[1][1]);
        a[0][3] = nsamp_pack_bf16(c[1][2], c[1][3]);
    }
    /* Rows 2 t, 2 t + 1 and 2 t + 8, 2 t + 9 of 16 inner numbers w [16]. */
    template <class Weight> static __device__ __forceinline__ uint2 right(uint32_t, uint32_t t, Weight w) {
        return make_uint2(nsamp_pack_bf16(w(2 * t), w(2 * t + 1)),
                          nsamp_pack_bf16(w(2 * t + 8), w(2 * t + 9)));
    }
    static __device__ __forceinline__ void product(float c[4], const uint32_t a[4], uint2 b) {
        nsamp_mma_bf16(c, a, b);
    }
    /* The hardware's tanh is off by 2^-11 of itself, a quarter of what rounding to bf16 then is. */
    template <uint32_t PHI> static __device__ __forceinline__ float phi(float a) {
        return PHI == NSAMP_RSN_TANH ? nsamp_approx_tanh(a) : nsamp_rsn_phi(PHI, a);
    }
};

struct tf32 {
    enum { STEPS = 2 };
    static __device__ __forceinline__ void left(const float c[2][4], uint32_t a[STEPS][4]) {
#pragma unroll
        for (uint32_t s = 0; s < STEPS; s++) {
            a[s][0] = nsamp_to_tf32(c[s][0]);
            a[s][1] = nsamp_to_tf32(c[s][2]);
            a[s][2] = nsamp_to_tf32(c[s][1]);
            a[s][3] = nsamp_to_tf32(c[s][3]);
        }
    }
    template <class Weight> static __device__ __forceinline__ uint2 right(uint32_t s, uint32_t t, Weight w) {
        return make_uint2(nsamp_to_tf32(w(8 * s + 2 * t)), nsamp_to_tf32(w(8 * s + 2 * t + 1)));
    }
    static __device__ __forceinline__ void product(float c[4], const uint32_t a[4], uint2 b) {
        nsamp_mma_tf32(c, a, b);
    }
    template <uint32_t PHI> static __device__ __forceinline__ float phi(float a) {
        return nsamp_rsn_phi(PHI, a);
    }
};

/* Whether x waits in shared memory during the products: where registers would not hold it beside them. */
static constexpr __host__ __device__ bool parks(uint32_t M, uint32_t MT) {
    return M * MT > 64;
}

/* Shared memory: right factors of the first product [units / 8][M / 16 STEPS][32], of the second [units / 16][M / 8]
 * [STEPS][32], then b [units]; units filled up to 16. At last x [MT][M / 8][4][threads] if it is parked. */
template <class P, uint32_t M, uint32_t MT>
static constexpr __host__ __device__ size_t tensor_bytes(uint32_t units) {
    return (size_t)((units + 15) / 16) *
               (2 * (2 * M / 16) * P::STEPS * 32 * sizeof(uint2) + 16 * sizeof(float)) +
           (parks(M, MT) ? (size_t)MT * M / 2 * THREADS * sizeof(float) : 0);
}

/* All weights, rounded and in the order of fragments. */
template <class P, uint32_t M>
static __device__ __forceinline__ void load_weights(const nsamp_rsn_params &p, const float *blocks, uint2 *w2,
                                                    uint2 *w1, float *bias) {
    constexpr uint32_t EACH = 2 * M / 16 * P::STEPS * 32; /* of either, for 16 units */
    const uint32_t groups = (p.units + 15) / 16, m = p.dim;
    const auto at = [&](uint32_t u, uint32_t what, uint32_t k) {
        return u < p.units && k < m ? weight(p, blocks, u, what + k) : 0.0f;
    };
    for (uint32_t i = threadIdx.x; i < groups * EACH; i += THREADS) {
        const uint32_t lane = i % 32, g = lane / 4, t = lane % 4, s = i / 32 % P::STEPS,
                       r = i / (32 * P::STEPS);
        const uint32_t unit = r / (M / 16) * 8 + g,
                       input = r % (M / 16) * 16; /* first product: tile of 8 units */
        w2[i] = P::right(s, t, [&](uint32_t k) { return at(unit, 1, input + k); });
        const uint32_t first = r / (M / 8) * 16, output = r % (M / 8) * 8 + g; /* second: 16 units */
        w1[i] = P::right(s, t, [&](uint32_t k) { return at(first + k, 1 + m, output); });
    }
    for (uint32_t i = threadIdx.x; i < groups * 16; i += THREADS)
        bias[i] = i < p.units ? weight(p, blocks, i, 0) : 0.0f;
    __syncthreads();
}

/* Normals of one 16 x 8 piece of x, outputs 8 j to 8 j + 7: a lane makes the block of four of one of its two chains,
 * the other from its neighbour, and they exchange halves. */
static __device__ __forceinline__ void piece_normals(nsamp_noise_key key, uint32_t chain, uint64_t step,
                                                     uint32_t j, float z[4]) {
    const uint32_t t = threadIdx.x % 4;
    const bool odd = t % 2;
    float own[4];
    nsamp_normals4(key, NSAMP_PURPOSE_STEP, chain, step, 2 * j + t / 2, own);
    const float a = __shfl_xor_sync(NSAMP_FULL_WARP, odd ? own[0] : own[2], 1),
                b = __shfl_xor_sync(NSAMP_FULL_WARP, odd ? own[1] : own[3], 1);
    z[0] = odd ? a : own[0];
    z[1] = odd ? b : own[1];
    z[2] = odd ? own[2] : a;
    z[3] = odd ? own[3] : b;
}

/* MT pieces of 16 chains a warp. */
template <class P, uint32_t M, uint32_t MT, uint32_t PHI>
static __global__ void __launch_bounds__(THREADS, 1)
    rsn_tensor(nsamp_cuda_view v, const nsamp_rsn_params p, uint64_t step0, uint32_t nsteps) {
    NSAMP_SHARED;
    constexpr uint32_t EACH = 2 * M / 16 * P::STEPS * 32;
    const uint32_t groups = (p.units + 15) / 16;
    uint2 *const w2 = (uint2 *)nsamp_shared, *const w1 = w2 + groups * EACH;
    float *const bias = (float *)(w1 + groups * EACH);
    load_weights<P, M>(p, (const float *)((const char *)v.params + p.blocks_offset), w2, w1, bias);
    const uint32_t lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const uint64_t chain0 = ((uint64_t)blockIdx.x * (THREADS / 32) + threadIdx.x / 32) * 16 * MT;
    if (chain0 >= v.tiles * L) return; /* whole warps */
    float *const rows = v.state + chain0 / L * v.state_len * L + chain0 % L;
    float *const parked = bias + groups * 16 + threadIdx.x;
    float x[parks(M, MT) ? 1 : MT][M / 8][4];
    const auto at = [&](uint32_t c, uint32_t j, uint32_t i) -> float & {
        if constexpr (parks(M, MT)) return parked[((c * M / 8 + j) * 4 + i) * THREADS];
        return x[c][j][i];
    };
    uint32_t bad[MT][2];
#pragma unroll
    for (uint32_t c = 0; c < MT; c++) {
        bad[c][0] = bad[c][1] = ~0u;
#pragma unroll
        for (uint32_t j = 0; j < M / 8; j++)
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const uint32_t k = 8 * j + 2 * t + i % 2;
                at(c, j, i) = k < p.dim ? rows[k * L + 16 * c + g + i / 2 * 8] : 0.0f;
            }
    }
    for (uint32_t n = 0; n < nsteps; n++) {
        uint32_t left[MT][M / 16][P::STEPS][4];
        float y[MT][M / 8][4];
#pragma unroll
        for (uint32_t c = 0; c < MT; c++) {
#pragma unroll
            for (uint32_t s = 0; s < M / 16; s++) {
                float two[2][4];
#pragma unroll
                for (uint32_t i = 0; i < 8; i++)
                    two[i / 4][i % 4] = at(c, 2 * s + i / 4, i % 4);
                P::left(two, left[c][s]);
            }
#pragma unroll
            for (uint32_t j = 0; j < M / 8; j++)
                y[c][j][0] = y[c][j][1] = y[c][j][2] = y[c][j][3] = 0.0f;
        }
#pragma unroll 1
        for (uint32_t group = 0; group < groups; group++) {
            float hidden[MT][2][4];
            uint32_t a[MT][P::STEPS][4];
#pragma unroll
            for (uint32_t tile = 0; tile < 2; tile++) {
                const float b0 = bias[group * 16 + tile * 8 + 2 * t],
                            b1 = bias[group * 16 + tile * 8 + 2 * t + 1];
#pragma unroll
                for (uint32_t c = 0; c < MT; c++) {
                    hidden[c][tile][0] = hidden[c][tile][2] = b0;
                    hidden[c][tile][1] = hidden[c][tile][3] = b1;
                }
#pragma unroll
                for (uint32_t s = 0; s < M / 16 * P::STEPS; s++) {
                    const uint2 right = w2[((group * 2 + tile) * (M / 16) * P::STEPS + s) * 32 + lane];
#pragma unroll
                    for (uint32_t c = 0; c < MT; c++)
                        P::product(hidden[c][tile], left[c][s / P::STEPS][s % P::STEPS], right);
                }
            }
#pragma unroll
            for (uint32_t c = 0; c < MT; c++) {
#pragma unroll
                for (uint32_t i = 0; i < 8; i++)
                    hidden[c][i / 4][i % 4] = P::template phi<PHI>(hidden[c][i / 4][i % 4]);
                P::left(hidden[c], a[c]);
            }
#pragma unroll
            for (uint32_t s = 0; s < M / 8 * P::STEPS; s++) {
                const uint2 right = w1[(group * (M / 8) * P::STEPS + s) * 32 + lane];
#pragma unroll
                for (uint32_t c = 0; c < MT; c++)
                    P::product(y[c][s / P::STEPS], a[c][s % P::STEPS], right);
            }
        }
#pragma unroll
        for (uint32_t c = 0; c < MT; c++) {
            const uint32_t chain = (uint32_t)chain0 + 16 * c + g + t % 2 * 8;
#pragma unroll
            for (uint32_t j = 0; j < M / 8; j++) {
                if (8 * j >= p.dim) continue;
                float z[4];
                piece_normals(v.noise, chain, step0 + n, j, z);
#pragma unroll
                for (uint32_t i = 0; i < 4; i++) {
                    const float old = at(c, j, i);
                    const float next = nsamp_fma(p.h, y[c][j][i] - old, nsamp_fma(p.noise, z[i], old));
                    at(c, j, i) = 8 * j + 2 * t + i % 2 < p.dim ? next : 0.0f;
                    if (8 * j + 2 * t + i % 2 < p.dim && is_far(next) && bad[c][i / 2] > n) bad[c][i / 2] = n;
                }
            }
        }
    }
#pragma unroll
    for (uint32_t c = 0; c < MT; c++) {
#pragma unroll
        for (uint32_t j = 0; j < M / 8; j++)
#pragma unroll
            for (uint32_t i = 0; i < 4; i++) {
                const uint32_t k = 8 * j + 2 * t + i % 2;
                if (k < p.dim) rows[k * L + 16 * c + g + i / 2 * 8] = at(c, j, i);
            }
#pragma unroll
        for (uint32_t i = 0; i < 2; i++) {
            uint32_t first = bad[c][i];
#pragma unroll
            for (uint32_t h = 1; h < 4; h *= 2) {
                const uint32_t other = __shfl_xor_sync(NSAMP_FULL_WARP, first, h);
                first = first < other ? first : other;
            }
            if (t == 0) flag(v, chain0 + 16 * c + g + 8 * i, step0, first);
        }
    }
}

typedef void tensor_kernel(nsamp_cuda_view, nsamp_rsn_params, uint64_t, uint32_t);

/* By activation, relu first. */
#define TENSOR(P, M, MT)                                                                                     \
    {                                                                                                        \
        rsn_tensor<P, M, MT, NSAMP_RSN_RELU>, rsn_tensor<P, M, MT, NSAMP_RSN_TANH>,                          \
            rsn_tensor<P, M, MT, NSAMP_RSN_SOFTPLUS>                                                         \
    }

typedef struct tensor_shape {
    uint32_t precision, m, pieces; /* M, MT */
    size_t (*bytes)(uint32_t units);
    tensor_kernel *kernel[3];
} tensor_shape;
static const tensor_shape tensor[] = {
    {NSAMP_RSN_BF16, 16, 2, tensor_bytes<bf16, 16, 2>, TENSOR(bf16, 16, 2)},
    {NSAMP_RSN_BF16, 32, 2, tensor_bytes<bf16, 32, 2>, TENSOR(bf16, 32, 2)},
    {NSAMP_RSN_BF16, 64, 2, tensor_bytes<bf16, 64, 2>, TENSOR(bf16, 64, 2)},
    {NSAMP_RSN_TF32, 16, 2, tensor_bytes<tf32, 16, 2>, TENSOR(tf32, 16, 2)},
    {NSAMP_RSN_TF32, 32, 2, tensor_bytes<tf32, 32, 2>, TENSOR(tf32, 32, 2)},
    {NSAMP_RSN_TF32, 64, 1, tensor_bytes<tf32, 64, 1>, TENSOR(tf32, 64, 1)}};
enum { TENSORS = sizeof tensor / sizeof tensor[0] };

static const tensor_shape *choose_tensor(const nsamp_rsn_params *p, const nsamp_cuda_view *v) {
    for (size_t i = 0; i < TENSORS; i++)
        if (tensor[i].precision == p->precision && p->dim <= tensor[i].m &&
            tensor[i].bytes(p->units) <= v->shared_most)
            return &tensor[i];
    return NULL;
}

static cudaError_t launch_tensor(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                                 uint32_t nsteps) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)host_params;
    const tensor_shape *const s = choose_tensor(p, v);
    tensor_kernel *const kernel = s->kernel[p->activation - 1];
    const size_t shared = s->bytes(p->units);
    const uint64_t chains = (uint64_t)(THREADS / 32) * 16 * s->pieces; /* a block */
    const cudaError_t error = nsamp_cuda_permit(kernel, shared);
    if (error) return error;
    NSAMP_LAUNCH(kernel, (uint32_t)((v->tiles * L + chains - 1) / chains), (uint32_t)THREADS, shared,
                 v->stream, *v, *p, step0, nsteps);
    return cudaGetLastError();
}

static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    return nsamp_cuda_lane_kernel(NSAMP_KERNEL_rsn)->observe(v, tiles, x);
}

const nsamp_cuda_kernel *nsamp_cuda_rsn_tensor(const nsamp_rsn_params *p, const nsamp_cuda_view *v) {
    static const nsamp_cuda_kernel kernel = {launch_tensor, launch_observe, false};
    return !p->reservoir && choose_tensor(p, v) ? &kernel : NULL;
}
