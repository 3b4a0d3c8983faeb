/* report.c: a result as a table and as JSON. */
#include "stats/report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/json.h"
#include "stats/compare.h"
#include "stats/diagnose.h"

static const char *const groups[] = {"moments", "statistics", "draws", "distances"};

/* ---- JSON ---- */

static json_t *json_row(const double *value, size_t count) {
    json_t *row = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(row, nsamp_json_number(value[i]));
    return row;
}

/* A number, a list, or a list of rows. */
static json_t *json_values(const nsamp_result_array *a) {
    if (a->rank == 0) return nsamp_json_number(a->value[0]);
    if (a->rank != 2 || !a->columns) return json_row(a->value, a->count);
    json_t *rows = json_array();
    for (size_t i = 0; i < a->count; i += a->columns)
        json_array_append_new(rows, json_row(a->value + i, a->columns));
    return rows;
}

/* The value of a key as what it is: number, list, truth value, text. */
static json_t *json_option(const nsamp_job *job, nsamp_key k) {
    size_t count = 0;
    const double *values;
    switch (nsamp_options[k].type) {
    case NSAMP_INT:
        return json_integer((json_int_t)nsamp_job_int(job, k));
    case NSAMP_REAL:
        return nsamp_json_number(nsamp_job_real(job, k));
    case NSAMP_BOOL:
        return json_boolean(nsamp_job_bool(job, k));
    case NSAMP_REALS:
        values = nsamp_job_reals(job, k, &count);
        return json_row(values, count);
    case NSAMP_TEXT:
    case NSAMP_CHOICE:
        break;
    }
    return nsamp_json_text(nsamp_job_text(job, k));
}

/* ---- the verdict ---- */

static const double *vector(const nsamp_result *r, const char *name) {
    const nsamp_result_array *a = nsamp_result_find(r, "moments", name);
    return a && a->count == r->dim ? a->value : NULL;
}

static nsamp_evidence evidence_of(const nsamp_result *r) {
    return (nsamp_evidence){.dim = r->dim,
                            .chains = nsamp_result_number(r, "moments", "chains"),
                            .diverged = nsamp_result_number(r, "moments", "diverged"),
                            .stuck = nsamp_result_number(r, "moments", "stuck"),
                            .steps = nsamp_result_number(r, "moments", "steps"),
                            .samples = nsamp_result_number(r, "moments", "samples_per_chain"),
                            .every = nsamp_result_number(r, "moments", "accumulate_every"),
                            .mean = vector(r, "mean"),
                            .var = vector(r, "var"),
                            .rhat = vector(r, "rhat"),
                            .rhat_nested = vector(r, "rhat_nested"),
                            .ess = vector(r, "ess"),
                            .tau = vector(r, "tau"),
                            .drift_mean = vector(r, "drift_mean"),
                            .drift_var = vector(r, "drift_var"),
                            .drift_units = nsamp_result_number(r, "moments", "drift_units"),
                            .cold_start = nsamp_result_number(r, "moments", "cold_start") == 1.0};
}

static size_t count_bad(const nsamp_result *r) {
    nsamp_finding list[NSAMP_FINDINGS];
    const nsamp_evidence evidence = evidence_of(r);
    const size_t count = nsamp_diagnose(&evidence, list);
    size_t bad = 0;
    for (size_t i = 0; i < count; i++)
        bad += list[i].bad;
    return bad;
}

static void write_verdict(FILE *out, const nsamp_result *r) {
    nsamp_finding list[NSAMP_FINDINGS];
    const nsamp_evidence evidence = evidence_of(r);
    const size_t count = nsamp_diagnose(&evidence, list);
    char text[300];
    fputc('\n', out);
    if (!nsamp_any_bad(list, count)) {
        nsamp_all_is_well(&evidence, text, sizeof text);
        fprintf(out, "verdict: %s\n", text);
    }
    for (size_t i = 0; i < count; i++)
        fprintf(out, "%s: %s\n", list[i].bad ? "verdict" : "note", list[i].text);
}

static json_t *json_findings(const nsamp_result *r) {
    nsamp_finding list[NSAMP_FINDINGS];
    const nsamp_evidence evidence = evidence_of(r);
    const size_t count = nsamp_diagnose(&evidence, list);
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *one = json_object();
        json_object_set_new(one, "name", nsamp_json_text(list[i].name));
        json_object_set_new(one, "bad", json_boolean(list[i].bad));
        json_object_set_new(one, "text", nsamp_json_text(list[i].text));
        json_array_append_new(all, one);
    }
    return all;
}

