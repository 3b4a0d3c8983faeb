/* target.c: from the name of a target in the job to its builder. */
#include "targets/target.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "targets/builders.h"

static const struct {
    const char *name;
    nsamp_target_builder *build;
} targets[] = {
    {"gaussian", nsamp_target_gaussian}, {"equicorrelated", nsamp_target_equicorrelated},
    {"mixture", nsamp_target_mixture},   {"laplace-copula", nsamp_target_laplace_copula},
    {"heart", nsamp_target_heart},       {"images", nsamp_target_images},
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
