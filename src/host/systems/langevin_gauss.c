/* langevin_gauss.c: langevin on a Gaussian of any covariance: modes, coefficients, starts and law of the kernel
 * kernels/systems/langevin_gauss.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eigen.h"
#include "error.h"
#include "kernels/systems/langevin_gauss.h"
#include "systems/langevin.h"
#include "systems/range.h"
#include "systems/start.h"

/* Up to this dimension the law says the whole covariance and the modes of every coordinate. */
enum { LAW_DENSE_MAX = 1024 };

static const float *table(const nsamp_model *m, uint64_t offset) {
    return (const float *)((const char *)m->params + offset);
}

/* Naive: eigenvalue lambda_j of Sigma becomes lambda_j / (1 - h / (2 lambda_j)), with autocorrelation time 2 lambda_j / h - 1, and the
 * covariance is V diag V^T. Natural: Sigma / (1 - h/2), one time 2/h - 1 for all. lambda [D], basis V [D * D]; NULL: natural. */
static nsamp_status gauss_law(const nsamp_target *t, double h, const double *lambda, const double *basis,
                              nsamp_law *law, nsamp_error *err) {
    const size_t D = t->dim, modes = lambda ? D : 1;
    const bool dense = D <= LAW_DENSE_MAX;
    double *scaled = malloc(D * sizeof *scaled), mode_var = 0, mode_tau = 0, offset = 0;
    law->mean = malloc(D * sizeof *law->mean);
    law->var = calloc(D, sizeof *law->var);
    law->tau = calloc(D, sizeof *law->tau);
    law->mode_tau = malloc(modes * sizeof *law->mode_tau);
    if (dense) {
        law->cov = malloc(D * D * sizeof *law->cov);
        law->mode_share = malloc(D * modes * sizeof *law->mode_share);
    }
    const bool whole = scaled && law->mean && law->var && law->tau && law->mode_tau &&
                       (!dense || (law->cov && law->mode_share));
    for (size_t j = 0; whole && j < modes; j++) {
        const double unit = lambda ? lambda[j] : 1, f = 1 - h / unit;
        const nsamp_mode_rounding rounding = nsamp_round_mode(f, 0x1p-24 * fabs(f));
        law->mode_tau[j] = 2 * unit / h - 1;
        mode_var = fmax(mode_var, rounding.var);
        mode_tau = fmax(mode_tau, rounding.tau);
    }
    for (size_t i = 0; whole && i < D; i++) {
        const double *row = lambda ? basis + i * D : basis;
        law->mean[i] = t->mean[i];
        if (!lambda) {
            law->var[i] = t->cov[i * D + i] / (1 - h / 2);
            law->tau[i] = law->mode_tau[0];
            if (dense) law->mode_share[i] = 1;
            for (size_t k = 0; dense && k < D; k++)
                law->cov[i * D + k] = t->cov[i * D + k] / (1 - h / 2);
        }
        for (size_t j = 0; lambda && j < D; j++) {
            scaled[j] = lambda[j] / (1 - h / (2 * lambda[j])) * row[j];
            law->var[i] += scaled[j] * row[j];
        }
        for (size_t j = 0; lambda && j < D; j++) {
            const double share = scaled[j] * row[j] / law->var[i];
            law->tau[i] += share * law->mode_tau[j];
            if (dense) law->mode_share[i * modes + j] = share;
        }
        for (size_t k = 0; lambda && dense && k <= i; k++) {
            double sum = 0;
            for (size_t j = 0; j < D; j++)
                sum += scaled[j] * basis[k * D + j];
            law->cov[i * D + k] = law->cov[k * D + i] = sum;
        }
        offset = fmax(offset, fabs(t->mean[i]) / sqrt(law->var[i]));
    }
    if (dense) law->modes = modes;
    free(scaled);
    /* Entries of the basis, off by 2^-24 of themselves, move a covariance by 2^-23 of the product of the deviations (Cauchy and Schwarz). */
    const double all = (1 + mode_var) * (1 + 0x1p-23) - 1;
    law->rounding =
        (nsamp_law_rounding){.mean = 0x1p-24 * offset, .var = all, .cov = all, .tau = mode_tau + 2 * all};
    snprintf(law->source, sizeof law->source,
             "exact stationary moments of the Euler recursion at this time step");
    return whole ? NSAMP_OK
                 : nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the law of %zu coordinates", D);
}

