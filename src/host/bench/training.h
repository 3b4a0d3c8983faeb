/* training.h: how fast a network is trained here: steps of score matching, noise, loss, five products and Adam included. */
#ifndef NSAMP_HOST_BENCH_TRAINING_H
#define NSAMP_HOST_BENCH_TRAINING_H

#include <stddef.h>
#include "bench/measure.h"

/* Steps of a denoiser network on normal data, ReLU, one noise level, on the CPU. First the losses of four rows are held to double
 * precision: *error is the largest relative difference, NSAMP_ECHECK above 1e-4. *rate: rows a second. NSAMP_ENOMEM. */
nsamp_status nsamp_training_measure(size_t m, size_t n, size_t batch, int threads, const char *isa,
                                    const nsamp_stopwatch *watch, nsamp_rate *rate, double *error,
                                    nsamp_error *err);

#endif
