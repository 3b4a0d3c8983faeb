/* spikes.c: the Fano factor. */
#include "stats/spikes.h"

#include <math.h>

static double mean_of(const double *v, size_t n) {
    double s = 0.0;
    for (size_t i = 0; i < n; i++)
        s += v[i];
    return s / (double)n;
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
