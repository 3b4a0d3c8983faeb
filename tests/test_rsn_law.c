/* test_rsn_law.c: a network with linear drift against the exact law of its recursion, at both levels and on both paths. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <string.h>

#include "reference_bf16.h"
#include "rsn_models.h"

/* Stationary covariance by iterating the recursion itself, and the mean likewise, from W2, W1, b with phi
 * active in one of each pair of units. */
static void ref_law(const nsamp_network *net, double h, double *mean, double *cov) {
    const size_t m = net->m, n = net->n;
    double f[16] = {0}, c[4] = {0}, next[16] = {0};
    for (size_t i = 0; i < m; i++) {
        f[i * m + i] = 1.0 - h;
        for (size_t j = 0; j < n; j++) { /* relu is active on half of the units, on average over the pair */
            c[i] += h * (double)net->w1[i * n + j] * (double)net->b[j] / 2.0;
            for (size_t k = 0; k < m; k++)
                f[i * m + k] += h * (double)net->w1[i * n + j] * (double)net->w2[j * m + k] / 2.0;
        }
        mean[i] = 0.0;
    }
    memset(cov, 0, m * m * sizeof(double));
    for (int it = 0; it < 5000; it++) {
        for (size_t i = 0; i < m; i++)
            for (size_t k = 0; k < m; k++) {
                next[i * m + k] = i == k ? 2.0 * h : 0.0;
                for (size_t a = 0; a < m; a++)
                    for (size_t b = 0; b < m; b++)
                        next[i * m + k] += f[i * m + a] * cov[a * m + b] * f[k * m + b];
            }
        memcpy(cov, next, m * m * sizeof(double));
        for (size_t i = 0; i < m; i++) {
            next[i] = c[i];
            for (size_t k = 0; k < m; k++)
                next[i] += f[i * m + k] * mean[k];
        }
        memcpy(mean, next, m * sizeof(double));
    }
}

static void check_z(const char *what, size_t i, double value, double se, double expected, double scale) {
    double z = (value - expected) / se;
    if (!(fabs(z) < 6.0))
        fail_msg("%s %zu: %.6g +- %.2g, expected %.6g: z = %.1f", what, i, value, se, expected, z);
    if (!(6.0 * se < 0.01 * scale)) fail_msg("%s %zu: standard error %.3g is too large", what, i, se);
}

static void check_law(bool reservoir, nsamp_rsn_path path) {
    enum { M = 3, N = 64, BURN_IN = 60, SAMPLES = 12, EVERY = 10 };
    const size_t chains = 131072;
    nsamp_network *net;
    nsamp_error err;
    double mean[M], cov[M * M], sum[M] = {0}, product[M * M] = {0};
    assert_int_equal(nsamp_rsn_linear(M, N, 3, &net, &err), NSAMP_OK);
    nsamp_rsn_options o = options(reservoir, path);
    o.h = 0.3;
    o.tile = 256;
    ref_law(net, 0.3, mean, cov);
    nsamp_model model = make(net, &o);
    for (size_t i = 0; i < M; i++) {
        assert_true(fabs(model.law.mean[i] - mean[i]) < 1e-6);
        for (size_t k = 0; k < M; k++)
            assert_true(fabs(model.law.cov[i * M + k] - cov[i * M + k]) < 1e-6);
    }
    tiles t = tiles_create(&model, NULL, 8, 0, chains);
    float *x = malloc(chains * M * sizeof(float));
    tiles_advance(&t, 0, BURN_IN);
    for (uint64_t s = 0; s < SAMPLES; s++) {
        tiles_advance(&t, BURN_IN + s * EVERY, EVERY);
        tiles_observe(&t, x);
        for (size_t c = 0; c < chains; c++)
            for (size_t i = 0; i < M; i++) {
                sum[i] += (double)x[c * M + i];
                for (size_t k = 0; k < M; k++)
                    product[i * M + k] += ((double)x[c * M + i] - mean[i]) * ((double)x[c * M + k] - mean[k]);
            }
    }
    /* Ten steps of h = .3 leave a correlation of at most (1 - .3 .4)^10 = .28 between samples: 1.3 in the
     * error. */
    const double n = (double)chains * SAMPLES;
    for (size_t i = 0; i < M; i++) {
        const double sd = sqrt(cov[i * M + i]);
        check_z("mean", i, sum[i] / n, 1.35 * sd / sqrt(n), mean[i], sd);
        for (size_t k = 0; k <= i; k++) {
            const double scale = sd * sqrt(cov[k * M + k]),
                         se = sqrt(scale * scale + cov[i * M + k] * cov[i * M + k]);
            check_z("covariance", i * M + k, product[i * M + k] / n, 1.1 * se / sqrt(n), cov[i * M + k],
                    scale);
        }
    }
    tiles_destroy(&t);
    free_model(&model);
    free(x);
}

