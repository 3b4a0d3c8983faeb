/* test_bench_counts.c: the formulas of counts.c against steps written out one operation at a time, each counted as it is made; and what they
 * bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/counts.h"
#include "isa.h"
#include "job/settings.h"

/* Operations made so far; the values do not matter. */
static double flop, inside;
static double fma_of(double a, double b, double c) {
    flop += 2;
    return a * b + c;
}
static double add(double a, double b) {
    flop++;
    return a + b;
}
static double mul(double a, double b) {
    flop++;
    return a * b;
}
static double quotient(double a, double b) {
    flop++;
    return a / b;
}
static double inner(double value, double cost) {
    inside += cost;
    return value;
}

enum { MOST = 12 };

static void equi_step(size_t D) {
    double u[MOST] = {0}, s = 1;
    const double g = mul(0.1, s);
    for (size_t i = 0; i < D; i++)
        u[i] = fma_of(0.9, u[i], fma_of(0.3, 1, g));
    s = u[0];
    for (size_t i = 1; i < D; i++)
        s = add(s, u[i]);
}

static void gauss_step(size_t D) {
    double y[MOST] = {0};
    for (size_t i = 0; i < D; i++)
        y[i] = fma_of(0.9, y[i], mul(0.3, 1));
}

/* The drift of K components and the step; full: by triangles W; natural: by a triangle L. */
static void score_step(size_t D, size_t K, bool full, bool natural) {
    double x[MOST] = {0}, v[MOST] = {0}, share[MOST], u[MOST][MOST], total = 0;
    for (size_t k = 0; k < K; k++) {
        double square = 0;
        for (size_t d = 0; d < D; d++) {
            u[k][d] = add(1, -x[d]);
            if (!full) square = fma_of(u[k][d], u[k][d], square);
        }
        for (size_t d = D; full && d-- > 0;) {
            double sum = 0;
            for (size_t e = 0; e <= d; e++)
                sum = fma_of(0.5, u[k][e], sum);
            u[k][d] = sum;
            square = fma_of(sum, sum, square);
        }
        share[k] = fma_of(-0.5, square, 0.1);
    }
    if (K == 2) {
        const double e = inner(exp(-fabs(add(share[0], -share[1]))), NSAMP_FLOP_SHARE),
                     most = quotient(1, add(1, e)), least = mul(e, most);
        share[0] = mul(most, 0.25);
        share[1] = mul(least, 0.25);
    } else {
        for (size_t k = 0; k < K; k++) {
            share[k] = inner(exp(add(share[k], -1)), NSAMP_FLOP_SHARE);
            total = add(total, share[k]);
        }
        total = quotient(1, total);
        for (size_t k = 0; k < K; k++)
            share[k] = mul(share[k], mul(total, 0.25));
    }
    for (size_t k = 0; k < K; k++)
        for (size_t e = 0; e < D; e++) {
            if (!full) {
                v[e] = fma_of(share[k], add(1, -x[e]), v[e]);
                continue;
            }
            u[k][e] = mul(u[k][e], share[k]);
            for (size_t d = 0; d <= e; d++)
                v[d] = fma_of(0.5, u[k][e], v[d]);
        }
    for (size_t d = 0; d < D; d++) {
        double turned = natural ? 0 : v[d];
        for (size_t e = d; natural && e < D; e++)
            turned = fma_of(0.7, v[e], turned);
        v[d] = fma_of(0.3, 1, turned);
    }
    for (size_t d = 0; d < D; d++) {
        for (size_t e = 0; natural && e <= d; e++)
            x[d] = fma_of(0.7, v[e], x[d]);
        if (!natural) x[d] = add(x[d], v[d]);
    }
}

static void rsn_step(size_t m, size_t n, double phi, bool reservoir) {
    double x[MOST] = {0}, y[MOST] = {0}, r = 0;
    for (size_t j = 0; j < n; j++) {
        double a = 0.1;
        for (size_t i = 0; i < m; i++)
            a = fma_of(0.5, x[i], a);
        a = inner(a, phi);
        if (reservoir) {
            a = r = fma_of(0.05, add(a, -r), r);
            for (size_t i = 0; i < m; i++)
                a = fma_of(0.2, 1, a);
        }
        for (size_t i = 0; i < m; i++)
            y[i] = fma_of(0.5, a, y[i]);
    }
    for (size_t i = 0; i < m && !reservoir; i++)
        x[i] = fma_of(0.05, add(y[i], -x[i]), fma_of(0.3, 1, x[i]));
}

static void mh_step(size_t p) {
    double v[MOST] = {0}, dot = 0;
    for (size_t d = 0; d < p; d++) {
        v[d] = fma_of(0.99, v[d], 0.001);
        dot = fma_of(0.2, v[d], dot);
    }
    const double u = inner(0.5, 2);
    const bool accept = add(dot, 0.5) < inner(log(u), NSAMP_FLOP_LOG + 1);
    for (size_t d = 0; d < p; d++)
        v[d] = add(v[d], accept ? 0.2 : 0);
}

