/* mixture.c: sum_k w_k N(mu_k, C_k), any number of components K in any dimension D: C_k = sd_k^2 I by the
 * keys target.weights, means, sds; full covariances by file (mixture_file.c). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cholesky.h"
#include "error.h"
#include "targets/builders.h"

/* Dense covariance of the whole mixture up to this dimension. */
enum { COV_MAX = 2048 };
/* Numbers whose squares, and sums of them, are normal in double precision. */
static const double LEAST = 1e-150, MOST = 1e150;

/* log(w_k N(x; mu_k, C_k)). With full covariances r [D] <- C_k^-1 (x - mu_k); otherwise r is left alone. */
static double component(const nsamp_target *t, size_t k, const double *x, double *r) {
    const size_t D = t->dim;
    const double *mean = t->means + k * D;
    double square = 0, log_det = 0;
    if (t->chols) {
        const double *l = t->chols + k * D * D;
        for (size_t i = 0; i < D; i++) {
            double s = x[i] - mean[i];
            for (size_t j = 0; j < i; j++)
                s -= l[i * D + j] * r[j];
            r[i] = s / l[i * D + i];
            square += r[i] * r[i];
            log_det += log(l[i * D + i]);
        }
        for (size_t i = D; i-- > 0;) {
            r[i] /= l[i * D + i];
            for (size_t j = 0; j < i; j++)
                r[j] -= l[i * D + j] * r[i];
        }
    } else {
        const double sd = t->sds[k];
        for (size_t i = 0; i < D; i++) {
            const double s = (x[i] - mean[i]) / sd;
            square += s * s;
        }
        log_det = (double)D * log(sd);
    }
    return log(t->weights[k]) - 0.5 * square - log_det - 0.5 * (double)D * log(2 * acos(-1.0));
}

/* Both at once; s may be NULL. The sums are kept relative to the largest component so far. Nothing is
 * allocated: a density has no way to say that memory is short. */
static double evaluate(const nsamp_target *t, const double *x, double *s) {
    const size_t D = t->dim;
    double r[NSAMP_TARGET_DENSE_MAX], most = -INFINITY, sum = 0; /* r: of full covariances, which end there */
    if (s) memset(s, 0, D * sizeof *s);
    for (size_t k = 0; k < t->components; k++) {
        const double l = component(t, k, x, r), *mean = t->means + k * D;
        const double up = fmax(l, most), old = exp(most - up), new = exp(l - up);
        most = up;
        sum = sum * old + new;
        for (size_t i = 0; s && i < D; i++) {
            const double towards = t->chols ? r[i] : (x[i] - mean[i]) / t->sds[k] / t->sds[k];
            s[i] = s[i] * old - new *towards;
        }
    }
    for (size_t i = 0; s && i < D; i++)
        s[i] /= sum;
    return most + log(sum);
}

static double log_density(const nsamp_target *t, const double *x) {
    return evaluate(t, x, NULL);
}

static void score(const nsamp_target *t, const double *x, double *s) {
    (void)evaluate(t, x, s);
}

/* Component by inversion from block 0, normals from block 1 on. */
static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    const size_t D = t->dim;
    const nsamp_words w = nsamp_draw_words(key, purpose, (uint32_t)i, i >> 32, 0);
    double left = nsamp_target_uniform(w.w[0], w.w[1]);
    size_t k = 0;
    while (k + 1 < t->components && left > t->weights[k])
        left -= t->weights[k++];
    nsamp_target_normals(key, purpose, i, 1, D, x);
    const double *mean = t->means + k * D;
    for (size_t r = D; r-- > 0;) {
        double s = 0;
        if (t->chols) {
            const double *row = t->chols + (k * D + r) * D;
            for (size_t j = 0; j <= r; j++)
                s += row[j] * x[j];
        } else {
            s = t->sds[k] * x[r];
        }
        x[r] = mean[r] + s;
    }
}

/* Components from the keys: K weights, K D means (or K, each for all coordinates of its component), K
 * standard deviations. D is target.dim where set. */