/* Autocorrelation times from the covariances of a chain with itself, lag by lag: E x(t + k) x(t)^T = F^k P. */
static void test_tau(void **state) {
    (void)state;
    enum { M = 3, N = 64, LAGS = 400 };
    nsamp_network *net;
    nsamp_error err;
    double mean[M], cov[M * M], f[M * M], power[M * M], next[M * M], sum[M];
    assert_int_equal(nsamp_rsn_linear(M, N, 3, &net, &err), NSAMP_OK);
    nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
    o.h = 0.3;
    ref_law(net, 0.3, mean, cov);
    for (size_t i = 0; i < M; i++)
        for (size_t k = 0; k < M; k++) {
            f[i * M + k] = i == k ? 0.7 : 0;
            for (size_t j = 0; j < N / 2; j++)
                f[i * M + k] += 0.3 * (double)net->w1[i * N + j] * (double)net->w2[j * M + k];
        }
    nsamp_model model = make(net, &o);
    memcpy(power, cov, sizeof power);
    for (size_t i = 0; i < M; i++)
        sum[i] = cov[i * M + i];
    for (int lag = 1; lag < LAGS; lag++) {
        for (size_t i = 0; i < M; i++)
            for (size_t k = 0; k < M; k++) {
                next[i * M + k] = 0;
                for (size_t a = 0; a < M; a++)
                    next[i * M + k] += f[i * M + a] * power[a * M + k];
            }
        memcpy(power, next, sizeof power);
        for (size_t i = 0; i < M; i++)
            sum[i] += 2 * power[i * M + i];
    }
    for (size_t i = 0; i < M; i++) {
        assert_true(model.law.tau[i] > 3);
        assert_true(fabs(model.law.tau[i] - sum[i] / cov[i * M + i]) < 1e-5 * model.law.tau[i]);
    }
    free_model(&model);
}

/* Drift of the network, its factors through `number` (ref_bf16 or as they are); d [m]. */
static void ref_drift(const nsamp_network *net, double (*number)(double), const double *x, double *d) {
    const size_t m = net->m, n = net->n;
    for (size_t i = 0; i < m; i++)
        d[i] = -x[i];
    for (size_t j = 0; j < n; j++) {
        double a = (double)net->b[j];
        for (size_t i = 0; i < m; i++)
            a += number((double)net->w2[j * m + i]) * number(x[i]);
        for (size_t i = 0; i < m; i++)
            d[i] += number((double)net->w1[i * n + j]) * number(a > 0 ? a : 0);
    }
}

static double as_it_is(double x) {
    return x;
}

