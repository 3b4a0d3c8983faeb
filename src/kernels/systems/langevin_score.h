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
 *          Gaussian (heart) it overflows and is flagged.
 *
 * State [S][L], S = D: x; of a mixture relative to its mean, as its tables are, and so is what is observed:
 * the host adds the mean (systems/model.h). */
#ifndef NSAMP_KERNELS_SYSTEMS_LANGEVIN_SCORE_H
#define NSAMP_KERNELS_SYSTEMS_LANGEVIN_SCORE_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"
#include "kernels/targets/heart.h"
#include "kernels/targets/laplace_copula.h"
#include "kernels/targets/mixture.h"
#include "kernels/tile_product.h"

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
    uint64_t weight_offset, square_offset, pull_offset; /* [K] each */
    uint64_t mean_offset;                               /* [K][D] */
    uint64_t inverse_factor_offset;                     /* [K][D][D], or 0 */
} nsamp_langevin_score_params;

/* Rows of L floats of scratch: the mixture's, elsewhere the drift [2]; then, for a factor, what it turns [D]. */
#define NSAMP_SCORE_ROWS(dim, components, full)                                                              \
    ((components) ? NSAMP_MIXTURE_ROWS(dim, components, full) : (size_t)2)
#define NSAMP_SCORE_SCRATCH(L, dim, components, full, factor)                                                \
    (sizeof(float) * (size_t)(L) * (NSAMP_SCORE_ROWS(dim, components, full) + ((factor) ? (size_t)(dim) : 0)))

NSAMP_HD const float *nsamp_score_table(const nsamp_langevin_score_params *p, uint64_t offset) {
    return offset ? (const float *)((const char *)p + offset) : NULL;
}

NSAMP_HD nsamp_mixture_tables nsamp_score_mixture(const nsamp_langevin_score_params *p) {
    nsamp_mixture_tables m;
    m.dim = p->dim;
    m.components = p->components;
    m.weight = nsamp_score_table(p, p->weight_offset);
    m.square = nsamp_score_table(p, p->square_offset);
    m.pull = nsamp_score_table(p, p->pull_offset);
    m.mean = nsamp_score_table(p, p->mean_offset);
    m.inverse_factor = nsamp_score_table(p, p->inverse_factor_offset);
    return m;
}

/* What the drift h s at x [D][L] needs -> scratch: all of it, or the first pass of a mixture. */
NSAMP_HD void nsamp_score_begin(const nsamp_langevin_score_params *p, const nsamp_mixture_tables *m,
                                const float *x, float *scratch, const uint32_t L) {
    const float h = p->h;
    if (p->target == NSAMP_SCORE_MIXTURE) {
        nsamp_mixture_begin(m, x, scratch, L);
    } else if (p->target == NSAMP_SCORE_LAPLACE_COPULA) {
        NSAMP_FOR_LANES(l, L) {
            float at[2] = {x[l], x[L + l]}, out[2];
            nsamp_laplace_copula_score(p->rho, p->w, at, out);
            scratch[l] = h * out[0];
            scratch[L + l] = h * out[1];
        }
    } else {
        NSAMP_FOR_LANES(l, L) {
            float at[2] = {x[l], x[L + l]}, out[2];
            nsamp_heart_score(at, out);
            scratch[l] = h * out[0];
            scratch[L + l] = h * out[1];
        }
    }
}

/* R coordinates (a constant in each call, 4 at most) of h s from d on -> t [R][V], for one group of lanes (tile_product.h); x and
 * scratch at its first lane. */
NSAMP_HD void nsamp_score_drift(const uint32_t R, const nsamp_langevin_score_params *p,
                                const nsamp_mixture_tables *m, uint32_t d, const float *x,
                                const float *scratch, nsamp_floats *t, const uint32_t L) {
    if (p->target == NSAMP_SCORE_MIXTURE)
        nsamp_mixture_drift(R, m, d, x, scratch, t, L);
    else
        nsamp_tile_load(R, scratch + d * L, L, t);
}

/* What is made of R coordinates from d on, for all lanes. NAIVE: x += h s + a z. SCORE: v = h s. NOISE: v = L^T v + a z in place:
 * component d of L^T v needs v from d on. MOVE: x += L v. z [R] begins at draw d; all += 0 x, which stays 0 only while every x is finite. */
enum { NSAMP_MAKE_NAIVE, NSAMP_MAKE_SCORE, NSAMP_MAKE_NOISE, NSAMP_MAKE_MOVE };

typedef struct nsamp_score_lanes {
    float *x, *scratch, *v, *all; /* [D][L], rows of L, [D][L], [L] */
} nsamp_score_lanes;

