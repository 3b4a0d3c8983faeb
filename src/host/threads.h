/* threads.h: run.threads for everything that a call of the library does on the CPU: without it, only what
 * names its number of threads keeps to it, and products inside a team of one thread would take all of them.
 *
 * OpenMP ends the process where it cannot start a thread (a limit on processes or on memory), so that many
 * are started here first, and fewer are used where they cannot be. Not here: who does what (team.h, OpenMP).
 * */
#ifndef NSAMP_HOST_THREADS_H
#define NSAMP_HOST_THREADS_H

#include <stddef.h>
#include <stdint.h>

/* From here on the calling thread has `threads` (0: as many as before), or as many as can be started; -> what
 * nsamp_threads_restore takes. */
int nsamp_threads_set(int64_t threads);
void nsamp_threads_restore(int before);

/* Starts `count` threads at once, and ends them: how many could be started. */
int nsamp_threads_try(int count);

/* How many that are: run.threads = threads, which 0 leaves to OpenMP. At least 1. */
int nsamp_threads_of(int64_t threads);

/* ", 2 of the 8 threads asked for: no more can be started" -> text [size], where `threads` are fewer than
 * run.threads = wanted asks for; else "". */
void nsamp_threads_note(int64_t wanted, int threads, char *text, size_t size);

#endif
