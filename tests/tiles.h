/* tiles.h: drives a model's CPU kernel by hand, tile by tile, for tests of one system without the engine. */
#ifndef NSAMP_TESTS_TILES_H
#define NSAMP_TESTS_TILES_H

#include <stdlib.h>
#include <string.h>

#include "systems/model.h"

typedef struct tiles {
    const nsamp_model *model;
    const nsamp_cpu_kernel *kernel;
    nsamp_noise_key key;
    uint32_t lanes, chain0;
    uint64_t chains, count; /* count: tiles */
    float *state;           /* [count][S][L] */
    float *x;               /* [D][L] of one tile */
    uint32_t *bad;          /* [count][L] */
} tiles;

/* The best table of this machine, or the one named. */
static inline const nsamp_cpu_kernel *tiles_table(const char *isa) {
#ifdef NSAMP_X86_64
    int best = isa == NULL;
    if ((best || !strcmp(isa, "v4")) && __builtin_cpu_supports("avx512f") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        return nsamp_cpu_kernels_v4();
    if ((best || !strcmp(isa, "v3")) && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return nsamp_cpu_kernels_v3();
    if (isa && strcmp(isa, "base")) return NULL;
#else
    (void)isa;
#endif
    return nsamp_cpu_kernels_base();
}

/* Chains chain0 .. chain0 + chains - 1, started. kernel: NULL for the table's of this machine. */
static inline tiles tiles_create(const nsamp_model *model, const nsamp_cpu_kernel *kernel, uint64_t seed,
                                 uint32_t chain0, uint64_t chains) {
    tiles t = {.model = model, .key = nsamp_noise_key_of(seed, 10), .chain0 = chain0, .chains = chains};
    t.kernel = kernel ? kernel : model->host_kernel ? model->host_kernel : &tiles_table(NULL)[model->kernel];
    t.lanes = t.kernel->lanes ? t.kernel->lanes : model->lanes;
    t.count = (chains + t.lanes - 1) / t.lanes;
    t.state = aligned_alloc(64, t.count * model->state_len * t.lanes * sizeof(float));
    t.x = aligned_alloc(64, model->dim * t.lanes * sizeof(float));
    t.bad = calloc(t.count * t.lanes, sizeof(uint32_t));
    float *one = malloc(model->state_len * sizeof(float));
    double *point = malloc(model->dim * sizeof(double));
    for (uint64_t c = 0; c < t.count * t.lanes; c++) {
        float *tile = t.state + c / t.lanes * model->state_len * t.lanes;
        model->start(model, t.key, chain0 + (uint32_t)c, point, one);
        for (size_t s = 0; s < model->state_len; s++)
            tile[s * t.lanes + c % t.lanes] = one[s];
    }
    free(one);
    free(point);
    return t;
}

static inline nsamp_tile tiles_at(const tiles *t, uint64_t i, void *scratch) {
    nsamp_tile tile = {.state = t->state + i * t->model->state_len * t->lanes,
                       .bad = t->bad + i * t->lanes,
                       .scratch = scratch,
                       .chain0 = t->chain0 + (uint32_t)(i * t->lanes),
                       .lanes = t->lanes,
                       .noise = t->key};
    return tile;
}

static inline size_t tiles_scratch_bytes(const tiles *t) {
    return (t->model->scratch_bytes + 127) / 64 * 64;
}

static inline void tiles_advance(const tiles *t, uint64_t step0, uint32_t nsteps) {
#pragma omp parallel
    {
        void *scratch = aligned_alloc(64, tiles_scratch_bytes(t));
#pragma omp for
        for (uint64_t i = 0; i < t->count; i++) {
            nsamp_tile tile = tiles_at(t, i, scratch);
            t->kernel->advance(t->model->params, &tile, step0, nsteps);
        }
        free(scratch);
    }
}

/* x [chains][D], with the model's offset. */
static inline void tiles_observe(const tiles *t, float *x) {
    const size_t D = t->model->dim;
    void *scratch = aligned_alloc(64, tiles_scratch_bytes(t));
    for (uint64_t i = 0; i < t->count; i++) {
        nsamp_tile tile = tiles_at(t, i, scratch);
        t->kernel->observe(t->model->params, &tile, t->x);
        for (uint64_t l = 0; l < t->lanes && i * t->lanes + l < t->chains; l++)
            for (size_t d = 0; d < D; d++)
                x[(i * t->lanes + l) * D + d] =
                    (float)((double)t->x[d * t->lanes + l] + (t->model->offset ? t->model->offset[d] : 0));
    }
    free(scratch);
}

/* States of all chains [chains][S], as a model's statistics take them. */
static inline void tiles_states(const tiles *t, float *states) {
    const size_t S = t->model->state_len;
    for (uint64_t c = 0; c < t->chains; c++)
        for (size_t s = 0; s < S; s++)
            states[c * S + s] = t->state[(c / t->lanes * S + s) * t->lanes + c % t->lanes];
}

static inline void tiles_destroy(tiles *t) {
    free(t->state);
    free(t->x);
    free(t->bad);
}

#endif
