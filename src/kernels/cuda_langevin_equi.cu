/* cuda_langevin_equi.cu: langevin_equi with a chain on G = 1, 8 or 32 threads of a warp, or on a block of
 * 256.
 *
 * Thread t of G holds the blocks of four coordinates t, t + G, t + 2 G ... in registers for all steps of a
 * launch; noise is made where it is used. Sums follow the tree of systems/langevin_equi.h: block b belongs to
 * partial b % 256, partials are added in halves. With G NB <= 256 each of a thread's blocks is a partial of
 * its own, the upper levels of the tree are inside a thread and the lower ones shuffles; with G = 256 a
 * thread is a partial. Partials beyond those that the dimension has are zero, and x + 0 = x since no partial
 * is -0, so a larger tree gives the same bits.
 *
 * A launch reads and writes the state with a stride of 32 floats, which costs about a step at G > 1; launches
 * of tens of steps and more make it small. */
#include "kernels/cuda_kernels.h"
#include "kernels/systems/langevin_equi.h"

enum { L = NSAMP_CUDA_LANES, THREADS = 256 };

/* Sum over the G threads of a chain, the same on each; part [NB] is destroyed. */
template <uint32_t G, uint32_t NB>
static __device__ __forceinline__ float group_sum(float (&part)[NB], float *shared, uint32_t parity) {
    float s;
    if (G == THREADS) {
        /* Every warp sums all 256 partials: one barrier a step, since the next step writes the other half. */
        const uint32_t lane = threadIdx.x % NSAMP_WARP;
        float *const buffer = shared + parity * THREADS, all[8];
        buffer[threadIdx.x] = part[0];
        __syncthreads();
#pragma unroll
        for (uint32_t k = 0; k < 8; k++)
            all[k] = buffer[lane + k * NSAMP_WARP];
#pragma unroll
        for (uint32_t h = 4; h; h /= 2)
#pragma unroll
            for (uint32_t k = 0; k < h; k++)
                all[k] += all[k + h];
        s = all[0];
    } else {
#pragma unroll
        for (uint32_t h = NB / 2; h; h /= 2)
#pragma unroll
            for (uint32_t k = 0; k < h; k++)
                part[k] += part[k + h];
        s = part[0];
    }
    const uint32_t width = G < NSAMP_WARP ? G : NSAMP_WARP;
#pragma unroll
    for (uint32_t h = width / 2; h; h /= 2)
        s += __shfl_down_sync(NSAMP_FULL_WARP, s, h, width);
    return width > 1 ? __shfl_sync(NSAMP_FULL_WARP, s, 0, width) : s;
}

template <uint32_t G, uint32_t NB, uint32_t ROUNDS>
static __global__ void __launch_bounds__(THREADS)
    equi_advance(nsamp_cuda_view v, const nsamp_langevin_equi_params params, uint64_t step0,
                 uint32_t nsteps) {
    NSAMP_SHARED;
    const uint64_t chain = ((uint64_t)blockIdx.x * THREADS + threadIdx.x) / G;
    if (chain >= v.tiles * L) return; /* whole warps, or for G = 256 nobody */
    const uint32_t t = threadIdx.x % G, D = params.dim, blocks = (D + 3) / 4;
    float *const state = v.state + chain / L * v.state_len * L + chain % L;
    nsamp_noise_key key = v.noise;
    key.rounds = ROUNDS;
    float u[4 * NB], sum = state[(size_t)D * L];
#pragma unroll
    for (uint32_t k = 0; k < 4 * NB; k++) {
        const uint32_t i = 4 * (t + k / 4 * G) + k % 4;
        u[k] = i < D ? state[(size_t)i * L] : 0.0f;
    }
    uint32_t bad = 0;
    for (uint32_t n = 0; n < nsteps; n++) {
        const float g = params.c2 * sum;
        float part[NB];
#pragma unroll
        for (uint32_t k = 0; k < NB; k++)
            part[k] = 0.0f;
#pragma unroll
        for (uint32_t k = 0; k < NB; k++) {
            const uint32_t b = t + k * G;
            if (b >= blocks) continue;
            float z[4];
            nsamp_normals4(key, NSAMP_PURPOSE_STEP, (uint32_t)chain, step0 + n, b, z);
            const uint32_t left = D - 4 * b;
            nsamp_equi_block(&params, u + 4 * k, &g, z, &part[G == THREADS ? 0 : k], 1, left < 4 ? left : 4);
        }
        sum = group_sum<G, NB>(part, (float *)nsamp_shared, n % 2);
        if (sum * 0.0f != 0.0f && !bad) bad = n + 1;
    }
#pragma unroll
    for (uint32_t k = 0; k < 4 * NB; k++) {
        const uint32_t i = 4 * (t + k / 4 * G) + k % 4;
        if (i < D) state[(size_t)i * L] = u[k];
    }
    if (t == 0) state[(size_t)D * L] = sum;
    if (t == 0 && bad && v.first_bad[chain] == ~0ull) v.first_bad[chain] = step0 + bad - 1;
}

