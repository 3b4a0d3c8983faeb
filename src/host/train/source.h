/* source.h: where the rows of a batch come from: the images of a data set, in an order that is shuffled anew
 * in each epoch, or fresh exact draws of a target. Row i of a training is a pure function of the seed and i,
 * so a training that goes on from a checkpoint meets the same rows. Coordinates x are those of the sampler:
 * scale times data units. */
#ifndef NSAMP_HOST_TRAIN_SOURCE_H
#define NSAMP_HOST_TRAIN_SOURCE_H

#include "targets/images.h"
#include "targets/target.h"
#include "train/settings.h"

typedef struct nsamp_source {
    size_t m;
    uint64_t per_epoch;   /* rows an epoch */
    double scale;         /* x = scale times data units; 1 for targets */
    double *var;          /* [m]: variance of each coordinate */
    size_t held_out;      /* rows kept from training */
    float *x_held_out;    /* [held_out][m] */
    nsamp_images *images; /* one of these two */
    nsamp_target *target;
    nsamp_noise_key key;
    int threads;
    double *scratch;   /* [threads][m], for targets */
    uint64_t shuffled; /* epoch that order holds; UINT64_MAX: none yet */
    uint32_t *order;   /* [per_epoch] */
} nsamp_source;

nsamp_status nsamp_source_create(const nsamp_job *job, const nsamp_train_settings *s, nsamp_source **source,
                                 nsamp_error *err);
/* Rows first .. first + rows - 1 of the training -> x [rows][m]. */
void nsamp_source_rows(nsamp_source *source, uint64_t first, size_t rows, float *x);
/* The same rows by their numbers in the data set, images->x [per_epoch][m]; not for targets. */
void nsamp_source_numbers(nsamp_source *source, uint64_t first, size_t rows, uint32_t *number);
void nsamp_source_destroy(nsamp_source *source);

#endif
