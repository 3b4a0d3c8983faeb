/* threads.h: run.threads for everything that a call of the library does on the CPU: without it, only what names
 * its number of threads keeps to it, and products inside a team of one thread would take all of them. */
#ifndef NSAMP_HOST_THREADS_H
#define NSAMP_HOST_THREADS_H

#include <omp.h>
#include <stdint.h>

/* From here on the calling thread has `threads` (0: as many as before); -> what nsamp_threads_restore takes. */
static inline int nsamp_threads_set(int64_t threads) {
    const int before = omp_get_max_threads();
    if (threads > 0) omp_set_num_threads((int)threads);
    return before;
}

static inline void nsamp_threads_restore(int before) {
    omp_set_num_threads(before);
}

#endif
