/* cuda_langevin_equi.cu: langevin_equi with a chain on G = 1 to 32 threads of a warp, or on a block of 256.
 *
 * Thread t of G holds the blocks of four coordinates t, t + G, t + 2 G ... in registers for all steps of a
 * launch; noise is made where it is used. Sums follow the tree of systems/langevin_equi.h: block b belongs to
 * partial b % 256, partials are added in halves. With G NB <= 256 each of a thread's blocks is a partial of
 * its own, the upper levels of the tree are inside a thread and the lower ones shuffles; with G = 256 a
 * thread is a partial. Partials beyond those that the dimension has are zero, and x + 0 = x since no partial
 * is -0, so a larger tree gives the same bits.
 *
 * FAST takes normals from hardware approximations (cuda_noise.h); all else is the same. TAIL: the last block of four may have
 * coordinates beyond the dimension. Where steps share it, a thread with a small chain to itself keeps what the next step takes; of eight threads a
 * chain the last makes its words at each step.
 *
 * A launch reads and writes the state once: 16 bytes a thread up to G = 8, where four neighbours in a warp hold the same
 * coordinates of four chains and transpose them; 4 bytes beyond. */
#include "kernels/cuda_kernels.h"
#include "kernels/cuda_noise.h"
#include "kernels/systems/langevin_equi.h"

enum { L = NSAMP_CUDA_LANES, THREADS = 256 };

/* Blocks of threads that a multiprocessor is to hold at once, which bounds the registers. */
static constexpr uint32_t resident(uint32_t NB) {
    return NB <= 1 ? 6 : NB <= 2 ? 5 : NB <= 4 ? 4 : NB <= 8 ? 3 : 2;
}

/* Shapes for dimensions whose steps share the last block: a thread alone with its chain, or eight where chains are few. */
static constexpr __host__ __device__ bool shares(uint32_t G, uint32_t NB) {
    return (G == 1 && NB <= 4) || (G == 8 && NB == 1);
}

/* Partials first, first + stride ... N of them, added in halves: the sum of 0 and N / 2, of 1 and N / 2 + 1 and so on, then
 * again. In an order that keeps few of them at a time. */
template <uint32_t N, class Partial>
static __device__ __forceinline__ float halves(Partial &partial, uint32_t first, uint32_t stride) {
    if constexpr (N == 1)
        return partial(first);
    else {
        const float even = halves<N / 2>(partial, first, 2 * stride);
        return even + halves<N / 2>(partial, first + stride, 2 * stride);
    }
}

/* Sum over the G threads of a chain of what each brings, the same on each. */
template <uint32_t G>
static __device__ __forceinline__ float group_sum(float s, float *shared, uint32_t parity) {
    if constexpr (G == THREADS) {
        /* Every warp sums all 256 partials: one barrier a step, since the next step writes the other half. */
        const uint32_t lane = threadIdx.x % NSAMP_WARP;
        float *const buffer = shared + parity * THREADS;
        buffer[threadIdx.x] = s;
        __syncthreads();
        auto partial = [&](uint32_t k) { return buffer[lane + k * NSAMP_WARP]; };
        s = halves<8>(partial, 0, 1);
    }
    const uint32_t width = G < NSAMP_WARP ? G : NSAMP_WARP;
#pragma unroll
    for (uint32_t h = width / 2; h; h /= 2)
        s += __shfl_down_sync(NSAMP_FULL_WARP, s, h, width);
    return width > 1 ? __shfl_sync(NSAMP_FULL_WARP, s, 0, width) : s;
}

/* v [4] of lanes G and 2 G apart, as a 4 x 4 matrix, transposed; q: row of this lane. */
template <uint32_t G> static __device__ __forceinline__ void transpose(float v[4], uint32_t q) {
    const bool high = q & 2, odd = q & 1;
    float a = __shfl_xor_sync(NSAMP_FULL_WARP, high ? v[0] : v[2], 2 * G);
    float b = __shfl_xor_sync(NSAMP_FULL_WARP, high ? v[1] : v[3], 2 * G);
    v[0] = high ? a : v[0];
    v[1] = high ? b : v[1];
    v[2] = high ? v[2] : a;
    v[3] = high ? v[3] : b;
    a = __shfl_xor_sync(NSAMP_FULL_WARP, odd ? v[0] : v[1], G);
    b = __shfl_xor_sync(NSAMP_FULL_WARP, odd ? v[2] : v[3], G);
    v[0] = odd ? a : v[0];
    v[1] = odd ? v[1] : a;
    v[2] = odd ? b : v[2];
    v[3] = odd ? v[3] : b;
}

