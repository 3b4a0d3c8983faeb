/* train_bf16.c: see train_bf16.h. Compiled for each instruction set and for the matrix unit, as rsn_bf16.c is. */
#include "kernels/isa_name.h"
#include "kernels/train_bf16.h"

#include "kernels/rsn_bf16_panel.h"

enum {
    SIDE = NSAMP_AMX_SIDE,
    DEPTH = NSAMP_AMX_DEPTH,
    FACTORS = NSAMP_AMX_FACTORS,
    SUMS = NSAMP_AMX_SUMS,
    PAIRS = SUMS, /* of bf16 numbers in a right tile */
    BLOCK = NSAMP_TRAIN_BF16_BLOCK
};

#ifdef NSAMP_AMX
enum { MATRIX_UNIT = true };
#else
enum { MATRIX_UNIT = false };
#endif

typedef nsamp_train_bf16 shape;
typedef nsamp_train_bf16_batch batch;
typedef nsamp_train_bf16_scratch scratch;

/* ---- rows of a batch -------------------------------------------------------------------------------------- */

/* Columns col to col + 15 of the rows -> to, zero where there are none. */
NSAMP_HD void block_of(uint32_t m, uint32_t col, uint32_t count, const float *x, float to[BLOCK][SIDE]) {
    const uint32_t there = col < m ? nsamp_lesser(m - col, SIDE) : 0;
    if (count < BLOCK || there < SIDE) memset(to, 0, sizeof(float) * BLOCK * SIDE);
    for (uint32_t r = 0; r < count; r++)
        if (there == SIDE)
            memcpy(to[r], x + (size_t)r * m + col, SIDE * sizeof(float)); /* of constant length: no call */
        else if (there)
            memcpy(to[r], x + (size_t)r * m + col, there * sizeof(float));
}

static void take(const shape *s, uint32_t first, uint32_t count, const float *x, const batch *to) {
    const uint32_t depth = nsamp_train_bf16_depth(s->m), blocks = s->rows / BLOCK, at = first / BLOCK;
    for (uint32_t k = 0; k < depth; k++) {
        float columns[2][BLOCK][SIDE]; /* 32 of them by 16 */
        uint32_t words[BLOCK][SIDE];   /* of two columns */
        for (uint32_t c = 0; c < 2; c++) {
            uint32_t *const down = to->down + ((size_t)(2 * k + c) * blocks + at) * PAIRS;
            block_of(s->m, k * DEPTH + c * SIDE, count, x, columns[c]);
            for (uint32_t r = 0; r < BLOCK; r += 2)
                nsamp_amx_pairs(false, columns[c][r], columns[c][r + 1], down + r / 2 * SIDE);
        }
        for (uint32_t r = 0; r < BLOCK; r++)
            nsamp_amx_row(false, columns[0][r], columns[1][r], (nsamp_bf16 *)(void *)words[r]);
        uint32_t *const across = to->across + ((size_t)at * depth + k) * (2 * PAIRS);
        nsamp_amx_turn(words[0], across);
        nsamp_amx_turn(words[SIDE], across + PAIRS);
    }
}

/* ---- weights of a chunk ----------------------------------------------------------------------------------- */

/* w [units][m] -> left tiles for sums over inputs. */
NSAMP_HD void pack_inputs(uint32_t m, uint32_t units, const float *w, nsamp_bf16 *to) {
    static const float none[DEPTH];
    const uint32_t depth = nsamp_train_bf16_depth(m);
    for (uint32_t u = 0; u < nsamp_train_bf16_up(units); u++)
        for (uint32_t k = 0; k < depth; k++) {
            const float *from = u < units ? w + (size_t)u * m + k * DEPTH : none;
            float part[DEPTH] = {0};
            if (u < units && m - k * DEPTH < DEPTH) {
                memcpy(part, from, (m - k * DEPTH) * sizeof *part);
                from = part;
            }
            nsamp_amx_row(false, from, from + SIDE,
                          to + (((size_t)u / BLOCK * depth + k) * 2 + u / SIDE % 2) * FACTORS +
                              u % SIDE * DEPTH);
        }
}

