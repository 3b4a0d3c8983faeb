/* test_langevin.c: langevin on Gaussians, equicorrelated or of any covariance: paths against the Euler recursion in x in
 * double precision, laws against the discrete Lyapunov equation, refusals, starts, the same bits from all instruction
 * sets. Statistics of whole runs: test_langevin_law.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "kernels/systems/langevin_gauss.h"
#include "models.h"
#include "reference_noise.h"
#include "scratch.h"
#include "tiles.h"

enum { SEED = 11, MOST = 12 };

static const char GAUSS4[] = "1 -2 0.5 3\n"
                             "2 0.5 -0.3 0.2\n0.5 1 0.1 0.4\n-0.3 0.1 0.5 0\n0.2 0.4 0 0.8\n";

static const char *gauss_file(void) {
    const char *path = scratch("gauss4");
    scratch_write(path, GAUSS4, sizeof GAUSS4 - 1);
    return path;
}

/* ---- small dense algebra of the tests' own; matrices [n * n] row-major, n <= MOST ---- */

static void multiply(size_t n, const double *a, const double *b, double *c) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            c[i * n + j] = 0;
            for (size_t k = 0; k < n; k++)
                c[i * n + j] += a[i * n + k] * b[k * n + j];
        }
}

static void transpose(size_t n, const double *a, double *t) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++)
            t[j * n + i] = a[i * n + j];
}

/* Gauss and Jordan; positive definite or well conditioned matrices. */
static void inverse(size_t n, const double *a, double *b) {
    double w[MOST * MOST];
    memcpy(w, a, n * n * sizeof *w);
    for (size_t i = 0; i < n * n; i++)
        b[i] = i % (n + 1) == 0;
    for (size_t k = 0; k < n; k++) {
        const double pivot = w[k * n + k];
        for (size_t j = 0; j < n; j++)
            w[k * n + j] /= pivot, b[k * n + j] /= pivot;
        for (size_t i = 0; i < n; i++) {
            const double f = w[i * n + k];
            for (size_t j = 0; i != k && j < n; j++)
                w[i * n + j] -= f * w[k * n + j], b[i * n + j] -= f * b[k * n + j];
        }
    }
}

static void covariance_of(const nsamp_target *t, double *cov) {
    for (size_t i = 0; i < t->dim; i++)
        for (size_t j = 0; j < t->dim; j++)
            cov[i * t->dim + j] = t->cov ? t->cov[i * t->dim + j] : t->variance * (i == j ? 1 : t->rho);
}

/* x - mu <- A (x - mu) + B z: A = I - hK, K = Sigma^-1 or I; B B^T = 2 h I or 2 h Sigma. Which B of the many is the
 * kernel's business; that it is one is checked. */
typedef struct recursion {
    size_t n;
    double a[MOST * MOST], b[MOST * MOST], d[MOST * MOST]; /* d = 2 h D */
} recursion;

static recursion recursion_of(const nsamp_model *m, bool natural, double h) {
    const nsamp_target *t = m->target;
    const size_t n = t->dim;
    recursion r = {.n = n};
    double cov[MOST * MOST] = {0}, k[MOST * MOST];
    covariance_of(t, cov);
    inverse(n, cov, k);
    for (size_t i = 0; i < n * n; i++) {
        const double unit = i % (n + 1) == 0;
        r.a[i] = unit - h * (natural ? unit : k[i]);
        r.d[i] = 2 * h * (natural ? cov[i] : unit);
    }
    if (m->kernel == NSAMP_KERNEL_langevin_gauss) {
        const nsamp_langevin_gauss_params *p = m->params;
        for (size_t i = 0; i < n * n; i++)
            r.b[i] = sqrt(2 * h) * (double)nsamp_gauss_table(p, p->basis_offset)[i];
    } else {
        const double alpha = natural ? sqrt(t->variance * (1 - t->rho)) : 1,
                     along = natural ? sqrt(t->variance * (1 + ((double)n - 1) * t->rho)) : 1;
        for (size_t i = 0; i < n * n; i++)
            r.b[i] = sqrt(2 * h) * ((i % (n + 1) == 0) * alpha + (along - alpha) / (double)n);
    }
    double bt[MOST * MOST] = {0}, square[MOST * MOST];
    transpose(n, r.b, bt);
    multiply(n, r.b, bt, square);
    for (size_t i = 0; i < n * n; i++)
        if (!(fabs(square[i] - r.d[i]) < 1e-6 * 2 * h * (1 + fabs(r.d[0]))))
            fail_msg("noise covariance %zu: %g, not %g", i, square[i], r.d[i]);
    return r;
}

