/* test_rsn_panels.c: networks in panels (kernels/rsn_panels.h), on a CPU: in float32 bit for bit what the fused kernel of the table gives, at
 * both levels, for remainders of rows, units, panels and chains; from gcc and clang, -O0 and -O3, every instruction set
 * (mk/variants.mk makes the objects); y against double precision; divergence; chains a tile. In bf16 bit for bit a step of one chain, written down
 * again. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "kernels/bf16.h"
#include "matmul.h"
#include "rsn_models.h"

#define BUILDS_LIST       "rsn_panels.def"
#define BUILDS_TYPE       nsamp_cpu_kernel
#define BUILDS_NAME(name) nsamp_rsn_panels_##name
#define BUILDS_UNIT       0
#include "builds.h"

/* Panels also where auto would not take them, so that small networks reach every remainder; o.precision: fp32 or bf16. */
static nsamp_model in_panels(nsamp_network *net, nsamp_rsn_options o, uint32_t tile) {
    static float none;
    nsamp_rsn_panels_parts parts;
    nsamp_error err = {0};
    nsamp_model model = make_unprepared(net, &o);
    nsamp_rsn_extra *extra = model.extra;
    nsamp_rsn_params *params = model.params;
    const bool rounded = o.precision == NSAMP_BF16;
    assert_int_equal(nsamp_rsn_panels_create(extra->net, extra->pinv, params, rounded, &extra->panels, &err),
                     NSAMP_OK);
    params->product = extra->panels;
    model.host_kernel = nsamp_rsn_panels_kernel(o.isa);
    model.lanes = tile;
    model.scratch_bytes =
        nsamp_rsn_panels_carve(params->dim, params->reservoir, rounded, tile, &none, &parts);
    return model;
}

enum { CHAINS = 150 };

typedef struct run {
    float *states, *x; /* after the last step [CHAINS][S], [CHAINS][m] */
    uint32_t bad[CHAINS];
} run;

static run run_of(const nsamp_model *model, const nsamp_cpu_kernel *kernel, uint32_t rounds, uint32_t first,
                  uint32_t second) {
    run out = {.states = malloc(CHAINS * model->state_len * sizeof(float)),
               .x = malloc(CHAINS * model->dim * sizeof(float))};
    tiles t = tiles_create(model, kernel, 9, 1000, CHAINS);
    t.key.rounds = rounds;
    tiles_advance(&t, 0, first);
    if (second) tiles_advance(&t, first, second);
    tiles_states(&t, out.states);
    tiles_observe(&t, out.x);
    memcpy(out.bad, t.bad, sizeof out.bad);
    tiles_destroy(&t);
    return out;
}

static void free_run(run *r) {
    free(r->states);
    free(r->x);
}

static void assert_same(const nsamp_model *model, const run *a, const run *b, const char *what) {
    const nsamp_rsn_params *p = model->params;
    const bool same = !memcmp(a->states, b->states, CHAINS * model->state_len * sizeof(float)) &&
                      !memcmp(a->x, b->x, CHAINS * model->dim * sizeof(float)) &&
                      !memcmp(a->bad, b->bad, sizeof a->bad);
    if (!same)
        fail_msg("%s: m %u, n %u, phi %u, level %u, tile %u", what, p->dim, p->units, p->activation,
                 p->reservoir, model->lanes);
}

/* The fused kernel of the table, which tests/test_rsn.c and tests/test_kernel_bits.c prove. */
static run by_table(const nsamp_model *model, uint32_t rounds, uint32_t steps) {
    return run_of(model, &tiles_table(NULL)[model->kernel], rounds, steps, 0);
}

/* m, n; every tile. Chains 1000 to 1149 of both, steps 0 to 4 in one part and in two. */
static void same_as_table(size_t m, size_t n, nsamp_activation phi, bool reservoir, uint32_t rounds) {
    static const uint32_t lanes[] = {16, 32, 48, 64, 80, 128, 144, 256};
    nsamp_rsn_options o = options(reservoir, NSAMP_RSN_FUSED);
    o.jump = true;
    nsamp_model table = make_unprepared(network(m, n, phi, true), &o);
    run expected = by_table(&table, rounds, 5);
    for (size_t k = 0; k < sizeof lanes / sizeof *lanes; k++) {
        nsamp_model model = in_panels(network(m, n, phi, true), o, lanes[k]);
        run got = run_of(&model, NULL, rounds, 2, 3);
        assert_same(&model, &expected, &got, "the table's kernel");
        free_run(&got);
        free_model(&model);
    }
    free_run(&expected);
    free_model(&table);
}

