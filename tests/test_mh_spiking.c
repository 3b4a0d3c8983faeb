/* test_mh_spiking.c: the spiking Metropolis-Hastings network against an independent double-precision
 * reference, and against its exact laws. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "spiking_models.h"
#include "spiking_reference.h"
#include "tiles.h"

/* Two-sided threshold of one check: 40 checks at a false-alarm budget of 1e-6 / 20 need |z| < 6.05. */
static const double Z = 6.1;

static void check_z(const char *what, double value, double se, double expected) {
    double z = (value - expected) / se;
    if (!(fabs(z) < Z)) fail_msg("%s: %.6g +- %.2g, expected %.6g: z = %.1f", what, value, se, expected, z);
}

/* value is expected, and a fault of 1 % of scale would have been seen. */
static void check_law(const char *what, double value, double se, double expected, double scale) {
    check_z(what, value, se, expected);
    if (!(Z * se < 0.01 * scale))
        fail_msg("%s: standard error %.3g cannot see 1 %% of %.3g", what, se, scale);
}

static void full_cov(const nsamp_mh_network *net, double *cov) {
    for (size_t i = 0; i < net->dim; i++)
        for (size_t j = 0; j < net->dim; j++)
            cov[i * net->dim + j] =
                net->cov ? net->cov[i * net->dim + j] : net->variance * (i == j ? 1.0 : net->rho);
}

/* ---- the same path as the reference -------------------------------------------------------------------- */

/* The tolerance 4e-5: every step rounds a coordinate of size |v| by at most 2^-24 |v|, about uniformly, so 3001 steps without
 * decay add up to sqrt(3001 / 3) 2^-24 |v| = 1.9e-6 |v| root mean square; |v| is about 3 here, and 5.7e-6 is measured. Some 700
 * numbers are compared: seven standard deviations. A fault in one spike moves a coordinate by more than a tenth. */
static void compare_paths(const nsamp_mh_network *net, double tolerance) {
    enum { CHAINS = 20, STEPS = 3001 };
    const size_t p = net->dim, n = net->neurons;
    nsamp_model model = make(net);
    double *cov = malloc(p * p * sizeof(double)), *z = malloc(p * sizeof(double)),
           *spikes = malloc(n * sizeof(double));
    double *mean = calloc(p, sizeof(double)), total = 0.0;
    float *x0 = malloc(CHAINS * p * sizeof(float)), *x = malloc(CHAINS * p * sizeof(float));
    float *states = malloc(CHAINS * model.state_len * sizeof(float));
    full_cov(net, cov);
    if (net->mean) memcpy(mean, net->mean, p * sizeof(double));
    ref_spiking ref =
        ref_spiking_create(p, n, cov, mean, net->natural, net->scale,
                           net->leak ? net->dt_ms / net->tau_ms : 0.0, net->gain, net->weight_seed);
    tiles t = tiles_create(&model, NULL, 7, 5, CHAINS);
    tiles_observe(&t, x0);
    tiles_advance(&t, 0, STEPS);
    tiles_observe(&t, x);
    tiles_states(&t, states);
    for (uint32_t c = 0; c < CHAINS; c++) {
        for (size_t i = 0; i < p; i++)
            z[i] = (double)x0[c * p + i];
        memset(spikes, 0, n * sizeof(double));
        ref_spiking_run(&ref, 7, 5 + c, STEPS, z, spikes);
        for (size_t i = 0; i < p; i++)
            if (!(fabs(z[i] - (double)x[c * p + i]) < tolerance))
                fail_msg("chain %u coordinate %zu: %.7g, reference %.7g", c, i, (double)x[c * p + i], z[i]);
        for (size_t j = 0; j < n; j++) {
            uint32_t count;
            memcpy(&count, &states[c * model.state_len + p + j], sizeof count);
            assert_int_equal(count, (uint32_t)spikes[j]);
            total += spikes[j];
        }
    }
    assert_true(total > 200 * CHAINS / 20);
    tiles_destroy(&t);
    ref_spiking_free(&ref);
    free_model(&model);
    free(cov), free(z), free(spikes), free(mean), free(x0), free(x), free(states);
}

