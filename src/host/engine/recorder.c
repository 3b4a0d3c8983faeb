/* recorder.c: recorded draws on their way into the output file. Two buffers, each a block of the file (output.h): chains
 * fill one while a thread writes the other. */
#include "plan.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pages.h"

struct nsamp_recorder {
    nsamp_output *out;
    size_t dim, block; /* block: draws a buffer holds */
    uint64_t total;    /* draws of the whole run */
    float *buffer[2];  /* [chains][block][dim] */
    uint64_t draw;     /* the next one */
    /* The rest is shared with the thread. Numbers of blocks; a block has the buffer of its number's last bit. */
    uint64_t handed, written; /* handed over, done with; the one that is being filled is number `handed` */
    nsamp_status status;      /* of the first write that failed, */
    nsamp_error err;          /* and why */
    bool stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

double nsamp_recorder_bytes(size_t chains, size_t dim, uint64_t draws) {
    const double block = (double)nsamp_output_block(chains, dim, draws);
    return 2 * block * (double)chains * (double)dim * sizeof(float);
}

static void *writer(void *arg) {
    nsamp_recorder *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        while (r->written == r->handed && !r->stop)
            pthread_cond_wait(&r->changed, &r->lock);
        if (r->written == r->handed) break;
        const uint64_t k = r->written;
        nsamp_status status = r->status;
        nsamp_error err = {0};
        pthread_mutex_unlock(&r->lock);
        if (!status) status = nsamp_output_write(r->out, k, r->buffer[k % 2], &err);
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
    r->dim = dim;
    r->block = nsamp_output_block(chains, dim, total);
    r->total = total;
    r->draw = first;
    r->handed = r->written = first / r->block;
    const size_t floats = r->block * chains * dim;
    nsamp_status status = NSAMP_OK;
    for (size_t i = 0; i < 2; i++) /* zeros: the file takes what lies beyond the last draw too */
        r->buffer[i] = nsamp_pages_floats(floats, 0);
    if (!r->buffer[0] || !r->buffer[1])
        status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws (2 times %zu bytes)",
                            floats * sizeof(float));
    if (!status && first % r->block)
        status = nsamp_output_read(out, (size_t)r->handed, r->buffer[r->handed % 2], err);
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
    *x = r->buffer[r->handed % 2] + r->draw % r->block * r->dim;
    *stride = r->block * r->dim;
    return status;
}

void nsamp_recorder_put(nsamp_recorder *r) {
    r->draw++;
    if (r->draw % r->block && r->draw < r->total) return;
    pthread_mutex_lock(&r->lock);
    r->handed++;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

nsamp_status nsamp_recorder_flush(nsamp_recorder *r, nsamp_error *err) {
    pthread_mutex_lock(&r->lock);
    while (r->written < r->handed)
        pthread_cond_wait(&r->changed, &r->lock);
    const nsamp_status status = failure(r, err);
    pthread_mutex_unlock(&r->lock);
    /* What is there of a block stays in its buffer, and is written once more when it is full. */
    if (status || r->draw % r->block == 0 || r->draw == r->total) return status;
    return nsamp_output_write(r->out, (size_t)r->handed, r->buffer[r->handed % 2], err);
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