/* Remainders of six outputs 0 to 5; of six units 0, 2 and 4, in one panel, at the end of the second, of the fourth. */
static void test_remainders(void **state) {
    (void)state;
    static const size_t hidden[] = {8, 24, 200, 216, 400, 640};
    for (size_t m = 5; m <= 17; m++)
        for (int reservoir = 0; reservoir < 2; reservoir++) {
            const size_t n = hidden[(m + (size_t)reservoir * 3) % 6];
            same_as_table(m, n < m ? 24 : n, NSAMP_RELU, reservoir, m % 2 ? 10 : 7);
        }
    for (size_t k = 0; k < 6; k++) {
        same_as_table(6, hidden[k], NSAMP_RELU, k % 2, 10);
        same_as_table(7, hidden[k], NSAMP_TANH, (k + 1) % 2, 10);
    }
    same_as_table(14, 210, NSAMP_SOFTPLUS, false, 7);
    same_as_table(13, 95, NSAMP_SOFTPLUS, true, 10);
    same_as_table(16, 95, NSAMP_TANH, true, 7);
}

/* Panels that their bytes make short: fewer than 192 units, and six. */
static void test_long_rows(void **state) {
    (void)state;
    same_as_table(784, 200, NSAMP_RELU, false, 10);
    same_as_table(431, 440, NSAMP_RELU, true, 10);
    same_as_table(11000, 16, NSAMP_RELU, false, 10);
}

/* Every build, at both levels, with every phi. */
static void test_builds(void **state) {
    (void)state;
    static const nsamp_activation phis[] = {NSAMP_RELU, NSAMP_TANH, NSAMP_SOFTPLUS};
    int compared = 0;
    for (int k = 0; k < 6; k++) {
        nsamp_rsn_options o = options(k / 3, NSAMP_RSN_FUSED);
        o.jump = true;
        nsamp_model table = make_unprepared(network(17, 205, phis[k % 3], true), &o);
        run expected = by_table(&table, k % 2 ? 7 : 10, 2);
        nsamp_model model = in_panels(network(17, 205, phis[k % 3], true), o, k % 2 ? 48 : 144);
        for (size_t v = 0; v < VARIANTS; v++) {
            if (!runs(&variants[v])) continue;
            run got = run_of(&model, variants[v].kernel, k % 2 ? 7 : 10, 2, 0);
            assert_same(&model, &expected, &got, variants[v].name);
            free_run(&got);
            compared++;
        }
        free_model(&model);
        free_run(&expected);
        free_model(&table);
    }
    assert_true(compared >= 6 * 2);
}

/* An operation's rounding error is at most 2^-24 of its result; taken as uniform up to there, its variance. */
static double rounding(double result) {
    return result * result * 0x1p-48 / 3.0;
}

/* y = W1 phi(W2 x + b) of a network that auto has in panels: within six standard deviations of the roundings of all its sums. */
static void test_double(void **state) {
    (void)state;
    enum { M = 70, N = 1000 };
    for (int softplus = 0; softplus < 2; softplus++) {
        nsamp_rsn_options o = options(false, NSAMP_RSN_AUTO);
        o.jump = true;
        if (!strcmp(o.isa, "base")) o.path = NSAMP_RSN_FUSED;
        nsamp_model model = make(network(M, N, softplus ? NSAMP_SOFTPLUS : NSAMP_RELU, true), &o);
        assert_true(model.host_kernel == nsamp_rsn_panels_kernel(o.isa));
        const nsamp_network *net = ((const nsamp_rsn_extra *)model.extra)->net;
        float *y = malloc(CHAINS * M * sizeof(float)), *x = malloc(CHAINS * model.state_len * sizeof(float));
        tiles t = tiles_create(&model, NULL, 3, 0, CHAINS);
        tiles_observe(&t, y);
        tiles_states(&t, x);
        for (size_t c = 0; c < CHAINS; c += 7) {
            double hidden[N], var[N];
            for (size_t j = 0; j < N; j++) {
                double u = (double)net->b[j];
                var[j] = 0.0;
                for (size_t i = 0; i < M; i++) {
                    u += (double)net->w2[j * M + i] * (double)x[c * M + i];
                    var[j] += rounding(u);
                }
                hidden[j] = softplus ? log1p(exp(-fabs(u))) + fmax(u, 0.0) : fmax(u, 0.0);
                if (softplus) var[j] += 16.0 * rounding(hidden[j]); /* of 4 such errors (elementary.h) */
            }
            for (size_t i = 0; i < M; i++) {
                double want = 0.0, of_sum = 0.0;
                for (size_t j = 0; j < N; j++) {
                    const double w1 = (double)net->w1[i * N + j];
                    want += w1 * hidden[j];
                    of_sum += rounding(want) + w1 * w1 * var[j];
                }
                const double got = (double)y[c * M + i];
                if (!(fabs(got - want) < 6.0 * sqrt(of_sum)))
                    fail_msg("chain %zu output %zu: %.9g, not %.9g (sd %g)", c, i, got, want, sqrt(of_sum));
            }
        }
        tiles_destroy(&t);
        free_model(&model);
        free(y), free(x);
    }
}

