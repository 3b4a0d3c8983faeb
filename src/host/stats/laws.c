/* laws.c: thresholds, verdicts, and the autocorrelation time that a finite run measures. */
#include "stats/laws.h"

#include <math.h>

/* Continued fraction of the incomplete beta function (Lentz's method), for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double a, double b, double x) {
    const double tiny = 1e-300;
    double c = 1.0, d = 1.0 - (a + b) * x / (a + 1.0);
    d = 1.0 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int k = 1; k < 10000; k++) {
        const double m = k, even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m));
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0));
        const double terms[2] = {even, odd};
        double change = 1.0;
        for (int j = 0; j < 2; j++) {
            d = 1.0 + terms[j] * d;
            c = 1.0 + terms[j] / c;
            d = 1.0 / (fabs(d) < tiny ? tiny : d);
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            f *= change;
        }
        if (fabs(change - 1.0) < 1e-15) break;
    }
    return f;
}

/* Regularised incomplete beta function I_x(a, b). */
static double beta_inc(double a, double b, double x) {
    if (x <= 0.0) return 0.0;
    if (x >= 1.0) return 1.0;
    const double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));
    if (x < (a + 1.0) / (a + b + 2.0)) return front * beta_fraction(a, b, x) / a;
    return 1.0 - front * beta_fraction(b, a, 1.0 - x) / b;
}

double nsamp_two_sided_p(double t, double df) {
    if (isnan(t) || !(df > 0.0)) return NAN;
    if (df > 1e7)
        return erfc(fabs(t) / sqrt(2.0)); /* the two differ by less than t^4 / (4 df) of themselves */
    return beta_inc(0.5 * df, 0.5, df / (df + t * t));
}

double nsamp_threshold(double budget, size_t checks, double df) {
    if (!(budget > 0.0) || !(budget < 1.0) || !checks || !(df > 0.0)) return NAN;
    const double p = budget / (double)checks;
    double low = 0.0, high = 1.0;
    while (nsamp_two_sided_p(high, df) > p && high < 1e300)
        high *= 2.0;
    for (int i = 0; i < 200 && low < high; i++) {
        const double middle = 0.5 * (low + high);
        if (middle <= low || middle >= high) break;
        if (nsamp_two_sided_p(middle, df) > p)
            low = middle;
        else
            high = middle;
    }
    return high;
}

const char *nsamp_verdict_text(nsamp_verdict verdict) {
    return verdict == NSAMP_VERDICT_PASS ? "pass" : verdict == NSAMP_VERDICT_FAIL ? "FAIL" : "BLIND";
}

double nsamp_tau_observed(double tau_steps, uint64_t every, uint64_t n) {
    const double a = 1.0 - 2.0 / (tau_steps + 1.0), k = (double)every, N = (double)n;
    double A = pow(a, k), gone = 1.0 - A, left = 1.0 - pow(A, N);
    if (a > 0.0) { /* near 1 the differences would lose their digits */
        const double l = -k * log1p(-2.0 / (tau_steps + 1.0));
        if (l * N < 1e-3) return k * (N - (N * N - 1.0) * l * (1.0 / 3.0 - l * N / 12.0));
        A = exp(-l);
        gone = -expm1(-l);
        left = -expm1(-l * N);
    }
    return k * ((1.0 + A) / gone - 2.0 * A * left / (N * gone * gone));
}