static void reference_step(const recursion *r, const double *mean, uint32_t chain, uint64_t step, double *x) {
    double z[MOST], next[MOST] = {0};
    for (size_t i = 0; i < r->n; i++)
        z[i] = ref_shared_normal(SEED, chain, step, (uint32_t)i, (uint32_t)r->n);
    for (size_t i = 0; i < r->n; i++) {
        next[i] = mean[i];
        for (size_t j = 0; j < r->n; j++)
            next[i] += r->a[i * r->n + j] * (x[j] - mean[j]) + r->b[i * r->n + j] * z[j];
    }
    memcpy(x, next, r->n * sizeof *x);
}

/* 392 steps of 40 chains, in calls that begin at odd steps too. A step rounds by at most about 4 units of 2^-24 of the size of what it holds, and the slowest
 * mode adds up 1/(1 - c) = lambda/h such errors: `sum` of them. */
static void check_path(nsamp_model *m, bool natural, double h, double sum) {
    const uint32_t chain0 = 4294967200u;
    const uint64_t step0 = (1ULL << 32) - 150; /* the step counter passes 2^32 on the way */
    const size_t n = m->dim, chains = 40;
    const recursion r = recursion_of(m, natural, h);
    tiles t = tiles_create(m, NULL, SEED, chain0, chains);
    float *x = malloc(chains * n * sizeof *x);
    double *ref = malloc(chains * n * sizeof *ref), worst = 0, size = 0;
    tiles_observe(&t, x);
    for (size_t i = 0; i < chains * n; i++)
        ref[i] = (double)x[i];
    for (uint64_t done = 0; done < 8 * 49; done += 49) {
        tiles_advance(&t, step0 + done, 49);
        tiles_observe(&t, x);
        for (size_t c = 0; c < chains; c++)
            for (uint64_t s = 0; s < 49; s++)
                reference_step(&r, m->target->mean, chain0 + (uint32_t)c, step0 + done + s, ref + c * n);
        for (size_t i = 0; i < chains * n; i++) {
            worst = fmax(worst, fabs((double)x[i] - ref[i]));
            size = fmax(size, fabs(ref[i]));
        }
    }
    const double bound = 4 * 0x1p-24 * size * sum;
    if (!(worst < bound)) fail_msg("%s: off by %.3g, bound %.3g", m->why, worst, bound);
    print_message("  off by %.2g, bound %.2g\n", worst, bound);
    free(x);
    free(ref);
    tiles_destroy(&t);
    nsamp_model_destroy(m);
}

#define EQUI(geometry, dim, rho, dt, ...)                                                                    \
    MODEL("target.name", "equicorrelated", "target.dim", dim, "target.rho", rho, "system.geometry",          \
          geometry, "system.dt", dt, __VA_ARGS__)
#define GAUSS(geometry, dt)                                                                                  \
    MODEL("target.name", "gaussian", "target.file", gauss_file(), "system.geometry", geometry, "system.dt",  \
          dt)
/* Covariance 0.5^|i - j|: eigenvalues between 1/3 and 3. */
#define DECAY(dim, geometry)                                                                                 \
    MODEL("target.name", "gaussian", "target.file", "builtin:decay", "target.rho", "0.5", "target.dim", dim, \
          "system.geometry", geometry, "system.dt", "0.1")

static void test_paths(void **state) {
    (void)state;
    check_path(EQUI("naive", "10", "0.75", "0.2", "target.mean", "2"), false, 0.2, 7.75 / 0.2);
    check_path(EQUI("natural", "10", "0.75", "0.2", "target.mean", "2"), true, 0.2, 1 / 0.2);
    check_path(EQUI("naive", "7", "-0.1", "0.1", "target.variance", "3"), false, 0.1, 3.3 / 0.1);
    check_path(EQUI("natural", "3", "-0.3", "0.3", "target.mean", "1 2 3"), true, 0.3, 1 / 0.3);
    check_path(EQUI("naive", "1", "0", "0.4", "target.variance", "0.5"), false, 0.4, 0.5 / 0.4);
    check_path(GAUSS("naive", "0.1"), false, 0.1, 2.5 / 0.1);
    check_path(GAUSS("natural", "0.05"), true, 0.05, 1 / 0.05);
    check_path(DECAY("5", "natural"), true, 0.1, 1 / 0.1);
    check_path(DECAY("6", "naive"), false, 0.1, 3.0 / 0.1);
    check_path(DECAY("9", "naive"), false, 0.1, 3.0 / 0.1);
    check_path(EQUI("naive", "6", "0.5", "0.2", "target.mean", "2"), false, 0.2, 3.5 / 0.2);
    check_path(EQUI("natural", "9", "0.5", "0.2", "target.mean", "2"), true, 0.2, 1 / 0.2);
}

