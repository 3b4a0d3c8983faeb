/* test_stats_laws.c: thresholds against tabulated quantiles, and the autocorrelation time of a
 * finite run against the plain sum that defines it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "stats/laws.h"

static void near(double a, double b, double rel) {
    if (!(fabs(a - b) <= rel * fabs(b))) fail_msg("%.15g is not %.15g", a, b);
}

/* Two-sided quantiles of the normal and Student-t distributions, computed with SciPy 1.x. */
static void thresholds(void **state) {
    (void)state;
    const struct {
        double budget;
        size_t checks;
        double df, t;
    } known[] = {{1e-6, 1, INFINITY, 4.891638475698591},  {1e-6, 100, INFINITY, 5.73072886823629},
                 {0.05, 1, INFINITY, 1.9599639845400545}, {1e-6, 100, 15, 11.281829578877895},
                 {1e-6, 100, 255, 5.926413496301251},     {0.05, 1, 1, 12.706204736174705},
                 {0.3, 2, 4.5, 1.7336276943452926},       {1e-6, 1000, 4095, 6.123733374097432}};
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        near(nsamp_threshold(known[k].budget, known[k].checks, known[k].df), known[k].t, 1e-10);
        near(nsamp_two_sided_p(-known[k].t, known[k].df), known[k].budget / (double)known[k].checks, 1e-9);
    }
    near(nsamp_threshold(1e-6, 1, 0.99e7), nsamp_threshold(1e-6, 1, 1.01e7), 1e-5);
    assert_true(isnan(nsamp_threshold(0, 1, 9)) && isnan(nsamp_threshold(1, 1, 9)) &&
                isnan(nsamp_threshold(0.1, 0, 9)));
    assert_true(isnan(nsamp_threshold(0.1, 1, 0)) && isnan(nsamp_threshold(NAN, 1, 9)) &&
                isnan(nsamp_two_sided_p(NAN, 3)));
}

static void finite_tau(void **state) {
    (void)state;
    const struct {
        double tau;
        uint64_t every, n;
    } cases[] = {{9, 1, 40}, {9, 4, 25}, {150, 10, 500}, {0.6, 1, 10}, {0.6, 3, 10}, {1, 2, 7}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const double n = (double)cases[k].n, a = (cases[k].tau - 1) / (cases[k].tau + 1);
        double sum = 1;
        for (uint64_t lag = 1; lag < cases[k].n; lag++)
            sum += 2 * (1 - (double)lag / n) * pow(a, (double)(lag * cases[k].every));
        near(nsamp_tau_observed(cases[k].tau, cases[k].every, cases[k].n), (double)cases[k].every * sum,
             1e-11);
    }
    near(nsamp_tau_observed(9, 1, 100000000), 9, 1e-6);
}

/* A factor below 0: tau in (0, 1), and a chain seen at odd intervals still alternates. A time far beyond the
 * run: the sums of lags lose no digits to differences of factors near 1. */
static void alternating_and_slow_tau(void **state) {
    (void)state;
    const double f = 1 - 1.9, tau = (1 + f) / (1 - f);
    assert_true(tau > 0 && tau < 1);
    near(nsamp_tau_observed(tau, 1, 1 << 30), tau, 1e-6);
    near(nsamp_tau_observed(tau, 3, 1 << 30), 3 * (1 + pow(f, 3)) / (1 - pow(f, 3)), 1e-6);
    near(nsamp_tau_observed(tau, 2, 1 << 30), 2 * (1 + f * f) / (1 - f * f), 1e-6);
    near(nsamp_tau_observed(tau, 3, 1), 3, 1e-12);
    static const double slow[] = {1e4, 1e7, 1e10, 1e13, 1e17, INFINITY};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++) {
        long double sum = 1, rate = log1pl(-2.0L / (slow[i] + 1.0L));
        for (int lag = 1; lag < 100; lag++)
            sum += 2 * (1 - lag / 100.0L) * expl(5 * lag * rate);
        near(nsamp_tau_observed(slow[i], 5, 100), (double)(5 * sum), 1e-9);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(thresholds), cmocka_unit_test(finite_tau),
                                       cmocka_unit_test(alternating_and_slow_tau)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
