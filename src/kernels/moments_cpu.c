/* moments_cpu.c: the loops of moments.h on the CPU, compiled for each instruction set as cpu.c is. Samples are float32 and sums
 * double, so a product is exact and a fused multiply-add is the same as a product and a sum: bits do not depend on which it is.
 */
#include <stdbool.h>

#include "kernels/isa_name.h"
#include "kernels/moments.h"

#if defined(NSAMP_VECTOR) && NSAMP_VECTOR == 64
#include <immintrin.h>
typedef __m512d doubles;
#define ADD_PRODUCT(a, b, c)  __builtin_fma((a), (b), (c))
#define LOAD(p)               _mm512_loadu_pd(p)
#define STORE(p, v)           _mm512_storeu_pd((p), (v))
#define ALL(a)                _mm512_set1_pd(a)
#define ADD_PRODUCTS(a, b, c) _mm512_fmadd_pd((a), (b), (c))
/* The first k numbers, 0 to WIDTH; the others are zero, or stay. */
#define LOAD_SOME(p, k)     _mm512_maskz_loadu_pd((__mmask8)((1u << (k)) - 1), (p))
#define STORE_SOME(p, v, k) _mm512_mask_storeu_pd((p), (__mmask8)((1u << (k)) - 1), (v))
#elif defined(NSAMP_VECTOR)
#include <immintrin.h>
typedef __m256d doubles;
#define ADD_PRODUCT(a, b, c)  __builtin_fma((a), (b), (c))
#define LOAD(p)               _mm256_loadu_pd(p)
#define STORE(p, v)           _mm256_storeu_pd((p), (v))
#define ALL(a)                _mm256_set1_pd(a)
#define ADD_PRODUCTS(a, b, c) _mm256_fmadd_pd((a), (b), (c))
#define SOME(k)               _mm256_cmpgt_epi64(_mm256_set1_epi64x((long long)(k)), _mm256_setr_epi64x(0, 1, 2, 3))
#define LOAD_SOME(p, k)       _mm256_maskload_pd((p), SOME(k))
#define STORE_SOME(p, v, k)   _mm256_maskstore_pd((p), SOME(k), (v))
#else
typedef double doubles;
#define ADD_PRODUCT(a, b, c)  ((a) * (b) + (c))
#define LOAD(p)               (*(p))
#define STORE(p, v)           ((void)(*(p) = (v)))
#define ALL(a)                (a)
#define ADD_PRODUCTS(a, b, c) ADD_PRODUCT((a), (b), (c))
#define LOAD_SOME(p, k)       ((k) ? *(p) : 0.0)
#define STORE_SOME(p, v, k)   ((k) ? (void)(*(p) = (v)) : (void)0)
#endif

/* Products: blocks of ROWS x COLUMNS entries in registers while all chains are added. PANEL coordinates of every chain are kept
 * in double, a chain's together: 8 KiB. */
enum {
    CHAINS = NSAMP_MOMENTS_BLOCK,
    WIDTH = sizeof(doubles) / sizeof(double),
    COLUMNS = 8,
    VECTORS = COLUMNS / WIDTH,
#if defined(NSAMP_VECTOR) && NSAMP_VECTOR == 64
    ROWS = 8,
#else
    ROWS = 4,
#endif
    PANEL = 64,
    QUAD = 4
};

static void rows(size_t dim, size_t stride, size_t lanes, const float *x, double *sum1, double *sum2,
                 float *low, float *high, double *total) {
    for (size_t i = 0; i < dim; i++)
        for (size_t b = 0; b < lanes; b += CHAINS) {
            const size_t at = i * stride + b;
            NSAMP_PRAGMA(omp simd)
            for (size_t l = 0; l < CHAINS; l++) {
                const float f = x[at + l];
                const double v = f;
                sum1[at + l] += v;
                sum2[at + l] = ADD_PRODUCT(v, v, sum2[at + l]);
                total[b + l] += v;
                low[at + l] = f < low[at + l] ? f : low[at + l];
                high[at + l] = f > high[at + l] ? f : high[at + l];
            }
        }
}

/* Four coordinates, rows of x, of four chains from lane l on, a chain's together. */
NSAMP_HD void turn(const float *const row[QUAD], size_t l, double *panel) {
#ifdef NSAMP_VECTOR
    __m128 a = _mm_loadu_ps(row[0] + l), b = _mm_loadu_ps(row[1] + l), c = _mm_loadu_ps(row[2] + l),
           d = _mm_loadu_ps(row[3] + l);
    _MM_TRANSPOSE4_PS(a, b, c, d);
    _mm256_storeu_pd(panel + l * PANEL, _mm256_cvtps_pd(a));
    _mm256_storeu_pd(panel + (l + 1) * PANEL, _mm256_cvtps_pd(b));
    _mm256_storeu_pd(panel + (l + 2) * PANEL, _mm256_cvtps_pd(c));
    _mm256_storeu_pd(panel + (l + 3) * PANEL, _mm256_cvtps_pd(d));
#else
    for (size_t k = 0; k < QUAD; k++)
        for (size_t i = 0; i < QUAD; i++)
            panel[(l + k) * PANEL + i] = row[i][l + k];
#endif
}

