/* model.c: from the name of a system in the job to its builder. The list is kernels/systems.def. */
#include "systems/model.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

typedef nsamp_status builder(const nsamp_job *job, nsamp_model *model, nsamp_error *err);

static const struct {
    const char *name; /* underscores for the hyphens of the job */
    builder *build;
} systems[] = {
#define NSAMP_SYSTEM(name) {#name, nsamp_build_##name},
#include "kernels/systems.def"
#undef NSAMP_SYSTEM
};

static bool same_name(const char *job, const char *system) {
    for (; *job && *system; job++, system++)
        if (*job != *system && !(*job == '-' && *system == '_')) return false;
    return *job == *system;
}

nsamp_status nsamp_model_create(const nsamp_job *job, nsamp_model **model, nsamp_error *err) {
    *model = NULL;
    const char *wanted = nsamp_job_text(job, NSAMP_KEY_system_name);
    for (size_t i = 0; i < sizeof systems / sizeof *systems; i++) {
        if (!same_name(wanted, systems[i].name)) continue;
        nsamp_model *m = calloc(1, sizeof *m);
        if (!m) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
        m->law.offdiag = NAN;
        nsamp_status status = systems[i].build(job, m, err);
        if (status)
            nsamp_model_destroy(m);
        else
            *model = m;
        return status;
    }
    return nsamp_job_fail(job, NSAMP_KEY_system_name, err, "not in this build");
}

/* Upper bounds, measured with the largest sizes (tests/test_memory.c): numbers of 8 bytes for each coordinate, for each pair of
 * coordinates, and for each entry of weights. */
static const double VECTORS = 20, MATRICES = 12, WEIGHTS = 6;

static bool is_built_in(const nsamp_job *job, nsamp_key file) {
    return !strncmp(nsamp_job_text(job, file), "builtin:", 8);
}

double nsamp_model_dim(const nsamp_job *job) {
    const char *target = nsamp_job_text(job, NSAMP_KEY_target_name);
    bool known =
        !strcmp(target, "equicorrelated") || !strcmp(target, "mixture") || !strcmp(target, "gaussian");
    known =
        known && (!*nsamp_job_text(job, NSAMP_KEY_target_file) || is_built_in(job, NSAMP_KEY_target_file));
    if (nsamp_job_is(job, NSAMP_KEY_system_name, "rsn")) known = is_built_in(job, NSAMP_KEY_system_model);
    return known ? (double)nsamp_job_int(job, NSAMP_KEY_target_dim) : 0;
}

double nsamp_model_bytes(const nsamp_job *job) {
    const double D = nsamp_model_dim(job), n = (double)nsamp_job_int(job, NSAMP_KEY_train_hidden),
                 number = sizeof(double);
    const char *target = nsamp_job_text(job, NSAMP_KEY_target_name);
    if (nsamp_job_is(job, NSAMP_KEY_system_name, "rsn"))
        return D > 0 ? number * (WEIGHTS * D * n + VECTORS * (D + n) + MATRICES * D * fmin(n, 2048)) : 0;
    double bytes = VECTORS * D;
    if (!strcmp(target, "gaussian")) bytes += MATRICES * D * D;
    if (!strcmp(target, "mixture")) {
        size_t components;
        nsamp_job_reals(job, NSAMP_KEY_target_weights, &components);
        bytes += D * (2 * (double)components + 2 * fmin(D, 1024));
    }
    if (nsamp_job_is(job, NSAMP_KEY_system_name, "mh-spiking"))
        bytes += WEIGHTS * D * (double)nsamp_job_int(job, NSAMP_KEY_system_neurons) + MATRICES * D * D;
    return number * bytes;
}

nsamp_status nsamp_model_centre(nsamp_model *m, size_t dim, const double *mean, const double *var,
                                nsamp_error *err) {
    double *const offset = mean ? malloc(dim * sizeof *offset) : NULL;
    bool any = false;
    if (mean && !offset) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a mean of %zu numbers", dim);
    for (size_t i = 0; mean && i < dim; i++) {
        offset[i] = var && fabs(mean[i]) < 0x1p-40 * sqrt(var[i]) ? 0 : mean[i];
        any = any || offset[i] != 0;
    }
    if (any)
        m->offset = offset;
    else
        free(offset);
    return NSAMP_OK;
}

float nsamp_matrix_entry(double x) {
    return fabs(x) < (double)FLT_MIN ? 0.0f : (float)x;
}

void nsamp_factor_row(const double *from, size_t n, float *to) {
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(from[i]));
    for (size_t i = 0; i < n; i++)
        to[i] = fabs(from[i]) < 0x1p-64 * largest ? 0.0f : nsamp_matrix_entry(from[i]);
}

void nsamp_model_destroy(nsamp_model *m) {
    if (!m) return;
    if (m->destroy) m->destroy(m);
    nsamp_target_destroy(m->target);
    free(m->law.mean);
    free(m->law.var);
    free(m->law.cov);
    free(m->law.tau);
    free(m->law.mode_tau);
    free(m->law.mode_share);
    free(m->offset);
    free(m->params);
    free(m);
}

nsamp_mode_rounding nsamp_round_mode(double f, double df) {
    const double room = (1 - f) * (1 + f), var = (2 * fabs(f) * df + df * df) / room, tau = 2 * df / room;
    if (!(var < 1 && tau < 1)) return (nsamp_mode_rounding){INFINITY, INFINITY};
    return (nsamp_mode_rounding){(1 + var / (1 - var)) * (1 + 0x1p-23) - 1, tau / (1 - tau)};
}