static void test_path(void **state) {
    (void)state;
    double mean[12], cov[49];
    for (size_t i = 0; i < 12; i++)
        mean[i] = 1.0 + 0.25 * (double)i;
    nsamp_mh_network natural = network(true, true, 0.75), naive = network(false, true, 0.3);
    natural.mean = mean;
    compare_paths(&natural, 4e-5);
    naive.mean = mean;
    naive.start = NSAMP_MH_NORMAL;
    naive.start_scale = 2.0;
    compare_paths(&naive, 4e-5);
    general_cov(7, cov);
    nsamp_mh_network general = {.dim = 7,
                                .neurons = 36,
                                .natural = true,
                                .counts = true,
                                .gain = 0.7,
                                .scale = 0.4,
                                .weight_seed = 0x123456789abcdefu,
                                .mean = mean + 2,
                                .cov = cov,
                                .start = NSAMP_MH_TARGET};
    compare_paths(&general, 4e-5);
    general.natural = false;
    general.start = NSAMP_MH_UNIFORM;
    general.start_scale = 1.5;
    compare_paths(&general, 4e-5);
    nsamp_mh_network line = {.dim = 1,
                             .neurons = 2,
                             .counts = true,
                             .gain = 1,
                             .scale = 1,
                             .weight_seed = 3,
                             .variance = 4,
                             .rho = 0,
                             .start = NSAMP_MH_ZERO};
    compare_paths(&line, 4e-5);
}

/* ---- exact laws without leak --------------------------------------------------------------------------- */

/* Mean, variance and off-diagonal over all chains and coordinates, in the basis where Sigma is
 * equicorrelated. */
static void check_moments(const nsamp_mh_network *net, const float *x, size_t chains, const char *what) {
    const size_t p = net->dim;
    double mean = 0.0, diag = 0.0, off = 0.0, diag2 = 0.0, off2 = 0.0;
    for (size_t c = 0; c < chains; c++) {
        double sum = 0.0, square = 0.0;
        for (size_t i = 0; i < p; i++) {
            double d = (double)x[c * p + i] - (net->mean ? net->mean[i] : 0.0);
            sum += d;
            square += d * d;
        }
        double v = square / (double)p, o = (sum * sum - square) / (double)(p * (p - 1));
        mean += sum / (double)p;
        diag += v, diag2 += v * v;
        off += o, off2 += o * o;
    }
    const double n = (double)chains, var = net->variance / net->gain, cross = net->rho * var;
    char text[96];
    snprintf(text, sizeof text, "mean %s", what);
    check_law(text, mean / n, sqrt((var + ((double)p - 1) * cross) / (double)p / n), 0.0, sqrt(var));
    snprintf(text, sizeof text, "variance %s", what);
    check_law(text, diag / n, sqrt((diag2 / n - diag * diag / n / n) / n), var, var);
    snprintf(text, sizeof text, "off-diagonal %s", what);
    check_law(text, off / n, sqrt((off2 / n - off * off / n / n) / n), cross, var);
}

/* J = (1/n) sum_j acceptance_j Gamma_j Gamma_j^T from the reference's Gamma: trace, and the sum of all
 * entries. */
static void jump_law(const ref_spiking *r, double *trace, double *sum) {
    *trace = *sum = 0.0;
    for (size_t j = 0; j < r->n; j++) {
        double acceptance = erfc(sqrt(r->gain * r->omega[j * r->n + j] / 8.0)), square = 0.0, column = 0.0;
        for (size_t i = 0; i < r->p; i++) {
            column += r->gamma[i * r->n + j];
            square += r->gamma[i * r->n + j] * r->gamma[i * r->n + j];
        }
        *trace += acceptance * square / (double)r->n;
        *sum += acceptance * column * column / (double)r->n;
    }
}

/* E[(z' - z)(z' - z)^T] = 2 (Sigma - lag-1 covariance) = J: its trace and the sum of its entries. */
static void check_jumps(const nsamp_mh_network *net, const tiles *t, uint64_t step, float *x, size_t chains) {
    enum { REPEATS = 24 };
    const size_t p = net->dim;
    double cov[100], mean[10] = {0}, trace, sum, got[2] = {0}, got2[2] = {0};
    float *before = malloc(chains * p * sizeof(float));
    full_cov(net, cov);
    ref_spiking ref = ref_spiking_create(p, net->neurons, cov, mean, net->natural, net->scale, 0.0, net->gain,
                                         net->weight_seed);
    jump_law(&ref, &trace, &sum);
    for (size_t r = 0; r < REPEATS; r++) {
        memcpy(before, x, chains * p * sizeof(float));
        tiles_advance(t, step + r, 1);
        tiles_observe(t, x);
        for (size_t c = 0; c < chains; c++) {
            double square = 0.0, all = 0.0;
            for (size_t i = 0; i < p; i++) {
                double d = (double)x[c * p + i] - (double)before[c * p + i];
                square += d * d;
                all += d;
            }
            got[0] += square, got2[0] += square * square;
            got[1] += all * all, got2[1] += all * all * all * all;
        }
    }
    const double n = (double)chains * REPEATS;
    for (int k = 0; k < 2;
         k++) /* jumps of one chain at different steps are taken as independent: see check below */
        check_law(k ? "sum of J" : "trace of J", got[k] / n, sqrt(got2[k] / n / n), k ? sum : trace,
                  k ? sum : trace);
    ref_spiking_free(&ref);
    free(before);
}

