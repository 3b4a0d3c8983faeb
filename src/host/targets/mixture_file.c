/* mixture_file.c: the components of a mixture from a text file; the layout is in builders.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "targets/builders.h"
#include "targets/rows.h"

/* Row r of the file belongs to component r / (D + 1); its first row has one number more. */
static nsamp_status check_shape(const char *path, const nsamp_rows *rows, size_t D, nsamp_error *err) {
    for (size_t r = 0; r < rows->count; r++) {
        const size_t count = rows->first[r + 1] - rows->first[r], valid = r % (D + 1) ? D : D + 1;
        if (count != valid)
            return nsamp_fail(err, NSAMP_EUSAGE,
                              "%s:%zu: %zu numbers; valid: %zu, %s of a component of dimension %zu", path,
                              rows->line[r], count, valid,
                              r % (D + 1) ? "a row of the covariance" : "weight and mean", D);
    }
    if (rows->count % (D + 1))
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: %zu rows; valid: a multiple of %zu for dimension %zu", path,
                          rows->count, D + 1, D);
    return NSAMP_OK;
}

static nsamp_status fill(const nsamp_job *job, const nsamp_rows *rows, nsamp_target *t, nsamp_error *err) {
    const size_t D = t->dim, K = t->components;
    t->weights = malloc(K * sizeof *t->weights);
    t->means = malloc(K * D * sizeof *t->means);
    t->covs = malloc(K * D * D * sizeof *t->covs);
    t->chols = malloc(K * D * D * sizeof *t->chols);
    if (!t->weights || !t->means || !t->covs || !t->chols)
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu components of dimension %zu", K, D);
    for (size_t k = 0; k < K; k++) {
        const double *v = rows->value + rows->first[k * (D + 1)];
        char what[64];
        snprintf(what, sizeof what, "the covariance of component %zu", k + 1);
        t->weights[k] = v[0];
        memcpy(t->means + k * D, v + 1, D * sizeof *v);
        memcpy(t->covs + k * D * D, v + 1 + D, D * D * sizeof *v);
        nsamp_status status =
            nsamp_target_factor(job, what, D, t->covs + k * D * D, t->chols + k * D * D, err);
        if (status) return status;
    }
    return NSAMP_OK;
}

/* builtin:pair, two unequal components in two dimensions: a mixture of full covariances for checks, without a file. */
static nsamp_status make_pair(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static double value[] = {0.3, -1, 0.5, 1, 0.4, 0.4, 0.8, 0.7, 1, -0.4, 0.5, -0.2, -0.2, 0.9};
    static size_t first[] = {0, 3, 5, 7, 10, 12, 14}, line[] = {1, 2, 3, 4, 5, 6};
    const nsamp_rows rows = {.value = value, .first = first, .line = line, .count = 6};
    t->dim = 2;
    t->components = 2;
    const nsamp_status status = nsamp_target_check_dim(job, "builtin:pair", 2, err);
    return status ? status : fill(job, &rows, t, err);
}

nsamp_status nsamp_target_read_mixture(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_key others[] = {NSAMP_KEY_target_weights, NSAMP_KEY_target_means,
                                       NSAMP_KEY_target_sds};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (nsamp_job_is_set(job, others[i]))
            return nsamp_job_fail(job, others[i], err,
                                  "target.file is set too; valid: the file, or weights, means and sds");
    if (!strcmp(nsamp_job_text(job, NSAMP_KEY_target_file), "builtin:pair")) return make_pair(job, t, err);
    const char *path;
    nsamp_rows rows = {0};
    nsamp_status status = nsamp_job_input(job, NSAMP_KEY_target_file, &path, err);
    if (!status) status = nsamp_rows_read(path, &rows, err);
    if (!status) {
        t->dim = rows.first[1] - 1;
        if (t->dim < 1 || t->dim > NSAMP_TARGET_DENSE_MAX)
            status = nsamp_fail(err, NSAMP_EUSAGE,
                                "%s:%zu: %zu numbers; valid: a weight and a mean of 1 to %d numbers", path,
                                rows.line[0], rows.first[1], NSAMP_TARGET_DENSE_MAX);
    }
    if (!status) status = nsamp_target_check_dim(job, path, t->dim, err);
    if (!status) status = check_shape(path, &rows, t->dim, err);
    if (!status) {
        t->components = rows.count / (t->dim + 1);
        status = fill(job, &rows, t, err);
    }
    nsamp_rows_free(&rows);
    return status;
}
