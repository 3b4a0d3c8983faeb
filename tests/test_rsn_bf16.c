/* test_rsn_bf16.c: the bf16 kernel of rsn for CPUs: its bits against the order of a matrix unit as Intel's manual has it, written
 * down once more here; from gcc and clang, -O0 and -O3, every instruction set, the matrix unit among them where this processor has
 * one; y in double precision; tiles, divergence, choice and refusals. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "isa.h"
#include "reference_bf16.h"
#include "rsn_models.h"

#define VARIANT(name, isa) extern const nsamp_cpu_kernel nsamp_rsn_bf16_##name;
#include "bf16.def"
#undef VARIANT

typedef struct variant {
    const char *name, *isa;
    const nsamp_cpu_kernel *kernel;
} variant;

static const variant variants[] = {
#define VARIANT(name, isa) {#name, isa, &nsamp_rsn_bf16_##name},
#include "bf16.def"
#undef VARIANT
};

enum { VARIANTS = sizeof variants / sizeof *variants, CHAINS = 40, LANES = 64 };

static bool runs(const variant *v) {
    return !strcmp(v->isa, "amx") ? nsamp_isa_has_amx() : tiles_table(v->isa) != NULL;
}

/* The kernel's model with jump, so that an observation is y = W1 phi(W2 x + b). */
static nsamp_model model_of(nsamp_network *net, nsamp_precision precision) {
    nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
    o.precision = precision;
    o.jump = net->denoiser;
    o.tile = LANES;
    return make(net, &o);
}

/* ---- the order of a matrix unit ------------------------------------------------------------------------ */

static float flushed(float x) {
    return fabsf(x) < FLT_MIN ? copysignf(0.0f, x) : x;
}

static float rounded(float x) {
    return (float)ref_bf16((double)flushed(x));
}

/* c + a b over 32 numbers. */
static float ref_block(const float *a, const float *b, float c) {
    float even = 0.0f, odd = 0.0f;
    for (int k = 0; k < 32; k += 2) {
        even = flushed(fmaf(a[k], b[k], even));
        odd = flushed(fmaf(a[k + 1], b[k + 1], odd));
    }
    return flushed(flushed(c) + flushed(even + odd));
}

/* Part i of a factor: what is left of it by the parts before, rounded. */
static float part_of(float x, int i) {
    for (int k = 0; k < i; k++)
        x -= rounded(x);
    return rounded(x);
}

/* a [n] b [n], filled up with zeros, c before; of each block the products of parts in turn. */
static float ref_sum(size_t n, const float *a, const float *b, float c, nsamp_precision precision) {
    static const int left_part[] = {2, 1, 1, 0, 0, 0}, right_part[] = {0, 0, 1, 1, 0, 2};
    for (size_t i = 0; i < n; i += 32)
        for (int s = 0; s < 6; s++) {
            float left[32] = {0}, right[32] = {0};
            if (precision == NSAMP_BF16 && left_part[s] + right_part[s] > 0) continue;
            for (size_t k = i; k < n && k < i + 32; k++) {
                left[k - i] = part_of(a[k], left_part[s]);
                right[k - i] = part_of(b[k], right_part[s]);
            }
            c = ref_block(left, right, c);
        }
    return c;
}

/* y of one chain for phi = relu, every bit. */
static void ref_relu(const nsamp_network *net, const float *x, float *y, nsamp_precision precision) {
    float *const hidden = malloc(net->n * sizeof(float));
    for (size_t j = 0; j < net->n; j++)
        hidden[j] = fmaxf(ref_sum(net->m, net->w2 + j * net->m, x, net->b[j], precision), 0.0f);
    for (size_t i = 0; i < net->m; i++)
        y[i] = ref_sum(net->n, net->w1 + i * net->n, hidden, 0.0f, precision);
    free(hidden);
}

