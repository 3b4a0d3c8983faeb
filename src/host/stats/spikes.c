/* spikes.c: rate, Fano factor and interspike intervals. */
#include "stats/spikes.h"

#include <math.h>

static double mean_of(const double *v, size_t n) {
    double s = 0.0;
    for (size_t i = 0; i < n; i++)
        s += v[i];
    return s / (double)n;
}

nsamp_estimate nsamp_rate_hz(const double *counts, size_t n, double duration_ms) {
    const double mean = n ? mean_of(counts, n) : NAN, hz = 1000.0 / duration_ms, N = (double)n;
    double squares = 0.0;
    for (size_t i = 0; i < n; i++)
        squares += (counts[i] - mean) * (counts[i] - mean);
    return (nsamp_estimate){mean * hz, n > 1 ? sqrt(squares / (N - 1.0) / N) * hz : NAN};
}

nsamp_estimate nsamp_fano(const double *counts, size_t n) {
    nsamp_estimate e = {NAN, NAN};
    const double mean = n ? mean_of(counts, n) : 0.0, N = (double)n;
    if (n < 2 || !(mean > 0.0)) return e;
    double var = 0.0, spread = 0.0;
    for (size_t i = 0; i < n; i++)
        var += (counts[i] - mean) * (counts[i] - mean) / (N - 1.0);
    e.value = var / mean;
    for (size_t i = 0; i < n; i++) {
        const double d = counts[i] - mean, influence = (d * d - var) / mean - e.value * d / mean;
        spread += influence * influence;
    }
    e.se = sqrt(spread / (N - 1.0) / N);
    return e;
}

/* Count, sum and sum of squares of a train's intervals. */
typedef struct intervals {
    double n, sum, squares;
} intervals;

static intervals intervals_of(const double *times_ms, size_t spikes) {
    intervals t = {0.0, 0.0, 0.0};
    for (size_t i = 1; i < spikes; i++) {
        const double d = times_ms[i] - times_ms[i - 1];
        t.n += 1.0;
        t.sum += d;
        t.squares += d * d;
    }
    return t;
}

nsamp_isi nsamp_isi_of(const double *times_ms, const size_t *first, size_t trains) {
    nsamp_isi r = {.mean_ms = {NAN, NAN}, .cv = {NAN, NAN}};
    intervals all = {0.0, 0.0, 0.0};
    double used = 0.0, spread_mean = 0.0, spread_cv = 0.0;
    for (size_t k = 0; k < trains; k++) {
        const intervals t = intervals_of(times_ms + first[k], first[k + 1] - first[k]);
        all.n += t.n;
        all.sum += t.sum;
        all.squares += t.squares;
        used += t.n > 0.0;
    }
    r.count = (size_t)all.n;
    if (!r.count) return r;
    const double mean = all.sum / all.n, var = fmax(all.squares / all.n - mean * mean, 0.0);
    r.mean_ms.value = mean;
    r.cv.value = sqrt(var) / mean;
    if (used < 2.0) return r;
    /* A train's part of the first-order error of a ratio of sums: its sums less what the pooled values make
     * of its count. */
    for (size_t k = 0; k < trains; k++) {
        const intervals t = intervals_of(times_ms + first[k], first[k + 1] - first[k]);
        const double d_mean = (t.sum - t.n * mean) / all.n;
        const double about = t.squares - 2.0 * mean * t.sum + t.n * mean * mean,
                     d_var = (about - t.n * var) / all.n;
        const double d_cv = var > 0.0 ? r.cv.value * (0.5 * d_var / var - d_mean / mean) : 0.0;
        spread_mean += d_mean * d_mean;
        spread_cv += d_cv * d_cv;
    }
    r.mean_ms.se = sqrt(spread_mean * used / (used - 1.0));
    r.cv.se = sqrt(spread_cv * used / (used - 1.0));
    return r;
}
