/* test_elementary.c: log, exp, tanh and softplus against the C library in double precision. The errors stated
 * in elementary.h must hold and may not grow: over every 257th float and around the hard places, or over
 * every float of the domain with NSAMP_SLOW=1. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kernels/elementary.h"

typedef struct function {
    const char *name;
    float (*ours)(float);
    double (*exact)(double);
    float low, high; /* domain that is scanned */
    double ulps;     /* largest error allowed */
    double found;    /* largest error known: at one of the hard places; a scan must reach it */
    float hard[6];   /* places where errors are largest or formulas change */
} function;

static float log_of(float x) {
    return nsamp_log(x);
}

static float exp_of(float x) {
    return nsamp_exp(x);
}

static float exp_share_of(float x) {
    return nsamp_exp_share(x);
}

static float tanh_of(float x) {
    return nsamp_tanh(x);
}

static float softplus_of(float x) {
    return nsamp_softplus(x);
}

static double softplus(double x) {
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

/* Floats in order: ..., -2, -1, 0, 1, 2, ... for -2^-149, -0 and 0 (one place), 2^-149. */
static int64_t place_of(float x) {
    const int64_t bits = nsamp_bits_of(fabsf(x));
    return x < 0 ? -bits : bits;
}

static float float_at(int64_t place) {
    return place < 0 ? -nsamp_float_of((uint32_t)-place) : nsamp_float_of((uint32_t)place);
}

static double ulp_of(double exact) {
    int exponent;
    if (fabs(exact) < 0x1p-126) return 0x1p-149;
    frexp(exact, &exponent);
    return ldexp(1.0, exponent - 24);
}

/* The error in ulps; a result beyond the largest float must be infinity. */
static double error_at(const function *f, float x) {
    const double exact = f->exact(x), ours = f->ours(x);
    if (exact >= 0x1.ffffffp127) return isinf(ours) && ours > 0 ? 0.0 : INFINITY;
    const double error = fabs(ours - exact) / ulp_of(exact);
    return isnan(error) ? INFINITY : error;
}

static double worst_between(const function *f, int64_t first, int64_t last, int64_t stride, float *where) {
    double worst = 0.0;
#pragma omp parallel
    {
        double mine = 0.0;
        float at = f->low;
#pragma omp for
        for (int64_t i = first; i <= last; i += stride) {
            const double error = error_at(f, float_at(i));
            if (error > mine) {
                mine = error;
                at = float_at(i);
            }
        }
#pragma omp critical
        if (mine > worst) {
            worst = mine;
            *where = at;
        }
    }
    return worst;
}

static void check_function(const function *f) {
    const char *slow = getenv("NSAMP_SLOW");
    const int all = slow && *slow == '1';
    float where = 0.0f;
    double worst = worst_between(f, place_of(f->low), place_of(f->high), all ? 1 : 257, &where);
    for (size_t i = 0; i < sizeof f->hard / sizeof *f->hard; i++) {
        int64_t from = place_of(f->hard[i]) - 20000, to = from + 40000;
        if (from < place_of(f->low)) from = place_of(f->low);
        if (to > place_of(f->high)) to = place_of(f->high);
        float at = 0.0f;
        const double here = worst_between(f, from, to, 1, &at);
        if (here > worst) {
            worst = here;
            where = at;
        }
    }
    print_message("%s: largest error %.4f ulp, at %a\n", f->name, worst, (double)where);
    if (!(worst <= f->ulps))
        fail_msg("%s: %.4f ulp at %a, stated %.2f", f->name, worst, (double)where, f->ulps);
    if (!(worst >= f->found)) fail_msg("%s: only %.4f ulp, known %.4f", f->name, worst, f->found);
}

static void test_log(void **state) {
    (void)state;
    check_function(&(function){"log",
                               log_of,
                               log,
                               0x1p-126f,
                               0x1.fffffep127f,
                               1.20,
                               1.12,
                               {0x1p-126f, 0.70710678f, 1.0f, 1.41421356f, 0x1.930cap-1f, 0x1.fffffep127f}});
}

static void test_exp(void **state) {
    (void)state;
    check_function(&(function){"exp",
                               exp_of,
                               exp,
                               -120.0f,
                               100.0f,
                               1.10,
                               1.04,
                               {-103.97f, -87.3365f, 0.0f, 88.7228f, 0x1.da5b7ap+5f, 89.0f}});
    assert_true(nsamp_exp(INFINITY) == INFINITY && nsamp_exp(-INFINITY) == 0.0f && isnan(nsamp_exp(NAN)));
    assert_true(nsamp_exp(0.0f) == 1.0f && nsamp_exp(-0.0f) == 1.0f);
    assert_true(nsamp_exp(0x1.fffffep127f) == INFINITY && nsamp_exp(-0x1.fffffep127f) == 0.0f);
}

/* The bits of nsamp_exp down to -64, and 0 below. */
static void test_exp_share(void **state) {
    (void)state;
    check_function(&(function){"exp, of a share",
                               exp_share_of,
                               exp,
                               -64.0f,
                               0.0f,
                               1.10,
                               1.01,
                               {-64.0f, -63.99f, -0.34657359f, -0x1.761198p+2f, -1e-30f, 0.0f}});
    for (int64_t place = place_of(-64.0f); place <= 0; place += 9973) {
        const float x = float_at(place);
        assert_true(nsamp_exp_share(x) == nsamp_exp(x));
    }
    assert_true(nsamp_exp_share(-64.0f) > 1e-28f && nsamp_exp_share(-0.0f) == 1.0f);
    const float below[] = {-0x1.000002p+6f, -88.0f, -0x1p+24f, -0x1.fffffep127f, -INFINITY, NAN, -NAN};
    for (size_t i = 0; i < sizeof below / sizeof *below; i++)
        assert_true(nsamp_exp_share(below[i]) == 0.0f);
}

static void test_tanh(void **state) {
    (void)state;
    check_function(&(function){"tanh",
                               tanh_of,
                               tanh,
                               -50.0f,
                               50.0f,
                               6.93,
                               6.92,
                               {-9.1f, 0.17f, 0.0f, 0.52f, 0x1.141746p+3f, 10.0f}});
    assert_true(nsamp_tanh(INFINITY) == 1.0f && nsamp_tanh(-INFINITY) == -1.0f && isnan(nsamp_tanh(NAN)));
    assert_int_equal(nsamp_bits_of(nsamp_tanh(-0.0f)), 0x80000000u);
    assert_true(nsamp_tanh(0x1.fffffep127f) == 1.0f && nsamp_tanh(9.1f) == 1.0f);
    for (uint32_t i = nsamp_bits_of(8.0f); i < nsamp_bits_of(9.1f); i++)
        assert_true(nsamp_tanh(nsamp_float_of(i)) <= 1.0f + 0x1p-23f);
    for (uint32_t i = 0; i < 0x7f800000u; i += 65537)
        assert_true(nsamp_tanh(-nsamp_float_of(i)) == -nsamp_tanh(nsamp_float_of(i)));
}

static void test_softplus(void **state) {
    (void)state;
    check_function(&(function){"softplus",
                               softplus_of,
                               softplus,
                               -130.0f,
                               200.0f,
                               2.60,
                               2.38,
                               {-103.97f, -87.3365f, 0.0f, 17.0f, -0x1.09d3p+2f, 89.0f}});
    assert_true(nsamp_softplus(INFINITY) == INFINITY && nsamp_softplus(-INFINITY) == 0.0f);
    assert_true(isnan(nsamp_softplus(NAN)) && nsamp_softplus(0x1.fffffep127f) == 0x1.fffffep127f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),  cmocka_unit_test(test_exp),      cmocka_unit_test(test_exp_share),
        cmocka_unit_test(test_tanh), cmocka_unit_test(test_softplus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
