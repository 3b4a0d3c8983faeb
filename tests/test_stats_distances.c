/* test_stats_distances.c: distances against plain definitions and closed forms; the KL estimate against exact
 * values, from exact draws with and without autocorrelation, and its standard error against the spread of
 * repeated estimates. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "draws.h"
#include "stats/distances.h"
#include "stats/series.h"

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.12g is not %.12g within %.3g", a, b, within);
}

/* ---- W1 and KS ---- */

static void w1_of_samples(void **state) {
    (void)state;
    rng r = {1};
    enum { n = 501 };
    double x[n], y[n], twice[2 * n], expected = 0;
    for (int i = 0; i < n; i++) {
        x[i] = normal(&r);
        y[i] = 2 * uniform(&r) + 0.5;
    }
    nsamp_sort(x, n);
    nsamp_sort(y, n);
    for (int i = 0; i < n; i++)
        expected += fabs(x[i] - y[i]) / n;
    near(nsamp_w1(x, n, y, n), expected, 1e-13);
    near(nsamp_w1(y, n, x, n), expected, 1e-13);
    for (int i = 0; i < n; i++)
        twice[2 * i] = twice[2 * i + 1] = y[i]; /* ties, other length, same distribution */
    near(nsamp_w1(x, n, twice, 2 * n), expected, 1e-13);
    near(nsamp_w1(y, n, twice, 2 * n), 0.0, 1e-15);
    const double a[1] = {0}, b[3] = {-1, 0, 4};
    near(nsamp_w1(a, 1, b, 3), 5.0 / 3, 1e-15);
}

static double flat(const void *context, const double *x) {
    (void)context;
    (void)x;
    return 3.0;
}

typedef struct gauss {
    double mean[2], sd, rho;
    size_t dim;
} gauss;

static double log_gauss(const void *context, const double *x) {
    const gauss *g = context;
    const double a = (x[0] - g->mean[0]) / g->sd, b = g->dim == 2 ? (x[1] - g->mean[1]) / g->sd : 0;
    return -0.5 * (a * a - 2 * g->rho * a * b + b * b) / (1 - g->rho * g->rho) - 7.0;
}

static nsamp_pit *table(size_t dim, double low, double high, nsamp_log_density_fn *f, const void *context) {
    const double lows[2] = {low, low}, highs[2] = {high, high};
    nsamp_pit *pit;
    nsamp_error err;
    assert_int_equal(nsamp_pit_create(dim, lows, highs, f, context, &pit, &err), NSAMP_OK);
    return pit;
}

static void transform(void **state) {
    (void)state;
    const gauss g = {{1, -1}, 1.5, 0.6, 2}, g1 = {{1, 0}, 1.5, 0, 1};
    nsamp_pit *one = table(1, -14, 16, log_gauss, &g1), *two = table(2, -15, 15, log_gauss, &g);
    for (double x = -5; x < 7; x += 0.37) {
        double u[2], point[2] = {x, 0.3 * x - 0.8};
        const double phi = 0.5 * erfc(-(x - 1) / 1.5 / sqrt(2.0));
        near(nsamp_pit_cdf(one, x), phi, 1e-6);
        nsamp_pit_map(two, point, u);
        const double given = (point[1] + 1 - 0.6 * (x - 1)) / (1.5 * 0.8);
        near(u[0], phi, 1e-4);
        near(u[1], 0.5 * erfc(-given / sqrt(2.0)), 1e-3);
    }
    double u[2];
    nsamp_pit_map(two, (const double[]){-99, 99}, u);
    assert_true(u[0] == 0.0 && u[1] == 1.0);
    nsamp_pit_map(two, (const double[]){0, NAN}, u);
    assert_true(isnan(u[1]));
    nsamp_pit_destroy(one);
    nsamp_pit_destroy(two);
    nsamp_pit *bad;
    nsamp_error err;
    const double zero = 0, one_ = 1, nothing[2] = {NAN, 0};
    assert_int_equal(nsamp_pit_create(1, &one_, &zero, flat, NULL, &bad, &err), NSAMP_EUSAGE);
    assert_int_equal(nsamp_pit_create(3, &zero, &one_, flat, NULL, &bad, &err), NSAMP_EUSAGE);
    assert_int_equal(nsamp_pit_create(1, nothing, &one_, flat, NULL, &bad, &err), NSAMP_EUSAGE);
    assert_null(bad);
}

