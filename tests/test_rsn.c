/* test_rsn.c: the reservoir-sampler network at both levels and on both paths, against a double-precision
 * reference that forms W_rec; its bits, starts, divergence and refusals. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "rsn_models.h"

/* ---- the reference ------------------------------------------------------------------------------------- */

static double ref_phi(nsamp_activation phi, double a) {
    return phi == NSAMP_RELU   ? fmax(a, 0.0)
           : phi == NSAMP_TANH ? tanh(a)
                               : log1p(exp(-fabs(a))) + fmax(a, 0.0);
}

/* S = W1^T (W1 W1^T)^-1 [n][m], by Gauss and Jordan. */
static void ref_pinv(const nsamp_network *net, double *s) {
    const size_t m = net->m, n = net->n;
    double *g = calloc(2 * m * m, sizeof(double)), *inverse = g + m * m;
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < m; k++) {
            inverse[i * m + k] = i == k;
            for (size_t j = 0; j < n; j++)
                g[i * m + k] += (double)net->w1[i * n + j] * (double)net->w1[k * n + j];
        }
    for (size_t k = 0; k < m; k++) {
        double pivot = g[k * m + k];
        for (size_t j = 0; j < m; j++)
            g[k * m + j] /= pivot, inverse[k * m + j] /= pivot;
        for (size_t i = 0; i < m; i++) {
            double factor = g[i * m + k];
            for (size_t j = 0; j < m && i != k; j++) {
                g[i * m + j] -= factor * g[k * m + j];
                inverse[i * m + j] -= factor * inverse[k * m + j];
            }
        }
    }
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < m; i++) {
            s[j * m + i] = 0.0;
            for (size_t k = 0; k < m; k++)
                s[j * m + i] += (double)net->w1[k * n + j] * inverse[k * m + i];
        }
    free(g);
}

/* The reservoir from r = S x, with the n x n matrix W_rec = W2 W1; x <- W1 r at the end. */
static void ref_run(const nsamp_network *net, double h, uint64_t seed, uint32_t chain, int steps, double *x) {
    const size_t m = net->m, n = net->n;
    const double a = sqrt(2.0 * h) * (net->denoiser ? net->sigma : 1.0);
    double *s = malloc(n * m * sizeof(double)), *rec = calloc(n * n, sizeof(double));
    double *r = calloc(n, sizeof(double)), *next = malloc(n * sizeof(double));
    ref_pinv(net, s);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < m; k++)
            r[i] += s[i * m + k] * x[k];
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < m; k++)
                rec[i * n + j] += (double)net->w2[i * m + k] * (double)net->w1[k * n + j];
    }
    for (int t = 0; t < steps; t++) {
        for (size_t i = 0; i < n; i++) {
            double input = (double)net->b[i], noise = 0.0;
            for (size_t j = 0; j < n; j++)
                input += rec[i * n + j] * r[j];
            for (size_t k = 0; k < m; k++)
                noise += s[i * m + k] * ref_normal(seed, REF_PURPOSE_STEP, chain, (uint64_t)t, (uint32_t)k);
            next[i] = r[i] + h * (ref_phi(net->activation, input) - r[i]) + a * noise;
        }
        memcpy(r, next, n * sizeof(double));
    }
    for (size_t k = 0; k < m; k++) {
        x[k] = 0.0;
        for (size_t j = 0; j < n; j++)
            x[k] += (double)net->w1[k * n + j] * r[j];
    }
    free(s), free(rec), free(r), free(next);
}

/* ---- the same path as the reference -------------------------------------------------------------------- */

static void compare(size_t m, size_t n, nsamp_activation phi, bool denoiser, nsamp_rsn_options o,
                    double tolerance) {
    enum { STEPS = 25, CHAINS = 150 };
    nsamp_model model = make(network(m, n, phi, denoiser), &o);
    const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
    float *x0 = malloc(CHAINS * m * sizeof(float)), *x = malloc(CHAINS * m * sizeof(float));
    double *z = malloc(m * sizeof(double)), moved = 0.0;
    tiles t = tiles_create(&model, NULL, 21, 3, CHAINS);
    tiles_observe(&t, x0);
    tiles_advance(&t, 0, STEPS);
    tiles_observe(&t, x);
    for (uint32_t c = 0; c < CHAINS; c += 37) {
        for (size_t i = 0; i < m; i++)
            z[i] = (double)x0[c * m + i];
        ref_run(net, o.h, 21, 3 + c, STEPS, z);
        for (size_t i = 0; i < m; i++) {
            moved = fmax(moved, fabs(z[i] - (double)x0[c * m + i]));
            if (!(fabs(z[i] - (double)x[c * m + i]) < tolerance))
                fail_msg("m %zu n %zu path %d level %d chain %u output %zu: %.7g, reference %.7g", m, n,
                         o.path, o.reservoir, c, i, (double)x[c * m + i], z[i]);
        }
    }
    assert_true(moved > 0.1);
    tiles_destroy(&t);
    free_model(&model);
    free(x0), free(x), free(z);
}

