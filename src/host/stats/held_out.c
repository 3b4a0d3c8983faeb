/* held_out.c: Frechet distances to held-out images. The distance of two Gaussians itself is frechet.c. */
#include "stats/held_out.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "stats/distances.h"

nsamp_status nsamp_held_out_frechet(const nsamp_images *images, const float *x, size_t n, double *distance,
                                    double *floor, nsamp_error *err) {
    const size_t m = images->m, part = m + m * m;
    *distance = *floor = NAN;
    if (n <= m || images->held_out <= m || images->train <= m) return NSAMP_OK;
    double *const held_out = malloc(2 * part * sizeof *held_out), *const other =
                                                                      held_out ? held_out + part : NULL;
    if (!held_out) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the covariances of %zu components", m);
    nsamp_status status =
        nsamp_sample_moments(images->x_held_out, images->held_out, m, held_out, held_out + m, err);
    if (!status) status = nsamp_sample_moments(x, n, m, other, other + m, err);
    if (!status) status = nsamp_frechet(m, other, other + m, held_out, held_out + m, distance, err);
    if (!status) status = nsamp_sample_moments(images->x, images->train, m, other, other + m, err);
    if (!status) status = nsamp_frechet(m, other, other + m, held_out, held_out + m, floor, err);
    free(held_out);
    *distance /= images->pca->scale * images->pca->scale;
    *floor /= images->pca->scale * images->pca->scale;
    return status;
}