/* Chains that leave are flagged at the step that the table's kernel says. */
static void test_divergence(void **state) {
    (void)state;
    enum { M = 9, N = 40 };
    for (int reservoir = 0; reservoir < 2; reservoir++) {
        nsamp_network *net[2];
        for (int k = 0; k < 2; k++) {
            net[k] = network(M, N, NSAMP_RELU, true);
            for (size_t i = 0; i < M * N; i++)
                net[k]->w1[i] = fabsf(net[k]->w1[i]) * 1e8f;
        }
        const nsamp_rsn_options o = options(reservoir, NSAMP_RSN_FUSED);
        nsamp_model table = make_unprepared(net[0], &o), model = in_panels(net[1], o, 80);
        run expected = run_of(&table, &tiles_table(NULL)[table.kernel], 10, 8, 0),
            got = run_of(&model, NULL, 10, 8, 0);
        for (size_t c = 0; c < CHAINS; c++)
            assert_in_range(expected.bad[c], 2, 8);
        assert_memory_equal(expected.bad, got.bad, sizeof got.bad);
        free_run(&expected), free_run(&got);
        free_model(&table), free_model(&model);
    }
}

/* As a run has it: without the blocks, which were packed, and in the tile that was chosen. */
static void test_prepared(void **state) {
    (void)state;
    for (int reservoir = 0; reservoir < 2; reservoir++) {
        nsamp_rsn_options o = options(reservoir, NSAMP_RSN_FUSED);
        o.chains = CHAINS;
        nsamp_model table = make_unprepared(network(64, 1100, NSAMP_RELU, true), &o),
                    model = make(network(64, 1100, NSAMP_RELU, true), &o);
        assert_true(model.params_bytes < table.params_bytes / 100);
        run expected = by_table(&table, 10, 4), got = run_of(&model, NULL, 10, 1, 3);
        assert_same(&model, &expected, &got, "prepared");
        free_run(&expected), free_run(&got);
        free_model(&table), free_model(&model);
    }
}

/* Equal tiles of a thread's chains; the packed parameters hold no second copy of the weights. */
static void test_tiles(void **state) {
    (void)state;
    static const struct {
        size_t m, n;
        bool reservoir;
        uint64_t chains;
        int threads;
        uint32_t lanes;
    } cases[] = {
        {300, 1000, false, 4096, 2, 256}, {300, 1000, false, 700, 2, 192}, {300, 1000, false, 100, 2, 64},
        {300, 1000, false, 64, 1, 64},    {300, 1000, false, 40, 1, 48},   {300, 1000, false, 1, 4, 16},
        {100, 1000, false, 4096, 2, 64},  {300, 1000, true, 4096, 2, 64},  {40, 5000, true, 4096, 2, 256},
    };
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        nsamp_rsn_options o = options(cases[k].reservoir, NSAMP_RSN_FUSED);
        o.chains = cases[k].chains;
        o.threads = cases[k].threads;
        nsamp_model model = make(network(cases[k].m, cases[k].n, NSAMP_RELU, true), &o);
        assert_true(model.host_kernel == nsamp_rsn_panels_kernel(o.isa));
        if (model.lanes != cases[k].lanes)
            fail_msg("case %zu: tiles of %u chains, not %u", k, model.lanes, cases[k].lanes);
        assert_true(model.params_bytes < 4096 && model.packed_bytes > 4 * 2 * cases[k].m * cases[k].n);
        free_model(&model);
    }
}

static float narrow(float x) {
    return nsamp_bf16_value(nsamp_bf16_of(x));
}

