/* pages.h: memory for arrays of gigabytes: on huge pages where the system gives them on request, touched first by all threads.
 * A page costs its first touch, 4 KiB at a time tens of seconds in all on a virtual machine; and on a machine of several memory
 * nodes it lies where the thread runs that touches it first. */
#ifndef NSAMP_HOST_PAGES_H
#define NSAMP_HOST_PAGES_H

#include <stddef.h>

/* count numbers, each `value`, aligned to 4,096 bytes. NULL: no memory, or a size that does not fit. Freed by free. */
double *nsamp_pages_doubles(size_t count, double value);
float *nsamp_pages_floats(size_t count, float value);

/* memcpy by all threads, which one would take longer for than a GPU's bus. */
void nsamp_pages_copy(void *to, const void *from, size_t bytes);

#endif
