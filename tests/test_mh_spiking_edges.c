/* test_mh_spiking_edges.c: the bits of the spiking network, its counters at their end, and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "spiking_models.h"
#include "tiles.h"

static void test_bits(void **state) {
    (void)state;
    static const char *const isas[] = {"base", "v3", "v4"};
    static const uint32_t cuts[] = {1, 2, 96, 401};
    double cov[49];
    general_cov(7, cov);
    nsamp_mh_network net = {.dim = 7,
                            .neurons = 36,
                            .natural = true,
                            .leak = true,
                            .counts = true,
                            .dt_ms = 0.1,
                            .tau_ms = 20,
                            .gain = 1,
                            .scale = 1,
                            .weight_seed = 5,
                            .cov = cov,
                            .burn_in = 3};
    nsamp_model model = make(&net);
    float *whole = malloc(100 * model.state_len * sizeof(float)),
          *part = malloc(100 * model.state_len * sizeof(float));
    tiles t = tiles_create(&model, &nsamp_cpu_kernels_base()[model.kernel], 9, 1000, 100);
    tiles_advance(&t, 0, 500);
    tiles_states(&t, whole);
    tiles_destroy(&t);
    for (size_t k = 0; k < 3; k++) {
        const nsamp_cpu_kernel *table = tiles_table(isas[k]);
        if (!table) continue;
        t = tiles_create(&model, &table[model.kernel], 9, 1000, 100);
        uint64_t step = 0;
        for (size_t c = 0; c < 4; step += cuts[c++])
            tiles_advance(&t, step, cuts[c]);
        tiles_states(&t, part);
        assert_memory_equal(whole, part, 100 * model.state_len * sizeof(float));
        tiles_destroy(&t);
    }
    t = tiles_create(&model, NULL, 9, 1037, 5); /* chains 1037 .. 1041, in another tile */
    tiles_advance(&t, 0, 500);
    tiles_states(&t, part);
    assert_memory_equal(whole + 37 * model.state_len, part, 5 * model.state_len * sizeof(float));
    tiles_destroy(&t);
    free_model(&model);
    free(whole), free(part);
}

/* Dimensions around the ends of a block of 16, few and many neurons, and steps across the place where the upper bits of the
 * noise's counter change: the scalar text and the vectors agree, counts too. */
static void test_blocks(void **state) {
    (void)state;
    enum { CHAINS = 70, STEPS = 61 };
    static const struct {
        size_t dim, neurons;
        uint64_t step0;
    } rows[] = {{1, 2, 0},   {2, 10, 3},  {8, 30, 0},  {15, 40, 0x1ffffffe5}, {16, 40, 12}, {17, 700, 20},
                {31, 64, 5}, {32, 64, 0}, {33, 66, 1}, {64, 2000, 7},         {100, 50, 0}};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        nsamp_mh_network net = network(r % 2, r % 3, 0.25);
        net.dim = rows[r].dim;
        net.neurons = rows[r].neurons;
        net.scale = 1.0 / (double)net.dim;
        net.burn_in = rows[r].step0 + 9;
        nsamp_model model = make(&net);
        const size_t numbers = CHAINS * model.state_len;
        float *expected = calloc(numbers, sizeof(float)), *got = calloc(numbers, sizeof(float));
        uint64_t spikes = 0;
        for (int k = 0; k < 3; k++) {
            static const char *const isas[] = {"base", "v3", "v4"};
            const nsamp_cpu_kernel *table = tiles_table(isas[k]);
            if (!table) continue;
            tiles t = tiles_create(&model, &table[model.kernel], 4, 77, CHAINS);
            tiles_advance(&t, rows[r].step0, STEPS);
            tiles_states(&t, k ? got : expected);
            tiles_destroy(&t);
            if (k && memcmp(expected, got, numbers * sizeof(float)))
                fail_msg("%s: dimension %zu, %zu neurons differ", isas[k], net.dim, net.neurons);
        }
        for (size_t i = 0; i < numbers; i++)
            if (i % model.state_len >= net.dim) spikes += nsamp_bits_of(expected[i]);
        assert_true(spikes > CHAINS && spikes <= CHAINS * (STEPS - 9));
        free_model(&model);
        free(expected), free(got);
    }
}

