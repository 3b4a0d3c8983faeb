/* test_scores.c: the float32 scores of src/kernels/targets against the double-precision targets, which are tested in
 * test_targets.c, and the functions they are made of against libm. The bounds are the errors measured here, rounded up;
 * NSAMP_SLOW=1 takes every float where the quick test takes one in 97. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "kernels/targets/heart.h"
#include "kernels/targets/laplace_copula.h"
#include "kernels/targets/mixture.h"
#include "models.h"
#include "kernels/systems/langevin_score.h"
#include "scratch.h"

static uint32_t stride(void) {
    return getenv("NSAMP_SLOW") ? 1 : 97;
}

/* Largest |f(x) / exact(x) - 1| over the floats from low to high. */
static double worst_relative(float (*f)(float), double (*error)(float, float), float low, float high) {
    double worst = 0;
    for (uint32_t bits = nsamp_bits_of(low); bits <= nsamp_bits_of(high); bits += stride()) {
        const float x = nsamp_float_of(bits);
        worst = fmax(worst, fabs(error(x, f(x))));
    }
    return worst;
}

static float copula_z(float t) {
    return nsamp_copula_z(t);
}

static float mills(float z) {
    return nsamp_mills(z);
}

static float rcbrt(float a) {
    return nsamp_rcbrt(a);
}

/* (1 - Phi) / phi; erfc is normal for z < 37. */
static double exact_mills(double z) {
    return sqrt(acos(-1.0) / 2) * erfc(z / sqrt(2)) * exp(z * z / 2);
}

/* Relative error of z as a root of -log erfc(z / sqrt 2) = t, through its slope 1 / m(z). */
static double z_error(float t, float z) {
    const double v = (double)z / sqrt(2), seen = z < 0.5f ? -log1p(-erf(v)) : -log(erfc(v));
    return (seen - (double)t) * exact_mills((double)z) / (double)z;
}

static double mills_error(float z, float m) {
    return (double)m / exact_mills((double)z) - 1;
}

static double rcbrt_error(float a, float y) {
    return (double)y * cbrt((double)a) - 1;
}

static void test_parts(void **state) {
    (void)state;
    const double z = worst_relative(copula_z, z_error, 0x1p-40f, 128.0f);
    const double m = worst_relative(mills, mills_error, 0x1p-40f, 15.9f);
    const double r = worst_relative(rcbrt, rcbrt_error, 0x1p-126f, 0x1p126f);
    print_message("  z(t) %.3g, Mills ratio %.3g, a^(-1/3) %.3g (relative)\n", z, m, r);
    assert_true(z < 4e-7 && m < 4e-7 && r < 2.5e-7);
    assert_true(nsamp_copula_z(0.0f) == 0.0f);
}

/* ---- whole scores ---- */

/* Where the kernel is, relative to the model's offset, and so where it is. */
static float relative(const nsamp_model *m, size_t d, double x) {
    return (float)(x - (m->offset ? m->offset[d] : 0));
}

static double placed(const nsamp_model *m, size_t d, double x) {
    return (double)relative(m, d, x) + (m->offset ? m->offset[d] : 0);
}

/* Of one lane of a group, through the kernel's own dispatch; the models are of step 1, so that the drift is the score. The other
 * lanes are somewhere else. */
static void kernel_score(const nsamp_model *m, const float *x, float *s) {
    enum { L = NSAMP_TILE_LANES, V = NSAMP_TILE_VECTORS, W = NSAMP_WIDTH };
    static float at[16 * L], scratch[4096 * L];
    const nsamp_langevin_score_params *const p = m->params;
    const nsamp_mixture_tables tables = nsamp_score_mixture(p);
    const uint32_t D = p->dim, lane = L - 1;
    assert_true(m->scratch_bytes / 64 <= sizeof scratch / L && D <= 16 && p->h == 1.0f);
    for (uint32_t d = 0; d < D; d++)
        for (uint32_t l = 0; l < L; l++)
            at[d * L + l] = l == lane ? relative(m, d, (double)x[d]) : 1.5f * (float)d - (float)l;
    nsamp_score_begin(p, &tables, at, scratch, L);
    for (uint32_t d = 0; d < D; d++) {
        nsamp_floats t[NSAMP_TILE_ROWS * V];
        float row[L];
        nsamp_score_drift(1, p, &tables, d, at, scratch, t, L);
        for (uint32_t c = 0; c < V; c++)
            nsamp_floats_store(row + c * W, t[c]);
        s[d] = row[lane];
    }
}

#define SCORE(...) MODEL("system.dt", "1", __VA_ARGS__)

typedef struct errors {
    double absolute; /* largest error of a component over max(1, length of the score) */
    double root;     /* root mean square of it */
} errors;

/* Points: exact draws of the target, and the same ones stretched about the mean by 1, 2, 4 and 8. */
static errors compare(const nsamp_model *m) {
    const nsamp_target *t = m->target;
    const size_t D = t->dim;
    const nsamp_noise_key key = nsamp_noise_key_of(3, 10);
    double x[16], s[16], sum = 0;
    float xf[16], sf[16];
    errors e = {0};
    enum { POINTS = 40000 };
    for (uint64_t i = 0; i < POINTS; i++) {
        t->ops->draw(t, key, NSAMP_PURPOSE_CHECK, i, x);
        for (size_t d = 0; d < D; d++) {
            xf[d] = (float)(t->mean[d] + (double)(1 << i % 4) * (x[d] - t->mean[d]));
            x[d] = placed(m, d, (double)xf[d]);
        }
        t->ops->score(t, x, s);
        kernel_score(m, xf, sf);
        double size = 0;
        for (size_t d = 0; d < D; d++)
            size += s[d] * s[d];
        for (size_t d = 0; d < D; d++) {
            const double off = fabs((double)sf[d] - s[d]) / fmax(1, sqrt(size));
            if (!isfinite(off)) fail_msg("%s: score %g at coordinate %g", t->name, (double)sf[d], x[d]);
            e.absolute = fmax(e.absolute, off);
            sum += off * off / (POINTS * (double)D);
        }
    }
    e.root = sqrt(sum);
    return e;
}

