/* laws.h: how a number that a run measured is held against the number it must have: thresholds from a
 * false-alarm budget, verdicts, and what a run of finite length measures of an autocorrelation time. Not
 * here: which numbers a system must obey (systems/) and running the systems (check/). */
#ifndef NSAMP_HOST_STATS_LAWS_H
#define NSAMP_HOST_STATS_LAWS_H

#include <stddef.h>
#include <stdint.h>

/* Smallest t with P(|T| > t) <= budget / checks, T Student-t with df degrees of freedom (INFINITY: normal):
 * the two-sided threshold of one check when `checks` checks together may raise a false alarm with probability
 * `budget` at most (Bonferroni). NaN unless 0 < budget < 1, checks >= 1, df > 0. */
double nsamp_threshold(double budget, size_t checks, double df);

/* P(|T| > |t|). */
double nsamp_two_sided_p(double t, double df);

typedef enum nsamp_verdict {
    NSAMP_VERDICT_PASS,
    NSAMP_VERDICT_FAIL,  /* too far from what is expected, or not finite */
    NSAMP_VERDICT_BLIND, /* not far, but the standard error would hide a fault of the size that matters: not a
                            pass */
} nsamp_verdict;

const char *nsamp_verdict_text(nsamp_verdict verdict); /* "pass", "FAIL", "BLIND" */

/* What nsamp_moments_finish reports as tau, in expectation, for a chain whose autocorrelation is exponential
 * with integrated time tau_steps (1 + 2 sum rho_k, steps; rho_k = a^k, a = (tau - 1) / (tau + 1), negative
 * when tau < 1), sampled n times at interval every: every ((1 + A) / (1 - A) - 2 A (1 - A^n) / (n (1 -
 * A)^2)), A = a^every. */
double nsamp_tau_observed(double tau_steps, uint64_t every, uint64_t n);

#endif
