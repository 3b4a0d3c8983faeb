/* numbers.h: plain text files of numbers, and covariances read from them. */
#ifndef NSAMP_HOST_TARGETS_NUMBERS_H
#define NSAMP_HOST_TARGETS_NUMBERS_H

#include <stddef.h>
#include "nsamp.h"

/* All numbers of a text file, separated by white space or commas, '#' to the end of a line a comment ->
 * *numbers [*count], malloc'ed, for the caller to free. NSAMP_EUSAGE names file, line and the word that is
 * not a finite number; NSAMP_EIO. */
nsamp_status nsamp_numbers_read(const char *path, double **numbers, size_t *count, nsamp_error *err);

/* Cholesky factor l of a covariance [n * n] that came from `where`. NSAMP_EUSAGE: not symmetric (with the two
 * entries), or not positive definite (with the failing pivot). */
nsamp_status nsamp_covariance_factor(const char *where, size_t n, const double *cov, double *l,
                                     nsamp_error *err);

#endif
