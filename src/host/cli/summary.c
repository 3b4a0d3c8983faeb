/* summary.c: tables of what a run found. Numbers come from the library; here they are only averaged over
 * coordinates. */
#include "cli/summary.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "stats/diagnose.h"

enum { EACH = 4, CELL = 32 };

/* A quantity averaged over its entries (coordinates, neurons). bound: the entries' correlations are not known, and se is the
 * average of their errors, the most that it can be. */
typedef struct average {
    double value, se, exact, target;
    bool bound;
} average;

/* What is known of the entries of a quantity, [n] each; NULL where nothing is. */
typedef struct known {
    const double *value, *se, *exact, *target;
} known;

static double average_over(size_t n, const double *v) {
    double sum = v ? 0.0 : NAN;
    for (size_t i = 0; v && i < n; i++)
        sum += v[i] / (double)n;
    return sum;
}

static average average_of(size_t n, const known *k) {
    return (average){average_over(n, k->value), average_over(n, k->se), average_over(n, k->exact),
                     average_over(n, k->target), true};
}

static known means(const nsamp_summary *s) {
    return (known){s->mean, s->mean_se, s->exact_mean, s->target_mean};
}

static known variances(const nsamp_summary *s) {
    return (known){s->var, s->var_se, s->exact_var, s->target_var};
}

static average mean_of(const nsamp_summary *s) {
    return (average){s->mean_average, s->mean_average_se, average_over(s->dim, s->exact_mean),
                     average_over(s->dim, s->target_mean), false};
}

