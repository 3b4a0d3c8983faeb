/* test_train_bf16.c: training on a CPU with factors of bf16: a step against the order of a matrix unit as Intel's manual has it, written down
 * once more here, and against central differences; the same bits from gcc and clang, -O0 and -O3, every instruction set, the matrix unit
 * among them where this processor has one (mk/variants.mk makes the objects), threads and blocks; what it gives back. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "job/settings.h"
#include "reference_amx.h"
#include "train_reference.h"

#define BUILDS_LIST       "train_bf16.def"
#define BUILDS_TYPE       nsamp_train_bf16_kernels
#define BUILDS_NAME(name) nsamp_train_bf16_##name
#define BUILDS_UNIT       1
#include "builds.h"

static const nsamp_train_bf16_kernels *best(void) {
    return nsamp_train_cpu_of(nsamp_isa_best(), nsamp_isa_has_amx()).bf16;
}

/* Weights of the size that keeps units and outputs of order 1. */
static nsamp_learner *learner_of(const problem *p, bool amsgrad, int threads,
                                 const nsamp_train_bf16_kernels *kernels) {
    const nsamp_learner_shape shape = {.m = p->m,
                                       .n = p->n,
                                       .batch = p->batch,
                                       .activation = p->activation,
                                       .denoiser = p->denoiser,
                                       .control_variate = p->control_variate,
                                       .amsgrad = amsgrad,
                                       .threads = threads,
                                       .precision = NSAMP_BF16};
    const nsamp_train_cpu with = {nsamp_train_kernels_base(), NULL, kernels};
    nsamp_learner *l;
    nsamp_error err;
    if (nsamp_cpu_learner_create(&shape, &with, &l, &err)) fail_msg("%s", err.text);
    float *w = l->ops->get(l);
    random_state = 88172645463325252u + p->n;
    for (size_t i = 0; i < nsamp_learner_weights(&shape); i++)
        w[i] = (float)(0.7 * uniform());
    l->ops->put(l);
    return l;
}

/* ---- a step in the order of a matrix unit ------------------------------------------------------------------ */

/* The sum of a [n] b [n], rounded, in blocks of 32 filled up with zeros, c before. */
static float ref_sum(size_t n, const float *a, size_t step_a, const float *b, size_t step_b, float c) {
    for (size_t i = 0; i < n; i += 32) {
        float left[32] = {0}, right[32] = {0};
        for (size_t k = i; k < n && k < i + 32; k++) {
            left[k - i] = ref_rounded(a[k * step_a]);
            right[k - i] = ref_rounded(b[k * step_b]);
        }
        c = ref_block(left, right, c, false);
    }
    return c;
}

/* phi' from the rounded h. */
static float ref_slope_of(nsamp_activation phi, float h) {
    return phi == NSAMP_RELU ? (h > 0.0f ? 1.0f : 0.0f) : fmaf(-h, h, 1.0f);
}

/* The gradient of a step -> g, laid out as the weights; relu or tanh. x [rows][m]: noisy rows, and with the control variate those of x0
 * behind them. A chunk has `unit` units; up to 32 groups of chunks are summed one after the other. */
