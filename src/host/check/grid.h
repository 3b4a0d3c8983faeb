/* grid.h: the stationary moments of the Euler scheme on a target in one or two dimensions, by a sum over a
 * grid. */
#ifndef NSAMP_HOST_CHECK_GRID_H
#define NSAMP_HOST_CHECK_GRID_H

#include "error.h"
#include "targets/target.h"

/* q <- q + h R^T s(R q) + sqrt(2h) z, x = R q, R the identity (naive) or the Cholesky factor of the
 * target's covariance (natural). mean [D], cov [D * D] <- those of x. The transition density of q is
 * summed over points 0.8 of a noise's deviation apart, an error below 1e-12 for a smooth density, and
 * applied until nothing changes. NSAMP_EUSAGE where the grid would have more than 3,000 points,
 * NSAMP_ENOMEM. */
nsamp_status nsamp_grid_moments(const nsamp_target *t, bool natural, double h, double *mean, double *cov,
                                nsamp_error *err);

#endif
