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
 * Sums     over units in order, by one accumulator. With relu and m <= 4 a unit is a hinge (below), units are ordered by their
 *          pivot, and the sum begins with the linear part.
 * Fails    where training left a drift that points outwards: x grows and the chain is flagged when it is beyond
 *          2^101, as if not finite: soon after, sums inside phi could be inf - inf, which a relu hides.
 *
 * State [S][L]: x [m]; at the reservoir level then r [units]. */
#ifndef NSAMP_KERNELS_SYSTEMS_RSN_H
#define NSAMP_KERNELS_SYSTEMS_RSN_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"
#include "kernels/tile_product.h"

enum { NSAMP_RSN_RELU = 1, NSAMP_RSN_TANH = 2, NSAMP_RSN_SOFTPLUS = 3 };

/* What products are computed in: float32, as everything here; bf16 (rsn_bf16.h; on a GPU cuda_rsn_small.h), or on a GPU tf32. */
enum { NSAMP_RSN_FP32, NSAMP_RSN_BF16, NSAMP_RSN_TF32 };

/* Units come in blocks of eight, the last filled up with units of zero weight. A block holds b [8], W2 [m][8],
 * W1 [m][8], and at the reservoir level a S [m][8]. */
enum { NSAMP_RSN_BLOCK = 8 };

/* A relu unit as a hinge, in float32, which takes an operation less where operations are few. Of w, its row of W2, the pivot k has the largest
 * |w_k|; with h = x_k + (w x - w_k x_k)/w_k and c = -b/w_k, so that w x + b = w_k (h - c),
 *     relu(w x + b) = |w_k| (max(h, c) - c) where w_k > 0,  |w_k| (max(h, c) - h) where w_k < 0.
 * What is not max(h, c) is linear in x and is added up once for all units: W1 relu(W2 x + b) = y0 + A x + sum of v max(h, c),
 * v = |w_k| W1. Units are ordered by pivot, so that x_k is in a known register, in blocks of eight: c [8], (w_i/w_k) [m - 1][8] for
 * i = k + 1, k + 2, ... modulo m, v [m][8]. Before the blocks of the first pivot: y0 [4], A [4][4]. */
enum { NSAMP_RSN_HINGES = 4, NSAMP_RSN_LINEAR = 32 /* numbers: y0, A, up to whole cache lines */ };

/* Blocks of units that go through the first-level cache of a CPU together. No order of additions depends on it. */
enum { NSAMP_RSN_PANEL = NSAMP_GROUP(8, 1) };

typedef struct nsamp_rsn_params {
    uint32_t dim;                      /* m */
    uint32_t units;                    /* n, rounded up to a multiple of eight */
    uint32_t activation;               /* phi: NSAMP_RSN_* */
    uint32_t reservoir;                /* 0: the state is x; 1: x and r */
    uint32_t jump;                     /* 1: observe W1 phi(W2 x + b) rather than x */
    uint32_t precision;                /* NSAMP_RSN_FP32, or one of the others for other fused kernels */
    float h, noise;                    /* h, a */
    uint32_t hinges[NSAMP_RSN_HINGES]; /* blocks of hinges for each pivot */
    uint64_t blocks_offset;            /* bytes from this struct to the blocks */
    const void *product; /* host only: what the product path, the panels or the bf16 kernel of a CPU packed */
} nsamp_rsn_params;

/* Scratch of a tile of L lanes: y [m], xi [m]. */
#define NSAMP_RSN_SCRATCH(L, dim) (2 * sizeof(float) * (size_t)(L) * (dim))

/* Whether the blocks are hinges. */
NSAMP_HD uint32_t nsamp_rsn_is_hinged(const nsamp_rsn_params *p) {
    return p->activation == NSAMP_RSN_RELU && !p->reservoir && p->dim <= NSAMP_RSN_HINGES &&
           p->precision == NSAMP_RSN_FP32;
}

NSAMP_HD uint32_t nsamp_rsn_block_len(const nsamp_rsn_params *p) {
    return NSAMP_RSN_BLOCK * (1 + (2 + p->reservoir) * p->dim);
}

NSAMP_HD const float *nsamp_rsn_blocks(const nsamp_rsn_params *p) {
    return (const float *)((const char *)p + p->blocks_offset);
}

/* activation is a constant in each call. The relu of NaN is 0. */
NSAMP_HD float nsamp_rsn_phi(const uint32_t activation, float a) {
    if (activation == NSAMP_RSN_TANH) return nsamp_tanh(a);
    return activation == NSAMP_RSN_RELU ? nsamp_max(a, 0.0f) : nsamp_softplus(a);
}

