/* diagnose.c: see diagnose.h. */
#include "stats/diagnose.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "stats/laws.h"

typedef struct findings {
    nsamp_finding *list;
    size_t count;
} findings;

__attribute__((format(printf, 4, 5))) static void find(findings *f, const char *name, bool bad,
                                                       const char *format, ...) {
    if (f->count == NSAMP_FINDINGS) return;
    nsamp_finding *one = &f->list[f->count++];
    va_list args;
    one->name = name;
    one->bad = bad;
    va_start(args, format);
    vsnprintf(one->text, sizeof one->text, format, args);
    va_end(args);
}

/* The entry with the largest sign * value; NaN entries count where no other does. */
static size_t extreme(const double *v, size_t n, double sign) {
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (!(sign * v[i] <= sign * v[at])) at = isnan(v[i]) ? at : i;
    return at;
}

static size_t largest_size(const double *v, size_t n) {
    size_t at = 0;
    for (size_t i = 1; i < n; i++)
        if (!isnan(v[i]) && !(fabs(v[i]) <= fabs(v[at]))) at = i;
    return at;
}

static void look_at_chains(findings *f, const nsamp_evidence *e) {
    if (e->diverged > 0)
        find(f, "diverged", true,
             "%.0f of %.0f chains diverged: the numbers are of the others, which are not a fair sample; a "
             "smaller "
             "system.dt keeps chains from it",
             e->diverged, e->chains);
    if (e->stuck > 0)
        find(f, "stuck", true,
             "%.0f of %.0f chains never moved: they only repeat where they began; more run.steps, or for "
             "mh-spiking "
             "another system.scale or system.geometry = natural",
             e->stuck, e->chains);
}

static void look_at_coordinates(findings *f, const nsamp_evidence *e) {
    size_t constant = 0, unknown = 0, first_constant = 0, first_unknown = 0;
    for (size_t i = e->dim; e->mean && i-- > 0;) {
        if (!isfinite(e->mean[i])) unknown++, first_unknown = i;
        if (e->var && e->var[i] == 0 && e->samples > 1) constant++, first_constant = i;
    }
    if (unknown)
        find(f, "unknown", true,
             "%zu of %zu coordinates have no mean (the first is x[%zu]): no chain is left", unknown, e->dim,
             first_unknown);
    if (constant && e->stuck < e->chains - e->diverged)
        find(f, "constant", true,
             "%zu of %zu coordinates never changed in any chain (the first is x[%zu]): they are not sampled",
             constant, e->dim, first_constant);
}

static void look_at_agreement(findings *f, const nsamp_evidence *e) {
    const double *const kinds[] = {e->rhat, e->rhat_nested};
    for (int k = 0; k < 2; k++) {
        const double *r = kinds[k];
        const size_t i = r ? extreme(r, e->dim, 1) : 0;
        if (r && r[i] > NSAMP_RHAT_MOST)
            find(f, k ? "rhat_nested" : "rhat", true,
                 "%sR-hat of x[%zu] is %.4f, above %g: %s differ by more than each varies, not of one law "
                 "yet or too short "
                 "to tell; more run.steps, a longer run.burn_in",
                 k ? "nested " : "", i, r[i], NSAMP_RHAT_MOST, k ? "superchains" : "chains");
    }
}

static void look_at_drift(findings *f, const nsamp_evidence *e) {
    const double *const kinds[] = {e->drift_mean, e->drift_var};
    if (!(e->drift_units > 2)) return;
    const double most = nsamp_threshold(NSAMP_DRIFT_BUDGET, 2 * e->dim, e->drift_units - 1);
    for (int k = 0; k < 2; k++) {
        const double *t = kinds[k];
        const size_t i = t ? largest_size(t, e->dim) : 0;
        if (t && fabs(t[i]) > most)
            find(f, k ? "drift_var" : "drift_mean", true,
                 "the %s of x[%zu] differs between the first and the second half of the run (t %.1f, beyond "
                 "%.1f): the "
                 "run has not forgotten its start, and standard errors do not know; a longer run.burn_in",
                 k ? "variance" : "mean", i, t[i], most);
    }
}

