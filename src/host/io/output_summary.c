/* output_summary.c: see output_summary.h. */
#include "output_summary.h"

#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/provenance.h"

static long long step_or_none(uint64_t step) {
    return step == UINT64_MAX ? -1 : (long long)step;
}

/* Whether a chain had met a non-finite value at its draws, for one chain; in pieces, since a run may store 1e9 draws. */
static void write_diverged(nsamp_nc *w, int group, int var, size_t chain, const nsamp_recording *what,
                           uint64_t first_bad) {
    enum { PIECE = 1 << 16 };
    signed char row[PIECE];
    for (size_t begin = 0; begin < what->draws && !w->status; begin += PIECE) {
        const size_t n = what->draws - begin < PIECE ? (size_t)what->draws - begin : PIECE;
        const size_t start[2] = {chain, begin}, count[2] = {1, n};
        /* A draw counts the steps done before it; step number first_bad is the one that made first_bad + 1 of them. */
        for (size_t k = 0; k < n; k++)
            row[k] = first_bad < nsamp_recording_step(what, begin + k);
        nsamp_nc_note(w, nc_put_vara_schar(group, var, start, count, row), "diverged");
    }
}

void nsamp_output_sample_stats(nsamp_nc *w, const nsamp_recording *what, const uint64_t *first_bad) {
    const int g = nsamp_nc_group(w, "sample_stats");
    const size_t chains = (size_t)what->chains;
    nsamp_provenance_group(w, g);
    const int dims[2] = {
        nsamp_nc_axis(w, g, "chain", chains, 0, 1),
        nsamp_nc_axis(w, g, "draw", (size_t)what->draws, nsamp_recording_step(what, 0), what->every)};
    const int diverged = nsamp_nc_var(w, g, "diverged", NC_BYTE, 2, dims);
    nsamp_nc_text(w, g, diverged, "dtype", "bool"); /* so that xarray reads truth values */
    nsamp_nc_text(w, g, diverged, "long_name",
                  "the chain has met a non-finite value, at this draw or before");
    const int step = nsamp_nc_var(w, g, "first_bad_step", NC_INT64, 1, dims);
    nsamp_nc_text(w, g, step, "long_name", "first step with a non-finite value; -1: none");

    long long *at = malloc(chains * sizeof *at);
    if (!at) nsamp_nc_note(w, NC_ENOMEM, "sample_stats");
    for (size_t c = 0; c < chains && !w->status; c++) {
        at[c] = step_or_none(first_bad[c]);
        write_diverged(w, g, diverged, c, what, first_bad[c]);
    }
    if (!w->status) nsamp_nc_note(w, nc_put_var_longlong(g, step, at), "first_bad_step");
    free(at);
}

static void scalar(nsamp_nc *w, int group, const char *name, double value) {
    if (!isnan(value)) nsamp_nc_doubles(w, group, name, 0, NULL, &value);
}

void nsamp_output_moments(nsamp_nc *w, const nsamp_summary *s, const nsamp_law *law) {
    const int g = nsamp_nc_group(w, "moments");
    nsamp_provenance_group(w, g);
    const int dim = nsamp_nc_axis(w, g, "dim", s->dim, 0, 1);
    const struct {
        const char *name;
        const double *value;
    } vectors[] = {{"mean", s->mean},
                   {"mean_se", s->mean_se},
                   {"mean_exact", s->exact_mean},
                   {"mean_target", s->target_mean},
                   {"var", s->var},
                   {"var_se", s->var_se},
                   {"var_exact", s->exact_var},
                   {"var_target", s->target_var},
                   {"tau", s->tau},
                   {"tau_se", s->tau_se},
                   {"tau_exact", s->exact_tau},
                   {"rhat", s->rhat},
                   {"rhat_nested", s->rhat_nested},
                   {"ess", s->ess},
                   {"drift_mean", s->drift_mean},
                   {"drift_var", s->drift_var},
                   {"min", s->min},
                   {"max", s->max}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        nsamp_nc_doubles(w, g, vectors[i].name, 1, &dim, vectors[i].value);
    if (s->cov || s->exact_cov) {
        const int dims[2] = {dim, nsamp_nc_axis(w, g, "dim_other", s->dim, 0, 1)};
        nsamp_nc_doubles(w, g, "cov", 2, dims, s->cov);
        nsamp_nc_doubles(w, g, "cov_se", 2, dims, s->cov_se);
        nsamp_nc_doubles(w, g, "cov_exact", 2, dims, s->exact_cov);
    }
    scalar(w, g, "mean_average", s->mean_average);
    scalar(w, g, "mean_average_se", s->mean_average_se);
    scalar(w, g, "var_average", s->var_average);
    scalar(w, g, "var_average_se", s->var_average_se);
    scalar(w, g, "offdiag", s->offdiag);
    scalar(w, g, "offdiag_se", s->offdiag_se);
    scalar(w, g, "offdiag_exact", s->exact_offdiag);
    scalar(w, g, "offdiag_target", s->target_offdiag);
    nsamp_nc_int(w, g, NC_GLOBAL, "chains", (long long)s->chains);
    nsamp_nc_int(w, g, NC_GLOBAL, "diverged", (long long)s->diverged);
    nsamp_nc_int(w, g, NC_GLOBAL, "steps", (long long)s->steps);
    nsamp_nc_int(w, g, NC_GLOBAL, "samples_per_chain", (long long)s->samples_per_chain);
    nsamp_nc_int(w, g, NC_GLOBAL, "accumulate_every", (long long)s->accumulate_every);
    nsamp_nc_int(w, g, NC_GLOBAL, "half_batches", s->half_batches);
    nsamp_nc_int(w, g, NC_GLOBAL, "stuck", (long long)s->stuck);
    nsamp_nc_reals(w, g, NC_GLOBAL, "drift_units", 1, &s->drift_units);
    nsamp_nc_int(w, g, NC_GLOBAL, "cold_start", s->cold_start);
    nsamp_nc_int(w, g, NC_GLOBAL, "first_bad_chain", step_or_none(s->first_bad_chain));
    nsamp_nc_int(w, g, NC_GLOBAL, "first_bad_step", step_or_none(s->first_bad_step));
    nsamp_nc_reals(w, g, NC_GLOBAL, "seconds", 1, &s->seconds);
    if (law && *law->source) nsamp_nc_text(w, g, NC_GLOBAL, "exact_source", law->source);
}

void nsamp_output_statistics(nsamp_nc *w, const nsamp_statistic *stats, size_t count) {
    const int g = nsamp_nc_group(w, "statistics");
    nsamp_provenance_group(w, g);
    for (size_t i = 0; i < count; i++) {
        const nsamp_statistic *s = &stats[i];
        char name[80];
        snprintf(name, sizeof name, "%s_dim_0", s->name);
        const int dim = nsamp_nc_axis(w, g, name, s->count, 0, 1);
        const int var = nsamp_nc_doubles(w, g, s->name, 1, &dim, s->value);
        if (*s->unit && var >= 0) nsamp_nc_text(w, g, var, "units", s->unit);
        snprintf(name, sizeof name, "%s_se", s->name);
        nsamp_nc_doubles(w, g, name, 1, &dim, s->se);
        snprintf(name, sizeof name, "%s_exact", s->name);
        nsamp_nc_doubles(w, g, name, 1, &dim, s->expected);
    }
}
