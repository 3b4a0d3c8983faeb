/* cholesky.c: see cholesky.h. Sums take their terms in order, whatever block they are in. */
#include "cholesky.h"

#include <math.h>
#include <string.h>

#include "eigen.h"

enum {
    BLOCK = 64, /* columns that are factored before the rest of the matrix hears of them */
    LANES = NSAMP_CHOLESKY_LANES
};

/* Columns first .. last - 1, from row first on. -> as nsamp_cholesky */
static size_t factor_columns(size_t n, size_t first, size_t last, double *l, double *pivot) {
    for (size_t j = first; j < last; j++) {
        for (size_t i = j; i < n; i++) {
            double sum = l[i * n + j];
            for (size_t t = first; t < j; t++)
                sum -= l[i * n + t] * l[j * n + t];
            l[i * n + j] = sum;
            if (i > j) l[i * n + j] /= l[j * n + j];
            if (i > j) continue;
            *pivot = sum;
            if (!(sum > 0)) return j + 1;
            l[j * n + j] = sqrt(sum);
        }
    }
    return 0;
}

/* l[i][k] -= sum over t of l[i][t] l[k][t] for i, k >= last, t = first .. last - 1: the lower triangle, and
 * some above it. */
static void take_off(size_t n, size_t first, size_t last, double *l) {
    const nsamp_doubles_kernels *const k = nsamp_doubles();
    const size_t terms = last - first;
    for (size_t i = last; i < n; i += BLOCK) {
        double minus[BLOCK * BLOCK], plus[BLOCK * BLOCK]; /* [terms][rows], [terms][columns] */
        const size_t rows = n - i < BLOCK ? n - i : BLOCK;
        for (size_t r = 0; r < rows; r++)
            for (size_t t = 0; t < terms; t++)
                minus[t * BLOCK + r] = -l[(i + r) * n + first + t];
        for (size_t j = last; j < i + rows; j += BLOCK) {
            const size_t columns = i + rows - j < BLOCK ? i + rows - j : BLOCK;
            for (size_t c = 0; c < columns; c++)
                for (size_t t = 0; t < terms; t++)
                    plus[t * BLOCK + c] = l[(j + c) * n + first + t];
            k->products(terms, rows, columns, minus, BLOCK, plus, BLOCK, false, l + i * n + j, n);
        }
    }
}

size_t nsamp_cholesky(size_t n, const double *a, double *l, double *pivot) {
    for (size_t i = 0; i < n; i++) {
        memmove(l + i * n, a + i * n, (i + 1) * sizeof *l);
        memset(l + i * n + i + 1, 0, (n - i - 1) * sizeof *l);
    }
    for (size_t first = 0; first < n; first += BLOCK) {
        const size_t last = n - first < BLOCK ? n : first + BLOCK;
        const size_t failed = factor_columns(n, first, last, l, pivot);
        if (failed) return failed;
        take_off(n, first, last, l);
    }
    for (size_t i = 0; i < n; i++)
        memset(l + i * n + i + 1, 0, (n - i - 1) * sizeof *l);
    return 0;
}

/* x [n][LANES], a row for each unknown. */
static void solve_lanes(size_t n, const double *l, double *x) {
    for (size_t i = 0; i < n; i++) {
        double sum[LANES];
        memcpy(sum, x + i * LANES, sizeof sum);
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < LANES; k++)
                sum[k] -= l[i * n + j] * x[j * LANES + k];
        for (size_t k = 0; k < LANES; k++)
            x[i * LANES + k] = sum[k] / l[i * n + i];
    }
    for (size_t i = n; i-- > 0;) {
        double top[LANES];
        for (size_t k = 0; k < LANES; k++)
            x[i * LANES + k] = top[k] = x[i * LANES + k] / l[i * n + i];
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < LANES; k++)
                x[j * LANES + k] -= l[i * n + j] * top[k];
    }
}

void nsamp_cholesky_solve(size_t n, const double *l, size_t count, double *x, double *room) {
    for (size_t first = 0; first < count; first += LANES) {
        const size_t rows = count - first < LANES ? count - first : LANES;
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < LANES; k++)
                room[i * LANES + k] = k < rows ? x[(first + k) * n + i] : 0;
        solve_lanes(n, l, room);
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k < rows; k++)
                x[(first + k) * n + i] = room[i * LANES + k];
    }
}
