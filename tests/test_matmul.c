/* test_matmul.c: matmul.h against sums in double, and its promise that no bit depends on threads or on the
 * other rows. test_matmul_blas.c compiles the same tests over the BLAS fallback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "matmul/blocks.h"
#include "reference_bf16.h"

/* Numbers in [-1, 1) that use every bit of a float (xorshift64*). */
static uint64_t random_state;
static float *random_array(size_t count) {
    float *a = malloc(count * sizeof *a);
    assert_non_null(a);
    for (size_t i = 0; i < count; i++) {
        random_state ^= random_state >> 12;
        random_state ^= random_state << 25;
        random_state ^= random_state >> 27;
        a[i] = (float)((double)(random_state * 2685821657736338717u >> 11) * 0x1p-52 - 1.0);
    }
    return a;
}

static double reference_activation(nsamp_activation act, double z) {
    if (act == NSAMP_RELU) return z > 0 ? z : 0;
    if (act == NSAMP_TANH) return tanh(z);
    if (act == NSAMP_SOFTPLUS) return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
    return z;
}

typedef struct {
    size_t in, out, rows;
    nsamp_activation act;
    nsamp_precision precision;
    bool bias, accumulate;
} layer_case;

/* The bf16 products of the library itself are there wherever it has its kernels for AVX-512; elsewhere they may not be. */
static bool may_lack_native(void) {
    return !strstr(nsamp_matmul_name(), "avx512_core");
}

static bool native; /* the tests of the library's own bf16 products run */

static void check_layer(layer_case c) {
    random_state = 88172645463325252u;
    float *w = random_array(c.in * c.out), *x = random_array(c.rows * c.in), *b = random_array(c.out);
    float *y = random_array(c.rows * c.out), *y0 = malloc(c.rows * c.out * sizeof *y0);
    memcpy(y0, y, c.rows * c.out * sizeof *y0);
    nsamp_layer *layer;
    nsamp_error err;
    nsamp_status s =
        nsamp_layer_create(c.in, c.out, w, c.bias ? b : NULL, c.act, c.precision, c.rows, &layer, &err);
    if (s == NSAMP_EUSAGE && native && may_lack_native()) skip();
    assert_int_equal(s, NSAMP_OK);
    nsamp_layer_apply(layer, c.rows, x, y, c.accumulate);
    for (size_t r = 0; r < c.rows; r++)
        for (size_t j = 0; j < c.out; j++) {
            double sum = c.bias ? b[j] : 0, size = fabs(sum);
            for (size_t i = 0; i < c.in; i++) {
                double a = x[r * c.in + i], v = w[j * c.in + i];
                double term = c.precision == NSAMP_BF16 ? ref_bf16(a) * ref_bf16(v) : a * v;
                sum += term;
                size += fabs(term);
            }
            double expected = reference_activation(c.act, sum);
            if (c.accumulate) {
                expected += y0[r * c.out + j];
                size += fabs(y0[r * c.out + j]);
            }
            /* Rounding of a float sum in any order is below in * 2^-24 * size, and about its root in
             * practice; the activations' own errors are below 4e-6 here. */
            double tolerance = 8 * sqrt((double)c.in + 2) * 0x1p-24 * size + (c.act >= NSAMP_TANH ? 4e-6 : 0);
            if (!(fabs(y[r * c.out + j] - expected) <= tolerance))
                fail_msg(
                    "in %zu out %zu rows %zu act %d precision %d: y[%zu, %zu] = %.9g, expected %.9g +- %.2g",
                    c.in, c.out, c.rows, c.act, c.precision, r, j, y[r * c.out + j], expected, tolerance);
        }
    nsamp_layer_destroy(layer);
    free(w), free(x), free(b), free(y), free(y0);
}

static void layer_matches_double(void **state) {
    (void)state;
    for (int act = NSAMP_IDENTITY; act <= NSAMP_SOFTPLUS; act++)
        for (int bias = 0; bias < 2; bias++) {
            check_layer((layer_case){2, 1000, 48, (nsamp_activation)act, NSAMP_FP32, bias, false});
            check_layer((layer_case){37, 29, 200, (nsamp_activation)act, NSAMP_FP32, bias, false});
        }
    check_layer((layer_case){1000, 2, 33, NSAMP_IDENTITY, NSAMP_FP32, false, false});
    check_layer((layer_case){100, 257, 1, NSAMP_IDENTITY, NSAMP_FP32, true, true});
    check_layer((layer_case){300, 64, 150, NSAMP_IDENTITY, NSAMP_FP32, false, true});
    check_layer((layer_case){1, 1, 7, NSAMP_RELU, NSAMP_FP32, true, false});
}

