/* cpu_products_bf16.c: see cpu_products.h; here, factors of bf16. Weights are packed from float32 as a chunk comes by; kept between forward
 * and back are the hidden units, in bf16. */
#include <stdlib.h>
#include <string.h>

#include "train/cpu_products.h"

enum { UNITS = NSAMP_TRAIN_BF16_UNITS, BLOCK = NSAMP_TRAIN_BF16_BLOCK };

typedef struct products {
    nsamp_cpu_products base;
    const nsamp_train_bf16_kernels *k;
    nsamp_train_bf16 batch;      /* of the last inputs */
    nsamp_train_bf16_batch x[2]; /* inputs */
    nsamp_train_bf16_batch e;
    nsamp_bf16 *h;                     /* [chunk][padded][units of the chunk, in blocks of 32] */
    float *f;                          /* [groups][stride] */
    size_t stride, padded;             /* floats of a group of f; most rows, in blocks of 32 */
    nsamp_train_bf16_scratch *scratch; /* [threads] */
    char *memory;                      /* of all scratch */
} products;

/* Of a chunk: large, so that the sums f come by less often where a batch is large; otherwise small, so that the numbers of a chunk stay in
 * the second-level cache and threads have enough of them (bench/LOG.md). */
static size_t units_of(const nsamp_learner_shape *s) {
    enum { MANY_ROWS = 256, MANY_CHUNKS = 16 };
    return s->batch >= MANY_ROWS && s->n >= MANY_CHUNKS * (size_t)UNITS ? UNITS : UNITS / 2;
}

static size_t up(size_t rows) {
    return nsamp_train_bf16_up((uint32_t)rows);
}

/* A piece is a block of rows. */
static void begin(nsamp_cpu_products *base, size_t rows) {
    products *p = (products *)base;
    base->rows = rows;
    base->pieces = up(rows) / BLOCK;
    p->batch.rows = (uint32_t)up(rows);
}

static uint32_t rows_of(const products *p, size_t piece) {
    return (uint32_t)nsamp_least(p->base.rows - piece * BLOCK, BLOCK);
}

/* Rounded. */
static void take(const products *p, size_t piece, const float *x, const nsamp_train_bf16_batch *to) {
    const size_t row = piece * BLOCK;
    p->k->take(&p->batch, (uint32_t)row, rows_of(p, piece), x + row * p->base.shape.m, to);
}

static void inputs(nsamp_cpu_products *base, size_t piece, int slot, const float *x) {
    const products *p = (const products *)base;
    take(p, piece, x, &p->x[slot]);
}

static nsamp_bf16 *hidden_of(const products *p, const nsamp_cpu_chunk *k) {
    return p->h + k->first * p->padded;
}

static void forward(nsamp_cpu_products *base, size_t c, int slot, size_t then, int thread) {
    products *p = (products *)base;
    (void)then;
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(base, c);
    p->k->forward(&p->batch, (uint32_t)k.units, k.w2, k.w1, k.b, &p->x[slot], c % base->per_group != 0,
                  &p->scratch[thread], hidden_of(p, &k), p->f + c / base->per_group * p->stride);
}

static void outputs(nsamp_cpu_products *base, size_t piece, float *f) {
    const products *p = (const products *)base;
    const size_t row = piece * BLOCK;
    p->k->outputs(&p->batch, base->groups, p->stride, p->f, (uint32_t)row, rows_of(p, piece),
                  f + row * base->shape.m);
}

static void errors(nsamp_cpu_products *base, size_t piece, const float *e) {
    const products *p = (const products *)base;
    take(p, piece, e, &p->e);
}

/* The weights of W1 are used before Adam changes them, so that one gradient at a time is enough. */
static void back(nsamp_cpu_products *base, size_t c, const nsamp_adam *adam, int slot, size_t then,
                 int thread) {
    products *p = (products *)base;
    (void)then;
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(base, c);
    const nsamp_train_bf16_scratch *const s = &p->scratch[thread];
    const uint32_t units = (uint32_t)k.units;
    const size_t count = k.units * base->shape.m;
    const nsamp_bf16 *const h = hidden_of(p, &k);
    float gb[UNITS];
    p->k->back(&p->batch, units, k.w1, &p->e, h, s, gb);
    p->k->gradient(&p->batch, units, h, &p->e, s);
    nsamp_cpu_adam(base, adam, count, s->gradient, k.w1);
    p->k->gradient(&p->batch, units, s->back, &p->x[slot], s);
    nsamp_cpu_adam(base, adam, count, s->gradient, k.w2);
    nsamp_cpu_adam(base, adam, k.units, gb, k.b);
}

static void destroy(nsamp_cpu_products *base) {
    products *p = (products *)base;
    free(p->x[0].across), free(p->x[0].down);
    free(p->x[1].across), free(p->x[1].down);
    free(p->e.across), free(p->e.down);
    free(p->h);
    free(p->f);
    free(p->scratch);
    free(p->memory);
    free(p);
}

static void make_batch(const nsamp_train_bf16 *shape, nsamp_train_bf16_batch *b, bool *ok) {
    const size_t bytes = nsamp_train_bf16_pairs(shape) * sizeof(uint32_t);
    b->across = nsamp_cpu_memory(bytes, ok);
    b->down = nsamp_cpu_memory(bytes, ok);
}

nsamp_cpu_products *nsamp_cpu_products_bf16(const nsamp_learner_shape *shape, const nsamp_train_cpu *kernels,
                                            float *numbers) {
    static const nsamp_cpu_products_ops ops = {begin, inputs, forward, outputs, errors, back, destroy};
    products *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    nsamp_cpu_products_begin(&p->base, &ops, shape, kernels->loops, units_of(shape), numbers);
    const size_t threads = (size_t)p->base.threads;
    bool ok = true;
    p->k = kernels->bf16;
    p->padded = up(p->base.most);
    p->batch = (nsamp_train_bf16){(uint32_t)shape->m, (uint32_t)p->padded, (int)shape->activation};
    p->stride = p->padded * nsamp_train_bf16_outputs(p->batch.m) * 16;
    const size_t each = nsamp_train_bf16_carve(&p->batch, NULL, NULL);
    make_batch(&p->batch, &p->x[0], &ok);
    make_batch(&p->batch, &p->x[1], &ok);
    make_batch(&p->batch, &p->e, &ok);
    p->h = nsamp_cpu_memory(p->padded * up(shape->n) * sizeof *p->h, &ok);
    p->f = nsamp_cpu_memory(p->base.groups * p->stride * sizeof *p->f, &ok);
    p->memory = nsamp_cpu_memory(threads * each, &ok);
    p->scratch = calloc(threads, sizeof *p->scratch);
    for (size_t i = 0; ok && p->scratch && i < threads; i++)
        nsamp_train_bf16_carve(&p->batch, p->memory + i * each, &p->scratch[i]);
    if (ok && p->scratch) return &p->base;
    destroy(&p->base);
    return NULL;
}
