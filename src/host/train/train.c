/* train.c: nsamp_train: the loop over noise levels and blocks of batches, the learning rate, the loss curve, progress
 * and stops. Denoising score matching as in Chen, Jiang, Rao and Shea-Brown (NeurIPS 2023), section on
 * training, and the denoiser form (learner.h). Not here: the numbers of a step (learner.h), data (source.h),
 * files (keep.c). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "clock.h"
#include "error.h"
#include "io/checkpoint.h"
#include "io/newfile.h"
#include "isa.h"
#include "threads.h"
#include "train/start.h"
#include "train/training.h"

static const uint64_t HELD_OUT_BATCH = UINT64_C(1)
                                       << 47; /* the noise of the held-out rows, beyond any batch */
static const double REPORT_EVERY_S = 0.25;
static const double BLOCK_S = 0.2; /* about so long a block runs before the training looks up */
static const size_t BLOCK_NUMBERS = (size_t)1 << 24; /* of x0, at most */

/* One call of nsamp_train: what is not part of the training's state. */
typedef struct session {
    nsamp_training *t;
    nsamp_progress_fn *progress;
    void *user;
    double begun, reported, saved, counted; /* times, s */
    double learnt_s;                        /* from begun to the last batch, s */
    uint64_t first_batch;                   /* batches done before this session */
    double loss;                            /* running mean, data units; NaN: none yet */
    double batch_s;                         /* seconds a batch in the last block; 0: none yet */
    bool stop;
} session;

uint64_t nsamp_level_batches(const nsamp_training *t, size_t level) {
    const double rows = nsamp_level_epochs(&t->s, level) * (double)t->source->per_epoch;
    return (uint64_t)ceil(rows / (double)t->s.batch);
}

nsamp_level nsamp_level_of(const nsamp_training *t, size_t level) {
    const double sigma = t->s.sigmas[level] * t->source->scale;
    return (nsamp_level){sigma, t->s.sigma2 ? sigma * sigma : 1.0};
}

/* The first rows of a batch get wider noise (train.wide_share). Around the data such rows are far too rare, in many
 * dimensions, to move the posterior mean that D learns; where the noise of sigma alone never comes, they are all it learns
 * from, and they teach it to pull back. */
static void set_widen(const nsamp_train_settings *s, float *widen) {
    const size_t wide = (size_t)(s->wide_share * (double)s->batch + 0.5);
    for (size_t r = 0; r < s->batch; r++)
        widen[r] = r < wide ? (float)pow(s->wide_factor, (double)(r + 1) / (double)wide) : 1.0f;
}

/* ---- a block of batches ---- */

/* Fraction of the level that is done `ahead` batches from now. */
static double level_done(const nsamp_training *t, uint64_t ahead) {
    const uint64_t batches = nsamp_level_batches(t, t->at.level);
    if (batches) return fmin(1.0, (double)(t->at.level_batch + ahead) / (double)batches);
    return fmin(1.0, t->at.level_seconds / nsamp_level_seconds(&t->s, t->at.level));
}

static nsamp_adam adam_of(const nsamp_training *t, uint64_t ahead) {
    const nsamp_train_settings *s = &t->s;
    const double step = (double)(t->at.adam_steps + ahead) + 1,
                 batch = (double)(t->at.level_batch + ahead) + 1;
    double lr = s->lr;
    if (batch < (double)s->warmup) lr *= batch / (double)s->warmup;
    if (s->cosine) lr *= 0.5 * (1 + cos(acos(-1.0) * level_done(t, ahead)));
    return (nsamp_adam){
        .rate = (float)(lr / (1 - pow(s->beta1, step))),
        .unbias = (float)(1 / sqrt(1 - pow(s->beta2, step))),
        .beta1 = (float)s->beta1,
        .beta2 = (float)s->beta2,
        .epsilon = (float)s->epsilon,
        .decay = (float)s->weight_decay,
    };
}

/* Points of the curve in this level: so many that the held-out rows are at most half as many as the rows
 * trained on. */
