/* cuda_rsn_wgmma.cu: rsn at the output level for m to 64 with bf16 products on a GPU of compute capability 9.0, where all weights fit
 * the shared memory of a multiprocessor: one kernel for many steps. What cuda_rsn_tensor.cu does, with wgmma in the place of
 * mma: four warps have 64 chains, the tensor cores read the weights from shared memory by themselves and once for all 64, so that a
 * product costs a warp one instruction and no registers for weights. x, hidden units and y are in registers, 64 units at a time; x and
 * hidden units are rounded to bf16 before each product, all else is float32. No barrier in the loop over steps: warpgroups drift
 * apart, and noise and activations of one run while the products of another do. A block stays for the whole launch, and its warpgroups take 64
 * chains after 64: weights are read once for each multiprocessor, and the last chains are spread over all of them.
 *
 * This file is compiled for sm_90a alone (mk/cuda.mk): the instructions exist nowhere else. */
#include "kernels/cuda_approx.h"
#include "kernels/cuda_mma.h"
#include "kernels/cuda_noise.h"
#include "kernels/cuda_rsn_small.h"
#include "kernels/cuda_wgmma.h"

enum { L = NSAMP_CUDA_LANES, UNITS = 64 /* at a time */, STEPS = UNITS / 16 /* products that take them */ };

/* Warpgroups of a block, which has a multiprocessor for itself: as many as their registers allow. */
static constexpr __host__ __device__ uint32_t most_groups(uint32_t M) {
    return M == 64 ? 3 : 4;
}

static constexpr __host__ __device__ uint32_t padded(uint32_t units) {
    return (units + UNITS - 1) / UNITS * UNITS;
}

/* Of 64 chains each. */
static __host__ __device__ __forceinline__ uint64_t rows_of(uint64_t tiles) {
    return (tiles * L + NSAMP_WGMMA_ROWS - 1) / NSAMP_WGMMA_ROWS;
}

/* Shared memory: right factors of the first product [units / 64][M / 16] of 64 columns, of the second [units / 64][4] of M columns, then
 * b [units]. */
static size_t wgmma_bytes(uint32_t M, uint32_t units) {
    return (size_t)padded(units) * (2 * M * sizeof(uint16_t) + sizeof(float));
}

/* Outputs are taken in an order in which a lane's four columns of two neighbouring pieces are one block of the noise: column 16 q + 8 h +
 * 2 t + e is output 16 q + 4 t + 2 h + e. */
static __device__ __forceinline__ uint32_t output_of(uint32_t column) {
    return column / 16 * 16 + column % 8 / 2 * 4 + column / 8 % 2 * 2 + column % 2;
}

/* All weights, rounded; a thread stores two neighbouring inner numbers at a time. */
template <uint32_t M>
static __device__ __forceinline__ void load_weights(const nsamp_rsn_params &p, const float *blocks,
                                                    uint32_t *w2, uint32_t *w1, float *bias) {
    const uint32_t units = padded(p.units), m = p.dim;
    const auto at = [&](uint32_t u, uint32_t what, uint32_t column) {
        const uint32_t k = output_of(column);
        return u < p.units && k < m ? weight(p, blocks, u, what + k) : 0.0f;
    };
    for (uint32_t i = threadIdx.x; i < units * M / 2; i += blockDim.x) {
        const uint32_t k = i % 4 * 2, row = i / 4 % 8, eight = i / 32; /* eight by eight numbers */
        const uint32_t unit = eight / (UNITS / 8 * M / 8) * UNITS + eight % (UNITS / 8) * 8 + row,
                       input = eight / (UNITS / 8) % (M / 8) * 8 + k;
        w2[i] = nsamp_pack_bf16(at(unit, 1, input), at(unit, 1, input + 1));
        const uint32_t output = eight % (M / 8) * 8 + row, first = eight / (M / 8) * 8 + k;
        w1[i] = nsamp_pack_bf16(at(first, 1 + m, output), at(first + 1, 1 + m, output));
    }
    for (uint32_t i = threadIdx.x; i < units; i += blockDim.x)
        bias[i] = i < p.units ? weight(p, blocks, i, 0) : 0.0f;
    nsamp_wgmma_publish();
    __syncthreads();
}