/* P = A P A^T + 2hD by doubling: sum_k A^k Q A^kT, 2^60 terms. */
static void lyapunov(const recursion *r, double *p) {
    const size_t n = r->n;
    double a[MOST * MOST], t[MOST * MOST], u[MOST * MOST];
    memcpy(a, r->a, n * n * sizeof *a);
    memcpy(p, r->d, n * n * sizeof *p);
    for (int k = 0; k < 60; k++) {
        double at[MOST * MOST];
        transpose(n, a, at);
        multiply(n, a, p, t);
        multiply(n, t, at, u);
        for (size_t i = 0; i < n * n; i++)
            p[i] += u[i];
        multiply(n, a, a, t);
        memcpy(a, t, n * n * sizeof *a);
    }
}

/* tau_i = 1 + 2 sum_k (A^k P)_ii / P_ii = [(I + A)(I - A)^-1 P]_ii / P_ii. */
static void check_law(nsamp_model *m, bool natural, double h, double tolerance) {
    const size_t n = m->dim;
    const nsamp_law *law = &m->law;
    const recursion r = recursion_of(m, natural, h);
    double p[MOST * MOST], plus[MOST * MOST] = {0}, minus[MOST * MOST], w[MOST * MOST] = {0}, v[MOST * MOST];
    lyapunov(&r, p);
    for (size_t i = 0; i < n * n; i++) {
        plus[i] = (i % (n + 1) == 0) + r.a[i];
        w[i] = (i % (n + 1) == 0) - r.a[i];
    }
    inverse(n, w, minus);
    multiply(n, plus, minus, w);
    multiply(n, w, p, v);
    for (size_t i = 0; i < n; i++) {
        double from_modes = 0;
        for (size_t j = 0; j < law->modes; j++)
            from_modes += law->mode_share[i * law->modes + j] * law->mode_tau[j];
        const double tau = v[i * n + i] / p[i * n + i];
        if (!(fabs(law->var[i] / p[i * n + i] - 1) < tolerance && fabs(law->tau[i] / tau - 1) < tolerance &&
              fabs(from_modes / tau - 1) < tolerance && law->mean[i] == m->target->mean[i]))
            fail_msg("coordinate %zu: variance %.9g, not %.9g; tau %.9g, %.9g, not %.9g", i, law->var[i],
                     p[i * n + i], law->tau[i], from_modes, tau);
        for (size_t j = 0; j < n; j++) {
            const double cov = law->cov ? law->cov[i * n + j] : i == j ? law->var[i] : law->offdiag;
            if (!(fabs(cov - p[i * n + j]) <= tolerance * sqrt(p[i * n + i] * p[j * n + j])))
                fail_msg("covariance %zu %zu: %.9g, not %.9g", i, j, cov, p[i * n + j]);
        }
    }
    nsamp_model_destroy(m);
}

/* In double on both sides: a law from float32 coefficients would be off by 1e-7 and more. */
static void test_laws(void **state) {
    (void)state;
    check_law(EQUI("naive", "10", "0.75", "0.2", "target.mean", "2"), false, 0.2, 1e-10);
    check_law(EQUI("natural", "10", "0.75", "0.2", "target.mean", "2"), true, 0.2, 1e-10);
    check_law(EQUI("naive", "5", "-0.2", "0.01", "target.variance", "3"), false, 0.01, 1e-10);
    check_law(EQUI("naive", "1", "0", "0.9", "target.variance", "0.5"), false, 0.9, 1e-10); /* c < 0 */
    check_law(GAUSS("naive", "0.3"), false, 0.3, 1e-10);
    check_law(GAUSS("natural", "0.05"), true, 0.05, 1e-10);
}

