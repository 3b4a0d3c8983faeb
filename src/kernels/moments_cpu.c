/* moments_cpu.c: the loops of moments.h on the CPU, compiled for each instruction set as cpu.c is. Samples are float32 and sums
 * double, so a product is exact and a fused multiply-add is the same as a product and a sum: bits do not depend on which it is.
 */
#include "kernels/isa_name.h"
#include "kernels/moments.h"

#ifdef NSAMP_VECTOR
#define ADD_PRODUCT(a, b, c) __builtin_fma((a), (b), (c))
#else
#define ADD_PRODUCT(a, b, c) ((a) * (b) + (c))
#endif

/* Products: blocks of ROWS x COLUMNS entries in registers while all chains are added. PANEL coordinates of every chain are kept
 * in double, a chain's together: 8 KiB. */
enum {
    CHAINS = NSAMP_MOMENTS_BLOCK,
    COLUMNS = 8,
#if defined(NSAMP_VECTOR) && NSAMP_VECTOR == 64
    ROWS = 8,
#else
    ROWS = 4,
#endif
    PANEL = 64
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

/* Coordinates i0 to i1, and zeros up to a whole block. */
static void load_panel(size_t i0, size_t i1, size_t stride, size_t chains, const float *x, double *panel) {
    for (size_t l = 0; l < chains; l++)
        for (size_t i = i1 - i0; i % COLUMNS; i++)
            panel[l * PANEL + i] = 0.0;
    for (size_t i = i0; i < i1; i++)
        for (size_t l = 0; l < chains; l++)
            panel[l * PANEL + i - i0] = x[i * stride + l];
}

/* Entries (r, c) of acc, whose rows lie `stride` apart. */
NSAMP_HD void add_entries(size_t chains, const double *xi, const double *xj, double *acc, size_t stride) {
    double s[ROWS][COLUMNS];
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++)
            s[r][c] = acc[r * stride + c];
    for (size_t l = 0; l < chains; l++)
        NSAMP_UNROLL for (size_t r = 0; r < ROWS; r++) {
            const double v = xi[l * PANEL + r];
            NSAMP_PRAGMA(omp simd)
            for (size_t c = 0; c < COLUMNS; c++)
                s[r][c] = ADD_PRODUCT(v, xj[l * PANEL + c], s[r][c]);
        }
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < COLUMNS; c++)
            acc[r * stride + c] = s[r][c];
}

/* Those of the first nrows rows that are on or below the diagonal, c <= below + r. The others are added up beside them: a block with conditions in
 * it is one that clang adds up entry by entry with AVX2. */
static void add_some(size_t chains, const double *xi, const double *xj, double *acc, size_t dim, size_t nrows,
                     size_t below) {
    double part[ROWS * COLUMNS] = {0};
    for (size_t r = 0; r < ROWS && r < nrows; r++)
        for (size_t c = 0; c < COLUMNS && c <= below + r; c++)
            part[r * COLUMNS + c] = acc[r * dim + c];
    add_entries(chains, xi, xj, part, COLUMNS);
    for (size_t r = 0; r < ROWS && r < nrows; r++)
        for (size_t c = 0; c < COLUMNS && c <= below + r; c++)
            acc[r * dim + c] = part[r * COLUMNS + c];
}

/* Rows i0 to i1 and the columns of the panel from j0 to j1 of acc [D][D]. */
static void add_panels(size_t dim, size_t chains, size_t i0, size_t i1, const double *xi, size_t j0,
                       size_t j1, const double *xj, double *acc) {
    for (size_t i = i0; i < i1; i += ROWS)
        for (size_t j = j0; j < j1 && j < i + ROWS; j += COLUMNS) {
            double *const at = acc + i * dim + j;
            const double *const vi = xi + i - i0, *const vj = xj + j - j0;
            if (i + ROWS <= i1 && j + COLUMNS <= i + 1)
                add_entries(chains, vi, vj, at, dim);
            else
                add_some(chains, vi, vj, at, dim, i1 - i, i - j);
        }
}

static void products(size_t dim, size_t stride, size_t chains, const float *x, double *acc) {
    double column[CHAINS * PANEL], row[CHAINS * PANEL];
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