/* Coordinates 4 b to 4 b + 3 of a chain, in registers; rows: the tile's state. All lanes of a warp come. */
template <uint32_t G>
static __device__ __forceinline__ void load(const float *rows, uint32_t D, uint32_t lane, uint32_t b,
                                            float u[4]) {
    if constexpr (G <= 8) {
        const uint32_t q = lane % 4, i = 4 * b + q;
        const float4 row =
            i < D ? *(const float4 *)(rows + (size_t)i * L + lane - q) : make_float4(0, 0, 0, 0);
        u[0] = row.x, u[1] = row.y, u[2] = row.z, u[3] = row.w;
        transpose<G>(u, q);
    } else {
#pragma unroll
        for (uint32_t k = 0; k < 4; k++)
            u[k] = 4 * b + k < D ? rows[(size_t)(4 * b + k) * L + lane] : 0.0f;
    }
}

template <uint32_t G>
static __device__ __forceinline__ void store(float *rows, uint32_t D, uint32_t lane, uint32_t b, float u[4]) {
    if constexpr (G <= 8) {
        const uint32_t q = lane % 4, i = 4 * b + q;
        transpose<G>(u, q);
        if (i < D) *(float4 *)(rows + (size_t)i * L + lane - q) = make_float4(u[0], u[1], u[2], u[3]);
    } else {
#pragma unroll
        for (uint32_t k = 0; k < 4; k++)
            if (4 * b + k < D) rows[(size_t)(4 * b + k) * L + lane] = u[k];
    }
}

/* N coordinates by a step from N words; swapped: the first takes the second normal of its pair. */
template <bool FAST, uint32_t N>
static __device__ __forceinline__ void update(const nsamp_langevin_equi_params &p, const nsamp_words &words,
                                              bool swapped, float g, float u[4]) {
#pragma unroll
    for (uint32_t k = 0; k < N; k += 2) {
        if constexpr (FAST) {
            float r, c, s;
            nsamp_fast_pair(words.w[k], words.w[k + 1], p.a * p.a, &r, &c, &s);
            u[k] = __fmaf_rn(p.c1, u[k], __fmaf_rn(r, swapped && k == 0 ? s : c, g));
            u[k + 1] = __fmaf_rn(p.c1, u[k + 1], __fmaf_rn(r, s, g));
        } else {
            float z0, z1;
            nsamp_exact_pair(words.w[k], words.w[k + 1], &z0, &z1);
            u[k] = nsamp_equi_update(&p, u[k], g, swapped && k == 0 ? z1 : z0);
            u[k + 1] = nsamp_equi_update(&p, u[k + 1], g, z1);
        }
    }
}

