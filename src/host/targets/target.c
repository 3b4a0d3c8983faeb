/* target.c: from the name of a target in the job to its builder; what all targets share. */
#include "targets/target.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "targets/builders.h"

static const struct {
    const char *name;
    nsamp_target_builder *build;
} targets[] = {
    {"equicorrelated", nsamp_target_equicorrelated},
    {"mixture", nsamp_target_mixture},
};

nsamp_status nsamp_target_create(const nsamp_job *job, nsamp_target **target, nsamp_error *err) {
    *target = NULL;
    const char *wanted = nsamp_job_text(job, NSAMP_KEY_target_name);
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
        if (strcmp(wanted, targets[i].name)) continue;
        nsamp_target *t = calloc(1, sizeof *t);
        if (!t) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
        t->name = targets[i].name;
        t->rho = t->variance = t->log_norm = NAN;
        nsamp_status status = targets[i].build(job, t, err);
        if (status)
            nsamp_target_destroy(t);
        else
            *target = t;
        return status;
    }
    return nsamp_job_fail(job, NSAMP_KEY_target_name, err, "not in this build");
}

void nsamp_target_destroy(nsamp_target *t) {
    if (!t) return;
    if (t->ops && t->ops->destroy) t->ops->destroy(t);
    free(t->mean);
    free(t->var);
    free(t->cov);
    free(t->chol);
    free(t->weights);
    free(t->means);
    free(t->covs);
    free(t->chols);
    free(t->sds);
    free(t);
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

size_t nsamp_cholesky(size_t n, const double *a, double *l, double *pivot) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            l[i * n + j] = j <= i ? a[i * n + j] : 0;
    const lapack_int failed = LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', (lapack_int)n, l, (lapack_int)n);
    if (failed <= 0) return 0;
    /* dpotrf leaves the reduced diagonal where it stopped */
    *pivot = l[(size_t)(failed - 1) * n + (size_t)(failed - 1)];
    return (size_t)failed;
}
