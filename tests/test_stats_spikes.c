/* test_stats_spikes.c: spike statistics by hand, and for counts of renewal trains whose Fano factor is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "draws.h"
#include "stats/spikes.h"

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.12g is not %.12g within %.3g", a, b, within);
}

static void by_hand(void **state) {
    (void)state;
    const double counts[4] = {2, 4, 4, 6};
    near(nsamp_fano(counts, 4).value, 8.0 / 3 / 4, 1e-12);
    assert_true(isnan(nsamp_fano(counts, 1).value) && isnan(nsamp_fano(counts, 1).se));
    assert_true(isnan(nsamp_fano((const double[]){0, 0}, 2).value));
}

/* Spikes in 500 ms of a Poisson process of 100 Hz: Fano factor 1. z-scores over repeats: right values and honest errors.
 * Intervals with a gamma distribution of shape 4: near 1/4, off by less than 0.5 % of 1 in so long a window. */
static void renewal(void **state) {
    (void)state;
    enum { RUNS = 60, TRAINS = 200 };
    double counts[TRAINS];
    for (int k = 1; k <= 4; k += 3) {
        double chi = 0, sum = 0;
        for (uint64_t run = 0; run < RUNS; run++) {
            rng r = {run * 31 + (uint64_t)k};
            for (int c = 0; c < TRAINS; c++) {
                counts[c] = 0;
                for (double t = 0; t < 500;) {
                    for (int j = 0; j < k; j++)
                        t -= 10.0 / k * log(uniform(&r));
                    counts[c] += t < 500;
                }
            }
            const nsamp_estimate fano = nsamp_fano(counts, TRAINS);
            chi += pow((fano.value - 1) / fano.se, 2);
            sum += fano.value;
        }
        if (k == 1 && (chi < 20 || chi > 145)) /* 60 degrees of freedom */
            fail_msg("sum of 60 squared z-scores is %.1f", chi);
        /* relative standard error of a variance of 12,000 counts: sqrt(2 / 12000) = 1.3 % */
        near(sum / RUNS, 1.0 / k, 5.5 * 0.013 / k + (k > 1 ? 0.005 : 0));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(renewal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
