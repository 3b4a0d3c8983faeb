/* mixture.h: float32 drift h s(x) of a mixture of Gaussians for all lanes of a tile, h the step of the scheme (the double-precision
 * target is host/targets/mixture.c).
 *
 *   s = sum_k r_k C_k^-1 (mu_k - x),   r_k = exp(l_k - max l) / sum,   l_k = log w_k - log det(C_k)/2 - |W_k (mu_k - x)|^2 / 2,
 *   C_k^-1 = W_k^T W_k, W_k lower triangular or I / sd_k
 * in two passes over the coordinates: the l_k and from them the c_k = r_k h / sd_k^2 (full: r_k h), then four coordinates of h s at a
 * time, so that whoever moves them needs no array of the score. No exponential overflows, since the largest exponent is 0. Where the
 * squares do, |W_k (mu_k - x)| beyond 1.8e19 for all k, every l_k is -infinity and the drift NaN. Errors: tests/test_scores.c.
 *
 * Sums take their terms in order, in one accumulator each, in blocks of registers (vector.h): a group of
 * NSAMP_TILE_LANES lanes at a time. */
#ifndef NSAMP_KERNELS_TARGETS_MIXTURE_H
#define NSAMP_KERNELS_TARGETS_MIXTURE_H

#include "kernels/elementary.h"
#include "kernels/tile_product.h"

enum { NSAMP_MIXTURE_LANES = 64 };

typedef struct nsamp_mixture_tables {
    uint32_t dim, components;    /* D, K */
    const float *weight;         /* log w_k - log det(C_k)/2 [K] */
    const float *square;         /* -1 / (2 sd_k^2), or -1/2 where full [K] */
    const float *pull;           /* h / sd_k^2, or h where full [K] */
    const float *mean;           /* [K][D] */
    const float *inverse_factor; /* W [K][D][D], zeros above the diagonal; NULL: round components */
} nsamp_mixture_tables;

/* Rows of L floats of scratch: l, then c [K]; where full W_k (mu_k - x), then c_k times it [K][D]. */
#define NSAMP_MIXTURE_ROWS(dim, components, full) ((components) + ((full) ? (size_t)(components) * (dim) : 0))

/* l of R round components (a constant in each call, 4 at most) from k on, for one group: l and x at its first lane. */
NSAMP_HD void nsamp_mixture_round(const uint32_t R, const nsamp_mixture_tables *m, uint32_t k, const float *x,
                                  float *l, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS, W = NSAMP_WIDTH };
    const uint32_t D = m->dim;
    const float *mean = m->mean + (size_t)k * D;
    nsamp_floats t[NSAMP_TILE_ROWS * V];
    nsamp_tile_zero(R, t);
    for (uint32_t d = 0; d < D; d++, mean++, x += L) {
        nsamp_floats v[V];
        NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) v[c] = nsamp_floats_load(x + c * W);
        NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_TILE_ROWS; r++) {
            if (r >= R) continue;
            const nsamp_floats all = nsamp_floats_all(mean[(size_t)r * D]);
            NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) {
                const nsamp_floats u = nsamp_floats_sub(all, v[c]);
                t[r * V + c] = nsamp_floats_fma(u, u, t[r * V + c]);
            }
        }
    }
    NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_TILE_ROWS * V; i++) if (i < R * V) nsamp_floats_store(
        l + i / V * L + i % V * W, nsamp_floats_fma(nsamp_floats_all(m->square[k + i / V]), t[i],
                                                    nsamp_floats_all(m->weight[k + i / V])));
}

/* R rows of u = W_k y from row d on, in the place of those of y, and their squares added to square [V], for one group: y at its first
 * lane. */
NSAMP_HD void nsamp_mixture_turn(const uint32_t R, const float *w, uint32_t D, uint32_t d, float *y,
                                 nsamp_floats *square, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS };
    nsamp_floats t[NSAMP_TILE_ROWS * V];
    nsamp_tile_zero(R, t);
    nsamp_tile_product(R, w + (size_t)d * D, 1, D, y, L, d + R, t);
    nsamp_tile_store(R, t, y + (size_t)d * L, L);
    NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_TILE_ROWS * V; i++) if (i < R * V) square[i % V] =
        nsamp_floats_fma(t[i], t[i], square[i % V]);
}

/* l_k and u = W_k (mu_k - x) [D]. Rows from the last on, since a row of u needs those of y = mu_k - x before it. */
NSAMP_HD void nsamp_mixture_full(const nsamp_mixture_tables *m, uint32_t k, const float *x, float *l,
                                 float *u, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS, W = NSAMP_WIDTH };
    const uint32_t D = m->dim;
    const float *const mean = m->mean + (size_t)k * D, *const w = m->inverse_factor + (size_t)k * D * D;
    for (uint32_t d = 0; d < D; d++)
        NSAMP_FOR_LANES(i, L) u[(size_t)d * L + i] = mean[d] - x[(size_t)d * L + i];
    for (uint32_t g = 0; g < L; g += NSAMP_GROUP(NSAMP_TILE_LANES, L)) {
        nsamp_floats square[V];
        NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) square[c] = nsamp_floats_all(0.0f);
        uint32_t d = D;
        if (d % 2) nsamp_mixture_turn(1, w, D, d -= 1, u + g, square, L);
        if (d % 4) nsamp_mixture_turn(2, w, D, d -= 2, u + g, square, L);
        while (d > 0)
            nsamp_mixture_turn(4, w, D, d -= 4, u + g, square, L);
        NSAMP_UNROLL for (uint32_t c = 0; c < V; c++)
            nsamp_floats_store(l + g + c * W, nsamp_floats_fma(nsamp_floats_all(m->square[k]), square[c],
                                                               nsamp_floats_all(m->weight[k])));
    }
}