static void check_exact(nsamp_mh_network net) {
    enum { CHAINS = 1 << 19 };
    static const uint32_t steps[] = {1, 2, 30};
    net.counts = false;
    nsamp_model model = make(&net);
    float *x = malloc((size_t)CHAINS * net.dim * sizeof(float));
    tiles t = tiles_create(&model, NULL, 11, 0, CHAINS);
    uint64_t step = 0;
    for (size_t k = 0; k < 3; k++) {
        char what[32];
        tiles_advance(&t, step, steps[k]);
        step += steps[k];
        tiles_observe(&t, x);
        snprintf(what, sizeof what, "after %u steps", (unsigned)step);
        check_moments(&net, x, CHAINS, what);
    }
    check_jumps(&net, &t, step, x, CHAINS);
    assert_true(fabs(model.law.var[0] - net.variance / net.gain) < 1e-12);
    assert_true(fabs(model.law.offdiag - net.variance * net.rho / net.gain) < 1e-12);
    tiles_destroy(&t);
    free_model(&model);
    free(x);
}

static void test_exact(void **state) {
    (void)state;
    double mean[10];
    for (size_t i = 0; i < 10; i++)
        mean[i] = 3.0 - (double)i;
    nsamp_mh_network natural = network(true, false, 0.5), naive = network(false, false, 0.4);
    natural.mean = mean;
    check_exact(natural);
    naive.gain = 1.5;
    naive.scale = 0.3;
    check_exact(naive);
}

static void test_acceptance(void **state) {
    (void)state;
    enum { CHAINS = 8192, STEPS = 4000, BURN_IN = 1001 };
    nsamp_mh_network net = network(false, false, 0.2);
    net.scale = 0.2;
    net.burn_in = BURN_IN;
    nsamp_model model = make(&net);
    double cov[100], zero[10] = {0};
    full_cov(&net, cov);
    ref_spiking ref = ref_spiking_create(10, 100, cov, zero, 0, 0.2, 0.0, 1.0, 1);
    tiles t = tiles_create(&model, NULL, 3, 0, CHAINS);
    float *states = malloc((size_t)CHAINS * model.state_len * sizeof(float));
    nsamp_statistic *list = NULL;
    size_t count = 0;
    nsamp_error err;
    tiles_advance(&t, 0, STEPS);
    tiles_states(&t, states);
    assert_int_equal(model.statistics(&model, states, CHAINS, STEPS, &list, &count, &err), NSAMP_OK);
    assert_int_equal(count, 6);
    double all = 0.0;
    for (size_t j = 0; j < 100; j++) {
        double expected = erfc(sqrt(ref.omega[j * 101] / 8.0));
        assert_true(fabs(list[2].expected[j] - expected) < 1e-6);
        check_z("acceptance", list[2].value[j], list[2].se[j], expected);
        assert_true(fabs(list[1].value[j] / (list[2].value[j] / (100 * 1e-5)) - 1.0) < 1e-12);
        assert_true(fabs(list[0].value[j] / (list[2].value[j] * (STEPS - BURN_IN) / 100.0) - 1.0) < 1e-12);
        all += expected / 100.0;
        double mean = 0.0, var = 0.0;
        for (size_t c = 0; c < CHAINS; c++)
            mean += nsamp_bits_of(states[c * model.state_len + 10 + j]) / (double)CHAINS;
        for (size_t c = 0; c < CHAINS; c++) {
            const double d = nsamp_bits_of(states[c * model.state_len + 10 + j]) - mean;
            var += d * d / (CHAINS - 1.0);
        }
        assert_true(fabs(list[5].value[j] - var / mean) < 1e-9 && list[5].se[j] > 0.0);
    }
    assert_true(!strcmp(list[5].name, "fano") && !list[5].expected);
    assert_string_equal(list[3].name, "rate_hz_mean");
    check_law("mean rate", list[3].value[0], list[3].se[0], all / (100 * 1e-5), all / (100 * 1e-5));
    check_law("mean acceptance", list[4].value[0], list[4].se[0], all, all);
    nsamp_statistics_free(list, count);
    assert_int_equal(model.statistics(&model, states, CHAINS, BURN_IN, &list, &count, &err), NSAMP_OK);
    assert_int_equal(count, 0);
    ref_spiking_free(&ref);
    tiles_destroy(&t);
    free_model(&model);
    free(states);
}

/* ---- with leak ----------------------------------------------------------------------------------------- */

typedef struct leak_result {
    double rate, mean, var, theory;
} leak_result;

