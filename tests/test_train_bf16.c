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

#include "isa.h"
#include "reference_amx.h"
#include "tiles.h"
#include "train_reference.h"

#define VARIANT(name, isa) extern const nsamp_train_bf16_kernels nsamp_train_bf16_##name;
#include "train_bf16.def"
#undef VARIANT

typedef struct variant {
    const char *name, *isa;
    const nsamp_train_bf16_kernels *kernels;
} variant;

static const variant variants[] = {
#define VARIANT(name, isa) {#name, isa, &nsamp_train_bf16_##name},
#include "train_bf16.def"
#undef VARIANT
};

enum { VARIANTS = sizeof variants / sizeof *variants };

static bool runs(const variant *v) {
    return !strcmp(v->isa, "amx") ? nsamp_isa_has_amx() : tiles_table(v->isa) != NULL;
}

static const nsamp_train_bf16_kernels *best(void) {
    return nsamp_train_bf16_kernels_of(nsamp_isa_best(), nsamp_isa_has_amx());
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
    nsamp_learner *l;
    nsamp_error err;
    if (nsamp_cpu_learner_create(&shape, nsamp_train_kernels_base(), kernels, &l, &err))
        fail_msg("%s", err.text);
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

/* relu, denoiser form: the gradient of a step -> g, laid out as the weights. A chunk has `unit` units. */
static void ref_gradient(const nsamp_learner *l, const nsamp_level *level, const float *w, const float *x,
                         const float *eps, size_t unit, float *g) {
    const size_t m = l->shape.m, n = l->shape.n, rows = l->shape.batch;
    const nsamp_residual q = nsamp_residual_of(&l->shape, level);
    const float *const w2 = w, *const w1 = w + n * m, *const b = w + 2 * n * m;
    float *const h = calloc(n * rows, sizeof *h), *const e = calloc(m * rows, sizeof *e),
                 *const d = calloc(rows + 32, sizeof *d);
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < rows; r++)
            h[j * rows + r] = ref_rounded(fmaxf(ref_sum(m, w2 + j * m, 1, x + r * m, 1, b[j]), 0.0f));
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < m; i++) {
            float f = 0.0f;
            for (size_t c = 0; c < n; c += unit) /* a chunk is a group */
                f += ref_sum(n - c < unit ? n - c : unit, w1 + c * m + i, m, h + c * rows + r, rows, 0.0f);
            e[r * m + i] = q.gradient * fmaf(q.noise, eps[r * m + i], f - x[r * m + i]);
        }
    for (size_t j = 0; j < n; j++) {
        float lane[16] = {0}, sum = 0.0f;
        for (size_t r = 0; r < rows; r++) {
            d[r] = h[j * rows + r] > 0.0f ? ref_sum(m, w1 + j * m, 1, e + r * m, 1, 0.0f) : 0.0f;
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

/* small: of hidden units and of e, so that at 2^-63 sums for W1 lie on both sides of the smallest normal number. slow: also by the builds
 * without optimisation. */
static void same_as_reference(size_t m, size_t n, size_t rows, size_t unit, double small, bool slow) {
    const problem p = {m, n, rows, NSAMP_RELU, true, false, 0.5, small, 0.0};
    const nsamp_level level = {p.sigma, p.weight};
    const nsamp_adam adam = {0.01f, 1, 0, 0.5f, 1e-8f, 0.0f}; /* the first moment is the gradient */
    float *expected = NULL;
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v]) || (!slow && strstr(variants[v].name, "_O0_"))) continue;
        nsamp_learner *l = learner_of(&p, false, 2, variants[v].kernels);
        const size_t weights = nsamp_learner_weights(&l->shape);
        float *x0 = rows_of(&p), *eps = rows_of(&p), *w = l->ops->get(l);
        make_odd(weights, w);
        for (size_t i = 0; i < weights; i++)
            if (i < n * m || i >= 2 * n * m) w[i] *= (float)small;
        make_odd(rows * m, x0);
        make_odd(rows * m, eps);
        if (!expected) {
            float *x = malloc(rows * m * sizeof *x);
            expected = calloc(weights, sizeof *expected);
            for (size_t i = 0; i < rows * m; i++)
                x[i] = x0[i] + 0.5f * eps[i];
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

/* One and several tiles of inputs, outputs, units, rows and chunks, whole and broken. */
static void test_order(void **state) {
    (void)state;
    same_as_reference(1, 1, 1, 128, 1.0, true);
    same_as_reference(3, 40, 5, 128, 1.0, true);
    same_as_reference(32, 128, 64, 128, 1.0, true);
    same_as_reference(50, 150, 33, 128, 1.0, true);
    same_as_reference(17, 290, 70, 128, 1.0, true);
    same_as_reference(17, 60, 70, 128, 0x1p-63, true);
    same_as_reference(2, 4100, 257, 256, 1.0, false); /* large chunks */
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
        float *other = after_steps(&p, v < 0 ? 1 - v : 1, v < 0 ? best() : variants[v].kernels, losses);
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

/* Losses and outputs of fewer rows than a batch, which change nothing: to the bit those of the same rows in a batch of that size. */
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

/* ---- what is given back ------------------------------------------------------------------------------------- */

static void test_given_back(void **state) {
    (void)state;
    const problem p = {5, 70, 9, NSAMP_RELU, true, false, 0.6, 0.7, 0.0};
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v])) continue;
        double losses[3];
        volatile float tiny = FLT_MIN;
        free(after_steps(&p, 1, variants[v].kernels, losses));
        if (!(tiny * 0.5f > 0.0f)) fail_msg("%s leaves subnormal numbers as 0", variants[v].name);
#ifdef NSAMP_X86_64
        if (nsamp_isa_has_amx()) {
            unsigned low, high;
            __asm__ volatile("xgetbv"
                             : "=a"(low), "=d"(high)
                             : "c"(1)); /* parts of the state that are in use */
            if (low & 3 << 17) fail_msg("%s leaves tiles in use", variants[v].name);
        }
#endif
    }
}

static void test_instruction_sets(void **state) {
    (void)state;
    int missing = 0, unit = 0;
    for (size_t v = 0; v < VARIANTS; v++) {
        missing += !runs(&variants[v]);
        unit += !strcmp(variants[v].isa, "amx");
    }
    if (!unit) print_message("the compiler does not know the matrix unit: not built\n");
    if (missing)
        print_message("%d of %d builds need what this processor lacks: not run\n", missing, VARIANTS);
    if (missing || !unit) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_gradient),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