/* Two numbers beside each other, activated and rounded. The hardware's tanh is off by 2^-11 of itself, a quarter of what rounding then
 * is. */
template <uint32_t PHI> static __device__ __forceinline__ uint32_t activated(float a, float b) {
    if constexpr (PHI == NSAMP_RSN_RELU) return nsamp_pack_bf16_relu(a, b);
    if constexpr (PHI == NSAMP_RSN_TANH) return nsamp_pack_bf16(nsamp_approx_tanh(a), nsamp_approx_tanh(b));
    return nsamp_pack_bf16(nsamp_rsn_phi(PHI, a), nsamp_rsn_phi(PHI, b));
}

/* y = W1 phi(W2 x + b) of a warp's 16 chains; left: x as left factors. */
template <uint32_t M, uint32_t PHI>
static __device__ __forceinline__ void apply_units(const uint32_t (&left)[M / 16][4], uint32_t w2,
                                                   uint32_t w1, const float2 *bias, uint32_t chunks,
                                                   float (&y)[M / 8][4]) {
    float hidden[UNITS / 8][4];
    uint32_t a[STEPS][4];
#pragma unroll 1
    for (uint32_t chunk = 0; chunk < chunks; chunk++) {
        nsamp_wgmma_begin();
#pragma unroll
        for (uint32_t s = 0; s < M / 16; s++)
            nsamp_wgmma_bf16(hidden, left[s], w2 + 2 * UNITS * s, s > 0);
        nsamp_wgmma_end();
        nsamp_wgmma_wait(hidden); /* and for the products with a */
#pragma unroll
        for (uint32_t j = 0; j < UNITS / 8; j++) {
            const float2 b = bias[(chunk * UNITS + 8 * j) / 2];
#pragma unroll
            for (uint32_t i = 0; i < 2; i++)
                a[j / 2][j % 2 * 2 + i] = activated<PHI>(hidden[j][2 * i] + b.x, hidden[j][2 * i + 1] + b.y);
        }
        nsamp_wgmma_begin();
#pragma unroll
        for (uint32_t s = 0; s < STEPS; s++)
            nsamp_wgmma_bf16(y, a[s], w1 + 2 * M * s, s > 0 || chunk > 0);
        nsamp_wgmma_end();
        w2 += 2 * UNITS * (M / 16);
        w1 += 2 * M * STEPS;
    }
    nsamp_wgmma_wait(y);
}

/* Whose numbers a thread has: columns 8 j + 2 t and the next, of chains g and g + 8 of its warp's. A warp without chains goes along with
 * its warpgroup. */
typedef struct share {
    uint64_t chain; /* the first of the warp */
    uint32_t lane;
    bool mine; /* they exist */
} share;

/* rows: the number of the warpgroup's 64 chains. */
static __device__ __forceinline__ share share_of(const nsamp_cuda_view &v, uint64_t rows) {
    share s;
    s.chain = rows * NSAMP_WGMMA_ROWS + threadIdx.x % NSAMP_WARPGROUP / 32 * 16;
    s.lane = threadIdx.x % 32;
    s.mine = s.chain < v.tiles * L;
    return s;
}

/* Which output x[j][i] is: output_of its column. */
static __device__ __forceinline__ uint32_t output_here(const share &s, uint32_t j, uint32_t i) {
    return j / 2 * 16 + s.lane % 4 * 4 + j % 2 * 2 + i % 2;
}

/* visit(x[j][i], the place of that number in the state), for those that exist. */
template <uint32_t M, class Visit>
static __device__ __forceinline__ void each_number(const nsamp_cuda_view &v, const share &s, uint32_t m,
                                                   float (&x)[M / 8][4], Visit visit) {
    float *const rows = v.state + s.chain / L * v.state_len * L + s.chain % L + s.lane / 4;
    if (!s.mine) return;
#pragma unroll
    for (uint32_t j = 0; j < M / 8; j++)
#pragma unroll
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t k = output_here(s, j, i);
            if (k < m) visit(x[j][i], &rows[k * L + i / 2 * 8]);
        }
}