static double level_points(const nsamp_training *t) {
    const double rows = (double)nsamp_level_batches(t, t->at.level) * (double)t->s.batch;
    const double points =
        rows > 0 ? floor(rows / (2.0 * (double)t->source->held_out + 1)) : NSAMP_SECONDS_POINTS;
    return fmin(fmax(points, 1), NSAMP_CURVE_POINTS);
}

/* Points that are due `ahead` batches from now. */
static uint64_t points_due(const nsamp_training *t, uint64_t ahead) {
    return (uint64_t)floor(level_done(t, ahead) * level_points(t));
}

/* Batches of the next block: up to the next point of the curve, the end of the level, train.max_batches, and about
 * BLOCK_S. What is computed does not depend on where blocks end. */
static size_t block_steps(const session *c) {
    const nsamp_training *t = c->t;
    const uint64_t batches = nsamp_level_batches(t, t->at.level);
    double most = c->batch_s > 0 ? fmax(1, BLOCK_S / c->batch_s) : 1;
    most = fmin(most, (double)t->block_steps);
    if (batches) most = fmin(most, (double)(batches - t->at.level_batch));
    if (t->s.max_batches) most = fmin(most, (double)(t->s.max_batches - (t->at.batch - c->first_batch)));
    size_t steps = 1;
    while (steps < (size_t)most && points_due(t, steps) <= t->at.level_points)
        steps++;
    return steps;
}

/* One batch is done: its loss, in data units. */
static nsamp_status count_batch(session *c, double loss, nsamp_error *err) {
    nsamp_training *t = c->t;
    if (!isfinite(loss))
        return nsamp_fail(
            err, NSAMP_EDIVERGED,
            "training diverged: the loss of batch %llu (level %llu) is %g; a lower train.lr (now %g) or a "
            "longer train.warmup may help",
            (unsigned long long)t->at.batch, (unsigned long long)t->at.level + 1, loss, t->s.lr);
    t->at.batch++;
    t->at.level_batch++;
    t->at.adam_steps++;
    t->at.summed++;
    t->at.loss_sum += loss;
    c->loss = isnan(c->loss) ? loss : 0.98 * c->loss + 0.02 * loss;
    return NSAMP_OK;
}

static nsamp_status run_block(session *c, nsamp_error *err) {
    nsamp_training *t = c->t;
    nsamp_adam adam[NSAMP_BLOCK_STEPS];
    double losses[NSAMP_BLOCK_STEPS];
    const size_t steps = block_steps(c), rows = steps * t->s.batch;
    const uint64_t first = t->at.batch * t->s.batch;
    for (size_t i = 0; i < steps; i++)
        adam[i] = adam_of(t, i);
    if (t->kept)
        nsamp_source_numbers(t->source, first, rows, t->named);
    else
        nsamp_source_rows(t->source, first, rows, t->x0);
    const nsamp_train_block block = {.level = nsamp_level_of(t, t->at.level),
                                     .steps = steps,
                                     .first = t->at.batch,
                                     .key = t->source->key,
                                     .adam = adam,
                                     .widen = t->widen,
                                     .named = t->kept ? t->named : NULL,
                                     .x0 = t->kept ? NULL : t->x0};
    nsamp_status status = t->learner->ops->block(t->learner, &block, losses, err);
    for (size_t i = 0; i < steps && !status; i++)
        status = count_batch(c, losses[i] * t->source->scale * t->source->scale, err);
    const double now = nsamp_clock();
    t->at.level_seconds += now - c->counted;
    c->batch_s = (now - c->counted) / (double)steps;
    c->counted = now;
    return status;
}

/* A point of the curve when another part of the level is done. */
static void take_point(nsamp_training *t) {
    const uint64_t due = points_due(t, 0);
    if (due <= t->at.level_points) return;
    t->at.level_points = due;
    t->at.held_out = nsamp_train_held_out(t);
    t->curve_batch[t->at.points] = (double)t->at.batch;
    t->curve_train[t->at.points] = t->at.loss_sum / (double)t->at.summed;
    t->curve_held_out[t->at.points] = t->at.held_out;
    t->curve_level[t->at.points] = (int32_t)t->at.level + 1;
    t->at.points++;
    t->at.summed = 0;
    t->at.loss_sum = 0;
}

