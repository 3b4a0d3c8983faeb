/* cuda_rsn_few.cu: rsn at the output level for m = 1, 2, 3, 4 or 8 in float32, where all weights fit the shared memory of a
 * multiprocessor: one kernel for many steps, weights in shared memory, state in registers. A thread advances K chains, so
 * that a weight that it reads serves K times. Sums over units in order by one accumulator, as systems/rsn.h: the bits of
 * the CPU. With so few outputs a tensor core would spend most of its work on zeros. */
#include "kernels/cuda_noise.h"
#include "kernels/cuda_rsn_small.h"

enum { L = NSAMP_CUDA_LANES, THREADS = 256 };

/* Numbers of a unit in shared memory: b, W2, W1, filled up to 16 bytes. */
static constexpr __host__ __device__ uint32_t unit_len(uint32_t M) {
    return (1 + 2 * M + 3) / 4 * 4;
}

template <uint32_t M, uint32_t K, uint32_t PHI, uint32_t ROUNDS>
static __global__ void __launch_bounds__(THREADS, 2)
    rsn_few(nsamp_cuda_view v, const nsamp_rsn_params p, const nsamp_keys keys, uint64_t step0,
            uint32_t nsteps) {
    NSAMP_SHARED;
    constexpr uint32_t LEN = unit_len(M);
    float *const units = (float *)nsamp_shared;
    const float *const blocks = (const float *)((const char *)v.params + p.blocks_offset);
    for (uint32_t i = threadIdx.x; i < p.units * LEN; i += THREADS)
        units[i] = i % LEN < 1 + 2 * M ? weight(p, blocks, i / LEN, i % LEN) : 0.0f;
    __syncthreads();
    const uint32_t lane = threadIdx.x % L;
    const uint64_t first = ((uint64_t)blockIdx.x * (THREADS / L) + threadIdx.x / L) * K; /* tile */
    float x[K][M];
    nsamp_stream noise[K];
    uint32_t bad[K];
#pragma unroll
    for (uint32_t c = 0; c < K; c++) {
        const float *const state = v.state + (first + c) * v.state_len * L + lane;
#pragma unroll
        for (uint32_t k = 0; k < M; k++)
            x[c][k] = first + c < v.tiles ? state[k * L] : 0.0f;
        noise[c] = nsamp_stream_of(keys, NSAMP_PURPOSE_STEP, (uint32_t)((first + c) * L) + lane, step0);
        bad[c] = ~0u;
    }
    for (uint32_t n = 0; n < nsteps; n++) {
        float y[K][M];
#pragma unroll
        for (uint32_t c = 0; c < K; c++)
#pragma unroll
            for (uint32_t k = 0; k < M; k++)
                y[c][k] = 0.0f;
#pragma unroll 4
        for (uint32_t j = 0; j < p.units; j++) {
            float w[LEN];
#pragma unroll
            for (uint32_t i = 0; i < LEN; i += 4) {
                const float4 four = *(const float4 *)(units + j * LEN + i);
                w[i] = four.x, w[i + 1] = four.y, w[i + 2] = four.z, w[i + 3] = four.w;
            }
#pragma unroll
            for (uint32_t c = 0; c < K; c++) {
                float a = w[0];
#pragma unroll
                for (uint32_t k = 0; k < M; k++)
                    a = nsamp_fma(w[1 + k], x[c][k], a);
                a = nsamp_rsn_phi(PHI, a);
#pragma unroll
                for (uint32_t k = 0; k < M; k++)
                    y[c][k] = nsamp_fma(w[1 + M + k], a, y[c][k]);
            }
        }
#pragma unroll
        for (uint32_t c = 0; c < K; c++) {
            bool far = false;
#pragma unroll
            for (uint32_t b = 0; b < (M + 3) / 4; b++) {
                const nsamp_words words = nsamp_stream_words<ROUNDS>(noise[c], keys, (uint32_t)step0 + n, b);
                float z[4];
                nsamp_exact_pair(words.w[0], words.w[1], &z[0], &z[1]);
                if (4 * b + 2 < M) nsamp_exact_pair(words.w[2], words.w[3], &z[2], &z[3]);
#pragma unroll
                for (uint32_t k = 4 * b; k < 4 * b + 4 && k < M; k++) {
                    x[c][k] = nsamp_fma(p.h, y[c][k] - x[c][k], nsamp_fma(p.noise, z[k - 4 * b], x[c][k]));
                    far = far || is_far(x[c][k]);
                }
            }
            if (far) bad[c] = bad[c] < n ? bad[c] : n;
        }
    }
#pragma unroll
    for (uint32_t c = 0; c < K; c++) {
        if (first + c >= v.tiles) break;
        float *const state = v.state + (first + c) * v.state_len * L + lane;
#pragma unroll
        for (uint32_t k = 0; k < M; k++)
            state[k * L] = x[c][k];
        flag(v, (first + c) * L + lane, step0, bad[c]);
    }
}