/* The model of a job and its counts for tiles of `lanes`. */
static nsamp_counts counts_of(const char *settings, uint32_t lanes) {
    nsamp_job *job = nsamp_job_create();
    nsamp_model *model = NULL;
    nsamp_error err = {0};
    flop = inside = 0;
    if (nsamp_job_set_all(job, settings, &err) || nsamp_model_create(job, &model, &err))
        fail_msg("%s", err.text);
    if (model->prepare && nsamp_job_is(job, NSAMP_KEY_run_backend, "cpu") && model->prepare(model, &err))
        fail_msg("%s", err.text);
    const nsamp_counts c = nsamp_counts_of(job, model, lanes);
    assert_true(c.working_set >= 4.0 * (double)model->state_len * lanes);
    nsamp_model_destroy(model);
    nsamp_job_destroy(job);
    return c;
}

static void same(const char *what, double got, double want) {
    if (got != want) fail_msg("%s: %.10g and counted %.10g", what, got, want);
}

static void test_langevin(void **state) {
    (void)state;
    nsamp_counts c = counts_of("target.dim=7", 64);
    equi_step(7);
    same("equi flop", c.flop, flop);
    same("equi normals", c.normals, 7);
    same("equi bytes", c.bytes, 2 * 7 * sizeof(float));
    c = counts_of("target.name=gaussian target.file=builtin:decay target.dim=9", 32);
    gauss_step(9);
    same("gauss flop", c.flop, flop);
    same("gauss bytes", c.bytes, 2 * 9 * sizeof(float) + 2 * 9 * sizeof(float) / 32.0);
}

static void test_mixture(void **state) {
    (void)state;
    char settings[160];
    for (int natural = 0; natural < 2; natural++) {
        for (size_t K = 2; K <= 3; K++) {
            snprintf(settings, sizeof settings, "target.name=mixture target.dim=5 %s system.geometry=%s",
                     K == 2 ? "target.means=-1,1" : "target.weights=1,1,1 target.means=-1,0,1 target.sds=1",
                     natural ? "natural" : "naive");
            const nsamp_counts c = counts_of(settings, 64);
            score_step(5, K, false, natural);
            same("round flop", c.flop, flop);
            same("round elementary", c.elementary, inside);
            same("round bytes", c.bytes, 2 * 5 * 4 + 4 * ((double)K * (3 + 5) + (natural ? 25 : 0)) / 64.0);
        }
        snprintf(settings, sizeof settings,
                 "target.name=mixture target.file=tests/data/mixture7.txt system.dt=0.01 system.geometry=%s",
                 natural ? "natural" : "naive"); /* three components in seven dimensions */
        const nsamp_counts c = counts_of(settings, 64);
        score_step(7, 3, true, natural);
        same("full flop", c.flop, flop);
        same("full elementary", c.elementary, inside);
        same("full bytes", c.bytes, 2 * 7 * 4 + 4 * (3 * (3 + 7 + 49) + (natural ? 49 : 0)) / 64.0);
    }
}

