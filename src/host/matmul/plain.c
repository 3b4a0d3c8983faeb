/* plain.c: plain.h. Rows are the lanes of the library's kernels, sixteen to a product, the last padded.
 *
 * A product of fixed shape does not do the same to all its rows. OpenBLAS for Haswell and Zen adds in another order in the middle 8
 * lanes of 24, and in every second 6 of 12 columns; oneDNN for AVX2 in the last 2 columns of 32 (bench/LOG.md). But where rows are lanes
 * and a block is whole vectors of them, all its rows go through the same instructions, so that neither the place of a row nor
 * what is beside it shows. */
#include "matmul/plain.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "isa.h"
#include "kernels/layer.h"
#include "team.h"

enum { LANES = NSAMP_LAYER_LANES };

struct nsamp_plain_layer {
    size_t in, out;
    nsamp_layer_function f;
    bool rounds; /* bf16 */
    nsamp_product_fn *product;
    nsamp_layer_finish_fn *finish;
    float *w, *bias; /* [out][in], rounded where the precision is bf16; [out], zeros where there is none */
};

static nsamp_layer_finish_fn *finish_of_this_processor(void) {
#ifdef NSAMP_X86_64
    const char *const isa = nsamp_isa_best();
    if (!strcmp(isa, "v4")) return nsamp_layer_finish_v4;
    if (!strcmp(isa, "v3")) return nsamp_layer_finish_v3;
#endif
    return nsamp_layer_finish_base;
}

static nsamp_layer_function function_of(nsamp_activation act) {
    switch (act) {
    case NSAMP_RELU:
        return NSAMP_LAYER_RELU;
    case NSAMP_TANH:
        return NSAMP_LAYER_TANH;
    case NSAMP_SOFTPLUS:
        return NSAMP_LAYER_SOFTPLUS;
    case NSAMP_IDENTITY:
        break;
    }
    return NSAMP_LAYER_IDENTITY;
}

nsamp_status nsamp_plain_create(size_t in, size_t out, const float *w, const float *bias,
                                nsamp_activation act, nsamp_precision precision, nsamp_product_fn *product,
                                nsamp_plain_layer **layer, nsamp_error *err) {
    nsamp_plain_layer *l = calloc(1, sizeof *l);
    float *copy = malloc(in * out * sizeof *copy), *b = calloc(out, sizeof *b);
    if (!l || !copy || !b) {
        free(l);
        free(copy);
        free(b);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a layer of %zu x %zu weights", out, in);
    }
    *l = (nsamp_plain_layer){.in = in,
                             .out = out,
                             .f = function_of(act),
                             .rounds = precision == NSAMP_BF16,
                             .product = product,
                             .finish = finish_of_this_processor(),
                             .w = copy,
                             .bias = b};
    if (l->rounds)
        nsamp_round_to_bf16(in * out, w, copy);
    else
        memcpy(copy, w, in * out * sizeof *copy);
    if (bias) memcpy(b, bias, out * sizeof *b);
    *layer = l;
    return NSAMP_OK;
}

void nsamp_plain_destroy(nsamp_plain_layer *l) {
    if (!l) return;
    free(l->w);
    free(l->bias);
    free(l);
}

/* count rows, at most LANES. xs [LANES][in] and z [out][LANES]: room for one block. */
static void apply_block(const nsamp_plain_layer *l, size_t count, const float *x, float *y, bool accumulate,
                        float *xs, float *z) {
    if (l->rounds)
        nsamp_round_to_bf16(count * l->in, x, xs);
    else if (count < LANES)
        memcpy(xs, x, count * l->in * sizeof *xs);
    memset(xs + count * l->in, 0, (LANES - count) * l->in * sizeof *xs);
    const float *const rows = l->rounds || count < LANES ? xs : x;
    l->product(l->out, LANES, l->in, l->w, rows, z);
    l->finish(l->f, l->out, z, l->bias, count, y, accumulate);
}

/* Rows that a team shares. */
typedef struct shared {
    const nsamp_plain_layer *l;
    size_t rows;
    const float *x;
    float *y;
    bool add;
    float *room; /* for each thread a block of x and z */
} shared;

static void shared_piece(void *user, size_t piece, int thread) {
    const shared *const s = user;
    const nsamp_plain_layer *const l = s->l;
    const size_t first = piece * LANES, count = s->rows - first < LANES ? s->rows - first : LANES;
    float *const xs = s->room + (size_t)thread * LANES * (l->in + l->out);
    apply_block(l, count, s->x + first * l->in, s->y + first * l->out, s->add, xs, xs + LANES * l->in);
}

void nsamp_plain_apply(const nsamp_plain_layer *l, size_t rows, const float *x, float *y, bool accumulate) {
    const int all = omp_get_max_threads(), threads = omp_in_parallel() ? 1 : all;
    shared s = {l, rows, x, y, accumulate, NULL};
    s.room = malloc((size_t)threads * LANES * (l->in + l->out) * sizeof *s.room);
    if (!s.room) abort(); /* blocks of rows beside the weights already held: nothing sensible is left to do */
    if (threads > 1) omp_set_num_threads(1); /* within a piece the library must not use more */
    nsamp_team_for(threads, (rows + LANES - 1) / LANES, shared_piece, &s);
    if (threads > 1) omp_set_num_threads(all);
    free(s.room);
}