/* The theory of the continuous process: time units, small dt: 2 (1 + (p-1) rho^2) naive, 2 natural. */
static void test_relaxation(void **state) {
    (void)state;
    static const struct {
        const char *dim, *geometry;
        double tau;
    } rows[] = {{"10", "naive", 2 * (1 + 9 * 0.5625)},
                {"64", "naive", 2 * (1 + 63 * 0.5625)},
                {"10", "natural", 2},
                {"64", "natural", 2}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        nsamp_model *m = EQUI(rows[k].geometry, rows[k].dim, "0.75", "0.001", "target.mean", "0");
        const double tau = m->law.tau[0] * 0.001;
        if (!(fabs(tau / rows[k].tau - 1) < 5e-3)) fail_msg("tau %.4f, theory %.4f", tau, rows[k].tau);
        nsamp_model_destroy(m);
    }
}

static void check_unstable(const char *limit, const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_model *m;
    assert_int_equal(model_of(pairs, &m, &err), NSAMP_EUSAGE);
    assert_null(m);
    if (!strstr(err.text, "system.dt") || !strstr(err.text, limit)) fail_msg("no %s in: %s", limit, err.text);
}

#define UNSTABLE(limit, ...) check_unstable(limit, (const char *const[]){__VA_ARGS__, NULL})

static void test_unstable(void **state) {
    (void)state;
    UNSTABLE("below 0.5", "target.dim", "10", "target.rho", "0.75", "system.dt", "0.5");
    UNSTABLE("below 0.4", "target.dim", "5", "target.rho", "-0.2", "system.dt", "0.41");
    UNSTABLE("below 2 ", "target.dim", "10", "target.rho", "0.75", "system.dt", "2", "system.geometry",
             "natural");
    UNSTABLE("below 2 ", "target.name", "gaussian", "target.file", gauss_file(), "system.dt", "2",
             "system.geometry", "natural");
    /* 2 lambda_min of GAUSS4: 0.67446198 (numpy) */
    UNSTABLE("below 0.674462", "target.name", "gaussian", "target.file", gauss_file(), "system.dt",
             "0.67447");
    nsamp_model_destroy(GAUSS("naive", "0.67445"));
    nsamp_error err = {0};
    nsamp_model *m;
    const char *images[] = {"target.name", "images", "data.images", "data/mnist/t10k-images-idx3-ubyte.gz",
                            "data.pca",    "3",      NULL};
    assert_int_equal(model_of(images, &m, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "score"));
}

/* What is seen at step 0 is the start: zero, a normal of the given scale, uniform, or a draw of the target. */
static void test_starts(void **state) {
    (void)state;
    static const char *const starts[] = {"zero", "normal", "uniform", "target", "auto"};
    static const char *const geometries[] = {"naive", "natural"};
    for (int k = 0; k < 20; k++) {
        const char *start = starts[k % 5], *geometry = geometries[k / 5 % 2];
        nsamp_model *m =
            k < 10 ? MODEL("target.name", "gaussian", "target.file", gauss_file(), "system.geometry",
                           geometry, "system.dt", "0.1", "run.start", start, "run.start_scale", "3")
                   : EQUI(geometry, "4", "0.5", "0.1", "target.mean", "1 -2 0.5 3", "run.start", start,
                          "run.start_scale", "3");
        tiles t = tiles_create(m, NULL, SEED, 7, 33);
        float x[33 * 4];
        tiles_observe(&t, x);
        for (uint32_t c = 0; c < 33; c++) {
            double wanted[4] = {0};
            if (k % 5 >= 3) m->target->ops->draw(m->target, t.key, NSAMP_PURPOSE_START, 7 + c, wanted);
            for (uint32_t i = 0; i < 4; i++) {
                if (k % 5 == 1) wanted[i] = 3 * ref_normal(SEED, NSAMP_PURPOSE_START, 7 + c, 0, i);
                if (k % 5 == 2)
                    wanted[i] =
                        3 * (2 * ref_uniform(ref_words(SEED, NSAMP_PURPOSE_START, 7 + c, 0, 0).v[i]) - 1);
                if (!(fabs((double)x[c * 4 + i] - wanted[i]) < 1e-5))
                    fail_msg("%s %s: chain %u begins at %g, not %g", start, geometry, c, (double)x[c * 4 + i],
                             wanted[i]);
            }
        }
        tiles_destroy(&t);
        nsamp_model_destroy(m);
    }
}

