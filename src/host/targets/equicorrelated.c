/* equicorrelated.c: N(mu, v [(1 - rho) I + rho 1 1^T]), everything in O(D). Eigenvalues: v (1 + (D-1) rho)
 * along the mean direction, v (1 - rho) across it. */
#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "targets/builders.h"

static double along(const nsamp_target *t) {
    return t->variance * (1 + ((double)t->dim - 1) * t->rho);
}

static double across(const nsamp_target *t) {
    return t->variance * (1 - t->rho);
}

/* Sum of the deviations over coordinates. */
static double deviation_sum(const nsamp_target *t, const double *x) {
    double s = 0;
    for (size_t i = 0; i < t->dim; i++)
        s += x[i] - t->mean[i];
    return s;
}

static double log_density(const nsamp_target *t, const double *x) {
    const double D = (double)t->dim, m = deviation_sum(t, x) / D;
    double square = 0;
    for (size_t i = 0; i < t->dim; i++) {
        const double r = x[i] - t->mean[i] - m;
        square += r * r;
    }
    return -0.5 * (square / across(t) + D * m * m / along(t) + D * log(2 * acos(-1.0)) +
                   (D - 1) * log(across(t)) + log(along(t)));
}

static void score(const nsamp_target *t, const double *x, double *s) {
    const double m = deviation_sum(t, x) / (double)t->dim;
    for (size_t i = 0; i < t->dim; i++)
        s[i] = -(x[i] - t->mean[i] - m) / across(t) - m / along(t);
}

/* x = mu + a z + b sum(z), the symmetric square root of the covariance. */
static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    const double D = (double)t->dim, a = sqrt(across(t)), b = (sqrt(along(t)) - a) / D;
    double sum = 0;
    nsamp_target_normals(key, purpose, i, 0, t->dim, x);
    for (size_t d = 0; d < t->dim; d++)
        sum += x[d];
    for (size_t d = 0; d < t->dim; d++)
        x[d] = t->mean[d] + a * x[d] + b * sum;
}

nsamp_status nsamp_target_equicorrelated(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {log_density, score, draw, NULL};
    t->ops = &ops;
    t->gaussian = true;
    t->dim = (size_t)nsamp_job_int(job, NSAMP_KEY_target_dim);
    t->rho = nsamp_job_real(job, NSAMP_KEY_target_rho);
    t->variance = nsamp_job_real(job, NSAMP_KEY_target_variance);
    t->log_norm = 0;
    const double least = t->dim > 1 ? -1 / ((double)t->dim - 1) : -1;
    if (!(t->rho > least && t->rho < 1))
        return nsamp_job_fail(job, NSAMP_KEY_target_rho, err,
                              "not a covariance in dimension %zu; valid: above %.6g and below 1", t->dim,
                              least);
    nsamp_status status = nsamp_target_mean(job, t, err);
    if (status) return status;
    t->var = malloc(t->dim * sizeof *t->var);
    if (!t->var)
        return nsamp_fail(err, NSAMP_ENOMEM,
                          "out of memory for %zu variances (%zu bytes); a smaller target.dim needs less",
                          t->dim, t->dim * sizeof *t->var);
    for (size_t i = 0; i < t->dim; i++)
        t->var[i] = t->variance;
    return NSAMP_OK;
}
