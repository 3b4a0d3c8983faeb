/* learner.c: what all learners share. */
#include "train/learner.h"

#include <string.h>

size_t nsamp_learner_weights(const nsamp_learner_shape *shape) {
    return shape->n * (2 * shape->m + 1);
}

size_t nsamp_learner_numbers(const nsamp_learner_shape *shape) {
    return nsamp_learner_weights(shape) * (shape->amsgrad ? 4 : 3);
}

nsamp_residual nsamp_residual_of(const nsamp_learner_shape *shape, const nsamp_level *level) {
    const double variance = level->sigma * level->sigma, batch = (double)shape->batch;
    const double a = shape->denoiser ? 1.0 / variance : 1.0;
    nsamp_residual r = {
        .noise = (float)(shape->denoiser ? level->sigma : 1.0 / level->sigma),
        .gradient = (float)(level->weight * a * a / batch),
        .clean = (float)(-level->weight * a / (level->sigma * batch)),
        .square = 0.5 * a * a,
        .cross = -a / level->sigma,
        .inverse_variance = 1.0 / variance,
        .control_variate = shape->control_variate,
    };
    return r;
}

const nsamp_train_kernels *nsamp_train_kernels_of(const char *isa) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) return nsamp_train_kernels_v4();
    if (!strcmp(isa, "v3")) return nsamp_train_kernels_v3();
#endif
    (void)isa;
    return nsamp_train_kernels_base();
}

nsamp_train_cpu nsamp_train_cpu_of(const char *isa, bool amx) {
    nsamp_train_cpu k = {nsamp_train_kernels_of(isa), &nsamp_train_fp32_base, &nsamp_train_bf16_base};
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) k.fp32 = &nsamp_train_fp32_v4, k.bf16 = &nsamp_train_bf16_v4;
    if (!strcmp(isa, "v3")) k.fp32 = &nsamp_train_fp32_v3, k.bf16 = &nsamp_train_bf16_v3;
#endif
#ifdef NSAMP_HAVE_AMX
    if (amx) k.bf16 = &nsamp_train_bf16_amx;
#endif
    (void)amx;
    return k;
}

void nsamp_batch_noise(const nsamp_train_kernels *kernels, int threads, nsamp_noise_key key, uint64_t batch,
                       size_t rows, size_t m, float *eps) {
    enum { ROWS = 16 };
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t r = 0; r < rows; r += ROWS)
        kernels->normals(key, NSAMP_PURPOSE_TRAIN, (uint32_t)r, rows - r < ROWS ? rows - r : ROWS, batch, m,
                         eps + r * m);
}

void nsamp_learner_destroy(nsamp_learner *l) {
    if (l) l->ops->destroy(l);
}
