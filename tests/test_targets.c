/* test_targets.c: densities and scores of the targets, against quadrature, differences and one another. Draws
 * are tested in test_target_draws.c, files in test_target_files.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "draws.h"
#include "scratch.h"
#include "targets.h"

static const char COV2[] = "0.5 -1\n2 0.6\n0.6 0.7\n";
static const char COMPONENTS2[] = "1 -1 0.5   # weight, mean\n0.5 0.2\n0.2 0.4\n\n3 1 -1\n1 -0.3\n-0.3 0.3\n";

static const char *write_text(const char *name, const char *text) {
    const char *path = scratch(name);
    scratch_write(path, text, strlen(text));
    return path;
}

/* Composite Gauss-Legendre over the plane, panels of width w in [-half, half]: exact edges on the axes. */
static double integral2(const nsamp_target *t, double half, double w) {
    static const double node[4] = {0.1834346424956498, 0.5255324099163290, 0.7966664774136267,
                                   0.9602898564975363};
    static const double weight[4] = {0.3626837833783620, 0.3137066458778873, 0.2223810344533745,
                                     0.1012285362903763};
    const int panels = (int)(2 * half / w);
    double sum = 0;
    for (int i = 0; i < 8 * panels; i++)
        for (int j = 0; j < 8 * panels; j++) {
            const int a = i % 8, b = j % 8;
            const double x[2] = {-half + w * (i / 8 + 0.5 * (1 + (a % 2 ? 1 : -1) * node[a / 2])),
                                 -half + w * (j / 8 + 0.5 * (1 + (b % 2 ? 1 : -1) * node[b / 2]))};
            sum += weight[a / 2] * weight[b / 2] * w * w / 4 * exp(t->ops->log_density(t, x) - t->log_norm);
        }
    return sum;
}

static void check_norm(nsamp_target *t, double half, double w, double tolerance) {
    const double total = integral2(t, half, w);
    if (!(fabs(total - 1) < tolerance)) fail_msg("%s: integral %.10f", t->name, total);
    nsamp_target_destroy(t);
}

static void test_normalised(void **state) {
    (void)state;
    check_norm(TARGET("target.name", "equicorrelated", "target.dim", "2", "target.rho", "-0.6",
                      "target.variance", "1.7", "target.mean", "0.5 -1"),
               14, 0.5, 1e-9);
    check_norm(TARGET("target.name", "gaussian", "target.file", write_text("g2", COV2)), 14, 0.5, 1e-9);
    check_norm(TARGET("target.name", "mixture", "target.file", write_text("m2", COMPONENTS2)), 12, 0.5, 1e-9);
    check_norm(TARGET("target.name", "mixture", "target.weights", "1 2 1e-9", "target.means", "0 1 -1 2 5 5",
                      "target.sds", "0.5 0.9 1"),
               12, 0.5, 1e-9);
    check_norm(TARGET("target.name", "laplace-copula", "target.rho", "0.9"), 20, 0.25, 1e-6);
    check_norm(TARGET("target.name", "laplace-copula", "target.rho", "-0.3"), 20, 0.25, 1e-6);
    check_norm(TARGET("target.name", "heart"), 6, 0.1, 1e-6);
}

/* Two-sided differences of log p at 200 points spread over the target; 1e-6 of the scale of the score. */
static void check_score(nsamp_target *t, double spread, double keep_off) {
    rng r = {77};
    const size_t D = t->dim;
    double *x = malloc(2 * D * sizeof *x), *s = x + D;
    for (int n = 0; n < 200; n++) {
        for (size_t i = 0; i < D; i++) {
            x[i] = t->mean[i] + spread * sqrt(t->var[i]) * (2 * uniform(&r) - 1);
            if (fabs(x[i]) < keep_off) x[i] = keep_off + fabs(x[i]);
        }
        t->ops->score(t, x, s);
        for (size_t i = 0; i < D; i++) {
            const double at = x[i], h = 1e-5 * sqrt(t->var[i]);
            x[i] = at + h;
            double d = t->ops->log_density(t, x);
            x[i] = at - h;
            d = (d - t->ops->log_density(t, x)) / (2 * h);
            x[i] = at;
            if (!(fabs(d - s[i]) <= 1e-6 * (1 / sqrt(t->var[i]) + fabs(s[i]))))
                fail_msg("%s: coordinate %zu at %g: score %.9g, difference quotient %.9g", t->name, i, at,
                         s[i], d);
        }
    }
    free(x);
    nsamp_target_destroy(t);
}

static void test_scores(void **state) {
    (void)state;
    check_score(TARGET("target.name", "equicorrelated", "target.dim", "1", "target.rho", "0"), 4, 0);
    check_score(TARGET("target.name", "equicorrelated", "target.dim", "7", "target.rho", "-0.16",
                       "target.variance", "2.5", "target.mean", "1 2 3 4 5 6 7"),
                3, 0);
    check_score(TARGET("target.name", "gaussian", "target.file", write_text("g2", COV2)), 4, 0);
    check_score(TARGET("target.name", "mixture", "target.file", write_text("m2", COMPONENTS2)), 4, 0);
    check_score(TARGET("target.name", "mixture", "target.weights", "1 2 1", "target.sds", "0.5 0.9 1",
                       "target.means", "0 1 0 -1 2 -1 5 5 5"),
                3, 0);
    check_score(TARGET("target.name", "laplace-copula", "target.rho", "0.9"), 5, 1e-3);
    check_score(TARGET("target.name", "laplace-copula", "target.rho", "-0.3"), 5, 1e-3);
    check_score(TARGET("target.name", "heart"), 2, 0.02);
}

