/* spiking_models.h: models of mh-spiking for its tests. Include cmocka.h first. */
#ifndef NSAMP_TESTS_SPIKING_MODELS_H
#define NSAMP_TESTS_SPIKING_MODELS_H

#include <math.h>
#include <stdlib.h>

#include "systems/mh_spiking.h"

static inline void free_model(nsamp_model *model) {
    if (model->destroy) model->destroy(model);
    free(model->offset);
    free(model->params);
    free(model->law.mean);
    free(model->law.var);
    free(model->law.cov);
}

static inline nsamp_model make(const nsamp_mh_network *net) {
    nsamp_model model = {0};
    nsamp_error err = {0};
    if (nsamp_mh_model(net, &model, &err)) fail_msg("%s", err.text);
    return model;
}

static inline nsamp_mh_network network(bool natural, bool leak, double rho) {
    nsamp_mh_network net = {.dim = 10,
                            .neurons = 100,
                            .natural = natural,
                            .leak = leak,
                            .counts = true,
                            .dt_ms = 0.01,
                            .tau_ms = 20,
                            .gain = 1,
                            .scale = 1,
                            .weight_seed = 1,
                            .variance = 1,
                            .rho = rho,
                            .cov_dim = 64,
                            .start = leak ? NSAMP_MH_ZERO : NSAMP_MH_TARGET,
                            .start_scale = 1};
    return net;
}

/* A covariance with no symmetry: sums of outer products of fixed numbers, plus a diagonal. */
static inline void general_cov(size_t p, double *cov) {
    for (size_t i = 0; i < p; i++)
        for (size_t j = 0; j < p; j++) {
            cov[i * p + j] = i == j ? 0.3 + 0.1 * (double)i : 0.0;
            for (size_t k = 1; k <= 2; k++)
                cov[i * p + j] +=
                    sin(1.3 * (double)(k * (i + 1))) * sin(1.3 * (double)(k * (j + 1))) / (double)k;
        }
}

#endif