static nsamp_status read_keys(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    size_t K, nmeans, nsds;
    const double *weights = nsamp_job_reals(job, NSAMP_KEY_target_weights, &K);
    const double *means = nsamp_job_reals(job, NSAMP_KEY_target_means, &nmeans);
    const double *sds = nsamp_job_reals(job, NSAMP_KEY_target_sds, &nsds);
    if (nsds != K && nsds != 1)
        return nsamp_job_fail(job, NSAMP_KEY_target_sds, err,
                              "%zu numbers; valid: 1, or %zu, one for each weight", nsds, K);
    const size_t D = nsamp_job_is_set(job, NSAMP_KEY_target_dim)
                         ? (size_t)nsamp_job_int(job, NSAMP_KEY_target_dim)
                     : nmeans / K > 0 ? nmeans / K
                                      : 1;
    const bool all = nmeans == K;
    if (!all && (nmeans / D != K || nmeans % D != 0))
        return nsamp_job_fail(job, NSAMP_KEY_target_means, err,
                              "%zu numbers; valid: weights x dim = %zu x %zu, component after component, or "
                              "%zu, one for all coordinates of a component",
                              nmeans, K, D, K);
    t->dim = D;
    t->components = K;
    t->weights = malloc(K * sizeof *t->weights);
    t->means = malloc(K * D * sizeof *t->means);
    t->sds = malloc(K * sizeof *t->sds);
    if (!t->weights || !t->means || !t->sds) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    memcpy(t->weights, weights, K * sizeof *weights);
    for (size_t i = 0; i < K * D; i++)
        t->means[i] = means[all ? i / D : i];
    for (size_t k = 0; k < K; k++) {
        t->sds[k] = sds[nsds == 1 ? 0 : k];
        if (!(t->sds[k] >= LEAST && t->sds[k] <= MOST))
            return nsamp_job_fail(job, NSAMP_KEY_target_sds, err,
                                  "%g has no square in double precision; valid: %g to %g", t->sds[k], LEAST,
                                  MOST);
    }
    for (size_t i = 0; i < nmeans; i++)
        if (!(fabs(means[i]) <= MOST))
            return nsamp_job_fail(job, NSAMP_KEY_target_means, err,
                                  "%g has no square in double precision; valid: up to %g", means[i], MOST);
    return NSAMP_OK;
}

static nsamp_status normalise(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    const nsamp_key key = t->covs ? NSAMP_KEY_target_file : NSAMP_KEY_target_weights;
    double sum = 0;
    for (size_t k = 0; k < t->components; k++) {
        if (!(t->weights[k] > 0))
            return nsamp_job_fail(job, key, err, "weight %zu is %g; valid: above 0", k + 1, t->weights[k]);
        sum += t->weights[k];
    }
    if (!isfinite(sum)) return nsamp_job_fail(job, key, err, "the weights sum to %g", sum);
    for (size_t k = 0; k < t->components; k++)
        t->weights[k] /= sum;
    return NSAMP_OK;
}

/* E x = sum w mu; Cov x = sum w (C + mu mu^T) - E x E x^T, taken about the mean. */
static nsamp_status moments(nsamp_target *t, nsamp_error *err) {
    const size_t D = t->dim, K = t->components;
    const bool dense = D <= COV_MAX;
    t->mean = calloc(D, sizeof *t->mean);
    t->var = calloc(D, sizeof *t->var);
    if (dense) {
        t->cov = calloc(D * D, sizeof *t->cov);
        t->chol = malloc(D * D * sizeof *t->chol);
    }
    if (!t->mean || !t->var || (dense && (!t->cov || !t->chol)))
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    for (size_t k = 0; k < K; k++)
        for (size_t i = 0; i < D; i++)
            t->mean[i] += t->weights[k] * t->means[k * D + i];
    for (size_t k = 0; k < K; k++) {
        const double w = t->weights[k], *mean = t->means + k * D;
        for (size_t i = 0; i < D; i++) {
            const double d = mean[i] - t->mean[i];
            t->var[i] += w * (d * d + (t->covs ? t->covs[(k * D + i) * D + i] : t->sds[k] * t->sds[k]));
            for (size_t j = 0; dense && j < D; j++)
                t->cov[i * D + j] += w * (d * (mean[j] - t->mean[j]) + (t->covs ? t->covs[(k * D + i) * D + j]
                                                                        : i == j ? t->sds[k] * t->sds[k]
                                                                                 : 0));
        }
    }
    double pivot;
    if (dense && nsamp_cholesky(D, t->cov, t->chol, &pivot))
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "the covariance of the whole mixture is singular to rounding: its pivot is %g",
                          pivot);
    return NSAMP_OK;
}

nsamp_status nsamp_target_mixture(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {log_density, score, draw, NULL};
    t->ops = &ops;
    t->log_norm = 0;
    nsamp_status status = *nsamp_job_text(job, NSAMP_KEY_target_file) ? nsamp_target_read_mixture(job, t, err)
                                                                      : read_keys(job, t, err);
    if (!status) status = normalise(job, t, err);
    if (!status) status = moments(t, err);
    return status;
}
