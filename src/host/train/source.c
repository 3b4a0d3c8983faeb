/* source.c: see source.h. Choice and order of data use draws of NSAMP_PURPOSE_DATA: for a data set, the words
 * of step `epoch` shuffle; of a target, draw i is row i, and draws from 2^62 on are held out. */
#include "train/source.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "team.h"

/* Held-out draws of a target: 16384, fewer where their coordinates would be more than 2^22 numbers. */
enum { HELD_OUT_DRAWS = 16384, HELD_OUT_NUMBERS = 1 << 22, HELD_OUT_LEAST = 256 };
static const uint64_t FIRST_HELD_OUT_DRAW = UINT64_C(1) << 62;

/* Exact draws of the target, from number `first` on. */
typedef struct draws {
    const nsamp_source *s;
    uint64_t first;
    size_t rows;
    float *x;
} draws;

enum { ROWS = 64 }; /* of a piece */

/* scratch: [threads][m] doubles, so that nothing is allocated while training. */
static void draw_piece(void *user, size_t piece, int thread) {
    const draws *const d = user;
    const nsamp_source *const s = d->s;
    const size_t m = s->m, end = (piece + 1) * ROWS < d->rows ? (piece + 1) * ROWS : d->rows;
    double *const draw = s->scratch + (size_t)thread * m;
    for (size_t r = piece * ROWS; r < end; r++) {
        s->target->ops->draw(s->target, s->key, NSAMP_PURPOSE_DATA, d->first + r, draw);
        for (size_t k = 0; k < m; k++)
            d->x[r * m + k] = (float)draw[k];
    }
}

static void draw_rows(const nsamp_source *s, uint64_t first, size_t rows, float *x) {
    draws d = {s, first, rows, x};
    nsamp_team_for(s->threads, (rows + ROWS - 1) / ROWS, draw_piece, &d);
}

/* Fisher and Yates; position i takes a word of its own, so the bias of the product with 32 bits is below
 * 2^-16. */
static void shuffle(nsamp_source *s, uint64_t epoch) {
    const size_t n = (size_t)s->per_epoch;
    for (size_t i = 0; i < n; i++)
        s->order[i] = (uint32_t)i;
    nsamp_words words = {{0, 0, 0, 0}};
    for (size_t i = 0; i + 1 < n; i++) {
        if (i % 4 == 0) words = nsamp_draw_words(s->key, NSAMP_PURPOSE_DATA, (uint32_t)(i / 4), epoch, 0);
        size_t j = i + (size_t)(((uint64_t)words.w[i % 4] * (n - i)) >> 32);
        uint32_t kept = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = kept;
    }
    s->shuffled = epoch;
}

static uint32_t number_of(nsamp_source *s, uint64_t row) {
    const uint64_t epoch = row / s->per_epoch;
    if (epoch != s->shuffled) shuffle(s, epoch);
    return s->order[row % s->per_epoch];
}

void nsamp_source_numbers(nsamp_source *s, uint64_t first, size_t rows, uint32_t *number) {
    for (size_t r = 0; r < rows; r++)
        number[r] = number_of(s, first + r);
}

static void data_rows(nsamp_source *s, uint64_t first, size_t rows, float *x) {
    for (size_t r = 0; r < rows; r++)
        memcpy(x + r * s->m, s->images->x + number_of(s, first + r) * s->m, s->m * sizeof *x);
}

void nsamp_source_rows(nsamp_source *s, uint64_t first, size_t rows, float *x) {
    if (s->images)
        data_rows(s, first, rows, x);
    else
        draw_rows(s, first, rows, x);
}

static nsamp_status no_memory(nsamp_error *err) {
    return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the training data");
}

static nsamp_status open_images(const nsamp_job *job, const nsamp_train_settings *t, nsamp_source *s,
                                nsamp_error *err) {
    if (t->draws)
        return nsamp_job_fail(job, NSAMP_KEY_train_draws, err, "the target images is a data set: must be 0");
    nsamp_status status = nsamp_images_load(job, &s->images, err);
    if (status) return status;
    s->m = s->images->m;
    s->per_epoch = s->images->train;
    s->scale = s->images->pca->scale;
    s->held_out = s->images->held_out;
    s->order = malloc((size_t)s->per_epoch * sizeof *s->order);
    s->var = malloc(s->m * sizeof *s->var);
    s->x_held_out = malloc((s->held_out * s->m + 1) * sizeof *s->x_held_out);
    if (!s->order || !s->var || !s->x_held_out) return no_memory(err);
    memcpy(s->var, s->images->var, s->m * sizeof *s->var);
    memcpy(s->x_held_out, s->images->x_held_out, s->held_out * s->m * sizeof *s->x_held_out);
    return NSAMP_OK;
}

