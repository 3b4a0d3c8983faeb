/* measure.c: see measure.h. */
#include "bench/measure.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "stats/distances.h"

/* Seconds of `times` repetitions. */
static nsamp_status time_once(nsamp_work_fn *f, void *work, uint64_t times, double *seconds,
                              nsamp_error *err) {
    const double start = nsamp_clock();
    const nsamp_status status = f(work, times, err);
    *seconds = nsamp_clock() - start;
    return status;
}

/* Warms up and finds how often the work must be repeated to last watch->seconds. The faster of two runs decides, since a run during which
 * something else had the processor says too little of the work. */
static nsamp_status calibrate(const nsamp_stopwatch *watch, nsamp_work_fn *f, void *work, uint64_t *times,
                              nsamp_error *err) {
    for (*times = 1;;) {
        double first, second = INFINITY;
        nsamp_status status = time_once(f, work, *times, &first, err);
        if (!status && first >= watch->seconds) status = time_once(f, work, *times, &second, err);
        const double seconds = fmin(first, second);
        if (status || seconds >= watch->seconds) return status;
        *times *= seconds < watch->seconds / 16 ? 8 : 2;
    }
}

nsamp_status nsamp_measure(const nsamp_stopwatch *watch, nsamp_work_fn *f, void *work, double each,
                           nsamp_rate *rate, nsamp_error *err) {
    uint64_t times = 1;
    double seconds = 0, *found = malloc((size_t)watch->runs * sizeof *found);
    memset(rate, 0, sizeof *rate);
    nsamp_status status =
        found ? calibrate(watch, f, work, &times, err) : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    for (int i = 0; i < watch->runs && !status; i++) {
        status = time_once(f, work, times, &seconds, err);
        found[i] = (double)times * each / seconds;
    }
    if (!status) {
        nsamp_sort(found, (size_t)watch->runs);
        *rate = (nsamp_rate){found[watch->runs / 2], found[0], found[watch->runs - 1]};
    }
    free(found);
    return status;
}
