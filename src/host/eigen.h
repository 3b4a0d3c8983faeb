/* eigen.h: eigenvalues and eigenvectors of symmetric matrices, with the same bits on every processor, for
 * any number of threads and with any BLAS. Householder's tridiagonal form, then implicit QL with Wilkinson's
 * shift (Golub and Van Loan, Matrix Computations, 8.3), every sum in a fixed order (kernels/doubles.h). Not
 * here: anything faster than that for few eigenvectors of a large matrix. */
#ifndef NSAMP_HOST_EIGEN_H
#define NSAMP_HOST_EIGEN_H

#include "kernels/doubles.h"
#include "nsamp.h"

/* The loops of kernels/doubles.h for this processor. */
const nsamp_doubles_kernels *nsamp_doubles(void);

/* All eigenvalues of a [n][n], ascending -> values [n]. The unit eigenvectors of the `count` largest, in the
 * order of their values -> the rows of vectors [count][n]; the entry of largest magnitude (the first of
 * equals) is positive. a is read as symmetric, and is used up. Time goes with n^3, memory beside a with n^2.
 * Threads of the caller's team (team.h). NSAMP_ENOMEM; NSAMP_EUSAGE: not a finite matrix. */
nsamp_status nsamp_eigen(size_t n, double *a, size_t count, double *values, double *vectors,
                         nsamp_error *err);

#endif