/* Coordinates i0 to i1, and zeros up to a whole block. */
static void load_panel(size_t i0, size_t i1, size_t stride, size_t chains, const float *x, double *panel) {
    static const float zeros[CHAINS];
    const size_t whole = (i1 - i0 + COLUMNS - 1) / COLUMNS * COLUMNS;
    for (size_t i = 0; i < whole; i += QUAD) {
        const float *row[QUAD];
        for (size_t k = 0; k < QUAD; k++)
            row[k] = i0 + i + k < i1 ? x + (i0 + i + k) * stride : zeros;
        size_t l = 0;
        for (; l + QUAD <= chains; l += QUAD)
            turn(row, l, panel + i);
        for (; l < chains; l++)
            for (size_t k = 0; k < QUAD; k++)
                panel[l * PANEL + i + k] = row[k][l];
    }
}

/* Of the entries of row r of a block, those of vector v that are added to: all; or of the first nrows rows those on or below the diagonal,
 * c <= below + r. */
NSAMP_HD size_t entries(bool all, size_t nrows, size_t below, size_t r, size_t v) {
    const size_t n = all ? COLUMNS : r < nrows ? below + r + 1 : 0;
    return n > (v + 1) * WIDTH ? WIDTH : n > v * WIDTH ? n - v * WIDTH : 0;
}

/* Entries (r, c) of acc, whose rows lie `stride` apart. */
NSAMP_HD void add_entries(bool all, size_t nrows, size_t below, size_t chains, const double *xi,
                          const double *xj, double *acc, size_t stride) {
    doubles s[ROWS][VECTORS];
    NSAMP_UNROLL for (size_t r = 0; r < ROWS; r++) NSAMP_UNROLL for (size_t v = 0; v < VECTORS; v++) {
        const double *const at = acc + r * stride + v * WIDTH;
        s[r][v] = all ? LOAD(at) : LOAD_SOME(at, entries(all, nrows, below, r, v));
    }
    for (size_t l = 0; l < chains; l++)
        NSAMP_UNROLL for (size_t r = 0; r < ROWS; r++) {
            const doubles a = ALL(xi[l * PANEL + r]);
            NSAMP_UNROLL for (size_t v = 0; v < VECTORS; v++) s[r][v] =
                ADD_PRODUCTS(a, LOAD(xj + l * PANEL + v * WIDTH), s[r][v]);
        }
    NSAMP_UNROLL for (size_t r = 0; r < ROWS; r++) NSAMP_UNROLL for (size_t v = 0; v < VECTORS; v++) {
        double *const at = acc + r * stride + v * WIDTH;
        if (all)
            STORE(at, s[r][v]);
        else
            STORE_SOME(at, s[r][v], entries(all, nrows, below, r, v));
    }
}

/* Rows i0 to i1 and the columns of the panel from j0 to j1 of acc [D][D]. */
static void add_panels(size_t dim, size_t chains, size_t i0, size_t i1, const double *xi, size_t j0,
                       size_t j1, const double *xj, double *acc) {
    for (size_t i = i0; i < i1; i += ROWS)
        for (size_t j = j0; j < j1 && j < i + ROWS; j += COLUMNS) {
            double *const at = acc + i * dim + j;
            const double *const vi = xi + i - i0, *const vj = xj + j - j0;
            if (i + ROWS <= i1 && j + COLUMNS <= i + 1)
                add_entries(true, ROWS, COLUMNS, chains, vi, vj, at, dim);
            else
                add_entries(false, i1 - i, i - j, chains, vi, vj, at, dim);
        }
}

static void products(size_t dim, size_t stride, size_t chains, const float *x, double *acc) {
    _Alignas(64) double column[CHAINS * PANEL], row[CHAINS * PANEL];
    for (size_t j0 = 0; j0 < dim; j0 += PANEL) {
        const size_t j1 = j0 + PANEL < dim ? j0 + PANEL : dim;
        load_panel(j0, j1, stride, chains, x, column);
        add_panels(dim, chains, j0, j1, column, j0, j1, column, acc);
        for (size_t i0 = j1; i0 < dim; i0 += PANEL) {
            const size_t i1 = i0 + PANEL < dim ? i0 + PANEL : dim;
            load_panel(i0, i1, stride, chains, x, row);
            add_panels(dim, chains, i0, i1, row, j0, j1, column, acc);
        }
    }
}

const nsamp_moments_loops *NSAMP_PASTE(nsamp_moments_loops_, NSAMP_ISA)(void) {
    static const nsamp_moments_loops loops = {rows, products};
    return &loops;
}