/* Row i of mu + M y, chain c: its terms in order, in one sum, and the mean last. */
static float plain_row(const nsamp_model *m, const tiles *t, uint32_t c, size_t i) {
    const nsamp_langevin_gauss_params *p = m->params;
    const float *basis = nsamp_gauss_table(p, p->basis_offset);
    const size_t L = t->kernel->lanes, D = m->dim;
    const float *y = t->state + c / L * D * L + c % L;
    float sum = 0;
    for (size_t j = 0; j < D; j++)
        sum = fmaf(basis[i * D + j], y[j * L], sum);
    return (float)((double)sum + (m->offset ? m->offset[i] : 0));
}

/* langevin_gauss at dimensions that are not multiples of 4 and longer than a panel: every instruction set gives the plain kernel's
 * bits and those of the plain sum, and a chain that is not finite is flagged at once and alone. */
static void check_bits(size_t D, const char *geometry) {
    static char text[131 * 130 * 5];
    char *at = text;
    for (size_t i = 0; i <= D; i++, at += sprintf(at, "\n"))
        for (size_t j = 0; j < D; j++)
            at += sprintf(at, "%g ", i == 0 ? (double)j : i - 1 == j ? 1.0 + 0.1 * (double)j : 0.2);
    const char *path = scratch("any");
    scratch_write(path, text, strlen(text));
    nsamp_model *m = MODEL("target.name", "gaussian", "target.file", path, "system.geometry", geometry);
    static const char *const isas[] = {"base", "v3", "v4"};
    float *x[3] = {NULL};
    for (int k = 0; k < 3; k++) {
        const nsamp_cpu_kernel *table = tiles_table(isas[k]);
        if (!table) continue;
        tiles t = tiles_create(m, &table[m->kernel], SEED, 3, 100);
        x[k] = malloc(100 * D * sizeof(float));
        t.state[5] = INFINITY; /* y_0 of lane 5 */
        tiles_advance(&t, 0, 20);
        tiles_observe(&t, x[k]);
        for (uint32_t c = 0; c < 100; c++)
            assert_int_equal(t.bad[c], c == 5);
        for (size_t i = 0; i < 100 * D; i++)
            if (i / D != 5 && memcmp(&x[k][i], &x[0][i], sizeof(float)))
                fail_msg("%s: %.9g, base: %.9g", isas[k], (double)x[k][i], (double)x[0][i]);
        for (size_t i = 0; i < 100 * D; i++) {
            const float plain = plain_row(m, &t, (uint32_t)(i / D), i % D);
            if (i / D != 5 && memcmp(&x[k][i], &plain, sizeof plain))
                fail_msg("%s, %zu of %zu: %.9g, plain: %.9g", isas[k], i % D, D, (double)x[k][i],
                         (double)plain);
        }
        tiles_destroy(&t);
    }
    for (int k = 0; k < 3; k++)
        free(x[k]);
    nsamp_model_destroy(m);
}

static void test_bits(void **state) {
    (void)state;
    for (size_t D = 1; D <= 9; D++) {
        check_bits(D, "naive");
        check_bits(D, "natural");
    }
    check_bits(66, "naive");
    check_bits(67, "natural");
    check_bits(130, "natural");
}

/* The factor of builtin:decay falls through the subnormal numbers: with those entries, and with entries whose products are
 * subnormal, a product is ten times as slow. */
static void test_no_subnormals(void **state) {
    (void)state;
    nsamp_model *m = MODEL("target.name", "gaussian", "target.file", "builtin:decay", "target.dim", "300",
                           "target.rho", "0.5", "system.geometry", "natural");
    const float *basis =
        nsamp_gauss_table(m->params, ((const nsamp_langevin_gauss_params *)m->params)->basis_offset);
    size_t zeros = 0;
    for (size_t i = 0; i < 300 * 300; i++) {
        assert_true(basis[i] == 0 || basis[i] >= 0x1p-65f);
        zeros += basis[i] == 0;
    }
    assert_true(zeros > 300 * 299 / 2 && basis[299 * 300 + 299 - 60] > 0);
    nsamp_model_destroy(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),         cmocka_unit_test(test_laws),
        cmocka_unit_test(test_relaxation),    cmocka_unit_test(test_unstable),
        cmocka_unit_test(test_starts),        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_no_subnormals),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