/* l [K][L] -> c. With two components one of the exponentials is exp(0) = 1, so one is computed. Where no l is a number or finite, shares are NaN:
 * with two components by a division by 0, with more since all exponentials are 0. nsamp_max may meet a NaN there, against its rule: whichever
 * it takes, the differences are NaN. */
NSAMP_HD void nsamp_mixture_shares(const nsamp_mixture_tables *m, float *l, const uint32_t L) {
    const uint32_t K = m->components;
    if (K == 2) {
        const float first = m->pull[0], second = m->pull[1];
        NSAMP_FOR_LANES(i, L) {
            const float lead = l[i] - l[L + i];
            const float e = nsamp_exp_share(nsamp_float_of(nsamp_bits_of(lead) | 0x80000000u));
            const float most = nsamp_div_mid(1.0f, lead == lead ? 1.0f + e : 0.0f), least = e * most;
            l[i] = (lead > 0.0f ? most : least) * first;
            l[L + i] = (lead > 0.0f ? least : most) * second;
        }
        return;
    }
    float most[NSAMP_MIXTURE_LANES], sum[NSAMP_MIXTURE_LANES];
    NSAMP_FOR_LANES(i, L) most[i] = l[i];
    for (uint32_t k = 1; k < K; k++)
        NSAMP_FOR_LANES(i, L) most[i] = nsamp_max(l[(size_t)k * L + i], most[i]);
    NSAMP_FOR_LANES(i, L) sum[i] = 0.0f;
    for (uint32_t k = 0; k < K; k++)
        NSAMP_FOR_LANES(i, L) {
            const float e = nsamp_exp_share(l[(size_t)k * L + i] - most[i]);
            l[(size_t)k * L + i] = e;
            sum[i] += e;
        }
    NSAMP_FOR_LANES(i, L) sum[i] = nsamp_div(1.0f, sum[i]);
    for (uint32_t k = 0; k < K; k++) {
        const float pull = m->pull[k];
        NSAMP_FOR_LANES(i, L) l[(size_t)k * L + i] *= sum[i] * pull;
    }
}

/* The first pass. x [D][L]; scratch: NSAMP_MIXTURE_ROWS rows of L. */
NSAMP_HD void nsamp_mixture_begin(const nsamp_mixture_tables *m, const float *x, float *scratch,
                                  const uint32_t L) {
    const uint32_t D = m->dim, K = m->components;
    float *const l = scratch, *const u = scratch + (size_t)K * L;
    for (uint32_t k = 0; m->inverse_factor && k < K; k++)
        nsamp_mixture_full(m, k, x, l + (size_t)k * L, u + (size_t)k * D * L, L);
    for (uint32_t g = 0; !m->inverse_factor && g < L; g += NSAMP_GROUP(NSAMP_TILE_LANES, L)) {
        uint32_t k = 0;
        for (; k + 4 <= K; k += 4)
            nsamp_mixture_round(4, m, k, x + g, l + (size_t)k * L + g, L);
        for (; k + 2 <= K; k += 2)
            nsamp_mixture_round(2, m, k, x + g, l + (size_t)k * L + g, L);
        if (k < K) nsamp_mixture_round(1, m, k, x + g, l + (size_t)k * L + g, L);
    }
    nsamp_mixture_shares(m, l, L);
    for (uint32_t k = 0; m->inverse_factor && k < K; k++)
        for (uint32_t d = 0; d < D; d++)
            NSAMP_FOR_LANES(i, L) u[((size_t)k * D + d) * L + i] *= l[(size_t)k * L + i];
}

/* The second: R coordinates of h s from d on -> t [R][V], for one group; x and scratch at its first lane. */
NSAMP_HD void nsamp_mixture_drift(const uint32_t R, const nsamp_mixture_tables *m, uint32_t d, const float *x,
                                  const float *scratch, nsamp_floats *t, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS, W = NSAMP_WIDTH };
    const uint32_t D = m->dim, K = m->components;
    nsamp_tile_zero(R, t);
    const float *u = scratch + ((size_t)K + d) * L;
    for (uint32_t k = 0; m->inverse_factor && k < K; k++, u += (size_t)D * L)
        nsamp_tile_product(R, m->inverse_factor + ((size_t)k * D + d) * D + d, D, 1, u, L, D - d, t);
    if (m->inverse_factor) return;
    const float *mean = m->mean + d, *share = scratch;
    x += (size_t)d * L;
    for (uint32_t k = 0; k < K; k++, mean += D, share += L) {
        nsamp_floats own[V];
        NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) own[c] = nsamp_floats_load(share + c * W);
        NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_TILE_ROWS; r++) {
            if (r >= R) continue;
            const nsamp_floats all = nsamp_floats_all(mean[r]);
            NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) t[r * V + c] = nsamp_floats_fma(
                own[c], nsamp_floats_sub(all, nsamp_floats_load(x + r * L + c * W)), t[r * V + c]);
        }
    }
}

#endif
