/* rsn.h: the reservoir-sampler network at both levels, fused: one pass over the units makes a step.
 *
 * Equation [Chen, Jiang, Rao and Shea-Brown, NeurIPS 2023] reservoir r in R^n, output x = W1 r in R^m,
 *          W_rec = W2 W1, B in R^m:
 *            dr = [-r + phi(W2 W1 r + b)] dt + s S dB,  S = W1^T (W1 W1^T)^-1, so that W1 S = I
 *          and for the output, by itself,
 *            dx = [-x + W1 phi(W2 x + b)] dt + s dB
 * Scheme   Euler-Maruyama, with y = W1 phi(W2 x + b):
 *   output      x <- x + h (y - x) + a xi
 *   reservoir   r <- r + h (phi(W2 x + b) - r) + S a xi,  x <- W1 r
 *          The same draws give the same path of x at both levels, up to float rounding. W_rec is never formed:
 *          4 m n operations a step, not 2 n^2. a = sqrt(2 h) where the drift is a score; a = sigma sqrt(2 h)
 *          where W1 phi is a denoiser, so that the drift is sigma^2 times the score and h counts in units of
 *          sigma^2.
 * Law      stationary density whose score is the drift (over sigma^2), up to O(h); exactly Gaussian when the
 *          network is linear (host: systems/rsn_law.c).
 * Draws    m normals a step: normal i is draw i % 4 of block i / 4.
 * Sums     over units in order, by one accumulator.
 * Fails    where training left a drift that points outwards: x grows and the chain is flagged when it is beyond
 *          2^101, as if not finite: soon after, sums inside phi could be inf - inf, which a relu hides.
 *
 * State [S][L]: x [m]; at the reservoir level then r [units]. */
#ifndef NSAMP_KERNELS_SYSTEMS_RSN_H
#define NSAMP_KERNELS_SYSTEMS_RSN_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"

enum { NSAMP_RSN_RELU = 1, NSAMP_RSN_TANH = 2, NSAMP_RSN_SOFTPLUS = 3 };

/* Units come in blocks of eight, the last filled up with units of zero weight. A block holds b [8], W2 [m][8],
 * W1 [m][8], and at the reservoir level a S [m][8]. */
enum { NSAMP_RSN_BLOCK = 8 };

typedef struct nsamp_rsn_params {
    uint32_t dim;           /* m */
    uint32_t units;         /* n, rounded up to a multiple of eight */
    uint32_t activation;    /* phi: NSAMP_RSN_* */
    uint32_t reservoir;     /* 0: the state is x; 1: x and r */
    uint32_t jump;          /* 1: observe W1 phi(W2 x + b) rather than x */
    float h, noise;         /* h, a */
    uint64_t blocks_offset; /* bytes from this struct to the blocks */
    const void *product;    /* host only: the packed layers of the product path; NULL when fused */
} nsamp_rsn_params;

/* Scratch of a tile of L lanes: y [m], xi [m]. */
#define NSAMP_RSN_SCRATCH(L, dim) (2 * sizeof(float) * (size_t)(L) * (dim))

NSAMP_HD uint32_t nsamp_rsn_block_len(const nsamp_rsn_params *p) {
    return NSAMP_RSN_BLOCK * (1 + (2 + p->reservoir) * p->dim);
}

NSAMP_HD const float *nsamp_rsn_blocks(const nsamp_rsn_params *p) {
    return (const float *)((const char *)p + p->blocks_offset);
}

/* activation is a constant in each call. The relu of NaN is 0. */
NSAMP_HD float nsamp_rsn_phi(const uint32_t activation, float a) {
    if (activation == NSAMP_RSN_TANH) return nsamp_tanh(a);
    return activation == NSAMP_RSN_RELU ? (a > 0.0f ? a : 0.0f) : nsamp_softplus(a);
}

