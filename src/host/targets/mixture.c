/* mixture.c: sum_k w_k N(m_k, C_k): isotropic components from keys, or any from a file. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "targets/builders.h"
#include "targets/numbers.h"

static const double LOG_2PI = 1.8378770664093453;
enum { DIM_MAX = 1024 }; /* scratch of one point on the stack */

/* log of w_k times the density of component k at x; y [D] receives L^-1 (x - m_k), L the Cholesky factor. */
static double component(const nsamp_target *t, size_t k, const double *x, double *y) {
    const size_t D = t->dim;
    double square = 0, log_det = 0;
    for (size_t i = 0; i < D; i++) {
        const double *row = t->chols ? t->chols + (k * D + i) * D : NULL;
        const double scale = row ? row[i] : t->sds[k];
        double v = x[i] - t->means[k * D + i];
        for (size_t j = 0; row && j < i; j++) v -= row[j] * y[j];
        y[i] = v / scale;
        square += y[i] * y[i];
        log_det += log(scale);
    }
    return log(t->weights[k]) - 0.5 * square - log_det - 0.5 * (double)D * LOG_2PI;
}

static double log_density(const nsamp_target *t, const double *x) {
    double top = -INFINITY, sum = 0, y[DIM_MAX];
    for (size_t k = 0; k < t->components; k++)
        top = fmax(top, component(t, k, x, y));
    for (size_t k = 0; k < t->components; k++)
        sum += exp(component(t, k, x, y) - top);
    return top + log(sum);
}

/* Adds -share C_k^-1 (x - m_k), given y = L^-1 (x - m_k), which is overwritten. */
static void add_pull(const nsamp_target *t, size_t k, double share, double *y, double *s) {
    const size_t D = t->dim;
    for (size_t i = D; i-- > 0;) {
        const double *l = t->chols ? t->chols + k * D * D : NULL;
        for (size_t j = i + 1; l && j < D; j++)
            y[i] -= l[j * D + i] * y[j];
        y[i] /= l ? l[i * D + i] : t->sds[k];
        s[i] -= share * y[i];
    }
}

static void score(const nsamp_target *t, const double *x, double *s) {
    double y[DIM_MAX];
    const double all = log_density(t, x);
    memset(s, 0, t->dim * sizeof *s);
    for (size_t k = 0; k < t->components; k++) {
        const double share = exp(component(t, k, x, y) - all);
        if (share > 0) add_pull(t, k, share, y, s);
    }
}

/* The component from word 0 of block 0 (all 32 bits: weights below 2^-32 are never drawn), normals from block
 * 1 on. */
static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    const size_t D = t->dim;
    double z[DIM_MAX],
        u = ((double)nsamp_draw_words(key, purpose, (uint32_t)i, i >> 32, 0).w[0] + 0.5) * 0x1p-32;
    size_t k = 0;
    while (k + 1 < t->components && u >= t->weights[k])
        u -= t->weights[k++];
    for (size_t d = 0; d < D; d += 4) {
        float four[4];
        nsamp_normals4(key, purpose, (uint32_t)i, i >> 32, 1 + (uint32_t)(d / 4), four);
        for (size_t j = 0; j < 4 && d + j < D; j++)
            z[d + j] = four[j];
    }
    for (size_t d = 0; d < D; d++) {
        x[d] = t->means[k * D + d];
        if (!t->chols) x[d] += t->sds[k] * z[d];
        for (size_t j = 0; t->chols && j <= d; j++)
            x[d] += t->chols[(k * D + d) * D + j] * z[j];
    }
}

static nsamp_status allocate(nsamp_target *t, size_t K, bool full, nsamp_error *err) {
    const size_t D = t->dim;
    t->components = K;
    t->weights = malloc(K * sizeof(double));
    t->means = malloc(K * D * sizeof(double));
    t->mean = calloc(D, sizeof(double));
    t->var = calloc(D, sizeof(double));
    t->cov = calloc(D * D, sizeof(double));
    if (full) {
        t->covs = malloc(K * D * D * sizeof(double));
        t->chols = malloc(K * D * D * sizeof(double));
    } else {
        t->sds = malloc(K * sizeof(double));
    }
    const bool parts = full ? t->covs && t->chols : t->sds != NULL;
    if (t->weights && t->means && t->mean && t->var && t->cov && parts) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a mixture of %zu components", K);
}

static nsamp_status normalise(nsamp_target *t, const char *where, nsamp_error *err) {
    double sum = 0;
    for (size_t k = 0; k < t->components; k++) {
        if (!(t->weights[k] > 0))
            return nsamp_fail(err, NSAMP_EUSAGE, "%s: weight %zu is %g; valid: above 0", where, k + 1,
                              t->weights[k]);
        sum += t->weights[k];
    }
    for (size_t k = 0; k < t->components; k++)
        t->weights[k] /= sum;
    return NSAMP_OK;
}