static void test_path(void **state) {
    (void)state;
    static const size_t outputs[] = {1, 2, 3, 4, 5, 8, 11};
    for (int reservoir = 0; reservoir < 2; reservoir++) {
        const nsamp_rsn_options o = options(reservoir, NSAMP_RSN_FUSED);
        for (size_t k = 0; k < sizeof outputs / sizeof *outputs; k++)
            compare(outputs[k], 45, NSAMP_RELU, k % 2, o, 3e-6);
        for (size_t m = 2; m <= 6; m += 4) {
            compare(m, 45, NSAMP_TANH, true, o, 3e-6);
            compare(m, 45, NSAMP_SOFTPLUS, false, o, 3e-6);
        }
    }
}

static void test_product_path(void **state) {
    (void)state;
    for (int reservoir = 0; reservoir < 2; reservoir++) {
        nsamp_rsn_options o = options(reservoir, NSAMP_RSN_PRODUCT);
        o.tile = 48;
        compare(17, 45, NSAMP_RELU, true, o, 3e-6);
        o.tile = 144; /* two groups of rows */
        compare(2, 60, NSAMP_TANH, false, o, 3e-6);
        compare(6, 60, NSAMP_SOFTPLUS, false, o, 3e-6);
    }
}

/* Networks of several panels, too large for W_rec: the two paths and levels against each other. */
static void test_agreement(void **state) {
    (void)state;
    enum { M = 13, N = 2100, CHAINS = 200, STEPS = 20 };
    float *x[4];
    for (int k = 0; k < 4; k++) {
        nsamp_rsn_options o = options(k % 2, k < 2 ? NSAMP_RSN_FUSED : NSAMP_RSN_PRODUCT);
        o.tile = 160;
        nsamp_model model = make(network(M, N, NSAMP_RELU, true), &o);
        tiles t = tiles_create(&model, NULL, 4, 0, CHAINS);
        x[k] = malloc(CHAINS * M * sizeof(float));
        for (int s = 0; s < STEPS; s += 5)
            tiles_advance(&t, (uint64_t)s, 5);
        tiles_observe(&t, x[k]);
        for (size_t i = 0; i < CHAINS * M; i++)
            if (!(fabsf(x[k][i] - x[0][i]) < 1e-5f))
                fail_msg("variant %d entry %zu: %g, %g", k, i, (double)x[k][i], (double)x[0][i]);
        tiles_destroy(&t);
        free_model(&model);
    }
    for (int k = 0; k < 4; k++)
        free(x[k]);
}

/* ---- bits, jump, divergence, refusals ------------------------------------------------------------------ */

static void same_bits(size_t m, bool reservoir, nsamp_activation phi) {
    static const char *const isas[] = {"base", "v3", "v4"};
    nsamp_rsn_options o = options(reservoir, NSAMP_RSN_FUSED);
    nsamp_model model = make(network(m, 45, phi, true), &o);
    float *whole = malloc(100 * model.state_len * sizeof(float)),
          *part = malloc(100 * model.state_len * sizeof(float));
    tiles t = tiles_create(&model, &nsamp_cpu_kernels_base()[model.kernel], 9, 1000, 100);
    tiles_advance(&t, 0, 12);
    tiles_states(&t, whole);
    tiles_destroy(&t);
    for (size_t k = 0; k < 3; k++) {
        const nsamp_cpu_kernel *table = tiles_table(isas[k]);
        if (!table) continue;
        t = tiles_create(&model, &table[model.kernel], 9, 1000, 100);
        tiles_advance(&t, 0, 5);
        tiles_advance(&t, 5, 7);
        tiles_states(&t, part);
        assert_memory_equal(whole, part, 100 * model.state_len * sizeof(float));
        tiles_destroy(&t);
    }
    t = tiles_create(&model, NULL, 9, 1037, 5);
    tiles_advance(&t, 0, 12);
    tiles_states(&t, part);
    assert_memory_equal(whole + 37 * model.state_len, part, 5 * model.state_len * sizeof(float));
    tiles_destroy(&t);
    free_model(&model);
    free(whole), free(part);
}

