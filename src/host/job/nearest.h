/* nearest.h: what somebody who mistyped a name may have meant. */
#ifndef NSAMP_HOST_JOB_NEAREST_H
#define NSAMP_HOST_JOB_NEAREST_H

#include <stddef.h>
#include "job/job.h"

/* Edits (insert, delete, replace, swap of neighbours) from a to b; names beyond 63 characters are cut. */
unsigned nsamp_edit_distance(const char *a, const char *b);
/* The option nearest to "section.key" (or to a bare key); the right key in a wrong section comes first. */
nsamp_key nsamp_nearest_key(const char *name);
/* The nearest section. */
const char *nsamp_nearest_section(const char *name);
/* The nearest of "a|b|c" -> out. */
void nsamp_nearest_choice(const char *name, const char *choices, char *out, size_t size);

#endif
