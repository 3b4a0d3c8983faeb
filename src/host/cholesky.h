/* cholesky.h: factors of positive definite matrices and systems of equations with them: the same bits on
 * every processor and with any BLAS, as in eigen.h. Not here: matrices that are not symmetric (LAPACK, where
 * only a printed number depends on them). */
#ifndef NSAMP_HOST_CHOLESKY_H
#define NSAMP_HOST_CHOLESKY_H

#include <stddef.h>

/* The Cholesky factor of a [n][n], of which the lower triangle is read -> l [n][n], zeros above the diagonal;
 * may be a itself. Returns 0, or the number (from 1 on) of the pivot that is not above 0 or is not a number,
 * and what it is -> *pivot. */
size_t nsamp_cholesky(size_t n, const double *a, double *l, double *pivot);

/* x [count][n] -> (l l^T)^-1 x, each row for itself; room [n][NSAMP_CHOLESKY_LANES]. */
enum { NSAMP_CHOLESKY_LANES = 16 };
void nsamp_cholesky_solve(size_t n, const double *l, size_t count, double *x, double *room);

#endif
