/* measure.h: the stopwatch of every number of the bench: a warm-up that finds how often the work must be repeated, then several runs. */
#ifndef NSAMP_HOST_BENCH_MEASURE_H
#define NSAMP_HOST_BENCH_MEASURE_H

#include <stdint.h>
#include "nsamp.h"

/* A rate: median, slowest and fastest run. */
typedef struct nsamp_rate {
    double median, low, high;
} nsamp_rate;

typedef struct nsamp_stopwatch {
    double seconds; /* least length of a run */
    int runs;       /* odd, at least 5 */
} nsamp_stopwatch;

/* Does the work `times` times. */
typedef nsamp_status nsamp_work_fn(void *work, uint64_t times, nsamp_error *err);

/* Rate in `each` a repetition: each = 2 m n for a product of that many FLOP. On failure *rate is zero. */
nsamp_status nsamp_measure(const nsamp_stopwatch *watch, nsamp_work_fn *f, void *work, double each,
                           nsamp_rate *rate, nsamp_error *err);

/* Rounds of nsamp_measure_turns. */
static inline int nsamp_measure_rounds(const nsamp_stopwatch *watch) {
    return 2 * watch->runs + 1;
}

/* Two works by turns, so that clock and neighbours are the same for both: rounds of one run each, the first of them first in every other round.
 * rate [2] as above; *ratio: the rate of work 0 over that of work 1 in the median round, the lowest and the highest. On failure all are zero. */
nsamp_status nsamp_measure_turns(const nsamp_stopwatch *watch, nsamp_work_fn *const f[2], void *const work[2],
                                 const double each[2], nsamp_rate rate[2], nsamp_rate *ratio,
                                 nsamp_error *err);

#endif