/* y = M^-1 (x - mu): V^T (x - mu), or forward substitution. */
static void gauss_start(const nsamp_model *m, nsamp_noise_key key, uint32_t chain, double *x, float *state) {
    const nsamp_langevin_gauss_params *p = m->params;
    const size_t D = m->dim;
    const float *basis = table(m, p->basis_offset);
    nsamp_start_point(m, key, chain, x);
    for (size_t i = 0; i < D; i++)
        x[i] -= m->target->mean[i];
    if (p->triangular) {
        for (size_t i = 0; i < D; i++) {
            for (size_t j = 0; j < i; j++)
                x[i] -= (double)basis[i * D + j] * x[j];
            x[i] /= (double)basis[i * D + i];
            state[i] = (float)x[i];
        }
        return;
    }
    for (size_t j = 0; j < D; j++) {
        double sum = 0;
        for (size_t i = 0; i < D; i++)
            sum += (double)basis[i * D + j] * x[i];
        state[j] = (float)sum;
    }
}

/* Eigenvalues -> lambda [D] ascending, eigenvectors -> the columns of v [D * D]; room [D * D]. */
static nsamp_status eigen(const nsamp_target *t, double *lambda, double *v, double *room, nsamp_error *err) {
    const size_t D = t->dim;
    memcpy(v, t->cov, D * D * sizeof *v);
    const nsamp_status status = nsamp_eigen(D, v, D, lambda, room, err);
    for (size_t i = 0; !status && i < D; i++)
        for (size_t j = 0; j < D; j++)
            v[i * D + j] = room[j * D + i];
    return status;
}

/* Places the arrays and fills them: basis [D * D], lambda [D] or NULL (natural). */
static nsamp_status fill(const nsamp_job *job, nsamp_model *m, double h, const double *lambda,
                         const double *basis, nsamp_error *err) {
    const nsamp_target *t = m->target;
    const size_t D = t->dim, vector = D * sizeof(float), head = sizeof(nsamp_langevin_gauss_params);
    nsamp_status status = nsamp_model_centre(m, D, t->mean, NULL, err);
    if (!status) status = nsamp_langevin_params(m, head + 2 * vector + D * vector, err);
    if (status) return status;
    nsamp_langevin_gauss_params *p = m->params;
    *p = (nsamp_langevin_gauss_params){.dim = (uint32_t)D,
                                       .triangular = lambda == NULL,
                                       .keep_offset = head,
                                       .noise_offset = head + vector,
                                       .basis_offset = head + 2 * vector};
    float *out = (float *)(p + 1);
    for (size_t i = 0; i < D; i++) {
        out[i] = (float)(1 - h / (lambda ? lambda[i] : 1));
        out[D + i] = (float)sqrt(2 * h);
    }
    status = nsamp_range_factor(job, h, lambda ? lambda[D - 1] : 1, (double)out[D - 1], err);
    for (size_t i = 0; i < D; i++)
        nsamp_factor_row(basis + i * D, D, out + (2 + i) * D);
    return status;
}

nsamp_status nsamp_langevin_gauss_build(const nsamp_job *job, nsamp_model *m, nsamp_error *err) {
    const nsamp_target *t = m->target;
    const size_t D = t->dim;
    const double h = nsamp_job_real(job, NSAMP_KEY_system_dt);
    const bool natural = nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural");
    nsamp_status status = NSAMP_OK;
    if (natural) {
        status = nsamp_langevin_check_dt(job, NAN, err);
        if (!status) status = fill(job, m, h, NULL, t->chol, err);
        if (!status) status = gauss_law(t, h, NULL, NULL, &m->law, err);
    } else {
        double *lambda = malloc((D + 2 * D * D) * sizeof *lambda);
        if (!lambda) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu eigenvectors", D);
        status = eigen(t, lambda, lambda + D, lambda + D + D * D, err);
        if (!status) status = nsamp_langevin_check_dt(job, lambda[0], err);
        if (!status) status = fill(job, m, h, lambda, lambda + D, err);
        if (!status) status = gauss_law(t, h, lambda, lambda + D, &m->law, err);
        free(lambda);
    }
    if (status) return status;
    m->kernel = NSAMP_KERNEL_langevin_gauss;
    m->dim = m->state_len = m->draws = D;
    m->flops = 3 * (double)D;
    m->observe_flops = (natural ? 1 : 2) * (double)D * (double)D;
    m->start = gauss_start;
    snprintf(m->why, sizeof m->why,
             "langevin_gauss: independent modes, O(D) a step, one product with the %s where draws are looked "
             "at, %s geometry",
             natural ? "Cholesky factor" : "eigenvectors", natural ? "natural" : "naive");
    return NSAMP_OK;
}