static void sample_against_density(void **state) {
    (void)state;
    nsamp_pit *pit = table(1, 0, 1, flat, NULL);
    const double half[1] = {0.5}, outside[2] = {-1, 2}, three[3] = {0.1, 0.1, 0.9};
    near(nsamp_w1_density(pit, half, 1), 0.25, 1e-12);
    near(nsamp_w1_density(pit, outside, 2), 0.5 + 0.25 + 0.5,
         1e-12); /* half a unit of mass over 1, twice; |F - 1/2| inside */
    near(nsamp_ks_density(pit, half, 1), 0.5, 1e-12);
    near(nsamp_ks_density(pit, three, 3), 2.0 / 3 - 0.1, 1e-12);
    nsamp_pit_destroy(pit);
    /* A large shifted sample of quantiles: W1 = the shift. */
    const gauss g = {{0, 0}, 1, 0, 1};
    pit = table(1, -9, 9, log_gauss, &g);
    enum { n = 20000 };
    double *x = malloc(n * sizeof *x);
    rng r = {5};
    for (int i = 0; i < n; i++)
        x[i] = normal(&r) + 0.3;
    nsamp_sort(x, n);
    near(nsamp_w1_density(pit, x, n), 0.3, 5.5 / sqrt(n));
    near(nsamp_ks_density(pit, x, n), 2 * (0.5 * erfc(-0.15 / sqrt(2.0))) - 1, 5.5 * 0.5 / sqrt(n));
    free(x);
    nsamp_pit_destroy(pit);
}

/* ---- KL ---- */

/* x [C][n][dim]: AR(1) chains (coefficient a) with the law of g. */
static void draw(double *x, size_t C, size_t n, double a, const gauss *g, uint64_t seed) {
    for (size_t c = 0; c < C; c++) {
        rng r = {seed * 77003 + c};
        double z[2] = {0};
        for (size_t t = 0; t < n; t++) {
            const double step = t ? sqrt(1 - a * a) : 1, e = normal(&r);
            z[0] = a * z[0] + step * e;
            x[(c * n + t) * g->dim] = g->mean[0] + g->sd * z[0];
            if (g->dim == 1) continue;
            z[1] = a * z[1] + step * (g->rho * e + sqrt(1 - g->rho * g->rho) * normal(&r));
            x[(c * n + t) * 2 + 1] = g->mean[1] + g->sd * z[1];
        }
    }
}

/* Repeated estimates of KL(q || p): on average between the value less `low` and the value; and a standard
 * error that is the spread, or somewhat more where the value is 0 (there the estimate is quadratic in the
 * noise, and a jackknife is known to overstate). */
static void repeat_kl(const gauss *q, const gauss *p, double a, size_t C, size_t n, double expected,
                      double low) {
    enum { RUNS = 100 };
    nsamp_pit *pit = table(p->dim, -8, 8, log_gauss, p);
    double *x = malloc(C * n * p->dim * sizeof *x), sum = 0, squares = 0, se = 0;
    nsamp_error err;
    for (uint64_t k = 0; k < RUNS; k++) {
        nsamp_estimate kl;
        draw(x, C, n, a, q, 1000 + k);
        assert_int_equal(nsamp_kl_density(pit, x, C, n, &kl, &err), NSAMP_OK);
        sum += kl.value;
        squares += kl.value * kl.value;
        se += kl.se / RUNS;
    }
    const double mean = sum / RUNS, sd = sqrt((squares / RUNS - mean * mean) * RUNS / (RUNS - 1.0));

    near(mean, expected - low / 2, 5.5 * sd / sqrt(RUNS) + low / 2);
    if (!(se > 0.75 * sd && se < 2.0 * sd))
        fail_msg("standard error %.3g, spread %.3g (mean %.3g)", se, sd, mean);
    free(x);
    nsamp_pit_destroy(pit);
}