static void bf16_layer_matches_double_of_rounded_inputs(void **state) {
    (void)state;
    for (int act = NSAMP_IDENTITY; act <= NSAMP_SOFTPLUS; act++)
        check_layer((layer_case){100, 64, 150, (nsamp_activation)act, NSAMP_BF16, true, false});
    check_layer((layer_case){1000, 3, 40, NSAMP_IDENTITY, NSAMP_BF16, false, true});
}

static void a_nan_stays_in_its_row(void **state) {
    (void)state;
    enum { IN = 20, OUT = 30, ROWS = 40 };
    for (int precision = NSAMP_FP32; precision <= NSAMP_BF16; precision++)
        for (int act = NSAMP_IDENTITY; act <= NSAMP_SOFTPLUS; act++) {
            float *w = random_array(IN * OUT), *x = random_array(ROWS * IN), *y = random_array(ROWS * OUT);
            x[7 * IN + 3] = NAN;
            nsamp_layer *layer;
            nsamp_status s = nsamp_layer_create(IN, OUT, w, NULL, (nsamp_activation)act,
                                                (nsamp_precision)precision, ROWS, &layer, NULL);
            if (s == NSAMP_EUSAGE && native && may_lack_native()) skip();
            assert_int_equal(s, NSAMP_OK);
            nsamp_layer_apply(layer, ROWS, x, y, false);
            size_t bad = 0;
            for (size_t i = 0; i < ROWS * OUT; i++) {
                if (isnan(y[i])) bad++;
                if (i / OUT != 7) assert_true(isfinite(y[i]));
            }
            /* A library's relu may give max(NaN, 0) = 0; the linear layer that the drift ends with may not
             * lose it. */
            if (act == NSAMP_IDENTITY) assert_int_equal(bad, OUT);
            nsamp_layer_destroy(layer);
            free(w), free(x), free(y);
        }
}

/* All rows in one call on one thread; then other numbers of threads, tiles of other sizes by one thread each,
 * and calls from one thread with all threads inside. */
static void check_same_bits(size_t in, size_t out, nsamp_precision precision, nsamp_activation act) {
    enum { ROWS = 512 };
    static const size_t tiles[] = {16, 32, 48, 64, 80, 128, 256, 512, 5};
    const int most = omp_get_max_threads();
    float *w = random_array(in * out), *b = random_array(out), *x = random_array(ROWS * in);
    float *first = malloc(ROWS * out * sizeof *first), *y = malloc(ROWS * out * sizeof *y);
    for (size_t t = 0; t < sizeof tiles / sizeof *tiles; t++)
        for (int threads = 1; threads <= 3; threads++)
            for (int inside = 0; inside < 2; inside++) {
                nsamp_layer *layer;
                omp_set_num_threads(threads);
                nsamp_status s = nsamp_layer_create(in, out, w, b, act, precision, tiles[t], &layer, NULL);
                if (s == NSAMP_EUSAGE && native && may_lack_native()) skip();
                assert_int_equal(s, NSAMP_OK);
#pragma omp parallel for if (inside)
                for (size_t r = 0; r < ROWS; r += tiles[t]) {
                    size_t rows = ROWS - r < tiles[t] ? ROWS - r : tiles[t];
                    nsamp_layer_apply(layer, rows, x + r * in, y + r * out, false);
                }
                nsamp_layer_destroy(layer);
                if (t == 0 && threads == 1 && !inside) memcpy(first, y, ROWS * out * sizeof *y);
                if (memcmp(first, y, ROWS * out * sizeof *y))
                    fail_msg("in %zu out %zu tile %zu, %d threads, %s: other bits than tile 16 on one thread",
                             in, out, tiles[t], threads, inside ? "a tile each" : "all in a tile");
            }
    omp_set_num_threads(most);
    free(w), free(b), free(x), free(first), free(y);
}

