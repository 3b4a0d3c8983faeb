/* start.c: see start.h. Unit j draws as chain j of NSAMP_PURPOSE_WEIGHTS: step 0 its row of W2, 1 b, 2 its
 * column of W1. */
#include "train/start.h"

#include <math.h>

enum { DRAW_W2, DRAW_B, DRAW_W1 };

/* count uniforms on +-half -> out. */
static void uniforms(nsamp_noise_key key, size_t unit, uint64_t step, size_t count, double half, float *out) {
    for (size_t k = 0; k < count; k += 4) {
        nsamp_words r = nsamp_draw_words(key, NSAMP_PURPOSE_WEIGHTS, (uint32_t)unit, step, (uint32_t)(k / 4));
        for (size_t i = k; i < count && i < k + 4; i++)
            out[i] = (float)(half * (2.0 * (double)nsamp_uniform(r.w[i - k]) - 1.0));
    }
}

static void normals(nsamp_noise_key key, size_t unit, uint64_t step, size_t count, double sd, float *out) {
    for (size_t k = 0; k < count; k += 4) {
        float z[4];
        nsamp_normals4(key, NSAMP_PURPOSE_WEIGHTS, (uint32_t)unit, step, (uint32_t)(k / 4), z);
        for (size_t i = k; i < count && i < k + 4; i++)
            out[i] = (float)(sd * (double)z[i - k]);
    }
}

void nsamp_start_weights(const nsamp_learner_shape *shape, const nsamp_train_settings *s, const double *var,
                         double sigma, float *weights) {
    const size_t m = shape->m, n = shape->n;
    float *w2 = weights, *w1 = w2 + n * m, *b = w1 + n * m;
    const double by_m = 1.0 / sqrt((double)m), by_n = 1.0 / sqrt((double)n);
    const nsamp_noise_key key = nsamp_noise_key_of(s->seed, 10);
    for (size_t j = 0; j < n; j++) {
        if (s->torch_init)
            uniforms(key, j, DRAW_W2, m, by_m, w2 + j * m);
        else
            normals(key, j, DRAW_W2, m, by_m, w2 + j * m);
        uniforms(key, j, DRAW_B, 1, s->torch_init ? by_m : 1.0, b + j);
        uniforms(key, j, DRAW_W1, m, s->torch_init ? by_n : 0.3 * by_n, w1 + j * m);
    }
    if (!s->wiener) return;
    double squares = 0;
    for (size_t k = 0; k < m; k++) {
        double gain = var[k] / (var[k] + sigma * sigma);
        squares += gain * gain;
    }
    const double restore = squares > 0 ? sqrt((double)m / squares) : 0;
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < m; k++)
            w2[j * m + k] *= (float)(restore * var[k] / (var[k] + sigma * sigma));
}
