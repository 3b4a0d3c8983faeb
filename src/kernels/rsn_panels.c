/* rsn_panels.c: see rsn_panels.h. Compiled for each instruction set as cpu.c is. */
#include "kernels/rsn_panels.h"

#include <stdbool.h>
#include <string.h>

#include "kernels/bf16.h"
#include "kernels/isa_name.h"
#include "kernels/rsn_steps.h"
#include "kernels/sums_block.h"

enum {
    ROWS = NSAMP_RSN_PANELS_ROWS,
    LANES = NSAMP_RSN_PANELS_LANES,
    W = NSAMP_WIDTH,
    VECTORS = NSAMP_SUMS_VECTORS
};

typedef nsamp_rsn_panels_parts parts;

/* to [R][stride] = what they begin with (NSAMP_SUMS_FROM_THERE: what is there) + w z, w [n][R], z at a distance of zs, V vectors of chains; relu: of that. */
NSAMP_HD void piece(const uint32_t R, const uint32_t V, const int from, const bool relu, const float *bias,
                    const float *w, const float *z, size_t zs, uint32_t n, float *to, size_t stride) {
    const nsamp_sums_terms terms = {w, z, R, 1, zs, n};
    nsamp_floats t[NSAMP_SUMS_ALL];
    nsamp_sums_begin(R, V, from, from == NSAMP_SUMS_FROM_BIAS ? bias : to, stride, t);
    nsamp_sums_add(R, V, &terms, t);
    nsamp_sums_put(R, V, relu ? NSAMP_SUMS_RELU : NSAMP_SUMS_PLAIN, t, to, stride);
}

/* The same of G chains, a multiple of 16. */
NSAMP_HD void block(const uint32_t R, const int from, const bool relu, const float *bias, const float *w,
                    const float *z, size_t zs, uint32_t n, float *to, size_t stride, uint32_t G) {
    uint32_t l = 0;
    if (VECTORS == 4) {
        for (; l + 4 * W <= G; l += 4 * W)
            piece(R, 4, from, relu, bias, w, z + l, zs, n, to + l, stride);
        for (; l < G; l += W)
            piece(R, 1, from, relu, bias, w, z + l, zs, n, to + l, stride);
    }
    for (; l < G; l += 2 * W)
        piece(R, 2, from, relu, bias, w, z + l, zs, n, to + l, stride);
}

/* to [rows][stride] = what is there, or 0, + w z, w in blocks of six rows [n][6], and what is left in blocks of four, two and one. */
NSAMP_HD void sum_rows(const int from, uint32_t rows, const float *w, const float *z, size_t zs, uint32_t n,
                       float *to, size_t stride, uint32_t G) {
    uint32_t k = 0;
    for (; k + ROWS <= rows; k += ROWS)
        block(ROWS, from, false, NULL, w + (size_t)k * n, z, zs, n, to + k * stride, stride, G);
    if (rows - k >= 4) {
        block(4, from, false, NULL, w + (size_t)k * n, z, zs, n, to + k * stride, stride, G);
        k += 4;
    }
    if (rows - k >= 2) {
        block(2, from, false, NULL, w + (size_t)k * n, z, zs, n, to + k * stride, stride, G);
        k += 2;
    }
    if (rows > k) block(1, from, false, NULL, w + (size_t)k * n, z, zs, n, to + k * stride, stride, G);
}

NSAMP_HD_CALL void readout(bool add, uint32_t m, const float *w1, const float *a, uint32_t units, float *y,
                           size_t stride, uint32_t G) {
    if (add)
        sum_rows(NSAMP_SUMS_FROM_THERE, m, w1, a, LANES, units, y, stride, G);
    else
        sum_rows(NSAMP_SUMS_FROM_ZERO, m, w1, a, LANES, units, y, stride, G);
}

/* What hidden units are made from: x and xi [m][stride] of G chains; h, m, and L, which the rows of a reservoir lie apart; rounded: what of
 * nsamp_rsn_panels. */
typedef struct inputs {
    const float *x, *xi;
    size_t stride;
    float h;
    uint32_t m, L, G, rounded;
} inputs;

/* G numbers of each of `rows` rows [64], to bf16. */
NSAMP_HD void round_rows(uint32_t rows, uint32_t G, float *a) {
    for (uint32_t j = 0; j < rows; j++)
        NSAMP_FOR_LANES(l, G) a[j * LANES + l] = nsamp_bf16_round(a[j * LANES + l]);
}

/* a [R][64] = phi(b + W2 x) of a block of R units; then, in a reservoir, r <- r + h (a - r) + S a xi and a <- r; then a rounded, where it is. */
NSAMP_HD void units_block(const uint32_t R, const uint32_t phi, const inputs *in, const float *b,
                          const float *w2, const float *s, float *a, float *r) {
    const uint32_t G = in->G;
    for (uint32_t j = 0; r && j < R; j++)
        for (uint32_t l = 0; l < G; l += 16)
            __builtin_prefetch(r + (size_t)j * in->L + l, 1, 3);
    block(R, NSAMP_SUMS_FROM_BIAS, phi == NSAMP_RSN_RELU, b, w2, in->x, in->stride, in->m, a, LANES, G);
    if (phi != NSAMP_RSN_RELU)
        for (uint32_t j = 0; j < R; j++)
            NSAMP_FOR_LANES(l, G) a[j * LANES + l] = nsamp_rsn_phi(phi, a[j * LANES + l]);
    if (r) {
        for (uint32_t j = 0; j < R; j++)
            NSAMP_FOR_LANES(l, G) {
                const float old = r[(size_t)j * in->L + l];
                a[j * LANES + l] = nsamp_fma(in->h, a[j * LANES + l] - old, old);
            }
        block(R, NSAMP_SUMS_FROM_THERE, false, NULL, s, in->xi, in->stride, in->m, a, LANES, G);
        for (uint32_t j = 0; j < R; j++)
            memcpy(r + (size_t)j * in->L, a + j * LANES, G * sizeof *a);
    }
    if (in->rounded) round_rows(R, G, a);
}

