/* langevin_score.h: Langevin dynamics on a target that is known through its score: mixture, laplace-copula, heart.
 *
 * Equation dx = P s(x) dt + sqrt(2 P) dB, s = grad log p;  naive: P = I;  natural: P = Cov_p, a constant
 *          [Ma, Chen and Fox 2015].
 * Scheme   Euler-Maruyama, step h:
 *   naive    x <- x + h s(x) + sqrt(2h) z
 *   natural  x <- x + L v,  v = h L^T s(x) + sqrt(2h) z,  Cov_p = L L^T (Cholesky): P s = L L^T s and L z has covariance P
 * Law      p only for h -> 0: at a finite h no exact law is known, but what a symmetry of p and of the scheme forces (host,
 *          systems/langevin_score.c). The bias is O(h); tests/test_langevin_score.c measures its order.
 * Draws    D normals a step: z_i is draw i % 4 of block i / 4, of which steps share the last (nsamp_tail_steps).
 * Cost     the score, O(K D) isotropic or O(K D^2); natural: D^2 more.
 * Fails    where h times the curvature of log p exceeds 2: the chain oscillates; on a density that falls faster than a
 *          Gaussian (heart) it overflows and is flagged. The mixture's score overflows for |x| beyond 1e19.
 *
 * State [S][L], S = D: x. */
#ifndef NSAMP_KERNELS_SYSTEMS_LANGEVIN_SCORE_H
#define NSAMP_KERNELS_SYSTEMS_LANGEVIN_SCORE_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"
#include "kernels/targets/heart.h"
#include "kernels/targets/laplace_copula.h"
#include "kernels/targets/mixture.h"

enum { NSAMP_SCORE_MIXTURE, NSAMP_SCORE_LAPLACE_COPULA, NSAMP_SCORE_HEART };

typedef struct nsamp_langevin_score_params {
    uint32_t target; /* NSAMP_SCORE_... */
    uint32_t dim;    /* D */
    float h, a;      /* step, sqrt(2h) */
    /* Bytes from this struct to arrays of floats; 0: none */
    uint64_t factor_offset; /* L [D][D], zeros above the diagonal; 0: naive */
    /* laplace-copula */
    float rho, w; /* w = rho / (1 - rho^2) */
    /* mixture (kernels/targets/mixture.h) */
    uint32_t components, unused;
    uint64_t weight_offset;         /* [K] */
    uint64_t mean_offset;           /* [K][D] */
    uint64_t inverse_sd_offset;     /* [K], or 0 */
    uint64_t inverse_factor_offset; /* [K][D][D], or 0 */
} nsamp_langevin_score_params;

/* Scratch of a tile of L lanes: score and v [D] each, then the mixture's. */
#define NSAMP_SCORE_SCRATCH(L, dim, components, full)                                                        \
    (sizeof(float) * (size_t)(L) * (2 * (size_t)(dim) + NSAMP_MIXTURE_ROWS(dim, components, full)))

NSAMP_HD const float *nsamp_score_table(const nsamp_langevin_score_params *p, uint64_t offset) {
    return (const float *)((const char *)p + offset);
}

/* Score at x [D][L] -> s [D][L]. */
NSAMP_HD void nsamp_target_score(const nsamp_langevin_score_params *p, const float *x, float *s,
                                 float *scratch, const uint32_t L) {
    if (p->target == NSAMP_SCORE_MIXTURE) {
        nsamp_mixture_tables m;
        m.dim = p->dim;
        m.components = p->components;
        m.weight = nsamp_score_table(p, p->weight_offset);
        m.mean = nsamp_score_table(p, p->mean_offset);
        m.inverse_sd = p->inverse_sd_offset ? nsamp_score_table(p, p->inverse_sd_offset) : NULL;
        m.inverse_factor = nsamp_score_table(p, p->inverse_factor_offset);
        nsamp_mixture_score(&m, x, s, scratch, L);
        return;
    }
    if (p->target == NSAMP_SCORE_LAPLACE_COPULA) {
        NSAMP_FOR_LANES(l, L) {
            float at[2] = {x[l], x[L + l]}, out[2];
            nsamp_laplace_copula_score(p->rho, p->w, at, out);
            s[l] = out[0];
            s[L + l] = out[1];
        }
        return;
    }
    NSAMP_FOR_LANES(l, L) {
        float at[2] = {x[l], x[L + l]}, out[2];
        nsamp_heart_score(at, out);
        s[l] = out[0];
        s[L + l] = out[1];
    }
}