/* Numbers of all sizes in the network and in x [CHAINS][m]: ordinary, tiny, subnormal, zeros of both signs, large. */
static float odd_number(uint32_t kind, float ordinary) {
    switch (kind % 23) {
    case 3:
        return ordinary * 0x1p-70f;
    case 5:
        return ordinary * 0x1p-120f;
    case 8:
        return ordinary * 0x1p-130f;
    case 12:
        return -0.0f;
    case 17:
        return ordinary * 0x1p20f;
    default:
        return ordinary;
    }
}

static nsamp_network *odd_network(size_t m, size_t n) {
    nsamp_network *net = network(m, n, NSAMP_RELU, true);
    for (size_t i = 0; i < m * n; i++) {
        net->w1[i] = odd_number((uint32_t)(i * 7), net->w1[i]);
        net->w2[i] = odd_number((uint32_t)(i * 5 + 1), net->w2[i]);
    }
    for (size_t j = 0; j < n; j++)
        net->b[j] = odd_number((uint32_t)(j * 3), net->b[j]);
    return net;
}

static void fill_states(tiles *t, bool odd) {
    for (uint64_t c = 0; c < t->count * t->lanes; c++)
        for (size_t i = 0; i < t->model->dim; i++) {
            const float z = (float)ref_normal(5, REF_PURPOSE_WEIGHTS, (uint32_t)c, 0, (uint32_t)i);
            t->state[(c / t->lanes * t->model->dim + i) * t->lanes + c % t->lanes] =
                odd ? odd_number((uint32_t)(c + 3 * i), z) : z;
        }
}

static void same_as_reference(size_t m, size_t n, bool odd, nsamp_precision precision) {
    nsamp_model model = model_of(odd ? odd_network(m, n) : network(m, n, NSAMP_RELU, true), precision);
    const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
    float *y = malloc(CHAINS * m * sizeof(float)), *x = malloc(m * sizeof(float)),
          *expected = malloc(CHAINS * m * sizeof(float));
    size_t nonzero = 0;
    for (int v = -1; v < (int)VARIANTS; v++) {
        if (v >= 0 && !runs(&variants[v])) continue;
        tiles t = tiles_create(&model, v < 0 ? NULL : variants[v].kernel, 3, 0, CHAINS);
        fill_states(&t, odd);
        for (size_t c = 0; c < CHAINS && v < 0; c++) {
            for (size_t i = 0; i < m; i++)
                x[i] = t.state[(c / t.lanes * m + i) * t.lanes + c % t.lanes];
            ref_relu(net, x, expected + c * m, precision);
        }
        tiles_observe(&t, y);
        for (size_t i = 0; i < CHAINS * m; i++) {
            nonzero += v < 0 && expected[i] != 0.0f;
            /* A sum of zeros may have either sign in the reference; elsewhere every bit. */
            if (memcmp(&y[i], &expected[i], sizeof *y) && !(y[i] == 0.0f && expected[i] == 0.0f))
                fail_msg("m %zu n %zu %s, chain %zu output %zu: %a, reference %a", m, n,
                         v < 0 ? "chosen here" : variants[v].name, i / m, i % m, (double)y[i],
                         (double)expected[i]);
        }
        tiles_destroy(&t);
    }
    assert_true(nonzero > CHAINS * m / 8);
    free(y), free(x), free(expected);
    free_model(&model);
}

/* One and several tiles of inputs, outputs (an even and an odd number of rows of them) and panels, whole and broken. */
static void test_order(void **state) {
    (void)state;
    same_as_reference(1, 1, false, NSAMP_BF16);
    same_as_reference(3, 40, false, NSAMP_BF16);
    same_as_reference(16, 256, true, NSAMP_BF16);
    same_as_reference(33, 300, true, NSAMP_BF16);
    same_as_reference(64, 577, true, NSAMP_BF16);
    same_as_reference(75, 530, false, NSAMP_BF16);
    same_as_reference(3, 40, true, NSAMP_BF16X3);
    same_as_reference(33, 300, true, NSAMP_BF16X3);
    same_as_reference(75, 130, false, NSAMP_BF16X3);
}

