/* training.h: how fast the CPU trains a network, for comparison with the product rate of ceilings.h. */
#ifndef NSAMP_HOST_BENCH_TRAINING_H
#define NSAMP_HOST_BENCH_TRAINING_H

#include <stddef.h>
#include "nsamp.h"

typedef struct nsamp_training_rate {
    size_t m, n, batch;
    int steps; /* timed */
    double samples, low,
        high;     /* rows a second: median, slowest and fastest step; noise, loss and Adam included */
    double flops; /* of the five products at the median: 10 m n a row */
} nsamp_training_rate;

/* Steps of a denoiser network on normal data, ReLU, one noise level; threads 0: all; isa as in isa.h. NSAMP_ENOMEM. */
nsamp_status nsamp_training_measure(size_t m, size_t n, size_t batch, int steps, int threads, const char *isa,
                                    nsamp_training_rate *rate, nsamp_error *err);

#endif
