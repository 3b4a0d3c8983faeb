/* training.c: see training.h. */
#include "bench/training.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "train/start.h"

enum { ROWS = 16 };

static void normals(const nsamp_train_kernels *k, uint64_t step, size_t rows, size_t m, int threads,
                    float *z) {
    const nsamp_noise_key key = nsamp_noise_key_of(1, 10);
#pragma omp parallel for schedule(static) num_threads(threads)
    for (size_t r = 0; r < rows; r += ROWS)
        k->normals(key, NSAMP_PURPOSE_CHECK, (uint32_t)r, rows - r < ROWS ? rows - r : ROWS, step, m,
                   z + r * m);
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Seconds of each of steps steps -> seconds, after two that are not timed. */
static void time_steps(nsamp_learner *l, const nsamp_train_kernels *k, int steps, float *x0, float *eps,
                       double *seconds) {
    const nsamp_learner_shape *s = &l->shape;
    const nsamp_level level = {0.4, 1.0};
    for (int i = -2; i < steps; i++) {
        const nsamp_adam adam = {1e-3f, 1.0f, 0.9f, 0.999f, 1e-8f, 0.0f};
        const double begun = omp_get_wtime();
        normals(k, (uint64_t)(i + 2), s->batch, s->m, s->threads, eps);
        l->ops->step(l, &level, &adam, x0, eps);
        if (i >= 0) seconds[i] = omp_get_wtime() - begun;
    }
}

nsamp_status nsamp_training_measure(size_t m, size_t n, size_t batch, int steps, int threads, const char *isa,
                                    nsamp_training_rate *rate, nsamp_error *err) {
    nsamp_learner *learner = NULL;
    const nsamp_learner_shape shape = {.m = m,
                                       .n = n,
                                       .batch = batch,
                                       .activation = NSAMP_RELU,
                                       .denoiser = true,
                                       .threads = threads > 0 ? threads : omp_get_max_threads()};
    const nsamp_train_kernels *k = nsamp_train_kernels_of(isa);
    nsamp_status status = nsamp_cpu_learner_create(&shape, k, &learner, err);
    if (status) return status;
    float *x0 = malloc(2 * batch * m * sizeof *x0);
    double *seconds = malloc((size_t)steps * sizeof *seconds);
    if (x0 && seconds) {
        normals(k, UINT64_C(1) << 40, batch, m, shape.threads, x0);
        normals(k, UINT64_C(1) << 41, 2 * n + n / m, m, shape.threads, learner->ops->get(learner));
        learner->ops->put(learner);
        time_steps(learner, k, steps, x0, x0 + batch * m, seconds);
        qsort(seconds, (size_t)steps, sizeof *seconds, ascending);
        *rate = (nsamp_training_rate){m,
                                      n,
                                      batch,
                                      steps,
                                      (double)batch / seconds[steps / 2],
                                      (double)batch / seconds[steps - 1],
                                      (double)batch / seconds[0],
                                      0};
        rate->flops = rate->samples * 10.0 * (double)m * (double)n;
    } else {
        status = nsamp_fail(err, NSAMP_ENOMEM, "no memory to time the training");
    }
    free(x0);
    free(seconds);
    nsamp_learner_destroy(learner);
    return status;
}
