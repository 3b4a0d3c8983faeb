/* spelling.h: slips of a keyboard or a locale in a value: characters that look like others, decimal commas, quotes. Text only: what a
 * value means is in value.c. */
#ifndef NSAMP_HOST_JOB_SPELLING_H
#define NSAMP_HOST_JOB_SPELLING_H

#include <stdbool.h>
#include <stddef.h>
#include "job/job.h"

enum { NSAMP_SPELLING = 256 }; /* room for what these say */

/* The first character of s [len] that is not ASCII: its offset in bytes, or len. *column: its number among the characters, from 1 (one
 * for each byte that is no UTF-8); what: "U+2212 (a minus sign: write -)". */
size_t nsamp_spelling_odd(const char *s, size_t len, size_t *column, char what[NSAMP_SPELLING]);

/* A text value begins or ends with a character that cannot be seen, or stands in quotes. */
bool nsamp_spelling_ends(const char *text, char why[NSAMP_SPELLING]);

/* A value of numbers has a comma that may be a decimal point or part thousands: nobody could say which was meant. */
bool nsamp_spelling_comma(const char *text, nsamp_type type, char why[NSAMP_SPELLING]);

#endif
