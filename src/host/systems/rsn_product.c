/* rsn_product.c: the step of a reservoir-sampler network by matrix products, for weights that outgrow a core's cache.
 *
 * A tile of L chains, its state [S][L] as everywhere. The units are cut into panels and the chains into groups of
 * ROWS, so that the hidden units of a group and panel stay in the second-level cache between the two products. For
 * each panel p and group g, with X and Y [L][m]:
 *     output      H = phi(X_g W2_p^T + b_p)                            Y_g += H W1_p^T
 *     reservoir   R_gp <- R_gp + h (H - R_gp) + Xi_g (a S_p)^T         Y_g += R_gp W1_p^T
 * Noise and update run in the kernels rsn_noise and rsn_move, so the draws are those of the fused path and x agrees
 * with it within rounding. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "systems/rsn.h"

enum { ROWS = 128, PANEL = 1024 };

typedef struct panel {
    size_t units;
    nsamp_layer *hidden, *readout, *noise; /* noise: reservoir level only */
} panel;

struct nsamp_rsn_product {
    size_t m, units, L, panels;
    nsamp_precision precision;
    panel *panel;
    const nsamp_cpu_kernel *noise, *move;
    const nsamp_rsn_params *params;
};

/* Scratch of a thread, in floats from its start; every part a multiple of 16 floats, as L is. */
typedef struct parts {
    float *y, *xi;        /* [m][L], one after the other: what the kernels take */
    float *xt, *yt, *xit; /* [L][m] */
    float *hidden;        /* [ROWS][PANEL] */
    float *rt;            /* reservoir level: for each panel [L][its units] */
    uint32_t *bad;        /* [L] */
} parts;

static size_t carve(const nsamp_rsn_product *q, float *base, parts *s) {
    const size_t square = q->m * q->L, reservoir = q->params->reservoir;
    float *at = base;
    s->y = at, at += square;
    s->xi = at, at += square;
    s->xt = at, at += square;
    s->yt = at, at += square;
    s->xit = at, at += reservoir * square;
    s->hidden = at, at += ROWS * PANEL;
    s->rt = at, at += reservoir * q->units * q->L;
    s->bad = (uint32_t *)at;
    return sizeof(float) * ((size_t)(at - base) + q->L);
}

size_t nsamp_rsn_product_scratch(const nsamp_rsn_product *q) {
    static float none;
    parts s;
    return carve(q, &none, &s);
}

size_t nsamp_rsn_product_weights(const nsamp_rsn_product *q) {
    const bool narrow = q->precision == NSAMP_BF16 && nsamp_matmul_bf16_is_native();
    const size_t layers =
        2 * (narrow ? sizeof(nsamp_bf16) : sizeof(float)) + q->params->reservoir * sizeof(float);
    return q->units * (q->m * layers + sizeof(float));
}

/* ---- packing ------------------------------------------------------------------------------------------- */

/* Units first .. first + p->units - 1 of the network; those beyond n have zero weights. */
static nsamp_status pack(const nsamp_network *net, const nsamp_rsn_options *o, const double *s, float a,
                         size_t first, panel *p, nsamp_error *err) {
    const size_t m = net->m, n = net->n, units = p->units, rows = o->tile < ROWS ? o->tile : ROWS;
    float *w = calloc(units * m + units, sizeof(float)), *b = w ? w + units * m : NULL;
    if (!w) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a panel of %zu x %zu weights", units, m);
    const size_t real = first + units < n ? units : n > first ? n - first : 0;
    memcpy(w, net->w2 + first * m, real * m * sizeof(float));
    memcpy(b, net->b + first, real * sizeof(float));
    nsamp_status status =
        nsamp_layer_create(m, units, w, b, net->activation, o->precision, rows, &p->hidden, err);
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < units; j++)
            w[i * units + j] = j < real ? net->w1[i * n + first + j] : 0.0f;
    if (!status)
        status = nsamp_layer_create(units, m, w, NULL, NSAMP_IDENTITY, o->precision, rows, &p->readout, err);
    for (size_t j = 0; s && j < units; j++)
        for (size_t i = 0; i < m; i++)
            w[j * m + i] = j < real ? (float)((double)a * s[(first + j) * m + i]) : 0.0f;
    if (!status && s)
        status = nsamp_layer_create(m, units, w, NULL, NSAMP_IDENTITY, NSAMP_FP32, rows, &p->noise, err);
    free(w);
    return status;
}