/* ---- levels ---- */

/* Seconds from here to the end, at the rate of this session. */
static double seconds_left(const session *c, double rate) {
    const nsamp_training *t = c->t;
    double left = 0;
    for (size_t level = t->at.level; level < t->s.levels; level++) {
        const double done = level == t->at.level ? level_done(t, 0) : 0;
        const uint64_t batches = nsamp_level_batches(t, level);
        left += (1 - done) *
                (batches ? (double)batches * (double)t->s.batch / rate : nsamp_level_seconds(&t->s, level));
    }
    return left;
}

/* Calls back; a non-zero answer stops. */
static void report(session *c, bool last, double score_error, const char *note) {
    const nsamp_training *t = c->t;
    const double seconds = last ? c->learnt_s : nsamp_clock() - c->begun;
    const double rows = (double)(t->at.batch - c->first_batch) * (double)t->s.batch;
    const double rate = rows / fmax(seconds, 1e-9), left = last || rows == 0 ? 0 : seconds_left(c, rate);
    const size_t level = t->at.level < t->s.levels ? t->at.level : t->s.levels - 1;
    nsamp_progress p = {.phase = "train",
                        .done = t->at.batch * t->s.batch,
                        .seconds = seconds,
                        .rate = rate,
                        .seconds_left = rows == 0 && !last ? -1 : left,
                        .loss = c->loss,
                        .level = (int)level + 1,
                        .levels = (int)t->s.levels,
                        .epoch =
                            (double)t->at.level_batch * (double)t->s.batch / (double)t->source->per_epoch,
                        .epochs = nsamp_level_epochs(&t->s, level),
                        .held_out = t->at.held_out,
                        .score_error = score_error,
                        .where = t->learner->text,
                        .note = note && *note ? note : NULL};
    p.total = p.done + (last ? 0 : (uint64_t)(left * rate));
    c->reported = nsamp_clock();
    if (c->progress && c->progress(&p, c->user)) c->stop = true;
    c->counted += nsamp_clock() - c->reported; /* what the caller does in its callback is no batch */
}

static bool time_to_stop(const session *c) {
    const nsamp_train_settings *s = &c->t->s;
    return c->stop || (s->max_walltime_s > 0 && nsamp_clock() - c->begun >= s->max_walltime_s) ||
           (s->max_batches && c->t->at.batch - c->first_batch >= s->max_batches);
}

/* The next level begins: its counters, and the optimizer where it is to be restarted. */
static void next_level(nsamp_training *t) {
    t->at.level++;
    t->at.level_batch = 0;
    t->at.level_points = 0;
    t->at.level_seconds = 0;
    if (!t->s.restart || t->at.level == t->s.levels) return;
    t->at.adam_steps = 0;
    const size_t weights = nsamp_learner_weights(&t->learner->shape);
    memset(t->learner->ops->get(t->learner) + weights, 0,
           (nsamp_learner_numbers(&t->learner->shape) - weights) * sizeof(float));
    t->learner->ops->put(t->learner);
}

/* NSAMP_STOPPED: with a checkpoint. */
static nsamp_status run_levels(session *c, nsamp_error *err) {
    nsamp_training *t = c->t;
    while (t->at.level < t->s.levels) {
        nsamp_status status = run_block(c, err);
        if (status) return status;
        take_point(t);
        if (level_done(t, 0) >= 1) next_level(t);
        status = t->learner->ops->check(t->learner, err);
        if (status || t->at.level == t->s.levels) return status;
        const double now = nsamp_clock();
        nsamp_lock_beat(t->model_lock);
        nsamp_lock_beat(t->ckpt_lock);
        if (now - c->reported >= REPORT_EVERY_S) report(c, false, NAN, NULL);
        const bool stop = time_to_stop(c);
        if (stop || (t->s.checkpoint_every_s > 0 && now - c->saved >= t->s.checkpoint_every_s)) {
            status = nsamp_training_save(t, err);
            if (status) return status;
            c->saved = c->counted = nsamp_clock();
        }
        if (stop)
            return nsamp_fail(err, NSAMP_STOPPED,
                              "stopped after batch %llu, level %llu of %zu; checkpoint %s; the same "
                              "command with train.resume=yes goes on from there",
                              (unsigned long long)t->at.batch, (unsigned long long)t->at.level + 1,
                              t->s.levels, t->checkpoint_path);
    }
    return NSAMP_OK;
}

