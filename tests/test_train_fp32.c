/* test_train_fp32.c: steps of a training in float32 on a CPU, every weight, moment and loss to the bit: against the order of sums that
 * kernels/train_fp32.h promises, written down once more here one multiply-add at a time; by gcc and clang, -O0 and -O3, every instruction set
 * (mk/variants.mk makes the objects); on any number of threads. That the step is the right one is test_train_gradient.c's. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "train_reference.h"

#define BUILDS_LIST       "train_fp32.def"
#define BUILDS_TYPE       nsamp_train_fp32_kernels
#define BUILDS_NAME(name) nsamp_train_fp32_##name
#define BUILDS_UNIT       0
#include "builds.h"

#ifdef NSAMP_X86_64
enum { CALLED = true }; /* a multiply-add of plain x86-64 */
#else
enum { CALLED = false };
#endif
enum { STEPS = 3 };
/* Without decay where a relu leaves weights without a gradient, so that their moments become subnormal. */
static nsamp_adam adam_of(nsamp_activation phi) {
    return (nsamp_adam){0.01f, 1.1f, 0.9f, 0.99f, 1e-6f, phi == NSAMP_RELU ? 0.0f : 0.02f};
}

/* ---- the reference ------------------------------------------------------------------------------------------ */

/* Sum of n terms a_i b_i behind c, in order. */
static float ref_sum(size_t n, const float *a, size_t step_a, const float *b, size_t step_b, float c) {
    for (size_t i = 0; i < n; i++)
        c = fmaf(a[i * step_a], b[i * step_b], c);
    return c;
}

static float ref_phi(nsamp_activation phi, float z) {
    return phi == NSAMP_RELU ? (z < 0.0f ? 0.0f : z) : phi == NSAMP_TANH ? nsamp_tanh(z) : nsamp_softplus(z);
}

static float ref_slope(nsamp_activation phi, float h) {
    return phi == NSAMP_RELU   ? (h > 0.0f ? 1.0f : 0.0f)
           : phi == NSAMP_TANH ? fmaf(-h, h, 1.0f)
                               : 1.0f - nsamp_exp(-h);
}

static float ref_flushed(float x) {
    return fabsf(x) < 0x1p-126f ? 0.0f : x;
}

static void ref_adam(const nsamp_adam *a, size_t count, const float *g, float *w, float *m, float *v,
                     float *seen) {
    for (size_t i = 0; i < count; i++) {
        const float slope = fmaf(a->decay, w[i], g[i]);
        m[i] = ref_flushed(fmaf(a->beta1, m[i], (1.0f - a->beta1) * slope));
        v[i] = ref_flushed(fmaf(a->beta2, v[i], (1.0f - a->beta2) * (slope * slope)));
        if (seen) seen[i] = v[i] > seen[i] ? v[i] : seen[i];
        w[i] = fmaf(-a->rate, m[i] / fmaf(sqrtf(seen ? seen[i] : v[i]), a->unbias, a->epsilon), w[i]);
    }
}

/* d objective / d f of all rows -> e [rows][m]; f [rows][m]; returns the mean loss. */
static double ref_residual(const nsamp_learner_shape *s, const nsamp_level *level, const float *x,
                           const float *eps, const float *f, float *e) {
    const nsamp_residual q = nsamp_residual_of(s, level);
    const size_t m = s->m, batch = s->batch;
    double mean = 0;
    for (size_t r = 0; r < batch; r++) {
        double loss = 0, clean = 0;
        for (size_t i = r * m; i < (r + 1) * m; i++) {
            const float off = fmaf(q.noise, eps[i], f[i] - x[i]);
            loss += q.square * (double)off * (double)off;
            e[i] = q.gradient * off;
            if (!s->control_variate) continue;
            loss += 0.5 * q.inverse_variance * (1.0 - (double)eps[i] * (double)eps[i]);
            const size_t c = batch * m + i;
            clean += q.cross * (double)(f[c] - x[c]) * (double)eps[i];
            e[c] = q.clean * eps[i];
        }
        mean += loss + clean;
    }
    return mean / (double)batch;
}

