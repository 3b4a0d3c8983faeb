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

#endif