static void moments(nsamp_target *t) {
    const size_t D = t->dim;
    for (size_t k = 0; k < t->components; k++)
        for (size_t i = 0; i < D; i++)
            t->mean[i] += t->weights[k] * t->means[k * D + i];
    for (size_t k = 0; k < t->components; k++)
        for (size_t i = 0; i < D; i++)
            for (size_t j = 0; j < D; j++) {
                const double within = t->covs  ? t->covs[(k * D + i) * D + j]
                                      : i == j ? t->sds[k] * t->sds[k]
                                               : 0;
                const double a = t->means[k * D + i] - t->mean[i], b = t->means[k * D + j] - t->mean[j];
                t->cov[i * D + j] += t->weights[k] * (within + a * b);
            }
    for (size_t i = 0; i < D; i++)
        t->var[i] = t->cov[i * D + i];
}

static nsamp_status from_keys(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    size_t K, nmeans, nsds;
    const double *weights = nsamp_job_reals(job, NSAMP_KEY_target_weights, &K);
    const double *means = nsamp_job_reals(job, NSAMP_KEY_target_means, &nmeans);
    const double *sds = nsamp_job_reals(job, NSAMP_KEY_target_sds, &nsds);
    if (nmeans % K || nmeans == 0)
        return nsamp_job_fail(job, NSAMP_KEY_target_means, err,
                              "%zu numbers for %zu components; valid: dim numbers for each weight", nmeans,
                              K);
    t->dim = nmeans / K;
    if (nsamp_job_is_set(job, NSAMP_KEY_target_dim) &&
        nsamp_job_int(job, NSAMP_KEY_target_dim) != (int64_t)t->dim)
        return nsamp_job_fail(job, NSAMP_KEY_target_dim, err,
                              "target.means has %zu numbers for %zu components: dimension %zu", nmeans, K,
                              t->dim);
    if (t->dim > DIM_MAX)
        return nsamp_job_fail(job, NSAMP_KEY_target_means, err,
                              "dimension %zu; valid for a mixture: up to %d", t->dim, DIM_MAX);
    if (nsds != K && nsds != 1)
        return nsamp_job_fail(job, NSAMP_KEY_target_sds, err,
                              "%zu numbers; valid: 1, or one for each of the %zu weights", nsds, K);
    nsamp_status status = allocate(t, K, false, err);
    if (status) return status;
    memcpy(t->weights, weights, K * sizeof *weights);
    memcpy(t->means, means, nmeans * sizeof *means);
    for (size_t k = 0; k < K; k++)
        t->sds[k] = sds[nsds == 1 ? 0 : k];
    return normalise(t, "target.weights", err);
}

/* The file: K and D, then for each component its weight, mean [D] and covariance [D * D]. */
static nsamp_status from_file(const char *path, nsamp_target *t, nsamp_error *err) {
    double *all = NULL;
    size_t count;
    nsamp_status status = nsamp_numbers_read(path, &all, &count, err);
    if (status) return status;
    const double k = count > 1 ? all[0] : 0, d = count > 1 ? all[1] : 0;
    if (!(k >= 1 && k <= 1e6 && k == floor(k) && d >= 1 && d <= DIM_MAX && d == floor(d)))
        status =
            nsamp_fail(err, NSAMP_EUSAGE,
                       "%s: begins with %g %g; valid: the number of components and the dimension (1 to %d)",
                       path, k, d, DIM_MAX);
    const size_t K = (size_t)k, D = (size_t)d, each = 1 + D + D * D;
    if (!status && count != 2 + K * each)
        status = nsamp_fail(err, NSAMP_EUSAGE,
                            "%s: %zu numbers after the first two; valid for %zu components of dimension %zu: "
                            "%zu (weight, mean, covariance)",
                            path, count - 2, K, D, K * each);
    t->dim = D;
    if (!status) status = allocate(t, K, true, err);
    for (size_t c = 0; c < K && !status; c++) {
        const double *from = all + 2 + c * each;
        t->weights[c] = from[0];
        memcpy(t->means + c * D, from + 1, D * sizeof *from);
        memcpy(t->covs + c * D * D, from + 1 + D, D * D * sizeof *from);
        status = nsamp_covariance_factor(path, D, t->covs + c * D * D, t->chols + c * D * D, err);
    }
    if (!status) status = normalise(t, path, err);
    free(all);
    return status;
}

nsamp_status nsamp_target_mixture(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {log_density, score, draw, NULL};
    t->ops = &ops;
    t->log_norm = 0;
    const char *file = nsamp_job_text(job, NSAMP_KEY_target_file);
    nsamp_status status = *file ? from_file(file, t, err) : from_keys(job, t, err);
    if (!status) moments(t);
    return status;
}