/* ---- set-up ---- */

static nsamp_status allocate(nsamp_training *t, nsamp_error *err) {
    const size_t row = t->source->m * sizeof(float);
    const size_t batch_numbers = t->s.batch * t->source->m, fit = BLOCK_NUMBERS / batch_numbers;
    t->curve_capacity = t->s.levels * NSAMP_CURVE_POINTS;
    t->block_steps = t->kept || fit > NSAMP_BLOCK_STEPS ? NSAMP_BLOCK_STEPS : fit ? fit : 1;
    t->x0 = malloc((t->kept ? 1 : t->block_steps) * t->s.batch * row);
    t->named = malloc(t->block_steps * t->s.batch * sizeof *t->named);
    t->widen = malloc(t->s.batch * sizeof *t->widen);
    t->eps_held_out = malloc((t->source->held_out + 1) * row);
    t->row_loss = malloc(t->s.batch * sizeof *t->row_loss);
    t->curve_batch = calloc(t->curve_capacity, sizeof(double));
    t->curve_train = calloc(t->curve_capacity, sizeof(double));
    t->curve_held_out = calloc(t->curve_capacity, sizeof(double));
    t->curve_level = calloc(t->curve_capacity, sizeof(int32_t));
    if (!t->x0 || !t->named || !t->widen || !t->eps_held_out || !t->row_loss || !t->curve_batch ||
        !t->curve_train || !t->curve_held_out || !t->curve_level)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory to train in batches of %zu", t->s.batch);
    set_widen(&t->s, t->widen);
    t->identity = nsamp_job_training_identity(t->job);
    return t->identity ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "no memory for the text of the job");
}

/* Nobody else writes the model or its checkpoint, and a checkpoint that is there is somebody's work: it goes only where the job
 * says so. note: what the user is to know. */
static nsamp_status claim(nsamp_training *t, char *note, size_t size, nsamp_error *err) {
    const char *model = nsamp_job_text(t->job, NSAMP_KEY_model_file);
    char there[512];
    nsamp_status status =
        nsamp_newfile_check_key(t->job, NSAMP_KEY_model_file, NSAMP_KEY_model_overwrite, err);
    t->checkpoint_path = malloc(strlen(model) + sizeof ".ckpt");
    if (!t->checkpoint_path) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the name of the checkpoint");
    sprintf(t->checkpoint_path, "%s.ckpt", model);
    if (!status) status = nsamp_lock_take(model, &t->model_lock, err);
    if (!status) status = nsamp_newfile_check(t->checkpoint_path, true, err);
    if (!status) status = nsamp_lock_take(t->checkpoint_path, &t->ckpt_lock, err);
    if (!status) /* it may have come before the lock */
        status = nsamp_newfile_check_key(t->job, NSAMP_KEY_model_file, NSAMP_KEY_model_overwrite, err);
    if (status || t->s.resume) return status;
    nsamp_checkpoint_look(t->checkpoint_path, there, sizeof there);
    if (*there && !nsamp_job_bool(t->job, NSAMP_KEY_model_overwrite))
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "%s is there: train.resume = yes goes on from it, model.overwrite = yes begins anew and "
            "removes it",
            there);
    if (*there) {
        snprintf(note, size, "begins anew (train.resume = no); %s is removed", there);
        nsamp_checkpoint_remove(t->checkpoint_path);
    }
    return NSAMP_OK;
}

