/* test_draws_thrust.c: kernels/cuda_draws.cu, compiled with Thrust's OpenMP backend, against plain C. Skipped, and counted
 * so, where the toolkit's headers (CCCL) are missing. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernels/cuda_draws.h"
#include "kernels/noise.h"
#include "stats/distances.h"

#ifdef NSAMP_HAVE_CCCL

enum { N = 20000, M = 12345, BINS = 37 };

typedef struct samples {
    float *a, *b;
} samples;

/* a [N] standard normal; b [N] normal, shifted and wider, rounded to a grid so that there are ties with itself and with
 * the zeros that every 50th entry of both is set to. */
static samples make(void) {
    samples s = {malloc(N * sizeof(float)), malloc(N * sizeof(float))};
    const nsamp_noise_key key = nsamp_noise_key_of(11, 10);
    assert_true(s.a && s.b);
    for (uint32_t i = 0; i < N; i++) {
        float z[4];
        nsamp_normals4(key, NSAMP_PURPOSE_CHECK, i, 0, 0, z);
        s.a[i] = i % 50 ? z[0] : 0.0f;
        s.b[i] = i % 50 ? rintf(64.0f * (0.25f + 1.5f * z[1])) / 64.0f : 0.0f;
    }
    return s;
}

static double *sorted(size_t n, const float *x) {
    double *y = malloc(n * sizeof *y);
    assert_non_null(y);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i];
    nsamp_sort(y, n);
    return y;
}

static void test_moments(void **state) {
    (void)state;
    samples s = make();
    double mean, var, m = 0, v = 0;
    for (size_t i = 0; i < N; i++)
        m += s.b[i];
    m /= N;
    for (size_t i = 0; i < N; i++)
        v += (s.b[i] - m) * (s.b[i] - m);
    v /= N - 1;
    assert_int_equal(nsamp_draws_moments(N, s.b, &mean, &var), 0);
    assert_true(fabs(mean - m) < 1e-12 && fabs(var - v) < 1e-11);
    free(s.a);
    free(s.b);
}

static void test_w1(void **state) {
    (void)state;
    samples s = make();
    double w1, *a = sorted(N, s.a), *b = sorted(N, s.b);
    const double expected = nsamp_w1(a, N, b, N);
    assert_int_equal(nsamp_draws_w1(N, s.a, s.b, &w1), 0);
    assert_true(expected > 0.1 && fabs(w1 - expected) < 1e-10);
    assert_int_equal(nsamp_draws_w1(N, s.a, s.a, &w1), 0);
    assert_true(w1 == 0);
    free(a);
    free(b);
    free(s.a);
    free(s.b);
}

/* sup |F - G| over the jumps of both, by counting. */
static double plain_ks(size_t na, const double *a, size_t nb, const double *b) {
    double most = 0;
    for (size_t i = 0, j = 0; i < na && j < nb;) {
        const double x = a[i] < b[j] ? a[i] : b[j];
        while (i < na && a[i] == x)
            i++;
        while (j < nb && b[j] == x)
            j++;
        const double gap = fabs((double)i / (double)na - (double)j / (double)nb);
        if (gap > most) most = gap;
    }
    return most;
}

static void test_ks(void **state) {
    (void)state;
    samples s = make();
    double ks, *a = sorted(N, s.a), *b = sorted(M, s.b);
    assert_int_equal(nsamp_draws_ks(N, s.a, M, s.b, &ks), 0);
    assert_true(ks > 0.05 && fabs(ks - plain_ks(N, a, M, b)) < 1e-14);
    assert_int_equal(nsamp_draws_ks(M, s.b, N, s.a, &ks), 0);
    assert_true(fabs(ks - plain_ks(N, a, M, b)) < 1e-14);
    assert_int_equal(nsamp_draws_ks(N, s.a, N, s.a, &ks), 0);
    assert_true(ks == 0);
    free(a);
    free(b);
    free(s.a);
    free(s.b);
}

static void test_histogram(void **state) {
    (void)state;
    samples s = make();
    size_t counts[BINS], expected[BINS] = {0}, inside = 0;
    s.b[7] = NAN;
    s.b[8] = INFINITY;
    for (size_t i = 0; i < N; i++) {
        const double at = ((double)s.b[i] + 2.0) / (4.0 / BINS);
        if (at >= 0 && at < BINS) expected[(size_t)at]++;
    }
    assert_int_equal(nsamp_draws_histogram(N, s.b, -2, 2, BINS, counts), 0);
    for (size_t i = 0; i < BINS; i++) {
        assert_int_equal(counts[i], expected[i]);
        inside += counts[i];
    }
    assert_true(inside > N / 2 && inside < N - 100);
    free(s.a);
    free(s.b);
}

#else

static void test_moments(void **state) {
    (void)state;
    skip();
}
#define test_w1        test_moments
#define test_ks        test_moments
#define test_histogram test_moments

#endif

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_moments), cmocka_unit_test(test_w1),
                                       cmocka_unit_test(test_ks), cmocka_unit_test(test_histogram)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