/* w [units][m], W1 transposed -> left tiles for sums over units, in the order of nsamp_panel_outputs. */
NSAMP_HD void pack_outputs(uint32_t m, uint32_t units, const float *w, nsamp_bf16 *to) {
    const uint32_t rows = nsamp_train_bf16_outputs(m), blocks = nsamp_train_bf16_up(units) / BLOCK;
    for (uint32_t b = 0; b < blocks; b++)
        for (uint32_t row = 0; row < rows; row++) {
            const uint32_t first = row / 2 * 2, together = first + 1 < rows ? 2 : 1;
            uint32_t *const tile =
                (uint32_t *)(void *)to + ((size_t)first * blocks + b * together + row % 2) * PAIRS;
            float from[BLOCK][SIDE];
            uint32_t pairs[SIDE][SIDE]; /* of units, then outputs */
            block_of(m, row * SIDE, nsamp_lesser(units - b * BLOCK, BLOCK), w + (size_t)b * BLOCK * m, from);
            for (uint32_t k = 0; k < SIDE; k++)
                nsamp_amx_pairs(false, from[2 * k], from[2 * k + 1], pairs[k]);
            nsamp_amx_turn(pairs[0], tile);
        }
}

/* ---- forward ---------------------------------------------------------------------------------------------- */

/* phi is a constant in each call. */
NSAMP_HD void forward_rows(const shape *s, uint32_t units, const uint32_t phi, const batch *x, bool add,
                           const scratch *t, nsamp_bf16 *h, float *f) {
    const uint32_t blocks = s->rows / BLOCK, depth = nsamp_train_bf16_depth(s->m),
                   rows = nsamp_train_bf16_outputs(s->m);
    nsamp_panel_ahead nothing = {NULL, NULL, 64};
    nsamp_amx tiles;
    nsamp_amx_begin(&tiles);
    for (uint32_t r = 0; r < blocks; r++) {
        const nsamp_panel_use hidden = {.phi = phi,
                                        .P = 1,
                                        .hidden = t->hidden,
                                        .kept = h + (size_t)r * FACTORS,
                                        .far = (size_t)blocks * FACTORS};
        nsamp_panel_units(&tiles, depth, t->bias, t->inputs, units,
                          x->across + (size_t)r * depth * (2 * PAIRS), &hidden, &nothing);
        nsamp_panel_outputs(&tiles, rows, 1, t->outputs, add, units, t->hidden,
                            f + (size_t)r * rows * (2 * SUMS));
    }
    NSAMP_AMX_END(&tiles);
}

/* Called, so that no arithmetic of the caller moves to where subnormal numbers are 0; as back_products and gradient_products. */
NSAMP_HD_CALL void forward_products(const shape *s, uint32_t units, const batch *x, bool add,
                                    const scratch *t, nsamp_bf16 *h, float *f) {
    if (s->activation == NSAMP_TRAIN_RELU)
        forward_rows(s, units, NSAMP_RSN_RELU, x, add, t, h, f);
    else if (s->activation == NSAMP_TRAIN_TANH)
        forward_rows(s, units, NSAMP_RSN_TANH, x, add, t, h, f);
    else
        forward_rows(s, units, NSAMP_RSN_SOFTPLUS, x, add, t, h, f);
}

static void forward(const shape *s, uint32_t units, const float *w2, const float *w1, const float *b,
                    const batch *x, bool add, const scratch *t, nsamp_bf16 *h, float *f) {
    const uint32_t up = nsamp_train_bf16_up(units);
    pack_inputs(s->m, units, w2, t->inputs);
    pack_outputs(s->m, units, w1, t->outputs);
    for (uint32_t u = 0; u < up; u++)
        NSAMP_FOR_LANES(j, SIDE) t->bias[u * SIDE + j] = u < units ? b[u] : 0.0f;
    const unsigned mode = nsamp_amx_flush_begin();
    forward_products(s, up, x, add, t, h, f);
    nsamp_amx_flush_end(mode);
}

