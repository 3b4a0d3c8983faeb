/* spool.c: recorded draws on their way to disk: four buffers, one writer thread, a flat file of float32. A
 * flat file, since it can be cut back to what a checkpoint covers and survives a kill; run.c copies it into
 * the netCDF output at the end. */
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

enum { BUFFERS = 4 };

struct nsamp_spool {
    int fd;
    size_t bytes; /* of one draw */
    char *path;
    float *buffer[BUFFERS];
    uint64_t put,
        written;   /* draws handed over, draws on disk, both since opening; put - written <= BUFFERS */
    uint64_t base; /* draws that were there at opening */
    int failed;    /* errno of the first write that failed */
    bool stop;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
};

/* Writes all of it at the offset; 0 or an errno. */
static int write_all(int fd, const char *data, size_t bytes, off_t at) {
    while (bytes) {
        ssize_t n = pwrite(fd, data, bytes, at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        data += n;
        bytes -= (size_t)n;
        at += n;
    }
    return 0;
}

static void *writer(void *arg) {
    nsamp_spool *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (s->written == s->put && !s->stop)
            pthread_cond_wait(&s->changed, &s->lock);
        if (s->written == s->put) break;
        const uint64_t n = s->written;
        const bool skip = s->failed != 0;
        pthread_mutex_unlock(&s->lock);
        int failed = skip ? 0
                          : write_all(s->fd, (const char *)s->buffer[n % BUFFERS], s->bytes,
                                      (off_t)((s->base + n) * s->bytes));
        pthread_mutex_lock(&s->lock);
        if (failed && !s->failed) s->failed = failed;
        s->written++;
        pthread_cond_broadcast(&s->changed);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

static void release(nsamp_spool *s) {
    for (size_t i = 0; i < BUFFERS; i++)
        free(s->buffer[i]);
    if (s->fd >= 0) close(s->fd);
    free(s->path);
    free(s);
}

nsamp_status nsamp_spool_open(const char *path, size_t floats, uint64_t draws, nsamp_spool **spool,
                              nsamp_error *err) {
    *spool = NULL;
    nsamp_spool *s = calloc(1, sizeof *s);
    if (!s) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws");
    s->bytes = floats * sizeof(float);
    s->base = draws;
    s->path = strdup(path);
    s->fd = open(path, O_RDWR | O_CREAT | (draws ? 0 : O_TRUNC), 0666);
    struct stat st;
    nsamp_status status = NSAMP_OK;
    if (s->fd < 0 || fstat(s->fd, &st))
        status =
            nsamp_fail(err, NSAMP_EIO, "%s: cannot be opened for recorded draws: %s", path, strerror(errno));
    else if ((uint64_t)st.st_size < draws * s->bytes)
        status = nsamp_fail(err, NSAMP_EIO,
                            "%s: %lld bytes, but the checkpoint covers %llu; start without run.resume", path,
                            (long long)st.st_size, (unsigned long long)(draws * s->bytes));
    else if (ftruncate(s->fd, (off_t)(draws * s->bytes)))
        status = nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    for (size_t i = 0; !status && i < BUFFERS; i++)
        if (!(s->buffer[i] = malloc(s->bytes)))
            status =
                nsamp_fail(err, NSAMP_ENOMEM, "out of memory for recorded draws (%zu bytes each)", s->bytes);
    if (!status) {
        pthread_mutex_init(&s->lock, NULL);
        pthread_cond_init(&s->changed, NULL);
        const int failed = pthread_create(&s->thread, NULL, writer, s);
        if (failed) {
            pthread_cond_destroy(&s->changed);
            pthread_mutex_destroy(&s->lock);
            status =
                nsamp_fail(err, NSAMP_EINTERNAL, "the writer thread cannot be started: %s", strerror(failed));
        }
    }
    if (status) {
        release(s);
        return status;
    }
    *spool = s;
    return NSAMP_OK;
}

float *nsamp_spool_next(nsamp_spool *s) {
    pthread_mutex_lock(&s->lock);
    while (s->put - s->written == BUFFERS)
        pthread_cond_wait(&s->changed, &s->lock);
    float *buffer = s->failed ? NULL : s->buffer[s->put % BUFFERS];
    pthread_mutex_unlock(&s->lock);
    return buffer;
}

void nsamp_spool_put(nsamp_spool *s) {
    pthread_mutex_lock(&s->lock);
    s->put++;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

nsamp_status nsamp_spool_sync(nsamp_spool *s, nsamp_error *err) {
    pthread_mutex_lock(&s->lock);
    while (s->written < s->put)
        pthread_cond_wait(&s->changed, &s->lock);
    int failed = s->failed;
    pthread_mutex_unlock(&s->lock);
    if (!failed && fsync(s->fd)) failed = errno;
    if (failed)
        return nsamp_fail(err, NSAMP_EIO, "%s: recorded draws cannot be written: %s", s->path,
                          strerror(failed));
    return NSAMP_OK;
}

nsamp_status nsamp_spool_read(nsamp_spool *s, uint64_t first, size_t n, float *x, nsamp_error *err) {
    char *to = (char *)x;
    size_t left = n * s->bytes;
    off_t at = (off_t)(first * s->bytes);
    while (left) {
        ssize_t got = pread(s->fd, to, left, at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0)
            return nsamp_fail(err, NSAMP_EIO, "%s: recorded draws cannot be read back: %s", s->path,
                              got < 0 ? strerror(errno) : "file too short");
        to += got;
        left -= (size_t)got;
        at += got;
    }
    return NSAMP_OK;
}

void nsamp_spool_close(nsamp_spool *s, bool keep) {
    if (!s) return;
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    if (!keep) unlink(s->path);
    release(s);
}
