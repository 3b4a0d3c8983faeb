/* langevin_equi.c: langevin on an equicorrelated target: coefficients, starts and law of the kernel
 * kernels/systems/langevin_equi.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "error.h"
#include "kernels/systems/langevin_equi.h"
#include "systems/langevin.h"
#include "systems/range.h"
#include "systems/start.h"

/* The recursion has two modes: along (0) and across (1) the mean direction, each an AR(1) with factor f and
 * noise a: variance a^2 / (1 - f^2), autocorrelation time (1 + f) / (1 - f); x = mu + u + kappa sum(u)
 * stretches the first. From the float32 coefficients that the kernel uses: rounding 1 - h/lambda moves the
 * slow mode of a large target by more than a check can miss. */
static nsamp_status equi_law(const nsamp_target *t, const nsamp_langevin_equi_params *p, nsamp_law *law) {
    const size_t D = t->dim;
    const double n = (double)D, c1 = p->c1, a = p->a, first = c1 + n * (double)p->c2;
    /* One coordinate has no mode across: c1 alone may then be beyond -1. */
    const double f[2] = {first, D > 1 ? c1 : first}, seen = 1 + n * (double)p->kappa;
    const double var[2] = {pow(seen * a, 2) / (1 - f[0] * f[0]), a * a / (1 - f[1] * f[1])};
    law->modes = 2;
    law->mean = malloc(D * sizeof *law->mean);
    law->var = malloc(D * sizeof *law->var);
    law->tau = malloc(D * sizeof *law->tau);
    law->mode_tau = malloc(2 * sizeof *law->mode_tau);
    law->mode_share = malloc(2 * D * sizeof *law->mode_share);
    if (!law->mean || !law->var || !law->tau || !law->mode_tau || !law->mode_share) return NSAMP_ENOMEM;
    const double total = (var[0] + (n - 1) * var[1]) / n, share = D > 1 ? var[0] / n / total : 1;
    for (int j = 0; j < 2; j++)
        law->mode_tau[j] = (1 + f[j]) / (1 - f[j]);
    if (D > 1) law->offdiag = (var[0] - var[1]) / n;
    for (size_t i = 0; i < D; i++) {
        law->mean[i] = t->mean[i];
        law->var[i] = total;
        law->mode_share[2 * i] = share;
        law->mode_share[2 * i + 1] = 1 - share;
        law->tau[i] = share * law->mode_tau[0] + (1 - share) * law->mode_tau[1];
    }
    snprintf(law->source, sizeof law->source,
             "exact stationary moments of the Euler recursion at this time step");
    return NSAMP_OK;
}

/* The state of a chain at the point x: u, sum(u) (langevin_equi.h). */
static void equi_state(const nsamp_model *m, const double *x, float *state) {
    const nsamp_langevin_equi_params *p = m->params;
    const size_t D = m->dim;
    const double *mean = m->target->mean;
    double common = 0, sum = 0;
    for (size_t i = 0; i < D; i++)
        common += (x[i] - mean[i]) * (double)p->kappa / (1 + (double)D * (double)p->kappa);
    for (size_t i = 0; i < D; i++) {
        state[i] = (float)(x[i] - mean[i] - common);
        sum += state[i];
    }
    state[D] = (float)sum;
}

static void equi_start(const nsamp_model *m, nsamp_noise_key key, uint32_t chain, double *x, float *state) {
    nsamp_start_point(m, key, chain, x);
    equi_state(m, x, state);
}

nsamp_status nsamp_langevin_equi_build(const nsamp_job *job, nsamp_model *m, nsamp_error *err) {
    const nsamp_target *t = m->target;
    const double D = (double)t->dim, h = nsamp_job_real(job, NSAMP_KEY_system_dt);
    const bool natural = nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural");
    const double across = t->variance * (1 - t->rho), along = t->variance * (1 + (D - 1) * t->rho);
    nsamp_status status = nsamp_langevin_check_dt(job, t->dim > 1 ? fmin(across, along) : along, err);
    if (status) return status;
    status = nsamp_model_centre(m, t->dim, t->mean, NULL, err);
    if (!status) status = nsamp_langevin_params(m, sizeof(nsamp_langevin_equi_params), err);
    if (status) return status;
    nsamp_langevin_equi_params *p = m->params;
    const double alpha = sqrt(across), beta = (sqrt(along) - alpha) / D;
    *p =
        (nsamp_langevin_equi_params){.dim = (uint32_t)t->dim,
                                     .c1 = (float)(natural ? 1 - h : 1 - h / across),
                                     .a = (float)(natural ? sqrt(2 * h) * alpha : sqrt(2 * h)),
                                     .c2 = (float)(natural ? 0 : h * t->rho * t->variance / (across * along)),
                                     .kappa = (float)(natural ? beta / alpha : 0)};
    /* Along the mean the sum of two factors is rounded, by more than c1 alone where there are many
     * coordinates: what that moves is in the law. */
    status = nsamp_range_factor(job, h, natural ? 1 : across, (double)p->c1, err);
    if (status) return status;
    m->kernel = NSAMP_KERNEL_langevin_equi;
    m->dim = t->dim;
    m->state_len = t->dim + 1;
    m->draws = t->dim;
    m->flops = 6 * D;
    m->scratch_bytes = NSAMP_EQUI_SCRATCH(64);
    m->sum_moments = t->dim > 1;
    m->start = equi_start;
    snprintf(m->why, sizeof m->why, "langevin_equi: rank-one covariance, O(D) a step, %s geometry",
             natural ? "natural" : "naive");
    if (equi_law(t, p, &m->law))
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the law of %zu coordinates", t->dim);
    return NSAMP_OK;
}
