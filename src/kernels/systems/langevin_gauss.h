/* langevin_gauss.h: Langevin dynamics on a Gaussian of any covariance, O(D) a step.
 *
 * Target   N(mu, Sigma).
 * Equation dx = -D Sigma^-1 (x - mu) dt + sqrt(2 D) dB;  naive: D = I;  natural: D = Sigma  [Ma, Chen and Fox 2015].
 * Scheme   Euler-Maruyama, step h, in coordinates y in which the modes do not meet: x - mu = M y,
 *              y_i <- c_i y_i + a_i z_i
 *   naive    Sigma = V diag(lambda) V^T: M = V, c_i = 1 - h/lambda_i, a_i = sqrt(2h)
 *   natural  Sigma = L L^T (Cholesky):   M = L, c_i = 1 - h,          a_i = sqrt(2h)
 *   Because V^T and L^-1 turn the noise sqrt(2hD) z into independent numbers of variance 2h, this is the Euler iterate itself,
 *   seen in other coordinates: same law of whole paths, with D numbers of work a step instead of D^2. The product with M
 *   is done only where x is looked at. What is observed is x - mu; the host adds mu (systems/model.h).
 * Law      exactly Gaussian; covariance M diag(a_i^2 / (1 - c_i^2)) M^T: Sigma/(1 - h/2) (natural), eigenvalues
 *          lambda/(1 - h/(2 lambda)) (naive). Autocorrelation of a coordinate: a mixture of exponentials c_i^k.
 * Draws    D normals a step: y_i is moved by draw i % 4 of block i / 4, of which steps share the last (nsamp_tail_steps).
 * Fails    naive: h >= 2 lambda_min; natural: h >= 2; refused before the run.
 *
 * State [S][L], S = D: y. */
#ifndef NSAMP_KERNELS_SYSTEMS_LANGEVIN_GAUSS_H
#define NSAMP_KERNELS_SYSTEMS_LANGEVIN_GAUSS_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"
#include "kernels/tile_product.h"

typedef struct nsamp_langevin_gauss_params {
    uint32_t dim;        /* D */
    uint32_t triangular; /* 1: M has zeros above the diagonal */
    /* Bytes from this struct to arrays of floats: */
    uint64_t keep_offset;  /* c [D] */
    uint64_t noise_offset; /* a [D] */
    uint64_t basis_offset; /* M [D][D] */
} nsamp_langevin_gauss_params;

NSAMP_HD const float *nsamp_gauss_table(const nsamp_langevin_gauss_params *p, uint64_t offset) {
    return (const float *)((const char *)p + offset);
}

/* Coordinates 4b .. 4b + n - 1 of all lanes; adds 0 y to all [L], which stays 0 only while every y is finite. */
NSAMP_HD void nsamp_gauss_block(const float *c, const float *a, float *y, const float *z, float *all,
                                const uint32_t L, const uint32_t n) {
    NSAMP_FOR_LANES(l, L) {
        for (uint32_t k = 0; k < n; k++) {
            const float next = nsamp_fma(c[k], y[k * L + l], a[k] * z[k * L + l]);
            y[k * L + l] = next;
            all[l] = nsamp_fma(next, 0.0f, all[l]);
        }
    }
}

NSAMP_HD void nsamp_langevin_gauss_advance(const void *params, const nsamp_tile *t, const uint32_t L,
                                           uint64_t step0, uint32_t nsteps) {
    const nsamp_langevin_gauss_params *p = (const nsamp_langevin_gauss_params *)params;
    const uint32_t D = p->dim, whole = D - D % 4;
    const float *const c = nsamp_gauss_table(p, p->keep_offset), *const a =
                                                                     nsamp_gauss_table(p, p->noise_offset);
    float z[4 * NSAMP_ROW_LANES], tail[4 * NSAMP_ROW_LANES], all[NSAMP_ROW_LANES];
    nsamp_row row;
    nsamp_row_begin(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0, L);
    for (uint32_t n = 0; n < nsteps; n++) {
        if (n > 0) nsamp_row_next(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0 + n, L);
        NSAMP_FOR_LANES(l, L) all[l] = 0.0f;
        for (uint32_t i = 0; i < whole; i += 4) {
            nsamp_row_normals(&row, t->noise, i / 4, L, z);
            nsamp_gauss_block(c + i, a + i, t->state + (size_t)i * L, z, all, L, 4);
        }
        if (D % 4) {
            float *const y = t->state + (size_t)whole * L;
            nsamp_row_tail(&row, t->noise, D, n == 0, L, tail);
            if (D % 4 == 3) nsamp_gauss_block(c + whole, a + whole, y, tail, all, L, 3);
            if (D % 4 == 2) nsamp_gauss_block(c + whole, a + whole, y, tail, all, L, 2);
            if (D % 4 == 1) nsamp_gauss_block(c + whole, a + whole, y, tail, all, L, 1);
        }
        NSAMP_FOR_LANES(l, L) {
            const uint32_t failed = (uint32_t)(all[l] != 0.0f) & (uint32_t)(t->bad[l] == 0);
            t->bad[l] += failed * (n + 1);
        }
    }
}

/* R rows of x [R][L] (a constant in each call), one group of lanes: += M y for n columns, or = with `first`; m: the first
 * entry of M, whose rows are D apart. */
NSAMP_HD void nsamp_gauss_rows(const uint32_t R, const float *m, uint32_t D, const float *y, uint32_t n,
                               uint32_t first, float *x, const uint32_t L) {
    nsamp_floats t[NSAMP_TILE_ROWS * NSAMP_TILE_VECTORS];
    if (first)
        nsamp_tile_zero(R, t);
    else
        nsamp_tile_load(R, x, L, t);
    nsamp_tile_product(R, m, 1, D, y, L, n, t);
    nsamp_tile_store(R, t, x, L);
}

/* x - mu = M y. A panel of y stays in the first-level cache while all rows take it. */
NSAMP_HD void nsamp_langevin_gauss_observe(const void *params, const nsamp_tile *tile, const uint32_t L,
                                           float *x) {
    const uint32_t ROWS = NSAMP_TILE_ROWS, PANEL = 64;
    const nsamp_langevin_gauss_params *p = (const nsamp_langevin_gauss_params *)params;
    const float *const m = nsamp_gauss_table(p, p->basis_offset);
    const uint32_t D = p->dim;
    for (uint32_t g = 0; g < L; g += NSAMP_GROUP(NSAMP_TILE_LANES, L))
        for (uint32_t j = 0; j < D; j += PANEL) {
            const float *const y = tile->state + (size_t)j * L + g;
            for (uint32_t i = p->triangular ? j : 0; i < D; i += ROWS) {
                const uint32_t rows = D - i < ROWS ? D - i : ROWS, end = p->triangular ? i + rows : D;
                const uint32_t columns = end - j < PANEL ? end - j : PANEL;
                const float *const at = m + (size_t)i * D + j;
                float *const to = x + (size_t)i * L + g;
                if (rows == ROWS)
                    nsamp_gauss_rows(ROWS, at, D, y, columns, j == 0, to, L);
                else
                    for (uint32_t r = 0; r < rows; r++)
                        nsamp_gauss_rows(1, at + (size_t)r * D, D, y, columns, j == 0, to + (size_t)r * L, L);
            }
        }
}

#endif