/* All units of a panel, an even number; s as w2, r NULL at the output level. */
NSAMP_HD void units_of(const uint32_t phi, const inputs *in, uint32_t units, const float *b, const float *w2,
                       const float *s, float *a, float *r) {
    uint32_t k = 0;
    for (; k < units; k += ROWS) {
        const size_t at = (size_t)k * in->m, to = (size_t)k * LANES;
        float *const rk = r ? r + (size_t)k * in->L : NULL;
        if (units - k >= ROWS)
            units_block(ROWS, phi, in, b + k, w2 + at, s + at, a + to, rk);
        else if (units - k == 4)
            units_block(4, phi, in, b + k, w2 + at, s + at, a + to, rk);
        else
            units_block(2, phi, in, b + k, w2 + at, s + at, a + to, rk);
    }
}

NSAMP_HD_CALL void hidden(uint32_t phi, const inputs *in, uint32_t units, const float *b, const float *w2,
                          const float *s, float *a, float *r) {
    if (phi == NSAMP_RSN_RELU)
        units_of(NSAMP_RSN_RELU, in, units, b, w2, s, a, r);
    else if (phi == NSAMP_RSN_TANH)
        units_of(NSAMP_RSN_TANH, in, units, b, w2, s, a, r);
    else
        units_of(NSAMP_RSN_SOFTPLUS, in, units, b, w2, s, a, r);
}

/* Chains 64 g to 64 g + G - 1 of from [m][L] -> to [m][64], or back. */
NSAMP_HD void take_group(uint32_t m, uint32_t L, uint32_t g, uint32_t G, const float *from, float *to) {
    for (uint32_t k = 0; k < m; k++)
        memcpy(to + ((size_t)g * m + k) * LANES, from + (size_t)k * L + g * LANES, G * sizeof *to);
}

NSAMP_HD void put_group(uint32_t m, uint32_t L, uint32_t g, uint32_t G, const float *from, float *to) {
    for (uint32_t k = 0; k < m; k++)
        memcpy(to + (size_t)k * L + g * LANES, from + ((size_t)g * m + k) * LANES, G * sizeof *to);
}

/* nsamp_rsn_y_fn. */
static void make_y(const nsamp_rsn_params *p, const nsamp_tile *tile, const float *xi, float *y) {
    const nsamp_rsn_panels *const q = (const nsamp_rsn_panels *)p->product;
    const float *const x = tile->state;
    float *const r = p->reservoir && xi ? tile->state + (size_t)p->dim * tile->lanes : NULL;
    const uint32_t L = tile->lanes;
    parts scratch, *const s = &scratch;
    nsamp_rsn_panels_carve(p->dim, p->reservoir, q->rounded, L, (float *)tile->scratch, s);
    const uint32_t m = p->dim, groups = (L + LANES - 1) / LANES,
                   each = nsamp_rsn_panels_each(m, p->reservoir);
    const bool apart = groups > 1 || q->rounded;
    const size_t stride = apart ? (size_t)LANES : L;
    for (uint32_t g = 0; apart && g < groups; g++) {
        const uint32_t G = nsamp_lesser(L - g * LANES, LANES);
        take_group(m, L, g, G, x, s->gx);
        if (q->rounded) round_rows(m, G, s->gx + (size_t)g * m * LANES);
        if (r) take_group(m, L, g, G, xi, s->gz);
    }
    for (uint32_t first = 0, units; first < q->units; first += units) {
        units = nsamp_lesser(q->units - first, q->panel);
        const float *const b = q->weights + (size_t)first * each, *const w2 = b + units,
                           *const w1 = b + (size_t)units * (each - m);
        for (uint32_t g = 0; g < groups; g++) {
            const uint32_t G = nsamp_lesser(L - g * LANES, LANES);
            const size_t at = (size_t)g * m * LANES;
            const inputs in = {
                apart ? s->gx + at : x, apart ? s->gz + at : xi, stride, p->h, m, L, G, q->rounded};
            hidden(p->activation, &in, units, b, w2, w2 + (size_t)units * m, s->hidden,
                   r ? r + (size_t)first * L + g * LANES : NULL);
            readout(first > 0, m, w1, s->hidden, units, apart ? s->gy + at : y, stride, G);
        }
    }
    for (uint32_t g = 0; apart && g < groups; g++)
        put_group(m, L, g, nsamp_lesser(L - g * LANES, LANES), s->gy, y);
}

static void advance(const void *params, const nsamp_tile *tile, uint64_t step0, uint32_t nsteps) {
    nsamp_rsn_advance_by(make_y, params, tile, step0, nsteps);
}

static void observe(const void *params, const nsamp_tile *tile, float *x) {
    nsamp_rsn_observe_by(make_y, params, tile, x);
}

const nsamp_cpu_kernel NSAMP_PASTE(nsamp_rsn_panels_, NSAMP_ISA) = {"rsn_panels_" NSAMP_TEXT(NSAMP_ISA), 0,
                                                                    advance, observe};
