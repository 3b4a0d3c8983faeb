/* cuda_draws.h: what is asked of many draws of one number, on the device by Thrust. The same source also compiles with
 * Thrust's OpenMP backend and no GPU, which is how the tests hold it to stats/distances.h. Sums are in double; their order
 * is Thrust's, so results agree with the host's to rounding, not to the bit. */
#ifndef NSAMP_KERNELS_CUDA_DRAWS_H
#define NSAMP_KERNELS_CUDA_DRAWS_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* All arrays are host memory; 0 on success, 1 when the device or its memory fails (outputs are then NaN or zero). */

/* mean and unbiased variance of x [n]: one pass for each, n >= 2. */
int nsamp_draws_moments(size_t n, const float *x, double *mean, double *var);
/* Wasserstein-1 distance of two samples of the same size n >= 1: mean distance of the sorted draws. */
int nsamp_draws_w1(size_t n, const float *a, const float *b, double *w1);
/* Kolmogorov-Smirnov distance of two samples: largest difference of their distribution functions. */
int nsamp_draws_ks(size_t na, const float *a, size_t nb, const float *b, double *ks);
/* counts [bins] of x in `bins` equal intervals of [low, high); what lies outside is not counted. */
int nsamp_draws_histogram(size_t n, const float *x, double low, double high, size_t bins, size_t *counts);

#ifdef __cplusplus
}
#endif
#endif
