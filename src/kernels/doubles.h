/* doubles.h: loops in double whose bits must be the same on every processor: sums of products, and the
 * passes of an eigenvalue solver (src/host/eigen.c). Each product is rounded, each sum takes its terms in
 * their order; vectors hold numbers of different sums. So no bit depends on the instruction set, on the
 * compiler or on a library. Compiled for each instruction set as cpu.c is. */
#ifndef NSAMP_KERNELS_DOUBLES_H
#define NSAMP_KERNELS_DOUBLES_H

#include <stdbool.h>
#include <stddef.h>

/* Rotations of rows i and i + 1, i = first, first + 1 ... first + count - 1, with c and s in the order last
 * to first. */
typedef struct nsamp_rotations {
    size_t first, count;
    const double *cs; /* [count][2] */
} nsamp_rotations;

typedef struct nsamp_doubles_kernels {
    /* c[i][k] += sum over t of a[t][i] b[t][k], i < rows, k < columns; upper: only k >= i is needed, some
     * below may be added to. Rows of a, b and c lie lda, ldb and ldc numbers apart. */
    void (*products)(size_t terms, size_t rows, size_t columns, const double *a, size_t lda, const double *b,
                     size_t ldb, bool upper, double *c, size_t ldc);
    /* a[j][i] -= v[j] w[i] + w[j] v[i], then y[i] += u[j] a[j][i], i and j < n. */
    void (*reflect)(size_t n, const double *v, const double *w, const double *u, double *a, size_t lda,
                    double *y);
    /* Rows x[i] and x[i + 1] of `width` numbers become c x[i] + s x[i + 1] and c x[i + 1] - s x[i], one
     * rotation after the other. */
    void (*rotate)(const nsamp_rotations *r, size_t width, double *x, size_t ldx);
    /* x[j] -= factor v[j] sum over j of v[j] x[j], j < n; t [width]: room. */
    void (*mirror)(size_t n, double factor, const double *v, size_t width, double *x, size_t ldx, double *t);
} nsamp_doubles_kernels;

extern const nsamp_doubles_kernels nsamp_doubles_base, nsamp_doubles_v3, nsamp_doubles_v4;

#endif
