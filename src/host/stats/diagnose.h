/* diagnose.h: what is wrong with a run, in words: the verdict under its table. One judgement for `nsamp run`, which has a
 * summary, and `nsamp stats`, which has a file. Not here: the numbers (moments.h) and where they are printed. */
#ifndef NSAMP_HOST_STATS_DIAGNOSE_H
#define NSAMP_HOST_STATS_DIAGNOSE_H

#include <stdbool.h>
#include "nsamp.h"

/* What is judged. Arrays [dim]; NULL where the run has none. Numbers that a file does not hold: NaN. */
typedef struct nsamp_evidence {
    size_t dim;
    double chains, diverged, stuck, steps, samples, every; /* samples: of a chain; every: steps between two */
    const double *mean, *var, *rhat, *rhat_nested, *ess, *tau;
    const double *drift_mean, *drift_var; /* Student's t over drift_units units */
    double drift_units;
    bool cold_start; /* no burn-in, and a start that is not the target's law */
} nsamp_evidence;

typedef struct nsamp_finding {
    const char *name; /* "rhat", "ess": one word, for programs */
    bool bad;         /* false: to be known, but nothing is wrong */
    char text[400];   /* what it means, and which key helps */
} nsamp_finding;

enum { NSAMP_FINDINGS = 16 };
/* Levels of alarm: the largest R-hat and the least ESS of a coordinate that pass; the share of the sampled span that an
 * autocorrelation time may be; chains below which errors are rough; the false alarms of all drift tests of a table. */
#define NSAMP_RHAT_MOST    1.01
#define NSAMP_ESS_LEAST    100.0
#define NSAMP_TAU_SHARE    0.2
#define NSAMP_CHAINS_LEAST 16.0
#define NSAMP_DRIFT_BUDGET 1e-3

nsamp_evidence nsamp_evidence_of(const nsamp_summary *summary);
/* Fills list [NSAMP_FINDINGS], the gravest first; returns how many. */
size_t nsamp_diagnose(const nsamp_evidence *evidence, nsamp_finding *list);
/* Whether any of them is bad. */
bool nsamp_any_bad(const nsamp_finding *list, size_t count);
/* One line that says what was looked at, for a run with nothing bad. */
void nsamp_all_is_well(const nsamp_evidence *evidence, char *text, size_t size);

#endif