static void kl_one_dimension(void **state) {
    (void)state;
    const gauss p = {{0, 0}, 1, 0, 1}, shifted = {{0.1, 0}, 1, 0, 1}, wide = {{0, 0}, 1.2, 0, 1};
    repeat_kl(&p, &p, 0.0, 256, 40, 0.0, 0);
    repeat_kl(&p, &p, 0.9, 256, 40, 0.0, 0); /* 19 draws to an independent one: bias must still go */
    repeat_kl(&p, &p, 0.5, 4, 4000, 0.0, 0);
    repeat_kl(&shifted, &p, 0.0, 256, 40, 0.005, 0.04 * 0.005);
    repeat_kl(&wide, &p, 0.5, 256, 40, 0.22 - log(1.2), 0.05 * 0.0377);
}

static void kl_two_dimensions(void **state) {
    (void)state;
    const gauss p = {{0, 0}, 1, 0.5, 2}, q = {{0, 0}, 1, 0.7, 2};
    repeat_kl(&p, &p, 0.3, 200, 50, 0.0, 0);
    /* KL of two correlations: tr/2 - 1 - log det / 2; four tails, where the ratio is large, are wider than a
     * cell */
    const double kl = (1 - 0.5 * 0.7) / (1 - 0.25) - 1 - 0.5 * log((1 - 0.49) / (1 - 0.25));
    repeat_kl(&q, &p, 0.0, 200, 50, kl, 0.2 * kl);
}

static void kl_refuses(void **state) {
    (void)state;
    const gauss p = {{0, 0}, 1, 0, 1};
    nsamp_pit *pit = table(1, -8, 8, log_gauss, &p);
    double x[200];
    nsamp_estimate kl;
    nsamp_error err;
    draw(x, 20, 10, 0, &p, 1);
    assert_int_equal(nsamp_kl_density(pit, x, 20, 10, &kl, &err), NSAMP_OK);
    assert_int_equal(nsamp_kl_density(pit, x, 20, 4, &kl, &err), NSAMP_EUSAGE);
    assert_int_equal(nsamp_kl_density(pit, x, 0, 0, &kl, &err), NSAMP_EUSAGE);
    assert_true(isnan(kl.value));
    x[77] = NAN;
    assert_int_equal(nsamp_kl_density(pit, x, 20, 10, &kl, &err), NSAMP_EUSAGE);
    nsamp_pit_destroy(pit);
}

/* ---- Frechet ---- */

static void frechet_closed_forms(void **state) {
    (void)state;
    nsamp_error err;
    double d;
    /* Commuting covariances Q diag(w) Q^T: sum of (sqrt a - sqrt b)^2, plus the means. One of them singular.
     */
    const double c = cos(0.7), s = sin(0.7), wa[2] = {4, 9}, wb[2] = {1, 0}, mean_a[2] = {1, 2},
                 mean_b[2] = {0, 4};
    double A[4], B[4];
    const double *w[2] = {wa, wb};
    double *out[2] = {A, B};
    for (int k = 0; k < 2; k++) {
        out[k][0] = c * c * w[k][0] + s * s * w[k][1];
        out[k][3] = s * s * w[k][0] + c * c * w[k][1];
        out[k][1] = out[k][2] = c * s * (w[k][0] - w[k][1]);
    }
    assert_int_equal(nsamp_frechet(2, mean_a, A, mean_b, B, &d, &err), NSAMP_OK);
    near(d, 5 + 1 + 9, 1e-6); /* sqrt of a rounding error of a zero eigenvalue */
    assert_int_equal(nsamp_frechet(2, mean_b, B, mean_a, A, &d, &err), NSAMP_OK);
    near(d, 15, 1e-6);
    assert_int_equal(nsamp_frechet(2, mean_a, A, mean_a, A, &d, &err), NSAMP_OK);
    near(d, 0, 1e-12);
    /* Not commuting, 2 x 2: tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det A det B)). */
    const double P[4] = {2, 0.5, 0.5, 1}, Q[4] = {1, -0.7, -0.7, 3};
    const double tr = 2 * 1 + 2 * (0.5 * -0.7) + 3, det = (2 - 0.25) * (3 - 0.49);
    assert_int_equal(nsamp_frechet(2, mean_a, P, mean_a, Q, &d, &err), NSAMP_OK);
    near(d, 3 + 4 - 2 * sqrt(tr + 2 * sqrt(det)), 1e-12);
    A[1] = INFINITY;
    assert_int_equal(nsamp_frechet(2, mean_a, A, mean_b, B, &d, &err), NSAMP_EUSAGE);
}

