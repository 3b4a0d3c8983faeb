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

/* A training on normal data at one noise level: work for measure.h, of a batch a repetition. First the losses of four rows are held to double precision, and the loss that a block gives
 * to those of its rows: *error is the largest relative difference, NSAMP_ECHECK above what rounding in the precision explains, 1e-4 (fp32),
 * 4e-3 (tf32) or 3e-2 (bf16). The learner must outlive it. NSAMP_ENOMEM; NSAMP_EIO of a device. Destroy it in every case. */
typedef struct nsamp_trainee nsamp_trainee;
nsamp_status nsamp_trainee_create(nsamp_learner *learner, const char *isa, double *error,
                                  nsamp_trainee **trainee, nsamp_error *err);
/* NSAMP_EDIVERGED: a loss that is not finite; NSAMP_EIO of a device. */
nsamp_status nsamp_trainee_train(void *trainee, uint64_t times, nsamp_error *err);
void nsamp_trainee_destroy(nsamp_trainee *trainee);

/* Trains it that way. *rate: rows a second. */
nsamp_status nsamp_training_measure(nsamp_learner *learner, const char *isa, const nsamp_stopwatch *watch,
                                    nsamp_rate *rate, double *error, nsamp_error *err);

#endif
