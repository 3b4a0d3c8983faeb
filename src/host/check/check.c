/* check.c: runs the cases and gives the verdicts. What is compared with what; the jobs themselves are in
 * cases.def. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/identities.h"
#include "engine/plan.h"
#include "error.h"
#include "job/settings.h"

/* A case is a system and its settings, space-separated. */
typedef struct check_case {
    const char *system, *settings;
} check_case;

static const check_case cases[] = {
#define NSAMP_CASE(system, settings) {system, settings},
#include "check/cases.def"
#undef NSAMP_CASE
};
enum { CASES = sizeof cases / sizeof *cases };

static const double BUDGET = 1e-6;
/* Faults that a check must be able to see, as a share of the scale. Autocorrelation times come from the
 * spread of chain means, which C chains know to sqrt(2 / C) only. */
static const double MUST_SEE = 0.01, MUST_SEE_TAU = 0.1;

typedef struct comparison {
    const char *quantity;
    size_t entries;
    const double *value, *se, *expected, *scale; /* [entries]; scale NULL: |expected| */
    double must_see;
    double rounding; /* what float32 coefficients may move the value by, as a share of the scale (model.h) */
} comparison;

static nsamp_check_row *new_row(nsamp_check_report *report, const check_case *c, const char *quantity) {
    nsamp_check_row *rows = realloc(report->rows, (report->count + 1) * sizeof *rows);
    if (!rows) return NULL;
    report->rows = rows;
    nsamp_check_row *row = &rows[report->count++];
    memset(row, 0, sizeof *row);
    snprintf(row->system, sizeof row->system, "%s", c->system);
    snprintf(row->job, sizeof row->job, "%s", c->settings);
    snprintf(row->quantity, sizeof row->quantity, "%s", quantity);
    return row;
}

/* Keeps the entry with the largest |z| and the blindest se of all. A NaN anywhere is the largest z there is.
 */
static nsamp_status compare(nsamp_check_report *report, const check_case *c, const comparison *q) {
    nsamp_check_row *row = new_row(report, c, q->quantity);
    if (!row) return NSAMP_ENOMEM;
    row->entries = q->entries;
    row->must_see = q->must_see;
    row->rounding = q->rounding;
    for (size_t i = 0; i < q->entries; i++) {
        const double scale = q->scale ? q->scale[i] : fabs(q->expected[i]),
                     off = q->value[i] - q->expected[i],
                     beyond = copysign(fmax(fabs(off) - q->rounding * scale, 0), off),
                     sees = q->se[i] / scale;
        double z = isnan(off) ? INFINITY : beyond / q->se[i];
        if (!isfinite(z)) z = beyond == 0 && q->se[i] == 0 ? 0 : INFINITY;
        if (i == 0 || fabs(z) > fabs(row->z)) {
            row->z = z;
            row->value = q->value[i];
            row->expected = q->expected[i];
            row->se = q->se[i];
        }
        if (!(sees <= row->sees)) row->sees = sees;
    }
    return NSAMP_OK;
}

static nsamp_status compare_summary(nsamp_check_report *report, const check_case *c, const nsamp_law *law,
                                    const nsamp_summary *s) {
    const size_t D = s->dim;
    nsamp_status status = NSAMP_OK;
    double *sd = malloc(2 * D * sizeof *sd), *tau_se = sd ? sd + D : NULL;
    if (!sd) return NSAMP_ENOMEM;
    for (size_t i = 0; i < D; i++) {
        sd[i] = sqrt(s->exact_var ? s->exact_var[i] : s->var[i]);
        tau_se[i] = s->tau[i] *
                    sqrt(2.0 / ((double)(s->chains - s->diverged) - 1)); /* chi-squared of the chain means */
    }
    if (s->exact_mean)
        status = compare(
            report, c,
            &(comparison){"mean", D, s->mean, s->mean_se, s->exact_mean, sd, MUST_SEE, law->rounding.mean});
    if (!status && s->exact_var)
        status = compare(
            report, c,
            &(comparison){"variance", D, s->var, s->var_se, s->exact_var, NULL, MUST_SEE, law->rounding.var});
    if (!status && isfinite(s->exact_offdiag) && D > 1) {
        const double scale = s->exact_var ? s->exact_var[0] : s->var[0];
        status = compare(report, c,
                         &(comparison){"off-diagonal", 1, &s->offdiag, &s->offdiag_se, &s->exact_offdiag,
                                       &scale, MUST_SEE, law->rounding.cov});
    }
    if (!status && s->exact_cov && s->cov) {
        double *scale = malloc(D * D * sizeof *scale);
        if (!scale) status = NSAMP_ENOMEM;
        for (size_t i = 0; !status && i < D * D; i++)
            scale[i] = sd[i / D] * sd[i % D];
        if (!status)
            status = compare(report, c,
                             &(comparison){"covariance", D * D, s->cov, s->cov_se, s->exact_cov, scale,
                                           MUST_SEE, law->rounding.cov});
        free(scale);
    }
    if (!status && s->exact_tau)
        status = compare(report, c,
                         &(comparison){"autocorrelation time", D, s->tau, tau_se, s->exact_tau, NULL,
                                       MUST_SEE_TAU, law->rounding.tau});
    free(sd);
    return status;
}