static nsamp_status set_up(nsamp_training *t, char *note, size_t size, nsamp_error *err) {
    const char *isa;
    nsamp_status status = nsamp_train_settings_read(t->job, &t->s, err);
    if (!status) status = nsamp_isa_find(t->job, &isa, err);
    if (!status) status = claim(t, note, size, err);
    if (!status) status = nsamp_source_create(t->job, &t->s, &t->source, err);
    if (status) return status;
    t->kernels = nsamp_train_kernels_of(isa);
    const nsamp_learner_shape shape = {.m = t->source->m,
                                       .n = t->s.hidden,
                                       .batch = t->s.batch,
                                       .activation = t->s.activation,
                                       .denoiser = t->s.denoiser,
                                       .control_variate = t->s.control_variate,
                                       .amsgrad = t->s.amsgrad,
                                       .threads = t->s.threads,
                                       .precision = t->s.precision};
    status = nsamp_learner_choose(t->job, &shape, isa, &t->learner, err);
    if (status) return status;
    if (t->source->images)
        t->kept = t->learner->ops->keep(t->learner, t->source->per_epoch, t->source->images->x);
    status = allocate(t, err);
    if (status) return status;
    nsamp_start_weights(&shape, &t->s, t->source->var, nsamp_level_of(t, t->s.levels - 1).sigma,
                        t->learner->ops->get(t->learner));
    t->learner->ops->put(t->learner);
    nsamp_batch_noise(t->kernels, t->s.threads, t->source->key, HELD_OUT_BATCH, t->source->held_out,
                      t->source->m, t->eps_held_out);
    t->at.held_out = NAN;
    if (t->s.resume) status = nsamp_training_resume(t, note, size, err);
    return status ? status : t->learner->ops->check(t->learner, err);
}

static void tear_down(nsamp_training *t) {
    nsamp_learner_destroy(t->learner);
    nsamp_source_destroy(t->source);
    free(t->x0);
    free(t->named);
    free(t->widen);
    free(t->eps_held_out);
    free(t->row_loss);
    free(t->curve_batch);
    free(t->curve_train);
    free(t->curve_held_out);
    free(t->curve_level);
    free(t->checkpoint_path);
    free(t->identity);
    nsamp_lock_release(t->ckpt_lock);
    nsamp_lock_release(t->model_lock);
}

/* The model could not be written though all levels are done: a checkpoint keeps them. err goes on with how to finish. */
static nsamp_status keep_the_end(nsamp_training *t, nsamp_status status, nsamp_error *err) {
    nsamp_error why = {0};
    char first[700];
    if (!err) return status;
    snprintf(first, sizeof first, "%.500s", err->text);
    if (nsamp_training_save(t, &why)) return nsamp_fail(err, status, "%.500s; %.400s", first, why.text);
    return nsamp_fail(err, status,
                      "%s; the training is done and kept in %.300s: train.resume = yes writes the model",
                      first, t->checkpoint_path);
}

static nsamp_status write_model(session *c, nsamp_error *err) {
    nsamp_training *t = c->t;
    nsamp_error why = {0};
    double score_error = NAN;
    nsamp_status status = nsamp_train_score_error(t, &score_error, err);
    if (!status) status = nsamp_lock_check(t->model_lock, &why);
    if (!status) status = nsamp_training_write(t, score_error, &why);
    if (status) {
        if (err && *why.text) *err = why;
        return keep_the_end(t, status, err);
    }
    nsamp_checkpoint_remove(t->checkpoint_path);
    report(c, true, score_error, why.text);
    return NSAMP_OK;
}

static nsamp_status train(const nsamp_job *job, nsamp_progress_fn *progress, void *user, nsamp_error *err) {
    nsamp_training t = {.job = job};
    char note[1200] = "";
    nsamp_status status = set_up(&t, note, sizeof note, err);
    if (!status) {
        session c = {.t = &t, .progress = progress, .user = user, .first_batch = t.at.batch, .loss = NAN};
        c.begun = c.reported = c.saved = c.counted = nsamp_clock();
        report(&c, false, NAN, note);
        status = run_levels(&c, err);
        c.learnt_s = nsamp_clock() - c.begun;
        if (!status) status = write_model(&c, err);
    }
    tear_down(&t);
    return status;
}

nsamp_status nsamp_train(const nsamp_job *job, nsamp_progress_fn *progress, void *user, nsamp_error *err) {
    const int before = nsamp_threads_set(nsamp_job_int(job, NSAMP_KEY_run_threads));
    const nsamp_status status = train(job, progress, user, err);
    nsamp_threads_restore(before);
    return status;
}
