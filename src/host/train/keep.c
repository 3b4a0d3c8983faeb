/* keep.c: what a training leaves on disk: its checkpoint, and the model at the end. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "io/checkpoint.h"
#include "train/network.h"
#include "train/training.h"

enum { SECTIONS = 6 };

static void list_sections(nsamp_training *t, nsamp_section list[SECTIONS]) {
    const nsamp_section sections[SECTIONS] = {
        {"counters", &t->at, sizeof t->at},
        {"numbers", t->learner->ops->get(t->learner),
         nsamp_learner_numbers(&t->learner->shape) * sizeof(float)},
        {"curve_batch", t->curve_batch, t->curve_capacity * sizeof(double)},
        {"curve_train", t->curve_train, t->curve_capacity * sizeof(double)},
        {"curve_held_out", t->curve_held_out, t->curve_capacity * sizeof(double)},
        {"curve_level", t->curve_level, t->curve_capacity * sizeof(int32_t)},
    };
    memcpy(list, sections, sizeof sections);
}

nsamp_status nsamp_training_save(nsamp_training *t, nsamp_error *err) {
    nsamp_section list[SECTIONS];
    list_sections(t, list);
    const nsamp_status status = t->learner->ops->check(t->learner, err); /* that the numbers have come */
    if (status) return status;
    return nsamp_checkpoint_save(t->checkpoint_path, t->identity, t->at.batch, list, SECTIONS, err);
}

/* What is wrong with counters that a training cannot have reached, or NULL: the checkpoint's sums are
 * right whoever wrote it. `step`: that of the checkpoint. */
static const char *wrong_counters(const nsamp_training *t, uint64_t step) {
    static const uint64_t BATCHES_MOST = UINT64_C(1) << 47; /* numbers of their noise (train.c) */
    const nsamp_train_counters *at = &t->at;
    /* All levels may be done: a training whose model could not be written. */
    if (at->level > t->s.levels) return "level";
    if (at->level == t->s.levels && (at->level_batch || at->level_points || at->level_seconds > 0))
        return "level";
    const uint64_t batches = at->level < t->s.levels ? nsamp_level_batches(t, (size_t)at->level) : 0;
    if (at->batch != step || at->batch >= BATCHES_MOST) return "batch";
    if (at->level_batch > at->batch || (batches && at->level_batch >= batches)) return "level_batch";
    if (at->adam_steps > at->batch) return "adam_steps";
    if (at->summed > at->batch) return "summed";
    /* As many points as there is room for in the levels so far: so there is room for those to come. */
    if (at->level_points > NSAMP_CURVE_POINTS) return "level_points";
    if (at->points < at->level_points || at->points > at->level * NSAMP_CURVE_POINTS + at->level_points)
        return "points";
    if (!isfinite(at->loss_sum)) return "loss_sum";
    if (!(isfinite(at->level_seconds) && at->level_seconds >= 0)) return "level_seconds";
    if (isinf(at->held_out)) return "held_out";
    return NULL;
}

/* The same for the loss curve. */
static const char *wrong_curve(const nsamp_training *t) {
    double last = 0;
    for (size_t i = 0; i < (size_t)t->at.points; i++) {
        if (!(t->curve_batch[i] >= last && t->curve_batch[i] <= (double)t->at.batch)) return "curve_batch";
        if (!isfinite(t->curve_train[i])) return "curve_train";
        if (isinf(t->curve_held_out[i])) return "curve_held_out";
        if (t->curve_level[i] < 1 || (uint64_t)t->curve_level[i] > t->at.level + 1) return "curve_level";
        last = t->curve_batch[i];
    }
    return NULL;
}