static void ref_gradient(const nsamp_learner *l, const nsamp_level *level, const float *w, const float *x,
                         const float *eps, size_t unit, float *g) {
    const size_t m = l->shape.m, n = l->shape.n, batch = l->shape.batch,
                 rows = l->shape.control_variate ? 2 * batch : batch, chunks = (n + unit - 1) / unit,
                 per_group = (chunks + 31) / 32;
    const nsamp_activation phi = l->shape.activation;
    const nsamp_residual q = nsamp_residual_of(&l->shape, level);
    const float *const w2 = w, *const w1 = w + n * m, *const b = w + 2 * n * m;
    float *const h = calloc(n * rows, sizeof *h), *const e = calloc(m * rows, sizeof *e),
                 *const d = calloc(rows, sizeof *d);
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < rows; r++) {
            const float z = ref_sum(m, w2 + j * m, 1, x + r * m, 1, b[j]);
            h[j * rows + r] = ref_rounded(phi == NSAMP_RELU ? fmaxf(z, 0.0f) : nsamp_tanh(z));
        }
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < m; i++) {
            float f = 0.0f, group = 0.0f;
            for (size_t c = 0; c < chunks; c++) {
                const size_t first = c * unit;
                group = ref_sum(n - first < unit ? n - first : unit, w1 + first * m + i, m,
                                h + first * rows + r, rows, c % per_group ? group : 0.0f);
                if (c % per_group == per_group - 1 || c == chunks - 1) f += group;
            }
            e[r * m + i] = r < batch ? q.gradient * fmaf(q.noise, eps[r * m + i], f - x[r * m + i])
                                     : q.clean * eps[(r - batch) * m + i];
        }
    for (size_t j = 0; j < n; j++) {
        float lane[16] = {0}, sum = 0.0f;
        for (size_t r = 0; r < rows; r++) {
            d[r] = ref_flushed(ref_sum(m, w1 + j * m, 1, e + r * m, 1, 0.0f) *
                               ref_flushed(ref_slope_of(phi, h[j * rows + r])));
            lane[r % 16] = ref_flushed(lane[r % 16] + d[r]);
        }
        for (size_t k = 0; k < 16; k++)
            sum += lane[k];
        g[2 * n * m + j] = sum;
        for (size_t i = 0; i < m; i++) {
            g[j * m + i] = ref_sum(rows, d, 1, x + i, m, 0.0f);
            g[(n + j) * m + i] = ref_sum(rows, h + j * rows, 1, e + i, m, 0.0f);
        }
    }
    free(h), free(e), free(d);
}

/* Of all sizes: ordinary, tiny, subnormal, zero. */
static void make_odd(size_t count, float *x) {
    for (size_t i = 0; i < count; i++)
        x[i] *= i % 7 == 3 ? 0x1p-70f : i % 11 == 5 ? 0x1p-130f : i % 13 == 8 ? 0.0f : 1.0f;
}

/* p.weight: also of hidden units, so that at 2^-63 sums for W1 lie on both sides of the smallest normal number. slow: also by the builds
 * without optimisation. */
static void same_as_reference(problem p, size_t unit, bool slow) {
    const nsamp_level level = {p.sigma, p.weight};
    const nsamp_adam adam = {0.01f, 1, 0, 0.5f, 1e-8f, 0.0f}; /* the first moment is the gradient */
    const size_t m = p.m, n = p.n, rows = p.batch;
    float *expected = NULL;
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v]) || (!slow && strstr(variants[v].name, "_O0_"))) continue;
        nsamp_learner *l = learner_of(&p, false, 2, variants[v].kernel);
        const size_t weights = nsamp_learner_weights(&l->shape);
        float *x0 = rows_of(&p), *eps = rows_of(&p), *w = l->ops->get(l);
        make_odd(weights, w);
        for (size_t i = 0; i < weights; i++)
            if (i < n * m || i >= 2 * n * m) w[i] *= (float)p.weight;
        make_odd(rows * m, x0);
        make_odd(rows * m, eps);
        if (!expected) {
            float *x = malloc(2 * rows * m * sizeof *x);
            expected = calloc(weights, sizeof *expected);
            for (size_t i = 0; i < rows * m; i++)
                x[i] = x0[i] + (float)p.sigma * eps[i];
            memcpy(x + rows * m, x0, rows * m * sizeof *x);
            ref_gradient(l, &level, w, x, eps, unit, expected);
            free(x);
        }
        l->ops->step(l, &level, &adam, x0, eps);
        size_t nonzero = 0;
        for (size_t i = 0; i < weights; i++) {
            const float got = w[weights + i];
            nonzero += got != 0.0f;
            /* A sum of zeros may have either sign in the reference; elsewhere every bit. */
            if (memcmp(&got, &expected[i], sizeof got) && !(got == 0.0f && expected[i] == 0.0f))
                fail_msg("%s: m %zu n %zu, %zu rows: gradient %zu of %zu is %a, reference %a",
                         variants[v].name, m, n, rows, i, weights, (double)got, (double)expected[i]);
        }
        assert_true(nonzero > weights / 3);
        nsamp_learner_destroy(l);
        free(x0), free(eps);
    }
    free(expected);
}

