/* recorder.c: recorded draws on their way into the output file. A few buffers, each a block of the file (output.h): chains
 * fill some while a thread writes the others, in order. */
#include "plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pages.h"

/* One to fill and one to write; one more, so that the chains that are ahead need not wait while the last fill the first. */
enum { BUFFERS = 3 };

struct nsamp_recorder {
    nsamp_output *out;
    nsamp_recording what;
    uint64_t block, blocks; /* draws of a block; blocks of the run */
    float *buffer[BUFFERS]; /* [chains][block][dim]; block k has buffer k % BUFFERS */
    /* The rest is shared with the thread. */
    uint64_t missing[BUFFERS]; /* draws of single chains that the block in this buffer waits for */
    uint64_t written;          /* blocks done with */
    uint64_t
        settled[BUFFERS]; /* draws of the block in this buffer, from its first on, that have the offset */
    nsamp_status status;  /* of the first write that failed, */
    nsamp_error err;      /* and why */
    bool stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

double nsamp_recorder_bytes(size_t chains, size_t dim, uint64_t draws) {
    const double block = (double)nsamp_output_block(chains, dim, draws);
    return BUFFERS * block * (double)chains * (double)dim * sizeof(float);
}

/* Of block k, from draw `first` of the run on. */
static uint64_t draws_of_block(const nsamp_recorder *r, uint64_t k, uint64_t first) {
    const uint64_t begin = k * r->block > first ? k * r->block : first;
    const uint64_t end = (k + 1) * r->block < r->what.draws ? (k + 1) * r->block : r->what.draws;
    return end > begin ? end - begin : 0;
}

/* Adds the offset to the draws up to `end` of a block that have it not yet: once to each, however often the
 * block is written; in double, rounded once. */
static void settle(nsamp_recorder *r, uint64_t k, uint64_t end) {
    const size_t D = r->what.dim, from = (size_t)r->settled[k % BUFFERS];
    for (uint64_t c = 0; r->what.offset && c < r->what.chains; c++) {
        float *const x = r->buffer[k % BUFFERS] + (size_t)(c * r->block) * D;
        for (size_t t = from; t < end; t++)
            for (size_t i = 0; i < D; i++)
                x[t * D + i] = (float)((double)x[t * D + i] + r->what.offset[i]);
    }
    r->settled[k % BUFFERS] = end;
}

static bool ready(const nsamp_recorder *r) {
    return r->written < r->blocks && !r->missing[r->written % BUFFERS];
}

static void *writer(void *arg) {
    nsamp_recorder *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (!ready(r) && !r->stop)
            pthread_cond_wait(&r->changed, &r->lock);
        if (!ready(r)) break;
        const uint64_t k = r->written;
        nsamp_status status = r->status;
        nsamp_error err = {0};
        pthread_mutex_unlock(&r->lock);
        settle(r, k, draws_of_block(r, k, 0));
        if (!status) status = nsamp_output_write(r->out, k, r->buffer[k % BUFFERS], &err);
        pthread_mutex_lock(&r->lock);
        if (status && !r->status) {
            r->status = status;
            r->err = err;
        }
        r->missing[k % BUFFERS] = draws_of_block(r, k + BUFFERS, 0) * r->what.chains;
        r->settled[k % BUFFERS] = 0;
        r->written++;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void release(nsamp_recorder *r) {
    for (size_t i = 0; i < BUFFERS; i++)
        free(r->buffer[i]);
    free(r);
}

/* The buffers as they are when draw `first` is the next. */
static nsamp_status fill(nsamp_recorder *r, uint64_t first, nsamp_error *err) {
    const size_t floats = (size_t)(r->block * r->what.chains) * r->what.dim;
    for (size_t i = 0; i < BUFFERS; i++) { /* zeros: the file takes what lies beyond the last draw too */
        r->buffer[i] = nsamp_pages_floats(floats, 0);
        if (!r->buffer[i])
            return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws (%d times %zu bytes)",
                              BUFFERS, floats * sizeof(float));
    }
    r->written = first / r->block;
    for (uint64_t k = r->written; k < r->written + BUFFERS; k++)
        r->missing[k % BUFFERS] = draws_of_block(r, k, first) * r->what.chains;
    r->settled[r->written % BUFFERS] = first % r->block; /* the file's */
    return first % r->block
               ? nsamp_output_read(r->out, (size_t)r->written, r->buffer[r->written % BUFFERS], err)
               : NSAMP_OK;
}

nsamp_status nsamp_recorder_start(nsamp_output *out, const nsamp_recording *what, uint64_t step,
                                  nsamp_recorder **recorder, nsamp_error *err) {
    *recorder = NULL;
    nsamp_recorder *r = calloc(1, sizeof *r);
    if (!r) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws");
    r->out = out;
    r->what = *what;
    r->block = nsamp_output_block((size_t)what->chains, what->dim, what->draws);
    r->blocks = (what->draws + r->block - 1) / r->block;
    const uint64_t done = step > what->burn_in ? (step - what->burn_in) / what->every : 0;
    nsamp_status status = fill(r, done < what->draws ? done : what->draws, err);
    if (!status) {
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->changed, NULL);
        const int failed = pthread_create(&r->thread, NULL, writer, r);
        if (failed) {
            pthread_cond_destroy(&r->changed);
            pthread_mutex_destroy(&r->lock);
            status = nsamp_fail(
                err, NSAMP_ENOMEM,
                "no thread can be started to write the recorded draws: %s (a limit on processes or "
                "on memory); a smaller run.threads leaves room, record.every = 0 needs none",
                strerror(failed));
        }
    }
    if (status) {
        release(r);
        return status;
    }
    *recorder = r;
    return NSAMP_OK;
}