template <uint32_t G, uint32_t NB, uint32_t ROUNDS, bool FAST, bool TAIL>
static __global__ void __launch_bounds__(THREADS, resident(NB))
    equi_advance(nsamp_cuda_view v, const nsamp_langevin_equi_params params, const nsamp_keys keys,
                 uint64_t step0, uint32_t nsteps) {
    NSAMP_SHARED;
    const uint64_t chain = ((uint64_t)blockIdx.x * THREADS + threadIdx.x) / G;
    if (chain >= v.tiles * L) return; /* whole warps, or for G = 256 nobody */
    const uint32_t t = threadIdx.x % G, lane = (uint32_t)chain % L, D = params.dim, blocks = (D + 3) / 4;
    float *const rows = v.state + chain / L * v.state_len * L;
    const nsamp_stream noise = nsamp_stream_of(keys, NSAMP_PURPOSE_STEP, (uint32_t)chain, step0);
    /* SMALL: a thread has a chain of at most 16 coordinates to itself, and all its blocks are in use. SHARES: the dimension may be one
     * whose steps share the last block. */
    constexpr bool SMALL = G == 1 && NB <= 4, SHARES = TAIL && shares(G, NB);
    const uint32_t each = D % 4, sharing = SHARES ? nsamp_tail_steps(D) : 1;
    uint32_t kept[2] = {0, 0};
    float u[NB][4], sum = rows[(size_t)D * L + lane];
#pragma unroll
    for (uint32_t k = 0; k < NB; k++)
        load<G>(rows, D, lane, t + k * G, u[k]);
    uint32_t bad = ~0u;
    for (uint32_t n = 0; n < nsteps; n++) {
        const float g = params.c2 * sum;
        const uint32_t step = (uint32_t)step0 + n,
                       at = step & (sharing - 1); /* which of those that share: 1, 2 or 4 */
        const bool second = at * each / 2, swapped = each == 1 && at % 2;
        auto partial = [&](uint32_t k) {
            if (k >= NB) return 0.0f; /* of a tree of four where three blocks are */
            if (SMALL && SHARES && k == NB - 1 && sharing > 1) {
                nsamp_words pair = {{kept[0], kept[1], 0, 0}};
                if (at % 2 == 0 || n == 0) {
                    const nsamp_words words = nsamp_stream_words<ROUNDS>(noise, keys, step - at, k);
                    pair.w[0] = second ? words.w[2] : words.w[0];
                    pair.w[1] = second ? words.w[3] : words.w[1];
                    kept[0] = each == 2 ? words.w[2] : pair.w[0];
                    kept[1] = each == 2 ? words.w[3] : pair.w[1];
                }
                update<FAST, 2>(params, pair, swapped, g, u[k]);
                if (each == 1) u[k][1] = 0.0f;
                return u[k][0] + u[k][1];
            }
            /* The first half of the blocks are full: choose() sees to it. Where there are many, every other is tested all the
             * same: the branch keeps the compiler from working on so many at a time that the registers run out. */
            const bool full = SMALL ? k + 1 < NB : k + 1 <= NB / 2 && (NB < 8 || k % 4 == 0);
            uint32_t b = t + k * G;
            if (!SMALL && !full && b >= blocks) return 0.0f;
            if constexpr (NB >= 8) /* else the compiler keeps what a block decides of the noise */
                asm volatile("" : "+r"(b));
            const bool last = TAIL && !full && 4 * b + 4 > D, shared = !SMALL && SHARES && last;
            nsamp_words words = nsamp_stream_words<ROUNDS>(noise, keys, shared ? step - at : step, b);
            if (shared && second) {
                words.w[0] = words.w[2];
                words.w[1] = words.w[3];
            }
            update<FAST, 4>(params, words, shared && swapped, g, u[k]);
            if (last) { /* coordinates beyond the last: zero adds nothing to the sum */
                u[k][1] = 4 * b + 1 < D ? u[k][1] : 0.0f;
                u[k][2] = 4 * b + 2 < D ? u[k][2] : 0.0f;
                u[k][3] = 0.0f;
            }
            return u[k][0] + u[k][1] + u[k][2] + u[k][3];
        };
        float part = 0.0f;
        if constexpr (G == THREADS) {
#pragma unroll
            for (uint32_t k = 0; k < NB; k++)
                part += partial(k);
        } else {
            part += halves < NB == 3 ? 4 : NB > (partial, 0, 1);
        }
        sum = group_sum<G>(part, (float *)nsamp_shared, n % 2);
        if (sum * 0.0f != 0.0f) bad = bad < n ? bad : n;
    }
#pragma unroll
    for (uint32_t k = 0; k < NB; k++)
        store<G>(rows, D, lane, t + k * G, u[k]);
    if (t == 0) rows[(size_t)D * L + lane] = sum;
    if (t == 0 && bad != ~0u && v.first_bad[chain] == ~0ull) v.first_bad[chain] = step0 + bad;
}

/* One coordinate a warp, rows in turn. */
static __global__ void __launch_bounds__(THREADS) equi_observe(nsamp_cuda_view v, float *x) {
    const nsamp_langevin_equi_params *const p = (const nsamp_langevin_equi_params *)v.params;
    const uint64_t tile = blockIdx.x;
    const uint32_t lane = threadIdx.x % L;
    const float *const u = v.state + tile * v.state_len * L + lane;
    const float sum = u[(size_t)p->dim * L];
    for (uint32_t i = blockIdx.y * (THREADS / L) + threadIdx.x / L; i < p->dim;
         i += gridDim.y * (THREADS / L))
        x[(tile * v.dim + i) * L + lane] = nsamp_equi_x(p, u[(size_t)i * L], sum);
}

typedef void equi_kernel(nsamp_cuda_view, nsamp_langevin_equi_params, nsamp_keys, uint64_t, uint32_t);

/* The shapes; capacity 4 G NB coordinates. */
typedef struct shape {
    uint32_t threads, blocks;     /* G, NB */
    equi_kernel *kernel[2][2][2]; /* without a tail, with one; exact, fast; 10 rounds, 7 rounds */
} shape;

/* With sixteen blocks a thread all tails are tested for: without the tests the compiler works on so many blocks at a time that it spills. */
#define KERNELS(G, NB, TAIL)                                                                                 \
    {                                                                                                        \
        {equi_advance<G, NB, 10, false, TAIL>, equi_advance<G, NB, 7, false, TAIL>}, {                       \
            equi_advance<G, NB, 10, true, TAIL>, equi_advance<G, NB, 7, true, TAIL>                          \
        }                                                                                                    \
    }
