/* doubles.c: see doubles.h. */
#include "kernels/doubles.h"

#include <string.h>

#include "kernels/hd.h"
#include "kernels/isa_name.h"

#if defined NSAMP_VECTOR
enum { BYTES = NSAMP_VECTOR };
#else
enum { BYTES = 16 };
#endif
enum {
    W = BYTES / 8,           /* numbers of a vector */
    R = 4,                   /* rows of a block of sums */
    V = BYTES == 64 ? 4 : 2, /* vectors of a row of it: what the registers hold */
    TERMS = 128              /* of a panel of b, which stays in the first-level cache */
};
typedef double vector __attribute__((vector_size(BYTES)));

static inline vector load(const double *p) {
    vector v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store(double *p, vector v) {
    memcpy(p, &v, sizeof v);
}

/* rows by nv vectors of sums; b: a panel of V * W columns. */
NSAMP_HD void block(const uint32_t rows, const uint32_t nv, size_t terms, const double *a, size_t lda,
                    const double *b, double *c, size_t ldc) {
    vector s[R * V];
    NSAMP_UNROLL for (uint32_t r = 0; r < rows; r++) NSAMP_UNROLL for (uint32_t v = 0; v < nv; v++)
        s[r * nv + v] = load(c + r * ldc + v * W);
    for (size_t t = 0; t < terms; t++, a += lda, b += V * W) {
        vector bv[V];
        NSAMP_UNROLL for (uint32_t v = 0; v < nv; v++) bv[v] = load(b + v * W);
        NSAMP_UNROLL for (uint32_t r = 0; r < rows; r++) NSAMP_UNROLL for (uint32_t v = 0; v < nv; v++)
            s[r * nv + v] += a[r] * bv[v];
    }
    NSAMP_UNROLL for (uint32_t r = 0; r < rows; r++) NSAMP_UNROLL for (uint32_t v = 0; v < nv; v++)
        store(c + r * ldc + v * W, s[r * nv + v]);
}

/* Fewer columns than a vector has. */
static void narrow(size_t rows, size_t columns, size_t terms, const double *a, size_t lda, const double *b,
                   double *c, size_t ldc) {
    for (size_t t = 0; t < terms; t++, a += lda, b += V * W)
        for (size_t r = 0; r < rows; r++)
            for (size_t k = 0; k < columns; k++)
                c[r * ldc + k] += a[r] * b[k];
}

/* rows (R or 1) by up to V * W columns. */
NSAMP_HD void strip(const uint32_t rows, size_t columns, size_t terms, const double *a, size_t lda,
                    const double *b, double *c, size_t ldc) {
    if (columns == V * W) {
        block(rows, V, terms, a, lda, b, c, ldc);
        return;
    }
    size_t k = 0;
    for (; k + W <= columns; k += W)
        block(rows, 1, terms, a, lda, b + k, c + k, ldc);
    if (k < columns) narrow(rows, columns - k, terms, a, lda, b + k, c + k, ldc);
}

static void products(size_t terms, size_t rows, size_t columns, const double *a, size_t lda, const double *b,
                     size_t ldb, bool upper, double *c, size_t ldc) {
    double panel[TERMS * V * W];
    for (size_t t = 0; t < terms; t += TERMS, a += TERMS * lda, b += TERMS * ldb) {
        const size_t n = terms - t < TERMS ? terms - t : TERMS;
        for (size_t k = 0; k < columns; k += V * W) {
            const size_t wide = columns - k < V * W ? columns - k : V * W,
                         last = upper && k + wide < rows ? k + wide : rows;
            for (size_t j = 0; j < n; j++)
                memcpy(panel + j * V * W, b + j * ldb + k, wide * sizeof *panel);
            size_t i = 0;
            for (; i + R <= last; i += R)
                strip(R, wide, n, a + i, lda, panel, c + i * ldc + k, ldc);
            for (; i < last; i++)
                strip(1, wide, n, a + i, lda, panel, c + i * ldc + k, ldc);
        }
    }
}

static void reflect(size_t n, const double *v, const double *w, const double *u, double *a, size_t lda,
                    double *restrict y) {
    for (size_t j = 0; j < n; j++) {
        double *restrict const row = a + j * lda;
        const double vj = v[j], wj = w[j], uj = u[j];
        for (size_t i = 0; i < n; i++) {
            row[i] -= vj * w[i] + wj * v[i];
            y[i] += uj * row[i];
        }
    }
}

static void rotate(const nsamp_rotations *r, size_t width, double *x, size_t ldx) {
    const double *cs = r->cs + 2 * r->count;
    for (size_t k = 0; k < r->count; k++) {
        double *restrict const upper = x + (r->first + k) * ldx, *restrict const lower = upper + ldx;
        cs -= 2;
        const double c = cs[0], s = cs[1];
        for (size_t i = 0; i < width; i++) {
            const double a = upper[i], b = lower[i];
            upper[i] = c * a + s * b;
            lower[i] = c * b - s * a;
        }
    }
}

static void mirror(size_t n, double factor, const double *v, size_t width, double *x, size_t ldx,
                   double *restrict t) {
    memset(t, 0, width * sizeof *t);
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < width; i++)
            t[i] += v[j] * x[j * ldx + i];
    for (size_t j = 0; j < n; j++) {
        double *restrict const row = x + j * ldx;
        const double by = factor * v[j];
        for (size_t i = 0; i < width; i++)
            row[i] -= by * t[i];
    }
}

const nsamp_doubles_kernels NSAMP_PASTE(nsamp_doubles_, NSAMP_ISA) = {products, reflect, rotate, mirror};
