/* threads.c: see threads.h. */
#include "threads.h"

#include <omp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* The most threads that there could be at once, and how many were asked for when that was too few (0:
 * never). */
static _Atomic int most_started = 1, missed;

typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t opened;
    bool open;
} gate;

static void *wait_at(void *user) {
    gate *const g = user;
    pthread_mutex_lock(&g->lock);
    while (!g->open)
        pthread_cond_wait(&g->opened, &g->lock);
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

int nsamp_threads_try(int count) {
    gate g = {.open = false};
    pthread_t *const thread = malloc((size_t)count * sizeof *thread);
    int started = 0;
    if (!thread) return 0;
    pthread_mutex_init(&g.lock, NULL);
    pthread_cond_init(&g.opened, NULL);
    while (started < count && !pthread_create(&thread[started], NULL, wait_at, &g))
        started++;
    pthread_mutex_lock(&g.lock);
    g.open = true;
    pthread_cond_broadcast(&g.opened);
    pthread_mutex_unlock(&g.lock);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    pthread_cond_destroy(&g.opened);
    pthread_mutex_destroy(&g.lock);
    free(thread);
    return started;
}

int nsamp_threads_of(int64_t threads) {
    const int wanted = threads > 0 ? (int)threads : omp_get_max_threads();
    if (wanted <= 1 || wanted <= atomic_load(&most_started)) return wanted; /* the caller is there */
    /* The caller is one of them, and one more writes recorded draws. Those that an earlier call started are
     * still there, OpenMP keeps them: the limit may be theirs. */
    const int more = nsamp_threads_try(wanted), known = atomic_load(&most_started);
    const int there = more > known ? more : known;
    if (there > known) atomic_store(&most_started, there);
    if (there < wanted) atomic_store(&missed, wanted);
    return there < wanted ? there : wanted;
}

int nsamp_threads_set(int64_t threads) {
    const int before = omp_get_max_threads();
    omp_set_num_threads(nsamp_threads_of(threads));
    return before;
}

void nsamp_threads_restore(int before) {
    omp_set_num_threads(before);
}

void nsamp_threads_note(int64_t wanted, int threads, char *text, size_t size) {
    const int asked = wanted > 0 ? (int)wanted : atomic_load(&missed);
    *text = 0;
    if (threads < asked)
        snprintf(text, size, ", %d of the %d threads asked for: no more can be started", threads, asked);
}
