/* measure.c: see measure.h. */
#include "bench/measure.h"

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

nsamp_status nsamp_measure(const nsamp_stopwatch *watch, nsamp_work_fn *f, void *work, double each,
                           nsamp_rate *rate, nsamp_error *err) {
    uint64_t times = 1;
    double seconds = 0, *found = malloc((size_t)watch->runs * sizeof *found);
    memset(rate, 0, sizeof *rate);
    nsamp_status status = found ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    while (!status && seconds < watch->seconds) {
        status = time_once(f, work, times, &seconds, err);
        if (seconds < watch->seconds) times *= seconds < watch->seconds / 16 ? 8 : 2;
    }
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
