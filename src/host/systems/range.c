/* range.c: see range.h, which says what the limits are for. */
#include "systems/range.h"

#include <math.h>

#include "error.h"

/* Float32 is normal from 1.2e-38 to 3.4e38. Numbers a hundred millionth as large as the spread are kept, and
 * sums of a hundred million coordinates; where squares of distances are taken, half as many digits. */
static const double LEAST = 1e-30, MOST = 1e30, LEAST_SQUARED = 1e-18, MOST_SQUARED = 1e18;
static const double FAR = 1e10, FAR_COMPONENT = 3e5, FAR_DRAWS = 65536;

double nsamp_range_rounding(double x, double step_variance) {
    return 0x1p-46 * x * x / 12 / step_variance;
}

/* The key that a target's spread, or its place, comes from. */
static nsamp_key spread_key(const nsamp_job *job, const nsamp_target *t) {
    if (t->components) return t->covs ? NSAMP_KEY_target_file : NSAMP_KEY_target_sds;
    const char *file = nsamp_job_text(job, NSAMP_KEY_target_file);
    return isfinite(t->rho) || file[0] == 'b' ? NSAMP_KEY_target_variance : NSAMP_KEY_target_file;
}

static nsamp_key place_key(const nsamp_job *job, const nsamp_target *t) {
    const nsamp_key spread = spread_key(job, t);
    if (spread == NSAMP_KEY_target_file) return spread;
    return t->components ? NSAMP_KEY_target_means : NSAMP_KEY_target_mean;
}

nsamp_status nsamp_range_target(const nsamp_job *job, const nsamp_target *t, nsamp_error *err) {
    for (size_t i = 0; i < t->dim; i++) {
        const double sd = sqrt(t->var[i]);
        if (!(sd >= LEAST && sd <= MOST))
            return nsamp_job_fail(
                job, spread_key(job, t), err,
                "coordinate %zu has standard deviation %.3g, which float32 cannot hold; valid: "
                "%g to %g",
                i + 1, sd, LEAST, MOST);
        if (!(fabs(t->mean[i]) <= FAR * sd))
            return nsamp_job_fail(
                job, place_key(job, t), err,
                "coordinate %zu has mean %.3g and standard deviation %.3g, which is lost beside it; "
                "valid: means up to %g standard deviations from 0",
                i + 1, t->mean[i], sd, FAR);
    }
    return NSAMP_OK;
}

nsamp_status nsamp_range_factor(const nsamp_job *job, double h, double lambda, double factor,
                                nsamp_error *err) {
    const double pull = h / lambda, off = fabs((1 - factor) / pull - 1);
    if (off <= NSAMP_RANGE_ROUNDING) return NSAMP_OK;
    return nsamp_job_fail(
        job, NSAMP_KEY_system_dt, err,
        "a step moves a mode back by %.3g of its distance (the largest eigenvalue is %.3g), and "
        "float32 has that in 1 minus it to %.2g %% only; valid here: from %.3g",
        pull, lambda, 100 * off, 0x1p-25 / NSAMP_RANGE_ROUNDING * lambda);
}

/* Coordinate i of component k. */
static double component_sd(const nsamp_target *t, size_t k, size_t i) {
    const size_t D = t->dim;
    return t->covs ? sqrt(t->covs[(k * D + i) * D + i]) : t->sds[k];
}

nsamp_status nsamp_range_mixture(const nsamp_job *job, const nsamp_target *t, const double *offset, double h,
                                 bool natural, nsamp_error *err) {
    const size_t D = t->dim;
    const double least = t->covs ? LEAST : LEAST_SQUARED, most = t->covs ? MOST : MOST_SQUARED;
    double total = 0;
    for (size_t i = 0; i < D; i++)
        total += t->var[i];
    if (!(sqrt(total) <= most))
        return nsamp_job_fail(
            job, place_key(job, t), err,
            "the components lie %.3g from their mean, too far for squares in float32; valid: up to %g",
            sqrt(total), most);
    for (size_t n = 0; n < t->components * D; n++) {
        const size_t k = n / D, i = n % D;
        const double sd = component_sd(t, k, i), pivot = t->chols ? t->chols[n * D + i] : sd,
                     place = fabs(t->means[n] - (offset ? offset[i] : 0)), x = place + 2 * sd,
                     step = 2 * h * (natural ? t->var[i] : 1);
        if (!(pivot >= least && sd <= most))
            return nsamp_job_fail(
                job, spread_key(job, t), err,
                "component %zu has standard deviation %.3g, which the float32 of its score cannot "
                "hold; valid: %g to %g",
                k + 1, pivot, least, most);
        if (!(place <= FAR_COMPONENT * sd))
            return nsamp_job_fail(
                job, place_key(job, t), err,
                "component %zu lies %.3g from the mean of the mixture and has standard deviation "
                "%.3g, which float32 loses beside it; valid: up to %g standard deviations",
                k + 1, place, sd, FAR_COMPONENT);
        if (!(nsamp_range_rounding(x, step) <= NSAMP_RANGE_ROUNDING))
            return nsamp_job_fail(job, NSAMP_KEY_system_dt, err,
                                  "the noise of a step, %.3g, is too small beside the rounding of float32 at "
                                  "component %zu, %.3g from the mean of the mixture; valid here: from %.3g",
                                  sqrt(step), k + 1, x,
                                  h * nsamp_range_rounding(x, step) / NSAMP_RANGE_ROUNDING);
    }
    return NSAMP_OK;
}

nsamp_status nsamp_range_record(const nsamp_job *job, const nsamp_model *m, nsamp_error *err) {
    for (size_t i = 0; m->offset && i < m->dim; i++) {
        const double sd = sqrt(m->law.var ? m->law.var[i] : m->target->var[i]);
        if (fabs(m->offset[i]) <= FAR_DRAWS * sd) continue;
        return nsamp_job_fail(
            job, NSAMP_KEY_record_every, err,
            "stored draws are float32, which has steps of %.2g at the mean of coordinate %zu, %.6g, "
            "and its standard deviation is %.3g; valid: 0 (the moments keep all digits), or means "
            "up to %g standard deviations from 0",
            0x1p-23 * fabs(m->offset[i]), i + 1, m->offset[i], sd, FAR_DRAWS);
    }
    return NSAMP_OK;
}