#define SHAPE(G, NB)                                                                                         \
    {                                                                                                        \
        (G), (NB), {                                                                                         \
            KERNELS(G, NB, (NB) == 16), KERNELS(G, NB, true)                                                 \
        }                                                                                                    \
    }
static const shape shapes[] = {SHAPE(1, 1),   SHAPE(1, 2),   SHAPE(1, 3),   SHAPE(1, 4),   SHAPE(1, 8),
                               SHAPE(1, 16),  SHAPE(2, 4),   SHAPE(2, 16),  SHAPE(4, 4),   SHAPE(4, 16),
                               SHAPE(8, 1),   SHAPE(8, 2),   SHAPE(8, 4),   SHAPE(8, 16),  SHAPE(16, 4),
                               SHAPE(16, 16), SHAPE(32, 1),  SHAPE(32, 2),  SHAPE(32, 4),  SHAPE(32, 8),
                               SHAPE(256, 1), SHAPE(256, 2), SHAPE(256, 4), SHAPE(256, 8), SHAPE(256, 16)};
enum { SHAPES = sizeof shapes / sizeof shapes[0], ENOUGH_THREADS = 1024 /* a multiprocessor */ };

/* Time of a step, in that of a block of four normals: more blocks a thread leave fewer threads a multiprocessor; sums over threads cost some of a
 * block (an H200, bench/LOG.md). */
static double time_of(const shape *s, uint64_t blocks) {
    const double block = s->blocks <= 4 ? 1.0 : s->blocks <= 8 ? 1.07 : 1.1;
    const double sum = s->threads == 1 ? 0.0 : s->threads <= NSAMP_WARP ? 0.11 : 0.28;
    return (double)((blocks + s->threads - 1) / s->threads) * block + sum;
}

/* The shape whose threads do the most of a dimension in a time, as far as there are chains to fill the device. Shapes that would be half empty
 * are left out: the kernel takes the first half of a thread's blocks for full, and all but the last where a thread alone has up to four. */
static const shape *choose(const nsamp_cuda_view *v, uint32_t dim) {
    const uint64_t blocks = ((uint64_t)dim + 3) / 4, enough = (uint64_t)ENOUGH_THREADS * v->multiprocessors;
    const shape *best = NULL;
    double most = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        const shape *const s = &shapes[i];
        const uint64_t room = (uint64_t)s->threads * s->blocks, threads = v->tiles * L * s->threads;
        if (room < blocks || (s->blocks > 1 && blocks <= room / 2)) continue;
        if (s->threads == 1 && s->blocks <= 4 && blocks != s->blocks) continue;
        if (nsamp_tail_steps(dim) > 1 && !shares(s->threads, s->blocks)) continue;
        const double filled = threads < enough ? (double)threads / (double)enough : 1.0,
                     rate = filled / ((double)s->threads * time_of(s, blocks));
        if (rate <= most) continue;
        most = rate;
        best = s;
    }
    return best;
}

static cudaError_t launch_advance(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                                  uint32_t nsteps) {
    const nsamp_langevin_equi_params *const p = (const nsamp_langevin_equi_params *)host_params;
    const shape *const s = choose(v, p->dim);
    equi_kernel *const kernel = s->kernel[p->dim % 4 != 0][v->fast][v->noise.rounds == 7];
    const uint64_t threads = v->tiles * L * s->threads;
    const size_t shared = s->threads == THREADS ? 2 * THREADS * sizeof(float) : 0;
    const uint32_t first = nsamp_stream_steps(step0, nsteps, 1);
    NSAMP_LAUNCH(kernel, (uint32_t)((threads + THREADS - 1) / THREADS), (uint32_t)THREADS, shared, v->stream,
                 *v, *p, nsamp_keys_of(v->noise), step0, first);
    const cudaError_t error = cudaGetLastError();
    return error || first == nsteps ? error : launch_advance(v, host_params, step0 + first, nsteps - first);
}

static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    const uint32_t rows = (v->dim + THREADS / L - 1) / (THREADS / L);
    NSAMP_LAUNCH(equi_observe, dim3((uint32_t)tiles, rows < 64 ? rows : 64), (uint32_t)THREADS, 0, v->stream,
                 *v, x);
    return cudaGetLastError();
}

const nsamp_cuda_kernel *nsamp_cuda_equi_kernel(void) {
    static const nsamp_cuda_kernel kernel = {launch_advance, launch_observe, true};
    return &kernel;
}
