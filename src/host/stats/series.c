/* series.c: kurtosis and autocorrelation time of stored draws. */
#include "stats/series.h"

#include <math.h>

#include "stats/blocks.h"

/* Sums of powers 1 to 4 about a fixed centre, and their number. */
typedef struct powers {
    double n, s[4];
} powers;

static powers powers_of(const double *x, size_t n, double centre) {
    powers p = {.n = (double)n};
    for (size_t i = 0; i < n; i++) {
        const double d = x[i] - centre, d2 = d * d;
        p.s[0] += d;
        p.s[1] += d2;
        p.s[2] += d2 * d;
        p.s[3] += d2 * d2;
    }
    return p;
}

static double kurtosis(const powers *all, const powers *left_out) {
    double m[4], n = all->n - (left_out ? left_out->n : 0.0);
    for (int k = 0; k < 4; k++)
        m[k] = (all->s[k] - (left_out ? left_out->s[k] : 0.0)) / n;
    const double m2 = m[1] - m[0] * m[0];
    const double m4 = m[3] - 4.0 * m[0] * m[2] + 6.0 * m[0] * m[0] * m[1] - 3.0 * m[0] * m[0] * m[0] * m[0];
    return m4 / (m2 * m2) - 3.0;
}

nsamp_estimate nsamp_excess_kurtosis(const double *x, size_t chains, size_t draws) {
    const nsamp_blocks b = nsamp_blocks_of(chains, draws);
    nsamp_estimate e = {NAN, NAN};
    if (!b.count) return e;
    powers all = {0}, block[NSAMP_BLOCKS_MAX];
    double centre = 0.0, without[NSAMP_BLOCKS_MAX], average = 0.0, spread = 0.0;
    const double G = (double)b.count;
    for (size_t i = 0; i < b.count * b.length; i++)
        centre += x[i] / (G * (double)b.length);
    for (size_t g = 0; g < b.count; g++) {
        block[g] = powers_of(x + g * b.length, b.length, centre);
        all.n += block[g].n;
        for (int k = 0; k < 4; k++)
            all.s[k] += block[g].s[k];
    }
    if (all.s[1] <= 1e-24 * centre * centre * all.n) return e; /* nothing but rounding */
    for (size_t g = 0; g < b.count; g++) {
        without[g] = kurtosis(&all, &block[g]);
        average += without[g] / G;
    }
    for (size_t g = 0; g < b.count; g++)
        spread += (without[g] - average) * (without[g] - average);
    e.value = G * kurtosis(&all, NULL) - (G - 1.0) * average;
    e.se = sqrt((G - 1.0) / G * spread);
    return e;
}

/* Autocovariance at one lag, averaged over chains, each about its own mean, divided by draws. */
static double autocovariance(const double *x, const double *means, size_t chains, size_t draws, size_t lag) {
    double sum = 0.0;
    for (size_t c = 0; c < chains; c++) {
        const double *v = x + c * draws;
        double s = 0.0;
        for (size_t t = 0; t + lag < draws; t++)
            s += (v[t] - means[c]) * (v[t + lag] - means[c]);
        sum += s / (double)draws;
    }
    return sum / (double)chains;
}

double nsamp_series_tau(const double *x, size_t chains, size_t draws, double *means) {
    if (draws < 4 || !chains) return NAN;
    double mean = 0.0, between = 0.0;
    for (size_t c = 0; c < chains; c++) {
        means[c] = 0.0;
        for (size_t t = 0; t < draws; t++)
            means[c] += x[c * draws + t] / (double)draws;
        mean += means[c] / (double)chains;
    }
    for (size_t c = 0; c < chains && chains > 1; c++)
        between += (means[c] - mean) * (means[c] - mean) / ((double)chains - 1.0);
    /* An autocovariance about a chain's own mean misses the variance of that mean: `between` puts it back at
     * each lag. */
    const double var = autocovariance(x, means, chains, draws, 0) + between;
    double tau = -1.0, last = INFINITY;
    for (size_t lag = 0; lag + 1 < draws; lag += 2) {
        const double even = lag ? (autocovariance(x, means, chains, draws, lag) + between) / var : 1.0;
        double pair = even + (autocovariance(x, means, chains, draws, lag + 1) + between) / var;
        if (!(pair > 0.0)) break;
        if (pair > last) pair = last;
        tau += 2.0 * pair;
        last = pair;
    }
    /* Nothing but rounding; or draws that alternate and end, or are too few, before their pairs settle. */
    return var > 1e-24 * mean * mean && tau > 0.0 ? tau : NAN;
}