/* sqrt(E |d~ - d|^2 / E |d|^2) over draws of N(mean, cov), m = 3. */
static double ref_drift_error(const nsamp_network *net, const double *mean, const double *cov) {
    enum { M = 3, DRAWS = 4000 };
    double l[M * M] = {0}, error = 0, size = 0;
    for (size_t i = 0; i < M; i++)
        for (size_t k = 0; k <= i; k++) {
            double s = cov[i * M + k];
            for (size_t a = 0; a < k; a++)
                s -= l[i * M + a] * l[k * M + a];
            l[i * M + k] = i == k ? sqrt(s) : s / l[k * M + k];
        }
    for (uint32_t c = 0; c < DRAWS; c++) {
        double x[M], exact[M], other[M];
        for (size_t i = 0; i < M; i++) {
            x[i] = mean[i];
            for (size_t k = 0; k <= i; k++)
                x[i] += l[i * M + k] * ref_normal(5, REF_PURPOSE_STEP, c, 9, (uint32_t)k);
        }
        ref_drift(net, as_it_is, x, exact);
        ref_drift(net, ref_bf16, x, other);
        for (size_t i = 0; i < M; i++) {
            error += (other[i] - exact[i]) * (other[i] - exact[i]);
            size += exact[i] * exact[i];
        }
    }
    return sqrt(error / size);
}

/* The law of a run in bf16 is that of the rounded weights, and its text says how far that is from the network's. */
static void test_bf16_law(void **state) {
    (void)state;
    enum { M = 3, N = 64 };
    nsamp_network *net, *narrow;
    nsamp_error err;
    double mean[M], cov[M * M], plain_mean[M], plain_cov[M * M], moved = 0, widened = 0;
    assert_int_equal(nsamp_rsn_linear(M, N, 3, &net, &err), NSAMP_OK);
    assert_int_equal(nsamp_rsn_linear(M, N, 3, &narrow, &err), NSAMP_OK);
    for (size_t i = 0; i < M * N; i++) {
        narrow->w1[i] = (float)ref_bf16((double)net->w1[i]);
        narrow->w2[i] = (float)ref_bf16((double)net->w2[i]);
    }
    ref_law(net, 0.3, plain_mean, plain_cov);
    ref_law(narrow, 0.3, mean, cov);
    nsamp_rsn_options o = options(false, NSAMP_RSN_PRODUCT);
    o.h = 0.3;
    o.precision = NSAMP_BF16;
    nsamp_model model = make(net, &o);
    for (size_t i = 0; i < M; i++) {
        assert_true(fabs(model.law.mean[i] - mean[i]) < 1e-6);
        for (size_t k = 0; k < M; k++)
            assert_true(fabs(model.law.cov[i * M + k] - cov[i * M + k]) < 1e-6);
        moved = fmax(moved, fabs(mean[i] - plain_mean[i]) / sqrt(plain_cov[i * M + i]));
        widened = fmax(widened, fabs(cov[i * M + i] / plain_cov[i * M + i] - 1));
    }
    assert_true(moved > 2e-5 && widened > 2e-5); /* far enough for the comparison above to see the rounding */
    double said[3];
    const char *text = strstr(model.law.source, "moves means");
    assert_non_null(text);
    if (sscanf(text, "moves means by up to %lf sd, variances by up to %lf %%; error of the drift %lf %%",
               &said[0], &said[1], &said[2]) != 3)
        fail_msg("%s", model.law.source);
    const double error = ref_drift_error(net, plain_mean, plain_cov);
    if (!(fabs(said[0] / moved - 1) < 0.06 && fabs(said[1] / (100 * widened) - 1) < 0.06))
        fail_msg("'%s': expected %g sd, %g %%", text, moved, 100 * widened);
    if (!(fabs(said[2] / (100 * error) - 1) < 0.15)) fail_msg("'%s': expected %g %%", text, 100 * error);
    nsamp_network_destroy(narrow);
    free_model(&model);
}

static void test_law(void **state) {
    (void)state;
    check_law(false, NSAMP_RSN_FUSED);
    check_law(true, NSAMP_RSN_FUSED);
    check_law(false, NSAMP_RSN_PRODUCT);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_law), cmocka_unit_test(test_tau),
                                       cmocka_unit_test(test_bf16_law)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
