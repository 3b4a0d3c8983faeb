/* summary.c: tables of what a run found. Numbers come from the library; here they are only averaged over
 * coordinates. */
#include "cli/summary.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { EACH = 4, CELL = 32 };

/* A quantity averaged over its entries (coordinates, neurons). bound: the entries' correlations are not known, and se is the
 * average of their errors, the most that it can be. */
typedef struct average {
    double value, se, exact;
    bool bound;
} average;

static average average_of(size_t n, const double *value, const double *se, const double *exact) {
    average a = {0.0, se ? 0.0 : NAN, exact ? 0.0 : NAN, true};
    for (size_t i = 0; i < n; i++) {
        a.value += value[i] / (double)n;
        if (se) a.se += se[i] / (double)n;
        if (exact) a.exact += exact[i] / (double)n;
    }
    return a;
}

static average mean_of(const nsamp_summary *s) {
    return (average){s->mean_average, s->mean_average_se,
                     average_of(s->dim, s->mean, NULL, s->exact_mean).exact, false};
}

static average variance_of(const nsamp_summary *s) {
    return (average){s->var_average, s->var_average_se, average_of(s->dim, s->var, NULL, s->exact_var).exact,
                     false};
}

void cli_number(double value, double se, char *text, size_t size) {
    if (!isfinite(value)) {
        snprintf(text, size, "-");
        return;
    }
    double decimals = isfinite(se) && se > 0.0 ? 1.0 - floor(log10(se)) : -1.0;
    if (decimals >= 0.0 && decimals <= 9.0 && fabs(value) < 1e7)
        snprintf(text, size, "%.*f", (int)decimals, value);
    else
        snprintf(text, size, "%.5g", value);
}

static void print_row(const char *name, double value, double se, double exact, bool bound) {
    char cells[4][CELL];
    double z = (value - exact) / se;
    cli_number(value, se, cells[0], CELL);
    cells[1][0] = cells[3][0] = bound ? '<' : ' ';
    cli_number(se, se, cells[1] + 1, CELL - 1);
    cli_number(exact, se, cells[2], CELL);
    /* An error that is an upper bound makes z a lower one. */
    if (isfinite(z))
        snprintf(cells[3], CELL, "%s%.2f", bound ? ">" : "", fabs(z));
    else
        snprintf(cells[3], CELL, "-");
    if (!isfinite(se)) snprintf(cells[1], CELL, "-");
    printf("%-36s %13s %13s %13s %8s\n", name, cells[0], cells[1], cells[2], cells[3]);
}

static void print_worst(const char *name, const char *entry, size_t n, const double *value, const double *se,
                        const double *exact) {
    size_t worst = 0;
    double most = -1.0;
    for (size_t i = 0; i < n; i++) {
        double z = fabs(value[i] - exact[i]) / se[i];
        if (z > most) {
            most = z;
            worst = i;
        }
    }
    if (most < 0.0) return;
    char label[96];
    snprintf(label, sizeof label, "%s, largest z of %zu: %s[%zu]", name, n, entry, worst);
    print_row(label, value[worst], se[worst], exact[worst], false);
}

static void print_quantity(const char *name, const char *entry, size_t n, const double *value,
                           const double *se, const double *exact, average a) {
    char label[96];
    if (n <= EACH) {
        for (size_t i = 0; i < n; i++) {
            snprintf(label, sizeof label, n == 1 ? "%s" : "%s %s[%zu]", name, entry, i);
            print_row(label, value[i], se ? se[i] : NAN, exact ? exact[i] : NAN, false);
        }
        return;
    }
    snprintf(label, sizeof label, "%s, average of %zu", name, n);
    print_row(label, a.value, a.se, a.exact, a.bound);
    if (se && exact) print_worst(name, entry, n, value, se, exact);
}

static double extreme(const double *x, size_t n, bool largest) {
    double e = x[0];
    for (size_t i = 1; i < n; i++)
        e = largest ? fmax(e, x[i]) : fmin(e, x[i]);
    return e;
}

static void print_diagnostics(const nsamp_summary *s) {
    char rhat[CELL], nested[CELL], ess[CELL];
    cli_number(extreme(s->rhat, s->dim, true), 1e-3, rhat, CELL);
    cli_number(extreme(s->rhat_nested, s->dim, true), 1e-3, nested, CELL);
    cli_number(extreme(s->ess, s->dim, false), NAN, ess, CELL);
    printf("\nR-hat %s, nested %s (largest of the coordinates)   ESS %s (smallest)\n", rhat, nested, ess);
    printf("%llu of %llu chains diverged", (unsigned long long)s->diverged, (unsigned long long)s->chains);
    if (s->diverged)
        printf(", first: chain %llu at step %llu", (unsigned long long)s->first_bad_chain,
               (unsigned long long)s->first_bad_step);
    printf("\n%llu chains x %llu steps in %.2f s: %.4g chain-steps/s\n", (unsigned long long)s->chains,
           (unsigned long long)s->steps, s->seconds, (double)s->chains * (double)s->steps / s->seconds);
}

