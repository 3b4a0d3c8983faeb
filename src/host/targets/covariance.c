/* covariance.c: means, covariances and their factors, as the job gives them: checked. */
#include <math.h>
#include <stdlib.h>

#include "cholesky.h"
#include "error.h"
#include "targets/builders.h"

nsamp_status nsamp_target_check_dim(const nsamp_job *job, const char *what, size_t dim, nsamp_error *err) {
    if (!nsamp_job_is_set(job, NSAMP_KEY_target_dim)) return NSAMP_OK;
    if (nsamp_job_int(job, NSAMP_KEY_target_dim) == (int64_t)dim) return NSAMP_OK;
    return nsamp_job_fail(job, NSAMP_KEY_target_dim, err, "%s has dimension %zu; valid: %zu, or leave it out",
                          what, dim, dim);
}

nsamp_status nsamp_target_mean(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    size_t count;
    const double *mean = nsamp_job_reals(job, NSAMP_KEY_target_mean, &count);
    if (count != 1 && count != t->dim)
        return nsamp_job_fail(job, NSAMP_KEY_target_mean, err, "%zu numbers; valid: 1, or target.dim = %zu",
                              count, t->dim);
    t->mean = malloc(t->dim * sizeof *t->mean);
    if (!t->mean) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a mean of %zu numbers", t->dim);
    for (size_t i = 0; i < t->dim; i++)
        t->mean[i] = mean[count == 1 ? 0 : i];
    return NSAMP_OK;
}

nsamp_status nsamp_target_factor(const nsamp_job *job, const char *what, size_t dim, double *cov,
                                 double *chol, nsamp_error *err) {
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j < i; j++) {
            double *a = &cov[i * dim + j], *b = &cov[j * dim + i];
            const double scale = sqrt(fabs(cov[i * dim + i]) * fabs(cov[j * dim + j]));
            if (!(fabs(*a - *b) <= 1e-9 * scale))
                return nsamp_job_fail(job, NSAMP_KEY_target_file, err,
                                      "%s is not symmetric: entry (%zu, %zu) is %.9g and (%zu, %zu) is %.9g",
                                      what, i + 1, j + 1, *a, j + 1, i + 1, *b);
            *a = *b = (*a + *b) / 2;
        }
    double pivot = 0;
    const size_t failed = nsamp_cholesky(dim, cov, chol, &pivot);
    if (!failed) return NSAMP_OK;
    return nsamp_job_fail(job, NSAMP_KEY_target_file, err,
                          "%s is not positive definite: pivot %zu of %zu is %.6g", what, failed, dim, pivot);
}

nsamp_status nsamp_target_diagonal(nsamp_target *t, nsamp_error *err) {
    const size_t D = t->dim;
    t->cov = calloc(D * D, sizeof *t->cov);
    t->chol = calloc(D * D, sizeof *t->chol);
    if (!t->cov || !t->chol) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    for (size_t i = 0; i < D; i++) {
        t->cov[i * D + i] = t->var[i];
        t->chol[i * D + i] = sqrt(t->var[i]);
    }
    return NSAMP_OK;
}
