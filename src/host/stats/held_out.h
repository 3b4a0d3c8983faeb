/* held_out.h: distance of sampled images to images that the training did not see. */
#ifndef NSAMP_HOST_STATS_HELD_OUT_H
#define NSAMP_HOST_STATS_HELD_OUT_H

#include "targets/images.h"

/* Squared Frechet distances in the principal components, in the units of the normalised images (coordinates divided by
 * pca->scale): *distance of x [n][m] to the held-out images, *floor of the training images to them, which is what a sampler that
 * drew fresh images would show. Needs n and held_out above m, for covariances of full rank: otherwise both are NaN. */
nsamp_status nsamp_held_out_frechet(const nsamp_images *images, const float *x, size_t n, double *distance,
                                    double *floor, nsamp_error *err);

#endif
