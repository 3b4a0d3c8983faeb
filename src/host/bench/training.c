/* training.c: see training.h. */
#include "bench/training.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"

/* Data: SETS batches of rows. */
enum { CHECKED = 4, SETS = 4 };
static const nsamp_level LEVEL = {0.4, 1.0};
static const uint64_t OF_DATA = UINT64_C(1) << 40, OF_WEIGHTS = UINT64_C(1) << 41;

struct nsamp_trainee {
    nsamp_learner *learner;
    const nsamp_train_kernels *kernels;
    nsamp_noise_key key;
    float *data;     /* [SETS batch][m] */
    float *x0, *eps; /* [batch][m]: the batch that is checked */
    float *widen;    /* [batch] */
    uint32_t *named; /* [NSAMP_BLOCK_STEPS][batch] */
    double *loss;    /* [batch] */
    uint64_t step;
};
typedef nsamp_trainee trainee;

static nsamp_status run_block(trainee *t, size_t steps, double *losses, nsamp_error *err) {
    nsamp_adam adam[NSAMP_BLOCK_STEPS];
    for (size_t i = 0; i < steps; i++)
        adam[i] = (nsamp_adam){1e-3f, 1.0f, 0.9f, 0.999f, 1e-8f, 0.0f};
    const nsamp_train_block block = {.level = LEVEL,
                                     .steps = steps,
                                     .first = t->step,
                                     .key = t->key,
                                     .adam = adam,
                                     .widen = t->widen,
                                     .named = t->named};
    t->step += steps;
    return t->learner->ops->block(t->learner, &block, losses, err);
}

nsamp_status nsamp_trainee_train(void *work, uint64_t times, nsamp_error *err) {
    trainee *t = work;
    double losses[NSAMP_BLOCK_STEPS] = {0};
    while (times) {
        const size_t steps = times < NSAMP_BLOCK_STEPS ? (size_t)times : NSAMP_BLOCK_STEPS;
        const nsamp_status status = run_block(t, steps, losses, err);
        if (status) return status;
        if (!isfinite(losses[steps - 1]))
            return nsamp_fail(err, NSAMP_EDIVERGED, "the loss of batch %llu is %g",
                              (unsigned long long)t->step, losses[steps - 1]);
        times -= steps;
    }
    return NSAMP_OK;
}

/* ---- the check ----------------------------------------------------------------------------------------- */

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

/* Four rows of the first batch against double precision. */
static nsamp_status check_rows(const trainee *t, double *error, nsamp_error *err) {
    const nsamp_learner_shape *s = &t->learner->shape;
    const size_t rows = s->batch < CHECKED ? s->batch : CHECKED;
    double *x = malloc(2 * s->m * sizeof *x);
    if (!x) return nsamp_fail(err, NSAMP_ENOMEM, "no memory to check the training");
    const float *w = t->learner->ops->get(t->learner);
    for (size_t r = 0; r < rows; r++) {
        const double want = loss_of(t, w, r, x, x + s->m);
        *error = fmax(*error, fabs(t->loss[r] - want) / want);
    }
    free(x);
    return NSAMP_OK;
}

/* The block draws its noise and gathers its rows itself: its loss must be that of the rows made here. */
static nsamp_status check(trainee *t, double *error, nsamp_error *err) {
    static const double most[] = {[NSAMP_FP32] = 1e-4, [NSAMP_TF32] = 4e-3, [NSAMP_BF16] = 3e-2};
    const nsamp_learner_shape *s = &t->learner->shape;
    double mean = 0, got = NAN;
    *error = 0;
    for (size_t r = 0; r < s->batch; r++)
        for (size_t i = 0; i < s->m; i++)
            t->x0[r * s->m + i] = t->data[t->named[r] * s->m + i];
    nsamp_batch_noise(t->kernels, s->threads, t->key, t->step, s->batch, s->m, t->eps);
    t->learner->ops->loss(t->learner, &LEVEL, s->batch, t->x0, t->eps, t->loss);
    nsamp_status status = check_rows(t, error, err);
    for (size_t r = 0; r < s->batch; r++)
        mean += t->loss[r] / (double)s->batch;
    if (!status) status = run_block(t, 1, &got, err);
    if (!status) status = t->learner->ops->check(t->learner, err);
    if (status) return status;
    const double apart = fabs(got - mean) / mean;
    *error = apart <= *error ? *error : apart; /* a NaN stays */
    if (*error <= most[s->precision]) return NSAMP_OK;
    return nsamp_fail(
        err, NSAMP_ECHECK,
        "the loss differs from that in double precision, or of a block from that of its rows, by "
        "%.2g; at most %.0e is rounding",
        *error, most[s->precision]);
}

