/* lock.h: one run at a time works on a file. PATH.lock is created when a run begins and removed when it ends; it says
 * which process holds it. Works on file systems without flock too, and across machines that share a folder. Not here:
 * what is written under PATH (newfile.h, checkpoint.h).
 *
 * PATH.lock is text:
 *
 *     nsamp lock 1
 *     host = NAME
 *     boot = number of this start of the machine, and of its process numbers (Linux)
 *     pid = 1234
 *     start = when that process started, in ticks since the machine did; 0 where unknown
 *     flock = yes|no: the holder also has flock() on PATH.lock
 *     since = 2026-01-31T12:00:00Z
 *
 * A lock whose process is no more is taken over: on the same machine that is known from flock() or from the process
 * number; of another machine it is assumed when nobody has touched PATH.lock for NSAMP_LOCK_STALE_S seconds. */
#ifndef NSAMP_HOST_IO_LOCK_H
#define NSAMP_HOST_IO_LOCK_H

#include "nsamp.h"

enum { NSAMP_LOCK_BEAT_S = 20, NSAMP_LOCK_STALE_S = 300 };

typedef struct nsamp_lock nsamp_lock;

/* Takes the lock of path, or says who has it (NSAMP_EUSAGE). NSAMP_EIO: PATH.lock cannot be written, or is something
 * else than a plain file. On failure *lock is NULL. Does not wait for a holder. */
nsamp_status nsamp_lock_take(const char *path, nsamp_lock **lock, nsamp_error *err);
/* Tells other machines that the holder lives; to be called often, touches the disk every NSAMP_LOCK_BEAT_S seconds. NULL
 * is allowed. */
void nsamp_lock_beat(nsamp_lock *lock);
/* NSAMP_OK while nobody else has taken the lock over (a lock that was only removed counts as held); else NSAMP_EIO with
 * the name of the new holder. NULL is allowed. */
nsamp_status nsamp_lock_check(const nsamp_lock *lock, nsamp_error *err);
/* Removes PATH.lock where it is still ours, and frees. NULL is allowed. */
void nsamp_lock_release(nsamp_lock *lock);

#endif
