/* rsn_bf16_panel.h: products of a panel of hidden units with 32 chains or rows of a batch, in tiles of amx.h: what the sampler (rsn_bf16.c)
 * and the training (train_bf16.c) of a network share. In one part or three, as rsn_bf16.h has it. */
#ifndef NSAMP_KERNELS_RSN_BF16_PANEL_H
#define NSAMP_KERNELS_RSN_BF16_PANEL_H

#include "kernels/amx.h"
#include "kernels/rsn_bf16.h"
#include "kernels/systems/rsn.h"
#include "kernels/train.h"

enum { NSAMP_PANEL_COUPLES = 16 /* of units in a block of 32 */ };

/* What becomes of the sums of a block of 32 units by 32 chains, of P parts; phi and P are constants of the caller. Forward, of the sampler
 * and of a training:
 *     hidden   [units / 32][P][2][16][16]: phi of them
 *     kept     NULL, or in a training phi once more, as left tiles [16][32] of these rows, `far` numbers from one 16 units to the next
 * On the way back of a training, hidden NULL; phi is the activation as train.h numbers it:
 *     slopes   as kept: phi of the forward pass, whose slopes the sums are multiplied by
 *     back     as kept: those products
 *     totals   [units / 16][16][16]: they are added to it before they are rounded, lane by lane */
typedef struct nsamp_panel_use {
    uint32_t phi, P;
    uint32_t *hidden;
    nsamp_bf16 *kept, *back;
    const nsamp_bf16 *slopes;
    float *totals;
    size_t far;
} nsamp_panel_use;

/* The products of parts: of the weight and of the other factor, in the order that loads the fewest tiles. Of factors in one part the
 * fifth alone. */
enum { NSAMP_PANEL_PRODUCTS = 6, NSAMP_PANEL_ONLY = 4 };
static const unsigned char nsamp_panel_left[NSAMP_PANEL_PRODUCTS] = {2, 1, 1, 0, 0, 0},
                           nsamp_panel_right[NSAMP_PANEL_PRODUCTS] = {0, 0, 1, 1, 0, 2};

/* Rows of 16 numbers -> P parts of their pairs, `stride` pairs from one to the next. even and odd are used up. */
NSAMP_HD void nsamp_panel_split(const uint32_t P, float *even, float *odd, uint32_t *to, size_t stride) {
    NSAMP_UNROLL for (uint32_t i = 0; i < P; i++, to += stride) {
        nsamp_amx_pairs(false, even, odd, to);
        if (i + 1 == P) continue;
        NSAMP_FOR_LANES(j, NSAMP_AMX_SIDE) {
            even[j] -= nsamp_float_of(to[j] << 16);
            odd[j] -= nsamp_float_of(to[j] & 0xffff0000u);
        }
    }
}

/* Pairs of units first to last - 1 of block u; sums in four tiles: units 0 to 15 of two times 16 chains, then units 16 to 31. */
NSAMP_HD void nsamp_panel_narrow(const nsamp_panel_use *use, uint32_t u, const float *sums, uint32_t first,
                                 uint32_t last) {
    enum { SIDE = NSAMP_AMX_SIDE, SUMS = NSAMP_AMX_SUMS, DEPTH = NSAMP_AMX_DEPTH };
    const uint32_t phi = use->phi, P = use->P;
    for (uint32_t i = first; i < last; i++) {
        const float *const low = sums + i / 8 * (2 * SUMS) + i % 8 * (2 * SIDE), *const high = low + SUMS;
        uint32_t *const to = use->hidden + ((size_t)u * P * 2 * SIDE + i) * SIDE;
        const bool by_words = phi == NSAMP_RSN_RELU && P == 1;
        float a[2][2 * SIDE] __attribute__((aligned(64))); /* of 16 chains and of the others */
        if (!by_words) {
            NSAMP_FOR_LANES(j, 2 * SIDE) a[0][j] = nsamp_rsn_phi(phi, low[j]);
            NSAMP_FOR_LANES(j, 2 * SIDE) a[1][j] = nsamp_rsn_phi(phi, high[j]);
        }
        const float *const l = by_words ? low : a[0], *const h = by_words ? high : a[1];
        if (use->kept) {
            nsamp_bf16 *const kept = use->kept + (2 * u + i / 8) * use->far + i % 8 * (2 * DEPTH);
            nsamp_amx_row(by_words, l, h, kept);
            nsamp_amx_row(by_words, l + SIDE, h + SIDE, kept + DEPTH);
            nsamp_amx_zip(kept, kept + DEPTH, to, to + SUMS);
        } else if (by_words) {
            nsamp_amx_pairs(true, l, l + SIDE, to);
            nsamp_amx_pairs(true, h, h + SIDE, to + SUMS);
        } else {
            nsamp_panel_split(P, a[0], a[0] + SIDE, to, 2 * SUMS);
            nsamp_panel_split(P, a[1], a[1] + SIDE, to + SUMS, 2 * SUMS);
        }
    }
}

