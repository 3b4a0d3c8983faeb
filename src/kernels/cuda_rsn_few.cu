/* cuda_rsn_few.cu: rsn at the output level for m = 1, 2, 3, 4 or 8 in float32, where all weights fit the shared memory of a
 * multiprocessor: one kernel for many steps, weights in shared memory, state in registers. A thread advances K chains, so
 * that a weight that it reads serves K times. Sums over units in order by one accumulator, as systems/rsn.h: the bits of
 * the CPU. With so few outputs a tensor core would spend most of its work on zeros. Relu networks of up to 4 outputs are hinges
 * (systems/rsn.h). */
#include "kernels/cuda_noise.h"
#include "kernels/cuda_rsn_small.h"

enum { L = NSAMP_CUDA_LANES, THREADS = 256 };

static constexpr __host__ __device__ bool hinged(uint32_t M, uint32_t PHI) {
    return M <= NSAMP_RSN_HINGES && PHI == NSAMP_RSN_RELU;
}

/* Numbers of a unit: b, W2, W1, or those of a hinge; and with what fills them up to 16 bytes in shared memory. */
static constexpr __host__ __device__ uint32_t numbers_of(uint32_t M, uint32_t PHI) {
    return hinged(M, PHI) ? 2 * M : 1 + 2 * M;
}

static constexpr __host__ __device__ uint32_t unit_len(uint32_t M, uint32_t PHI) {
    return (numbers_of(M, PHI) + 3) / 4 * 4;
}

/* Units, or hinges with those that fill up the blocks of a pivot. */
static __host__ __device__ uint32_t units_of(const nsamp_rsn_params &p) {
    uint32_t blocks = 0;
    for (uint32_t k = 0; k < NSAMP_RSN_HINGES; k++)
        blocks += p.hinges[k];
    return nsamp_rsn_is_hinged(&p) ? blocks * NSAMP_RSN_BLOCK : p.units;
}

/* Shared memory of a block: the linear part of hinges, then the units. */
static size_t shared_bytes(const nsamp_rsn_params &p) {
    return sizeof(float) * (NSAMP_RSN_LINEAR + (size_t)units_of(p) * unit_len(p.dim, p.activation));
}

template <uint32_t LEN> static __device__ __forceinline__ void load_unit(const float *unit, float *w) {
#pragma unroll
    for (uint32_t i = 0; i < LEN; i += 4) {
        const float4 four = *(const float4 *)(unit + i);
        w[i] = four.x, w[i + 1] = four.y, w[i + 2] = four.z, w[i + 3] = four.w;
    }
}

/* y = W1 phi(W2 x + b) of K chains. */
template <uint32_t M, uint32_t K, uint32_t PHI>
static __device__ __forceinline__ void apply_units(const float *unit, uint32_t units, const float (&x)[K][M],
                                                   float (&y)[K][M]) {
    constexpr uint32_t LEN = unit_len(M, PHI);
#pragma unroll
    for (uint32_t c = 0; c < K; c++)
#pragma unroll
        for (uint32_t k = 0; k < M; k++)
            y[c][k] = 0.0f;
#pragma unroll 4
    for (uint32_t j = 0; j < units; j++, unit += LEN) {
        float w[LEN];
        load_unit<LEN>(unit, w);
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
}

/* The same by hinges. */
template <uint32_t M, uint32_t K>
static __device__ __forceinline__ void apply_hinges(const nsamp_rsn_params &p, const float *linear,
                                                    const float (&x)[K][M], float (&y)[K][M]) {
    constexpr uint32_t LEN = unit_len(M, NSAMP_RSN_RELU);
    const float *unit = linear + NSAMP_RSN_LINEAR;
#pragma unroll
    for (uint32_t c = 0; c < K; c++)
#pragma unroll
        for (uint32_t k = 0; k < M; k++) {
            y[c][k] = linear[k];
#pragma unroll
            for (uint32_t i = 0; i < M; i++)
                y[c][k] = nsamp_fma(linear[NSAMP_RSN_HINGES * (1 + k) + i], x[c][i], y[c][k]);
        }
#pragma unroll
    for (uint32_t k = 0; k < M; k++)
#pragma unroll 4
        for (uint32_t j = 0; j < p.hinges[k] * NSAMP_RSN_BLOCK; j++, unit += LEN) {
            float w[LEN];
            load_unit<LEN>(unit, w);
#pragma unroll
            for (uint32_t c = 0; c < K; c++) {
                float h = x[c][k];
#pragma unroll
                for (uint32_t o = 1; o < M; o++)
                    h = nsamp_fma(w[o], x[c][(k + o) % M], h);
                h = nsamp_floats_max(h, w[0]);
#pragma unroll
                for (uint32_t i = 0; i < M; i++)
                    y[c][i] = nsamp_fma(w[M + i], h, y[c][i]);
            }
        }
}

template <uint32_t M, uint32_t K, uint32_t PHI, uint32_t ROUNDS>
static __global__ void __launch_bounds__(THREADS, 2)
    rsn_few(nsamp_cuda_view v, const nsamp_rsn_params p, const nsamp_keys keys, uint64_t step0,
            uint32_t nsteps) {
    NSAMP_SHARED;
    constexpr uint32_t LEN = unit_len(M, PHI), NUMBERS = numbers_of(M, PHI), B = NSAMP_RSN_BLOCK;
    float *const linear = (float *)nsamp_shared, *const unit = linear + NSAMP_RSN_LINEAR;
    const float *blocks = (const float *)((const char *)v.params + p.blocks_offset);
    const uint32_t units = units_of(p);
    if (hinged(M, PHI)) {
        for (uint32_t i = threadIdx.x; i < NSAMP_RSN_LINEAR; i += THREADS)
            linear[i] = blocks[i];
        blocks += NSAMP_RSN_LINEAR;
    }
    for (uint32_t i = threadIdx.x; i < units * LEN; i += THREADS) {
        const uint32_t u = i / LEN, what = i % LEN;
        unit[i] = what < NUMBERS ? blocks[(size_t)(u / B) * B * NUMBERS + B * what + u % B] : 0.0f;
    }
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
        if constexpr (hinged(M, PHI))
            apply_hinges<M, K>(p, linear, x, y);
        else
            apply_units<M, K, PHI>(unit, units, x, y);
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
        if (few[i].m != p->dim || shared_bytes(*p) > v->shared_most) continue;
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
    const size_t shared = shared_bytes(*p);
    const uint32_t first = nsamp_stream_steps(step0, nsteps, 1);
    const uint64_t tiles = (uint64_t)(THREADS / L) * s->chains; /* a block */
    cudaError_t error = nsamp_cuda_permit(kernel, shared);
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
