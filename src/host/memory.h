/* memory.h: how much memory this process may use. Not here: how much a run needs (engine/plan.c, train/train.c). */
#ifndef NSAMP_HOST_MEMORY_H
#define NSAMP_HOST_MEMORY_H

#include <stddef.h>

/* Bytes: the least of the machine's memory, the limits of its control group (versions 1 and 2, those above it included) and
 * what RLIMIT_AS and RLIMIT_DATA leave beside what is in use now. whose: which of them it is, in words that end a sentence
 * ("this machine has 23.4 GiB"), size bytes. */
double nsamp_memory_limit(char *whose, size_t size);
/* "1.5 GiB" -> text, which it returns. */
const char *nsamp_bytes_text(double bytes, char text[32]);

#endif
