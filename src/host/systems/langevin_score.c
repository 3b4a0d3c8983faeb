/* langevin_score.c: langevin on targets with a score: parameters, starts and what is known of the law of the kernel
 * kernels/systems/langevin_score.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kernels/systems/langevin_score.h"
#include "systems/langevin.h"
#include "systems/range.h"
#include "systems/start.h"

static void score_start(const nsamp_model *m, nsamp_noise_key key, uint32_t chain, double *x, float *state) {
    nsamp_start_point(m, key, chain, x);
    for (size_t d = 0; d < m->dim; d++)
        state[d] = (float)(x[d] - (m->offset ? m->offset[d] : 0));
}

/* Inverse of a lower triangular factor l [D * D] -> w (floats), zeros above; column by column. Returns sum of log l_ii. */
static double invert(size_t D, const double *l, double *column, float *w) {
    double log_det = 0;
    for (size_t j = 0; j < D; j++) {
        log_det += log(l[j * D + j]);
        for (size_t i = 0; i < D; i++) {
            double s = i == j;
            for (size_t k = j; k < i; k++)
                s -= l[i * D + k] * column[k];
            column[i] = i < j ? 0 : s / l[i * D + i];
            w[i * D + j] = nsamp_matrix_entry(column[i]);
        }
    }
    return log_det;
}

/* A number that all components have in common in their logarithms has no meaning, and this size would cost
 * float32 the digits of their differences. */
static const double LEVEL = 1024;

/* Tables of the mixture behind the parameters; its means relative to offset [D] (NULL: 0). */
static nsamp_status fill_mixture(const nsamp_target *t, const double *offset, double h,
                                 nsamp_langevin_score_params *p, nsamp_error *err) {
    const size_t D = t->dim, K = t->components;
    float *const weight = (float *)((char *)p + p->weight_offset),
                 *const square = (float *)((char *)p + p->square_offset),
                 *const pull = (float *)((char *)p + p->pull_offset),
                 *const mean = (float *)((char *)p + p->mean_offset);
    double *column = malloc((D + K) * sizeof *column), most = -INFINITY;
    if (!column) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    double *const level = column + D;
    for (size_t i = 0; i < K * D; i++)
        mean[i] = (float)(t->means[i] - (offset ? offset[i % D] : 0));
    for (size_t k = 0; k < K; k++) {
        double log_det, precision = 1; /* W_k has all of it where full */
        if (t->chols) {
            log_det = invert(D, t->chols + k * D * D, column,
                             (float *)((char *)p + p->inverse_factor_offset) + k * D * D);
        } else {
            precision = 1 / (t->sds[k] * t->sds[k]);
            log_det = (double)D * log(t->sds[k]);
        }
        square[k] = (float)(-0.5 * precision);
        pull[k] = (float)(h * precision);
        level[k] = log(t->weights[k]) - log_det;
        most = fmax(most, level[k]);
    }
    for (size_t k = 0; k < K; k++)
        weight[k] = (float)(level[k] - (fabs(most) > LEVEL ? most : 0));
    free(column);
    return NSAMP_OK;
}

/* Where the arrays lie; returns the size of the whole block. */
static size_t lay_out(const nsamp_target *t, bool natural, nsamp_langevin_score_params *p) {
    const size_t D = t->dim, K = t->components;
    size_t at = sizeof *p;
    if (natural) p->factor_offset = at, at += D * D * sizeof(float);
    if (!K) return at;
    p->weight_offset = at, at += K * sizeof(float);
    p->square_offset = at, at += K * sizeof(float);
    p->pull_offset = at, at += K * sizeof(float);
    p->mean_offset = at, at += K * D * sizeof(float);
    if (t->chols) p->inverse_factor_offset = at, at += K * D * D * sizeof(float);
    return at;
}

/* Round components that are all the same are one Gaussian N(mu, sd^2 I), whose score is linear: each coordinate is an AR(1). */
static bool one_round_gaussian(const nsamp_target *t) {
    bool same = t->components > 0 && !t->chols;
    for (size_t k = 1; k < t->components && same; k++) {
        same = t->sds[k] == t->sds[0];
        for (size_t d = 0; d < t->dim && same; d++)
            same = t->means[k * t->dim + d] == t->means[d];
    }
    return same;
}