/* The product path gives the same bits whatever the tile. */
static void same_bits_product(bool reservoir) {
    static const uint32_t sizes[] = {16, 64, 160};
    float *first = malloc(100 * 2200 * sizeof(float)), *x = malloc(100 * 2200 * sizeof(float));
    for (size_t k = 0; k < 3; k++) {
        nsamp_rsn_options o = options(reservoir, NSAMP_RSN_PRODUCT);
        o.tile = sizes[k];
        nsamp_model model = make(network(13, 2100, NSAMP_RELU, true), &o);
        tiles t = tiles_create(&model, NULL, 9, 1000, 100);
        tiles_advance(&t, 0, 3);
        tiles_advance(&t, 3, 4);
        tiles_states(&t, k ? x : first);
        if (k) assert_memory_equal(first, x, 100 * model.state_len * sizeof(float));
        tiles_destroy(&t);
        free_model(&model);
    }
    free(first), free(x);
}

static void test_bits(void **state) {
    (void)state;
    static const size_t outputs[] = {1, 2, 3, 4, 6, 8};
    for (size_t k = 0; k < sizeof outputs / sizeof *outputs; k++)
        same_bits(outputs[k], false, NSAMP_RELU);
    same_bits(5, true, NSAMP_RELU);
    same_bits(2, false, NSAMP_TANH);
    same_bits(6, true, NSAMP_SOFTPLUS);
    same_bits_product(false);
    same_bits_product(true);
}

/* D(x) = x + drift(x). */
static void test_jump(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        nsamp_rsn_options o = options(k % 2, k < 2 ? NSAMP_RSN_FUSED : NSAMP_RSN_PRODUCT), plain = o;
        o.jump = true;
        o.tile = plain.tile = 16;
        nsamp_model jumps = make(network(4, 45, NSAMP_RELU, true), &o),
                    stays = make(network(4, 45, NSAMP_RELU, true), &plain);
        tiles a = tiles_create(&jumps, NULL, 2, 0, 20), b = tiles_create(&stays, NULL, 2, 0, 20);
        const nsamp_network *net = ((const nsamp_rsn_extra *)jumps.extra)->net;
        float d[80], x[80];
        tiles_advance(&a, 0, 3);
        tiles_advance(&b, 0, 3);
        tiles_observe(&a, d);
        tiles_observe(&b, x);
        for (size_t c = 0; c < 20; c++)
            for (size_t i = 0; i < 4; i++) {
                double want = 0.0;
                for (size_t j = 0; j < 45; j++) {
                    double u = (double)net->b[j];
                    for (size_t l = 0; l < 4; l++)
                        u += (double)net->w2[j * 4 + l] * (double)x[c * 4 + l];
                    want += (double)net->w1[i * 45 + j] * fmax(u, 0.0);
                }
                assert_true(fabs(want - (double)d[c * 4 + i]) < 2e-6);
            }
        tiles_destroy(&a), tiles_destroy(&b);
        free_model(&jumps), free_model(&stays);
    }
}

/* W1 relu(W2 x + b) of units that stretch the layout of hinges: no weights and a bias of either sign, a bias that outweighs its weights
 * by 2^120 or nearly, no bias, -0, one weight alone, equal weights, pivots of both signs at every output, blocks not filled. */
static void test_hinges(void **state) {
    (void)state;
    enum { N = 53, CHAINS = 70 };
    for (size_t m = 1; m <= 4; m++) {
        nsamp_network *net = network(m, N, NSAMP_RELU, true);
        for (size_t j = 0; j < 40; j++) {
            float *w = net->w2 + j * m, *b = net->b + j;
            for (size_t i = 0; i < m; i++) {
                if (j < 4) w[i] = 0;
                if (j / 4 == 1) w[i] *= 0x1p-110f;
                if (j / 4 == 2) w[i] *= 0x1p-60f;
                if (j / 4 == 5 && i != j % m) w[i] = 0;
                if (j / 4 == 6) w[i] = j % 2 ? -1.5f : 1.5f;
                if (j / 4 == 7) w[i] = i == m - 1 ? -3.0f : 0.5f; /* the last output's pivot */
            }
            if (j < 12) *b = j % 2 ? -1.25f : 0.75f;
            if (j / 4 == 3) *b = j % 2 ? -0.0f : 0.0f;
            if (j / 4 == 4) *b = j % 2 ? -20.0f : 20.0f; /* never and always active */
        }
        nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
        o.jump = true;
        nsamp_model model = make(net, &o);
        const nsamp_rsn_params *p = model.params;
        assert_true(nsamp_rsn_is_hinged(p) && p->hinges[m - 1] > 0 && p->hinges[0] > 0);
        tiles t = tiles_create(&model, NULL, 2, 0, CHAINS);
        float d[CHAINS * 4];
        tiles_observe(&t, d);
        for (size_t c = 0; c < CHAINS; c++)
            for (size_t i = 0; i < m; i++) {
                double want = 0.0, size = 0.0;
                for (size_t j = 0; j < N; j++) {
                    double u = (double)net->b[j];
                    for (size_t l = 0; l < m; l++)
                        u += (double)net->w2[j * m + l] *
                             (double)t.state[(c / t.lanes * m + l) * t.lanes + c % t.lanes];
                    want += (double)net->w1[i * N + j] * fmax(u, 0.0);
                    size += fabs((double)net->w1[i * N + j] * u);
                }
                const double got = (double)d[c * m + i];
                if (!(fabs(want - got) < 4e-7 * size))
                    fail_msg("m %zu chain %zu output %zu: %.9g, not %.9g (terms of %g)", m, c, i, got, want,
                             size);
            }
        tiles_destroy(&t);
        free_model(&model);
    }
}

