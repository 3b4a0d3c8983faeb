/* series.h: statistics of stored draws x [chains][draws] of one coordinate: what the in-run accumulators
 * (moments.h) cannot give. Chains are independent, draws within a chain are not. */
#ifndef NSAMP_HOST_STATS_SERIES_H
#define NSAMP_HOST_STATS_SERIES_H

#include <stddef.h>
#include "stats/distances.h"

/* Excess kurtosis m4 / m2^2 - 3, both the estimate's leading bias and its standard error by a delete-a-block
 * jackknife over whole chains (blocks.h). NaN when there are too few draws or no spread. */
nsamp_estimate nsamp_excess_kurtosis(const double *x, size_t chains, size_t draws);

/* Integrated autocorrelation time 1 + 2 sum rho_k, in draws, by Geyer's initial monotone sequence on the
 * autocovariance averaged over chains, with the chains' common mean and variance [Geyer 1992; Vehtari et al.
 * 2021]. NaN when draws < 4, when there is no spread, or when the sum ends at 0 or below: too few draws
 * that alternate. means [chains]: room for work. */
double nsamp_series_tau(const double *x, size_t chains, size_t draws, double *means);

#endif