void cli_print_summary(const nsamp_summary *s, const nsamp_statistic *stats, size_t count) {
    printf("%-36s %13s %13s %13s %8s\n", "", "value", "std. error", "exact", "|z|");
    print_quantity("mean", "x", s->dim, s->mean, s->mean_se, s->exact_mean, mean_of(s));
    print_quantity("variance", "x", s->dim, s->var, s->var_se, s->exact_var, variance_of(s));
    if (isfinite(s->offdiag))
        print_row("off-diagonal covariance", s->offdiag, s->offdiag_se, s->exact_offdiag, false);
    average tau = average_of(s->dim, s->tau, NULL, s->exact_tau);
    print_row("autocorrelation time, steps", tau.value, NAN, tau.exact, false);
    for (size_t i = 0; i < count; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s%s%s", stats[i].name, stats[i].unit[0] ? ", " : "", stats[i].unit);
        print_quantity(name, "", stats[i].count, stats[i].value, stats[i].se, stats[i].expected,
                       average_of(stats[i].count, stats[i].value, stats[i].se, stats[i].expected));
    }
    print_diagnostics(s);
}

/* ---- sweeps ---- */

/* The statistics that get a column: those of one entry where there are any, else the average of each. */
static bool has_column(const nsamp_statistic *stats, size_t count, size_t i) {
    bool any_single = false;
    for (size_t k = 0; k < count; k++)
        any_single |= stats[k].count == 1;
    return !any_single || stats[i].count == 1;
}

static int statistic_width(const nsamp_statistic *stat) {
    int width = (int)strnlen(stat->name, 24);
    return width < 12 ? 12 : width;
}

/* Width of the column of a swept key: its name, or room for a number. */
static int key_width(nsamp_key key) {
    const nsamp_option *o = &nsamp_options[key];
    int width = (int)(strlen(o->section) + 1 + strlen(o->key));
    return width < 12 ? 12 : width;
}

void cli_sweep_header(const nsamp_job *job, const nsamp_statistic *stats, size_t count) {
    nsamp_key keys[NSAMP_KEY_count];
    size_t n = nsamp_job_sweep_keys(job, keys);
    for (size_t i = 0; i < n; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s.%s", nsamp_options[keys[i]].section, nsamp_options[keys[i]].key);
        printf("%-*s ", key_width(keys[i]), name);
    }
    static const char *const names[] = {"mean", "variance", "off-diagonal"};
    for (int i = 0; i < 3; i++)
        printf(" %12s %9s %9s", names[i], "std.err.", "exact");
    for (size_t i = 0; i < count; i++)
        if (has_column(stats, count, i)) printf(" %*.24s", statistic_width(&stats[i]), stats[i].name);
    printf(" %9s %8s\n", "diverged", "seconds");
}

static void sweep_cells(average a) {
    char cells[3][CELL];
    cli_number(a.value, a.se, cells[0], CELL);
    cli_number(a.se, a.se, cells[1], CELL);
    cli_number(a.exact, a.se, cells[2], CELL);
    printf(" %12s %9s %9s", cells[0], cells[1], cells[2]);
}

void cli_sweep_row(const nsamp_job *job, const nsamp_job *point, const nsamp_summary *s,
                   const nsamp_statistic *stats, size_t count) {
    nsamp_key keys[NSAMP_KEY_count];
    size_t n = nsamp_job_sweep_keys(job, keys);
    for (size_t i = 0; i < n; i++)
        printf("%-*s ", key_width(keys[i]), nsamp_job_text(point, keys[i]));
    sweep_cells(mean_of(s));
    sweep_cells(variance_of(s));
    sweep_cells((average){s->offdiag, s->offdiag_se, s->exact_offdiag, false});
    for (size_t i = 0; i < count; i++) {
        if (!has_column(stats, count, i)) continue;
        char cell[CELL];
        average a = average_of(stats[i].count, stats[i].value, stats[i].se, NULL);
        cli_number(a.value, a.se, cell, CELL);
        printf(" %*s", statistic_width(&stats[i]), cell);
    }
    printf(" %9llu %8.2f\n", (unsigned long long)s->diverged, s->seconds);
    fflush(stdout);
}