/* A drift of 8e5 x leaves 2^101 behind at a known step for each chain, found by the recursion in double. */
static void test_divergence(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        nsamp_network *net = nsamp_network_create(1, 16);
        net->activation = NSAMP_RELU;
        net->sigma = 1;
        for (size_t j = 0; j < 16; j++) {
            net->w2[j] = j % 2 ? -1.0f : 1.0f;
            net->w1[j] = net->w2[j] * 1e5f;
        }
        nsamp_rsn_options o = options(k % 2, k < 2 ? NSAMP_RSN_FUSED : NSAMP_RSN_PRODUCT);
        o.tile = 16;
        nsamp_model model = make(net, &o);
        model.start_scale = 2;
        tiles t = tiles_create(&model, NULL, 5, 0, 16);
        float x0[16];
        tiles_observe(&t, x0);
        tiles_advance(&t, 0, 40);
        for (uint32_t c = 0; c < 16; c++) {
            double x = (double)x0[c];
            uint32_t bad = 0;
            for (uint32_t s = 0; s < 40 && !bad; s++) {
                double y = 8 * 1e5 * x;
                x += 0.1 * (y - x) + sqrt(0.2) * ref_normal(5, REF_PURPOSE_STEP, c, s, 0);
                if (fabs(x) > 0x1p101) bad = s + 1;
            }
            if (t.bad[c] != bad)
                fail_msg("variant %d chain %u: flagged at %u, expected %u", k, c, t.bad[c], bad);
        }
        tiles_destroy(&t);
        free_model(&model);
    }
}

static void test_start(void **state) {
    (void)state;
    enum { CHAINS = 100000, M = 3 };
    nsamp_rsn_options o = options(true, NSAMP_RSN_AUTO);
    o.auto_start = true;
    nsamp_model model = make(network(M, 24, NSAMP_RELU, true), &o);
    const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
    double sum[M] = {0}, square[M] = {0}, x[M];
    float *s = malloc(model.state_len * sizeof(float));
    for (uint32_t c = 0; c < CHAINS; c++) {
        model.start(&model, nsamp_noise_key_of(1, 10), c, x, s);
        for (size_t i = 0; i < M; i++) {
            double readout = 0.0;
            for (size_t j = 0; j < 24; j++)
                readout += (double)net->w1[i * 24 + j] * (double)s[M + j];
            assert_true(fabs(readout - (double)s[i]) < 1e-5);
            sum[i] += (double)s[i];
            square[i] += (double)s[i] * (double)s[i];
        }
    }
    for (size_t i = 0; i < M; i++) {
        double var = 1.0 + 0.5 * (double)i + 0.16;
        assert_true(fabs(sum[i] / CHAINS) < 6.0 * sqrt(var / CHAINS));
        assert_true(fabs(square[i] / CHAINS / var - 1.0) < 6.0 * sqrt(2.0 / CHAINS));
    }
    free(s);
    free_model(&model);
}

static void refuse(nsamp_network *net, nsamp_rsn_options o, const char *text) {
    nsamp_model model = {0};
    nsamp_error err = {0};
    assert_int_equal(nsamp_rsn_model(net, &o, &model, &err), NSAMP_EUSAGE);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
    free_model(&model);
}

/* What a GPU can have is a model, and refused for a run on a CPU. */
static void refuse_on_cpu(nsamp_network *net, nsamp_rsn_options o, const nsamp_cpu_kernel *kernel,
                          const char *text) {
    nsamp_error err = {0};
    nsamp_model model = make_unprepared(net, &o);
    assert_true(model.host_kernel == kernel);
    assert_int_equal(model.prepare(&model, &err), NSAMP_EUSAGE);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
    free_model(&model);
}

