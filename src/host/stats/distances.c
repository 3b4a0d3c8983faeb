/* distances.c: Wasserstein and Kolmogorov-Smirnov distances of draws. Kullback-Leibler: divergence.c. */
#include "stats/distances.h"

#include <math.h>
#include <stdlib.h>

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void nsamp_sort(double *x, size_t n) {
    qsort(x, n, sizeof *x, ascending);
}

double nsamp_w1(const double *x, size_t n, const double *y, size_t m) {
    double sum = 0.0, at = x[0] < y[0] ? x[0] : y[0];
    for (size_t i = 0, j = 0; i < n || j < m;) {
        const double next = j == m || (i < n && x[i] <= y[j]) ? x[i] : y[j];
        sum += fabs((double)i / (double)n - (double)j / (double)m) * (next - at);
        at = next;
        while (i < n && x[i] == next)
            i++;
        while (j < m && y[j] == next)
            j++;
    }
    return sum;
}

/* Between two neighbours among draws and nodes F_n is constant and F nearly linear: |F - F_n| by its ends,
 * exactly for a linear F. */
static double between(double f0, double f1, double level, double width) {
    const double a = f0 - level, b = f1 - level;
    if ((a >= 0.0) == (b >= 0.0)) return 0.5 * fabs(a + b) * width;
    return 0.5 * (a * a + b * b) / (fabs(a) + fabs(b)) * width;
}

double nsamp_w1_density(const nsamp_pit *pit, const double *x, size_t n) {
    double sum = 0.0, at = x[0] < pit->low[0] ? x[0] : pit->low[0], f = 0.0;
    size_t i = 0, k = 0;
    while (i < n || k < pit->nodes) {
        const double node = k < pit->nodes ? pit->low[0] + (double)k * pit->step[0] : INFINITY;
        const double next = i < n && x[i] < node ? x[i] : node, f_next = nsamp_pit_cdf(pit, next);
        sum += between(f, f_next, (double)i / (double)n, next - at);
        at = next;
        f = f_next;
        while (i < n && x[i] == next)
            i++;
        k += node == next;
    }
    return sum;
}

double nsamp_ks_density(const nsamp_pit *pit, const double *x, size_t n) {
    double most = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double f = nsamp_pit_cdf(pit, x[i]);
        most = fmax(most, fmax(f - (double)i / (double)n, (double)(i + 1) / (double)n - f));
    }
    return most;
}