/* Far out the copula stays finite and its score tends to that of its marginals times a slowly varying factor.
 */
static void test_copula_tails(void **state) {
    (void)state;
    nsamp_target *t = TARGET("target.name", "laplace-copula", "target.rho", "0.9");
    for (double far = 1; far < 1e4; far *= 3) {
        const double x[2] = {far, -0.5}, h = 1e-6 * far;
        const double up[2] = {far + h, -0.5}, down[2] = {far - h, -0.5};
        double s[2];
        t->ops->score(t, x, s);
        const double d = (t->ops->log_density(t, up) - t->ops->log_density(t, down)) / (2 * h);
        assert_true(isfinite(s[0]) && isfinite(s[1]));
        assert_close(s[0], d, 1e-6 * fabs(d));
    }
    nsamp_target_destroy(t);
}

static void check_same(nsamp_target *a, nsamp_target *b) {
    rng r = {5};
    double x[5], sa[5], sb[5];
    assert_int_equal(a->dim, b->dim);
    for (int n = 0; n < 50; n++) {
        for (size_t i = 0; i < a->dim; i++)
            x[i] = 3 * normal(&r);
        const double la = a->ops->log_density(a, x), lb = b->ops->log_density(b, x);
        assert_close(la, lb, 1e-11 * (1 + fabs(la)));
        a->ops->score(a, x, sa);
        b->ops->score(b, x, sb);
        for (size_t i = 0; i < a->dim; i++)
            assert_close(sa[i], sb[i], 1e-11 * (1 + fabs(sa[i])));
    }
    for (size_t i = 0; i < a->dim; i++) {
        assert_close(a->mean[i], b->mean[i], 1e-14);
        assert_close(a->var[i], b->var[i], 1e-14);
    }
    nsamp_target_destroy(a);
    nsamp_target_destroy(b);
}

/* The same law written in two ways goes through code that is not shared. */
static void test_two_ways(void **state) {
    (void)state;
    check_same(TARGET("target.name", "equicorrelated", "target.dim", "3", "target.rho", "0.25",
                      "target.variance", "2", "target.mean", "1 2 3"),
               TARGET("target.name", "gaussian", "target.file",
                      write_text("e3", "1,2,3\n2 0.5 0.5\n0.5 2 0.5\n0.5 0.5 2\n")));
    check_same(
        TARGET("target.name", "mixture", "target.weights", "1 3", "target.means", "0 1 2 -1 -1 0.5",
               "target.sds", "0.5 2"),
        TARGET("target.name", "mixture", "target.file",
               write_text("m3", "2 0 1 2\n.25 0 0\n0 .25 0\n0 0 .25\n6 -1 -1 .5\n4 0 0\n0 4 0\n0 0 4\n")));
    check_same(TARGET("target.name", "mixture", "target.dim", "3", "target.weights", "1 3", "target.means",
                      "2 -1", "target.sds", "0.5 2"),
               TARGET("target.name", "mixture", "target.weights", "1 3", "target.means", "2 2 2 -1 -1 -1",
                      "target.sds", "0.5 2"));
    check_same(
        TARGET("target.name", "mixture", "target.weights", "7", "target.means", "1 2", "target.sds", "1.5"),
        TARGET("target.name", "gaussian", "target.file", write_text("g2", "1 2\n2.25 0\n0 2.25\n")));
}

/* A mixture far from all its components: responsibilities that underflow must not. */
static void test_mixture_far(void **state) {
    (void)state;
    nsamp_target *t = TARGET("target.name", "mixture", "target.means", "-1 1");
    double x = 1e3, s;
    t->ops->score(t, &x, &s);
    assert_close(s, -(1e3 - 1) / 0.25, 1e-9);
    assert_close(t->ops->log_density(t, &x), log(0.5) - 2 * 999 * 999.0 - log(0.5 * sqrt(2 * acos(-1.0))),
                 1e-6);
    nsamp_target_destroy(t);
}

/* Covariance and factor against one another and against the variance. */
static void test_covariances(void **state) {
    (void)state;
    nsamp_target *targets[] = {TARGET("target.name", "gaussian", "target.file", write_text("g2", COV2)),
                               TARGET("target.name", "mixture", "target.file", write_text("m2", COMPONENTS2)),
                               TARGET("target.name", "laplace-copula"), TARGET("target.name", "heart")};
    for (int k = 0; k < 4; k++) {
        nsamp_target *t = targets[k];
        const double *c = t->cov, *l = t->chol;
        assert_close(l[0] * l[0], c[0], 1e-12);
        assert_close(l[2] * l[0], c[1], 1e-12);
        assert_close(l[2] * l[2] + l[3] * l[3], c[3], 1e-12);
        assert_close(c[1], c[2], 0);
        assert_close(c[0], t->var[0], 1e-15);
        assert_close(c[3], t->var[1], 1e-15);
        nsamp_target_destroy(t);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_normalised),   cmocka_unit_test(test_scores),
        cmocka_unit_test(test_copula_tails), cmocka_unit_test(test_two_ways),
        cmocka_unit_test(test_mixture_far),  cmocka_unit_test(test_covariances),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
