/* train.c: nsamp_train: the loop over noise levels and batches, the learning rate, the loss curve, progress
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
#include "train/start.h"
#include "train/training.h"

static const uint64_t HELD_OUT_BATCH = UINT64_C(1)
                                       << 47; /* the noise of the held-out rows, beyond any batch */
static const double REPORT_EVERY_S = 0.25;

/* One call of nsamp_train: what is not part of the training's state. */
typedef struct session {
    nsamp_training *t;
    nsamp_progress_fn *progress;
    void *user;
    double begun, reported, saved, counted; /* times, s */
    double learnt_s;                        /* from begun to the last batch, s */
    uint64_t first_batch;                   /* batches done before this session */
    double loss;                            /* running mean, data units; NaN: none yet */
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

void nsamp_train_noise(const nsamp_training *t, uint64_t batch, size_t rows, float *eps) {
    enum { ROWS = 16 };
    const size_t m = t->source->m;
#pragma omp parallel for schedule(static) num_threads(t->s.threads)
    for (size_t r = 0; r < rows; r += ROWS)
        t->kernels->normals(t->source->key, NSAMP_PURPOSE_TRAIN, (uint32_t)r,
                            rows - r < ROWS ? rows - r : ROWS, batch, m, eps + r * m);
}

/* The first rows of a batch get wider noise (train.wide_share). Around the data such rows are far too rare, in many
 * dimensions, to move the posterior mean that D learns; where the noise of sigma alone never comes, they are all it learns
 * from, and they teach it to pull back. */
static void widen(const nsamp_training *t, float *eps) {
    const size_t m = t->source->m, wide = (size_t)(t->s.wide_share * (double)t->s.batch + 0.5);
    for (size_t r = 0; r < wide; r++) {
        const float by = (float)pow(t->s.wide_factor, (double)(r + 1) / (double)wide);
        for (size_t k = 0; k < m; k++)
            eps[r * m + k] *= by;
    }
}

/* ---- one batch ---- */

/* Fraction of the level that is done. */
static double level_done(const nsamp_training *t) {
    const uint64_t batches = nsamp_level_batches(t, t->at.level);
    if (batches) return fmin(1.0, (double)t->at.level_batch / (double)batches);
    return fmin(1.0, t->at.level_seconds / nsamp_level_seconds(&t->s, t->at.level));
}

static nsamp_adam adam_now(const nsamp_training *t) {
    const nsamp_train_settings *s = &t->s;
    const double step = (double)t->at.adam_steps + 1, batch = (double)t->at.level_batch + 1;
    double lr = s->lr;
    if (batch < (double)s->warmup) lr *= batch / (double)s->warmup;
    if (s->cosine) lr *= 0.5 * (1 + cos(acos(-1.0) * level_done(t)));
    return (nsamp_adam){
        .rate = (float)(lr / (1 - pow(s->beta1, step))),
        .unbias = (float)(1 / sqrt(1 - pow(s->beta2, step))),
        .beta1 = (float)s->beta1,
        .beta2 = (float)s->beta2,
        .epsilon = (float)s->epsilon,
        .decay = (float)s->weight_decay,
    };
}

static nsamp_status run_batch(session *c, nsamp_error *err) {
    nsamp_training *t = c->t;
    const nsamp_level level = nsamp_level_of(t, t->at.level);
    const nsamp_adam adam = adam_now(t);
    nsamp_source_rows(t->source, t->at.batch * t->s.batch, t->s.batch, t->x0);
    nsamp_train_noise(t, t->at.batch, t->s.batch, t->eps);
    widen(t, t->eps);
    const double loss =
        t->learner->ops->step(t->learner, &level, &adam, t->x0, t->eps) * t->source->scale * t->source->scale;
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

/* Points of the curve in this level: so many that the held-out rows are at most half as many as the rows
 * trained on. */
static double level_points(const nsamp_training *t) {
    const double rows = (double)nsamp_level_batches(t, t->at.level) * (double)t->s.batch;
    const double points =
        rows > 0 ? floor(rows / (2.0 * (double)t->source->held_out + 1)) : NSAMP_SECONDS_POINTS;
    return fmin(fmax(points, 1), NSAMP_CURVE_POINTS);
}

/* A point of the curve when another part of the level is done. */
static void take_point(nsamp_training *t) {
    const double points = level_points(t), done = floor(level_done(t) * points);
    if (done <= (double)t->at.level_points) return;
    t->at.level_points = (uint64_t)done;
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
        const double done = level == t->at.level ? level_done(t) : 0;
        const uint64_t batches = nsamp_level_batches(t, level);
        left += (1 - done) *
                (batches ? (double)batches * (double)t->s.batch / rate : nsamp_level_seconds(&t->s, level));
    }
    return left;
}

/* Calls back; a non-zero answer stops. */
static void report(session *c, bool last, double score_error) {
    const nsamp_training *t = c->t;
    const double seconds = last ? c->learnt_s : nsamp_clock() - c->begun;
    const double rows = (double)(t->at.batch - c->first_batch) * (double)t->s.batch;
    const double rate = rows / fmax(seconds, 1e-9), left = last || rows == 0 ? 0 : seconds_left(c, rate);
    const size_t level = last ? t->s.levels - 1 : t->at.level;
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
                        .score_error = score_error};
    p.total = p.done + (last ? 0 : (uint64_t)(left * rate));
    c->reported = nsamp_clock();
    if (c->progress && c->progress(&p, c->user)) c->stop = true;
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
        nsamp_status status = run_batch(c, err);
        if (status) return status;
        const double now = nsamp_clock();
        t->at.level_seconds += now - c->counted;
        c->counted = now;
        take_point(t);
        if (level_done(t) >= 1) next_level(t);
        if (t->at.level == t->s.levels) break;
        if (now - c->reported >= REPORT_EVERY_S) report(c, false, NAN);
        const bool stop = time_to_stop(c);
        if (stop || (t->s.checkpoint_every_s > 0 && now - c->saved >= t->s.checkpoint_every_s)) {
            status = nsamp_training_save(t, err);
            if (status) return status;
            c->saved = c->counted = nsamp_clock();
        }
        if (stop)
            return nsamp_fail(err, NSAMP_STOPPED,
                              "stopped after batch %llu, level %llu of %zu; %s holds the state",
                              (unsigned long long)t->at.batch, (unsigned long long)t->at.level + 1,
                              t->s.levels, t->checkpoint_path);
    }
    return NSAMP_OK;
}