/* Coordinates 4 b to 4 b + n - 1 of v: h s + sqrt(2h) z. */
NSAMP_HD void nsamp_score_block(const nsamp_langevin_score_params *p, uint32_t b, const float *s,
                                const float *z, float *v, const uint32_t L, const uint32_t n) {
    for (uint32_t k = 0; k < 4; k++) {
        if (k >= n) break; /* not the loop's bound: z of a GPU thread stays in registers */
        const size_t at = (size_t)(4 * b + k) * L;
        NSAMP_FOR_LANES(l, L) v[at + l] = nsamp_fma(p->a, z[k * L + l], p->h * s[at + l]);
    }
}

/* v [D] = h s + sqrt(2h) z, with L^T s for s in the natural geometry. row: of this step; tail, first: as in nsamp_row_tail. */
NSAMP_HD void nsamp_score_move(const nsamp_langevin_score_params *p, const nsamp_tile *t, nsamp_row *row,
                               float *tail, uint32_t first, float *s, float *v, const uint32_t L) {
    const uint32_t D = p->dim;
    const float *const factor = p->factor_offset ? nsamp_score_table(p, p->factor_offset) : NULL;
    float z[4 * NSAMP_ROW_LANES];
    /* in place: component d of L^T s needs s from d on. The factor as a number of its own: else compilers read it again for each lane */
    for (uint32_t d = 0; factor && d < D; d++) {
        float *const sd = s + (size_t)d * L;
        const float own = factor[(size_t)d * D + d];
        NSAMP_FOR_LANES(l, L) sd[l] *= own;
        for (uint32_t e = d + 1; e < D; e++) {
            const float f = factor[(size_t)e * D + d], *const se = s + (size_t)e * L;
            NSAMP_FOR_LANES(l, L) sd[l] = nsamp_fma(f, se[l], sd[l]);
        }
    }
    for (uint32_t b = 0; b < D / 4; b++) {
        nsamp_row_normals(row, t->noise, b, L, z);
        nsamp_score_block(p, b, s, z, v, L, 4);
    }
    if (D % 4 == 0) return;
    nsamp_row_tail(row, t->noise, D, first, L, tail);
    nsamp_score_block(p, D / 4, s, tail, v, L, D % 4);
}

NSAMP_HD void nsamp_langevin_score_advance(const void *params, const nsamp_tile *t, const uint32_t L,
                                           uint64_t step0, uint32_t nsteps) {
    const nsamp_langevin_score_params *p = (const nsamp_langevin_score_params *)params;
    const uint32_t D = p->dim;
    const float *const factor = p->factor_offset ? nsamp_score_table(p, p->factor_offset) : NULL;
    float *const x = t->state, *const s = (float *)t->scratch, *const v = s + (size_t)D * L;
    float *const scratch = v + (size_t)D * L;
    float all[NSAMP_ROW_LANES], tail[4 * NSAMP_ROW_LANES];
    nsamp_row row;
    nsamp_row_begin(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0, L);
    for (uint32_t n = 0; n < nsteps; n++) {
        if (n > 0) nsamp_row_next(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0 + n, L);
        nsamp_target_score(p, x, s, scratch, L);
        nsamp_score_move(p, t, &row, tail, n == 0, s, v, L);
        NSAMP_FOR_LANES(l, L) all[l] = 0.0f;
        for (uint32_t d = 0; d < D; d++) {
            float *const xd = x + (size_t)d * L;
            if (!factor) NSAMP_FOR_LANES(l, L) xd[l] += v[(size_t)d * L + l];
            for (uint32_t e = 0; factor && e <= d; e++) {
                const float f = factor[(size_t)d * D + e];
                NSAMP_FOR_LANES(l, L) xd[l] = nsamp_fma(f, v[(size_t)e * L + l], xd[l]);
            }
            NSAMP_FOR_LANES(l, L) all[l] = nsamp_fma(xd[l], 0.0f, all[l]);
        }
        NSAMP_FOR_LANES(l, L) {
            const uint32_t failed = (uint32_t)(all[l] != 0.0f) & (uint32_t)(t->bad[l] == 0);
            t->bad[l] += failed * (n + 1);
        }
    }
}

NSAMP_HD void nsamp_langevin_score_observe(const void *params, const nsamp_tile *tile, const uint32_t L,
                                           float *x) {
    const nsamp_langevin_score_params *p = (const nsamp_langevin_score_params *)params;
    for (uint32_t d = 0; d < p->dim; d++)
        NSAMP_FOR_LANES(l, L) x[(size_t)d * L + l] = tile->state[(size_t)d * L + l];
}

#endif