static nsamp_status compare_identities(nsamp_check_report *report, const check_case *c,
                                       const nsamp_plan *plan, nsamp_error *err) {
    nsamp_identity list[NSAMP_IDENTITIES] = {{0}};
    nsamp_status status = nsamp_identities(plan, list, err);
    for (size_t k = 0; k < NSAMP_IDENTITIES && !status; k++)
        if (list[k].name)
            status = compare(report, c,
                             &(comparison){list[k].name, list[k].count, list[k].value, list[k].se,
                                           list[k].expected, list[k].scale, MUST_SEE, list[k].rounding});
    for (size_t k = 0; k < NSAMP_IDENTITIES; k++)
        free(list[k].value);
    return status;
}

static nsamp_status compare_statistics(nsamp_check_report *report, const check_case *c,
                                       const nsamp_statistic *list, size_t count) {
    nsamp_status status = NSAMP_OK;
    for (size_t k = 0; k < count && !status; k++)
        if (list[k].expected)
            status = compare(report, c,
                             &(comparison){list[k].name, list[k].count, list[k].value, list[k].se,
                                           list[k].expected, NULL, MUST_SEE, 0});
    return status;
}

/* Modes that not all cases have: with settings on top that a case is not made for there is nothing to check. run.math = fast is for
 * equicorrelated Langevin; bf16x3 for one kernel on a CPU; that kernel for bf16 is for the output level, its tiles multiples of 64. */
static bool has_mode(const nsamp_job *job) {
    const bool three = nsamp_job_is(job, NSAMP_KEY_run_precision, "bf16x3"),
               bf16 = nsamp_job_is(job, NSAMP_KEY_run_precision, "bf16"),
               fused = nsamp_job_is(job, NSAMP_KEY_run_path, "fused"),
               product = nsamp_job_is(job, NSAMP_KEY_run_path, "product");
    if (three && (nsamp_job_is(job, NSAMP_KEY_run_backend, "cuda") || product)) return false;
    if ((three || (bf16 && fused)) && nsamp_job_is(job, NSAMP_KEY_system_level, "reservoir")) return false;
    if ((three || (bf16 && !product)) && nsamp_job_int(job, NSAMP_KEY_run_tile) % 64) return false;
    return nsamp_job_is(job, NSAMP_KEY_run_math, "exact") ||
           (nsamp_job_is(job, NSAMP_KEY_system_name, "langevin") &&
            nsamp_job_is(job, NSAMP_KEY_target_name, "equicorrelated"));
}

