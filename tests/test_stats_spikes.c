/* test_stats_spikes.c: spike statistics by hand, and for Poisson and gamma renewal trains whose values are
 * exact. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

#include "draws.h"
#include "stats/spikes.h"

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.12g is not %.12g within %.3g", a, b, within);
}

static void by_hand(void **state) {
    (void)state;
    const double counts[4] = {2, 4, 4, 6};
    const nsamp_estimate rate = nsamp_rate_hz(counts, 4, 500), fano = nsamp_fano(counts, 4);
    near(rate.value, 8, 1e-12);
    near(rate.se, 2 * sqrt(8.0 / 3 / 4), 1e-12);
    near(fano.value, 8.0 / 3 / 4, 1e-12);
    const double times[7] = {0, 1, 4, 10, 12, 12.5, 20};
    const size_t first[5] = {0, 3, 3, 6, 7}; /* intervals 1 3 | none | 2 0.5 | none (one spike) */
    const nsamp_isi isi = nsamp_isi_of(times, first, 4);
    assert_int_equal(isi.count, 4);
    near(isi.mean_ms.value, 6.5 / 4, 1e-12);
    near(isi.cv.value, sqrt(14.25 / 4 - 6.5 * 6.5 / 16) / (6.5 / 4), 1e-12);
    near(isi.mean_ms.se, sqrt(2 * 2 * 0.75 * 0.75 / 16), 1e-12); /* parts +-(4 - 3.25) / 4 of two trains */
    assert_true(isnan(nsamp_isi_of(times, first + 3, 1).mean_ms.value));
    assert_true(isnan(nsamp_isi_of(times, first, 1).cv.se) && isnan(nsamp_fano(counts, 1).value));
    assert_true(isnan(nsamp_fano((const double[]){0, 0}, 2).value) &&
                isnan(nsamp_rate_hz(counts, 0, 1).value));
}

/* Renewal trains with gamma intervals of shape k (k exponentials), mean 10 ms: CV = 1 / sqrt(k); Fano -> 1 /
 * k for long windows, exactly 1 for k = 1. z-scores over repeats: right values and honest errors. */
static void renewal(void **state) {
    (void)state;
    enum { RUNS = 60, TRAINS = 200, ROOM = 400 };
    double *times = malloc(TRAINS * ROOM * sizeof *times), counts[TRAINS];
    size_t first[TRAINS + 1];
    for (int k = 1; k <= 4; k += 3) {
        double chi[3] = {0};
        for (uint64_t run = 0; run < RUNS; run++) {
            rng r = {run * 31 + (uint64_t)k};
            size_t n = 0;
            for (int c = 0; c < TRAINS; c++) {
                first[c] = n;
                double t = 0;
                for (int i = 0; i < 100; i++) { /* a fixed number of intervals: no length bias */
                    times[n++] = t;
                    for (int j = 0; j < k; j++)
                        t -= 10.0 / k * log(uniform(&r));
                }
                counts[c] = 0;
                for (t = 0; t < 500;) {
                    for (int j = 0; j < k; j++)
                        t -= 10.0 / k * log(uniform(&r));
                    counts[c] += t < 500;
                }
            }
            first[TRAINS] = n;
            const nsamp_isi isi = nsamp_isi_of(times, first, TRAINS);
            const nsamp_estimate fano = nsamp_fano(counts, TRAINS), rate = nsamp_rate_hz(counts, TRAINS, 500);
            chi[0] += pow((isi.mean_ms.value - 10) / isi.mean_ms.se, 2);
            chi[1] += pow((isi.cv.value - 1 / sqrt(k)) / isi.cv.se, 2);
            if (k == 1) {
                chi[2] += pow((fano.value - 1) / fano.se, 2);
                near(rate.value, 100, 5.5 * rate.se);
            }
        }
        for (int j = 0; j < (k == 1 ? 3 : 2); j++) /* 60 degrees of freedom */
            if (chi[j] < 20 || chi[j] > 145)
                fail_msg("shape %d: sum of 60 squared z-scores %d is %.1f", k, j, chi[j]);
    }
    free(times);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_hand), cmocka_unit_test(renewal)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
