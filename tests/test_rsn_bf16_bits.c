/* test_rsn_bf16_bits.c: the bits of the bf16 kernel of rsn for CPUs, against the order of a matrix unit as Intel's manual has it, written
 * down once more here; from gcc and clang, -O0 and -O3, every instruction set, the matrix unit among them where this processor has one
 * (mk/variants.mk makes the objects); tiles, divergence, what it gives back. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "reference_amx.h"
#include "rsn_bf16_models.h"

#define BUILDS_LIST       "rsn_bf16.def"
#define BUILDS_TYPE       nsamp_cpu_kernel
#define BUILDS_NAME(name) nsamp_rsn_bf16_##name
#define BUILDS_UNIT       1
#include "builds.h"

/* ---- y in the order of a matrix unit ------------------------------------------------------------------- */

/* Part i of a factor: what is left of it by the parts before, rounded. */
static float part_of(float x, int i) {
    for (int k = 0; k < i; k++)
        x -= ref_rounded(x);
    return ref_rounded(x);
}

/* a [n] b [n], filled up with zeros, c before; of each block the products of parts in turn. */
static float ref_sum(size_t n, const float *a, const float *b, float c, nsamp_precision precision,
                     bool in_turn) {
    static const int left_part[] = {2, 1, 1, 0, 0, 0}, right_part[] = {0, 0, 1, 1, 0, 2};
    for (size_t i = 0; i < n; i += 32)
        for (int s = 0; s < 6; s++) {
            float left[32] = {0}, right[32] = {0};
            if (precision == NSAMP_BF16 && left_part[s] + right_part[s] > 0) continue;
            for (size_t k = i; k < n && k < i + 32; k++) {
                left[k - i] = part_of(a[k], left_part[s]);
                right[k - i] = part_of(b[k], right_part[s]);
            }
            c = ref_block(left, right, c, in_turn);
        }
    return c;
}

/* y of one chain for phi = relu, every bit. */
static void ref_relu(const nsamp_network *net, const float *x, float *y, nsamp_precision precision,
                     bool in_turn) {
    float *const hidden = malloc(net->n * sizeof(float));
    for (size_t j = 0; j < net->n; j++)
        hidden[j] = fmaxf(ref_sum(net->m, net->w2 + j * net->m, x, net->b[j], precision, in_turn), 0.0f);
    for (size_t i = 0; i < net->m; i++)
        y[i] = ref_sum(net->n, net->w1 + i * net->n, hidden, 0.0f, precision, in_turn);
    free(hidden);
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
            ref_relu(net, x, expected + c * m, precision, false);
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

/* A test that cannot fail proves nothing: sums in another order are not the kernel's. */
static void test_order_matters(void **state) {
    (void)state;
    enum { M = 33 };
    nsamp_model model = model_of(network(M, 300, NSAMP_RELU, true), NSAMP_BF16);
    const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
    float y[CHAINS * M], x[M], other[M];
    int differ = 0;
    tiles t = tiles_create(&model, NULL, 3, 0, CHAINS);
    fill_states(&t, false);
    tiles_observe(&t, y);
    for (size_t c = 0; c < CHAINS; c++) {
        for (size_t i = 0; i < M; i++)
            x[i] = t.state[i * LANES + c];
        ref_relu(net, x, other, NSAMP_BF16, true);
        for (size_t i = 0; i < M; i++)
            differ += y[c * M + i] != other[i];
    }
    tiles_destroy(&t);
    free_model(&model);
    assert_true(differ > CHAINS * M / 4);
}

/* ---- steps ---------------------------------------------------------------------------------------------- */

/* What the kernel changes of a thread it gives back: the mode of subnormal numbers, the tiles. */
static void test_given_back(void **state) {
    (void)state;
    nsamp_model model = model_of(network(20, 90, NSAMP_RELU, true), NSAMP_BF16);
    float y[CHAINS * 20];
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v])) continue;
        tiles t = tiles_create(&model, variants[v].kernel, 3, 0, CHAINS);
        tiles_advance(&t, 0, 1);
        tiles_observe(&t, y);
        assert_given_back(&variants[v]);
        tiles_destroy(&t);
    }
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),      cmocka_unit_test(test_order_matters),
        cmocka_unit_test(test_given_back), cmocka_unit_test(test_bits),
        cmocka_unit_test(test_divergence), cmocka_unit_test(test_instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