/* y = W1 phi(W2 x + b) for G lanes and m = M: x and y stay in registers for the whole pass. */
NSAMP_HD void nsamp_rsn_fixed(const nsamp_rsn_params *p, const uint32_t M, const uint32_t G,
                              const uint32_t phi, const float *x, float *y, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK };
    float xr[256], yr[256];
    const float *block = nsamp_rsn_blocks(p);
    const uint32_t len = nsamp_rsn_block_len(p), blocks = p->units / B;
    for (uint32_t k = 0; k < M; k++)
        NSAMP_FOR_LANES(l, G) {
            xr[k * G + l] = x[k * L + l];
            yr[k * G + l] = 0.0f;
        }
    for (uint32_t j = 0; j < blocks; j++, block += len)
        for (uint32_t i = 0; i < B; i++)
            NSAMP_FOR_LANES(l, G) {
                float a = block[i];
                for (uint32_t k = 0; k < M; k++)
                    a = nsamp_fma(block[B * (1 + k) + i], xr[k * G + l], a);
                a = nsamp_rsn_phi(phi, a);
                for (uint32_t k = 0; k < M; k++)
                    yr[k * G + l] = nsamp_fma(block[B * (1 + M + k) + i], a, yr[k * G + l]);
            }
    for (uint32_t k = 0; k < M; k++)
        NSAMP_FOR_LANES(l, G) y[k * L + l] = yr[k * G + l];
}

/* a = phi(W2 x + b) of one block of units, G lanes, any m. */
NSAMP_HD void nsamp_rsn_hidden(const float *block, const uint32_t m, const uint32_t G, const uint32_t phi,
                               const float *x, float *a, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK };
    NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) a[i * G + l] = block[i];
    for (uint32_t k = 0; k < m; k++) {
        const float *w = block + B * (1 + k), *xk = x + k * L;
        NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) a[i * G + l] =
            nsamp_fma(w[i], xk[l], a[i * G + l]);
    }
    NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) a[i * G + l] =
        nsamp_rsn_phi(phi, a[i * G + l]);
}

/* y += W1 a of one block, from w1 = W1 [m][8]. */
NSAMP_HD void nsamp_rsn_readout(const float *w1, const uint32_t m, const uint32_t G, const float *a, float *y,
                                const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK };
    for (uint32_t k = 0; k < m; k++) {
        const float *w = w1 + B * k;
        float *const yk = y + k * L;
        NSAMP_FOR_LANES(l, G) {
            float t = yk[l];
            NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) t = nsamp_fma(w[i], a[i * G + l], t);
            yk[l] = t;
        }
    }
}

/* As nsamp_rsn_fixed for any m: x and y in memory, eight units at a time in registers. */
NSAMP_HD void nsamp_rsn_any(const nsamp_rsn_params *p, const uint32_t G, const uint32_t phi, const float *x,
                            float *y, const uint32_t L) {
    const uint32_t m = p->dim, len = nsamp_rsn_block_len(p), blocks = p->units / NSAMP_RSN_BLOCK;
    const float *block = nsamp_rsn_blocks(p);
    float a[NSAMP_RSN_BLOCK * 32];
    for (uint32_t k = 0; k < m; k++)
        NSAMP_FOR_LANES(l, G) y[k * L + l] = 0.0f;
    for (uint32_t j = 0; j < blocks; j++, block += len) {
        nsamp_rsn_hidden(block, m, G, phi, x, a, L);
        nsamp_rsn_readout(block + NSAMP_RSN_BLOCK * (1 + m), m, G, a, y, L);
    }
}

/* r <- r + h (phi(W2 x + b) - r) + S a xi, y = W1 r. */
NSAMP_HD void nsamp_rsn_recurrent(const nsamp_rsn_params *p, const uint32_t G, const uint32_t phi,
                                  const float *x, const float *xi, float *r, float *y, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK };
    const uint32_t m = p->dim, len = nsamp_rsn_block_len(p), blocks = p->units / B;
    const float *block = nsamp_rsn_blocks(p), h = p->h;
    float a[B * 32];
    for (uint32_t k = 0; k < m; k++)
        NSAMP_FOR_LANES(l, G) y[k * L + l] = 0.0f;
    for (uint32_t j = 0; j < blocks; j++, block += len, r += (size_t)B * L) {
        nsamp_rsn_hidden(block, m, G, phi, x, a, L);
        NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) {
            float old = r[i * L + l];
            a[i * G + l] = nsamp_fma(h, a[i * G + l] - old, old);
        }
        for (uint32_t k = 0; k < m; k++) {
            const float *s = block + B * (1 + 2 * m + k), *xik = xi + k * L;
            NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) a[i * G + l] =
                nsamp_fma(s[i], xik[l], a[i * G + l]);
        }
        NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) r[i * L + l] = a[i * G + l];
        nsamp_rsn_readout(block + B * (1 + m), m, G, a, y, L);
    }
}

