/* langevin_equi.h: Langevin dynamics on an equicorrelated Gaussian, O(D) a step, no D x D matrix.
 *
 * Target   N(mu, Sigma), Sigma = v [(1 - rho) I + rho 1 1^T].
 * Equation dx = -D Sigma^-1 (x - mu) dt + sqrt(2 D) dB;  naive: D = I;  natural: D = Sigma  [Ma, Chen and Fox 2015;
 *          Masset et al. 2022 for the two geometries].
 * Scheme   Euler-Maruyama, step h. With x = mu + u + e 1, u [D] and a common offset e:
 *   naive    u <- c1 u + g + a z,      g = c2 sum(u),   e = 0          c1 = 1 - h/(v (1 - rho)), a = sqrt(2h),
 *                                                                      c2 = h rho/(v (1 - rho)(1 + (D-1) rho))
 *   natural  u <- c1 u + a z,          e <- c1 e + b sum(z)            c1 = 1 - h, a = sqrt(2 h v (1 - rho)),
 *            for Sigma^(1/2) = alpha I + beta 1 1^T is a z + b sum(z)  b = sqrt(2h) beta
 *   The offset keeps one pass over the coordinates: sum(z) is known only after the last z.
 * Law      exactly Gaussian; covariance P = (I - hK) P (I - hK)^T + 2hD (host: systems/langevin.c).
 * Draws    D normals a step: coordinate i is draw i % 4 of block i / 4.
 * Sums     partial (i / 4) % 256, then a halving tree: the order a warp or a block of a GPU can follow.
 * Fails    naive: h >= 2 lambda_min(Sigma); natural: h >= 2. The chain then overflows and is flagged.
 *
 * State [S][L], S = D + 2: u, then s = sum(u) (naive) or 0, then e. */
#ifndef NSAMP_KERNELS_SYSTEMS_LANGEVIN_EQUI_H
#define NSAMP_KERNELS_SYSTEMS_LANGEVIN_EQUI_H

#include "kernels/kernel.h"

typedef struct nsamp_langevin_equi_params {
    uint32_t dim;         /* D */
    uint32_t natural;     /* 0 or 1 */
    uint32_t mean_offset; /* bytes from this struct to mean [D] floats; 0: common_mean for all */
    float common_mean;
    float c1, a, c2, b;
} nsamp_langevin_equi_params;

enum { NSAMP_EQUI_PARTIALS = 256 };

/* Scratch of a tile of L lanes: partial sums. */
#define NSAMP_EQUI_SCRATCH(L) (sizeof(float) * NSAMP_EQUI_PARTIALS * (L))

NSAMP_HD uint32_t nsamp_equi_partials(uint32_t dim) {
    uint32_t blocks = (dim + 3) / 4, n = 1;
    while (n < blocks && n < NSAMP_EQUI_PARTIALS) n *= 2;
    return n;
}

/* One coordinate of the update. */
NSAMP_HD float nsamp_equi_update(const nsamp_langevin_equi_params *p, float u, float g, float z) {
    return nsamp_fma(p->c1, u, nsamp_fma(p->a, z, g));
}

/* n (1 to 4) coordinates from i of one lane of stride L; returns the partial sum that the geometry needs. Natural: adds 0 u
 * to *all, which stays 0 if and only if all u are finite, whatever their order. */
NSAMP_HD float nsamp_equi_block(const nsamp_langevin_equi_params *p, uint32_t natural, float *u, uint32_t L, uint32_t n,
                                float g, const float z[4], float *all) {
    float s = 0.0f;
    for (uint32_t k = 0; k < n; k++) {
        float x = nsamp_equi_update(p, u[k * L], g, z[k]);
        u[k * L] = x;
        s = k ? s + (natural ? z[k] : x) : (natural ? z[k] : x);
        if (natural) *all = nsamp_fma(x, 0.0f, *all);
    }
    return s;
}

