/* clock.h: seconds on a clock that only goes forward. */
#ifndef NSAMP_HOST_CLOCK_H
#define NSAMP_HOST_CLOCK_H

#include <time.h>

/* Seconds since some fixed moment. */
static inline double nsamp_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