nsamp_status nsamp_training_resume(nsamp_training *t, char *note, size_t size, nsamp_error *err) {
    nsamp_checkpoint *file;
    snprintf(note, size, "no checkpoint %s: begins at the first batch", t->checkpoint_path);
    nsamp_status status = nsamp_checkpoint_open(t->checkpoint_path, t->identity, &file, err);
    if (status || !file) return status;
    nsamp_section list[SECTIONS];
    list_sections(t, list);
    for (int i = 0; i < SECTIONS && !status; i++)
        status = nsamp_checkpoint_read(file, list[i].name, (void *)list[i].data, list[i].bytes, err);
    const char *wrong = status ? NULL : wrong_counters(t, nsamp_checkpoint_step(file));
    if (!status && !wrong) wrong = wrong_curve(t);
    const char *why = nsamp_checkpoint_note(file);
    snprintf(note, size, "%s%sgoes on from batch %llu (%s)", why, *why ? "; " : "",
             (unsigned long long)t->at.batch, t->checkpoint_path);
    nsamp_checkpoint_close(file);
    if (wrong)
        status =
            nsamp_fail(err, NSAMP_EIO,
                       "%s: its %s is none that this training can have reached; start without train.resume",
                       t->checkpoint_path, wrong);
    t->learner->ops->put(t->learner);
    return status;
}

/* Every key that shapes the training, as "section.key = value" lines, malloc'ed: not how it was run, so that
 * a training that was interrupted writes the same file. */
static char *job_text(const nsamp_job *job) {
    size_t size = 1;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        size += strlen(nsamp_options[k].section) + strlen(nsamp_options[k].key) +
                strlen(nsamp_job_text(job, k)) + 5;
    char *text = malloc(size), *end = text;
    if (!text) return NULL;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        if (nsamp_key_shapes_training(k))
            end += snprintf(end, size - (size_t)(end - text), "%s.%s = %s\n", nsamp_options[k].section,
                            nsamp_options[k].key, nsamp_job_text(job, k));
    return text;
}

static bool copy_curve(const nsamp_training *t, nsamp_network *net) {
    const size_t n = (size_t)t->at.points;
    net->losses = n;
    net->loss_batch = malloc(n * sizeof(double));
    net->loss_train = malloc(n * sizeof(double));
    net->loss_held_out = malloc(n * sizeof(double));
    net->loss_level = malloc(n * sizeof(int));
    if (!net->loss_batch || !net->loss_train || !net->loss_held_out || !net->loss_level) return false;
    memcpy(net->loss_batch, t->curve_batch, n * sizeof(double));
    memcpy(net->loss_train, t->curve_train, n * sizeof(double));
    memcpy(net->loss_held_out, t->curve_held_out, n * sizeof(double));
    for (size_t i = 0; i < n; i++)
        net->loss_level[i] = (int)t->curve_level[i];
    return true;
}

nsamp_status nsamp_training_write(nsamp_training *t, double score_error, nsamp_error *err) {
    const nsamp_learner_shape *shape = &t->learner->shape;
    const size_t m = shape->m, n = shape->n;
    const float *w2 = t->learner->ops->get(t->learner), *w1 = w2 + n * m, *b = w1 + n * m;
    nsamp_status status = t->learner->ops->check(t->learner, err);
    if (status) return status;
    nsamp_network *net = nsamp_network_create(m, n);
    if (net) {
        net->activation = shape->activation;
        net->denoiser = shape->denoiser;
        net->sigma = nsamp_level_of(t, t->s.levels - 1).sigma;
        net->score_error = score_error;
        memcpy(net->w2, w2, n * m * sizeof *w2);
        memcpy(net->b, b, n * sizeof *b);
        for (size_t j = 0; j < n; j++)
            for (size_t k = 0; k < m; k++)
                net->w1[k * n + j] = w1[j * m + k];
        memcpy(net->start_var, t->source->var, m * sizeof *net->start_var);
        net->job_text = job_text(t->job);
        if (t->source->images) net->pca = nsamp_pca_copy(t->source->images->pca);
    }
    if (!net || !net->job_text || (t->source->images && !net->pca) || !copy_curve(t, net))
        status = nsamp_fail(err, NSAMP_ENOMEM, "no memory to write a model of %zu numbers", 2 * m * n + n);
    else
        status = nsamp_network_save(nsamp_job_text(t->job, NSAMP_KEY_model_file),
                                    nsamp_job_bool(t->job, NSAMP_KEY_model_overwrite), net, err);
    nsamp_network_destroy(net);
    return status;
}
