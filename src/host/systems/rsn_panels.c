/* rsn_panels.c: weights of a network in the panels of kernels/rsn_panels.h, and the choice between its kernels. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kernels/bf16.h"
#include "pages.h"
#include "systems/rsn.h"

enum {
    ROWS = NSAMP_RSN_PANELS_ROWS,
    PANEL_BYTES = 512 << 10 /* of weights, beside the chains of a tile in a second-level cache */
};

/* Rows of the block that begins with row k of `rows`: six, then four, two and one. */
static uint32_t rows_of(uint32_t k, uint32_t rows) {
    const uint32_t left = rows - k;
    return left >= ROWS ? ROWS : left >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* What is packed. Units beyond n are zeros. */
typedef struct source {
    const nsamp_network *net;
    const double *s;
    double noise;
    bool rounded;
} source;

enum { W1, W2, S };

static float number(const source *from, int what, size_t unit, size_t i) {
    const nsamp_network *const net = from->net;
    if (unit >= net->n) return 0.0f;
    if (what == S) return (float)(from->noise * from->s[unit * net->m + i]);
    const float w = what == W1 ? net->w1[i * net->n + unit] : net->w2[unit * net->m + i];
    return from->rounded ? nsamp_bf16_round(w) : w;
}

/* Rows of units, of W2 or S. -> behind what was written, as the others. */
static float *put_units(const source *from, int what, uint32_t first, uint32_t units, float *to) {
    for (uint32_t k = 0, R; k < units; k += R) {
        R = rows_of(k, units);
        for (size_t i = 0; i < from->net->m; i++)
            for (uint32_t r = 0; r < R; r++)
                *to++ = number(from, what, first + k + r, i);
    }
    return to;
}

static float *put_outputs(const source *from, uint32_t first, uint32_t units, float *to) {
    const uint32_t m = (uint32_t)from->net->m;
    for (uint32_t k = 0, R; k < m; k += R) {
        R = rows_of(k, m);
        for (uint32_t j = 0; j < units; j++)
            for (uint32_t r = 0; r < R; r++)
                *to++ = number(from, W1, first + j, k + r);
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

nsamp_status nsamp_rsn_panels_create(const nsamp_network *net, const double *noise, const nsamp_rsn_params *p,
                                     bool rounded, nsamp_rsn_panels **packed, nsamp_error *err) {
    const source from = {net, noise, (double)p->noise, rounded};
    nsamp_rsn_panels *const q = *packed = calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    q->units = p->units;
    q->panel = units_of_a_panel(p);
    q->rounded = rounded;
    const size_t bytes = nsamp_rsn_panels_bytes(q, p->dim, p->reservoir);
    float *to = nsamp_pages_floats(bytes / sizeof(float), 0.0f); /* huge pages where there are any */
    if (!to) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu bytes of weights", bytes);
    q->weights = to;
    for (uint32_t first = 0, units; first < p->units; first += units) {
        units = p->units - first < q->panel ? p->units - first : q->panel;
        for (uint32_t j = 0; j < units; j++)
            *to++ = first + j < net->n ? net->b[first + j] : 0.0f;
        to = put_units(&from, W2, first, units, to);
        if (p->reservoir) to = put_units(&from, S, first, units, to);
        to = put_outputs(&from, first, units, to);
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