/* One and several tiles of inputs, outputs, units, rows, chunks and groups of chunks, whole and broken. */
static void test_order(void **state) {
    (void)state;
    same_as_reference((problem){1, 1, 1, NSAMP_RELU, true, false, 0.5, 1.0, 0.0}, 128, true);
    same_as_reference((problem){3, 40, 5, NSAMP_TANH, false, true, 0.5, 0.7, 0.0}, 128, true);
    same_as_reference((problem){32, 128, 64, NSAMP_RELU, false, false, 0.5, 1.0, 0.0}, 128, true);
    same_as_reference((problem){50, 150, 33, NSAMP_RELU, true, true, 0.5, 1.0, 0.0}, 128, true);
    same_as_reference((problem){17, 290, 70, NSAMP_TANH, true, false, 0.5, 1.0, 0.0}, 128, true);
    same_as_reference((problem){17, 60, 70, NSAMP_RELU, true, false, 0.5, 0x1p-63, 0.0}, 128, true);
    same_as_reference((problem){2, 4300, 5, NSAMP_RELU, true, false, 0.5, 1.0, 0.0}, 128,
                      false); /* groups of two */
    same_as_reference((problem){2, 4100, 257, NSAMP_RELU, true, false, 0.5, 1.0, 0.0}, 256,
                      false); /* large chunks */
}

/* ---- the same bits ------------------------------------------------------------------------------------------ */

/* All numbers after three steps; free them. */
static float *after_steps(const problem *p, int threads, const nsamp_train_bf16_kernels *kernels,
                          double losses[3]) {
    nsamp_learner *l = learner_of(p, true, threads, kernels);
    float *x0 = rows_of(p), *eps = rows_of(p);
    const nsamp_level level = {p->sigma, p->weight};
    const nsamp_adam adam = {0.01f, 1.1f, 0.9f, 0.99f, 1e-6f, 0.02f};
    for (int i = 0; i < 3; i++)
        losses[i] = l->ops->step(l, &level, &adam, x0, eps);
    const size_t bytes = nsamp_learner_numbers(&l->shape) * sizeof(float);
    float *numbers = memcpy(malloc(bytes), l->ops->get(l), bytes);
    nsamp_learner_destroy(l);
    free(x0), free(eps);
    return numbers;
}

static void same_bits(problem p) {
    const size_t bytes = 4 * p.n * (2 * p.m + 1) * sizeof(float);
    double expected[3], losses[3];
    float *whole = after_steps(&p, 1, best(), expected);
    int compared = 0;
    assert_true(isfinite(expected[0]) && expected[0] != expected[2]);
    for (int v = -2; v < (int)VARIANTS; v++) {
        if (v >= 0 && !runs(&variants[v])) continue;
        float *other = after_steps(&p, v < 0 ? 1 - v : 1, v < 0 ? best() : variants[v].kernel, losses);
        if (memcmp(whole, other, bytes) || memcmp(expected, losses, sizeof losses))
            fail_msg("%s, %d threads: other numbers: n %zu, phi %d", v < 0 ? "chosen here" : variants[v].name,
                     v < 0 ? 1 - v : 1, p.n, p.activation);
        free(other);
        compared++;
    }
    assert_true(compared >= 4);
    free(whole);
}

