/* test_rsn_bf16.c: the bf16 kernel of rsn for CPUs against double precision: y in one part and in three, a step; when it is chosen, what it
 * refuses. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "matmul.h"
#include "reference_bf16.h"
#include "rsn_bf16_models.h"

/* ---- y in double precision ----------------------------------------------------------------------------- */

static double ref_phi(nsamp_activation phi, double a) {
    return phi == NSAMP_RELU   ? fmax(a, 0.0)
           : phi == NSAMP_TANH ? tanh(a)
                               : log1p(exp(-fabs(a))) + fmax(a, 0.0);
}

/* A hidden unit that lies at the middle of two bf16 numbers may be rounded to either: as far as that moves y, three of them at once. */
static void same_as_double(size_t m, size_t n, nsamp_activation phi) {
    nsamp_model model = model_of(network(m, n, phi, true), NSAMP_BF16);
    const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
    float *y = malloc(CHAINS * m * sizeof(float));
    double *hidden = malloc(n * sizeof(double));
    tiles t = tiles_create(&model, NULL, 3, 0, CHAINS);
    fill_states(&t, false);
    tiles_observe(&t, y);
    for (size_t c = 0; c < CHAINS; c += 7) {
        for (size_t j = 0; j < n; j++) {
            double a = (double)net->b[j];
            for (size_t i = 0; i < m; i++)
                a += ref_bf16((double)net->w2[j * m + i]) *
                     ref_bf16((double)t.state[(c / t.lanes * m + i) * t.lanes + c % t.lanes]);
            hidden[j] = ref_bf16(ref_phi(phi, a));
        }
        for (size_t i = 0; i < m; i++) {
            double sum = 0.0, most = 0.0;
            for (size_t j = 0; j < n; j++) {
                const double term = ref_bf16((double)net->w1[i * n + j]) * hidden[j];
                sum += term;
                most = fmax(most, fabs(term));
            }
            if (!(fabs(sum - (double)y[c * m + i]) < 3 * 0x1p-8 * most + 1e-5))
                fail_msg("m %zu n %zu phi %d chain %zu output %zu: %.7g, reference %.7g", m, n, phi, c, i,
                         (double)y[c * m + i], sum);
        }
    }
    tiles_destroy(&t);
    free_model(&model);
    free(y), free(hidden);
}

/* In three parts y is that of float32: its error, root mean square, is at most twice that of the fused float32 kernel, which adds up a
 * term at a time. */
static double error_of(size_t m, size_t n, nsamp_precision precision) {
    nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
    o.precision = precision;
    o.jump = true;
    o.tile = precision == NSAMP_FP32 ? 0 : LANES;
    nsamp_model model = make(network(m, n, NSAMP_TANH, true), &o);
    const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
    float *y = malloc(CHAINS * m * sizeof(float));
    double *hidden = malloc(n * sizeof(double)), error = 0.0;
    tiles t = tiles_create(&model, NULL, 3, 0, CHAINS);
    fill_states(&t, false);
    tiles_observe(&t, y);
    for (size_t c = 0; c < CHAINS; c++) {
        for (size_t j = 0; j < n; j++) {
            double a = (double)net->b[j];
            for (size_t i = 0; i < m; i++)
                a += (double)net->w2[j * m + i] *
                     (double)t.state[(c / t.lanes * m + i) * t.lanes + c % t.lanes];
            hidden[j] = tanh(a);
        }
        for (size_t i = 0; i < m; i++) {
            double sum = -(double)y[c * m + i];
            for (size_t j = 0; j < n; j++)
                sum += (double)net->w1[i * n + j] * hidden[j];
            error += sum * sum;
        }
    }
    tiles_destroy(&t);
    free_model(&model);
    free(y), free(hidden);
    return sqrt(error / (double)(CHAINS * m));
}

static void test_three_parts(void **state) {
    (void)state;
    static const size_t outputs[] = {7, 40, 100};
    for (size_t k = 0; k < 3; k++) {
        const size_t m = outputs[k];
        const double one = error_of(m, 300, NSAMP_BF16), three = error_of(m, 300, NSAMP_BF16X3),
                     whole = error_of(m, 300, NSAMP_FP32);
        print_message("m %zu: error of y, root mean square: bf16 %.2g, bf16x3 %.2g, fp32 %.2g\n", m, one,
                      three, whole);
        assert_true(three > 0.0 && three < 2.0 * whole);
        assert_true(one > 1000.0 * whole);
    }
}

static void test_double(void **state) {
    (void)state;
    static const nsamp_activation phis[] = {NSAMP_RELU, NSAMP_TANH, NSAMP_SOFTPLUS};
    for (size_t k = 0; k < 3; k++) {
        same_as_double(5, 40, phis[k]);
        same_as_double(40, 300, phis[k]);
    }
}