static void test_networks(void **state) {
    (void)state;
    nsamp_counts c =
        counts_of("system.name=rsn system.model=builtin:linear target.dim=3 train.hidden=10", 64);
    rsn_step(3, 10, 0, false);
    same("fused flop", c.flop, flop);
    same("fused products", c.product, 0);
    same("fused bytes", c.bytes, 2 * 3 * 4 + 4 * (2 * 3 * 10 + 10) / 64.0);
    c = counts_of("system.name=rsn system.model=builtin:tanh target.dim=3 train.hidden=10", 64);
    rsn_step(3, 10, NSAMP_FLOP_TANH, false);
    same("tanh elementary", c.elementary, inside);
    c = counts_of(
        "system.name=rsn system.model=builtin:linear target.dim=3 train.hidden=10 system.level=reservoir",
        64);
    rsn_step(3, 10, 0, true);
    same("reservoir flop", c.flop, flop);
    c = counts_of("system.name=rsn system.model=builtin:linear target.dim=3 train.hidden=10 run.path=product",
                  128);
    rsn_step(3, 10, 0, false);
    same("product flop", c.flop, flop);
    same("products", c.product, 2 * 2 * 3 * 10);
    same("product bytes", c.bytes, 2 * 3 * 4 + 2 * 10 * 4 + 4 * 70 / 128.0);
    c = counts_of(
        "system.name=rsn system.model=builtin:linear target.dim=10 train.hidden=7000 run.path=fused "
        "run.backend=cpu run.isa=base",
        64);
    rsn_step(10, 7000, 0, false);
    same("panels flop", c.flop, flop);
    same("products of a library in panels", c.product, 0);
    same("panels bytes", c.bytes, 2 * 10 * 4 + 4 * (2 * 10 * 7000 + 7000) / 64.0);
    c = counts_of("system.name=rsn system.model=builtin:linear target.dim=3 train.hidden=10 run.path=fused "
                  "run.precision=bf16 run.backend=cpu run.isa=base",
                  64);
    rsn_step(3, 10, 0, false);
    same("bf16 flop", c.flop, flop);
    same("bf16 products by multiply-adds", c.product, 0);
    same("bf16 bytes", c.bytes, 2 * 3 * 4 + 2 * 70 / 64.0);
    c = counts_of(
        "system.name=rsn system.model=builtin:linear target.dim=3 train.hidden=10 run.precision=bf16x3 "
        "run.backend=cpu",
        64);
    same("bf16x3 products", c.product, nsamp_isa_has_amx() ? 2 * 2 * 3 * 10 : 0);
    same("bf16x3 bytes", c.bytes, 2 * 3 * 4 + 6 * 70 / 64.0);
    c = counts_of("system.name=mh-spiking target.dim=6 system.neurons=40", 64);
    mh_step(6);
    same("mh flop", c.flop, flop);
    same("mh elementary", c.elementary, inside);
    same("mh words", c.words, 2);
    same("mh bytes", c.bytes, 6 * (4 + 4 + 4) + 8);
    c = counts_of("system.name=mh-spiking target.dim=6 system.neurons=40 system.spike_counts=no", 64);
    same("mh bytes without counting", c.bytes, 6 * (4 + 4 + 4));
}

/* The five products of a batch, and Adam's operations on each weight. */
static void test_training(void **state) {
    (void)state;
    const size_t m = 4, n = 6, batch = 3;
    double products = 0, adam = 0;
    flop = 0;
    const size_t shapes[5][3] = {{batch, n, m}, {batch, m, n}, {batch, n, m}, {n, m, batch}, {n, m, batch}};
    for (int k = 0; k < 5; k++)
        for (size_t i = 0; i < shapes[k][0] * shapes[k][1]; i++)
            for (size_t j = 0; j < shapes[k][2]; j++)
                fma_of(1, 1, 0);
    products = flop;
    flop = 0;
    for (size_t i = 0; i < 2 * m * n + n; i++) {
        const double g = fma_of(0.1, 1, 0.5), first = fma_of(0.9, 0, mul(0.1, g)),
                     second = fma_of(0.99, 1, mul(0.01, mul(g, g)));
        flop++; /* the root */
        fma_of(-1e-3, quotient(first, fma_of(sqrt(second), 1, 1e-8)), 1);
    }
    adam = flop;
    const nsamp_counts c = nsamp_counts_of_training(m, n, batch, true),
                       own = nsamp_counts_of_training(m, n, batch, false);
    same("products of a row", c.product, products / (double)batch);
    same("flop of a row", c.flop, (products + adam) / (double)batch);
    same("products without a ceiling of their own", own.product, 0);
    same("flop of a row then", own.flop, c.flop);
}

static void test_bounds(void **state) {
    (void)state;
    nsamp_ceilings ceilings = {0};
    const nsamp_counts c = {.normals = 10, .flop = 100, .elementary = 20, .product = 40, .bytes = 80},
                       words = {.words = 2, .flop = 10};
    double bound[NSAMP_BOUND_count];
    nsamp_bounds_of(&c, &ceilings, 0, 0, bound);
    assert_int_equal(nsamp_bound_that_binds(bound), NSAMP_BOUND_count); /* nothing was measured */
    ceilings.rate[NSAMP_CEILING_noise].median = 1e9;
    ceilings.rate[NSAMP_CEILING_words].median = 3e9;
    ceilings.rate[NSAMP_CEILING_fma].median = 4e10;
    nsamp_bounds_of(&c, &ceilings, 2e9, 2.4e10, bound);
    const double want[NSAMP_BOUND_count] = {1e8, 5e8, 5e7, 3e8};
    assert_memory_equal(bound, want, sizeof want);
    assert_int_equal(nsamp_bound_that_binds(bound), NSAMP_BOUND_product);
    nsamp_bounds_of(&c, &ceilings, 0, 2.4e10, bound);
    assert_int_equal(nsamp_bound_that_binds(bound), NSAMP_BOUND_noise);
    nsamp_bounds_of(&words, &ceilings, 2e9, 0, bound);
    assert_true(bound[NSAMP_BOUND_noise] == 1.5e9 && bound[NSAMP_BOUND_product] == 0 &&
                bound[NSAMP_BOUND_copy] == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_langevin), cmocka_unit_test(test_mixture), cmocka_unit_test(test_networks),
        cmocka_unit_test(test_training), cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