static nsamp_status run_case(nsamp_check_report *report, const check_case *c, const char *const *settings,
                             size_t nsettings, const nsamp_check_fault *fault, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    nsamp_status status = job ? nsamp_job_set(job, "system.name", c->system, err) : NSAMP_ENOMEM;
    if (!status) status = nsamp_job_set_all(job, c->settings, err);
    for (size_t i = 0; i < nsettings && !status; i++)
        status = nsamp_job_set_all(job, settings[i], err);
    if (!status && !has_mode(job)) {
        nsamp_job_destroy(job);
        return NSAMP_OK;
    }
    if (!status) status = nsamp_plan_create(job, &plan, err);
    if (!status && fault) fault->alter(plan->model, fault->user);
    if (!status) status = nsamp_plan_run(plan, NULL, NULL, err);
    if (!status) {
        const size_t before = report->count;
        if (!nsamp_is_relaxation(plan))
            status = compare_summary(report, c, &plan->model->law, &plan->summary);
        if (!status) status = compare_statistics(report, c, plan->statistics, plan->nstatistics);
        if (!status) status = compare_identities(report, c, plan, err);
        if (!status && report->count == before)
            status = nsamp_fail(err, NSAMP_EINTERNAL, "the law gives nothing to compare");
        else if (!status)
            snprintf(report->rows[before].text, sizeof report->rows[before].text, "%s",
                     plan->model->law.source);
    }
    nsamp_plan_destroy(plan);
    nsamp_job_destroy(job);
    if (!status) return NSAMP_OK;
    nsamp_check_row *row = new_row(report, c, "run");
    if (!row) return NSAMP_ENOMEM;
    row->error = true;
    row->verdict = NSAMP_VERDICT_FAIL;
    snprintf(row->text, sizeof row->text, "%s", err && *err->text ? err->text : nsamp_status_text(status));
    return NSAMP_OK;
}

static bool wanted(const check_case *c, const char *const *systems, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(systems[i], c->system)) return true;
    return count == 0;
}

static nsamp_status known(const char *const *systems, size_t count, nsamp_error *err) {
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (size_t k = 0; k < CASES; k++)
            found = found || !strcmp(systems[i], cases[k].system);
        if (!found)
            return nsamp_fail(err, NSAMP_EUSAGE, "%s: no such system to check; nsamp list names them",
                              systems[i]);
    }
    return NSAMP_OK;
}

/* The threshold depends on how many numbers were compared, so verdicts come last. */
static void judge(nsamp_check_report *report) {
    size_t entries = 0;
    for (size_t i = 0; i < report->count; i++)
        entries += report->rows[i].entries;
    report->budget = BUDGET;
    report->threshold = nsamp_threshold(BUDGET, entries ? entries : 1, INFINITY);
    for (size_t i = 0; i < report->count; i++) {
        nsamp_check_row *row = &report->rows[i];
        row->sees = row->sees * report->threshold + row->rounding;
        if (!row->error)
            row->verdict = !(fabs(row->z) <= report->threshold) ? NSAMP_VERDICT_FAIL
                           : !(row->sees <= row->must_see)      ? NSAMP_VERDICT_BLIND
                                                                : NSAMP_VERDICT_PASS;
        report->failed += row->verdict != NSAMP_VERDICT_PASS;
    }
}

nsamp_status nsamp_check_run(const char *const *systems, size_t count, const char *const *settings,
                             size_t nsettings, nsamp_check_progress *progress, void *user,
                             nsamp_check_report *report, nsamp_error *err) {
    return nsamp_check_run_faulty(systems, count, settings, nsettings, NULL, progress, user, report, err);
}

nsamp_status nsamp_check_run_faulty(const char *const *systems, size_t count, const char *const *settings,
                                    size_t nsettings, const nsamp_check_fault *fault,
                                    nsamp_check_progress *progress, void *user, nsamp_check_report *report,
                                    nsamp_error *err) {
    memset(report, 0, sizeof *report);
    nsamp_status status = known(systems, count, err);
    for (size_t k = 0; k < CASES && !status; k++) {
        if (!wanted(&cases[k], systems, count)) continue;
        if (fault && !strstr(cases[k].settings, fault->only)) continue;
        if (progress && progress(cases[k].system, cases[k].settings, k, CASES, user))
            status = nsamp_fail(err, NSAMP_STOPPED, "stopped");
        else
            status = run_case(report, &cases[k], settings, nsettings, fault, err);
    }
    if (!status && !report->count)
        status = nsamp_fail(err, NSAMP_EUSAGE,
                            "none of these cases has what these settings ask for (run.math = fast: langevin "
                            "on an equicorrelated target; "
                            "run.precision = bf16x3: rsn on a CPU)");
    if (status) return status;
    judge(report);
    if (report->failed)
        return nsamp_fail(err, NSAMP_ECHECK, "%zu of %zu checks failed", report->failed, report->count);
    return NSAMP_OK;
}

void nsamp_check_report_free(nsamp_check_report *report) {
    free(report->rows);
    memset(report, 0, sizeof *report);
}
