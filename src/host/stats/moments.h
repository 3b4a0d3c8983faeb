/* moments.h: what a run accumulates, in memory that does not grow with the steps.
 *
 * For each chain and dimension, sums of x and x^2 over the first and the second half of the samples (double): from these
 * come mean, variance, split and nested R-hat, the variance of chain means (so standard errors, ESS and the integrated
 * autocorrelation time, with whole chains as batches). For groups of chains, sums of products up to record.cov_dim. For all,
 * minimum and maximum. Groups are fixed ranges of chains, so no result depends on threads, tiles or ranks. */
#ifndef NSAMP_HOST_STATS_MOMENTS_H
#define NSAMP_HOST_STATS_MOMENTS_H

#include <stdbool.h>
#include "nsamp.h"

typedef struct nsamp_moments {
    uint64_t chains, tiles;
    uint32_t lanes;
    size_t dim;      /* D */
    size_t rows;     /* D, or D + 1 with the sum over coordinates as the last row */
    bool full_cov;   /* products [groups][D * D] */
    uint64_t every, burn_in, half_step; /* samples after steps t + 1 > half_step go to the second half */
    uint64_t count[2];                  /* samples so far in each half */
    double *sums;    /* [tiles][2 halves][2 powers][rows][lanes] */
    double *products; /* [groups][D * D], lower triangle; NULL */
    uint64_t groups, tiles_per_group;
    float *low, *high; /* [tiles][D][lanes] */
} nsamp_moments;

#endif