/* y = W1 phi(W2 x + b) for V vectors and m = M at most 4: x and y stay in registers for the whole pass. M and V are constants in each
 * call; a compiler sees that only after it has unrolled, hence loops of four. */
NSAMP_HD void nsamp_rsn_few(const nsamp_rsn_params *p, const uint32_t M, const uint32_t V, const uint32_t phi,
                            const float *x, float *y, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK, F = 4, W = NSAMP_WIDTH };
    nsamp_floats xr[F][F], yr[F][F];
    const float *block = nsamp_rsn_blocks(p);
    const uint32_t len = nsamp_rsn_block_len(p), blocks = p->units / B;
    float u[B * F * W] __attribute__((aligned(64))), a[B * F * W] __attribute__((aligned(64)));
    NSAMP_UNROLL for (uint32_t k = 0; k < F; k++)
        NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (k < M && v < V) {
        xr[k][v] = nsamp_floats_load(x + k * L + v * W);
        yr[k][v] = nsamp_floats_all(0.0f);
    }
    for (uint32_t j = 0; j < blocks; j++, block += len) {
        for (uint32_t i = 0; i < B; i++)
            NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (v < V) {
                nsamp_floats t = nsamp_floats_all(block[i]);
                NSAMP_UNROLL for (uint32_t k = 0; k < F; k++) if (k < M) t =
                    nsamp_floats_fma(nsamp_floats_all(block[B * (1 + k) + i]), xr[k][v], t);
                nsamp_floats_store(u + (i * V + v) * W, t);
            }
        NSAMP_FOR_EACH(l, B * V * W) a[l] = nsamp_rsn_phi(phi, u[l]);
        for (uint32_t i = 0; i < B; i++)
            NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (v < V) {
                const nsamp_floats t = nsamp_floats_load(a + (i * V + v) * W);
                NSAMP_UNROLL for (uint32_t k = 0; k < F; k++) if (k < M) yr[k][v] =
                    nsamp_floats_fma(nsamp_floats_all(block[B * (1 + M + k) + i]), t, yr[k][v]);
            }
    }
    NSAMP_UNROLL for (uint32_t k = 0; k < F; k++)
        NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (k < M && v < V)
            nsamp_floats_store(y + k * L + v * W, yr[k][v]);
}

/* The hinges of pivot K: yr += v max(h, c). -> behind their blocks. */
NSAMP_HD const float *nsamp_rsn_pivot(const uint32_t M, const uint32_t V, const uint32_t K,
                                      const float *block, uint32_t blocks, nsamp_floats xr[4][4],
                                      nsamp_floats yr[4][4]) {
    enum { B = NSAMP_RSN_BLOCK, F = NSAMP_RSN_HINGES };
    for (uint32_t j = 0; j < blocks; j++, block += 2 * M * B)
        for (uint32_t i = 0; i < B; i++)
            NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (v < V) {
                nsamp_floats t = xr[K][v];
                NSAMP_UNROLL for (uint32_t o = 1; o < F; o++) if (o < M) t =
                    nsamp_floats_fma(nsamp_floats_all(block[B * o + i]), xr[(K + o) % M][v], t);
                t = nsamp_floats_max(t, nsamp_floats_all(block[i]));
                NSAMP_UNROLL for (uint32_t k = 0; k < F; k++) if (k < M) yr[k][v] =
                    nsamp_floats_fma(nsamp_floats_all(block[B * (M + k) + i]), t, yr[k][v]);
            }
    return block;
}