/* ---- set-up ---- */

static nsamp_status allocate(nsamp_training *t, nsamp_error *err) {
    const size_t row = t->source->m * sizeof(float);
    const char *model = nsamp_job_text(t->job, NSAMP_KEY_model_file);
    t->curve_capacity = t->s.levels * NSAMP_CURVE_POINTS;
    t->x0 = malloc(t->s.batch * row);
    t->eps = malloc(t->s.batch * row);
    t->eps_held_out = malloc((t->source->held_out + 1) * row);
    t->row_loss = malloc(t->s.batch * sizeof *t->row_loss);
    t->curve_batch = calloc(t->curve_capacity, sizeof(double));
    t->curve_train = calloc(t->curve_capacity, sizeof(double));
    t->curve_held_out = calloc(t->curve_capacity, sizeof(double));
    t->curve_level = calloc(t->curve_capacity, sizeof(int32_t));
    t->checkpoint_path = malloc(strlen(model) + sizeof ".ckpt");
    if (!t->x0 || !t->eps || !t->eps_held_out || !t->row_loss || !t->curve_batch || !t->curve_train ||
        !t->curve_held_out || !t->curve_level || !t->checkpoint_path)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory to train in batches of %zu", t->s.batch);
    sprintf(t->checkpoint_path, "%s.ckpt", model);
    t->digest = nsamp_job_training_digest(t->job);
    return NSAMP_OK;
}

static nsamp_status set_up(nsamp_training *t, nsamp_error *err) {
    const char *isa;
    nsamp_status status = nsamp_train_settings_read(t->job, &t->s, err);
    if (!status) status = nsamp_isa_find(t->job, &isa, err);
    if (!status)
        status = nsamp_newfile_check_key(t->job, NSAMP_KEY_model_file, NSAMP_KEY_model_overwrite, err);
    if (!status) status = nsamp_source_create(t->job, &t->s, &t->source, err);
    if (!status) status = allocate(t, err);
    if (status) return status;
    t->kernels = nsamp_train_kernels_of(isa);
    const nsamp_learner_shape shape = {.m = t->source->m,
                                       .n = t->s.hidden,
                                       .batch = t->s.batch,
                                       .activation = t->s.activation,
                                       .denoiser = t->s.denoiser,
                                       .control_variate = t->s.control_variate,
                                       .amsgrad = t->s.amsgrad,
                                       .threads = t->s.threads};
    status = nsamp_cpu_learner_create(&shape, t->kernels, &t->learner, err);
    if (status) return status;
    nsamp_start_weights(&shape, &t->s, t->source->var, nsamp_level_of(t, t->s.levels - 1).sigma,
                        t->learner->ops->get(t->learner));
    t->learner->ops->put(t->learner);
    nsamp_train_noise(t, HELD_OUT_BATCH, t->source->held_out, t->eps_held_out);
    t->at.held_out = NAN;
    return t->s.resume ? nsamp_training_resume(t, err) : NSAMP_OK;
}

static void tear_down(nsamp_training *t) {
    nsamp_learner_destroy(t->learner);
    nsamp_source_destroy(t->source);
    free(t->x0);
    free(t->eps);
    free(t->eps_held_out);
    free(t->row_loss);
    free(t->curve_batch);
    free(t->curve_train);
    free(t->curve_held_out);
    free(t->curve_level);
    free(t->checkpoint_path);
}

nsamp_status nsamp_train(const nsamp_job *job, nsamp_progress_fn *progress, void *user, nsamp_error *err) {
    nsamp_training t = {.job = job};
    nsamp_status status = set_up(&t, err);
    if (!status) {
        double score_error;
        session c = {.t = &t, .progress = progress, .user = user, .first_batch = t.at.batch, .loss = NAN};
        c.begun = c.reported = c.saved = c.counted = nsamp_clock();
        report(&c, false, NAN);
        status = run_levels(&c, err);
        c.learnt_s = nsamp_clock() - c.begun;
        if (!status) status = nsamp_train_score_error(&t, &score_error, err);
        if (!status) status = nsamp_training_write(&t, score_error, err);
        if (!status) {
            nsamp_checkpoint_remove(t.checkpoint_path);
            report(&c, true, score_error);
        }
    }
    tear_down(&t);
    return status;
}
