/* cuda_moments.cu: the accumulators of stats/moments.h on the device, with the bits of stats/moments.c: each
 * sum grows in the same order there and here, in double.
 *
 * Kernels of their own that follow the steps on the stream, and not a part of the step's kernel: a sample is
 * due once in many steps (the plan keeps accumulating to a small share of a run), sums need 40 bytes a
 * coordinate where the step needs 4, and so every system's kernel is spared the registers. The state is in
 * global memory between launches in any case. */
#include "kernels/cuda_kernels.h"

enum { L = NSAMP_CUDA_LANES, THREADS = 256, ROWS = THREADS / L };

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
    for (uint32_t i = 0; i < m.dim; i++)
        total += x[(tile * m.dim + i) * L + lane];
    double *const sum1 = m.sums + (tile * 2 + half) * 2 * m.rows * L + (size_t)m.dim * L + lane;
    sum1[0] += total;
    sum1[(size_t)m.rows * L] += total * total;
}

/* Lower triangle of x x^T summed over a group's chains in their order: a thread an entry. */
static __global__ void __launch_bounds__(THREADS)
    add_products(nsamp_cuda_moments m, uint32_t half, const float *x) {
    const uint64_t entry = (uint64_t)blockIdx.x * THREADS + threadIdx.x, i = entry / m.dim, j = entry % m.dim;
    if (i >= m.dim || j > i) return;
    const uint64_t first = blockIdx.y * m.group_chains;
    const uint64_t last = first + m.group_chains < m.chains ? first + m.group_chains : m.chains;
    double *const sum =
        m.products + (blockIdx.y * m.group_halves + (m.group_halves == 2 ? half : 0)) * m.dim * m.dim + entry;
    double s = *sum;
    for (uint64_t c = first; c < last; c++) {
        const float *const at = x + c / L * m.dim * L + c % L;
        s += (double)at[i * L] * (double)at[j * L];
    }
    *sum = s;
}

cudaError_t nsamp_cuda_moments_add(const nsamp_cuda_moments *m, uint32_t half, const float *x,
                                   cudaStream_t stream) {
    const uint32_t rows = (m->dim + ROWS - 1) / ROWS, threads = THREADS;
    NSAMP_LAUNCH(add_rows, dim3((uint32_t)m->tiles, rows < 64 ? rows : 64), threads, 0, stream, *m, half, x);
    if (m->rows > m->dim)
        NSAMP_LAUNCH(add_totals, (uint32_t)((m->tiles * L + THREADS - 1) / THREADS), threads, 0, stream, *m,
                     half, x);
    if (m->products) {
        const uint64_t entries = (uint64_t)m->dim * m->dim,
                       groups = (m->chains + m->group_chains - 1) / m->group_chains;
        NSAMP_LAUNCH(add_products, dim3((uint32_t)((entries + THREADS - 1) / THREADS), (uint32_t)groups),
                     threads, 0, stream, *m, half, x);
    }
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_image(void) {
    cudaFuncAttributes attributes;
    return cudaFuncGetAttributes(&attributes, add_rows);
}