static bool write_json(FILE *out, const nsamp_result *r, const char *note) {
    json_t *root = json_object(), *job = json_object();
    json_object_set_new(root, "file", nsamp_json_text(r->path));
    json_object_set_new(root, "job", job);
    for (int k = 0; k < NSAMP_KEY_count; k++) {
        char key[128];
        snprintf(key, sizeof key, "%s.%s", nsamp_options[k].section, nsamp_options[k].key);
        json_object_set_new(job, key, json_option(r->job, (nsamp_key)k));
    }
    if (*r->source) json_object_set_new(root, "exact_source", nsamp_json_text(r->source));
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        json_t *group = json_object();
        for (size_t k = 0; k < r->count; k++)
            if (!strcmp(r->arrays[k].group, groups[g]))
                json_object_set_new(group, r->arrays[k].name, json_values(&r->arrays[k]));
        if (json_object_size(group))
            json_object_set_new(root, groups[g], group);
        else
            json_decref(group);
    }
    json_object_set_new(root, "findings", json_findings(r));
    if (*note) json_object_set_new(root, "note", nsamp_json_text(note));
    return nsamp_json_write(out, root);
}

/* ---- table ---- */

enum { ROWS = 10 }; /* coordinates or entries shown; the rest is summed up in one line */

/* A quantity and what is known of it: the law of the discretised dynamics, or where the file has none the target's value. */
typedef struct column {
    const char *name, *of; /* of: "exact" or "target" */
    const nsamp_result_array *value, *se, *exact;
} column;

static column find_column(const nsamp_result *r, const char *group, const char *name) {
    char other[160];
    column c = {.name = name, .value = nsamp_result_find(r, group, name)};
    snprintf(other, sizeof other, "%s_se", name);
    c.se = nsamp_result_find(r, group, other);
    snprintf(other, sizeof other, "%s_exact", name);
    c.exact = nsamp_result_find(r, group, other);
    c.of = "exact";
    if (c.exact) return c;
    snprintf(other, sizeof other, "%s_target", name);
    c.exact = nsamp_result_find(r, group, other);
    c.of = "target";
    return c;
}

static double at(const nsamp_result_array *a, size_t i) {
    return a && i < a->count ? a->value[i] : NAN;
}

/* Signed; 0 or infinite where there is no error, infinite where there is no value. */
static double z_score(const column *c, size_t i) {
    const double value = at(c->value, i), exact = at(c->exact, i), se = at(c->se, i);
    if (isnan(exact) || !c->se) return NAN;
    if (isnan(value)) return INFINITY;
    return value == exact ? 0.0 : (value - exact) / se;
}

/* Whether every entry has one exact value: then it stands below the table and not in each row. */
static bool one_exact(const column *c) {
    for (size_t i = 1; c->exact && i < c->exact->count; i++)
        if (!(c->exact->value[i] == c->exact->value[0])) return false;
    return c->exact && c->exact->count && isfinite(c->exact->value[0]);
}

/* "value +- se  exact  z" of one entry; what is not known keeps its width. */
static void entry(FILE *out, const column *c, size_t i) {
    const double value = at(c->value, i), se = at(c->se, i), exact = at(c->exact, i), z = z_score(c, i);
    if (isfinite(value))
        fprintf(out, "  %9.4g", value);
    else
        fprintf(out, "  %9s", "-");
    if (isfinite(se))
        fprintf(out, " +- %-7.2g", se);
    else
        fprintf(out, "%11s", "");
    if (c->exact && !one_exact(c)) {
        if (isfinite(exact))
            fprintf(out, " %9.4g", exact);
        else
            fprintf(out, "%10s", "");
    }
    if (!c->exact) return;
    if (isnan(z))
        fprintf(out, "%6s", "");
    else
        fprintf(out, " %5.1f", z);
}

/* The same in a column of this width. */
static void cell(FILE *out, int width, int digits, double value) {
    if (isnan(value))
        fprintf(out, " %*s", width, "-");
    else
        fprintf(out, " %*.*g", width, digits, value);
}

/* "%.*g", or "-" for what is not known. */
static void number(FILE *out, int digits, double value) {
    if (isnan(value))
        fputc('-', out);
    else
        fprintf(out, "%.*g", digits, value);
}

