/* rsn_bf16.c: see rsn_bf16.h. Compiled for each instruction set as cpu.c is, and once more for the matrix unit; all give the same bits. */
#include "kernels/isa_name.h"
#include "kernels/rsn_bf16.h"

#include "kernels/rsn_bf16_panel.h"
#include "kernels/rsn_steps.h"

enum {
    LANES = NSAMP_RSN_BF16_LANES,
    SIDE = NSAMP_AMX_SIDE,
    DEPTH = NSAMP_AMX_DEPTH,
    FACTORS = NSAMP_AMX_FACTORS,
    SUMS = NSAMP_AMX_SUMS,
    PAIRS = SUMS /* of bf16 numbers in a right tile */
};

typedef nsamp_rsn_bf16_parts parts;

/* x [m][L] -> pairs of its parts. */
NSAMP_HD void narrow_x(const uint32_t P, uint32_t m, uint32_t L, uint32_t depth, const float *x,
                       uint32_t *to) {
    for (uint32_t g = 0; g < L; g += LANES)
        for (uint32_t k = 0; k < depth * DEPTH; k += 2)
            for (uint32_t c = 0; c < 2; c++) {
                const float *const row = x + (size_t)k * L + g + c * SIDE;
                float even[SIDE] = {0}, odd[SIDE] = {0};
                if (k < m) memcpy(even, row, sizeof even);
                if (k + 1 < m) memcpy(odd, row + L, sizeof odd);
                nsamp_panel_split(P, even, odd,
                                  to + (((size_t)(g / LANES) * depth + k / DEPTH) * P * 2 + c) * PAIRS +
                                      k % DEPTH / 2 * SIDE,
                                  2 * PAIRS);
            }
}

/* Bytes of weights that leave room in a second-level cache for another panel; and that stay there altogether. */
enum { PANEL_BYTES = 512 << 10, RESIDENT_BYTES = 1 << 20 };

/* All panels for all chains of the tile; the weights of a panel stay in the second-level cache for them. */
NSAMP_HD void panels(const nsamp_rsn_bf16 *q, const uint32_t phi, const uint32_t P, uint32_t L,
                     const parts *s) {
    const uint32_t panel = nsamp_rsn_bf16_panel(P), groups = L / LANES;
    const size_t unit = ((size_t)q->depth * DEPTH + (size_t)q->rows * SIDE) * P; /* weights of a unit */
    const bool far = unit * panel * sizeof(nsamp_bf16) <= PANEL_BYTES &&
                     unit * q->units * sizeof(nsamp_bf16) > RESIDENT_BYTES;
    const nsamp_panel_use hidden = {.phi = phi, .P = P, .hidden = s->hidden};
    nsamp_amx t;
    nsamp_amx_begin(&t);
    for (uint32_t first = 0, count; first < q->units; first += count) {
        count = q->units - first < panel ? q->units - first : panel;
        const uint32_t next = first + count < q->units ? first + count : 0,
                       after = q->units - next < panel ? q->units - next : panel,
                       times = groups * (count / DEPTH) * q->depth * (P == 1 ? 1 : NSAMP_PANEL_PRODUCTS);
        const nsamp_bf16 *const w = q->weights + first * unit;
        nsamp_panel_ahead weights = {
            (const char *)(q->weights + next * unit),
            (const char *)(q->weights + (far ? next + after : next) * unit),
            (uint32_t)((unit * after * sizeof(nsamp_bf16) / 64 + times - 1) / times * 64)};
        for (uint32_t g = 0; g < groups; g++) {
            nsamp_panel_units(&t, q->depth, q->bias + (size_t)first * SIDE, w, count,
                              s->x + (size_t)g * q->depth * P * (2 * PAIRS), &hidden, &weights);
            nsamp_panel_outputs(&t, q->rows, P, w + (size_t)count * q->depth * P * DEPTH, first > 0, count,
                                s->hidden, s->sums + (size_t)g * q->rows * (2 * SUMS));
        }
    }
    NSAMP_AMX_END(&t);
}

/* phi is a constant in each call. */
NSAMP_HD void panels_of(const nsamp_rsn_bf16 *q, uint32_t phi, const uint32_t P, uint32_t L, const parts *s) {
    if (phi == NSAMP_RSN_RELU)
        panels(q, NSAMP_RSN_RELU, P, L, s);
    else if (phi == NSAMP_RSN_TANH)
        panels(q, NSAMP_RSN_TANH, P, L, s);
    else
        panels(q, NSAMP_RSN_SOFTPLUS, P, L, s);
}

/* Called, so that no arithmetic of the caller moves to where subnormal numbers are 0. */
NSAMP_HD_CALL void products(const nsamp_rsn_bf16 *q, uint32_t phi, uint32_t L, const parts *s) {
    if (q->parts == 1)
        panels_of(q, phi, 1, L, s);
    else
        panels_of(q, phi, 3, L, s);
}

/* nsamp_rsn_y_fn, without reservoirs. */
static void make_y(const nsamp_rsn_params *p, const nsamp_tile *tile, const float *xi, float *y) {
    (void)xi;
    const nsamp_rsn_bf16 *const q = (const nsamp_rsn_bf16 *)p->product;
    const float *const x = tile->state;
    const uint32_t L = tile->lanes;
    parts scratch, *const s = &scratch;
    nsamp_rsn_bf16_carve(q, p->dim, L, (float *)tile->scratch, s);
    if (q->parts == 1)
        narrow_x(1, p->dim, L, q->depth, x, s->x);
    else
        narrow_x(3, p->dim, L, q->depth, x, s->x);
    const unsigned mode = nsamp_amx_flush_begin();
    products(q, p->activation, L, s);
    nsamp_amx_flush_end(mode);
    for (uint32_t g = 0; g < L / LANES; g++)
        for (uint32_t k = 0; k < p->dim; k++)
            for (uint32_t c = 0; c < 2; c++) {
                const float *const from =
                    s->sums + ((size_t)(g * q->rows + k / SIDE) * 2 + c) * SUMS + k % SIDE * SIDE;
                memcpy(y + (size_t)k * L + g * LANES + c * SIDE, from, SIDE * sizeof *y);
            }
}

static void advance(const void *params, const nsamp_tile *tile, uint64_t step0, uint32_t nsteps) {
    nsamp_rsn_advance_by(make_y, params, tile, step0, nsteps);
}

static void observe(const void *params, const nsamp_tile *tile, float *x) {
    nsamp_rsn_observe_by(make_y, params, tile, x);
}

const nsamp_cpu_kernel NSAMP_PASTE(nsamp_rsn_bf16_, NSAMP_ISA) = {"rsn_bf16_" NSAMP_TEXT(NSAMP_ISA), 0,
                                                                  advance, observe};
