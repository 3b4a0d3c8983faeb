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

/* Median, lowest and highest of `count` numbers, an odd number of them; sorts them. */
static nsamp_rate rate_of(double *found, int count) {
    nsamp_sort(found, (size_t)count);
    return (nsamp_rate){found[count / 2], found[0], found[count - 1]};
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
    if (!status) *rate = rate_of(found, watch->runs);
    free(found);
    return status;
}

nsamp_status nsamp_measure_turns(const nsamp_stopwatch *watch, nsamp_work_fn *const f[2], void *const work[2],
                                 const double each[2], nsamp_rate rate[2], nsamp_rate *ratio,
                                 nsamp_error *err) {
    const int rounds = nsamp_measure_rounds(watch);
    uint64_t times[2] = {1, 1};
    double *const found = malloc(2 * (size_t)rounds * sizeof *found), *const ratios = malloc((size_t)rounds *
                                                                                             sizeof *ratios);
    memset(rate, 0, 2 * sizeof *rate);
    memset(ratio, 0, sizeof *ratio);
    nsamp_status status = found && ratios ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    for (int k = 0; k < 2 && !status; k++)
        status = calibrate(watch, f[k], work[k], &times[k], err);
    for (int i = 0; i < rounds && !status; i++) {
        for (int turn = 0; turn < 2 && !status; turn++) {
            const int k = (i + turn) % 2;
            double seconds = 0;
            status = time_once(f[k], work[k], times[k], &seconds, err);
            found[k * rounds + i] = (double)times[k] * each[k] / seconds;
        }
        if (!status) ratios[i] = found[i] / found[rounds + i];
    }
    if (!status) {
        *ratio = rate_of(ratios, rounds);
        rate[0] = rate_of(found, rounds);
        rate[1] = rate_of(found + rounds, rounds);
    }
    free(ratios);
    free(found);
    return status;
}
