/* pit.h: a density in one or two dimensions, tabulated, and the probability integral transform that it
 * defines: draws of the density become independent uniform numbers (in 2-D: Rosenblatt's transform, the first
 * coordinate's marginal, then the second given the first). For distances to a target, and for pictures of it.
 */
#ifndef NSAMP_HOST_STATS_PIT_H
#define NSAMP_HOST_STATS_PIT_H

#include "nsamp.h"

/* log p(x) up to a constant; x [dim] */
typedef double nsamp_log_density_fn(const void *context, const double *x);

/* The density is the piecewise (bi)linear function through the nodes: node k of axis a at low[a] + k step[a],
 * scaled so that it integrates to 1 over the box. What lies outside the box counts as lying on its edge. */
typedef struct nsamp_pit {
    size_t dim, nodes; /* nodes an axis: 8193 in 1-D, 1025 in 2-D */
    double low[2], high[2], step[2];
    double *density;    /* [nodes], or [nodes][nodes] with axis 1 fastest */
    double *marginal;   /* [nodes] integral of the density over axis 1; 1-D: density itself */
    double *cumulative; /* [nodes] of the marginal */
    double *rows;       /* 2-D [nodes][nodes] integral of each row of the density up to each node; NULL */
} nsamp_pit;

/* dim 1 or 2. NSAMP_EUSAGE if the box is empty or the density is zero or not finite on it; NSAMP_ENOMEM. */
nsamp_status nsamp_pit_create(size_t dim, const double *low, const double *high,
                              nsamp_log_density_fn *log_density, const void *context, nsamp_pit **pit,
                              nsamp_error *err);
void nsamp_pit_destroy(nsamp_pit *pit);

/* x [dim] -> u [dim] in [0, 1]; NaN where x is. */
void nsamp_pit_map(const nsamp_pit *pit, const double *x, double *u);
/* Marginal distribution function and density of axis 0. */
double nsamp_pit_cdf(const nsamp_pit *pit, double x);

#endif