nsamp_status nsamp_rsn_product_create(const nsamp_network *net, const nsamp_rsn_options *o, const double *s,
                                      const nsamp_rsn_params *params, nsamp_rsn_product **product,
                                      nsamp_error *err) {
    *product = NULL;
    nsamp_rsn_product *q = calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the product path");
    q->m = net->m;
    q->units = params->units;
    q->L = o->tile;
    q->precision = o->precision;
    q->panels = (q->units + PANEL - 1) / PANEL;
    q->noise = o->noise;
    q->move = o->move;
    q->params = params;
    q->panel = calloc(q->panels, sizeof *q->panel);
    nsamp_status status = NSAMP_OK;
    if (!q->panel) status = nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu panels", q->panels);
    for (size_t i = 0; i < q->panels && !status; i++) {
        const size_t first = i * PANEL;
        q->panel[i].units = q->units - first < PANEL ? q->units - first : PANEL;
        status = pack(net, o, s, params->noise, first, &q->panel[i], err);
    }
    if (status)
        nsamp_rsn_product_destroy(q);
    else
        *product = q;
    return status;
}

void nsamp_rsn_product_destroy(nsamp_rsn_product *q) {
    if (!q) return;
    for (size_t i = 0; q->panel && i < q->panels; i++) {
        nsamp_layer_destroy(q->panel[i].hidden);
        nsamp_layer_destroy(q->panel[i].readout);
        nsamp_layer_destroy(q->panel[i].noise);
    }
    free(q->panel);
    free(q);
}

/* ---- the step ------------------------------------------------------------------------------------------ */

/* from [rows][cols] -> to [cols][rows], in squares that fit the registers' cache lines. */
static void transpose(size_t rows, size_t cols, const float *from, float *to) {
    for (size_t i = 0; i < rows; i += 16)
        for (size_t j = 0; j < cols; j += 16)
            for (size_t a = i; a < i + 16 && a < rows; a++)
                for (size_t b = j; b < j + 16 && b < cols; b++)
                    to[b * rows + a] = from[a * cols + b];
}

/* r <- r + h (hidden - r), in place. */
static void relax(size_t count, float h, const float *hidden, float *r) {
    for (size_t i = 0; i < count; i++)
        r[i] += h * (hidden[i] - r[i]);
}

/* Y = W1 phi(W2 X + b), or the step of R and Y = W1 R. */
static void apply(const nsamp_rsn_product *q, const parts *s, bool reservoir) {
    const size_t m = q->m;
    float *rt = s->rt;
    for (size_t i = 0; i < q->panels; i++) {
        const panel *p = &q->panel[i];
        for (size_t first = 0; first < q->L; first += ROWS) {
            const size_t rows = q->L - first < ROWS ? q->L - first : ROWS;
            float *values = s->hidden;
            nsamp_layer_apply(p->hidden, rows, s->xt + first * m, values, false);
            if (reservoir) {
                float *r = rt + first * p->units;
                relax(rows * p->units, q->params->h, values, r);
                nsamp_layer_apply(p->noise, rows, s->xit + first * m, r, true);
                values = r;
            }
            nsamp_layer_apply(p->readout, rows, values, s->yt + first * m, i > 0);
        }
        if (reservoir) rt += q->L * p->units;
    }
}

static void move_reservoir(const nsamp_rsn_product *q, float *state, float *rt, bool to_state) {
    for (size_t i = 0; i < q->panels; i++) {
        const size_t units = q->panel[i].units;
        if (to_state)
            transpose(q->L, units, rt, state);
        else
            transpose(units, q->L, state, rt);
        rt += units * q->L;
        state += units * q->L;
    }
}

static void advance(const void *params, const nsamp_tile *tile, uint64_t step0, uint32_t nsteps) {
    const nsamp_rsn_params *p = params;
    const nsamp_rsn_product *q = p->product;
    const size_t m = q->m, L = q->L;
    parts s;
    carve(q, tile->scratch, &s);
    nsamp_tile own = *tile;
    own.scratch = s.y;
    own.bad = s.bad;
    transpose(m, L, tile->state, s.xt);
    if (p->reservoir) move_reservoir(q, tile->state + m * L, s.rt, false);
    for (uint32_t n = 0; n < nsteps; n++) {
        q->noise->advance(params, &own, step0 + n, 1);
        if (p->reservoir) transpose(m, L, s.xi, s.xit);
        apply(q, &s, p->reservoir);
        transpose(L, m, s.yt, s.y);
        memset(s.bad, 0, L * sizeof *s.bad);
        q->move->advance(params, &own, step0 + n, 1);
        for (size_t l = 0; l < L; l++)
            if (s.bad[l] && !tile->bad[l]) tile->bad[l] = n + 1;
        transpose(m, L, tile->state, s.xt);
    }
    if (p->reservoir) move_reservoir(q, tile->state + m * L, s.rt, true);
}

static void observe(const void *params, const nsamp_tile *tile, float *x) {
    const nsamp_rsn_params *p = params;
    const nsamp_rsn_product *q = p->product;
    parts s;
    if (!p->jump) {
        memcpy(x, tile->state, q->m * q->L * sizeof *x);
        return;
    }
    carve(q, tile->scratch, &s);
    transpose(q->m, q->L, tile->state, s.xt);
    apply(q, &s, false);
    transpose(q->L, q->m, s.yt, x);
}

const nsamp_cpu_kernel nsamp_rsn_product_kernel = {"rsn_product", 0, advance, observe};