typedef void few_kernel(nsamp_cuda_view, nsamp_rsn_params, nsamp_keys, uint64_t, uint32_t);

/* By activation, relu first. */
#define FEW(M, K, ROUNDS)                                                                                    \
    {                                                                                                        \
        rsn_few<M, K, NSAMP_RSN_RELU, ROUNDS>, rsn_few<M, K, NSAMP_RSN_TANH, ROUNDS>,                        \
            rsn_few<M, K, NSAMP_RSN_SOFTPLUS, ROUNDS>                                                        \
    }
typedef struct few_shape {
    uint32_t m, chains;       /* M, K */
    few_kernel *kernel[2][3]; /* 10 rounds, 7 rounds */
} few_shape;
static const few_shape few[] = {{1, 4, {FEW(1, 4, 10), FEW(1, 4, 7)}}, {1, 1, {FEW(1, 1, 10), FEW(1, 1, 7)}},
                                {2, 4, {FEW(2, 4, 10), FEW(2, 4, 7)}}, {2, 1, {FEW(2, 1, 10), FEW(2, 1, 7)}},
                                {3, 4, {FEW(3, 4, 10), FEW(3, 4, 7)}}, {3, 1, {FEW(3, 1, 10), FEW(3, 1, 7)}},
                                {4, 4, {FEW(4, 4, 10), FEW(4, 4, 7)}}, {4, 1, {FEW(4, 1, 10), FEW(4, 1, 7)}},
                                {8, 2, {FEW(8, 2, 10), FEW(8, 2, 7)}}, {8, 1, {FEW(8, 1, 10), FEW(8, 1, 7)}}};
enum { FEWS = sizeof few / sizeof few[0], ENOUGH_THREADS = 512 /* a multiprocessor */ };

static const few_shape *choose_few(const nsamp_rsn_params *p, const nsamp_cuda_view *v) {
    const few_shape *best = NULL;
    for (size_t i = 0; i < FEWS; i++) {
        if (few[i].m != p->dim || p->units > v->shared_most / sizeof(float) / unit_len(p->dim)) continue;
        /* several chains a thread only where enough threads are left */
        if (!best || v->tiles * L / best->chains < (uint64_t)ENOUGH_THREADS * v->multiprocessors)
            best = &few[i];
    }
    return best;
}

static cudaError_t launch_few(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                              uint32_t nsteps) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)host_params;
    const few_shape *const s = choose_few(p, v);
    few_kernel *const kernel = s->kernel[v->noise.rounds == 7][p->activation - 1];
    const size_t shared = sizeof(float) * p->units * unit_len(p->dim);
    const uint64_t wrap = (1ull << 32) - (uint32_t)step0; /* a stream keeps the upper bits of the step */
    const uint32_t first = nsteps <= wrap ? nsteps : (uint32_t)wrap;
    const uint64_t tiles = (uint64_t)(THREADS / L) * s->chains; /* a block */
    cudaError_t error = permit(kernel, shared);
    if (error) return error;
    NSAMP_LAUNCH(kernel, (uint32_t)((v->tiles + tiles - 1) / tiles), (uint32_t)THREADS, shared, v->stream, *v,
                 *p, nsamp_keys_of(v->noise), step0, first);
    error = cudaGetLastError();
    return error || first == nsteps ? error : launch_few(v, host_params, step0 + first, nsteps - first);
}

static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    return nsamp_cuda_lane_kernel(NSAMP_KERNEL_rsn)->observe(v, tiles, x);
}

const nsamp_cuda_kernel *nsamp_cuda_rsn_few(const nsamp_rsn_params *p, const nsamp_cuda_view *v) {
    static const nsamp_cuda_kernel kernel = {launch_few, launch_observe, false};
    return !p->reservoir && p->precision == NSAMP_RSN_FP32 && choose_few(p, v) ? &kernel : NULL;
}