static void moments_of_rows(void **state) {
    (void)state;
    enum { n = 700, m = 5 };
    float x[n * m];
    double mean[m], cov[m * m];
    rng r = {9};
    for (int i = 0; i < n * m; i++)
        x[i] = (float)(3 + normal(&r) * (1 + i % m));
    nsamp_error err;
    assert_int_equal(nsamp_sample_moments(x, n, m, mean, cov, &err), NSAMP_OK);
    for (int i = 0; i < m; i++)
        for (int j = 0; j < m; j++) {
            double mi = 0, mj = 0, s = 0;
            for (int k = 0; k < n; k++) {
                mi += (double)x[k * m + i] / n;
                mj += (double)x[k * m + j] / n;
            }
            for (int k = 0; k < n; k++)
                s += ((double)x[k * m + i] - mi) * ((double)x[k * m + j] - mj) / (n - 1);
            near(cov[i * m + j], s, 1e-12);
            near(mean[i], mi, 1e-12);
        }
}

/* ---- series ---- */

static void kurtosis_of_laplace(void **state) {
    (void)state;
    enum { RUNS = 80, C = 500, n = 40 };
    double *x = malloc(C * n * sizeof *x), chi = 0, sum = 0;
    for (uint64_t k = 0; k < RUNS; k++) {
        rng r = {k + 1};
        for (int i = 0; i < C * n; i++) {
            const double u = uniform(&r);
            x[i] = 2 + 0.3 * (u < 0.5 ? log(2 * u) : -log(2 - 2 * u));
        }
        const nsamp_estimate e = nsamp_excess_kurtosis(x, C, n);
        chi += (e.value - 3) * (e.value - 3) / (e.se * e.se);
        sum += e.value / RUNS;
    }
    near(sum, 3, 5.5 * 0.25 / sqrt(RUNS)); /* sd of 20,000 draws: sqrt(1208 / 20,000) = 0.246 */
    if (chi < 35 || chi > 230)
        fail_msg("sum of 80 squared z-scores is %.1f", chi); /* heavy tails: 8th moments */
    rng r = {4};
    for (int i = 0; i < C * n; i++)
        x[i] = normal(&r);
    const nsamp_estimate e = nsamp_excess_kurtosis(x, C, n);
    near(e.value, 0, 5.5 * e.se);
    near(e.se, sqrt(24.0 / (C * n)), 0.35 * sqrt(24.0 / (C * n)));
    assert_true(isnan(nsamp_excess_kurtosis(x, 1, 3).value));
    free(x);
}

static void tau_of_ar1(void **state) {
    (void)state;
    enum { C = 64, n = 5000 };
    double *x = malloc(C * n * sizeof *x), means[C];
    const gauss g = {{5, 0}, 2, 0, 1};
    const double a[4] = {0.0, 0.8, 0.95, -0.5};
    for (int k = 0; k < 4; k++) {
        draw(x, C, n, a[k], &g, 50 + (uint64_t)k);
        const double tau = (1 + a[k]) / (1 - a[k]);
        near(nsamp_series_tau(x, C, n, means), tau, 0.06 * tau);
        if (a[k] < 0.9)
            near(nsamp_series_tau(x, 1, n, means), tau, 0.5 * tau); /* 0.95: 128 independent draws, too few */
    }
    for (int i = 0; i < C * n; i++)
        x[i] = 0.1;
    assert_true(isnan(nsamp_series_tau(x, C, n, means)) && isnan(nsamp_series_tau(x, 5, 3, means)));
    assert_true(isnan(nsamp_excess_kurtosis(x, C, n).value));
    for (int i = 0; i < C * n; i++) /* there and back: no sum of so few lags is a time */
        x[i] = i % 2 ? 1.0 : -1.0;
    assert_true(isnan(nsamp_series_tau(x, C, 6, means)));
    free(x);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(w1_of_samples),          cmocka_unit_test(transform),
        cmocka_unit_test(sample_against_density), cmocka_unit_test(kl_one_dimension),
        cmocka_unit_test(kl_two_dimensions),      cmocka_unit_test(kl_refuses),
        cmocka_unit_test(frechet_closed_forms),   cmocka_unit_test(moments_of_rows),
        cmocka_unit_test(kurtosis_of_laplace),    cmocka_unit_test(tau_of_ar1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
