/* builders.h: one function a target, private to this folder: reads the job, checks it, fills a zeroed target.
 * On failure what was filled is freed by the caller. And what the targets share. */
#ifndef NSAMP_HOST_TARGETS_BUILDERS_H
#define NSAMP_HOST_TARGETS_BUILDERS_H

#include "targets/target.h"

typedef nsamp_status nsamp_target_builder(const nsamp_job *job, nsamp_target *target, nsamp_error *err);

nsamp_target_builder nsamp_target_gaussian, nsamp_target_equicorrelated, nsamp_target_mixture,
    nsamp_target_laplace_copula, nsamp_target_heart, nsamp_target_images;

/* Largest dimension of a target that stores D x D matrices. */
enum { NSAMP_TARGET_DENSE_MAX = 10000 };

/* target.mean -> t->mean [D]: one number for all coordinates, or D numbers. */
nsamp_status nsamp_target_mean(const nsamp_job *job, nsamp_target *t, nsamp_error *err);

/* NSAMP_EUSAGE when target.dim is set and is not dim, which `what` has. */
nsamp_status nsamp_target_check_dim(const nsamp_job *job, const char *what, size_t dim, nsamp_error *err);

/* cov [dim * dim] must be symmetric (to 1e-9 of the standard deviations; it is then made exactly so) and
 * positive definite; chol [dim * dim] <- its lower factor. NSAMP_EUSAGE on key target.file: `what`, and the
 * entries or the pivot that fail. */
nsamp_status nsamp_target_factor(const nsamp_job *job, const char *what, size_t dim, double *cov,
                                 double *chol, nsamp_error *err);

/* Mean [D] and covariance [D * D] from target.file, text (mean on the first line, then the rows of the
 * covariance) or netCDF (variables mean and cov, in the root or in group moments). malloc'ed into t->mean and
 * t->cov; sets t->dim. */
nsamp_status nsamp_target_read_gaussian(const nsamp_job *job, nsamp_target *t, nsamp_error *err);

/* Components of a mixture with full covariances from target.file, text: for each component a line with its
 * weight and its mean (1 + D numbers), then D lines, the rows of its covariance. Fills dim, components,
 * weights (as written), means, covs, chols. */
nsamp_status nsamp_target_read_mixture(const nsamp_job *job, nsamp_target *t, nsamp_error *err);

/* Allocates t->cov and t->chol [D * D] and fills them from the diagonal t->var. */
nsamp_status nsamp_target_diagonal(nsamp_target *t, nsamp_error *err);

/* D standard normals, from block `block` on, of draw number i -> z [D]. */
void nsamp_target_normals(nsamp_noise_key key, uint32_t purpose, uint64_t i, uint32_t block, size_t dim,
                          double *z);
/* Uniform in (0, 1) with 53 bits from two of the words of a block. */
double nsamp_target_uniform(uint32_t high, uint32_t low);

#endif