/* "value +- se (exact, z)" of a single number. */
static void single(FILE *out, const column *c) {
    fputc(' ', out);
    number(out, 5, at(c->value, 0));
    if (isfinite(at(c->se, 0))) fprintf(out, " +- %.2g", at(c->se, 0));
    if (isfinite(at(c->exact, 0))) fprintf(out, " (%s %.5g, z %.1f)", c->of, at(c->exact, 0), z_score(c, 0));
    fputc('\n', out);
}

static void header(FILE *out, const column *c) {
    fprintf(out, "  %9s%11s", c->name, "");
    if (c->exact && !one_exact(c)) fprintf(out, " %9s", c->of);
    if (c->exact) fprintf(out, " %5s", "z");
}

/* Largest |z| of a column and where. */
static void worst_z(FILE *out, const column *c) {
    double worst = -1.0;
    size_t where = 0;
    for (size_t i = 0; c->exact && c->value && i < c->value->count; i++)
        if (fabs(z_score(c, i)) > worst) {
            worst = fabs(z_score(c, i));
            where = i;
        }
    if (worst < 0.0) return;
    fprintf(out, "  largest |z| of %s: %.1f (entry %zu)", c->name, worst, where);
    if (one_exact(c))
        fprintf(out, "; %s: %.5g%s", c->of, c->exact->value[0], c->exact->count > 1 ? " in all" : "");
    fputc('\n', out);
}

static double extreme(const nsamp_result_array *a, double sign) {
    double most = NAN;
    for (size_t i = 0; a && i < a->count; i++)
        if (!isnan(a->value[i]) && !(sign * a->value[i] <= sign * most)) most = a->value[i];
    return most;
}

static void moments_table(FILE *out, const nsamp_result *r) {
    const column mean = find_column(r, "moments", "mean"), var = find_column(r, "moments", "var");
    const column tau = find_column(r, "moments", "tau");
    const nsamp_result_array *rhat = nsamp_result_find(r, "moments", "rhat"),
                             *ess = nsamp_result_find(r, "moments", "ess");
    const column *const columns[] = {&mean, &var, &tau};
    fprintf(out, "\n%5s", "dim");
    for (size_t k = 0; k < 3; k++)
        header(out, columns[k]);
    fprintf(out, " %7s %8s\n", "R-hat", "ESS");
    for (size_t i = 0; i < r->dim && i < ROWS; i++) {
        fprintf(out, "%5zu", i);
        for (size_t k = 0; k < 3; k++)
            entry(out, columns[k], i);
        cell(out, 7, 5, at(rhat, i));
        cell(out, 8, 3, at(ess, i));
        fputc('\n', out);
    }
    if (r->dim > ROWS) fprintf(out, "  ... and %zu more\n", r->dim - ROWS);
    for (size_t k = 0; k < 3; k++)
        worst_z(out, columns[k]);
    fputs("  largest R-hat ", out);
    number(out, 5, extreme(rhat, 1.0));
    const nsamp_result_array *nested = nsamp_result_find(r, "moments", "rhat_nested");
    if (nested) fputs(", nested ", out), number(out, 5, extreme(nested, 1.0));
    fputs("; smallest ESS ", out);
    number(out, 4, extreme(ess, -1.0));
    fputc('\n', out);
    const column offdiag = find_column(r, "moments", "offdiag");
    if (offdiag.value && isfinite(offdiag.value->value[0])) {
        fputs("  mean covariance of two coordinates:", out);
        single(out, &offdiag);
    }
    if (nsamp_result_number(r, "moments", "half_batches") == 1.0)
        fputs("  standard errors from half chains (fewer than 16 chains): too small unless tau is far below "
              "half a run\n",
              out);
    if (*r->source) fprintf(out, "  law: %s\n", r->source);
}

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && !strcmp(text + n - m, end);
}

static void statistics_table(FILE *out, const nsamp_result *r) {
    bool any = false;
    for (size_t k = 0; k < r->count; k++) {
        const nsamp_result_array *a = &r->arrays[k];
        if (strcmp(a->group, "statistics") != 0 || ends_with(a->name, "_se") ||
            ends_with(a->name, "_exact") || !a->rank || !a->count)
            continue;
        if (!any) fputs("\nstatistics of the system\n", out);
        any = true;
        const column c = find_column(r, "statistics", a->name);
        double sum = 0.0;
        for (size_t i = 0; i < a->count; i++)
            sum += a->value[i] / (double)a->count;
        fprintf(out, "  %s%s%s%s", a->name, *a->unit ? " (" : "", a->unit, *a->unit ? ")" : "");
        if (a->count == 1) {
            fputc(':', out);
            single(out, &c);
            continue;
        }
        fprintf(out, ": %zu entries, mean %.5g, %.5g to %.5g\n", a->count, sum, extreme(a, -1.0),
                extreme(a, 1.0));
        worst_z(out, &c);
    }
}

