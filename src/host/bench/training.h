/* training.h: how fast a network is trained here: blocks of steps of score matching as `nsamp train` runs them on a data set that the
 * learner keeps (train/learner.h), noise, loss, five products and Adam included; on the CPU or the GPU. */
#ifndef NSAMP_HOST_BENCH_TRAINING_H
#define NSAMP_HOST_BENCH_TRAINING_H

#include "bench/measure.h"
#include "train/learner.h"

/* The learner of a denoiser network with ReLU, of target.dim outputs, train.hidden units and train.batch rows, in train.precision on the
 * backend of the job; isa as in isa.h. Errors of nsamp_learner_choose. Destroy it. */
nsamp_status nsamp_training_learner(const nsamp_job *job, int threads, const char *isa,
                                    nsamp_learner **learner, nsamp_error *err);

/* Trains it on normal data at one noise level. First the losses of four rows are held to double precision, and the loss that a block gives
 * to those of its rows: *error is the largest relative difference, NSAMP_ECHECK above what rounding in the precision explains, 1e-4 (fp32),
 * 4e-3 (tf32) or 3e-2 (bf16). *rate: rows a second. NSAMP_ENOMEM; NSAMP_EDIVERGED: a loss that is not finite; NSAMP_EIO of a device. */
nsamp_status nsamp_training_measure(nsamp_learner *learner, const char *isa, const nsamp_stopwatch *watch,
                                    nsamp_rate *rate, double *error, nsamp_error *err);

#endif
