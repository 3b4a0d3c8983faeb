/* target.h: a distribution to sample: log density, score, exact draws, moments. Double precision, one point
 * at a time: the host's reference. The float32 score that a kernel uses is in src/kernels/ and is tested
 * against this. */
#ifndef NSAMP_HOST_TARGET_H
#define NSAMP_HOST_TARGET_H

#include <stdbool.h>
#include "job/job.h"
#include "kernels/noise.h"

typedef struct nsamp_target nsamp_target;

typedef struct nsamp_target_ops {
    /* log p(x) up to a constant that log_norm gives; x [D]. NULL for data, which have no density */
    double (*log_density)(const nsamp_target *t, const double *x);
    /* grad log p(x) -> s [D]; NULL for data */
    void (*score)(const nsamp_target *t, const double *x, double *s);
    /* Exact draw number i (any 64-bit number) under the key -> x [D]: a pure function of (key, purpose, i).
     * Exact to the noise it is made of: 24-bit normals within +-6.6, uniforms of 52 bits (docs/noise.md). */
    void (*draw)(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x);
    void (*destroy)(nsamp_target *t);
} nsamp_target_ops;

struct nsamp_target {
    const nsamp_target_ops *ops;
    const char *name;
    size_t dim;
    bool gaussian;   /* equicorrelated (rho and variance) or with cov and chol */
    double log_norm; /* log of the integral of exp(log_density); 0 when log_density is normalised; NaN:
                        unknown */
    double *mean;    /* [D] or NULL where unknown */
    double *var;     /* [D] or NULL */
    double *cov;  /* [D * D] row-major, or NULL (equicorrelated: rho and variance; images: diagonal; mixtures
                     of  more than 2048 dimensions) */
    double *chol; /* [D * D] lower Cholesky factor of cov, or NULL */
    double rho, variance; /* equicorrelated (and isotropic gaussian: rho 0); otherwise NaN */
    double copula_rho;    /* laplace-copula; otherwise 0 */
    /* mixture of Gaussians: K components */
    size_t components;
    double *weights; /* [K] */
    double *means;   /* [K * D] */
    double *covs;    /* [K * D * D], or NULL when isotropic: then sds */
    double *chols;   /* [K * D * D] lower Cholesky factors, or NULL when isotropic */
    double *sds;     /* [K] */
    void *data;      /* the rest belongs to the target's own file */
};

/* Builds the target of the job. NSAMP_EUSAGE with the failing value (rho against dim, the failing pivot of a
 * covariance that is not positive definite...); NSAMP_EIO for files. */
nsamp_status nsamp_target_create(const nsamp_job *job, nsamp_target **target, nsamp_error *err);
void nsamp_target_destroy(nsamp_target *target);

#endif
