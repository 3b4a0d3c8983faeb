/* rsn_models.h: networks and models of rsn for its tests. Include cmocka.h first. */
#ifndef NSAMP_TESTS_RSN_MODELS_H
#define NSAMP_TESTS_RSN_MODELS_H

#include <math.h>
#include <stdlib.h>

#include "isa.h"
#include "reference_noise.h"
#include "systems/rsn.h"
#include "systems/start.h"
#include "tiles.h"

/* Random weights of a size that keeps the drift pointing inwards, so that rounding errors do not grow. */
static inline nsamp_network *network(size_t m, size_t n, nsamp_activation phi, bool denoiser) {
    nsamp_network *net = nsamp_network_create(m, n);
    assert_non_null(net);
    for (size_t j = 0; j < n; j++) {
        const uint32_t unit = (uint32_t)j;
        net->b[j] = (float)(0.5 * ref_normal(1, REF_PURPOSE_WEIGHTS, unit, 0, 0));
        for (size_t i = 0; i < m; i++) {
            net->w2[j * m + i] =
                (float)(ref_normal(1, REF_PURPOSE_WEIGHTS, unit, 1, (uint32_t)i) / sqrt((double)m));
            net->w1[i * n + j] =
                (float)(ref_normal(1, REF_PURPOSE_WEIGHTS, unit, 2, (uint32_t)i) / sqrt((double)n));
        }
    }
    net->activation = phi;
    net->denoiser = denoiser;
    net->sigma = 0.4;
    for (size_t i = 0; i < m; i++)
        net->start_var[i] = 1.0 + 0.5 * (double)i;
    return net;
}

static inline nsamp_rsn_options options(bool reservoir, nsamp_rsn_path path) {
    const nsamp_cpu_kernel *table = tiles_table(NULL);
    nsamp_rsn_options o = {.h = 0.1,
                           .reservoir = reservoir,
                           .path = path,
                           .precision = NSAMP_FP32,
                           .chains = 64,
                           .threads = 1,
                           .cov_dim = 64,
                           .isa = nsamp_isa_best(),
                           .noise = &table[NSAMP_KERNEL_rsn_noise],
                           .move = &table[NSAMP_KERNEL_rsn_move]};
    return o;
}

/* Before it is known where the chains run. */
static inline nsamp_model make_unprepared(nsamp_network *net, const nsamp_rsn_options *o) {
    nsamp_model model = {.start_kind = NSAMP_START_NORMAL, .start_scale = 1.0};
    nsamp_error err = {0};
    if (nsamp_rsn_model(net, o, &model, &err)) fail_msg("%s", err.text);
    return model;
}

/* For this CPU. */
static inline nsamp_model make(nsamp_network *net, const nsamp_rsn_options *o) {
    nsamp_model model = make_unprepared(net, o);
    nsamp_error err = {0};
    if (model.prepare && model.prepare(&model, &err)) fail_msg("%s", err.text);
    return model;
}

static inline void free_model(nsamp_model *model) {
    if (model->destroy) model->destroy(model);
    free(model->params);
    free(model->law.mean);
    free(model->law.var);
    free(model->law.cov);
    free(model->law.tau);
}

#endif