/* nsamp_rsn_few for hinges. */
NSAMP_HD void nsamp_rsn_hinges(const nsamp_rsn_params *p, const uint32_t M, const uint32_t V, const float *x,
                               float *y, const uint32_t L) {
    enum { F = NSAMP_RSN_HINGES, W = NSAMP_WIDTH };
    nsamp_floats xr[F][F], yr[F][F];
    const float *const linear = nsamp_rsn_blocks(p), *block = linear + NSAMP_RSN_LINEAR;
    NSAMP_UNROLL for (uint32_t k = 0; k < F; k++)
        NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (k < M && v < V) xr[k][v] =
            nsamp_floats_load(x + k * L + v * W);
    NSAMP_UNROLL for (uint32_t k = 0; k < F; k++)
        NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (k < M && v < V) {
        yr[k][v] = nsamp_floats_all(linear[k]);
        NSAMP_UNROLL for (uint32_t i = 0; i < F; i++) if (i < M) yr[k][v] =
            nsamp_floats_fma(nsamp_floats_all(linear[F * (1 + k) + i]), xr[i][v], yr[k][v]);
    }
    block = nsamp_rsn_pivot(M, V, 0, block, p->hinges[0], xr, yr);
    if (M > 1) block = nsamp_rsn_pivot(M, V, 1, block, p->hinges[1], xr, yr);
    if (M > 2) block = nsamp_rsn_pivot(M, V, 2, block, p->hinges[2], xr, yr);
    if (M > 3) nsamp_rsn_pivot(M, V, 3, block, p->hinges[3], xr, yr);
    NSAMP_UNROLL for (uint32_t k = 0; k < F; k++)
        NSAMP_UNROLL for (uint32_t v = 0; v < F; v++) if (k < M && v < V)
            nsamp_floats_store(y + k * L + v * W, yr[k][v]);
}

/* a = phi(W2 x + b) of one block of units, any m -> a [8][G]. */
NSAMP_HD void nsamp_rsn_hidden(const float *block, const uint32_t m, const uint32_t phi, const float *x,
                               float *a, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK, R = NSAMP_TILE_ROWS, V = NSAMP_TILE_VECTORS, G = NSAMP_TILE_LANES };
    float u[B * G] __attribute__((aligned(64)));
    NSAMP_UNROLL for (uint32_t i = 0; i < B; i += R) {
        nsamp_floats t[R * V];
        NSAMP_UNROLL for (uint32_t r = 0; r < R * V; r++) t[r] = nsamp_floats_all(block[i + r / V]);
        nsamp_tile_product(R, block + B + i, B, 1, x, L, m, t);
        NSAMP_UNROLL for (uint32_t r = 0; r < R * V; r++) {
            if (phi == NSAMP_RSN_RELU)
                nsamp_floats_store(a + i * G + r * NSAMP_WIDTH, nsamp_floats_relu(t[r]));
            else
                nsamp_floats_store(u + i * G + r * NSAMP_WIDTH, t[r]);
        }
    }
    if (phi == NSAMP_RSN_RELU) return;
    NSAMP_FOR_EACH(l, B * G) a[l] = nsamp_rsn_phi(phi, u[l]);
}

/* r <- r + h (a - r) + S a xi of one block of units; a <- r. */
NSAMP_HD void nsamp_rsn_relax(const float *block, const uint32_t m, float h, const float *xi, float *a,
                              float *r, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK, R = NSAMP_TILE_ROWS, V = NSAMP_TILE_VECTORS, G = NSAMP_TILE_LANES };
    const float *s = block + B * (1 + 2 * m);
    NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) {
        const float old = r[i * L + l];
        a[i * G + l] = nsamp_fma(h, a[i * G + l] - old, old);
    }
    for (uint32_t i = 0; i < B; i += R) {
        nsamp_floats t[R * V];
        NSAMP_UNROLL for (uint32_t k = 0; k < R * V; k++) t[k] =
            nsamp_floats_load(a + i * G + k * NSAMP_WIDTH);
        nsamp_tile_product(R, s + i, B, 1, xi, L, m, t);
        NSAMP_UNROLL for (uint32_t k = 0; k < R * V; k++)
            nsamp_floats_store(a + i * G + k * NSAMP_WIDTH, t[k]);
    }
    NSAMP_UNROLL for (uint32_t i = 0; i < B; i++) NSAMP_FOR_LANES(l, G) r[i * L + l] = a[i * G + l];
}

/* R (at most NSAMP_TILE_ROWS, a constant) rows of y += W1 a over the units of `blocks` blocks, from w1 = W1 [m][8] of the
 * first and a [8 blocks][G]. */
NSAMP_HD void nsamp_rsn_rows(const uint32_t R, const float *w1, uint32_t len, const uint32_t blocks,
                             const float *a, float *y, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK, V = NSAMP_TILE_VECTORS, W = NSAMP_WIDTH, G = NSAMP_TILE_LANES };
    nsamp_floats t[NSAMP_TILE_ROWS * V];
    NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_TILE_ROWS * V; r++) if (r < R * V) t[r] =
        nsamp_floats_load(y + r / V * L + r % V * W);
    for (uint32_t j = 0; j < blocks; j++)
        NSAMP_UNROLL for (uint32_t i = 0; i < B; i++)
            nsamp_tile_product(R, w1 + j * len + i, 0, B, a + (j * B + i) * G, 0, 1, t);
    NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_TILE_ROWS * V; r++) if (r < R * V)
        nsamp_floats_store(y + r / V * L + r % V * W, t[r]);
}