static void test_bits(void **state) {
    (void)state;
    same_bits((problem){3, 300, 50, NSAMP_RELU, true, false, 0.5, 1.0, 0.0});
    same_bits((problem){40, 130, 33, NSAMP_TANH, false, true, 0.6, 0.7, 0.0});
    same_bits((problem){5, 70, 9, NSAMP_SOFTPLUS, true, true, 0.6, 0.7, 0.0});
}

/* ---- central differences ------------------------------------------------------------------------------------ */

static void test_gradient(void **state) {
    (void)state;
    for (int activation = NSAMP_RELU; activation <= NSAMP_SOFTPLUS; activation++)
        for (int form = 0; form < 2; form++)
            for (int cv = 0; cv < 2; cv++) {
                const nsamp_activation a = (nsamp_activation)activation;
                const problem few = {3, 7, 5, a, form, cv, 0.4, 1.0, 0.0},
                              some = {7, 40, 33, a, form, cv, 0.7, 0.49, 0.05},
                              many = {2, 1100, 70, a, form, cv, 0.9, 1.0, 0.002};
                reference_check_gradient(few, learner_of(&few, false, 2, best()));
                reference_check_gradient(some, learner_of(&some, false, 2, best()));
                reference_check_gradient(many, learner_of(&many, false, 2, best()));
            }
}

/* Losses and outputs of fewer rows than a batch, which change nothing: to the bit those of the same rows in a batch of that size
 * with chunks of the same size. */
static void test_losses(void **state) {
    (void)state;
    for (int cv = 0; cv < 2; cv++) {
        const problem p = {6, 200, 70, NSAMP_TANH, true, cv, 0.5, 1.0, 0.0};
        problem few = p;
        few.batch = 11;
        nsamp_learner *l = learner_of(&p, false, 2, best()), *small = learner_of(&few, false, 1, best());
        const size_t numbers = nsamp_learner_numbers(&l->shape);
        float *x0 = rows_of(&p), *eps = rows_of(&p), f[11 * 6], g[11 * 6],
              *before = memcpy(malloc(numbers * sizeof(float)), l->ops->get(l), numbers * sizeof(float));
        const nsamp_level level = {p.sigma, p.weight};
        double loss[11], other[11];
        l->ops->loss(l, &level, 11, x0, eps, loss);
        small->ops->loss(small, &level, 11, x0, eps, other);
        assert_memory_equal(loss, other, sizeof loss);
        l->ops->forward(l, 11, x0, f);
        small->ops->forward(small, 11, x0, g);
        assert_memory_equal(f, g, sizeof f);
        assert_memory_equal(before, l->ops->get(l), numbers * sizeof(float));
        for (size_t r = 0; r < 11; r++)
            assert_true(isfinite(loss[r]) && (!r || loss[r] != loss[r - 1]));
        nsamp_learner_destroy(l);
        nsamp_learner_destroy(small);
        free(x0), free(eps), free(before);
    }
}

/* Losses and outputs of fewer rows between steps leave nothing behind that a step sees. */
static void test_between(void **state) {
    (void)state;
    for (int cv = 0; cv < 2; cv++) {
        const problem p = {6, 200, 70, NSAMP_SOFTPLUS, true, cv, 0.5, 1.0, 0.0};
        const size_t bytes = 3 * 200 * 13 * sizeof(float);
        const nsamp_level level = {p.sigma, p.weight};
        const nsamp_adam adam = {0.01f, 1.1f, 0.9f, 0.99f, 1e-6f, 0.0f};
        nsamp_learner *one = learner_of(&p, false, 2, best()), *other = learner_of(&p, false, 2, best());
        float *x0 = rows_of(&p), *eps = rows_of(&p), f[33 * 6];
        double loss[11];
        for (int i = 0; i < 3; i++) {
            other->ops->loss(other, &level, 11, eps, x0, loss);
            other->ops->forward(other, 33, eps, f);
            assert_true(one->ops->step(one, &level, &adam, x0, eps) ==
                        other->ops->step(other, &level, &adam, x0, eps));
        }
        assert_memory_equal(one->ops->get(one), other->ops->get(other), bytes);
        nsamp_learner_destroy(one);
        nsamp_learner_destroy(other);
        free(x0), free(eps);
    }
}