/* A test that cannot fail proves nothing: the sum in another order has other bits. */
static void test_order_matters(void **state) {
    (void)state;
    enum { N = 64 };
    float a[N], b[N], forward[N], c = 0.0f;
    int other = 0;
    for (uint32_t chain = 0; chain < 20; chain++) {
        for (uint32_t i = 0; i < N; i++) {
            a[i] = (float)ref_normal(6, REF_PURPOSE_WEIGHTS, chain, 1, i);
            b[i] = (float)ref_normal(6, REF_PURPOSE_WEIGHTS, chain, 2, i);
            forward[i] = rounded(a[i]) * rounded(b[i]);
        }
        c = 0.0f;
        for (uint32_t i = 0; i < N; i++)
            c += forward[i];
        other += c != ref_sum(N, a, b, 0.0f, NSAMP_BF16);
    }
    assert_true(other > 5);
}

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

/* ---- steps --------------------------------------------------------------------------------------------- */

/* What the kernel changes of a thread it gives back: the mode of subnormal numbers, the tiles. */
static void test_given_back(void **state) {
    (void)state;
    nsamp_model model = model_of(network(20, 90, NSAMP_RELU, true), NSAMP_BF16);
    float y[CHAINS * 20];
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v])) continue;
        tiles t = tiles_create(&model, variants[v].kernel, 3, 0, CHAINS);
        volatile float tiny = FLT_MIN;
        tiles_advance(&t, 0, 1);
        tiles_observe(&t, y);
        if (!(tiny * 0.5f > 0.0f)) fail_msg("%s leaves subnormal numbers as 0", variants[v].name);
#ifdef NSAMP_X86_64
        if (nsamp_isa_has_amx()) {
            unsigned low, high;
            __asm__ volatile("xgetbv"
                             : "=a"(low), "=d"(high)
                             : "c"(1)); /* parts of the state that are in use */
            if (low & 3 << 17) fail_msg("%s leaves tiles in use", variants[v].name);
        }
#endif
        tiles_destroy(&t);
    }
    free_model(&model);
}

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

static void advance_in_parts(const nsamp_model *model, const nsamp_cpu_kernel *kernel, uint32_t chain0,
                             uint32_t chains, uint32_t rounds, float *x) {
    tiles t = tiles_create(model, kernel, 9, chain0, chains);
    t.key.rounds = rounds;
    tiles_advance(&t, 0, 2);
    tiles_advance(&t, 2, 3);
    tiles_states(&t, x);
    tiles_destroy(&t);
}

/* A path depends on the chain alone: builds, instruction sets, tiles, first chains, rounds of the noise. */
static void same_bits(size_t m, nsamp_activation phi, uint32_t rounds, nsamp_precision precision) {
    nsamp_rsn_options o = options(false, NSAMP_RSN_FUSED);
    o.precision = precision;
    float *whole = malloc(CHAINS * m * sizeof(float)), *part = malloc(CHAINS * m * sizeof(float));
    int compared = 0;
    for (uint32_t tile = 64; tile <= 192; tile += 64) {
        o.tile = tile;
        nsamp_model model = make(network(m, 300, phi, false), &o);
        if (tile == 64) advance_in_parts(&model, NULL, 1000, CHAINS, rounds, whole);
        advance_in_parts(&model, NULL, 1000, CHAINS, rounds, part);
        assert_memory_equal(whole, part, CHAINS * m * sizeof(float));
        for (size_t v = 0; tile == 64 && v < VARIANTS; v++) {
            if (!runs(&variants[v])) continue;
            advance_in_parts(&model, variants[v].kernel, 1000, CHAINS, rounds, part);
            if (memcmp(whole, part, CHAINS * m * sizeof(float)))
                fail_msg("%s differs: m %zu, phi %d, tile %u, %u rounds", variants[v].name, m, phi, tile,
                         rounds);
            compared++;
        }
        advance_in_parts(&model, NULL, 1033, 5, rounds, part);
        assert_memory_equal(whole + 33 * m, part, 5 * m * sizeof(float));
        free_model(&model);
    }
    assert_true(compared >= 2);
    free(whole), free(part);
}

