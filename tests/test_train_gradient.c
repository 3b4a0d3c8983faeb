/* test_train_gradient.c: the learner's loss, gradient and Adam against a reference in double that is written
 * from the equations alone, and differentiated by central differences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "isa.h"
#include "train_reference.h"

/* ---- the learner under test ---- */

static nsamp_learner *learner_of(const problem *p, bool amsgrad, int threads) {
    const nsamp_learner_shape shape = {
        p->m, p->n, p->batch, p->activation, p->denoiser, p->control_variate, amsgrad, threads, NSAMP_FP32};
    const nsamp_train_cpu kernels = nsamp_train_cpu_of(nsamp_isa_best(), false);
    nsamp_learner *l;
    assert_int_equal(nsamp_cpu_learner_create(&shape, &kernels, &l, NULL), NSAMP_OK);
    float *w = l->ops->get(l);
    for (size_t i = 0; i < nsamp_learner_weights(&shape); i++)
        w[i] = (float)(0.7 * uniform());
    l->ops->put(l);
    return l;
}

/* With beta1 = 0 the first moment after a step is the gradient, decay included. */
static void check_gradient(problem p) {
    random_state = 88172645463325252u + p.n;
    nsamp_learner *l = learner_of(&p, false, 2);
    const size_t weights = nsamp_learner_weights(&l->shape), most = 400;
    float *x0 = rows_of(&p), *eps = rows_of(&p);
    double *w = as_double(l->ops->get(l), weights);
    const nsamp_level level = {p.sigma, p.weight};
    const nsamp_adam adam = {0.01f, 1, 0, 0.5f, 1e-8f, (float)p.decay};
    const double loss = l->ops->step(l, &level, &adam, x0, eps), expected = reference_loss(&p, w, x0, eps);
    if (!(fabs(loss - expected) <= 2e-6 * (fabs(expected) + 1 / (p.sigma * p.sigma))))
        fail_msg("loss %.9g, expected %.9g", loss, expected);
    const float *g = l->ops->get(l) + weights;
    double squares = 0;
    for (size_t i = 0; i < weights; i++)
        squares += (double)g[i] * g[i];
    const double rms = sqrt(squares / (double)weights);
    assert_true(rms > 0);
    for (size_t c = 0; c < (weights < most ? weights : most); c++) {
        const size_t i = weights < most ? c : (size_t)((uniform() + 1) / 2 * (double)weights);
        const double fd = reference_gradient(&p, w, i, x0, eps);
        if (!(fabs(g[i] - fd) <= 5e-5 * (rms + fabs(fd))))
            fail_msg("n %zu activation %d denoiser %d control variate %d sigma %g: gradient %zu of %zu is "
                     "%.7g, expected "
                     "%.7g (rms %.3g)",
                     p.n, p.activation, p.denoiser, p.control_variate, p.sigma, i, weights, g[i], fd, rms);
    }
    nsamp_learner_destroy(l);
    free(x0), free(eps), free(w);
}

static void gradient_matches_central_differences(void **state) {
    (void)state;
    for (int activation = NSAMP_RELU; activation <= NSAMP_SOFTPLUS; activation++)
        for (int form = 0; form < 2; form++)
            for (int cv = 0; cv < 2; cv++) {
                const nsamp_activation a = (nsamp_activation)activation;
                check_gradient((problem){3, 7, 5, a, form, cv, 0.4, 1.0, 0.0});
                check_gradient((problem){1, 40, 33, a, form, cv, 0.7, 0.49, 0.05});
                check_gradient(
                    (problem){2, 1100, 6, a, form, cv, 0.9, 1.0, 0.002}); /* several chunks of units */
            }
    check_gradient((problem){1, 4300, 3, NSAMP_TANH, true, true, 0.9, 1.0, 0.0}); /* groups of chunks */
}