/* One step on numbers laid out as the learner's, in chunks of `unit` units, of which up to 32 groups are summed apart. Returns the loss. */
static double ref_step(const nsamp_learner_shape *s, const nsamp_level *level, size_t unit, const float *x0,
                       const float *eps, float *numbers) {
    const size_t m = s->m, n = s->n, rows = s->control_variate ? 2 * s->batch : s->batch,
                 weights = n * (2 * m + 1), chunks = (n + unit - 1) / unit, per_group = (chunks + 31) / 32;
    float *const w2 = numbers, *const w1 = w2 + n * m, *const b = w1 + n * m;
    float *const x = malloc(rows * m * sizeof *x), *const h = malloc(n * rows * sizeof *h),
                 *const f = malloc(rows * m * sizeof *f), *const e = malloc(rows * m * sizeof *e),
                 *const d = malloc(rows * sizeof *d), *const g = malloc(weights * sizeof *g);
    for (size_t i = 0; i < s->batch * m; i++) {
        const float noise = (float)level->sigma * eps[i];
        x[i] = x0[i] + noise;
        if (s->control_variate) x[s->batch * m + i] = x0[i];
    }
    for (size_t j = 0; j < n; j++)
        for (size_t r = 0; r < rows; r++)
            h[j * rows + r] = ref_phi(s->activation, ref_sum(m, w2 + j * m, 1, x + r * m, 1, b[j]));
    for (size_t r = 0; r < rows; r++)
        for (size_t i = 0; i < m; i++) {
            float all = 0.0f;
            for (size_t first = 0; first < n; first += unit * per_group) {
                const size_t units = n - first < unit * per_group ? n - first : unit * per_group;
                const float group = ref_sum(units, w1 + first * m + i, m, h + first * rows + r, rows, 0.0f);
                all = first ? all + group : group;
            }
            f[r * m + i] = all;
        }
    const double loss = ref_residual(s, level, x, eps, f, e);
    for (size_t j = 0; j < n; j++) {
        float lane[16] = {0}, sum = 0.0f;
        for (size_t r = 0; r < rows; r++) {
            d[r] = ref_sum(m, w1 + j * m, 1, e + r * m, 1, 0.0f) * ref_slope(s->activation, h[j * rows + r]);
            lane[r % 16] += d[r];
        }
        for (size_t k = 0; k < 16; k++)
            sum += lane[k];
        g[2 * n * m + j] = sum;
        for (size_t i = 0; i < m; i++) {
            g[j * m + i] = ref_sum(rows, d, 1, x + i, m, 0.0f);
            g[(n + j) * m + i] = ref_sum(rows, h + j * rows, 1, e + i, m, 0.0f);
        }
    }
    const nsamp_adam adam = adam_of(s->activation);
    ref_adam(&adam, weights, g, numbers, numbers + weights, numbers + 2 * weights,
             s->amsgrad ? numbers + 3 * weights : NULL);
    free(x), free(h), free(f), free(e), free(d), free(g);
    return loss;
}

/* ---- to the bit --------------------------------------------------------------------------------------------- */

/* Numbers to begin with: weights that keep units and outputs of order 1, units that are silent, moments of all sizes, many of
 * them about to become subnormal. */
static void make_numbers(const nsamp_learner_shape *s, float *numbers) {
    const size_t weights = nsamp_learner_weights(s), biases = 2 * s->n * s->m;
    for (size_t i = 0; i < nsamp_learner_numbers(s); i++) {
        const float u = (float)uniform();
        if (i < weights)
            numbers[i] = u / sqrtf((float)(i < s->n * s->m ? s->m : s->n)) -
                         (i >= biases && i % 5 == 0 ? 100.0f : 0.0f);
        else
            numbers[i] = (i < 2 * weights ? u : u * u) * (i % 3 ? 0x1p-20f : 0x1.1p-126f);
    }
}

