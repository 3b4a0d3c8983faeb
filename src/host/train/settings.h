/* settings.h: the training that a job asks for, checked, in the units of the job. */
#ifndef NSAMP_HOST_TRAIN_SETTINGS_H
#define NSAMP_HOST_TRAIN_SETTINGS_H

#include "job/job.h"
#include "matmul.h"

typedef struct nsamp_train_settings {
    size_t hidden, batch;
    nsamp_activation activation;
    nsamp_precision precision; /* of the products */
    bool denoiser, control_variate, amsgrad, sigma2, cosine, wiener, restart, torch_init;
    size_t levels;
    const double *sigmas;           /* [levels], owned by the job; data units */
    const double *epochs, *seconds; /* [levels] or one for all; owned by the job. epochs 0: seconds decide */
    size_t epochs_count, seconds_count;
    uint64_t draws; /* fresh draws an epoch; 0: the data set */
    double lr, beta1, beta2, epsilon, weight_decay;
    double wide_share, wide_factor; /* share of a batch with noise of up to that many sigma */
    uint64_t warmup;
    uint64_t seed;
    int threads;
    double checkpoint_every_s, max_walltime_s;
    uint64_t max_batches;
    bool resume;
} nsamp_train_settings;

/* NSAMP_EUSAGE names the key and what is valid. The job must outlive the settings. */
nsamp_status nsamp_train_settings_read(const nsamp_job *job, nsamp_train_settings *s, nsamp_error *err);

double nsamp_level_epochs(const nsamp_train_settings *s, size_t level);
double nsamp_level_seconds(const nsamp_train_settings *s, size_t level);

#endif
