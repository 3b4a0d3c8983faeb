/* training.h: a training under way; private to train.c and what it is made of. Pure data but for the learner.
 */
#ifndef NSAMP_HOST_TRAIN_TRAINING_H
#define NSAMP_HOST_TRAIN_TRAINING_H

#include "io/lock.h"
#include "train/learner.h"
#include "train/settings.h"
#include "train/source.h"

/* Points of the loss curve a level: at most, and where seconds decide. */
enum { NSAMP_CURVE_POINTS = 100, NSAMP_SECONDS_POINTS = 20 };

/* How far a training is: all that a checkpoint holds beside the learner's numbers and the curve. Eight-byte
 * fields only, so that the struct has no padding and its bytes are its value. */
typedef struct nsamp_train_counters {
    uint64_t batch;        /* batches so far; the number of the next one's noise and data */
    uint64_t level;        /* 0-based */
    uint64_t level_batch;  /* batches of this level */
    uint64_t adam_steps;   /* since the optimizer was (re)started */
    uint64_t level_points; /* points of the curve in this level */
    uint64_t points;       /* in all */
    uint64_t summed;       /* batches since the last point, */
    double loss_sum;       /* their losses, data units */
    double level_seconds;  /* time spent in this level */
    double held_out;       /* last held-out loss, data units; NaN: none */
} nsamp_train_counters;

typedef struct nsamp_training {
    const nsamp_job *job;
    nsamp_train_settings s;
    nsamp_source *source;
    nsamp_learner *learner;
    const nsamp_train_kernels *kernels;
    nsamp_train_counters at;
    bool kept;           /* the learner keeps the data set: blocks name its rows */
    size_t block_steps;  /* most steps of a block */
    float *x0;           /* [block_steps or, where kept, 1][batch][m] */
    uint32_t *named;     /* [block_steps][batch] */
    float *widen;        /* [batch]: factor of the noise of each row */
    double *row_loss;    /* [batch] */
    float *eps_held_out; /* [held_out][m] */
    size_t curve_capacity;
    double *curve_batch, *curve_train, *curve_held_out; /* [curve_capacity] */
    int32_t *curve_level;
    char *checkpoint_path;
    char *identity;                     /* of the job (job.h) */
    nsamp_lock *model_lock, *ckpt_lock; /* while it trains */
} nsamp_training;

/* Batches of a level; 0: seconds decide. */
uint64_t nsamp_level_batches(const nsamp_training *t, size_t level);
/* The noise level in the units of x, and the weight of its loss. */
nsamp_level nsamp_level_of(const nsamp_training *t, size_t level);

/* Mean loss of the held-out rows, data units; NaN where there are none. */
double nsamp_train_held_out(nsamp_training *t);
/* E_p |grad log p(x) - s(x)|^2 over the held-out draws; NaN where the target's score is not known.
 * NSAMP_ENOMEM. */
nsamp_status nsamp_train_score_error(nsamp_training *t, double *error, nsamp_error *err);

nsamp_status nsamp_training_save(nsamp_training *t, nsamp_error *err);
/* Goes on from the checkpoint where there is one; note (of size bytes) says from where. */
nsamp_status nsamp_training_resume(nsamp_training *t, char *note, size_t size, nsamp_error *err);
/* The trained network -> model.file. */
nsamp_status nsamp_training_write(nsamp_training *t, double score_error, nsamp_error *err);

#endif