/* One pass for all lanes of the tile, in groups whose x and y (or hidden units) fit the registers. phi is a
 * constant in each call. */
NSAMP_HD void nsamp_rsn_pass(const nsamp_rsn_params *p, const uint32_t phi, const float *x, const float *xi,
                             float *r, float *y, const uint32_t L) {
    const uint32_t narrow = NSAMP_GROUP(32, L), wide = NSAMP_GROUP(64, L);
    if (p->reservoir && r) {
        for (uint32_t g = 0; g < L; g += narrow)
            nsamp_rsn_recurrent(p, narrow, phi, x + g, xi + g, r + g, y + g, L);
        return;
    }
    switch (p->reservoir ? 0 : p->dim) {
    case 1:
        for (uint32_t g = 0; g < L; g += wide)
            nsamp_rsn_fixed(p, 1, wide, phi, x + g, y + g, L);
        break;
    case 2:
        for (uint32_t g = 0; g < L; g += wide)
            nsamp_rsn_fixed(p, 2, wide, phi, x + g, y + g, L);
        break;
    case 3:
        for (uint32_t g = 0; g < L; g += narrow)
            nsamp_rsn_fixed(p, 3, narrow, phi, x + g, y + g, L);
        break;
    case 4:
        for (uint32_t g = 0; g < L; g += narrow)
            nsamp_rsn_fixed(p, 4, narrow, phi, x + g, y + g, L);
        break;
    case 8:
        for (uint32_t g = 0; g < L; g += narrow)
            nsamp_rsn_fixed(p, 8, narrow, phi, x + g, y + g, L);
        break;
    default:
        for (uint32_t g = 0; g < L; g += narrow)
            nsamp_rsn_any(p, narrow, phi, x + g, y + g, L);
        break;
    }
}

/* r NULL: y = W1 phi(W2 x + b); otherwise the step of the reservoir, and y = W1 r. */
NSAMP_HD_CALL void nsamp_rsn_apply(const nsamp_rsn_params *p, const float *x, const float *xi, float *r,
                                   float *y, const uint32_t L) {
    if (p->activation == NSAMP_RSN_RELU)
        nsamp_rsn_pass(p, NSAMP_RSN_RELU, x, xi, r, y, L);
    else if (p->activation == NSAMP_RSN_TANH)
        nsamp_rsn_pass(p, NSAMP_RSN_TANH, x, xi, r, y, L);
    else
        nsamp_rsn_pass(p, NSAMP_RSN_SOFTPLUS, x, xi, r, y, L);
}

/* The normals of one step -> xi [m][L], G (at most NSAMP_ROW_LANES) lanes at a time. */
NSAMP_HD void nsamp_rsn_normals(const nsamp_tile *t, uint32_t m, uint64_t step, float *xi, const uint32_t G,
                                const uint32_t L) {
    for (uint32_t g = 0; g < L; g += G) {
        nsamp_row row;
        float z[4 * NSAMP_ROW_LANES];
        nsamp_row_begin(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0 + g, step, G);
        for (uint32_t k = 0; k < m; k += 4) {
            nsamp_row_normals(&row, t->noise, k / 4, G, z);
            for (uint32_t i = k; i < k + 4 && i < m; i++)
                NSAMP_FOR_LANES(l, G) xi[i * L + g + l] = z[(i - k) * G + l];
        }
    }
}

/* x <- x + h (y - x) + a xi at the output level, x <- y at the reservoir level; flags lanes that are beyond 2^101 or not
 * finite after step n of the call. xi is used up. */