/* The step of a whole tile on a CPU; natural is a constant in each call, so both copies lose their branches. */
NSAMP_HD void nsamp_equi_steps(const nsamp_langevin_equi_params *p, uint32_t natural, const nsamp_tile *t,
                               const uint32_t L, uint64_t step0, uint32_t nsteps) {
    const uint32_t D = p->dim, full = D / 4, rest = D % 4, partials = nsamp_equi_partials(D);
    float *const u = t->state, *const sum = u + (size_t)D * L, *const offset = sum + L;
    float *const part = (float *)t->scratch;
    const nsamp_noise_key key = t->noise;
    const uint32_t chain0 = t->chain0;
    for (uint32_t n = 0; n < nsteps; n++) {
        const uint64_t step = step0 + n;
        float all[64];
        NSAMP_FOR_LANES(l, L) all[l] = 0.0f;
        for (uint32_t b = 0; b < partials; b++) NSAMP_FOR_LANES(l, L) part[b * L + l] = 0.0f;
        for (uint32_t b = 0; b < full; b++) {
            float *const ub = u + (size_t)b * 4 * L, *const pb = part + (size_t)(b % NSAMP_EQUI_PARTIALS) * L;
            NSAMP_FOR_LANES(l, L) {
                float z[4], g = natural ? 0.0f : p->c2 * sum[l];
                nsamp_normals4(key, NSAMP_PURPOSE_STEP, chain0 + l, step, b, z);
                pb[l] += nsamp_equi_block(p, natural, ub + l, L, 4, g, z, &all[l]);
            }
        }
        if (rest) {
            float *const ub = u + (size_t)full * 4 * L, *const pb = part + (size_t)(full % NSAMP_EQUI_PARTIALS) * L;
            NSAMP_FOR_LANES(l, L) {
                float z[4], g = natural ? 0.0f : p->c2 * sum[l];
                nsamp_normals4(key, NSAMP_PURPOSE_STEP, chain0 + l, step, full, z);
                pb[l] += nsamp_equi_block(p, natural, ub + l, L, rest, g, z, &all[l]);
            }
        }
        for (uint32_t h = partials / 2; h; h /= 2)
            for (uint32_t b = 0; b < h; b++) NSAMP_FOR_LANES(l, L) part[b * L + l] += part[(b + h) * L + l];
        NSAMP_FOR_LANES(l, L) {
            float s = part[l];
            if (natural) {
                offset[l] = nsamp_fma(p->c1, offset[l], p->b * s);
                all[l] = nsamp_fma(offset[l], 0.0f, all[l]);
            } else {
                sum[l] = s;
                all[l] = s * 0.0f;
            }
            uint32_t failed = (uint32_t)(all[l] != 0.0f) & (uint32_t)(t->bad[l] == 0);
            t->bad[l] += failed * (n + 1);
        }
    }
}

NSAMP_HD void nsamp_langevin_equi_advance(const void *params, const nsamp_tile *tile, const uint32_t L, uint64_t step0,
                                          uint32_t nsteps) {
    const nsamp_langevin_equi_params *p = (const nsamp_langevin_equi_params *)params;
    if (p->natural)
        nsamp_equi_steps(p, 1, tile, L, step0, nsteps);
    else
        nsamp_equi_steps(p, 0, tile, L, step0, nsteps);
}

NSAMP_HD void nsamp_langevin_equi_observe(const void *params, const nsamp_tile *tile, const uint32_t L, float *x) {
    const nsamp_langevin_equi_params *p = (const nsamp_langevin_equi_params *)params;
    const float *mean = (const float *)((const char *)params + p->mean_offset);
    const float *u = tile->state, *e = u + (size_t)(p->dim + 1) * L;
    for (uint32_t i = 0; i < p->dim; i++) {
        const float m = p->mean_offset ? mean[i] : p->common_mean;
        NSAMP_FOR_LANES(l, L) x[i * L + l] = u[i * L + l] + (e[l] + m);
    }
}

#endif