static void check_score(nsamp_model *m, double most, double root) {
    const errors e = compare(m);
    print_message("  %-15s largest error %.2g, root mean square %.2g\n", m->target->name, e.absolute, e.root);
    assert_int_equal(m->kernel, NSAMP_KERNEL_langevin_score);
    if (!(e.absolute < most && e.root < root)) fail_msg("above %.2g, %.2g", most, root);
    nsamp_model_destroy(m);
}

/* For mixtures the error is that of the exponents l_k, half a squared distance: far out, between components, it moves
 * the share of each. */
static void test_scores(void **state) {
    (void)state;
    const char text[] = "1 -1 0.5\n0.5 0.2\n0.2 0.4\n\n3 1 -1\n1 -0.3\n-0.3 0.3\n";
    const char *path = scratch("mixture");
    scratch_write(path, text, sizeof text - 1);
    check_score(SCORE("target.name", "laplace-copula", "target.rho", "0.9"), 4e-6, 6e-7);
    check_score(SCORE("target.name", "laplace-copula", "target.rho", "-0.3"), 2e-6, 2e-7);
    check_score(SCORE("target.name", "heart"), 1e-6, 2e-7);
    check_score(SCORE("target.name", "mixture"), 2e-6, 2e-7);
    check_score(SCORE("target.name", "mixture", "target.weights", "1 2 3", "target.means",
                      "1 2 3 4 5 -1 -2 -3 -4 -5 0 1 0 1 0", "target.sds", "1 2 0.5"),
                6e-6, 2e-7);
    check_score(SCORE("target.name", "mixture", "target.file", path), 4e-5, 4e-7);
}

/* One component is a Gaussian, and beside others far away it is all there is. */
static void test_one(void **state) {
    (void)state;
    nsamp_model *models[] = {SCORE("target.name", "mixture", "target.dim", "3", "target.weights", "1",
                                   "target.means", "1", "target.sds", "2"),
                             SCORE("target.name", "mixture", "target.dim", "3", "target.weights", "1 1 1",
                                   "target.means", "1 300 -300", "target.sds", "2")};
    for (int k = 0; k < 2; k++) {
        const float x[3] = {0.5f, -7, 3};
        float s[3];
        kernel_score(models[k], x, s);
        for (int d = 0; d < 3; d++)
            assert_true(fabs((double)s[d] - (1 - placed(models[k], (size_t)d, (double)x[d])) / 4) < 4e-7);
        nsamp_model_destroy(models[k]);
    }
}

/* Where all squares overflow there is no share to be known: not a number, which is seen, and nothing that looks like a drift. */
static void test_overflow(void **state) {
    (void)state;
    const float far[2] = {1e25f, -3}, farther[2] = {-3e38f, 3e38f}, near[2] = {1e18f, 2};
    for (int K = 1; K <= 3; K++) {
        nsamp_model *m = SCORE("target.name", "mixture", "target.dim", "2", "target.weights",
                               K == 1   ? "1"
                               : K == 2 ? "1 1"
                                        : "1 1 1",
                               "target.means",
                               K == 1   ? "1"
                               : K == 2 ? "1 -1"
                                        : "1 0 -1",
                               "target.sds", "1");
        float s[2];
        kernel_score(m, far, s);
        assert_true(isnan(s[0]) && isnan(s[1]));
        kernel_score(m, farther, s);
        assert_true(isnan(s[0]) && isnan(s[1]));
        kernel_score(m, near, s);
        assert_true(s[0] < -0.99e18f && isfinite(s[1]));
        nsamp_model_destroy(m);
    }
}

/* Edges: 0 is 0, far out is finite and points home, NaN and infinity are not swallowed. */
static void test_edges(void **state) {
    (void)state;
    nsamp_model *models[] = {SCORE("target.name", "laplace-copula", "target.rho", "0.9"),
                             SCORE("target.name", "heart"),
                             SCORE("target.name", "mixture", "target.means", "-1 0 1 0")};
    for (int k = 0; k < 3; k++) {
        float s[2], zero[2] = {0, 0}, far[2] = {1e4f, 0.25f}, tiny[2] = {0x1p-149f, 0.3f}, none[2] = {NAN, 1},
                    endless[2] = {INFINITY, 1};
        kernel_score(models[k], zero, s);
        assert_true(s[0] == 0 && s[1] == 0);
        kernel_score(models[k], far, s);
        assert_true(isfinite(s[0]) && s[0] < -1 && isfinite(s[1]));
        kernel_score(models[k], tiny, s);
        assert_true(isfinite(s[0]) && isfinite(s[1]));
        kernel_score(models[k], none, s);
        assert_true(isnan(s[0]));
        kernel_score(models[k], endless, s);
        assert_true(!(s[0] > 0)); /* no way out that looks like a way on */
        nsamp_model_destroy(models[k]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_scores), cmocka_unit_test(test_one),
        cmocka_unit_test(test_overflow), cmocka_unit_test(test_edges),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