/* The same on the way back. */
NSAMP_HD void nsamp_panel_slopes(const nsamp_panel_use *use, uint32_t u, const float *sums, uint32_t first,
                                 uint32_t last) {
    enum { SIDE = NSAMP_AMX_SIDE, SUMS = NSAMP_AMX_SUMS, DEPTH = NSAMP_AMX_DEPTH };
    for (uint32_t i = 2 * first; i < 2 * last; i++) {
        const float *const low = sums + i / 16 * (2 * SUMS) + i % 16 * SIDE, *const high = low + SUMS;
        const size_t at = (2 * u + i / 16) * use->far + i % 16 * DEPTH;
        const nsamp_bf16 *const h = use->slopes + at;
        float *const total = use->totals + ((size_t)u * 2 * SIDE + i) * SIDE;
        float l[SIDE], r[SIDE];
        NSAMP_FOR_LANES(j, SIDE) {
            l[j] = low[j] * nsamp_slope((int)use->phi, nsamp_bf16_value(h[j]));
            r[j] = high[j] * nsamp_slope((int)use->phi, nsamp_bf16_value(h[SIDE + j]));
            total[j] += l[j];
            total[j] += r[j];
        }
        nsamp_amx_row(false, l, r, use->back + at);
    }
}

NSAMP_HD void nsamp_panel_use_sums(const nsamp_panel_use *use, uint32_t u, const float *sums, uint32_t first,
                                   uint32_t last) {
    if (use->hidden)
        nsamp_panel_narrow(use, u, sums, first, last);
    else
        nsamp_panel_slopes(use, u, sums, first, last);
}

/* Lines of the next panel's weights, fetched into the second-level cache while this one is worked on: `each` at a time. */
typedef struct nsamp_panel_ahead {
    const char *next, *end;
    uint32_t each; /* bytes */
} nsamp_panel_ahead;

NSAMP_HD void nsamp_panel_fetch(nsamp_panel_ahead *a) {
    const char *const until = (size_t)(a->end - a->next) < a->each ? a->end : a->next + a->each;
    for (; a->next < until; a->next += 64)
        __builtin_prefetch(a->next, 0, 2);
}

/* Products of `count` units with 32 chains, and what becomes of them; sums begin with bias [count / 16][16][16] (NULL: 0). w: left tiles
 * [count / 32][depth][P][2][16][32]; x: right tiles [depth][P][2][16][16]. What the vector ports do to one block of 32 units is put between
 * the products of the next. */
NSAMP_HD void nsamp_panel_units(nsamp_amx *t, uint32_t depth, const float *bias, const nsamp_bf16 *w,
                                uint32_t count, const uint32_t *x, const nsamp_panel_use *use,
                                nsamp_panel_ahead *weights) {
    enum { SUMS = NSAMP_AMX_SUMS, FACTORS = NSAMP_AMX_FACTORS };
    const uint32_t COUPLES = NSAMP_PANEL_COUPLES;
    float sums[2][4 * SUMS] __attribute__((aligned(64)));
    const uint32_t P = use->P, from = P == 1 ? NSAMP_PANEL_ONLY : 0,
                   until = P == 1 ? NSAMP_PANEL_ONLY + 1 : NSAMP_PANEL_PRODUCTS;
    const uint32_t each = (COUPLES + depth * (until - from) - 1) / (depth * (until - from)),
                   blocks = count / NSAMP_AMX_DEPTH;
    (void)t;
    for (uint32_t u = 0; u < blocks; u++) {
        const float *const before = sums[(u + 1) % 2];
        const uint32_t *xk = x;
        uint32_t done = u ? 0 : COUPLES;
        if (bias) {
            const float *const b = bias + (size_t)u * (2 * SUMS);
            NSAMP_AMX_GET(t, 0, b);
            NSAMP_AMX_GET(t, 1, b);
            NSAMP_AMX_GET(t, 2, b + SUMS);
            NSAMP_AMX_GET(t, 3, b + SUMS);
        } else {
            NSAMP_AMX_CLEAR(t, 0);
            NSAMP_AMX_CLEAR(t, 1);
            NSAMP_AMX_CLEAR(t, 2);
            NSAMP_AMX_CLEAR(t, 3);
        }
        for (uint32_t k = 0; k < depth; k++, w += P * (2 * FACTORS), xk += P * (2 * SUMS))
            NSAMP_UNROLL for (uint32_t s = from; s < until; s++) {
                const bool left = s == from || nsamp_panel_left[s] != nsamp_panel_left[s - 1],
                           right = s == from || nsamp_panel_right[s] != nsamp_panel_right[s - 1];
                nsamp_panel_fetch(weights);
                if (left) NSAMP_AMX_LEFT(t, 4, w + nsamp_panel_left[s] * (2 * FACTORS));
                if (right) NSAMP_AMX_RIGHT(t, 6, xk + nsamp_panel_right[s] * (2 * SUMS));
                NSAMP_AMX_PRODUCT(t, 0, 4, 6);
                if (left) NSAMP_AMX_LEFT(t, 5, w + nsamp_panel_left[s] * (2 * FACTORS) + FACTORS);
                NSAMP_AMX_PRODUCT(t, 2, 5, 6);
                if (right) NSAMP_AMX_RIGHT(t, 7, xk + nsamp_panel_right[s] * (2 * SUMS) + SUMS);
                NSAMP_AMX_PRODUCT(t, 1, 4, 7);
                NSAMP_AMX_PRODUCT(t, 3, 5, 7);
                const uint32_t next = done + each < COUPLES ? done + each : COUPLES;
                nsamp_panel_use_sums(use, u - 1, before, done, next);
                done = next;
            }
        float *const now = sums[u % 2];
        NSAMP_AMX_PUT(t, 0, now);
        NSAMP_AMX_PUT(t, 1, now + SUMS);
        NSAMP_AMX_PUT(t, 2, now + 2 * SUMS);
        NSAMP_AMX_PUT(t, 3, now + 3 * SUMS);
    }
    nsamp_panel_use_sums(use, blocks - 1, sums[(blocks - 1) % 2], 0, COUPLES);
}

