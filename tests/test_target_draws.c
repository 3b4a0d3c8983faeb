/* test_target_draws.c: exact draws against distribution functions and moments. Thresholds: |z| < 6 for the
 * moments (2e-9 a check), sqrt(n) D < 3.3 for Kolmogorov-Smirnov (7e-10); about 200 checks in all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "scratch.h"
#include "targets.h"

enum { N = 200000 };

static const uint64_t FIRST = (1ULL << 32) - N / 2; /* half of the numbers are above 2^32 */

static nsamp_noise_key test_key(void) {
    return nsamp_noise_key_of(20231105, 10);
}

/* N draws -> [D][N] */
static double *draws_of(const nsamp_target *t) {
    double *x = malloc(t->dim * (N + 1) * sizeof *x), *one = x + t->dim * N;
    for (size_t n = 0; n < N; n++) {
        t->ops->draw(t, test_key(), NSAMP_PURPOSE_TARGET, FIRST + n, one);
        for (size_t i = 0; i < t->dim; i++)
            x[i * N + n] = one[i];
    }
    return x;
}

/* Mean of f over the draws against the exact value. */
static void check_mean(const char *what, const double *f, double exact) {
    double mean = 0, square = 0;
    for (size_t n = 0; n < N; n++)
        mean += f[n] / N;
    for (size_t n = 0; n < N; n++)
        square += (f[n] - mean) * (f[n] - mean) / (N - 1);
    const double z = (mean - exact) / sqrt(square / N);
    if (!(fabs(z) < 6)) fail_msg("%s: %.6f, exact %.6f, z %.1f", what, mean, exact, z);
}

static void check_moments(nsamp_target *t) {
    const size_t D = t->dim;
    double *x = draws_of(t), *f = malloc(N * sizeof *f);
    char what[80];
    for (size_t i = 0; i < D; i++) {
        snprintf(what, sizeof what, "%s mean %zu", t->name, i);
        check_mean(what, x + i * N, t->mean[i]);
        for (size_t j = 0; j <= i; j++) {
            for (size_t n = 0; n < N; n++)
                f[n] = (x[i * N + n] - t->mean[i]) * (x[j * N + n] - t->mean[j]);
            snprintf(what, sizeof what, "%s covariance %zu %zu", t->name, i, j);
            check_mean(what, f, t->cov ? t->cov[i * D + j] : t->variance * (i == j ? 1 : t->rho));
        }
    }
    free(f);
    free(x);
    nsamp_target_destroy(t);
}

