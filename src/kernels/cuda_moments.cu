/* cuda_moments.cu: the accumulators of stats/moments.h on the device, with the bits of stats/moments.c: each
 * sum grows in the same order there and here, in double.
 *
 * Kernels of their own that follow the steps on the stream, and not a part of the step's kernel: a sample is
 * due once in many steps (the plan keeps accumulating to a small share of a run), sums need 40 bytes a
 * coordinate where the step needs 4, and so every system's kernel is spared the registers. The state is in
 * global memory between launches in any case. */
#include "kernels/cuda_kernels.h"

#include <math.h>

enum { L = NSAMP_CUDA_LANES, THREADS = 256, ROWS = THREADS / L };

static __global__ void __launch_bounds__(THREADS) clear_extremes(nsamp_cuda_moments m) {
    const uint64_t count = m.tiles * m.dim * L;
    for (uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x; i < count;
         i += (uint64_t)gridDim.x * THREADS) {
        m.low[i] = INFINITY;
        m.high[i] = -INFINITY;
    }
}

/* A warp a coordinate of a tile. */
static __global__ void __launch_bounds__(THREADS)
    add_rows(nsamp_cuda_moments m, uint32_t half, const float *x) {
    const uint64_t tile = blockIdx.x;
    const uint32_t lane = threadIdx.x % L;
    double *const sum1 = m.sums + (tile * 2 + half) * 2 * m.rows * L + lane, *const sum2 =
                                                                                 sum1 + (size_t)m.rows * L;
    for (uint32_t i = blockIdx.y * ROWS + threadIdx.x / L; i < m.dim; i += gridDim.y * ROWS) {
        const size_t at = (tile * m.dim + i) * L + lane;
        const float f = x[at];
        const double value = f;
        sum1[(size_t)i * L] += value;
        sum2[(size_t)i * L] += value * value;
        m.low[at] = f < m.low[at] ? f : m.low[at];
        m.high[at] = f > m.high[at] ? f : m.high[at];
    }
}

/* The sum over coordinates, in their order: a thread a chain. */
static __global__ void __launch_bounds__(THREADS)
    add_totals(nsamp_cuda_moments m, uint32_t half, const float *x) {
    const uint64_t chain = (uint64_t)blockIdx.x * THREADS + threadIdx.x, tile = chain / L, lane = chain % L;
    if (tile >= m.tiles) return;
    double total = 0;
#pragma unroll 8
    for (uint32_t i = 0; i < m.dim; i++)
        total += x[(tile * m.dim + i) * L + lane];
    double *const sum1 = m.sums + (tile * 2 + half) * 2 * m.rows * L + (size_t)m.dim * L + lane;
    sum1[0] += total;
    sum1[(size_t)m.rows * L] += total * total;
}

/* Lower triangle of x x^T summed over a group's chains in their order. A block makes a square of it, of 16 M entries a side, from the
 * coordinates of 32 chains at a time in shared memory, as double; a thread has M x M entries in registers, whose rows and columns lie
 * 16 apart. blockIdx.x counts the squares below the diagonal and on it, row by row. */
enum { SIDE = 16, PAD = 1 /* a column more: a warp writes one coordinate of 32 chains */ };

static __device__ __forceinline__ void load_square(const nsamp_cuda_moments &m, const float *x, uint64_t tile,
                                                   uint32_t first, uint32_t count, double *to) {
    for (uint32_t k = threadIdx.x; k < count * L; k += THREADS) {
        const uint32_t i = k / L, lane = k % L;
        to[lane * (count + PAD) + i] =
            first + i < m.dim ? (double)x[(tile * m.dim + first + i) * L + lane] : 0.0;
    }
}

/* The same in two halves, by way of each thread's registers. Small squares are little work for long ways: there the next 32 chains are
 * fetched before the sums over these. */
template <uint32_t COUNT> struct fetched { float v[COUNT * L / THREADS]; };

template <uint32_t COUNT>
static __device__ __forceinline__ fetched<COUNT> fetch_square(const nsamp_cuda_moments &m, const float *x,
                                                              uint64_t tile, uint32_t first) {
    fetched<COUNT> f;
#pragma unroll
    for (uint32_t k = 0; k < COUNT * L / THREADS; k++) {
        const uint32_t i = first + k * ROWS + threadIdx.x / L;
        f.v[k] = i < m.dim ? x[(tile * m.dim + i) * L + threadIdx.x % L] : 0.0f;
    }
    return f;
}

template <uint32_t COUNT>
static __device__ __forceinline__ void put_square(const fetched<COUNT> &f, double *to) {
#pragma unroll
    for (uint32_t k = 0; k < COUNT * L / THREADS; k++)
        to[threadIdx.x % L * (COUNT + PAD) + k * ROWS + threadIdx.x / L] = (double)f.v[k];
}