/* x of two pieces, columns 16 q to 16 q + 15, by a step with y. size: of what each of the two chains has become, to be added up. */
template <uint32_t ROUNDS>
static __device__ __forceinline__ void move(const nsamp_rsn_params &p, const nsamp_stream (&noise)[2],
                                            const nsamp_keys &keys, uint32_t step, uint32_t q,
                                            const float (*y)[4], float (*x)[4], float (&size)[2]) {
    uint32_t block = 4 * q + threadIdx.x % 4;
    asm volatile("" : "+r"(block)); /* one block after the other, or the registers run out */
#pragma unroll
    for (uint32_t c = 0; c < 2; c++) {
        const nsamp_words words = nsamp_stream_words<ROUNDS>(noise[c], keys, step, block);
        float z[4];
        nsamp_exact_pair(words.w[0], words.w[1], &z[0], &z[1]);
        nsamp_exact_pair(words.w[2], words.w[3], &z[2], &z[3]);
#pragma unroll
        for (uint32_t k = 0; k < 4; k++) {
            float *const at = &x[k / 2][2 * c + k % 2];
            *at = nsamp_fma(p.h, y[k / 2][2 * c + k % 2] - *at, nsamp_fma(p.noise, z[k], *at));
            size[c] += fabsf(*at);
        }
    }
}

/* All steps of a launch for a warp's 16 chains. */
template <uint32_t M, uint32_t PHI, uint32_t ROUNDS>
static __device__ __forceinline__ void
advance(const nsamp_cuda_view &v, const nsamp_rsn_params &p, const nsamp_keys &keys, uint64_t step0,
        uint32_t nsteps, share s, const uint32_t *w2, const uint32_t *w1, const float *bias) {
    float x[M / 8][4] = {};
    uint32_t bad[2] = {~0u, ~0u};
    nsamp_stream noise[2];
    for (uint32_t c = 0; c < 2; c++)
        noise[c] = nsamp_stream_of(keys, NSAMP_PURPOSE_STEP, (uint32_t)s.chain + s.lane / 4 + 8 * c, step0);
    each_number<M>(v, s, p.dim, x, [](float &number, const float *place) { number = *place; });
    for (uint32_t n = 0; n < nsteps; n++) {
        uint32_t left[M / 16][4];
        float y[M / 8][4], size[2] = {0.0f, 0.0f};
#pragma unroll
        for (uint32_t j = 0; j < M / 8; j++) {
            left[j / 2][j % 2 * 2] = nsamp_pack_bf16(x[j][0], x[j][1]);
            left[j / 2][j % 2 * 2 + 1] = nsamp_pack_bf16(x[j][2], x[j][3]);
        }
        apply_units<M, PHI>(left, nsamp_wgmma_right(w2, UNITS), nsamp_wgmma_right(w1, M),
                            (const float2 *)bias + s.lane % 4, padded(p.units) / UNITS, y);
#pragma unroll
        for (uint32_t q = 0; q < M / 16; q++)
            if (16 * q < p.dim)
                move<ROUNDS>(p, noise, keys, (uint32_t)step0 + n, q, &y[2 * q], &x[2 * q], size);
        if (p.dim % 16) /* columns beyond the last meet weights of zero, and are to stay finite */
#pragma unroll
            for (uint32_t i = 0; i < M / 2; i++)
                if (output_here(s, i / 4, i % 4) >= p.dim) x[i / 4][i % 4] = 0.0f;
#pragma unroll
        for (uint32_t c = 0; c < 2; c++)
            if (is_far(size[c])) bad[c] = bad[c] < n ? bad[c] : n;
    }
    asm volatile(""
                 : "+r"(s.lane)); /* or the places of all numbers are kept in registers from the beginning */
    each_number<M>(v, s, p.dim, x, [](float &number, float *place) { *place = number; });
#pragma unroll
    for (uint32_t c = 0; c < 2; c++) {
        uint32_t first = bad[c];
#pragma unroll
        for (uint32_t h = 1; h < 4; h *= 2) {
            const uint32_t other = __shfl_xor_sync(NSAMP_FULL_WARP, first, h);
            first = first < other ? first : other;
        }
        if (s.mine && s.lane % 4 == 0) flag(v, s.chain + s.lane / 4 + 8 * c, step0, first);
    }
}