static nsamp_status round_law(const nsamp_job *job, const nsamp_target *t, double h, bool natural,
                              nsamp_law *law, nsamp_error *err) {
    const size_t D = t->dim;
    const double v = t->sds[0] * t->sds[0], f = natural ? 1 - h : 1 - h / v,
                 noise = 2 * h * (natural ? v : 1);
    const bool full = (int64_t)D <= nsamp_job_int(job, NSAMP_KEY_record_cov_dim);
    if (!(fabs(f) < 1)) return NSAMP_OK;
    law->mean = malloc(D * sizeof *law->mean);
    law->var = malloc(D * sizeof *law->var);
    law->tau = malloc(D * sizeof *law->tau);
    law->mode_tau = malloc(sizeof *law->mode_tau);
    law->mode_share = malloc(D * sizeof *law->mode_share);
    if (full) law->cov = calloc(D * D, sizeof *law->cov);
    if (!law->mean || !law->var || !law->tau || !law->mode_tau || !law->mode_share || (full && !law->cov))
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the law of %zu coordinates", D);
    const nsamp_mode_rounding rounding =
        nsamp_round_mode(f, 0x1p-22 * (1 - f)); /* h / v, and the factor twice */
    double largest = 0;
    law->modes = 1;
    law->mode_tau[0] = (1 + f) / (1 - f);
    for (size_t d = 0; d < D; d++) {
        law->mean[d] = t->means[d];
        law->var[d] = noise / (1 - f * f);
        law->tau[d] = law->mode_tau[0];
        law->mode_share[d] = 1;
        if (full) law->cov[d * (D + 1)] = law->var[d];
        largest = fmax(largest, fabs(t->means[d]));
    }
    law->rounding.mean = 0x1p-24 * largest / sqrt(law->var[0]);
    law->rounding.var = law->rounding.cov = (1 + rounding.var) * (1 + 0x1p-23) - 1;
    law->rounding.tau = rounding.tau;
    snprintf(law->source, sizeof law->source,
             "equal components: exact moments of the Euler recursion of one Gaussian");
    return NSAMP_OK;
}

/* What x -> -x in the first coordinate, or in both, forces on the stationary law of the scheme. */
static nsamp_status symmetry_law(uint32_t target, nsamp_law *law, nsamp_error *err) {
    law->offdiag = 0;
    snprintf(law->source, sizeof law->source, "symmetry of the target, which the Euler recursion keeps");
    if (target != NSAMP_SCORE_LAPLACE_COPULA) return NSAMP_OK;
    law->mean = calloc(2, sizeof *law->mean);
    return law->mean ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
}

nsamp_status nsamp_langevin_score_build(const nsamp_job *job, nsamp_model *m, nsamp_error *err) {
    const nsamp_target *t = m->target;
    const size_t D = t->dim;
    const double h = nsamp_job_real(job, NSAMP_KEY_system_dt), rho = t->copula_rho;
    /* laplace-copula: the covariance is the identity */
    const bool natural = nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural"),
               factor = natural && strcmp(t->name, "laplace-copula") != 0;
    if (factor && !t->chol)
        return nsamp_job_fail(
            job, NSAMP_KEY_system_geometry, err,
            "natural needs the covariance of the target, which is kept up to dimension 2048 and here "
            "is %zu; valid: naive",
            D);
    nsamp_langevin_score_params head = {.dim = (uint32_t)D,
                                        .components = (uint32_t)t->components,
                                        .h = (float)h,
                                        .a = (float)sqrt(2 * h),
                                        .rho = (float)rho,
                                        .w = (float)(rho / (1 - rho * rho)),
                                        .target = t->components ? NSAMP_SCORE_MIXTURE
                                                  : !strcmp(t->name, "laplace-copula")
                                                      ? NSAMP_SCORE_LAPLACE_COPULA
                                                      : NSAMP_SCORE_HEART};
    nsamp_status status = t->components ? nsamp_model_centre(m, D, t->mean, t->var, err) : NSAMP_OK;
    if (!status && t->components) status = nsamp_range_mixture(job, t, m->offset, h, natural, err);
    if (!status) status = nsamp_langevin_params(m, lay_out(t, factor, &head), err);
    if (status) return status;
    nsamp_langevin_score_params *p = m->params;
    *p = head;
    for (size_t i = 0; factor && i < D; i++)
        nsamp_factor_row(t->chol + i * D, D, (float *)((char *)p + p->factor_offset) + i * D);
    if (t->components) status = fill_mixture(t, m->offset, h, p, err);
    if (status) return status;
    const double K = (double)t->components, d = (double)D;
    m->kernel = NSAMP_KERNEL_langevin_score;
    m->dim = m->state_len = m->draws = D;
    m->flops =
        3 * d + (K > 0 ? K * (25 + (t->chols ? 2 * d * d + 6 * d : 6 * d)) : 150) + (factor ? 2 * d * d : 0);
    m->scratch_bytes = NSAMP_SCORE_SCRATCH(64, D, t->components, t->chols != NULL, factor);
    m->start = score_start;
    snprintf(m->why, sizeof m->why, "langevin_score: the float32 score of %s, %s geometry", t->name,
             !natural  ? "naive"
             : !factor ? "natural (the covariance is the identity: naive)"
                       : "natural");
    if (!t->components) return symmetry_law(p->target, &m->law, err);
    return one_round_gaussian(t) ? round_law(job, t, h, natural, &m->law, err) : NSAMP_OK;
}