/* One coordinate a warp, rows in turn. */
static __global__ void __launch_bounds__(THREADS) equi_observe(nsamp_cuda_view v, float *x) {
    const nsamp_langevin_equi_params *const p = (const nsamp_langevin_equi_params *)v.params;
    const uint64_t tile = blockIdx.x;
    const uint32_t lane = threadIdx.x % L;
    const float *const u = v.state + tile * v.state_len * L + lane;
    const float sum = u[(size_t)p->dim * L];
    const float *const mean = (const float *)((const char *)p + p->mean_offset);
    for (uint32_t i = blockIdx.y * (THREADS / L) + threadIdx.x / L; i < p->dim;
         i += gridDim.y * (THREADS / L))
        x[(tile * v.dim + i) * L + lane] =
            nsamp_equi_x(p, u[(size_t)i * L], sum, p->mean_offset ? mean[i] : p->common_mean);
}

typedef void equi_kernel(nsamp_cuda_view, nsamp_langevin_equi_params, uint64_t, uint32_t);

/* The shapes, narrow first; capacity 4 G NB coordinates. */
typedef struct shape {
    uint32_t threads, blocks; /* G, NB */
    equi_kernel *kernel[2];   /* 10 rounds, 7 rounds */
} shape;

#define SHAPE(G, NB)                                                                                         \
    {                                                                                                        \
        (G), (NB), {                                                                                         \
            equi_advance<G, NB, 10>, equi_advance<G, NB, 7>                                                  \
        }                                                                                                    \
    }
static const shape shapes[] = {SHAPE(1, 1),   SHAPE(1, 2),   SHAPE(1, 4),   SHAPE(1, 8),   SHAPE(8, 1),
                               SHAPE(8, 2),   SHAPE(8, 4),   SHAPE(8, 8),   SHAPE(32, 1),  SHAPE(32, 2),
                               SHAPE(32, 4),  SHAPE(32, 8),  SHAPE(256, 1), SHAPE(256, 2), SHAPE(256, 4),
                               SHAPE(256, 8), SHAPE(256, 16)};
enum { SHAPES = sizeof shapes / sizeof shapes[0], ENOUGH_THREADS = 512 /* a multiprocessor */ };

/* The first shape that holds the dimension, or a wider one where there are too few chains to fill the device
 * and the chain has blocks for half of its threads or more. */
static const shape *choose(const nsamp_cuda_view *v, uint32_t dim) {
    const uint64_t blocks = ((uint64_t)dim + 3) / 4, chains = v->tiles * L;
    const shape *best = NULL;
    for (size_t i = 0; i < SHAPES; i++) {
        const shape *s = &shapes[i];
        if ((uint64_t)s->threads * s->blocks < blocks) continue;
        if (best && s->threads == best->threads) continue; /* the same threads with room to spare */
        if (best && (chains * best->threads >= (uint64_t)ENOUGH_THREADS * v->multiprocessors ||
                     s->threads >= 2 * blocks))
            break;
        best = s;
    }
    return best;
}

static cudaError_t launch_advance(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                                  uint32_t nsteps) {
    const nsamp_langevin_equi_params *const p = (const nsamp_langevin_equi_params *)host_params;
    const shape *const s = choose(v, p->dim);
    equi_kernel *const kernel = s->kernel[v->noise.rounds == 7];
    const uint64_t threads = v->tiles * L * s->threads;
    const size_t shared = s->threads == THREADS ? 2 * THREADS * sizeof(float) : 0;
    NSAMP_LAUNCH(kernel, (uint32_t)((threads + THREADS - 1) / THREADS), (uint32_t)THREADS, shared, v->stream,
                 *v, *p, step0, nsteps);
    return cudaGetLastError();
}

static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    const uint32_t rows = (v->dim + THREADS / L - 1) / (THREADS / L);
    NSAMP_LAUNCH(equi_observe, dim3((uint32_t)tiles, rows < 64 ? rows : 64), (uint32_t)THREADS, 0, v->stream,
                 *v, x);
    return cudaGetLastError();
}

const nsamp_cuda_kernel *nsamp_cuda_equi_kernel(void) {
    static const nsamp_cuda_kernel kernel = {launch_advance, launch_observe};
    return &kernel;
}