template <uint32_t M>
static __global__ void __launch_bounds__(THREADS, M == 4 ? 3 : 4)
    add_products(nsamp_cuda_moments m, uint32_t half, const float *x) {
    NSAMP_SHARED;
    constexpr uint32_t N = SIDE * M, ROW = N + PAD;
    double *const xi = (double *)nsamp_shared, *const xj = xi + L * ROW;
    uint32_t square_i = 0, square_j = blockIdx.x;
    while (square_j > square_i)
        square_j -= ++square_i;
    const uint32_t i0 = square_i * N, j0 = square_j * N, ti = threadIdx.x / SIDE, tj = threadIdx.x % SIDE;
    double *const sum =
        m.products +
        (uint64_t)(blockIdx.y * m.group_halves + (m.group_halves == 2 ? half : 0)) * m.dim * m.dim;
    double s[M][M];
#pragma unroll
    for (uint32_t r = 0; r < M; r++)
#pragma unroll
        for (uint32_t c = 0; c < M; c++) {
            const uint32_t i = i0 + ti + SIDE * r, j = j0 + tj + SIDE * c;
            s[r][c] = i < m.dim && j <= i ? sum[(uint64_t)i * m.dim + j] : 0.0;
        }
    const uint64_t first = blockIdx.y * m.group_chains;
    const uint64_t last = first + m.group_chains < m.chains ? first + m.group_chains : m.chains;
    fetched<N> next_i, next_j;
    if (M < 4 && first < last)
        next_i = fetch_square<N>(m, x, first / L, i0), next_j = fetch_square<N>(m, x, first / L, j0);
    for (uint64_t chain = first; chain < last;) {
        const uint32_t lane0 = (uint32_t)(chain % L), room = L - lane0,
                       lanes = last - chain < room ? (uint32_t)(last - chain) : room;
        if (M < 4) {
            put_square<N>(next_i, xi);
            put_square<N>(next_j, xj);
        } else {
            load_square(m, x, chain / L, i0, N, xi);
            load_square(m, x, chain / L, j0, N, xj);
        }
        __syncthreads();
        if (M < 4 && chain + lanes < last) {
            next_i = fetch_square<N>(m, x, chain / L + 1, i0);
            next_j = fetch_square<N>(m, x, chain / L + 1, j0);
        }
#pragma unroll(M < 4 ? 8 : 2)
        for (uint32_t lane = lane0; lane < lane0 + lanes; lane++) {
            double a[M], b[M];
#pragma unroll
            for (uint32_t k = 0; k < M; k++) {
                a[k] = xi[lane * ROW + ti + SIDE * k];
                b[k] = xj[lane * ROW + tj + SIDE * k];
            }
#pragma unroll
            for (uint32_t r = 0; r < M; r++)
#pragma unroll
                for (uint32_t c = 0; c < M; c++)
                    s[r][c] = fma(a[r], b[c], s[r][c]); /* the product is exact */
        }
        __syncthreads();
        chain += lanes;
    }
#pragma unroll
    for (uint32_t r = 0; r < M; r++)
#pragma unroll
        for (uint32_t c = 0; c < M; c++) {
            const uint32_t i = i0 + ti + SIDE * r, j = j0 + tj + SIDE * c;
            if (i < m.dim && j <= i) sum[(uint64_t)i * m.dim + j] = s[r][c];
        }
}

template <uint32_t M>
static void launch_products(const nsamp_cuda_moments *m, uint32_t half, const float *x, cudaStream_t stream) {
    const uint32_t squares = (m->dim + SIDE * M - 1) / (SIDE * M),
                   groups = (uint32_t)((m->chains + m->group_chains - 1) / m->group_chains);
    NSAMP_LAUNCH(add_products<M>, dim3(squares * (squares + 1) / 2, groups), (uint32_t)THREADS,
                 2 * sizeof(double) * L * (SIDE * M + PAD), stream, *m, half, x);
}

cudaError_t nsamp_cuda_moments_add(const nsamp_cuda_moments *m, uint32_t half, const float *x,
                                   cudaStream_t stream) {
    const uint32_t rows = (m->dim + ROWS - 1) / ROWS, threads = THREADS;
    NSAMP_LAUNCH(add_rows, dim3((uint32_t)m->tiles, rows < 64 ? rows : 64), threads, 0, stream, *m, half, x);
    if (m->rows > m->dim)
        NSAMP_LAUNCH(add_totals, (uint32_t)((m->tiles * L + THREADS - 1) / THREADS), threads, 0, stream, *m,
                     half, x);
    if (m->products) {
        if (m->dim <= SIDE)
            launch_products<1>(m, half, x, stream);
        else if (m->dim <= 2 * SIDE)
            launch_products<2>(m, half, x, stream);
        else
            launch_products<4>(m, half, x, stream);
    }
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_moments_clear(const nsamp_cuda_moments *m, cudaStream_t stream) {
    const uint64_t blocks = (m->tiles * m->dim * L + THREADS - 1) / THREADS;
    cudaError_t error = cudaMemsetAsync(m->sums, 0, m->tiles * L * 4 * m->rows * sizeof *m->sums, stream);
    if (!error && m->products)
        error = cudaMemsetAsync(m->products, 0, m->groups * m->dim * m->dim * sizeof *m->products, stream);
    if (error) return error;
    NSAMP_LAUNCH(clear_extremes, (uint32_t)(blocks < 4096 ? blocks : 4096), (uint32_t)THREADS, 0, stream, *m);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_image(void) {
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, add_rows);
}