template <uint32_t M, uint32_t PHI, uint32_t ROUNDS>
static __global__ void __launch_bounds__(most_groups(M) * NSAMP_WARPGROUP, 1)
    rsn_wgmma(nsamp_cuda_view v, const nsamp_rsn_params p, const nsamp_keys keys, uint64_t step0,
              uint32_t nsteps) {
    NSAMP_SHARED;
    const uint32_t units = padded(p.units), all = (uint32_t)rows_of(v.tiles);
    uint32_t *const w2 = (uint32_t *)nsamp_shared, *const w1 = w2 + units * M / 2;
    float *const bias = (float *)(w1 + units * M / 2);
    load_weights<M>(p, (const float *)((const char *)v.params + p.blocks_offset), w2, w1, bias);
    /* neighbouring blocks take neighbouring chains, so that the last ones are a warpgroup's of many multiprocessors */
    for (uint32_t rows = threadIdx.x / NSAMP_WARPGROUP * gridDim.x + blockIdx.x; rows < all;
         rows += blockDim.x / NSAMP_WARPGROUP * gridDim.x)
        advance<M, PHI, ROUNDS>(v, p, keys, step0, nsteps, share_of(v, rows), w2, w1, bias);
}

typedef void wgmma_kernel(nsamp_cuda_view, nsamp_rsn_params, nsamp_keys, uint64_t, uint32_t);

/* By activation, relu first. */
#define WGMMA(M, ROUNDS)                                                                                     \
    {                                                                                                        \
        rsn_wgmma<M, NSAMP_RSN_RELU, ROUNDS>, rsn_wgmma<M, NSAMP_RSN_TANH, ROUNDS>,                          \
            rsn_wgmma<M, NSAMP_RSN_SOFTPLUS, ROUNDS>                                                         \
    }
typedef struct wgmma_shape {
    uint32_t m;
    wgmma_kernel *kernel[2][3]; /* 10 rounds, 7 rounds */
} wgmma_shape;
static const wgmma_shape shapes[] = {{16, {WGMMA(16, 10), WGMMA(16, 7)}},
                                     {32, {WGMMA(32, 10), WGMMA(32, 7)}},
                                     {64, {WGMMA(64, 10), WGMMA(64, 7)}}};

static const wgmma_shape *choose(const nsamp_rsn_params *p) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (p->dim <= shapes[i].m) return &shapes[i];
    return NULL;
}

static cudaError_t launch_advance(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                                  uint32_t nsteps) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)host_params;
    const wgmma_shape *const s = choose(p);
    wgmma_kernel *const kernel = s->kernel[v->noise.rounds == 7][p->activation - 1];
    const size_t shared = wgmma_bytes(s->m, p->units);
    const uint64_t all = rows_of(v->tiles), blocks = v->multiprocessors ? v->multiprocessors : 1;
    const uint32_t first = nsamp_stream_steps(step0, nsteps, 1);
    uint32_t groups = most_groups(s->m);
    while (groups > 1 && all < (uint64_t)groups * blocks)
        groups--;
    cudaError_t error = nsamp_cuda_permit(kernel, shared);
    if (error) return error;
    NSAMP_LAUNCH(kernel, (uint32_t)(all < blocks ? all : blocks), groups * NSAMP_WARPGROUP, shared, v->stream,
                 *v, *p, nsamp_keys_of(v->noise), step0, first);
    error = cudaGetLastError();
    return error || first == nsteps ? error : launch_advance(v, host_params, step0 + first, nsteps - first);
}

static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    return nsamp_cuda_lane_kernel(NSAMP_KERNEL_rsn)->observe(v, tiles, x);
}

const nsamp_cuda_kernel *nsamp_cuda_rsn_wgmma(const nsamp_rsn_params *p, const nsamp_cuda_view *v) {
    static const nsamp_cuda_kernel kernel = {launch_advance, launch_observe, false};
    const wgmma_shape *const s = choose(p);
    return v->sm_90a && !p->reservoir && p->precision == NSAMP_RSN_BF16 && s &&
                   wgmma_bytes(s->m, p->units) <= v->shared_most
               ? &kernel
               : NULL;
}