static void losses_of_rows_match_and_change_nothing(void **state) {
    (void)state;
    for (int form = 0; form < 2; form++)
        for (int cv = 0; cv < 2; cv++) {
            problem p = {3, 600, 40, NSAMP_TANH, form, cv, 0.5, 1.0, 0.0};
            random_state = 5;
            nsamp_learner *l = learner_of(&p, false, 2);
            const size_t numbers = nsamp_learner_numbers(&l->shape),
                         weights = nsamp_learner_weights(&l->shape);
            float *x0 = rows_of(&p), *eps = rows_of(&p), *before = malloc(numbers * sizeof *before);
            double *w = as_double(l->ops->get(l), weights), loss[40];
            memcpy(before, l->ops->get(l), numbers * sizeof *before);
            const nsamp_level level = {p.sigma, p.weight};
            l->ops->loss(l, &level, 11, x0, eps, loss);
            assert_memory_equal(before, l->ops->get(l), numbers * sizeof *before);
            for (size_t r = 0; r < 11; r++) {
                problem one = p;
                one.batch = 1;
                const double expected = reference_loss(&one, w, x0 + r * p.m, eps + r * p.m);
                if (!(fabs(loss[r] - expected) <= 1e-5 * (fabs(expected) + 4)))
                    fail_msg("row %zu: loss %.9g, expected %.9g", r, loss[r], expected);
            }
            float f[11 * 3];
            l->ops->forward(l, 11, x0, f);
            for (size_t r = 0; r < 11; r++) {
                double s[8], x[8];
                for (size_t k = 0; k < p.m; k++)
                    x[k] = x0[r * p.m + k];
                reference_score(&p, w, x, s);
                for (size_t k = 0; k < p.m; k++) {
                    double expected = x[k] + s[k] * (form ? p.sigma * p.sigma : 1);
                    assert_true(fabs(f[r * p.m + k] - expected) <= 1e-5 * (1 + fabs(expected)));
                }
            }
            nsamp_learner_destroy(l);
            free(x0), free(eps), free(w), free(before);
        }
}

/* Six steps with gradients by central differences and Adam in double; the weights must have moved alike. */
static void adam_matches_the_paper(void **state) {
    (void)state;
    for (int amsgrad = 0; amsgrad < 2; amsgrad++) {
        const problem p = {2, 5, 9, NSAMP_TANH, false, false, 0.8, 1.0, 0.03};
        enum { STEPS = 6, WEIGHTS = 5 * 5 };
        const double lr = 0.05, beta1 = 0.8, beta2 = 0.9, epsilon = 1e-3;
        double m[WEIGHTS] = {0}, v[WEIGHTS] = {0}, seen[WEIGHTS] = {0}, g[WEIGHTS];
        random_state = 77;
        nsamp_learner *l = learner_of(&p, amsgrad, 1);
        assert_int_equal(nsamp_learner_weights(&l->shape), WEIGHTS);
        double *w = as_double(l->ops->get(l), WEIGHTS);
        for (int t = 1; t <= STEPS; t++) {
            float *x0 = rows_of(&p), *eps = rows_of(&p);
            if (t > 2) /* small gradients after large ones: what amsgrad is for */
                for (size_t i = 0; i < p.batch * p.m; i++)
                    x0[i] *= 0.1f, eps[i] *= 0.1f;
            const nsamp_level level = {p.sigma, p.weight};
            const nsamp_adam adam = {(float)(lr / (1 - pow(beta1, t))),
                                     (float)(1 / sqrt(1 - pow(beta2, t))),
                                     (float)beta1,
                                     (float)beta2,
                                     (float)epsilon,
                                     (float)p.decay};
            l->ops->step(l, &level, &adam, x0, eps);
            for (size_t i = 0; i < WEIGHTS; i++)
                g[i] = reference_gradient(&p, w, i, x0, eps);
            for (size_t i = 0; i < WEIGHTS; i++) {
                m[i] = beta1 * m[i] + (1 - beta1) * g[i];
                v[i] = beta2 * v[i] + (1 - beta2) * g[i] * g[i];
                seen[i] = amsgrad && seen[i] > v[i] ? seen[i] : v[i];
                w[i] -= lr * (m[i] / (1 - pow(beta1, t))) / (sqrt(seen[i] / (1 - pow(beta2, t))) + epsilon);
            }
            free(x0), free(eps);
        }
        for (size_t i = 0; i < WEIGHTS; i++)
            if (!(fabs(l->ops->get(l)[i] - w[i]) <= 2e-4 * lr * STEPS))
                fail_msg("amsgrad %d: weight %zu is %.7g, expected %.7g", amsgrad, i, l->ops->get(l)[i],
                         w[i]);
        nsamp_learner_destroy(l);
        free(w);
    }
}