/* A step of one chain in bf16: state [S] of chain `chain` at `step`; one operation at a time, sums in the order of inputs and of units. */
static void step_of_a_chain(const nsamp_model *model, nsamp_noise_key key, uint32_t chain, uint64_t step,
                            float *state) {
    const nsamp_rsn_params *p = model->params;
    const nsamp_rsn_extra *extra = model->extra;
    const nsamp_network *net = extra->net;
    const size_t m = net->m, n = net->n;
    float *x = malloc((3 * m + 4) * sizeof *x), *y = x + m, *z = y + m, *r = state + m;
    for (size_t i = 0; i < m; i++) {
        x[i] = narrow(state[i]);
        y[i] = 0.0f;
        if (i % 4 == 0) nsamp_normals4(key, NSAMP_PURPOSE_STEP, chain, step, (uint32_t)(i / 4), z + i);
    }
    for (size_t j = 0; j < n; j++) {
        float a = net->b[j];
        for (size_t i = 0; i < m; i++)
            a = fmaf(narrow(net->w2[j * m + i]), x[i], a);
        a = nsamp_rsn_phi(p->activation, a);
        if (p->reservoir) {
            a = fmaf(p->h, a - r[j], r[j]);
            for (size_t i = 0; i < m; i++)
                a = fmaf((float)((double)p->noise * extra->pinv[j * m + i]), z[i], a);
            r[j] = a;
        }
        for (size_t i = 0; i < m; i++)
            y[i] = fmaf(narrow(net->w1[i * n + j]), narrow(a), y[i]);
    }
    for (size_t i = 0; i < m; i++)
        state[i] = p->reservoir ? y[i] : fmaf(p->h, y[i] - state[i], fmaf(p->noise, z[i], state[i]));
    free(x);
}

/* Every build; two steps of chains of every tile, with units up to a multiple of eight, so that none is padding. */
static void same_in_bf16(size_t m, size_t n, nsamp_activation phi, bool reservoir, uint32_t lanes) {
    nsamp_rsn_options o = options(reservoir, NSAMP_RSN_AUTO);
    o.precision = NSAMP_BF16;
    nsamp_model model = in_panels(network(m, n, phi, true), o, lanes);
    const size_t S = model.state_len;
    assert_int_equal(n % NSAMP_RSN_BLOCK, 0);
    float *want = malloc(CHAINS * S * sizeof *want), *got = malloc(CHAINS * S * sizeof *got);
    tiles t = tiles_create(&model, NULL, 9, 1000, CHAINS);
    tiles_states(&t, want);
    for (uint32_t c = 0; c < CHAINS; c += 11)
        for (uint64_t step = 0; step < 2; step++)
            step_of_a_chain(&model, t.key, 1000 + c, step, want + c * S);
    tiles_destroy(&t);
    for (size_t v = 0; v < VARIANTS; v++) {
        if (!runs(&variants[v])) continue;
        t = tiles_create(&model, variants[v].kernel, 9, 1000, CHAINS);
        tiles_advance(&t, 0, 2);
        tiles_states(&t, got);
        for (size_t c = 0; c < CHAINS; c += 11)
            if (memcmp(want + c * S, got + c * S, S * sizeof *got))
                fail_msg("%s: m %zu, n %zu, phi %d, level %d, tile %u, chain %zu", variants[v].name, m, n,
                         (int)phi, reservoir, lanes, c);
        tiles_destroy(&t);
    }
    free(want), free(got);
    free_model(&model);
}

static void test_bf16(void **state) {
    (void)state;
    same_in_bf16(2, 64, NSAMP_RELU, false, 64); /* which float32 would have as hinges */
    same_in_bf16(9, 40, NSAMP_RELU, false, 16);
    same_in_bf16(17, 208, NSAMP_TANH, false, 80);
    same_in_bf16(64, 400, NSAMP_RELU, false, 256);
    same_in_bf16(13, 96, NSAMP_SOFTPLUS, true, 48);
    same_in_bf16(40, 216, NSAMP_RELU, true, 144);
}

/* auto has bf16 in panels where a library is no faster with it; a network of any size. */
static void test_bf16_choice(void **state) {
    (void)state;
    static const size_t m[] = {2, 64, 300};
    for (int rounded = 0; rounded < 2; rounded++)
        for (size_t k = 0; k < 3; k++)
            for (int reservoir = 0; reservoir < 2; reservoir++) {
                nsamp_rsn_options o = options(reservoir, NSAMP_RSN_AUTO);
                o.precision = NSAMP_BF16;
                nsamp_matmul_set_bf16(rounded ? NSAMP_BF16_ROUNDED : NSAMP_BF16_AUTO);
                nsamp_model model = make(network(m[k], 512, NSAMP_RELU, true), &o);
                const bool panels = !nsamp_matmul_bf16_is_native() && strcmp(o.isa, "base");
                assert_true(model.host_kernel ==
                            (panels ? nsamp_rsn_panels_kernel(o.isa) : &nsamp_rsn_product_kernel));
                free_model(&model);
            }
    nsamp_matmul_set_bf16(NSAMP_BF16_AUTO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_remainders), cmocka_unit_test(test_long_rows),
        cmocka_unit_test(test_builds),     cmocka_unit_test(test_double),
        cmocka_unit_test(test_divergence), cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_tiles),      cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_bf16),       cmocka_unit_test(test_bf16_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
