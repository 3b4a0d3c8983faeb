/* rsn_panels.c: weights of a network in the panels of kernels/rsn_panels.h, and the choice between its kernels. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pages.h"
#include "systems/rsn.h"

enum {
    B = NSAMP_RSN_BLOCK,
    ROWS = NSAMP_RSN_PANELS_ROWS,
    PANEL_BYTES = 512 << 10 /* of weights, beside the chains of a tile in a second-level cache */
};

/* Rows of the block that begins with row k of `rows`: six, then four, two and one. */
static uint32_t rows_of(uint32_t k, uint32_t rows) {
    const uint32_t left = rows - k;
    return left >= ROWS ? ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* Numbers `field` of units `first` on, where those of unit j are: b, W2 [m], W1 [m], a S [m]. */
static const float *at(const nsamp_rsn_params *p, uint32_t j, uint32_t field) {
    return nsamp_rsn_blocks(p) + (size_t)(j / B) * nsamp_rsn_block_len(p) + (size_t)field * B + j % B;
}

/* Rows of units: numbers field to field + m - 1 of each. -> behind what was written, as the others. */
static float *put_units(const nsamp_rsn_params *p, uint32_t first, uint32_t units, uint32_t field,
                        float *to) {
    for (uint32_t k = 0, R; k < units; k += R) {
        R = rows_of(k, units);
        for (uint32_t i = 0; i < p->dim; i++)
            for (uint32_t r = 0; r < R; r++)
                *to++ = *at(p, first + k + r, field + i);
    }
    return to;
}

static float *put_outputs(const nsamp_rsn_params *p, uint32_t first, uint32_t units, float *to) {
    for (uint32_t k = 0, R; k < p->dim; k += R) {
        R = rows_of(k, p->dim);
        for (uint32_t j = 0; j < units; j++)
            for (uint32_t r = 0; r < R; r++)
                *to++ = *at(p, first + j, 1 + p->dim + k + r);
    }
    return to;
}

static uint32_t units_of_a_panel(const nsamp_rsn_params *p) {
    const size_t unit = nsamp_rsn_panels_each(p->dim, p->reservoir) * sizeof(float),
                 units = PANEL_BYTES / unit / ROWS * ROWS;
    return units > NSAMP_RSN_PANELS_MOST ? NSAMP_RSN_PANELS_MOST : units < ROWS ? ROWS : (uint32_t)units;
}

size_t nsamp_rsn_panels_bytes(const nsamp_rsn_panels *q, uint32_t m, uint32_t reservoir) {
    return (size_t)q->units * nsamp_rsn_panels_each(m, reservoir) * sizeof(float);
}

nsamp_status nsamp_rsn_panels_create(const nsamp_rsn_params *p, nsamp_rsn_panels **packed, nsamp_error *err) {
    nsamp_rsn_panels *const q = *packed = calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    q->units = p->units;
    q->panel = units_of_a_panel(p);
    const size_t bytes = nsamp_rsn_panels_bytes(q, p->dim, p->reservoir);
    float *to = nsamp_pages_floats(bytes / sizeof(float), 0.0f); /* huge pages where there are any */
    if (!to) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu bytes of weights", bytes);
    q->weights = to;
    for (uint32_t first = 0, units; first < p->units; first += units) {
        units = p->units - first < q->panel ? p->units - first : q->panel;
        for (uint32_t j = 0; j < units; j++)
            *to++ = *at(p, first + j, 0);
        to = put_units(p, first, units, 1, to);
        if (p->reservoir) to = put_units(p, first, units, 1 + 2 * p->dim, to);
        to = put_outputs(p, first, units, to);
    }
    return NSAMP_OK;
}

void nsamp_rsn_panels_destroy(nsamp_rsn_panels *q) {
    if (q) free((void *)q->weights);
    free(q);
}

const nsamp_cpu_kernel *nsamp_rsn_panels_kernel(const char *isa) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) return &nsamp_rsn_panels_v4;
    if (!strcmp(isa, "v3")) return &nsamp_rsn_panels_v3;
#endif
    (void)isa;
    return &nsamp_rsn_panels_base;
}