NSAMP_HD void nsamp_score_rows(const uint32_t R, const uint32_t what, const nsamp_langevin_score_params *p,
                               const nsamp_mixture_tables *m, const nsamp_score_lanes *at, uint32_t d,
                               const float *z, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS, W = NSAMP_WIDTH };
    const uint32_t D = p->dim;
    const float *const factor = nsamp_score_table(p, p->factor_offset);
    for (uint32_t g = 0; g < L; g += NSAMP_GROUP(NSAMP_TILE_LANES, L)) {
        float *const x = at->x + (size_t)d * L + g, *const v = at->v + (size_t)d * L + g;
        nsamp_floats t[NSAMP_TILE_ROWS * V];
        if (what == NSAMP_MAKE_NAIVE || what == NSAMP_MAKE_SCORE)
            nsamp_score_drift(R, p, m, d, at->x + g, at->scratch + g, t, L);
        if (what == NSAMP_MAKE_NOISE) {
            nsamp_tile_zero(R, t);
            nsamp_tile_product(R, factor + (size_t)d * D + d, D, 1, v, L, D - d, t);
        }
        if (what == NSAMP_MAKE_MOVE) {
            nsamp_tile_load(R, x, L, t);
            nsamp_tile_product(R, factor + (size_t)d * D, 1, D, at->v + g, L, d + R, t);
        }
        NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_TILE_ROWS * V; i++) {
            if (i >= R * V) continue;
            const size_t to = i / V * L + i % V * W;
            if (what == NSAMP_MAKE_NAIVE || what == NSAMP_MAKE_NOISE)
                t[i] = nsamp_floats_fma(nsamp_floats_all(p->a), nsamp_floats_load(z + to + g), t[i]);
            if (what == NSAMP_MAKE_NAIVE) t[i] = nsamp_floats_add(nsamp_floats_load(x + to), t[i]);
        }
        nsamp_tile_store(R, t, what == NSAMP_MAKE_NAIVE || what == NSAMP_MAKE_MOVE ? x : v, L);
        if (what == NSAMP_MAKE_SCORE || what == NSAMP_MAKE_NOISE) continue;
        NSAMP_UNROLL for (uint32_t c = 0; c < V; c++) {
            nsamp_floats sum = nsamp_floats_load(at->all + g + c * W);
            NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_TILE_ROWS; r++) if (r < R) sum =
                nsamp_floats_fma(t[r * V + c], nsamp_floats_all(0.0f), sum);
            nsamp_floats_store(at->all + g + c * W, sum);
        }
    }
}

/* n coordinates, 4 at most, in fours, twos and ones. What z begins with is a constant in each call, so that a GPU thread has z in registers. */
NSAMP_HD void nsamp_score_some(const uint32_t what, const nsamp_langevin_score_params *p,
                               const nsamp_mixture_tables *m, const nsamp_score_lanes *at, uint32_t d,
                               uint32_t n, const float *z, const uint32_t L) {
    if (n == 4) nsamp_score_rows(4, what, p, m, at, d, z, L);
    if (n == 2 || n == 3) nsamp_score_rows(2, what, p, m, at, d, z, L);
    if (n == 3) nsamp_score_rows(1, what, p, m, at, d + 2, z + 2 * L, L);
    if (n == 1) nsamp_score_rows(1, what, p, m, at, d, z, L);
}

/* All coordinates of a step. row: of this step; tail, first: as in nsamp_row_tail. */
NSAMP_HD void nsamp_score_step(const nsamp_langevin_score_params *p, const nsamp_mixture_tables *m,
                               const nsamp_tile *t, const nsamp_score_lanes *at, nsamp_row *row, float *tail,
                               uint32_t first, const uint32_t L) {
    const uint32_t D = p->dim, natural = p->factor_offset != 0;
    float z[4 * NSAMP_ROW_LANES];
    nsamp_score_begin(p, m, at->x, at->scratch, L);
    for (uint32_t d = 0; natural && d < D; d += 4)
        nsamp_score_some(NSAMP_MAKE_SCORE, p, m, at, d, D - d < 4 ? D - d : 4, z, L);
    for (uint32_t d = 0; d + 4 <= D; d += 4) {
        nsamp_row_normals(row, t->noise, d / 4, L, z);
        if (natural)
            nsamp_score_some(NSAMP_MAKE_NOISE, p, m, at, d, 4, z, L);
        else
            nsamp_score_some(NSAMP_MAKE_NAIVE, p, m, at, d, 4, z, L);
    }
    if (D % 4) {
        nsamp_row_tail(row, t->noise, D, first, L, tail);
        if (natural)
            nsamp_score_some(NSAMP_MAKE_NOISE, p, m, at, D - D % 4, D % 4, tail, L);
        else
            nsamp_score_some(NSAMP_MAKE_NAIVE, p, m, at, D - D % 4, D % 4, tail, L);
    }
    for (uint32_t d = 0; natural && d < D; d += 4)
        nsamp_score_some(NSAMP_MAKE_MOVE, p, m, at, d, D - d < 4 ? D - d : 4, z, L);
}

NSAMP_HD void nsamp_langevin_score_advance(const void *params, const nsamp_tile *t, const uint32_t L,
                                           uint64_t step0, uint32_t nsteps) {
    const nsamp_langevin_score_params *p = (const nsamp_langevin_score_params *)params;
    const nsamp_mixture_tables m = nsamp_score_mixture(p);
    float all[NSAMP_ROW_LANES], tail[4 * NSAMP_ROW_LANES];
    nsamp_score_lanes at;
    at.x = t->state;
    at.scratch = (float *)t->scratch;
    at.v = at.scratch + NSAMP_SCORE_ROWS(p->dim, p->components, m.inverse_factor) * L; /* of a factor */
    at.all = all;
    nsamp_row row;
    nsamp_row_begin(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0, L);
    for (uint32_t n = 0; n < nsteps; n++) {
        if (n > 0) nsamp_row_next(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0 + n, L);
        NSAMP_FOR_LANES(l, L) all[l] = 0.0f;
        nsamp_score_step(p, &m, t, &at, &row, tail, n == 0, L);
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
