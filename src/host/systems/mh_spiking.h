/* mh_spiking.h: the spiking Metropolis-Hastings network as the host sees it: what it is built from, and what
 * its law says. The step is in kernels/systems/mh_spiking.h. */
#ifndef NSAMP_HOST_SYSTEMS_MH_SPIKING_H
#define NSAMP_HOST_SYSTEMS_MH_SPIKING_H

#include <stdbool.h>
#include "systems/model.h"

typedef enum nsamp_mh_start {
    NSAMP_MH_ZERO,
    NSAMP_MH_NORMAL,
    NSAMP_MH_UNIFORM,
    NSAMP_MH_TARGET
} nsamp_mh_start;

/* A network in numbers: what nsamp_build_mh_spiking reads from the job. */
typedef struct nsamp_mh_network {
    size_t dim, neurons; /* p; n, even */
    bool natural, leak, counts;
    double dt_ms, tau_ms, gain, scale; /* scale: variance of the entries of A */
    uint64_t weight_seed, burn_in;     /* burn_in: steps before spikes are counted */
    const double *mean;                /* [p]; NULL: zero */
    const double *cov;                 /* [p * p]; NULL: equicorrelated, variance and rho */
    double variance, rho;
    size_t cov_dim; /* the law's covariance is filled up to this dimension */
    nsamp_mh_start start;
    double start_scale;
} nsamp_mh_network;

/* What the model keeps beside the kernel's parameters; model->extra. */
typedef struct nsamp_mh_extra {
    nsamp_mh_network net; /* mean and cov are NULL here */
    double *inverse_mean; /* [p] Sigma^(-1/2) mu */
    double *inverse_root; /* [p * p] Sigma^(-1/2); NULL when equicorrelated */
    double inverse_a, inverse_b;
} nsamp_mh_extra;

/* Fills a zeroed model (kernel, parameters, law, start, statistics). NSAMP_EUSAGE with the value and what is
 * valid. */
nsamp_status nsamp_mh_model(const nsamp_mh_network *net, nsamp_model *model, nsamp_error *err);

/* [n/2]: 2 Phi(-sqrt(g) |w_j| / 2), the stationary acceptance of neurons j and j + n/2 without leak. */
void nsamp_mh_acceptance(const nsamp_model *model, double *acceptance);
/* E z under leak, [p], to first order in the size of a proposal: with J = (1/n) sum_j acceptance_j w_j w_j^T
 * in whitened coordinates, a proposal pulls the mean by (g/2) J (mu - y) and the leak by -eta z. Holds where
 * proposals are small against the target (acceptance near 1) and the pull is much stronger than the leak. */
nsamp_status nsamp_mh_leak_mean(const nsamp_model *model, double *mean, nsamp_error *err);

/* Law without leak -> model->law. */
nsamp_status nsamp_mh_law(const nsamp_mh_network *net, nsamp_model *model, nsamp_error *err);
/* model->statistics: spikes, rate_hz and acceptance of each neuron, and the means over neurons. */
nsamp_status nsamp_mh_statistics(const nsamp_model *model, const float *states, uint64_t chains,
                                 uint64_t steps, nsamp_statistic **list, size_t *count, nsamp_error *err);

#endif