/* ---- back ------------------------------------------------------------------------------------------------- */

/* phi is a constant in each call. */
NSAMP_HD void back_rows(const shape *s, const uint32_t phi, uint32_t units, const batch *e,
                        const nsamp_bf16 *h, const scratch *t) {
    const uint32_t blocks = s->rows / BLOCK, depth = nsamp_train_bf16_depth(s->m);
    nsamp_panel_ahead nothing = {NULL, NULL, 64};
    nsamp_amx tiles;
    nsamp_amx_begin(&tiles);
    for (uint32_t r = 0; r < blocks; r++) {
        const nsamp_panel_use slopes = {.phi = phi,
                                        .P = 1,
                                        .totals = t->sums,
                                        .back = t->back + (size_t)r * FACTORS,
                                        .slopes = h + (size_t)r * FACTORS,
                                        .far = (size_t)blocks * FACTORS};
        nsamp_panel_units(&tiles, depth, NULL, t->inputs, units, e->across + (size_t)r * depth * (2 * PAIRS),
                          &slopes, &nothing);
    }
    NSAMP_AMX_END(&tiles);
}

NSAMP_HD_CALL void back_products(const shape *s, uint32_t units, const batch *e, const nsamp_bf16 *h,
                                 const scratch *t) {
    if (s->activation == NSAMP_TRAIN_RELU)
        back_rows(s, NSAMP_TRAIN_RELU, units, e, h, t);
    else if (s->activation == NSAMP_TRAIN_TANH)
        back_rows(s, NSAMP_TRAIN_TANH, units, e, h, t);
    else
        back_rows(s, NSAMP_TRAIN_SOFTPLUS, units, e, h, t);
}

static void back(const shape *s, uint32_t units, const float *w1, const batch *e, const nsamp_bf16 *h,
                 const scratch *t, float *gb) {
    const uint32_t up = nsamp_train_bf16_up(units);
    pack_inputs(s->m, units, w1, t->inputs);
    memset(t->sums, 0, (size_t)up * SIDE * sizeof(float));
    const unsigned mode = nsamp_amx_flush_begin();
    back_products(s, up, e, h, t);
    nsamp_amx_flush_end(mode);
    for (uint32_t u = 0; u < units; u++) {
        float sum = 0.0f;
        for (uint32_t j = 0; j < SIDE; j++)
            sum += t->sums[u * SIDE + j];
        gb[u] = sum;
    }
}

/* ---- gradients -------------------------------------------------------------------------------------------- */

/* What is there of 32 units by 32 inputs, sums in four tiles -> to [units][m]. */
NSAMP_HD void put_gradient(uint32_t m, uint32_t units, uint32_t inputs, const float *sums, float *to) {
    for (uint32_t u = 0; u < units; u++, to += m) {
        const float *const row = sums + u / SIDE * (2 * SUMS) + u % SIDE * SIDE;
        if (inputs == DEPTH) {
            NSAMP_FOR_LANES(j, SIDE) to[j] = row[j];
            NSAMP_FOR_LANES(j, SIDE) to[SIDE + j] = row[SUMS + j];
        } else {
            for (uint32_t j = 0; j < inputs; j++)
                to[j] = row[j / SIDE * SUMS + j % SIDE];
        }
    }
}