static leak_result run_leak(bool natural, double rho, double scale, double target, uint64_t weight_seed) {
    enum { CHAINS = 192, BURN_IN = 40000, STEPS = 5000 };
    double mean[10], theory[10];
    for (size_t i = 0; i < 10; i++)
        mean[i] = target;
    nsamp_mh_network net = network(natural, true, rho);
    net.mean = mean;
    net.scale = scale;
    net.weight_seed = weight_seed;
    net.burn_in = BURN_IN;
    nsamp_model model = make(&net);
    tiles t = tiles_create(&model, NULL, 1, 0, CHAINS);
    float *x = malloc(CHAINS * 10 * sizeof(float)),
          *states = malloc(CHAINS * model.state_len * sizeof(float));
    leak_result r = {0};
    double sum[10] = {0}, square = 0.0;
    const int blocks = 5;
    tiles_advance(&t, 0, BURN_IN);
    for (int b = 0; b < blocks; b++) {
        tiles_advance(&t, BURN_IN + (uint64_t)b * (STEPS / blocks), STEPS / blocks);
        tiles_observe(&t, x);
        for (size_t k = 0; k < CHAINS * 10; k++)
            sum[k % 10] += (double)x[k], square += (double)x[k] * (double)x[k];
    }
    tiles_states(&t, states);
    nsamp_statistic *list;
    size_t count;
    nsamp_error err;
    assert_int_equal(model.statistics(&model, states, CHAINS, BURN_IN + STEPS, &list, &count, &err),
                     NSAMP_OK);
    assert_int_equal(nsamp_mh_leak_mean(&model, theory, &err), NSAMP_OK);
    r.rate = list[3].value[0];
    const double n = CHAINS * blocks;
    r.var = square / n / 10.0;
    for (size_t i = 0; i < 10; i++) {
        r.mean += sum[i] / n / 10.0;
        r.theory += theory[i] / 10.0;
        r.var -= sum[i] / n * sum[i] / n / 10.0;
    }
    nsamp_statistics_free(list, count);
    tiles_destroy(&t);
    free_model(&model);
    free(x), free(states);
    return r;
}

/* The published experiment: rates, means and variances vary with Gamma, so they are averaged over eight of
 * it. Tolerances: Monte Carlo error of this run plus the spread over Gamma, seen over 40 matrices (sd of one:
 * natural rate 12 Hz; naive at rho .5: rate 10 Hz, mean .047, variance .031; at .75: 4.3 Hz, .13, .14), five
 * times the standard error of eight. */
static void test_leak(void **state) {
    (void)state;
    static const struct {
        bool natural;
        double rho, rate, rate_tol, mean, mean_tol, var, var_tol;
    } rows[] = {{true, 0.0, 142, 21, 0.985, 0.012, 0.97, 0.02},
                {true, 0.9, 142, 21, 0.985, 0.03, 0.97, 0.045},
                {false, 0.5, 52, 18, 0.846, 0.085, 0.859, 0.055},
                {false, 0.75, 4.5, 7.6, 0.11, 0.23, 0.14, 0.25},
                {false, 0.9, 0.03, 0.06, 0.0, 0.01, 0.0, 0.01}};
    for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
        leak_result m = {0};
        for (uint64_t seed = 1; seed <= 8; seed++) {
            leak_result r = run_leak(rows[k].natural, rows[k].rho, 1.0, 1.0, seed);
            m.rate += r.rate / 8, m.mean += r.mean / 8, m.var += r.var / 8;
        }
        if (fabs(m.rate - rows[k].rate) > rows[k].rate_tol ||
            fabs(m.mean - rows[k].mean) > rows[k].mean_tol || fabs(m.var - rows[k].var) > rows[k].var_tol)
            fail_msg("rho %.2f: rate %.3f, mean %.4f, variance %.4f", rows[k].rho, m.rate, m.mean, m.var);
    }
}

/* Where proposals are small (scale .01 and .03) the leak formula holds, and the mean lies well below the
 * target's. */
static void test_leak_formula(void **state) {
    (void)state;
    static const double scales[] = {0.01, 0.03};
    for (size_t k = 0; k < 2; k++) {
        leak_result r = run_leak(true, 0.0, scales[k], 5.0, 1);
        /* 10 coordinates of sd .95, 192 chains: the standard error is .02 */
        if (!(fabs(r.mean - r.theory) < 0.1 && r.theory < 4.8))
            fail_msg("scale %g: mean %.4f, leak formula %.4f", scales[k], r.mean, r.theory);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_path), cmocka_unit_test(test_exact),
                                       cmocka_unit_test(test_acceptance), cmocka_unit_test(test_leak),
                                       cmocka_unit_test(test_leak_formula)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
