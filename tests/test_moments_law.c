/* test_moments_law.c: standard errors, R-hat and tau against what is known exactly of AR(1) chains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "moments_runs.h"

/* AR(1), exact: mean 0, variance 1, n every Var(chain mean) = every ((1+a)/(1-a) - 2 a (1-a^n) / (n
 * (1-a)^2)). The z-scores over repeated runs must have variance 1: their sum of squares is chi-squared. */
static void errors_are_honest(void **state) {
    (void)state;
    const uint64_t C = 512, n = 40;
    const size_t D = 2, runs = 60;
    const double a = 0.8;
    const double tau = (1 + a) / (1 - a) - 2 * a * (1 - pow(a, (double)n)) / ((double)n * (1 - a) * (1 - a));
    double chi[6] = {0}, rhat = 0;
    for (size_t k = 0; k < runs; k++) {
        run r = plain_run(C, n, D);
        r.every = 1;
        r.burn_in = 0;
        float *data = ar1(C, n, D, a, 0.5, 0.0, 100 + k);
        uint64_t *bad = all_good(C);
        nsamp_moments *m = accumulate(&r, data);
        nsamp_summary s = {0};
        nsamp_moments_finish(m, bad, 0, &s);
        const double z[6] = {s.mean[0] / s.mean_se[0],           (s.var[0] - 1) / s.var_se[0],
                             (s.cov[2] - 0.5) / s.cov_se[2],     (s.tau[0] - tau) / s.tau_se[0],
                             s.mean_average / s.mean_average_se, (s.var_average - 1) / s.var_average_se};
        for (int j = 0; j < 6; j++)
            chi[j] += z[j] * z[j];
        assert_true(fabs((s.offdiag - 0.5) / s.offdiag_se) < 5.5);
        rhat += s.rhat[0] / (double)runs;
        nsamp_moments_destroy(m);
        free(data);
        free(bad);
    }
    for (int j = 0; j < 6; j++) /* chi-squared, 60 degrees: mean 60, sd 11; 5.5 sd and its skewness */
        if (chi[j] < 60 - 40 || chi[j] > 60 + 85)
            fail_msg("sum of squared z-scores %d is %.1f, not near 60", j, chi[j]);
    const double h = (double)n / 2,
                 v = ((1 + a) / (1 - a) - 2 * a * (1 - pow(a, h)) / (h * (1 - a) * (1 - a))) / h;
    assert_true(fabs(rhat - 1 / sqrt((1 - v) * h / (h - 1))) < 0.005);
}

/* Chains stuck at +-d about 0 with unit variance: R-hat^2 = 1 + d^2 + O(1/n), far from 1, both split and
 * nested. */
static void rhat_sees_stuck_chains(void **state) {
    (void)state;
    const uint64_t C = 256, n = 200;
    run r = plain_run(C, n, 1);
    float *data = ar1(C, n, 1, 0.0, 0.0, 0.0, 77);
    const float d = 0.5f;
    for (uint64_t c = 0; c < C; c++)
        for (uint64_t t = 0; t < n; t++)
            data[c * n + t] += c < C / 2 ? d : -d;
    uint64_t *bad = all_good(C);
    nsamp_moments *m = accumulate(&r, data);
    nsamp_summary s = {0};
    nsamp_moments_finish(m, bad, 16, &s);
    assert_true(fabs(s.rhat[0] - sqrt(1.25)) < 0.01);
    assert_true(fabs(s.rhat_nested[0] - sqrt(1 + 0.25 * 16 / 15)) < 0.01);
    nsamp_moments_destroy(m);
    free(data);
    free(bad);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(errors_are_honest),
                                       cmocka_unit_test(rhat_sees_stuck_chains)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