NSAMP_HD void nsamp_rsn_move(const nsamp_rsn_params *p, const nsamp_tile *t, const float *y, float *xi,
                             uint32_t n, const uint32_t L) {
    float *const x = t->state, *const all = xi; /* row 0 of xi is read before it is written */
    const float h = p->h, a = p->noise;
    for (uint32_t k = 0; k < p->dim; k++) {
        float *const xk = x + k * L;
        const float *const yk = y + k * L, *const zk = xi + k * L;
        NSAMP_FOR_LANES(l, L) {
            float next = p->reservoir ? yk[l] : nsamp_fma(h, yk[l] - xk[l], nsamp_fma(a, zk[l], xk[l]));
            xk[l] = next;
            const float far = next * 0x1p27f;
            all[l] = k ? nsamp_fma(far, 0.0f, all[l]) : far * 0.0f;
        }
    }
    NSAMP_FOR_LANES(l, L) t->bad[l] += (uint32_t)((all[l] != 0.0f) & (t->bad[l] == 0)) * (n + 1);
}

NSAMP_HD void nsamp_rsn_advance(const void *params, const nsamp_tile *tile, const uint32_t L, uint64_t step0,
                                uint32_t nsteps) {
    const nsamp_rsn_params *p = (const nsamp_rsn_params *)params;
    float *const y = (float *)tile->scratch, *const xi = y + (size_t)p->dim * L;
    float *const r = p->reservoir ? tile->state + (size_t)p->dim * L : NULL;
    for (uint32_t n = 0; n < nsteps; n++) {
        nsamp_rsn_normals(tile, p->dim, step0 + n, xi, NSAMP_GROUP(64, L), L);
        nsamp_rsn_apply(p, tile->state, xi, r, y, L);
        nsamp_rsn_move(p, tile, y, xi, n, L);
    }
}

/* Two parts of the step as kernels of their own, for the product path (host, systems/rsn_product.c), which
 * makes y by matrix products: tile->scratch holds y [m][L] and xi [m][L], L is any multiple of 16, nsteps
 * is 1. */
NSAMP_HD void nsamp_rsn_noise_advance(const void *params, const nsamp_tile *tile, const uint32_t L,
                                      uint64_t step, uint32_t nsteps) {
    const nsamp_rsn_params *p = (const nsamp_rsn_params *)params;
    (void)L;
    (void)nsteps;
    const uint32_t lanes = tile->lanes;
    nsamp_rsn_normals(tile, p->dim, step, (float *)tile->scratch + (size_t)p->dim * lanes,
                      NSAMP_GROUP(16, lanes), lanes);
}

NSAMP_HD void nsamp_rsn_move_advance(const void *params, const nsamp_tile *tile, const uint32_t L,
                                     uint64_t step, uint32_t nsteps) {
    const nsamp_rsn_params *p = (const nsamp_rsn_params *)params;
    float *const y = (float *)tile->scratch;
    (void)L;
    (void)step;
    (void)nsteps;
    nsamp_rsn_move(p, tile, y, y + (size_t)p->dim * tile->lanes, 0, tile->lanes);
}

NSAMP_HD void nsamp_rsn_observe(const void *params, const nsamp_tile *tile, const uint32_t L, float *x) {
    const nsamp_rsn_params *p = (const nsamp_rsn_params *)params;
    if (p->jump) {
        nsamp_rsn_apply(p, tile->state, NULL, NULL, x, L);
        return;
    }
    for (uint32_t k = 0; k < p->dim; k++)
        NSAMP_FOR_LANES(l, L) x[k * L + l] = tile->state[k * L + l];
}

NSAMP_HD void nsamp_rsn_noise_observe(const void *params, const nsamp_tile *tile, const uint32_t L,
                                      float *x) {
    const nsamp_rsn_params *p = (const nsamp_rsn_params *)params;
    const uint32_t lanes = tile->lanes;
    (void)L;
    for (uint32_t k = 0; k < p->dim; k++)
        NSAMP_FOR_LANES(l, lanes) x[k * lanes + l] = tile->state[k * lanes + l];
}

NSAMP_HD void nsamp_rsn_move_observe(const void *params, const nsamp_tile *tile, const uint32_t L, float *x) {
    nsamp_rsn_noise_observe(params, tile, L, x);
}

#endif
