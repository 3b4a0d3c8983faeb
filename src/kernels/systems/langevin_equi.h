/* langevin_equi.h: Langevin dynamics on an equicorrelated Gaussian, O(D) a step, no D x D matrix.
 *
 * Target   N(mu, Sigma), Sigma = v [(1 - rho) I + rho 1 1^T].
 * Equation dx = -D Sigma^-1 (x - mu) dt + sqrt(2 D) dB;  naive: D = I;  natural: D = Sigma
 *          [Ma, Chen and Fox 2015; Masset et al. 2022 for the two geometries].
 * Scheme   Euler-Maruyama, step h, in coordinates u [D] with s = sum(u) and x - mu = u + kappa s:
 *              u <- c1 u + a z + c2 s,  then s <- sum(u)
 *   naive    c1 = 1 - h / (v (1 - rho)), a = sqrt(2h), kappa = 0,
 *            c2 = h rho / (v (1 - rho) (1 + (D-1) rho))
 *   natural  c1 = 1 - h, a = sqrt(2h) alpha, kappa = beta / alpha, c2 = 0, where Sigma^(1/2) is
 *            alpha I + beta 1 1^T: alpha = sqrt(v (1 - rho)), beta = (sqrt(v (1 + (D-1) rho)) - alpha) / D
 *   Natural Langevin is the isotropic process seen through Sigma^(1/2) / alpha = I + kappa 1 1^T: exactly,
 *   after discretisation too. A start x is u = (x - mu) - kappa / (1 + D kappa) sum(x - mu), s = sum(u).
 *   What is observed is x - mu; the host adds mu (systems/model.h).
 * Law      exactly Gaussian; covariance P = (I - hK) P (I - hK)^T + 2hD (host: systems/langevin.c).
 * Draws    D normals a step: coordinate i is draw i % 4 of block i / 4, of which steps share the last (nsamp_tail_steps).
 * Sums     partial (i / 4) % 256, then a halving tree: the order a warp or a block of a GPU can follow.
 * Fails    naive: h >= 2 lambda_min(Sigma); natural: h >= 2. The chain then overflows and is flagged.
 *
 * State [S][L], S = D + 1: u, then s. */
#ifndef NSAMP_KERNELS_SYSTEMS_LANGEVIN_EQUI_H
#define NSAMP_KERNELS_SYSTEMS_LANGEVIN_EQUI_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"

typedef struct nsamp_langevin_equi_params {
    uint32_t dim; /* D */
    float c1, a, c2, kappa;
} nsamp_langevin_equi_params;

enum { NSAMP_EQUI_PARTIALS = 256 };

/* Scratch of a tile of L lanes: partial sums. */
#define NSAMP_EQUI_SCRATCH(L) (sizeof(float) * NSAMP_EQUI_PARTIALS * (L))

/* Partial sums in use: a power of two, enough for the blocks of four coordinates. */
NSAMP_HD uint32_t nsamp_equi_partials(uint32_t dim) {
    uint32_t blocks = (dim + 3) / 4, n = 1;
    while (n < blocks && n < NSAMP_EQUI_PARTIALS)
        n *= 2;
    return n;
}

/* One coordinate of the update; g = c2 s. */
NSAMP_HD float nsamp_equi_update(const nsamp_langevin_equi_params *p, float u, float g, float z) {
    return nsamp_fma(p->c1, u, nsamp_fma(p->a, z, g));
}

/* One coordinate of what is sampled. */
NSAMP_HD float nsamp_equi_x(const nsamp_langevin_equi_params *p, float u, float s) {
    return u + nsamp_fma(p->kappa, s, 0.0f); /* never -0 + -0 */
}