static void test_moments(void **state) {
    (void)state;
    const char *path = scratch("cov");
    const char text[] = "1 2 3\n2 0.5 -0.3\n0.5 1 0.1\n-0.3 0.1 0.25\n";
    scratch_write(path, text, sizeof text - 1);
    check_moments(TARGET("target.name", "gaussian", "target.file", path));
    check_moments(TARGET("target.name", "equicorrelated", "target.dim", "5", "target.rho", "0.9",
                         "target.mean", "-3", "target.variance", "4"));
    check_moments(TARGET("target.name", "equicorrelated", "target.dim", "6", "target.rho", "-0.19"));
    const char mixture[] = "1 -1 0.5\n0.5 0.2\n0.2 0.4\n3 1 -1\n1 -0.3\n-0.3 0.3\n";
    scratch_write(path, mixture, sizeof mixture - 1);
    check_moments(TARGET("target.name", "mixture", "target.file", path));
    check_moments(TARGET("target.name", "mixture", "target.weights", "0.2 0.3 0.5", "target.means",
                         "0 0 0 1 2 3 -1 0 4", "target.sds", "1 0.1 2"));
    check_moments(TARGET("target.name", "laplace-copula", "target.rho", "0.9"));
    check_moments(TARGET("target.name", "heart"));
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef double cdf_fn(double x);

/* Sorts x. */
static void check_cdf(const char *what, double *x, cdf_fn *cdf) {
    double most = 0;
    qsort(x, N, sizeof *x, ascending);
    for (size_t n = 0; n < N; n++) {
        const double u = cdf(x[n]);
        most = fmax(most, fmax((double)(n + 1) / N - u, u - (double)n / N));
    }
    if (!(most * sqrt(N) < 3.3)) fail_msg("%s: sqrt(n) D = %.2f", what, most * sqrt(N));
}

static double normal_cdf(double x) {
    return erfc(-x / sqrt(2)) / 2;
}

static double mixture_cdf(double x) {
    return 0.25 * normal_cdf((x + 1) / 0.25) + 0.75 * normal_cdf((x - 1) / 0.5);
}

static double laplace_cdf(double x) {
    return x < 0 ? exp(sqrt(2) * x) / 2 : 1 - exp(-sqrt(2) * x) / 2;
}

/* w = 0.8 x_1^2 + y^2 of the heart: half-normal of scale sqrt 8 */
static double heart_cdf(double w) {
    return erf(w / 4);
}

static double unit_cdf(double u) {
    return u;
}

static void test_distributions(void **state) {
    (void)state;
    nsamp_target *t = TARGET("target.name", "mixture", "target.weights", "1 3", "target.means", "-1 1",
                             "target.sds", "0.25 0.5");
    double *x = draws_of(t);
    check_cdf("mixture", x, mixture_cdf);
    free(x);
    nsamp_target_destroy(t);

    t = TARGET("target.name", "equicorrelated", "target.dim", "2", "target.rho", "0.5");
    x = draws_of(t);
    for (size_t n = 0; n < N; n++)
        x[n] = x[n] + x[N + n]; /* variance 2 (1 + rho) = 3 */
    for (size_t n = 0; n < N; n++)
        x[n] /= sqrt(3);
    check_cdf("equicorrelated, sum", x, normal_cdf);
    free(x);
    nsamp_target_destroy(t);

    t = TARGET("target.name", "heart");
    x = draws_of(t);
    double *turn = malloc(N * sizeof *turn);
    for (size_t n = 0; n < N; n++) {
        const double a = sqrt(0.8) * x[n], y = x[N + n] - cbrt(x[n] * x[n]);
        turn[n] = atan2(y, a) / (2 * acos(-1.0)) + 0.5;
        x[n] = a * a + y * y;
    }
    check_cdf("heart, radius", x, heart_cdf);
    check_cdf("heart, angle", turn, unit_cdf);
    free(turn);
    free(x);
    nsamp_target_destroy(t);
}

/* Marginals, and beyond them: E sign(x1 x2) z^2-like statistics have exact values under the mixture of
 * copulas. */
static void test_copula(void **state) {
    (void)state;
    nsamp_target *t = TARGET("target.name", "laplace-copula", "target.rho", "0.8");
    double *x = draws_of(t), *f = malloc(N * sizeof *f);
    for (size_t n = 0; n < N; n++) /* P(|z1| < 1) E given ... : both in the same tail */
        f[n] = x[n] * x[n] * x[n] * x[n];
    check_mean("fourth moment", f, 6);
    /* z from the marginal alone; E z1^2 z2^2 = 1 + 2 rho^2 for either sign, E z1 z2 = 0 */
    for (size_t n = 0; n < N; n++) {
        double z[2];
        for (int i = 0; i < 2; i++) { /* bisection on the normal tail */
            const double tail = exp(-sqrt(2) * fabs(x[i * N + n])) / 2;
            double low = 0, high = 9;
            for (int k = 0; k < 40; k++) {
                const double mid = (low + high) / 2;
                *(erfc(mid / sqrt(2)) / 2 > tail ? &low : &high) = mid;
            }
            z[i] = copysign(low, x[i * N + n]);
        }
        f[n] = z[0] * z[0] * z[1] * z[1];
    }
    check_mean("E z1^2 z2^2", f, 1 + 2 * 0.64);
    check_cdf("laplace-copula, x1", x, laplace_cdf);
    check_cdf("laplace-copula, x2", x + N, laplace_cdf);
    free(f);
    free(x);
    nsamp_target_destroy(t);
}

/* A draw is a pure function of its number, and 64 bits of number count. */
static void test_numbers(void **state) {
    (void)state;
    nsamp_target *targets[] = {TARGET("target.name", "equicorrelated", "target.dim", "9"),
                               TARGET("target.name", "mixture"), TARGET("target.name", "laplace-copula"),
                               TARGET("target.name", "heart")};
    for (int k = 0; k < 4; k++) {
        nsamp_target *t = targets[k];
        double a[9], b[9];
        t->ops->draw(t, test_key(), NSAMP_PURPOSE_TARGET, 12345, a);
        t->ops->draw(t, test_key(), NSAMP_PURPOSE_TARGET, 12345, b);
        assert_memory_equal(a, b, t->dim * sizeof *a);
        for (int shift = 32; shift < 64; shift += 31) {
            t->ops->draw(t, test_key(), NSAMP_PURPOSE_TARGET, 12345 + (1ULL << shift), b);
            assert_memory_not_equal(a, b, t->dim * sizeof *a);
        }
        t->ops->draw(t, test_key(), NSAMP_PURPOSE_START, 12345, b);
        assert_memory_not_equal(a, b, t->dim * sizeof *a);
        nsamp_target_destroy(t);
    }
}

/* Data: each draw is a training image; all are equally likely. */
static void test_images(void **state) {
    (void)state;
    nsamp_error err = {0};
    const char *pairs[] = {"target.name", "images", "data.images",   "data/mnist/t10k-images-idx3-ubyte.gz",
                           "data.pca",    "5",      "data.held_out", "1000",
                           NULL};
    nsamp_target *t;
    if (target_of(pairs, &t, &err)) fail_msg("%s", err.text);
    assert_int_equal(t->dim, 5);
    assert_null(t->ops->score);
    double *x = draws_of(t), *f = malloc(N * sizeof *f);
    for (size_t i = 0; i < 5; i++) {
        for (size_t n = 0; n < N; n++)
            f[n] = x[i * N + n] * x[i * N + n];
        check_mean("coordinate", x + i * N, 0);
        check_mean("square", f, t->var[i]);
    }
    free(f);
    free(x);
    nsamp_target_destroy(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments), cmocka_unit_test(test_distributions), cmocka_unit_test(test_copula),
        cmocka_unit_test(test_numbers), cmocka_unit_test(test_images),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
