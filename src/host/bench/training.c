/* training.c: see training.h. */
#include "bench/training.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "train/learner.h"

enum { ROWS = 16, CHECKED = 4 };
static const nsamp_level LEVEL = {0.4, 1.0};

typedef struct trainee {
    nsamp_learner *learner;
    const nsamp_train_kernels *kernels;
    float *x0, *eps; /* [batch][m] */
    uint64_t step;
} trainee;

static void normals(const trainee *t, uint64_t step, size_t rows, float *z) {
    const nsamp_noise_key key = nsamp_noise_key_of(1, 10);
    const size_t m = t->learner->shape.m;
#pragma omp parallel for schedule(static) num_threads(t->learner->shape.threads)
    for (size_t r = 0; r < rows; r += ROWS)
        t->kernels->normals(key, NSAMP_PURPOSE_CHECK, (uint32_t)r, rows - r < ROWS ? rows - r : ROWS, step, m,
                            z + r * m);
}

static nsamp_status train(void *work, uint64_t times, nsamp_error *err) {
    trainee *t = work;
    const nsamp_adam adam = {1e-3f, 1.0f, 0.9f, 0.999f, 1e-8f, 0.0f};
    (void)err;
    for (uint64_t i = 0; i < times; i++) {
        normals(t, t->step++, t->learner->shape.batch, t->eps);
        t->learner->ops->step(t->learner, &LEVEL, &adam, t->x0, t->eps);
    }
    return NSAMP_OK;
}

/* 1/2 |f(x) - x0|^2 / sigma^4 at x = x0 + sigma eps, f = W1 phi(W2 x + b), from the learner's numbers. */
static double loss_of(const trainee *t, const float *w, size_t row, double *x, double *f) {
    const size_t m = t->learner->shape.m, n = t->learner->shape.n;
    const float *const x0 = t->x0 + row * m, *const eps = t->eps + row * m;
    double square = 0;
    for (size_t i = 0; i < m; i++) {
        x[i] = (double)x0[i] + LEVEL.sigma * (double)eps[i];
        f[i] = 0;
    }
    for (size_t j = 0; j < n; j++) {
        double a = (double)w[2 * n * m + j];
        for (size_t i = 0; i < m; i++)
            a += (double)w[j * m + i] * x[i];
        for (size_t i = 0; i < m && a > 0; i++)
            f[i] += (double)w[(n + j) * m + i] * a;
    }
    for (size_t i = 0; i < m; i++)
        square += (f[i] - (double)x0[i]) * (f[i] - (double)x0[i]);
    return 0.5 * square / pow(LEVEL.sigma, 4);
}

static nsamp_status check(const trainee *t, double *error, nsamp_error *err) {
    const nsamp_learner_shape *s = &t->learner->shape;
    const size_t rows = s->batch < CHECKED ? s->batch : CHECKED;
    double got[CHECKED], *x = malloc(2 * s->m * sizeof *x);
    if (!x) return nsamp_fail(err, NSAMP_ENOMEM, "no memory to check the training");
    *error = 0;
    normals(t, UINT64_C(1) << 42, s->batch, t->eps);
    t->learner->ops->loss(t->learner, &LEVEL, rows, t->x0, t->eps, got);
    const float *w = t->learner->ops->get(t->learner);
    for (size_t r = 0; r < rows; r++) {
        const double want = loss_of(t, w, r, x, x + s->m);
        *error = fmax(*error, fabs(got[r] - want) / want);
    }
    free(x);
    if (*error <= 1e-4) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ECHECK,
                      "the loss differs from that in double precision by %.2g; at most 1e-04 is rounding",
                      *error);
}

/* W2 of unit gain, W1 small: the loss stays finite however long this is trained. */
static void start(const trainee *t) {
    const size_t m = t->learner->shape.m, n = t->learner->shape.n;
    float *w = t->learner->ops->get(t->learner);
    normals(t, UINT64_C(1) << 41, 2 * n, w);
    for (size_t i = 0; i < n * m; i++)
        w[i] /= sqrtf((float)m);
    for (size_t i = n * m; i < 2 * n * m; i++)
        w[i] *= 0.3f / sqrtf((float)n);
    t->learner->ops->put(t->learner);
}

nsamp_status nsamp_training_measure(size_t m, size_t n, size_t batch, int threads, const char *isa,
                                    const nsamp_stopwatch *watch, nsamp_rate *rate, double *error,
                                    nsamp_error *err) {
    trainee t = {.kernels = nsamp_train_kernels_of(isa), .step = 1};
    const nsamp_learner_shape shape = {
        .m = m, .n = n, .batch = batch, .activation = NSAMP_RELU, .denoiser = true, .threads = threads};
    *rate = (nsamp_rate){0, 0, 0};
    nsamp_status status = nsamp_cpu_learner_create(&shape, t.kernels, &t.learner, err);
    if (status) return status;
    t.x0 = malloc(2 * batch * m * sizeof *t.x0);
    t.eps = t.x0 ? t.x0 + batch * m : NULL;
    if (t.x0) {
        normals(&t, UINT64_C(1) << 40, batch, t.x0);
        start(&t);
        status = check(&t, error, err);
        if (!status) status = nsamp_measure(watch, train, &t, (double)batch, rate, err);
    } else {
        status = nsamp_fail(err, NSAMP_ENOMEM, "no memory to time the training");
    }
    free(t.x0);
    nsamp_learner_destroy(t.learner);
    return status;
}