static void bits_do_not_depend_on_threads_or_rows(void **state) {
    (void)state;
    random_state = 1234567;
    check_same_bits(2, 1000, NSAMP_FP32, NSAMP_RELU);
    check_same_bits(1000, 2, NSAMP_FP32, NSAMP_IDENTITY);
    check_same_bits(100, 1030, NSAMP_FP32, NSAMP_TANH);
    check_same_bits(4096, 100, NSAMP_FP32, NSAMP_IDENTITY);
    check_same_bits(300, 515, NSAMP_FP32, NSAMP_SOFTPLUS);
}

static void bf16_bits_do_not_depend_on_threads_or_rows(void **state) {
    (void)state;
    random_state = 7654321;
    check_same_bits(100, 513, NSAMP_BF16, NSAMP_RELU);
    check_same_bits(2048, 30, NSAMP_BF16, NSAMP_IDENTITY);
}

static void an_empty_shape_is_refused(void **state) {
    (void)state;
    float w = 1;
    nsamp_layer *layer = (nsamp_layer *)&w;
    nsamp_error err;
    assert_int_equal(nsamp_layer_create(0, 1, &w, NULL, NSAMP_RELU, NSAMP_FP32, 16, &layer, &err),
                     NSAMP_EUSAGE);
    assert_null(layer);
    assert_int_equal(nsamp_layer_create(1, 1, &w, NULL, NSAMP_RELU, NSAMP_FP32, 0, &layer, &err),
                     NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "0 rows"));
    assert_int_equal(nsamp_layer_create(1, 1, &w, NULL, NSAMP_RELU, NSAMP_TF32, 16, &layer, &err),
                     NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "only on a GPU"));
    nsamp_layer_destroy(NULL);
    assert_true(strlen(nsamp_matmul_name()) > 3);
}

/* The same tests with both ways of computing bf16: by rounding, and by the library's own products. */
static int round_factors(void **state) {
    (void)state;
    nsamp_matmul_set_bf16(NSAMP_BF16_ROUNDED);
    assert_false(nsamp_matmul_bf16_is_native());
    return 0;
}

#if NSAMP_HAVE_DNNL
static int use_native(void **state) {
    (void)state;
    nsamp_matmul_set_bf16(NSAMP_BF16_NATIVE);
    native = true;
    assert_true(nsamp_matmul_bf16_is_native());
    return 0;
}
#endif

static int choose(void **state) {
    (void)state;
    nsamp_matmul_set_bf16(NSAMP_BF16_AUTO);
    native = false;
    return 0;
}

/* All 2^32 float32 would take half a minute: every exponent and sign, with significands around each tie and at the ends. */
static void rounding_to_bf16_is_to_the_nearest_even(void **state) {
    (void)state;
    size_t count = 0;
    for (uint32_t upper = 0; upper < 0x10000u; upper++)
        for (int k = 0; k < 7; k++) {
            static const uint32_t lower[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1234};
            const uint32_t bits = upper << 16 | lower[k];
            float x, y;
            memcpy(&x, &bits, sizeof x);
            nsamp_round_to_bf16(1, &x, &y);
            if (isnan(x)) {
                assert_true(isnan(y));
                continue;
            }
            double expected = ref_bf16(x);
            if (fabs(expected) >= 0x1p128) expected = copysign(INFINITY, x);
            if (fabs((double)x) < 0x1p-126) expected = nearbyint(x * 0x1p133) * 0x1p-133;
            if (y != expected) fail_msg("%a rounds to %a, expected %a", x, y, expected);
            count++;
        }
    assert_true(count > 400000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_matches_double),
        cmocka_unit_test(rounding_to_bf16_is_to_the_nearest_even),
        cmocka_unit_test_setup_teardown(bf16_layer_matches_double_of_rounded_inputs, round_factors, choose),
#if NSAMP_HAVE_DNNL
        {"native_bf16_layer_matches_double", bf16_layer_matches_double_of_rounded_inputs, use_native, choose,
         NULL},
        {"native_bf16_bits_do_not_depend", bf16_bits_do_not_depend_on_threads_or_rows, use_native, choose,
         NULL},
#endif
        cmocka_unit_test(a_nan_stays_in_its_row),
        cmocka_unit_test(bits_do_not_depend_on_threads_or_rows),
        cmocka_unit_test_setup_teardown(bf16_bits_do_not_depend_on_threads_or_rows, round_factors, choose),
        cmocka_unit_test(an_empty_shape_is_refused),
    };
    return cmocka_run_group_tests_name(nsamp_matmul_name(), tests, NULL, NULL);
}