/* A block of steps is the same as its steps one by one. */
static void test_blocks(void **state) {
    (void)state;
    enum { STEPS = 5, M = 6, BATCH = 20 };
    const problem p = {M, 150, BATCH, NSAMP_RELU, true, true, 0.6, 0.7, 0.0};
    const size_t bytes = 3 * 150 * (2 * M + 1) * sizeof(float);
    const nsamp_level level = {p.sigma, p.weight};
    const nsamp_noise_key key = nsamp_noise_key_of(9, 10);
    float x0[STEPS * BATCH * M], widen[BATCH], eps[BATCH * M];
    nsamp_adam adam[STEPS];
    double losses[STEPS];
    nsamp_learner *block = learner_of(&p, false, 2, best()), *single = learner_of(&p, false, 2, best());
    for (size_t i = 0; i < STEPS * BATCH * M; i++)
        x0[i] = (float)uniform();
    for (size_t r = 0; r < BATCH; r++)
        widen[r] = r < 4 ? 1.5f + (float)r : 1.0f;
    for (int i = 0; i < STEPS; i++)
        adam[i] = (nsamp_adam){0.01f / (float)(i + 1), 1.1f, 0.9f, 0.99f, 1e-6f, 0.02f};
    const nsamp_train_block b = {level, STEPS, 7, key, adam, widen, NULL, x0};
    assert_int_equal(block->ops->block(block, &b, losses, NULL), NSAMP_OK);
    for (size_t i = 0; i < STEPS; i++) {
        nsamp_batch_noise(nsamp_train_kernels_base(), 1, key, 7 + i, BATCH, M, eps);
        for (size_t j = 0; j < BATCH * M; j++)
            eps[j] *= widen[j / M];
        assert_true(losses[i] == single->ops->step(single, &level, &adam[i], x0 + i * BATCH * M, eps));
    }
    assert_memory_equal(block->ops->get(block), single->ops->get(single), bytes);
    nsamp_learner_destroy(block);
    nsamp_learner_destroy(single);
}

/* ---- where it is computed ----------------------------------------------------------------------------------- */

static void chosen(const char *backend, const char *isa, bool unit) {
    const nsamp_learner_shape shape = {
        .m = 2, .n = 40, .batch = 8, .activation = NSAMP_RELU, .precision = NSAMP_BF16};
    nsamp_job *job = nsamp_job_create();
    nsamp_learner *l;
    nsamp_error err = {0};
    if (nsamp_job_set_all(job, backend, &err) || nsamp_learner_choose(job, &shape, isa, &l, &err))
        fail_msg("%s", err.text);
    if (!strcmp(l->ops->name, "cpu")) { /* auto may have found a GPU */
        assert_true(l->matrix_unit == unit);
        assert_non_null(strstr(l->text, unit ? "bf16, by the matrix unit" : "bf16, by multiply-adds"));
    }
    nsamp_learner_destroy(l);
    nsamp_job_destroy(job);
}

/* The unit where the processor has it, but not for an instruction set that was asked for by name. */
static void test_choice(void **state) {
    (void)state;
    chosen("run.backend=cpu", nsamp_isa_best(), nsamp_isa_has_amx());
    chosen("run.backend=auto", nsamp_isa_best(), nsamp_isa_has_amx());
    chosen("run.backend=cpu", "base", false);
}

/* ---- what is given back ------------------------------------------------------------------------------------- */

static void test_given_back(void **state) {
    (void)state;
    const problem p = {5, 70, 9, NSAMP_RELU, true, false, 0.6, 0.7, 0.0};
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v])) continue;
        double losses[3];
        free(after_steps(&p, 1, variants[v].kernel, losses));
        assert_given_back(&variants[v]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_between),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