/* ---- a step ---------------------------------------------------------------------------------------------- */

/* One step from where y is known: x + h (y - x) + a xi. */
static void test_step(void **state) {
    (void)state;
    enum { M = 20 };
    nsamp_model model = model_of(network(M, 90, NSAMP_RELU, true), NSAMP_BF16X3);
    const nsamp_rsn_extra *extra = model.extra;
    const double h = extra->options.h, a = sqrt(2.0 * h) * extra->net->sigma;
    float before[CHAINS * M], after[CHAINS * M], y[CHAINS * M];
    tiles t = tiles_create(&model, NULL, 31, 1000, CHAINS);
    tiles_states(&t, before);
    tiles_observe(&t, y);
    tiles_advance(&t, 7, 1);
    tiles_states(&t, after);
    for (uint32_t c = 0; c < CHAINS; c++)
        for (uint32_t i = 0; i < M; i++) {
            const double x = (double)before[c * M + i],
                         expected = x + h * ((double)y[c * M + i] - x) +
                                    a * ref_normal(31, REF_PURPOSE_STEP, 1000 + c, 7, i);
            if (!(fabs((double)after[c * M + i] - expected) < 3e-6))
                fail_msg("chain %u output %u: %.8g, reference %.8g", c, i, (double)after[c * M + i],
                         expected);
        }
    tiles_destroy(&t);
    free_model(&model);
}

/* ---- choice, refusals ---------------------------------------------------------------------------------- */

static void chosen(nsamp_rsn_options o, const nsamp_cpu_kernel *kernel, const char *why) {
    o.precision = NSAMP_BF16;
    nsamp_model model = make(network(9, 40, NSAMP_RELU, true), &o);
    if (model.host_kernel != kernel || !strstr(model.why, why))
        fail_msg("path %d: %s, not '%s'", o.path, model.why, why);
    assert_true(model.packed_bytes >= 2 * 2 * 9 * 40); /* two layers of bf16 numbers, at least */
    free_model(&model);
}

/* What auto takes without a matrix unit. */
static void without_unit(nsamp_rsn_options o) {
    const bool panels = !nsamp_matmul_bf16_is_native() && strcmp(o.isa, "base");
    chosen(o, panels ? nsamp_rsn_panels_kernel(o.isa) : &nsamp_rsn_product_kernel,
           panels ? "in panels; float32 products of bf16 numbers" : "matrix products");
}

static void test_choice(void **state) {
    (void)state;
    nsamp_rsn_options o = options(false, NSAMP_RSN_AUTO);
    without_unit(o);
    o.has_amx = o.amx = true;
    chosen(o, nsamp_rsn_bf16_kernel(o.isa, true), "one fused kernel (bf16 weights)");
    chosen(o, nsamp_rsn_bf16_kernel(o.isa, true), "by the matrix unit");
    o.amx = false; /* run.isa = v4: another instruction set, the same numbers */
    chosen(o, nsamp_rsn_bf16_kernel(o.isa, false), "by float32 multiply-adds");
    o.reservoir = true;
    without_unit(o);
    o = options(false, NSAMP_RSN_PRODUCT);
    o.has_amx = o.amx = true;
    chosen(o, &nsamp_rsn_product_kernel, "matrix products");
    o = options(false, NSAMP_RSN_FUSED);
    o.isa = "base";
    chosen(o, &nsamp_rsn_bf16_base, "by float32 multiply-adds");
}

static void refused(nsamp_rsn_options o, const char *text) {
    nsamp_error err = {0};
    nsamp_model model = {.start_kind = NSAMP_START_NORMAL, .start_scale = 1.0};
    nsamp_status status = nsamp_rsn_model(network(3, 20, NSAMP_RELU, true), &o, &model, &err);
    if (!status && model.prepare) status = model.prepare(&model, &err);
    assert_int_equal(status, NSAMP_EUSAGE);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
    free_model(&model);
}

static void test_refusals(void **state) {
    (void)state;
    nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
    o.precision = NSAMP_BF16;
    o.tile = 96;
    refused(o, "run.tile = 96: must be a multiple of 64");
    o = options(false, NSAMP_RSN_PRODUCT);
    o.precision = NSAMP_BF16X3;
    refused(o, "run.precision = bf16x3");
    o = options(true, NSAMP_RSN_AUTO);
    o.precision = NSAMP_BF16X3;
    refused(o, "output level");
    o = options(false, NSAMP_RSN_AUTO);
    o.precision = NSAMP_BF16X3;
    o.cuda = true;
    refused(o, "on a CPU");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_double), cmocka_unit_test(test_three_parts), cmocka_unit_test(test_step),
        cmocka_unit_test(test_choice), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