/* Coordinates of block b, n of them (1 to 4), for all lanes; their sum is added to part [L], or to 0 where it is the first there. */
NSAMP_HD void nsamp_equi_block(const nsamp_langevin_equi_params *p, float *u, const float *g, const float *z,
                               float *part, const uint32_t first, const uint32_t L, const uint32_t n) {
    NSAMP_FOR_LANES(l, L) {
        float sum = 0.0f;
        for (uint32_t k = 0; k < 4; k++) {
            if (k >= n) break; /* not the loop's bound: u of a GPU thread stays in registers */
            float x = nsamp_equi_update(p, u[k * L + l], g[l], z[k * L + l]);
            u[k * L + l] = x;
            sum = k ? sum + x : x;
        }
        part[l] = (first ? 0.0f : part[l]) + sum;
    }
}

NSAMP_HD void nsamp_langevin_equi_advance(const void *params, const nsamp_tile *t, const uint32_t L,
                                          uint64_t step0, uint32_t nsteps) {
    const nsamp_langevin_equi_params own = *(const nsamp_langevin_equi_params *)params, *const p = &own;
    const uint32_t D = p->dim, blocks = D / 4, partials = nsamp_equi_partials(D);
    float *const u = t->state, *const s = u + (size_t)D * L, *const part = (float *)t->scratch;
    float z[4 * NSAMP_ROW_LANES] __attribute__((aligned(64))),
        tail[4 * NSAMP_ROW_LANES] __attribute__((aligned(64))),
        g[NSAMP_ROW_LANES] __attribute__((aligned(64)));
    nsamp_row row;
    nsamp_row_begin(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0, L);
    NSAMP_FOR_LANES(l, L) g[l] = p->c2 * s[l];
    for (uint32_t b = (D + 3) / 4; b < partials; b++)
        NSAMP_FOR_LANES(l, L) part[b * L + l] = 0.0f;
    for (uint32_t n = 0; n < nsteps; n++) {
        if (n > 0) nsamp_row_next(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0 + n, L);
        for (uint32_t b = 0; b < blocks; b++) {
            float *const ub = u + (size_t)b * 4 * L, *const pb = part + (size_t)(b % NSAMP_EQUI_PARTIALS) * L;
            nsamp_row_normals(&row, t->noise, b, L, z);
            if (b < NSAMP_EQUI_PARTIALS)
                nsamp_equi_block(p, ub, g, z, pb, 1, L, 4);
            else
                nsamp_equi_block(p, ub, g, z, pb, 0, L, 4);
        }
        if (D % 4) {
            const uint32_t first = blocks < NSAMP_EQUI_PARTIALS;
            float *const ub = u + (size_t)blocks * 4 * L, *const pb =
                                                              part +
                                                              (size_t)(blocks % NSAMP_EQUI_PARTIALS) * L;
            nsamp_row_tail(&row, t->noise, D, n == 0, L, tail);
            if (D % 4 == 3) nsamp_equi_block(p, ub, g, tail, pb, first, L, 3);
            if (D % 4 == 2) nsamp_equi_block(p, ub, g, tail, pb, first, L, 2);
            if (D % 4 == 1) nsamp_equi_block(p, ub, g, tail, pb, first, L, 1);
        }
        for (uint32_t h = partials / 2; h > 1; h /= 2)
            for (uint32_t b = 0; b < h; b++)
                NSAMP_FOR_LANES(l, L) part[b * L + l] += part[(b + h) * L + l];
        NSAMP_FOR_LANES(l, L) {
            const float sum = partials > 1 ? part[l] + part[L + l] : part[l];
            const uint32_t failed = (uint32_t)(sum * 0.0f != 0.0f) & (uint32_t)(t->bad[l] == 0);
            s[l] = sum;
            g[l] = p->c2 * sum;
            t->bad[l] += failed * (n + 1);
        }
    }
}

NSAMP_HD void nsamp_langevin_equi_observe(const void *params, const nsamp_tile *tile, const uint32_t L,
                                          float *x) {
    const nsamp_langevin_equi_params *p = (const nsamp_langevin_equi_params *)params;
    const float *u = tile->state, *s = u + (size_t)p->dim * L;
    for (uint32_t i = 0; i < p->dim; i++)
        NSAMP_FOR_LANES(l, L) x[i * L + l] = nsamp_equi_x(p, u[i * L + l], s[l]);
}

#endif
