/* rsn_bf16_panel.h: products of a panel of hidden units with 32 chains or rows of a batch, in tiles of amx.h: what the sampler (rsn_bf16.c)
 * and the training (train_bf16.c) of a network share. In one part or three, as rsn_bf16.h has it. */
#ifndef NSAMP_KERNELS_RSN_BF16_PANEL_H
#define NSAMP_KERNELS_RSN_BF16_PANEL_H

#include "kernels/amx.h"
#include "kernels/rsn_bf16.h"
#include "kernels/systems/rsn.h"

enum { NSAMP_PANEL_ROWS = 32 /* pairs of rows of 16 in 32 units by 32 chains */ };

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

/* Pairs of rows first to last - 1 of the 32 of four tiles of sums (units 0 to 15 of two times 16 chains, then units 16 to 31)
 * -> phi of them in two right tiles a part. */
NSAMP_HD void nsamp_panel_narrow(const uint32_t phi, const uint32_t P, const float *sums, uint32_t first,
                                 uint32_t last, uint32_t *to) {
    for (uint32_t i = first; i < last; i++) {
        const float *const rows = sums + i * 2 * NSAMP_AMX_SIDE;
        uint32_t *const row = to + (i / 8 % 2 * NSAMP_AMX_SIDE + i / 16 * 8 + i % 8) * NSAMP_AMX_SIDE;
        if (phi == NSAMP_RSN_RELU && P == 1) {
            nsamp_amx_pairs(true, rows, rows + NSAMP_AMX_SIDE, row);
            continue;
        }
        float a[2 * NSAMP_AMX_SIDE] __attribute__((aligned(64)));
        NSAMP_FOR_LANES(j, 2 * NSAMP_AMX_SIDE) a[j] = nsamp_rsn_phi(phi, rows[j]);
        nsamp_panel_split(P, a, a + NSAMP_AMX_SIDE, row, 2 * NSAMP_AMX_SUMS);
    }
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

/* The hidden units of one panel for 32 chains. What the vector ports do to one block of 32 units is put between the products of the
 * next. */
NSAMP_HD void nsamp_panel_units(nsamp_amx *t, const nsamp_rsn_bf16 *q, const uint32_t phi, const uint32_t P,
                                const nsamp_bf16 *w, uint32_t first, uint32_t count, const uint32_t *x,
                                uint32_t *hidden, nsamp_panel_ahead *weights) {
    float sums[2][4 * NSAMP_AMX_SUMS] __attribute__((aligned(64)));
    const uint32_t from = P == 1 ? NSAMP_PANEL_ONLY : 0,
                   until = P == 1 ? NSAMP_PANEL_ONLY + 1 : NSAMP_PANEL_PRODUCTS;
    const uint32_t each = (NSAMP_PANEL_ROWS + q->depth * (until - from) - 1) / (q->depth * (until - from));
    const float *bias = q->bias + (size_t)first * NSAMP_AMX_SIDE;
    (void)t;
    for (uint32_t u = 0; u < count / NSAMP_AMX_DEPTH; u++, bias += 2 * NSAMP_AMX_SUMS) {
        const float *const before = sums[(u + 1) % 2];
        uint32_t *const to = hidden + (u ? u - 1 : 0) * P * (2 * NSAMP_AMX_SUMS);
        const uint32_t *xk = x;
        uint32_t done = u ? 0 : NSAMP_PANEL_ROWS;
        NSAMP_AMX_GET(t, 0, bias);
        NSAMP_AMX_GET(t, 1, bias);
        NSAMP_AMX_GET(t, 2, bias + NSAMP_AMX_SUMS);
        NSAMP_AMX_GET(t, 3, bias + NSAMP_AMX_SUMS);
        for (uint32_t k = 0; k < q->depth;
             k++, w += P * (2 * NSAMP_AMX_FACTORS), xk += P * (2 * NSAMP_AMX_SUMS))
            NSAMP_UNROLL for (uint32_t s = from; s < until; s++) {
                const bool left = s == from || nsamp_panel_left[s] != nsamp_panel_left[s - 1],
                           right = s == from || nsamp_panel_right[s] != nsamp_panel_right[s - 1];
                nsamp_panel_fetch(weights);
                if (left) NSAMP_AMX_LEFT(t, 4, w + nsamp_panel_left[s] * (2 * NSAMP_AMX_FACTORS));
                if (right) NSAMP_AMX_RIGHT(t, 6, xk + nsamp_panel_right[s] * (2 * NSAMP_AMX_SUMS));
                NSAMP_AMX_PRODUCT(t, 0, 4, 6);
                if (left)
                    NSAMP_AMX_LEFT(t, 5,
                                   w + nsamp_panel_left[s] * (2 * NSAMP_AMX_FACTORS) + NSAMP_AMX_FACTORS);
                NSAMP_AMX_PRODUCT(t, 2, 5, 6);
                if (right)
                    NSAMP_AMX_RIGHT(t, 7, xk + nsamp_panel_right[s] * (2 * NSAMP_AMX_SUMS) + NSAMP_AMX_SUMS);
                NSAMP_AMX_PRODUCT(t, 1, 4, 7);
                NSAMP_AMX_PRODUCT(t, 3, 5, 7);
                const uint32_t next = done + each < NSAMP_PANEL_ROWS ? done + each : NSAMP_PANEL_ROWS;
                nsamp_panel_narrow(phi, P, before, done, next, to);
                done = next;
            }
        float *const now = sums[u % 2];
        NSAMP_AMX_PUT(t, 0, now);
        NSAMP_AMX_PUT(t, 1, now + NSAMP_AMX_SUMS);
        NSAMP_AMX_PUT(t, 2, now + 2 * NSAMP_AMX_SUMS);
        NSAMP_AMX_PUT(t, 3, now + 3 * NSAMP_AMX_SUMS);
    }
    const uint32_t last = count / NSAMP_AMX_DEPTH - 1;
    nsamp_panel_narrow(phi, P, sums[last % 2], 0, NSAMP_PANEL_ROWS, hidden + last * P * (2 * NSAMP_AMX_SUMS));
}

/* y += W1 hidden of one panel for 32 chains, in tiles; from the first panel y = W1 hidden. */
NSAMP_HD void nsamp_panel_outputs(nsamp_amx *t, const nsamp_rsn_bf16 *q, const uint32_t P,
                                  const nsamp_bf16 *w, uint32_t first, uint32_t count, const uint32_t *hidden,
                                  float *y) {
    const uint32_t from = P == 1 ? NSAMP_PANEL_ONLY : 0,
                   until = P == 1 ? NSAMP_PANEL_ONLY + 1 : NSAMP_PANEL_PRODUCTS;
    (void)t;
    for (uint32_t i = 0; i < q->rows; i += 2, y += 4 * NSAMP_AMX_SUMS) {
        const bool two = i + 1 < q->rows;
        const uint32_t together = two ? 2 * NSAMP_AMX_FACTORS : NSAMP_AMX_FACTORS;
        const uint32_t *h = hidden;
        if (first) {
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