/* Variances that the target does not state are taken from the held-out draws. */
static void target_variances(nsamp_source *s) {
    for (size_t k = 0; k < s->m; k++) {
        double sum = 0, squares = 0;
        for (size_t r = 0; r < s->held_out; r++)
            sum += s->x_held_out[r * s->m + k];
        const double mean = sum / (double)s->held_out;
        for (size_t r = 0; r < s->held_out; r++) {
            double d = s->x_held_out[r * s->m + k] - mean;
            squares += d * d;
        }
        s->var[k] = s->target->var ? s->target->var[k] : squares / (double)s->held_out;
    }
}

static nsamp_status open_target(const nsamp_job *job, const nsamp_train_settings *t, nsamp_source *s,
                                nsamp_error *err) {
    nsamp_status status = nsamp_target_create(job, &s->target, err);
    if (status) return status;
    if (!t->draws)
        return nsamp_job_fail(job, NSAMP_KEY_train_draws, err,
                              "the target %s is not a data set: give the fresh draws an epoch, at least 1",
                              s->target->name);
    if (!s->target->ops->draw)
        return nsamp_job_fail(job, NSAMP_KEY_target_name, err, "has no exact draws to train on");
    s->m = s->target->dim;
    s->per_epoch = t->draws;
    s->scale = 1;
    s->held_out = HELD_OUT_NUMBERS / s->m;
    if (s->held_out > HELD_OUT_DRAWS) s->held_out = HELD_OUT_DRAWS;
    if (s->held_out < HELD_OUT_LEAST) s->held_out = HELD_OUT_LEAST;
    s->scratch = malloc((size_t)s->threads * s->m * sizeof *s->scratch);
    s->var = malloc(s->m * sizeof *s->var);
    s->x_held_out = malloc(s->held_out * s->m * sizeof *s->x_held_out);
    if (!s->scratch || !s->var || !s->x_held_out) return no_memory(err);
    draw_rows(s, FIRST_HELD_OUT_DRAW, s->held_out, s->x_held_out);
    target_variances(s);
    return NSAMP_OK;
}

/* Noisy data x + sigma z are float32: what reaches far beyond the noise would lose it. */
static nsamp_status check_noise(const nsamp_job *job, const nsamp_train_settings *t, const nsamp_source *s,
                                nsamp_error *err) {
    static const double FAR = 2e4,
                        MOST = 1e9; /* a thousandth of the noise is off; the optimizer squares squares */
    double sigma = INFINITY;
    for (size_t i = 0; i < t->levels; i++)
        sigma = fmin(sigma, t->sigmas[i]);
    for (size_t k = 0; k < s->m; k++) {
        const double mean = s->target ? s->target->mean[k] : 0, x = fabs(mean) + 2 * sqrt(s->var[k]);
        if (!(x <= MOST))
            return nsamp_job_fail(
                job, NSAMP_KEY_target_name, err,
                "coordinate %zu reaches to %.3g, too far for squares in float32; valid: up to %g", k + 1, x,
                MOST);
        if (x > FAR * sigma)
            return nsamp_job_fail(
                job, NSAMP_KEY_train_sigmas, err,
                "data reach to %.3g in coordinate %zu, where float32 loses noise of %g; valid here: "
                "from %.3g",
                x, k + 1, sigma, x / FAR);
    }
    return NSAMP_OK;
}

nsamp_status nsamp_source_create(const nsamp_job *job, const nsamp_train_settings *t, nsamp_source **source,
                                 nsamp_error *err) {
    *source = NULL;
    nsamp_source *s = calloc(1, sizeof *s);
    if (!s) return no_memory(err);
    s->key = nsamp_noise_key_of(t->seed, 10);
    s->threads = t->threads;
    s->shuffled = UINT64_MAX;
    nsamp_status status = nsamp_job_is(job, NSAMP_KEY_target_name, "images") ? open_images(job, t, s, err)
                                                                             : open_target(job, t, s, err);
    if (!status) status = check_noise(job, t, s, err);
    if (status) {
        nsamp_source_destroy(s);
        return status;
    }
    *source = s;
    return NSAMP_OK;
}

void nsamp_source_destroy(nsamp_source *s) {
    if (!s) return;
    nsamp_images_destroy(s->images);
    nsamp_target_destroy(s->target);
    free(s->var);
    free(s->x_held_out);
    free(s->scratch);
    free(s->order);
    free(s);
}