/* ---- set-up -------------------------------------------------------------------------------------------- */

/* W2 of unit gain, W1 small: the loss stays finite however long this is trained. */
static void start(const trainee *t) {
    const nsamp_learner_shape *s = &t->learner->shape;
    float *w = t->learner->ops->get(t->learner);
    nsamp_batch_noise(t->kernels, s->threads, t->key, OF_WEIGHTS, 2 * s->n, s->m, w);
    for (size_t i = 0; i < s->n * s->m; i++)
        w[i] /= sqrtf((float)s->m);
    for (size_t i = s->n * s->m; i < 2 * s->n * s->m; i++)
        w[i] *= 0.3f / sqrtf((float)s->n);
    t->learner->ops->put(t->learner);
}

/* Normal rows, which the learner keeps, and the numbers of those that a block takes: every row of the data, far from its neighbours. */
static nsamp_status make_data(trainee *t, nsamp_error *err) {
    const nsamp_learner_shape *s = &t->learner->shape;
    const size_t rows = SETS * s->batch;
    t->data = malloc(rows * s->m * sizeof *t->data);
    t->x0 = malloc(s->batch * s->m * sizeof *t->x0);
    t->eps = malloc(s->batch * s->m * sizeof *t->eps);
    t->widen = malloc(s->batch * sizeof *t->widen);
    t->named = malloc(NSAMP_BLOCK_STEPS * s->batch * sizeof *t->named);
    t->loss = malloc(s->batch * sizeof *t->loss);
    if (!t->data || !t->x0 || !t->eps || !t->widen || !t->named || !t->loss)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory to time a training in batches of %zu", s->batch);
    for (size_t r = 0; r < s->batch; r++)
        t->widen[r] = 1;
    for (size_t i = 0; i < NSAMP_BLOCK_STEPS * s->batch; i++)
        t->named[i] = (uint32_t)(i * UINT64_C(2654435761) % rows);
    nsamp_batch_noise(t->kernels, s->threads, t->key, OF_DATA, rows, s->m, t->data);
    if (t->learner->ops->keep(t->learner, rows, t->data)) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ENOMEM, "no room for %zu rows of data beside the network", rows);
}

nsamp_status nsamp_training_learner(const nsamp_job *job, int threads, const char *isa,
                                    nsamp_learner **learner, nsamp_error *err) {
    const nsamp_learner_shape shape = {
        .m = (size_t)nsamp_job_int(job, NSAMP_KEY_target_dim),
        .n = (size_t)nsamp_job_int(job, NSAMP_KEY_train_hidden),
        .batch = (size_t)nsamp_job_int(job, NSAMP_KEY_train_batch),
        .activation = NSAMP_RELU,
        .denoiser = true,
        .threads = threads,
        .precision = nsamp_job_is(job, NSAMP_KEY_train_precision, "bf16")   ? NSAMP_BF16
                     : nsamp_job_is(job, NSAMP_KEY_train_precision, "tf32") ? NSAMP_TF32
                                                                            : NSAMP_FP32};
    return nsamp_learner_choose(job, &shape, isa, learner, err);
}

nsamp_status nsamp_trainee_create(nsamp_learner *learner, const char *isa, double *error,
                                  nsamp_trainee **made, nsamp_error *err) {
    trainee *const t = *made = calloc(1, sizeof *t);
    if (!t) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    t->learner = learner;
    t->kernels = nsamp_train_kernels_of(isa);
    t->key = nsamp_noise_key_of(1, 10);
    t->step = 1;
    nsamp_status status = make_data(t, err);
    if (status) return status;
    start(t);
    return check(t, error, err);
}

void nsamp_trainee_destroy(nsamp_trainee *t) {
    if (!t) return;
    free(t->data);
    free(t->x0);
    free(t->eps);
    free(t->widen);
    free(t->named);
    free(t->loss);
    free(t);
}

nsamp_status nsamp_training_measure(nsamp_learner *learner, const char *isa, const nsamp_stopwatch *watch,
                                    nsamp_rate *rate, double *error, nsamp_error *err) {
    nsamp_trainee *t;
    *rate = (nsamp_rate){0, 0, 0};
    nsamp_status status = nsamp_trainee_create(learner, isa, error, &t, err);
    if (!status)
        status = nsamp_measure(watch, nsamp_trainee_train, t, (double)learner->shape.batch, rate, err);
    nsamp_trainee_destroy(t);
    return status;
}
