/* team.h: threads that share the pieces of many short stages, each stage after the one before: a batch of a
 * training, the products of a step. It does what `omp parallel for` does, where that happens thousands of
 * times a second.
 *
 * Nobody waits for a thread that has nothing in hand: pieces are taken one at a time, and the thread that
 * ends the last piece of a stage begins the next. A thread whose core is busy with another process holds the
 * others up by one piece at most, and when it runs again it goes on with everything that there is to do,
 * alone if need be. Threads that find nothing to do look for a while, then sleep. Not here: how many threads
 * there may be (threads.h). */
#ifndef NSAMP_HOST_TEAM_H
#define NSAMP_HOST_TEAM_H

#include <stddef.h>

typedef struct nsamp_team_work {
    /* All stages so far are done (none at the first call). -> pieces of the next stage, below 2^32; 0: that
     * was all. One thread at a time calls it, not always the same one, and sees what all pieces wrote. */
    size_t (*next)(void *user);
    /* One piece of the stage; thread: 0 .. threads - 1, no two at the same time. */
    void (*piece)(void *user, size_t piece, int thread);
} nsamp_team_work;

/* Runs all stages on at most `threads` threads, of which the caller is one, and returns when they are done.
 * The others are started when they are first asked for, and belong to the calling thread until it ends;
 * where they cannot be started, there are fewer. Called by a piece, or within a parallel region of OpenMP,
 * it runs everything on the calling thread, as thread 0. */
void nsamp_team_run(int threads, const nsamp_team_work *work, void *user);

/* One stage. */
void nsamp_team_for(int threads, size_t pieces, void (*piece)(void *user, size_t piece, int thread),
                    void *user);

/* From a piece: how many pieces of its stage have been taken so far, of which others may take more
 * meanwhile: a guess. */
size_t nsamp_team_taken(void);

#endif
