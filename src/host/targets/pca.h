/* pca.h: principal components of a data set and the scaled coordinates that the samplers live in:
 * x = scale * components (p - mean), p a point of `pixels` numbers, x of m. Not here: where the points come
 * from (images.c). */
#ifndef NSAMP_HOST_TARGETS_PCA_H
#define NSAMP_HOST_TARGETS_PCA_H

#include "nsamp.h"

typedef struct nsamp_pca {
    size_t pixels, m, height, width;
    double *mean;       /* [pixels] */
    double *components; /* [m * pixels], orthonormal rows */
    double *variances;  /* [m], descending */
    double scale;       /* c: coordinates are c times the projection on the components */
} nsamp_pca;

/* Arrays zeroed, owned by the result. NULL: out of memory. */
nsamp_pca *nsamp_pca_create(size_t height, size_t width, size_t m);
nsamp_pca *nsamp_pca_copy(const nsamp_pca *pca);
void nsamp_pca_destroy(nsamp_pca *pca);

/* Fills mean, components, variances and scale = sqrt(m / sum of variances) from `count` >= 2 points. point(i,
 * p, user) writes point i to p [pixels], and may be called from several threads at once. Covariance with
 * divisor count - 1, eigenvectors by eigen.h, signs such that the entry of largest magnitude (the first of
 * equals) is positive. The threads share the points: the bits depend neither on their number nor on the
 * processor. NSAMP_EUSAGE: all points equal; NSAMP_ENOMEM. */
typedef void nsamp_point_fn(size_t i, double *p, const void *user);
nsamp_status nsamp_pca_fit(nsamp_pca *pca, size_t count, nsamp_point_fn *point, const void *user,
                           nsamp_error *err);

/* Coordinates of points first .. first + count - 1 -> x [count][m]. Threads as above. */
nsamp_status nsamp_pca_project(const nsamp_pca *pca, size_t first, size_t count, nsamp_point_fn *point,
                               const void *user, float *x, nsamp_error *err);
/* points = mean + components^T x / scale: x [count][m] -> points [count][pixels]. */
void nsamp_pca_inverse(const nsamp_pca *pca, size_t count, const float *x, float *points);

#endif