static nsamp_learner *learner_of(const nsamp_learner_shape *s, const nsamp_train_fp32_kernels *kernels) {
    const nsamp_train_cpu with = {nsamp_train_kernels_base(), kernels, NULL};
    nsamp_learner *l;
    nsamp_error err;
    if (nsamp_cpu_learner_create(s, &with, &l, &err)) fail_msg("%s", err.text);
    random_state = 88172645463325252u + s->n;
    make_numbers(s, l->ops->get(l));
    l->ops->put(l);
    return l;
}

static void compare(const nsamp_learner_shape *s, const nsamp_level *level, size_t unit, const char *name,
                    const nsamp_train_fp32_kernels *kernels, const float *x0, const float *eps,
                    const float *expected, const double *losses) {
    const nsamp_adam adam = adam_of(s->activation);
    nsamp_learner *l = learner_of(s, kernels);
    float *const f = malloc(s->batch * s->m * sizeof *f);
    double *const of_rows = malloc(s->batch * sizeof *of_rows);
    for (int t = 0; t < STEPS; t++) {
        /* Fewer rows between steps: nothing of them may be seen by a step. */
        l->ops->loss(l, level, (s->batch + 1) / 2, eps, x0, of_rows);
        l->ops->forward(l, 1, eps, f);
        const double loss = l->ops->step(l, level, &adam, x0, eps);
        if (loss != losses[t])
            fail_msg("%s, %d threads: m %zu n %zu, batch %zu: loss %d is %.17g, reference %.17g", name,
                     s->threads, s->m, s->n, s->batch, t, loss, losses[t]);
    }
    const float *const got = l->ops->get(l);
    size_t flushed = 0;
    for (size_t i = 0; i < nsamp_learner_numbers(s); i++)
        if (memcmp(got + i, expected + i, sizeof *got))
            fail_msg("%s, %d threads: m %zu n %zu, batch %zu, chunks of %zu: number %zu of %zu is %a, "
                     "reference %a",
                     name, s->threads, s->m, s->n, s->batch, unit, i, nsamp_learner_numbers(s),
                     (double)got[i], (double)expected[i]);
        else
            flushed += i >= nsamp_learner_weights(s) && got[i] == 0.0f;
    assert_true(s->n < 5 || s->activation != NSAMP_RELU || flushed > 0);
    free(f), free(of_rows);
    nsamp_learner_destroy(l);
}

/* slow: not by the builds without optimisation, nor by multiply-adds that are calls. */
static void same_as_reference(nsamp_learner_shape s, size_t unit, bool slow) {
    const nsamp_level level = {0.6, 0.7};
    const problem p = {.m = s.m, .n = s.n, .batch = s.batch};
    const size_t bytes = nsamp_learner_numbers(&s) * sizeof(float);
    double losses[STEPS];
    nsamp_learner *l = learner_of(&s, &nsamp_train_fp32_base);
    float *expected = memcpy(malloc(bytes), l->ops->get(l), bytes), *x0 = rows_of(&p), *eps = rows_of(&p);
    nsamp_learner_destroy(l);
    for (int t = 0; t < STEPS; t++)
        losses[t] = ref_step(&s, &level, unit, x0, eps, expected);
    assert_true(isfinite(losses[0]) && losses[0] != losses[STEPS - 1]);
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v])) continue;
        if (slow && (strstr(variants[v].name, "_O0_") || (CALLED && !strcmp(variants[v].isa, "base"))))
            continue;
        s.threads = 1 + (int)(v % 3);
        compare(&s, &level, unit, variants[v].name, variants[v].kernel, x0, eps, expected, losses);
    }
    s.threads = 2;
    compare(&s, &level, unit, "chosen here", nsamp_train_cpu_of(nsamp_isa_best(), false).fp32, x0, eps,
            expected, losses);
    free(expected), free(x0), free(eps);
}

static nsamp_learner_shape shape(size_t m, size_t n, size_t batch, nsamp_activation phi, bool cv,
                                 bool amsgrad) {
    return (nsamp_learner_shape){.m = m,
                                 .n = n,
                                 .batch = batch,
                                 .activation = phi,
                                 .denoiser = !cv,
                                 .control_variate = cv,
                                 .amsgrad = amsgrad,
                                 .precision = NSAMP_FP32};
}

