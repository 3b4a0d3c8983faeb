/* gaussian.c: N(mu, Sigma) with mean and covariance from a file. */
#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "targets/builders.h"

/* w = L^-1 (x - mu), Sigma = L L^T */
static void whiten(const nsamp_target *t, const double *x, double *w) {
    const size_t D = t->dim;
    for (size_t i = 0; i < D; i++) {
        const double *row = t->chol + i * D;
        double s = x[i] - t->mean[i];
        for (size_t j = 0; j < i; j++)
            s -= row[j] * w[j];
        w[i] = s / row[i];
    }
}

static double log_density(const nsamp_target *t, const double *x) {
    const size_t D = t->dim;
    double w[NSAMP_TARGET_DENSE_MAX]; /* not allocated: a density has no way to say that memory is short */
    whiten(t, x, w);
    double square = 0, log_det = 0;
    for (size_t i = 0; i < D; i++) {
        square += w[i] * w[i];
        log_det += log(t->chol[i * D + i]);
    }
    return -0.5 * square - log_det - 0.5 * (double)D * log(2 * acos(-1.0));
}

/* -Sigma^-1 (x - mu) = -L^-T w */
static void score(const nsamp_target *t, const double *x, double *s) {
    const size_t D = t->dim;
    whiten(t, x, s);
    for (size_t i = D; i-- > 0;) {
        const double *row = t->chol + i * D;
        s[i] /= row[i];
        for (size_t j = 0; j < i; j++)
            s[j] -= row[j] * s[i];
    }
    for (size_t i = 0; i < D; i++)
        s[i] = -s[i];
}

/* x = mu + L z; from the last row up, so that it needs no room of its own. */
static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    const size_t D = t->dim;
    nsamp_target_normals(key, purpose, i, 0, D, x);
    for (size_t r = D; r-- > 0;) {
        const double *row = t->chol + r * D;
        double s = t->mean[r];
        for (size_t j = 0; j <= r; j++)
            s += row[j] * x[j];
        x[r] = s;
    }
}

nsamp_status nsamp_target_gaussian(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {log_density, score, draw, NULL};
    t->ops = &ops;
    t->gaussian = true;
    t->log_norm = 0;
    nsamp_status status = nsamp_target_read_gaussian(job, t, err);
    if (status) return status;
    const size_t D = t->dim;
    t->var = malloc(D * sizeof *t->var);
    t->chol = malloc(D * D * sizeof *t->chol);
    if (!t->var || !t->chol)
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a covariance of dimension %zu", D);
    for (size_t i = 0; i < D; i++)
        t->var[i] = t->cov[i * D + i];
    return nsamp_target_factor(job, "the covariance", D, t->cov, t->chol, err);
}
