/* tile_product.h: a matrix times the numbers of a tile's lanes, a block of them kept in registers. Not a matrix product of
 * its own: what surrounds it, a system says.
 *
 * A block is NSAMP_TILE_ROWS rows of the matrix by NSAMP_TILE_LANES lanes: with AVX-512 four rows of 64 lanes, so that 16 multiply-adds
 * need four loads and four broadcast weights. A GPU thread has one lane. Each sum takes its terms in order, in one
 * accumulator: no bits depend on the shape of a block. */
#ifndef NSAMP_KERNELS_TILE_PRODUCT_H
#define NSAMP_KERNELS_TILE_PRODUCT_H

#include "kernels/vector.h"

enum {
    NSAMP_TILE_ROWS = 4,
    NSAMP_TILE_VECTORS = NSAMP_GROUP(NSAMP_WIDTH == 16 ? 4 : 2, 1),
    NSAMP_TILE_LANES = NSAMP_TILE_VECTORS * NSAMP_WIDTH
};

/* R in what follows: a constant in each call, at most NSAMP_TILE_ROWS. */

/* t [R][V] = 0. */
NSAMP_HD void nsamp_tile_zero(const uint32_t R, nsamp_floats *t) {
    NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_TILE_ROWS * NSAMP_TILE_VECTORS;
                      i++) if (i < R * NSAMP_TILE_VECTORS) t[i] = nsamp_floats_all(0.0f);
}

/* t [R][V] = R rows at x, L numbers apart. */
NSAMP_HD void nsamp_tile_load(const uint32_t R, const float *x, const uint32_t L, nsamp_floats *t) {
    enum { V = NSAMP_TILE_VECTORS };
    NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_TILE_ROWS * V; i++) if (i < R * V) t[i] =
        nsamp_floats_load(x + i / V * L + i % V * NSAMP_WIDTH);
}

/* And back. */
NSAMP_HD void nsamp_tile_store(const uint32_t R, const nsamp_floats *t, float *x, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS };
    NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_TILE_ROWS * V; i++) if (i < R * V)
        nsamp_floats_store(x + i / V * L + i % V * NSAMP_WIDTH, t[i]);
}

/* t [R][V] += sum over i < n of w_i z_i: weight r of w_i at w[i ws + r wr], the V vectors of z_i at z + i zs. */
NSAMP_HD void nsamp_tile_product(const uint32_t R, const float *w, size_t ws, size_t wr, const float *z,
                                 size_t zs, const uint32_t n, nsamp_floats *t) {
    enum { V = NSAMP_TILE_VECTORS };
    for (uint32_t i = 0; i < n; i++, w += ws, z += zs) {
        nsamp_floats v[V];
        NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) v[c] = nsamp_floats_load(z + c * NSAMP_WIDTH);
        NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_TILE_ROWS; r++) {
            if (r >= R) continue;
            const nsamp_floats all = nsamp_floats_all(w[r * wr]);
            NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) t[r * V + c] =
                nsamp_floats_fma(all, v[c], t[r * V + c]);
        }
    }
}

#endif