NSAMP_HD_CALL void gradient_products(const shape *s, uint32_t units, const nsamp_bf16 *left,
                                     const batch *right, float *to) {
    const uint32_t blocks = s->rows / BLOCK, m = s->m;
    float sums[4 * SUMS] __attribute__((aligned(64)));
    nsamp_amx tiles;
    nsamp_amx_begin(&tiles);
    for (uint32_t u = 0; u < units; u += BLOCK)
        for (uint32_t i = 0; i < m; i += DEPTH) {
            const nsamp_bf16 *const upper = left + (size_t)(u / SIDE) * blocks * FACTORS, *const lower =
                                                                                              upper +
                                                                                              (size_t)blocks *
                                                                                                  FACTORS;
            const uint32_t *const first = right->down + (size_t)(i / SIDE) * blocks * PAIRS,
                                  *const second = first + (size_t)blocks * PAIRS;
            NSAMP_AMX_CLEAR(&tiles, 0);
            NSAMP_AMX_CLEAR(&tiles, 1);
            NSAMP_AMX_CLEAR(&tiles, 2);
            NSAMP_AMX_CLEAR(&tiles, 3);
            for (uint32_t r = 0; r < blocks; r++) {
                NSAMP_AMX_LEFT(&tiles, 4, upper + (size_t)r * FACTORS);
                NSAMP_AMX_RIGHT(&tiles, 6, first + (size_t)r * PAIRS);
                NSAMP_AMX_PRODUCT(&tiles, 0, 4, 6);
                NSAMP_AMX_LEFT(&tiles, 5, lower + (size_t)r * FACTORS);
                NSAMP_AMX_PRODUCT(&tiles, 2, 5, 6);
                NSAMP_AMX_RIGHT(&tiles, 7, second + (size_t)r * PAIRS);
                NSAMP_AMX_PRODUCT(&tiles, 1, 4, 7);
                NSAMP_AMX_PRODUCT(&tiles, 3, 5, 7);
            }
            NSAMP_AMX_PUT(&tiles, 0, sums);
            NSAMP_AMX_PUT(&tiles, 1, sums + SUMS);
            NSAMP_AMX_PUT(&tiles, 2, sums + 2 * SUMS);
            NSAMP_AMX_PUT(&tiles, 3, sums + 3 * SUMS);
            put_gradient(m, nsamp_lesser(units - u, BLOCK), nsamp_lesser(m - i, DEPTH), sums,
                         to + (size_t)u * m + i);
        }
    NSAMP_AMX_END(&tiles);
}

static void gradient(const shape *s, uint32_t units, const nsamp_bf16 *left, const batch *right,
                     const scratch *t) {
    const unsigned mode = nsamp_amx_flush_begin();
    gradient_products(s, units, left, right, t->gradient);
    nsamp_amx_flush_end(mode);
}

/* ---- outputs ---------------------------------------------------------------------------------------------- */

static void outputs(const shape *s, size_t parts, size_t stride, const float *f, uint32_t first,
                    uint32_t count, float *to) {
    const uint32_t tiles = nsamp_train_bf16_outputs(s->m);
    for (uint32_t i = 0; i < tiles; i++)
        for (uint32_t half = 0; half < 2; half++) {
            const float *from = f + (((size_t)first / BLOCK * tiles + i) * 2 + half) * SUMS;
            float sums[SUMS]; /* of outputs, then rows */
            memcpy(sums, from, sizeof sums);
            for (size_t p = 1; p < parts; p++) {
                from += stride;
                NSAMP_FOR_LANES(k, SUMS) sums[k] += from[k];
            }
            for (uint32_t r = half * SIDE; r < nsamp_lesser(count, (half + 1) * SIDE); r++)
                for (uint32_t k = 0; k < nsamp_lesser(s->m - i * SIDE, SIDE); k++)
                    to[(size_t)r * s->m + i * SIDE + k] = sums[k * SIDE + r % SIDE];
        }
}

const nsamp_train_bf16_kernels NSAMP_PASTE(nsamp_train_bf16_, NSAMP_ISA) = {
    NSAMP_TEXT(NSAMP_ISA), MATRIX_UNIT, take, forward, back, gradient, outputs};