/* Blocks of units and of outputs, lanes of rows and of inputs, whole and broken; rows of weights that fill half a vector and less. */
static void test_small(void **state) {
    (void)state;
    same_as_reference(shape(1, 1, 1, NSAMP_RELU, false, false), 126, false);
    same_as_reference(shape(3, 40, 5, NSAMP_TANH, true, true), 126, false);
    same_as_reference(shape(8, 29, 17, NSAMP_RELU, false, true), 126, false);
    same_as_reference(shape(9, 27, 40, NSAMP_SOFTPLUS, false, false), 126, false);
    same_as_reference(shape(16, 13, 33, NSAMP_RELU, true, false), 126, false);
    same_as_reference(shape(31, 11, 64, NSAMP_TANH, false, true), 126, false);
}

/* Several panels of inputs and groups of rows, the last of each length in vectors. */
static void test_panels(void **state) {
    (void)state;
    same_as_reference(shape(64, 20, 65, NSAMP_RELU, false, false), 126, false);
    same_as_reference(shape(75, 14, 82, NSAMP_TANH, false, true), 126, false);
    same_as_reference(shape(100, 9, 98, NSAMP_RELU, false, true), 126, false);
    same_as_reference(shape(120, 8, 60, NSAMP_SOFTPLUS, true, false), 126, false);
    same_as_reference(shape(145, 6, 130, NSAMP_RELU, false, false), 126, false);
}

/* Chunks, groups of chunks; chunks that are smaller where there are many inputs. */
static void test_chunks(void **state) {
    (void)state;
    same_as_reference(shape(5, 126, 8, NSAMP_RELU, false, false), 126, false);
    same_as_reference(shape(5, 290, 8, NSAMP_RELU, false, true), 126, false);
    same_as_reference(shape(2, 4300, 5, NSAMP_RELU, false, false), 126, true); /* groups of two */
    same_as_reference(shape(400, 230, 9, NSAMP_RELU, false, false), 108, true);
    same_as_reference(shape(784, 120, 20, NSAMP_TANH, false, true), 54, true);
    same_as_reference(shape(2000, 50, 3, NSAMP_RELU, false, false), 24, true);
}

/* More rows than stay in registers together: 512. */
static void test_many_rows(void **state) {
    (void)state;
    same_as_reference(shape(5, 20, 513, NSAMP_RELU, false, false), 126, true);
    same_as_reference(shape(70, 13, 640, NSAMP_TANH, false, true), 126, true);
    same_as_reference(shape(3, 7, 520, NSAMP_SOFTPLUS, true, false), 126, true); /* 1,040 rows */
}

/* ---- what is not a number ----------------------------------------------------------------------------------- */

/* A NaN in any kind of weight reaches the loss, relu or not. */
static void test_not_a_number(void **state) {
    (void)state;
    const nsamp_level level = {0.6, 0.7};
    const problem p = {.m = 3, .n = 10, .batch = 6};
    for (size_t v = 0; v < VARIANTS; v++)
        for (int phi = NSAMP_RELU; phi <= NSAMP_SOFTPLUS && runs(&variants[v]); phi++)
            for (int kind = 0; kind < 3; kind++) {
                const nsamp_learner_shape s = shape(p.m, p.n, p.batch, (nsamp_activation)phi, false, false);
                const nsamp_adam adam = adam_of(s.activation);
                nsamp_learner *l = learner_of(&s, variants[v].kernel);
                float *x0 = rows_of(&p), *eps = rows_of(&p);
                assert_true(isfinite(l->ops->step(l, &level, &adam, x0, eps)));
                l->ops->get(l)[(size_t)kind * p.n * p.m + 4] = NAN; /* not of a silent unit */
                if (!isnan(l->ops->step(l, &level, &adam, x0, eps)))
                    fail_msg("%s: phi %d: a NaN of kind %d is not in the loss", variants[v].name, phi, kind);
                nsamp_learner_destroy(l);
                free(x0), free(eps);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_small),        cmocka_unit_test(test_panels),
        cmocka_unit_test(test_chunks),       cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_not_a_number), cmocka_unit_test(test_instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
