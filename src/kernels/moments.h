/* moments.h: the loops of the accumulators (host/stats/moments.h), compiled for each instruction set as the kernels of
 * kernel.h are. What the sums mean, and who owns them, is there; here is only how they grow. */
#ifndef NSAMP_KERNELS_MOMENTS_H
#define NSAMP_KERNELS_MOMENTS_H

#include "kernels/hd.h"

enum { NSAMP_MOMENTS_BLOCK = 16 }; /* chains */

typedef struct nsamp_moments_loops {
    /* x [D][stride] of `lanes` chains, a multiple of NSAMP_MOMENTS_BLOCK -> sum1, sum2 += x, x^2; low, high the extremes; all
     * [D][stride]. Adds each chain's coordinates, in their order, to total [lanes]. Row by row: one stream through memory. */
    void (*rows)(size_t dim, size_t stride, size_t lanes, const float *x, double *sum1, double *sum2,
                 float *low, float *high, double *total);
    /* acc [D][D], lower triangle, += x x^T of up to NSAMP_MOMENTS_BLOCK chains: each entry in the order of the chains. */
    void (*products)(size_t dim, size_t stride, size_t chains, const float *x, double *acc);
} nsamp_moments_loops;

/* As nsamp_cpu_kernels_* of kernel.h; all give the same bits. */
const nsamp_moments_loops *nsamp_moments_loops_base(void);
const nsamp_moments_loops *nsamp_moments_loops_v3(void);
const nsamp_moments_loops *nsamp_moments_loops_v4(void);

#endif