/* A counter stops at its end, and its neuron's statistics are then not known. */
static void test_full_counter(void **state) {
    (void)state;
    enum { CHAINS = 64, STEPS = 2000 };
    nsamp_mh_network net = network(true, false, 0.5);
    nsamp_model model = make(&net);
    tiles t = tiles_create(&model, NULL, 2, 0, CHAINS);
    float *states = malloc(CHAINS * model.state_len * sizeof(float));
    nsamp_statistic *list;
    size_t count;
    nsamp_error err;
    for (size_t l = 0; l < t.lanes; l++) {
        const uint32_t start = UINT32_MAX - 1;
        memcpy(&t.state[(10 + 7) * t.lanes + l], &start, sizeof start);
    }
    tiles_advance(&t, 0, STEPS);
    tiles_states(&t, states);
    assert_int_equal(model.statistics(&model, states, CHAINS, STEPS, &list, &count, &err), NSAMP_OK);
    for (size_t j = 0; j < 100; j++)
        assert_true(isnan(list[0].value[j]) == (j == 7));
    assert_true(isnan(list[3].value[0]));
    nsamp_statistics_free(list, count);
    tiles_destroy(&t);
    free_model(&model);
    free(states);
}

/* A network that falls silent, its mean being 0, comes to rest at normal numbers far below any rounding of a run's. Subnormal ones would
 * take forty times as long a step. */
static void test_silence(void **state) {
    (void)state;
    enum { CHAINS = 64, STEPS = 2000 };
    nsamp_mh_network net = network(true, true, 0.5);
    net.scale = 30; /* a spike never pays */
    net.tau_ms = 0.1;
    net.start = NSAMP_MH_NORMAL;
    nsamp_model model = make(&net);
    tiles t = tiles_create(&model, NULL, 2, 0, CHAINS);
    tiles_advance(&t, 0, STEPS); /* 0.9^2000 = 3e-92 */
    for (size_t d = 0; d < net.dim; d++)
        for (size_t l = 0; l < t.lanes; l++) {
            const float v = t.state[d * t.lanes + l];
            assert_true(isnormal(v) && fabsf(v) < 0x1p-80f);
        }
    tiles_destroy(&t);
    free_model(&model);
}

static void refuse(nsamp_mh_network net, const char *text) {
    nsamp_model model = {0};
    nsamp_error err = {0};
    assert_int_equal(nsamp_mh_model(&net, &model, &err), NSAMP_EUSAGE);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
    free_model(&model);
}

static void test_refusals(void **state) {
    (void)state;
    double indefinite[4] = {1, 2, 2, 1};
    nsamp_mh_network good = network(true, true, 0.5), net = good;
    net.neurons = 101;
    refuse(net, "even");
    net = good;
    net.tau_ms = 0.01;
    refuse(net, "below system.tau_ms");
    net = good;
    net.rho = -0.2;
    refuse(net, "rho = -0.2");
    net = good;
    net.scale = 1e60;
    refuse(net, "float32");
    net = good;
    net.dim = 1u << 30;
    refuse(net, "2^30");
    net = good;
    net.dim = 2;
    net.cov = indefinite;
    refuse(net, "not positive definite (smallest eigenvalue -1)");
    net = good;
    net.start = NSAMP_MH_NORMAL;
    net.start_scale = 1e300;
    refuse(net, "spikes move a chain by");
    net = good;
    net.scale = 1e-20;
    refuse(net, "spikes move a chain by");
    net = good;
    net.leak = true;
    net.dt_ms = 1e-9;
    refuse(net, "a step leaks 5e-11");
    nsamp_model model = make(&good);
    tiles t = tiles_create(&model, NULL, 1, 0, 3);
    for (size_t l = 0; l < 3; l++)
        t.state[l] = INFINITY;
    tiles_advance(&t, 0, 10);
    for (size_t l = 0; l < 3; l++)
        assert_int_equal(t.bad[l], 1);
    tiles_destroy(&t);
    free_model(&model);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits), cmocka_unit_test(test_blocks),
                                       cmocka_unit_test(test_full_counter), cmocka_unit_test(test_silence),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
