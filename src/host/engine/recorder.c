/* recorder.c: recorded draws on their way into the output file. Two buffers, each for the same number of draws of
 * every chain, laid out as the file is: chains fill one while a thread writes the other. */
#include "plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

/* Of a buffer, where a draw is not larger: then a chain's piece of it is pages long for thousands of chains. */
static const size_t BUFFER_BYTES = (size_t)32 << 20;

struct nsamp_recorder {
    nsamp_output *out;
    size_t chains, dim, depth; /* depth: draws a buffer holds */
    uint64_t total;            /* draws of the whole run */
    float *buffer[2];          /* [chains][depth][dim] */
    uint64_t first;            /* first draw of the buffer that is being filled */
    size_t filled;             /* draws in it */
    /* The rest is shared with the thread. */
    uint64_t handed, written;   /* buffers handed over, buffers done with; one is filled beside them */
    uint64_t from[2];           /* draws of a buffer that was handed over: first, */
    size_t count[2];            /* and how many */
    nsamp_status status;        /* of the first write that failed, */
    nsamp_error err;            /* and why */
    bool stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

static size_t depth_of(size_t chains, size_t dim, uint64_t draws) {
    const size_t fit = BUFFER_BYTES / (chains * dim * sizeof(float));
    return fit < 1 ? 1 : fit < draws ? fit : (size_t)draws;
}

double nsamp_recorder_bytes(size_t chains, size_t dim, uint64_t draws) {
    return 2.0 * (double)depth_of(chains, dim, draws) * (double)chains * (double)dim * sizeof(float);
}

static void *writer(void *arg) {
    nsamp_recorder *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->written == r->handed && !r->stop)
            pthread_cond_wait(&r->changed, &r->lock);
        if (r->written == r->handed) break;
        const size_t i = r->written % 2;
        nsamp_status status = r->status;
        nsamp_error err = {0};
        pthread_mutex_unlock(&r->lock);
        if (!status)
            status = nsamp_output_draws(r->out, r->from[i], r->count[i], r->buffer[i], r->depth * r->dim, &err);
        pthread_mutex_lock(&r->lock);
        if (status && !r->status) {
            r->status = status;
            r->err = err;
        }
        r->written++;
        pthread_cond_broadcast(&r->changed);
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void release(nsamp_recorder *r) {
    free(r->buffer[0]);
    free(r->buffer[1]);
    free(r);
}

nsamp_status nsamp_recorder_start(nsamp_output *out, size_t chains, size_t dim, uint64_t first,
                                  uint64_t total, nsamp_recorder **recorder, nsamp_error *err) {
    *recorder = NULL;
    nsamp_recorder *r = calloc(1, sizeof *r);
    if (!r) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws");
    r->out = out;
    r->chains = chains;
    r->dim = dim;
    r->depth = depth_of(chains, dim, total);
    r->first = first;
    r->total = total;
    const size_t bytes = r->depth * chains * dim * sizeof(float);
    nsamp_status status = NSAMP_OK;
    for (size_t i = 0; i < 2; i++)
        r->buffer[i] = malloc(bytes);
    if (!r->buffer[0] || !r->buffer[1])
        status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws (2 times %zu bytes)", bytes);
    if (!status) {
        pthread_mutex_init(&r->lock, NULL);
        pthread_cond_init(&r->changed, NULL);
        const int failed = pthread_create(&r->thread, NULL, writer, r);
        if (failed) {
            pthread_cond_destroy(&r->changed);
            pthread_mutex_destroy(&r->lock);
            status =
                nsamp_fail(err, NSAMP_EINTERNAL, "the writer thread cannot be started: %s", strerror(failed));
        }
    }
    if (status) {
        release(r);
        return status;
    }
    *recorder = r;
    return NSAMP_OK;
}

static nsamp_status failure(nsamp_recorder *r, nsamp_error *err) {
    if (r->status && err) *err = r->err;
    return r->status;
}

nsamp_status nsamp_recorder_next(nsamp_recorder *r, float **x, size_t *stride, nsamp_error *err) {
    pthread_mutex_lock(&r->lock);
    while (r->handed - r->written == 2)
        pthread_cond_wait(&r->changed, &r->lock);
    const nsamp_status status = failure(r, err);
    pthread_mutex_unlock(&r->lock);
    *x = r->buffer[r->handed % 2] + r->filled * r->dim;
    *stride = r->depth * r->dim;
    return status;
}

void nsamp_recorder_put(nsamp_recorder *r) {
    r->filled++;
    if (r->filled < r->depth && r->first + r->filled < r->total) return;
    pthread_mutex_lock(&r->lock);
    r->from[r->handed % 2] = r->first;
    r->count[r->handed % 2] = r->filled;
    r->handed++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    r->first += r->filled;
    r->filled = 0;
}

nsamp_status nsamp_recorder_flush(nsamp_recorder *r, nsamp_error *err) {
    pthread_mutex_lock(&r->lock);
    while (r->written < r->handed)
        pthread_cond_wait(&r->changed, &r->lock);
    const nsamp_status status = failure(r, err);
    pthread_mutex_unlock(&r->lock);
    /* What is there of a buffer stays in it, and is written once more when it is full. */
    if (status || !r->filled) return status;
    return nsamp_output_draws(r->out, r->first, r->filled, r->buffer[r->handed % 2], r->depth * r->dim, err);
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