static average variance_of(const nsamp_summary *s) {
    return (average){s->var_average, s->var_average_se, average_over(s->dim, s->exact_var),
                     average_over(s->dim, s->target_var), false};
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

/* |value - expected| over se: 0 or infinite where there is no error. */
static double z_of(double value, double se, double expected) {
    if (isnan(expected) || isnan(se)) return NAN;
    if (value == expected) return 0.0;
    return isnan(value) ? INFINITY : fabs(value - expected) / se;
}

/* An error that is an upper bound makes z a lower one. */
static void z_cell(double z, bool bound, char *text) {
    if (isnan(z))
        snprintf(text, CELL, "-");
    else if (isinf(z))
        snprintf(text, CELL, "inf");
    else
        snprintf(text, CELL, "%s%.2f", bound && z > 0 ? ">" : "", z);
}

static void print_row(const char *name, const average *a) {
    char cells[6][CELL];
    cli_number(a->value, a->se, cells[0], CELL);
    cells[1][0] = a->bound && a->se > 0 ? '<' : ' ';
    cli_number(a->se, a->se, cells[1] + 1, CELL - 1);
    if (!isfinite(a->se)) snprintf(cells[1], CELL, "-");
    const double expected[] = {a->exact, a->target};
    for (int k = 0; k < 2; k++) {
        cli_number(expected[k], a->se, cells[2 + 2 * k], CELL);
        z_cell(z_of(a->value, a->se, expected[k]), a->bound, cells[3 + 2 * k]);
    }
    printf("%-36s %12s %12s %12s %7s %12s %7s\n", name, cells[0], cells[1], cells[2], cells[3], cells[4],
           cells[5]);
}

static average entry_of(const known *k, size_t i) {
    return (average){k->value[i], k->se ? k->se[i] : NAN, k->exact ? k->exact[i] : NAN,
                     k->target ? k->target[i] : NAN, false};
}

/* The entry that is furthest from its exact value, or where none is known from the target's. */
static void print_worst(const char *name, const char *entry, size_t n, const known *k) {
    const double *expected = k->exact ? k->exact : k->target;
    size_t worst = 0;
    double most = -1.0;
    for (size_t i = 0; i < n; i++) {
        const double z = z_of(k->value[i], k->se[i], expected[i]);
        if (z > most) {
            most = z;
            worst = i;
        }
    }
    if (most < 0.0) return;
    char label[96];
    const average a = entry_of(k, worst);
    snprintf(label, sizeof label, "%s, largest z of %zu: %s[%zu]", name, n, entry, worst);
    print_row(label, &a);
}

static void print_quantity(const char *name, const char *entry, size_t n, const known *k, average a) {
    char label[96];
    if (n <= EACH) {
        for (size_t i = 0; i < n; i++) {
            const average one = entry_of(k, i);
            snprintf(label, sizeof label, n == 1 ? "%s" : "%s %s[%zu]", name, entry, i);
            print_row(label, &one);
        }
        return;
    }
    snprintf(label, sizeof label, "%s, average of %zu", name, n);
    print_row(label, &a);
    if (k->se && (k->exact || k->target)) print_worst(name, entry, n, k);
}

/* The largest (sign 1) or smallest (-1) number; NaN where there is none. */
static double extreme(const double *x, size_t n, double sign) {
    double e = NAN;
    for (size_t i = 0; x && i < n; i++)
        if (!isnan(x[i]) && !(sign * x[i] <= sign * e)) e = x[i];
    return e;
}

static void print_verdict(const nsamp_summary *s) {
    nsamp_finding list[NSAMP_FINDINGS];
    const nsamp_evidence evidence = nsamp_evidence_of(s);
    const size_t count = nsamp_diagnose(&evidence, list);
    char text[300];
    if (!nsamp_any_bad(list, count)) {
        nsamp_all_is_well(&evidence, text, sizeof text);
        printf("verdict: %s\n", text);
    }
    for (size_t i = 0; i < count; i++)
        printf("%s: %s\n", list[i].bad ? "verdict" : "note", list[i].text);
}

static void print_diagnostics(const nsamp_summary *s) {
    char rhat[CELL], nested[CELL], ess[CELL];
    cli_number(extreme(s->rhat, s->dim, 1), 1e-3, rhat, CELL);
    cli_number(extreme(s->rhat_nested, s->dim, 1), 1e-3, nested, CELL);
    cli_number(extreme(s->ess, s->dim, -1), NAN, ess, CELL);
    printf("\nR-hat %s%s%s (largest of the coordinates)   ESS %s (smallest)\n", rhat,
           s->rhat_nested ? ", nested " : "", s->rhat_nested ? nested : "", ess);
    printf("%llu of %llu chains diverged", (unsigned long long)s->diverged, (unsigned long long)s->chains);
    if (s->diverged)
        printf(", first: chain %llu at step %llu", (unsigned long long)s->first_bad_chain,
               (unsigned long long)s->first_bad_step);
    printf("\n%llu chains x %llu steps in %.2f s: %.4g chain-steps/s\n", (unsigned long long)s->chains,
           (unsigned long long)s->steps, s->seconds, (double)s->chains * (double)s->steps / s->seconds);
    print_verdict(s);
}

void cli_print_summary(const nsamp_summary *s, const nsamp_statistic *stats, size_t count) {
    const known mean = means(s), variance = variances(s), tau = {s->tau, NULL, s->exact_tau, NULL};
    printf("%-36s %12s %12s %12s %7s %12s %7s\n", "", "value", "std. error", "exact", "|z|", "target", "|z|");
    print_quantity("mean", "x", s->dim, &mean, mean_of(s));
    print_quantity("variance", "x", s->dim, &variance, variance_of(s));
    if (isfinite(s->offdiag)) {
        const average offdiag = {s->offdiag, s->offdiag_se, s->exact_offdiag, s->target_offdiag, false};
        print_row("off-diagonal covariance", &offdiag);
    }
    const average time = {average_over(s->dim, tau.value), NAN, average_over(s->dim, tau.exact), NAN, false};
    print_row("autocorrelation time, steps", &time);
    for (size_t i = 0; i < count; i++) {
        char name[80];
        const known k = {stats[i].value, stats[i].se, stats[i].expected, NULL};
        snprintf(name, sizeof name, "%s%s%s", stats[i].name, stats[i].unit[0] ? ", " : "", stats[i].unit);
        print_quantity(name, "", stats[i].count, &k, average_of(stats[i].count, &k));
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

/* Which columns a table has: those that its first point fills; all where points are of different kinds. */
typedef struct sweep_columns {
    bool exact, offdiag, exact_offdiag, files;
} sweep_columns;

static sweep_columns columns;

static bool is_known(const double *x, double mean) {
    return x && isfinite(mean);
}

static void choose_columns(const nsamp_job *job, const nsamp_summary *s) {
    nsamp_key keys[NSAMP_KEY_count];
    const size_t n = nsamp_job_sweep_keys(job, keys);
    bool kinds = false;
    for (size_t i = 0; i < n; i++)
        kinds |= keys[i] != NSAMP_KEY_system_geometry &&
                 (nsamp_options[keys[i]].type == NSAMP_CHOICE || nsamp_options[keys[i]].type == NSAMP_BOOL);
    columns.exact =
        kinds || is_known(s->exact_mean, mean_of(s).exact) || is_known(s->exact_var, variance_of(s).exact);
    columns.offdiag = kinds || isfinite(s->offdiag);
    columns.exact_offdiag = kinds || isfinite(s->exact_offdiag);
    columns.files = *nsamp_job_text(job, NSAMP_KEY_output_file) != 0;
}

void cli_sweep_header(const nsamp_job *job, const nsamp_summary *s, const nsamp_statistic *stats,
                      size_t count) {
    nsamp_key keys[NSAMP_KEY_count];
    size_t n = nsamp_job_sweep_keys(job, keys);
    choose_columns(job, s);
    for (size_t i = 0; i < n; i++) {
        char name[80];
        snprintf(name, sizeof name, "%s.%s", nsamp_options[keys[i]].section, nsamp_options[keys[i]].key);
        printf("%-*s ", key_width(keys[i]), name);
    }
    static const char *const names[] = {"mean", "variance", "offdiag"};
    for (int i = 0; i < (columns.offdiag ? 3 : 2); i++) {
        printf(" %10s %8s", names[i], "std.err.");
        if (i == 2 ? columns.exact_offdiag : columns.exact) printf(" %8s", "exact");
    }
    for (size_t i = 0; i < count; i++)
        if (has_column(stats, count, i)) printf(" %*.24s", statistic_width(&stats[i]), stats[i].name);
    printf(" %7s %7s %6s %8s %7s%s\n", "tau", "ESS", "R-hat", "diverged", "seconds",
           columns.files ? "  file" : "");
}

static void sweep_cells(average a, bool exact) {
    char cells[3][CELL];
    cli_number(a.value, a.se, cells[0], CELL);
    cli_number(a.se, a.se, cells[1], CELL);
    cli_number(a.exact, a.se, cells[2], CELL);
    printf(" %10s %8s", cells[0], cells[1]);
    if (exact) printf(" %8s", cells[2]);
}

/* tau as the average of the coordinates; the worst ESS and R-hat, as below the table of one run. */
static void sweep_diagnostics(const nsamp_summary *s) {
    const double worst = extreme(s->ess, s->dim, -1), time = average_over(s->dim, s->tau);
    char tau[CELL] = "-", ess[CELL] = "-", rhat[CELL];
    if (isfinite(time)) snprintf(tau, CELL, "%.4g", time);
    if (isfinite(worst)) snprintf(ess, CELL, worst < 1e7 ? "%.0f" : "%.3g", worst);
    cli_number(extreme(s->rhat, s->dim, 1), 1e-3, rhat, CELL);
    printf(" %7s %7s %6s", tau, ess, rhat);
}

void cli_sweep_row(const nsamp_job *job, const nsamp_job *point, const nsamp_summary *s,
                   const nsamp_statistic *stats, size_t count) {
    nsamp_key keys[NSAMP_KEY_count];
    size_t n = nsamp_job_sweep_keys(job, keys);
    for (size_t i = 0; i < n; i++)
        printf("%-*s ", key_width(keys[i]), nsamp_job_text(point, keys[i]));
    sweep_cells(mean_of(s), columns.exact);
    sweep_cells(variance_of(s), columns.exact);
    if (columns.offdiag)
        sweep_cells((average){s->offdiag, s->offdiag_se, s->exact_offdiag, NAN, false},
                    columns.exact_offdiag);
    for (size_t i = 0; i < count; i++) {
        if (!has_column(stats, count, i)) continue;
        char cell[CELL];
        const known k = {stats[i].value, stats[i].se, NULL, NULL};
        const average a = average_of(stats[i].count, &k);
        cli_number(a.value, a.se, cell, CELL);
        printf(" %*s", statistic_width(&stats[i]), cell);
    }
    sweep_diagnostics(s);
    printf(" %8llu %7.2f", (unsigned long long)s->diverged, s->seconds);
    if (columns.files) printf("  %s", nsamp_job_text(point, NSAMP_KEY_output_file));
    printf("\n");
    fflush(stdout);
}