/* y += W1 a, all rows. */
NSAMP_HD void nsamp_rsn_readout(const float *w1, uint32_t len, uint32_t blocks, const uint32_t m,
                                const float *a, float *y, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK, R = NSAMP_TILE_ROWS };
    uint32_t k = 0;
    for (; k + R <= m; k += R)
        nsamp_rsn_rows(R, w1 + B * k, len, blocks, a, y + k * L, L);
    if (m - k >= 2) {
        nsamp_rsn_rows(2, w1 + B * k, len, blocks, a, y + k * L, L);
        k += 2;
    }
    if (k < m) nsamp_rsn_rows(1, w1 + B * k, len, blocks, a, y + k * L, L);
}

/* One pass for any m and both levels: x and y in memory; a panel of units at a time goes through the first-level cache, so
 * that a row of y is fetched once a panel. r NULL: y = W1 phi(W2 x + b); else the step of r, and y = W1 r. */
NSAMP_HD void nsamp_rsn_any(const nsamp_rsn_params *p, const uint32_t phi, const float *x, const float *xi,
                            float *r, float *y, const uint32_t L) {
    enum { B = NSAMP_RSN_BLOCK, PANEL = NSAMP_RSN_PANEL, G = NSAMP_TILE_LANES };
    const uint32_t m = p->dim, len = nsamp_rsn_block_len(p), blocks = p->units / B;
    const float *block = nsamp_rsn_blocks(p);
    float a[PANEL * B * G] __attribute__((aligned(64)));
    for (uint32_t k = 0; k < m; k++)
        NSAMP_FOR_LANES(l, G) y[k * L + l] = 0.0f;
    for (uint32_t j = 0; j < blocks; j += PANEL) {
        uint32_t count = PANEL;
        if (PANEL > 1 && blocks - j < PANEL) count = blocks - j;
        const float *w1 = block + B * (1 + m);
        for (uint32_t c = 0; c < count; c++, block += len) {
            nsamp_rsn_hidden(block, m, phi, x, a + c * B * G, L);
            if (r) nsamp_rsn_relax(block, m, p->h, xi, a + c * B * G, r + (size_t)(j + c) * B * L, L);
        }
        nsamp_rsn_readout(w1, len, count, m, a, y, L);
    }
}

/* nsamp_rsn_few or nsamp_rsn_hinges for all lanes of the tile, V vectors at a time. */
NSAMP_HD void nsamp_rsn_few_pass(const nsamp_rsn_params *p, const uint32_t M, const uint32_t V,
                                 const uint32_t phi, const float *x, float *y, const uint32_t L) {
    for (uint32_t g = 0; g < L; g += NSAMP_GROUP(V * NSAMP_WIDTH, L)) {
        if (phi == NSAMP_RSN_RELU && nsamp_rsn_is_hinged(p))
            nsamp_rsn_hinges(p, M, V, x + g, y + g, L);
        else
            nsamp_rsn_few(p, M, V, phi, x + g, y + g, L);
    }
}

/* One pass for all lanes of the tile, in groups whose x and y, or whose sums, fit the registers. phi is a constant in each
 * call. */
NSAMP_HD void nsamp_rsn_pass(const nsamp_rsn_params *p, const uint32_t phi, const float *x, const float *xi,
                             float *r, float *y, const uint32_t L) {
    enum { V = NSAMP_TILE_VECTORS, ONE = NSAMP_GROUP(4, 1), FOUR = NSAMP_GROUP(2, 1) };
    const uint32_t m = p->reservoir ? 0 : p->dim;
    if (m == 1)
        nsamp_rsn_few_pass(p, 1, ONE, phi, x, y, L);
    else if (m == 2)
        nsamp_rsn_few_pass(p, 2, V, phi, x, y, L);
    else if (m == 3)
        nsamp_rsn_few_pass(p, 3, V, phi, x, y, L);
    else if (m == 4)
        nsamp_rsn_few_pass(p, 4, FOUR, phi, x, y, L);
    else
        for (uint32_t g = 0; g < L; g += NSAMP_GROUP(NSAMP_TILE_LANES, L))
            nsamp_rsn_any(p, phi, x + g, r ? xi + g : NULL, r ? r + g : NULL, y + g, L);
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