static void look_at_size(findings *f, const nsamp_evidence *e) {
    const size_t i = e->ess ? extreme(e->ess, e->dim, -1) : 0;
    if (e->ess && e->ess[i] < NSAMP_ESS_LEAST)
        find(f, "ess", true,
             "effective sample size of x[%zu] is %.3g, below %g: errors are as of so few independent draws; "
             "more "
             "run.chains or run.steps",
             i, e->ess[i], NSAMP_ESS_LEAST);
    const double span = e->samples * e->every;
    const size_t k = e->tau ? extreme(e->tau, e->dim, 1) : 0;
    if (e->tau && e->tau[k] > NSAMP_TAU_SHARE * span && e->samples > 1)
        find(f, "tau", true,
             "autocorrelation time of x[%zu] is %.3g of the %.3g steps that were sampled: a chain sees "
             "hardly more than "
             "where it began; more run.steps",
             k, e->tau[k], span);
    if (e->chains - e->diverged < NSAMP_CHAINS_LEAST)
        find(f, "few_chains", true,
             "%.0f chains are few: standard errors come from their halves and are rough; run.chains = %.0f "
             "or more",
             e->chains - e->diverged, NSAMP_CHAINS_LEAST);
}

size_t nsamp_diagnose(const nsamp_evidence *e, nsamp_finding *list) {
    findings f = {list, 0};
    look_at_chains(&f, e);
    look_at_coordinates(&f, e);
    look_at_agreement(&f, e);
    look_at_drift(&f, e);
    look_at_size(&f, e);
    if (e->cold_start)
        find(&f, "cold_start", false,
             "chains do not start from the target and run.burn_in is 0: the way there is in all numbers; "
             "run.burn_in "
             "leaves it out");
    return f.count;
}

bool nsamp_any_bad(const nsamp_finding *list, size_t count) {
    bool bad = false;
    for (size_t i = 0; i < count; i++)
        bad = bad || list[i].bad;
    return bad;
}

void nsamp_all_is_well(const nsamp_evidence *e, char *text, size_t size) {
    double t = 0;
    for (size_t i = 0; i < e->dim; i++) {
        if (e->drift_mean && isfinite(e->drift_mean[i])) t = fmax(t, fabs(e->drift_mean[i]));
        if (e->drift_var && isfinite(e->drift_var[i])) t = fmax(t, fabs(e->drift_var[i]));
    }
    const int used = snprintf(text, size, "converged, as far as can be seen:");
    int more = 0;
    if (e->rhat && used > 0)
        more = snprintf(text + used, size - (size_t)used, " R-hat up to %.4f,",
                        e->rhat[extreme(e->rhat, e->dim, 1)]);
    snprintf(text + used + more, size - (size_t)(used + more),
             " ESS at least %.4g, no drift between halves (|t| up to %.1f), every chain moved",
             e->ess ? e->ess[extreme(e->ess, e->dim, -1)] : NAN, t);
}

nsamp_evidence nsamp_evidence_of(const nsamp_summary *s) {
    return (nsamp_evidence){.dim = s->dim,
                            .chains = (double)s->chains,
                            .diverged = (double)s->diverged,
                            .stuck = (double)s->stuck,
                            .steps = (double)s->steps,
                            .samples = (double)s->samples_per_chain,
                            .every = (double)s->accumulate_every,
                            .mean = s->mean,
                            .var = s->var,
                            .rhat = s->rhat,
                            .rhat_nested = s->rhat_nested,
                            .ess = s->ess,
                            .tau = s->tau,
                            .drift_mean = s->drift_mean,
                            .drift_var = s->drift_var,
                            .drift_units = s->drift_units,
                            .cold_start = s->cold_start != 0};
}