/* What trains on the instruction sets that this processor has; how many. */
static size_t sets_here(nsamp_train_cpu sets[3]) {
    size_t count = 0;
    sets[count++] = nsamp_train_cpu_of("base", false);
#ifdef NSAMP_X86_64
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        sets[count++] = nsamp_train_cpu_of("v3", false);
    if (__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        sets[count++] = nsamp_train_cpu_of("v4", false);
#endif
    return count;
}

static void instruction_sets_agree_to_the_bit(void **state) {
    (void)state;
    nsamp_train_cpu sets[3];
    const size_t count = sets_here(sets);
    for (int activation = NSAMP_RELU; activation <= NSAMP_SOFTPLUS; activation++)
        for (int cv = 0; cv < 2; cv++) {
            problem p = {3, 700, 50, (nsamp_activation)activation, cv == 0, cv, 0.6, 1.0, 0.01};
            float *first = NULL;
            for (size_t i = 0; i < count; i++) {
                const nsamp_learner_shape shape = {p.m, p.n,  p.batch,    p.activation, p.denoiser,
                                                   cv,  true, (int)i + 1, NSAMP_FP32};
                nsamp_learner *l;
                assert_int_equal(nsamp_cpu_learner_create(&shape, &sets[i], &l, NULL), NSAMP_OK);
                random_state = 31;
                float *w = l->ops->get(l), *x0 = rows_of(&p), *eps = rows_of(&p);
                for (size_t k = 0; k < nsamp_learner_weights(&shape); k++)
                    w[k] = (float)uniform();
                sets[i].loops->normals(nsamp_noise_key_of(9, 10), NSAMP_PURPOSE_CHECK, 5, p.batch, 3, p.m,
                                       eps);
                const nsamp_level level = {p.sigma, p.weight};
                const nsamp_adam adam = {0.01f, 1.1f, 0.9f, 0.99f, 1e-6f, 0.02f};
                for (int t = 0; t < 3; t++)
                    l->ops->step(l, &level, &adam, x0, eps);
                const size_t bytes = nsamp_learner_numbers(&shape) * sizeof *w;
                if (!first) first = memcpy(malloc(bytes), w, bytes);
                assert_memory_equal(first, w, bytes);
                nsamp_learner_destroy(l);
                free(x0), free(eps);
            }
            free(first);
        }
}

/* Without gradient the moments decay to 0 and not to subnormal numbers, where rounding to nearest would hold them for good. */
static void moments_of_a_dead_weight_end_at_zero(void **state) {
    (void)state;
    enum { WEIGHTS = 37, STEPS = 20000 };
    nsamp_train_cpu sets[3];
    const size_t count = sets_here(sets);
    const nsamp_adam adam = {0.01f, 1, 0.9f, 0.99f, 1e-8f, 0};
    for (size_t k = 0; k < count; k++) {
        float g[WEIGHTS] = {0}, w[WEIGHTS], m[WEIGHTS], v[WEIGHTS];
        for (int i = 0; i < WEIGHTS; i++) {
            w[i] = 1;
            m[i] = i % 2 ? 0.1f : -0.1f;
            v[i] = 0.5f;
        }
        for (int step = 0; step < STEPS; step++) {
            sets[k].loops->adam(&adam, WEIGHTS, g, w, m, v, NULL);
            for (int i = 0; i < WEIGHTS; i++)
                assert_true((m[i] == 0 || isnormal(m[i])) && (v[i] == 0 || isnormal(v[i])));
        }
        for (int i = 0; i < WEIGHTS; i++)
            assert_true(m[i] == 0 && v[i] == 0 && isfinite(w[i]) && w[i] != 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_matches_central_differences),
        cmocka_unit_test(losses_of_rows_match_and_change_nothing),
        cmocka_unit_test(adam_matches_the_paper),
        cmocka_unit_test(moments_of_a_dead_weight_end_at_zero),
        cmocka_unit_test(instruction_sets_agree_to_the_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
