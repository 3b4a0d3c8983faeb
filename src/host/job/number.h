/* number.h: numbers as people write them in a job. Strict: the whole text must be the number. */
#ifndef NSAMP_HOST_JOB_NUMBER_H
#define NSAMP_HOST_JOB_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Each returns NULL and sets *value, or returns why it cannot ("is not a number"), leaving *value alone. */

/* A whole number that fits in 64 bits, also as 1e6 or 2.5e3 where that is exact. */
const char *nsamp_number_int(const char *text, int64_t *value);
/* A finite decimal number (no hexadecimal, inf or nan). */
const char *nsamp_number_real(const char *text, double *value);

/* The shortest decimal text of value that reads back as the same double. */
void nsamp_number_text(double value, char *text, size_t size);

#endif