static void test_bits(void **state) {
    (void)state;
    same_bits(2, NSAMP_RELU, 10, NSAMP_BF16);
    same_bits(40, NSAMP_RELU, 7, NSAMP_BF16);
    same_bits(17, NSAMP_TANH, 10, NSAMP_BF16);
    same_bits(5, NSAMP_SOFTPLUS, 10, NSAMP_BF16);
    same_bits(5, NSAMP_RELU, 7, NSAMP_BF16X3);
    same_bits(17, NSAMP_TANH, 10, NSAMP_BF16X3);
}

/* Chains that leave are flagged at the same step by all. */
static void test_divergence(void **state) {
    (void)state;
    enum { M = 4, STEPS = 60 };
    nsamp_network *net = network(M, 32, NSAMP_RELU, true);
    for (size_t i = 0; i < M * 32; i++)
        net->w1[i] = fabsf(net->w1[i]) * 40.0f;
    nsamp_model model = model_of(net, NSAMP_BF16);
    uint32_t expected[LANES] = {0};
    for (int v = -1; v < (int)VARIANTS; v++) {
        if (v >= 0 && !runs(&variants[v])) continue;
        tiles t = tiles_create(&model, v < 0 ? NULL : variants[v].kernel, 3, 0, CHAINS);
        tiles_advance(&t, 0, STEPS);
        if (v < 0) {
            memcpy(expected, t.bad, sizeof expected);
            for (int l = 0; l < CHAINS; l++)
                assert_in_range(expected[l], 2, STEPS);
        }
        assert_memory_equal(t.bad, expected, sizeof expected);
        tiles_destroy(&t);
    }
    free_model(&model);
}

/* ---- choice, refusals ---------------------------------------------------------------------------------- */

static void chosen(nsamp_rsn_options o, const nsamp_cpu_kernel *kernel, const char *why) {
    o.precision = NSAMP_BF16;
    nsamp_model model = make(network(9, 40, NSAMP_RELU, true), &o);
    if (model.host_kernel != kernel || !strstr(model.why, why))
        fail_msg("path %d: %s, not '%s'", o.path, model.why, why);
    free_model(&model);
}

static void test_choice(void **state) {
    (void)state;
    nsamp_rsn_options o = options(false, NSAMP_RSN_AUTO);
    chosen(o, &nsamp_rsn_product_kernel, "matrix products");
    o.has_amx = o.amx = true;
    chosen(o, nsamp_rsn_bf16_kernel(o.isa, true), "one fused kernel (bf16 weights)");
    chosen(o, nsamp_rsn_bf16_kernel(o.isa, true), "by the matrix unit");
    o.amx = false; /* run.isa = v4: another instruction set, the same numbers */
    chosen(o, nsamp_rsn_bf16_kernel(o.isa, false), "by float32 multiply-adds");
    o.reservoir = true;
    chosen(o, &nsamp_rsn_product_kernel, "matrix products");
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

static void test_instruction_sets(void **state) {
    (void)state;
    int missing = 0, unit = 0;
    for (size_t v = 0; v < VARIANTS; v++) {
        missing += !runs(&variants[v]);
        unit += !strcmp(variants[v].isa, "amx");
    }
    if (!unit) print_message("the compiler does not know the matrix unit: not built\n");
    if (missing)
        print_message("%d of %d builds need what this processor lacks: not run\n", missing, VARIANTS);
    if (missing || !unit) skip();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_order_matters),
        cmocka_unit_test(test_double),
        cmocka_unit_test(test_three_parts),
        cmocka_unit_test(test_given_back),
        cmocka_unit_test(test_step),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
