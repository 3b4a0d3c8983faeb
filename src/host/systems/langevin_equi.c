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

/* Variance and autocorrelation time of the mode of eigenvalue lambda, and what rounding does to them. */
typedef struct mode_law {
    double var, tau;
    nsamp_mode_rounding rounding;
} mode_law;

/* Naive: lambda / (1 - h / (2 lambda)) and 2 lambda / h - 1; natural: the same of lambda = 1, seen through Sigma^(1/2). spread: the sum of
 * the magnitudes of the coefficients that make the factor 1 - h / lambda. */
static mode_law mode_of(double lambda, double h, bool natural, double spread) {
    const double unit = natural ? 1 : lambda;
    return (mode_law){.var = lambda / (1 - h / (2 * unit)),
                      .tau = 2 * unit / h - 1,
                      .rounding = nsamp_round_mode(1 - h / unit, 0x1p-24 * spread)};
}

/* The recursion has two modes, along (0) and across (1) the mean direction. The kernel makes the factor of the first as c1 + D c2: on large
 * targets that takes the slow mode further by rounding than the eigenvalue alone would. */
static nsamp_status equi_law(const nsamp_target *t, double h, bool natural, nsamp_law *law) {
    const size_t D = t->dim;
    /* One coordinate has no mode across, where the step may be too long. */
    const double n = (double)D, along = t->variance * (1 + (n - 1) * t->rho),
                 across = D > 1 ? t->variance * (1 - t->rho) : along;
    const double keep = fabs(1 - h / (natural ? 1 : across)),
                 mean_field = natural ? 0 : h / across - h / along;
    const mode_law mode[2] = {mode_of(along, h, natural, keep + fabs(mean_field)),
                              mode_of(across, h, natural, keep)};
    law->modes = 2;
    law->mean = malloc(D * sizeof *law->mean);
    law->var = malloc(D * sizeof *law->var);
    law->tau = malloc(D * sizeof *law->tau);
    law->mode_tau = malloc(2 * sizeof *law->mode_tau);
    law->mode_share = malloc(2 * D * sizeof *law->mode_share);
    if (!law->mean || !law->var || !law->tau || !law->mode_tau || !law->mode_share) return NSAMP_ENOMEM;
    const double total = (mode[0].var + (n - 1) * mode[1].var) / n,
                 share = D > 1 ? mode[0].var / n / total : 1;
    double largest = 0;
    for (int j = 0; j < 2; j++)
        law->mode_tau[j] = mode[j].tau;
    if (D > 1) law->offdiag = (mode[0].var - mode[1].var) / n;
    for (size_t i = 0; i < D; i++) {
        law->mean[i] = t->mean[i];
        law->var[i] = total;
        law->mode_share[2 * i] = share;
        law->mode_share[2 * i + 1] = 1 - share;
        law->tau[i] = share * law->mode_tau[0] + (1 - share) * law->mode_tau[1];
        largest = fmax(largest, fabs(t->mean[i]));
    }
    /* 1 + D kappa = sqrt(along / across): natural */
    const double seen = natural ? sqrt(along / across) : 1, stretch = 0x1p-23 * fabs(seen - 1) / seen;
    const double a = mode[0].rounding.var + 2 * stretch, b = mode[1].rounding.var;
    law->rounding =
        (nsamp_law_rounding){.mean = 0x1p-24 * largest / sqrt(total),
                             .var = share * a + (1 - share) * b,
                             .cov = share * a + mode[1].var / n / total * b,
                             .tau = fmax(mode[0].rounding.tau + 2 * a, mode[1].rounding.tau + 2 * b)};
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
    if (equi_law(t, h, natural, &m->law))
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the law of %zu coordinates", t->dim);
    return NSAMP_OK;
}