static void coordinates_line(FILE *out, const nsamp_result *r, const char *group, const char *name,
                             const char *title) {
    const column c = find_column(r, group, name);
    if (!c.value) return;
    fprintf(out, "  %s", title);
    for (size_t i = 0; i < c.value->count && i < 4; i++) {
        fputs(i ? ", " : " ", out);
        number(out, 4, c.value->value[i]);
        if (isfinite(at(c.se, i))) fprintf(out, " +- %.2g", at(c.se, i));
    }
    fputs(c.value->count > 4 ? ", ...\n" : "\n", out);
}

static void draws_table(FILE *out, const nsamp_result *r, const char *note) {
    if (!nsamp_result_find(r, "draws", "draws")) return;
    fprintf(out, "\nstored draws (%.0f of each of %.0f chains)\n", nsamp_result_number(r, "draws", "draws"),
            nsamp_result_number(r, "draws", "chains"));
    coordinates_line(out, r, "draws", "excess_kurtosis", "excess kurtosis");
    coordinates_line(out, r, "draws", "tau_steps", "autocorrelation time, steps");
    coordinates_line(out, r, "distances", "kl", "KL(draws || target), nats");
    coordinates_line(out, r, "distances", "ks", "Kolmogorov-Smirnov");
    coordinates_line(out, r, "distances", "w1", "Wasserstein-1 of the marginals");
    coordinates_line(out, r, "distances", "w1_floor", "  between exact draws, as many");
    coordinates_line(out, r, "distances", "frechet", "Frechet distance, squared");
    coordinates_line(out, r, "distances", "frechet_floor", "  between exact draws, as many");
    coordinates_line(out, r, "distances", "frechet_held_out", "Frechet distance to held-out images");
    coordinates_line(out, r, "distances", "frechet_held_out_floor",
                     "  of the training images, and so of a plain Gaussian with their mean and covariance");
    if (*note) fprintf(out, "  no distance to the target: %s\n", note);
}

static bool write_table(FILE *out, const nsamp_result *r, const char *note) {
    fprintf(out, "%s: %s on %s, dimension %zu\n", r->path, nsamp_job_text(r->job, NSAMP_KEY_system_name),
            nsamp_job_text(r->job, NSAMP_KEY_target_name), r->dim);
    fprintf(out, "%.0f chains, %.0f steps each, %.0f diverged", nsamp_result_number(r, "moments", "chains"),
            nsamp_result_number(r, "moments", "steps"), nsamp_result_number(r, "moments", "diverged"));
    if (nsamp_result_number(r, "moments", "diverged") > 0.0)
        fprintf(out, " (first: chain %.0f at step %.0f)",
                nsamp_result_number(r, "moments", "first_bad_chain"),
                nsamp_result_number(r, "moments", "first_bad_step"));
    fprintf(out, "; moments of %.0f samples a chain, every %.0f steps\n",
            nsamp_result_number(r, "moments", "samples_per_chain"),
            nsamp_result_number(r, "moments", "accumulate_every"));
    moments_table(out, r);
    statistics_table(out, r);
    draws_table(out, r, note);
    write_verdict(out, r);
    return !ferror(out);
}

nsamp_status nsamp_report(const char *path, bool json, char **text, size_t *bad, nsamp_error *err) {
    nsamp_result *r;
    nsamp_error why = {0};
    size_t length;
    *text = NULL;
    const nsamp_status status = nsamp_result_open(path, &r, err);
    if (status) return status;
    const nsamp_status compared = nsamp_compare(r, &why);
    FILE *out = compared == NSAMP_EINTERNAL ? NULL : open_memstream(text, &length);
    const bool written = out && (json ? write_json : write_table)(out, r, why.text);
    if (out) fclose(out);
    if (bad) *bad = count_bad(r);
    nsamp_result_close(r);
    if (written) return NSAMP_OK;
    free(*text);
    *text = NULL;
    if (compared == NSAMP_EINTERNAL) return nsamp_fail(err, compared, "%s", why.text);
    return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for the report", path);
}