uint64_t nsamp_recorder_due(const nsamp_recorder *r, uint64_t step) {
    const nsamp_recording *w = &r->what;
    const uint64_t done = step > w->burn_in ? (step - w->burn_in) / w->every : 0;
    return done < w->draws ? w->burn_in + (done + 1) * w->every : UINT64_MAX;
}

uint64_t nsamp_recorder_room(const nsamp_recorder *r) {
    return r->block * r->what.every;
}

/* The draw of a step that is due. */
static uint64_t draw_of(const nsamp_recorder *r, uint64_t step) {
    return (step - r->what.burn_in) / r->what.every - 1;
}

nsamp_record nsamp_recorder_place(nsamp_recorder *r, uint64_t step) {
    const uint64_t draw = draw_of(r, step), k = draw / r->block;
    pthread_mutex_lock(&r->lock);
    while (k >= r->written + BUFFERS)
        pthread_cond_wait(&r->changed, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return (nsamp_record){.chains = r->what.chains,
                          .x = r->buffer[k % BUFFERS] + draw % r->block * r->what.dim,
                          .stride = r->block * r->what.dim};
}

void nsamp_recorder_done(nsamp_recorder *r, uint64_t step, uint64_t chains) {
    uint64_t *const missing = &r->missing[draw_of(r, step) / r->block % BUFFERS];
    pthread_mutex_lock(&r->lock);
    *missing -= chains;
    if (!*missing) pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

/* With the lock held. */
static nsamp_status failure(nsamp_recorder *r, nsamp_error *err) {
    if (r->status && err) *err = r->err;
    return r->status;
}

nsamp_status nsamp_recorder_status(nsamp_recorder *r, nsamp_error *err) {
    pthread_mutex_lock(&r->lock);
    const nsamp_status status = failure(r, err);
    pthread_mutex_unlock(&r->lock);
    return status;
}

nsamp_status nsamp_recorder_flush(nsamp_recorder *r, nsamp_error *err) {
    pthread_mutex_lock(&r->lock);
    while (ready(r))
        pthread_cond_wait(&r->changed, &r->lock);
    const nsamp_status status = failure(r, err);
    const uint64_t k = r->written, all = k < r->blocks ? draws_of_block(r, k, 0) : 0,
                   there = all ? all - r->missing[k % BUFFERS] / r->what.chains : 0;
    pthread_mutex_unlock(&r->lock);
    if (status || !there) return status;
    /* What is there of a block stays in its buffer, and is written once more when it is full. */
    settle(r, k, there);
    return nsamp_output_write(r->out, (size_t)k, r->buffer[k % BUFFERS], err);
}

void nsamp_recorder_stop(nsamp_recorder *r) {
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    release(r);
}
