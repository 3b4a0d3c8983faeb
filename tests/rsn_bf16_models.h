/* rsn_bf16_models.h: models of the bf16 kernel of rsn for its tests, and states for their chains. Include cmocka.h first. */
#ifndef NSAMP_TESTS_RSN_BF16_MODELS_H
#define NSAMP_TESTS_RSN_BF16_MODELS_H

#include "rsn_models.h"

enum { CHAINS = 40, LANES = 64 };

/* The kernel's model with jump, so that an observation is y = W1 phi(W2 x + b). */
static inline nsamp_model model_of(nsamp_network *net, nsamp_precision precision) {
    nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
    o.precision = precision;
    o.jump = net->denoiser;
    o.tile = LANES;
    return make(net, &o);
}

/* Numbers of all sizes in the network and in x [CHAINS][m]: ordinary, tiny, subnormal, zeros of both signs, large. */
static inline float odd_number(uint32_t kind, float ordinary) {
    switch (kind % 23) {
    case 3:
        return ordinary * 0x1p-70f;
    case 5:
        return ordinary * 0x1p-120f;
    case 8:
        return ordinary * 0x1p-130f;
    case 12:
        return -0.0f;
    case 17:
        return ordinary * 0x1p20f;
    default:
        return ordinary;
    }
}

static inline nsamp_network *odd_network(size_t m, size_t n) {
    nsamp_network *net = network(m, n, NSAMP_RELU, true);
    for (size_t i = 0; i < m * n; i++) {
        net->w1[i] = odd_number((uint32_t)(i * 7), net->w1[i]);
        net->w2[i] = odd_number((uint32_t)(i * 5 + 1), net->w2[i]);
    }
    for (size_t j = 0; j < n; j++)
        net->b[j] = odd_number((uint32_t)(j * 3), net->b[j]);
    return net;
}

/* x of all chains: normal numbers, or such of all sizes. */
static inline void fill_states(tiles *t, bool odd) {
    for (uint64_t c = 0; c < t->count * t->lanes; c++)
        for (size_t i = 0; i < t->model->dim; i++) {
            const float z = (float)ref_normal(5, REF_PURPOSE_WEIGHTS, (uint32_t)c, 0, (uint32_t)i);
            t->state[(c / t->lanes * t->model->dim + i) * t->lanes + c % t->lanes] =
                odd ? odd_number((uint32_t)(c + 3 * i), z) : z;
        }
}

#endif