static void test_refusals(void **state) {
    (void)state;
    nsamp_rsn_options o = options(true, NSAMP_RSN_FUSED);
    refuse(network(9, 7, NSAMP_RELU, true), o, "n = 7, m = 9");
    nsamp_network *flat = network(3, 20, NSAMP_RELU, true);
    for (size_t j = 0; j < 20; j++)
        flat->w1[40 + j] = flat->w1[j];
    refuse(flat, o, "row 3 depends");
    o.jump = true;
    refuse(network(3, 20, NSAMP_RELU, false), o, "denoiser form");
    o = options(true, NSAMP_RSN_FUSED);
    o.precision = NSAMP_BF16;
    refuse(network(3, 20, NSAMP_RELU, true), o, "run.path = product");
    o = options(false, NSAMP_RSN_FUSED);
    o.precision = NSAMP_TF32;
    refuse(network(65, 70, NSAMP_RELU, true), o, "run.precision = tf32");
    refuse_on_cpu(network(3, 20, NSAMP_RELU, true), o, NULL, "run.backend = cuda");
    o.path = NSAMP_RSN_AUTO;
    refuse_on_cpu(network(3, 20, NSAMP_RELU, true), o, &nsamp_rsn_product_kernel, "run.backend = cuda");
    o = options(false, NSAMP_RSN_FUSED);
    o.tile = 24;
    refuse_on_cpu(network(64, 1024, NSAMP_RELU, true), o, NULL, "run.tile = 24: must be a multiple of 16");
    o = options(false, NSAMP_RSN_PRODUCT);
    o.tile = 24;
    refuse(network(3, 20, NSAMP_RELU, true), o, "multiple of 16");
    nsamp_network *linear;
    nsamp_error err;
    assert_int_equal(nsamp_rsn_linear(4, 6, 1, &linear, &err), NSAMP_EUSAGE);
    assert_int_equal(nsamp_rsn_linear(2, 8, 1, &linear, &err), NSAMP_OK);
    o = options(false, NSAMP_RSN_FUSED);
    o.h = 10;
    refuse(linear, o, "unstable");
}

/* run.path = auto in float32: what a CPU takes, and what a GPU. */
static void test_choice(void **state) {
    (void)state;
    static const struct {
        size_t m, n;
        bool reservoir, panels, products; /* on a CPU; on a GPU */
        const char *why;                  /* on a GPU */
    } nets[] = {
        {4, 20000, false, false, false, "few outputs"}, {8, 2896, false, false, false, "few outputs"},
        {8, 2912, false, false, true, "many outputs"},  {5, 800, false, false, false, "a small network"},
        {5, 840, false, false, true, "many outputs"},   {64, 64, false, false, false, "a small network"},
        {64, 512, false, false, true, "many outputs"},  {64, 1024, false, true, true, "many outputs"},
        {8, 2000, true, false, false, "few outputs"},   {9, 512, true, false, true, "many outputs"},
        {9, 7000, true, true, true, "many outputs"}};
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        nsamp_rsn_options o = options(nets[i].reservoir, NSAMP_RSN_AUTO);
        o.cuda = true;
        nsamp_model model = make_unprepared(network(nets[i].m, nets[i].n, NSAMP_RELU, true), &o);
        if (nets[i].products != (model.host_kernel == &nsamp_rsn_product_kernel) ||
            !strstr(model.why, nets[i].why))
            fail_msg("net %zu on a GPU: %s", i, model.why);
        free_model(&model);
        o.cuda = false;
        for (int base = 0; base < 2; base++) {
            o.isa = base ? "base" : "v3";
            model = make(network(nets[i].m, nets[i].n, NSAMP_RELU, true), &o);
            const nsamp_cpu_kernel *expected = !nets[i].panels ? NULL
                                               : base          ? &nsamp_rsn_product_kernel
                                                               : nsamp_rsn_panels_kernel("v3");
            if (model.host_kernel != expected) fail_msg("net %zu on a CPU (%s): %s", i, o.isa, model.why);
            free_model(&model);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_path),       cmocka_unit_test(test_product_path),
                                       cmocka_unit_test(test_agreement),  cmocka_unit_test(test_bits),
                                       cmocka_unit_test(test_jump),       cmocka_unit_test(test_hinges),
                                       cmocka_unit_test(test_divergence), cmocka_unit_test(test_start),
                                       cmocka_unit_test(test_refusals),   cmocka_unit_test(test_choice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