/* y = W1 hidden of one panel of `count` units for 32 chains, or y += it; in tiles [rows][2][16][16]. */
NSAMP_HD void nsamp_panel_outputs(nsamp_amx *t, uint32_t rows, const uint32_t P, const nsamp_bf16 *w,
                                  bool add, uint32_t count, const uint32_t *hidden, float *y) {
    const uint32_t from = P == 1 ? NSAMP_PANEL_ONLY : 0,
                   until = P == 1 ? NSAMP_PANEL_ONLY + 1 : NSAMP_PANEL_PRODUCTS;
    (void)t;
    for (uint32_t i = 0; i < rows; i += 2, y += 4 * NSAMP_AMX_SUMS) {
        const bool two = i + 1 < rows;
        const uint32_t together = two ? 2 * NSAMP_AMX_FACTORS : NSAMP_AMX_FACTORS;
        const uint32_t *h = hidden;
        if (add) {
            NSAMP_AMX_GET(t, 0, y);
            NSAMP_AMX_GET(t, 1, y + NSAMP_AMX_SUMS);
            if (two) {
                NSAMP_AMX_GET(t, 2, y + 2 * NSAMP_AMX_SUMS);
                NSAMP_AMX_GET(t, 3, y + 3 * NSAMP_AMX_SUMS);
            }
        } else {
            NSAMP_AMX_CLEAR(t, 0);
            NSAMP_AMX_CLEAR(t, 1);
            NSAMP_AMX_CLEAR(t, 2);
            NSAMP_AMX_CLEAR(t, 3);
        }
        for (uint32_t k = 0; k < count / NSAMP_AMX_DEPTH;
             k++, h += P * (2 * NSAMP_AMX_SUMS), w += P * together)
            NSAMP_UNROLL for (uint32_t s = from; s < until; s++) {
                const bool left = s == from || nsamp_panel_left[s] != nsamp_panel_left[s - 1],
                           right = s == from || nsamp_panel_right[s] != nsamp_panel_right[s - 1];
                if (left) NSAMP_AMX_LEFT(t, 4, w + nsamp_panel_left[s] * together);
                if (right) NSAMP_AMX_RIGHT(t, 6, h + nsamp_panel_right[s] * (2 * NSAMP_AMX_SUMS));
                NSAMP_AMX_PRODUCT(t, 0, 4, 6);
                if (two) {
                    if (left) NSAMP_AMX_LEFT(t, 5, w + nsamp_panel_left[s] * together + NSAMP_AMX_FACTORS);
                    NSAMP_AMX_PRODUCT(t, 2, 5, 6);
                }
                if (right)
                    NSAMP_AMX_RIGHT(t, 7, h + nsamp_panel_right[s] * (2 * NSAMP_AMX_SUMS) + NSAMP_AMX_SUMS);
                NSAMP_AMX_PRODUCT(t, 1, 4, 7);
                if (two) NSAMP_AMX_PRODUCT(t, 3, 5, 7);
            }
        NSAMP_AMX_PUT(t, 0, y);
        NSAMP_AMX_PUT(t, 1, y + NSAMP_AMX_SUMS);
        if (!two) continue;
        NSAMP_AMX_PUT(t, 2, y + 2 * NSAMP_AMX_SUMS);
        NSAMP_AMX_PUT(t, 3, y + 3 * NSAMP_AMX_SUMS);
    }
}

#endif
