/* mixture.h: float32 score of a mixture of Gaussians for all lanes of a tile (the double-precision target is
 * host/targets/mixture.c).
 *
 *   score = sum_k r_k C_k^-1 (mu_k - x),   r_k = exp(l_k - max l) / sum,
 *   l_k = log w_k - log det(C_k)/2 - |W_k (x - mu_k)|^2 / 2,   C_k^-1 = W_k^T W_k, W_k lower triangular
 * or W_k = I / sd_k. Two passes over the components, the first for the l_k: exact in range, since the largest exponent is 0.
 * Errors: tests/test_scores.c. */
#ifndef NSAMP_KERNELS_TARGETS_MIXTURE_H
#define NSAMP_KERNELS_TARGETS_MIXTURE_H

#include "kernels/elementary.h"

enum { NSAMP_MIXTURE_LANES = 64 };

typedef struct nsamp_mixture_tables {
    uint32_t dim, components;    /* D, K */
    const float *weight;         /* log w_k - log det(C_k)/2 [K] */
    const float *mean;           /* [K][D] */
    const float *inverse_sd;     /* [K]; NULL: full covariances */
    const float *inverse_factor; /* W [K][D][D] */
} nsamp_mixture_tables;

/* Rows of L floats of scratch: l [K], and W_k (x - mu_k) [K][D] where full. */
#define NSAMP_MIXTURE_ROWS(dim, components, full) ((components) + ((full) ? (size_t)(components) * (dim) : 0))

/* l_k, isotropic. */
NSAMP_HD void nsamp_mixture_round(const nsamp_mixture_tables *m, uint32_t k, const float *x, float *l,
                                  const uint32_t L) {
    const float *const mean = m->mean + (size_t)k * m->dim, g = m->inverse_sd[k];
    float square[NSAMP_MIXTURE_LANES];
    NSAMP_FOR_LANES(i, L) square[i] = 0.0f;
    for (uint32_t d = 0; d < m->dim; d++)
        NSAMP_FOR_LANES(i, L) {
            const float u = g * (x[(size_t)d * L + i] - mean[d]);
            square[i] = nsamp_fma(u, u, square[i]);
        }
    NSAMP_FOR_LANES(i, L) l[i] = nsamp_fma(-0.5f, square[i], m->weight[k]);
}

/* l_k and u = W_k (x - mu_k) [D]. */
NSAMP_HD void nsamp_mixture_full(const nsamp_mixture_tables *m, uint32_t k, const float *x, float *l,
                                 float *u, const uint32_t L) {
    const uint32_t D = m->dim;
    const float *const mean = m->mean + (size_t)k * D, *const w = m->inverse_factor + (size_t)k * D * D;
    NSAMP_FOR_LANES(i, L) l[i] = 0.0f;
    for (uint32_t d = 0; d < D; d++) {
        float *const row = u + (size_t)d * L;
        NSAMP_FOR_LANES(i, L) row[i] = 0.0f;
        for (uint32_t e = 0; e <= d; e++) {
            const float f = w[(size_t)d * D + e];
            NSAMP_FOR_LANES(i, L) row[i] = nsamp_fma(f, x[(size_t)e * L + i] - mean[e], row[i]);
        }
        NSAMP_FOR_LANES(i, L) l[i] = nsamp_fma(row[i], row[i], l[i]);
    }
    NSAMP_FOR_LANES(i, L) l[i] = nsamp_fma(-0.5f, l[i], m->weight[k]);
}

/* s += share C_k^-1 (mu_k - x), for u as above. */
NSAMP_HD void nsamp_mixture_pull(const nsamp_mixture_tables *m, uint32_t k, const float *share,
                                 const float *x, const float *u, float *s, const uint32_t L) {
    const uint32_t D = m->dim;
    if (m->inverse_sd) {
        const float *const mean = m->mean + (size_t)k * D, g = m->inverse_sd[k];
        for (uint32_t d = 0; d < D; d++)
            NSAMP_FOR_LANES(i, L) {
                const float pull = g * g * (mean[d] - x[(size_t)d * L + i]);
                s[(size_t)d * L + i] = nsamp_fma(share[i], pull, s[(size_t)d * L + i]);
            }
        return;
    }
    const float *const w = m->inverse_factor + (size_t)k * D * D;
    for (uint32_t e = 0; e < D; e++)
        for (uint32_t d = 0; d <= e; d++)
            NSAMP_FOR_LANES(i, L) {
                const float pull = -w[(size_t)e * D + d] * u[(size_t)e * L + i];
                s[(size_t)d * L + i] = nsamp_fma(share[i], pull, s[(size_t)d * L + i]);
            }
}

/* x [D][L] -> s [D][L]; scratch: NSAMP_MIXTURE_ROWS rows of L. */
NSAMP_HD void nsamp_mixture_score(const nsamp_mixture_tables *m, const float *x, float *s, float *scratch,
                                  const uint32_t L) {
    const uint32_t D = m->dim, K = m->components;
    float *const l = scratch, *const u = scratch + (size_t)K * L;
    float most[NSAMP_MIXTURE_LANES], sum[NSAMP_MIXTURE_LANES];
    NSAMP_FOR_LANES(i, L) most[i] = -0x1.fffffep+127f;
    for (uint32_t k = 0; k < K; k++) {
        float *const lk = l + (size_t)k * L;
        if (m->inverse_sd)
            nsamp_mixture_round(m, k, x, lk, L);
        else
            nsamp_mixture_full(m, k, x, lk, u + (size_t)k * D * L, L);
        NSAMP_FOR_LANES(i, L) most[i] = lk[i] > most[i] ? lk[i] : most[i];
    }
    NSAMP_FOR_LANES(i, L) sum[i] = 0.0f;
    for (uint32_t d = 0; d < D; d++)
        NSAMP_FOR_LANES(i, L) s[(size_t)d * L + i] = 0.0f;
    for (uint32_t k = 0; k < K; k++) {
        float *const lk = l + (size_t)k * L;
        NSAMP_FOR_LANES(i, L) {
            lk[i] = nsamp_exp(lk[i] - most[i]);
            sum[i] += lk[i];
        }
        nsamp_mixture_pull(m, k, lk, x, u + (m->inverse_sd ? 0 : (size_t)k * D * L), s, L);
    }
    NSAMP_FOR_LANES(i, L) sum[i] = nsamp_div(1.0f, sum[i]);
    for (uint32_t d = 0; d < D; d++)
        NSAMP_FOR_LANES(i, L) s[(size_t)d * L + i] *= sum[i];
}

#endif
