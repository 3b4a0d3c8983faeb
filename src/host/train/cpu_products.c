/* cpu_products.c: see cpu_products.h; here, what all share, and float32. */
#include "train/cpu_products.h"

#include <omp.h>
#include <stdlib.h>
#include "pages.h"

void nsamp_cpu_products_begin(nsamp_cpu_products *p, const nsamp_cpu_products_ops *ops,
                              const nsamp_learner_shape *shape, const nsamp_train_kernels *loops, size_t unit,
                              float *numbers) {
    p->ops = ops;
    p->shape = *shape;
    p->k = loops;
    p->threads = shape->threads > 0 ? shape->threads : omp_get_max_threads();
    p->most = shape->control_variate ? 2 * shape->batch : shape->batch;
    p->unit = unit;
    p->chunks = (shape->n + unit - 1) / unit;
    p->per_group = (p->chunks + NSAMP_CPU_GROUPS - 1) / NSAMP_CPU_GROUPS;
    p->groups = (p->chunks + p->per_group - 1) / p->per_group;
    p->numbers = numbers;
}

nsamp_cpu_chunk nsamp_cpu_chunk_of(const nsamp_cpu_products *p, size_t chunk) {
    const size_t m = p->shape.m, n = p->shape.n, first = chunk * p->unit;
    return (nsamp_cpu_chunk){first, nsamp_least(p->unit, n - first), p->numbers + first * m,
                             p->numbers + (n + first) * m, p->numbers + 2 * n * m + first};
}

nsamp_cpu_moments nsamp_cpu_moments_of(const nsamp_cpu_products *p, float *w) {
    const size_t weights = nsamp_learner_weights(&p->shape);
    return (nsamp_cpu_moments){w + weights, w + 2 * weights, p->shape.amsgrad ? w + 3 * weights : NULL};
}

void nsamp_cpu_adam(const nsamp_cpu_products *p, const nsamp_adam *adam, size_t count, const float *g,
                    float *w) {
    const nsamp_cpu_moments at = nsamp_cpu_moments_of(p, w);
    p->k->adam(adam, count, g, w, at.m, at.v, at.seen);
}

void *nsamp_cpu_memory(size_t bytes, bool *ok) {
    float *const p = nsamp_pages_floats(bytes / sizeof(float) + (bytes % sizeof(float) != 0), 0.0f);
    if (!p) *ok = false;
    return p;
}

/* ---- float32 -------------------------------------------------------------------------------------------- */

enum { LANES = NSAMP_TRAIN_FP32_LANES, BLOCK = NSAMP_SUMS_ROWS };

typedef struct products {
    nsamp_cpu_products base;
    const nsamp_train_fp32_kernels *k;
    nsamp_train_fp32 batch;      /* of the last inputs */
    nsamp_train_fp32_batch x[2]; /* inputs */
    nsamp_train_fp32_batch e;
    size_t padded;  /* most rows, in whole groups */
    float *h;       /* [chunk][padded][units of the chunk], in groups of rows */
    float *f;       /* [groups][padded][m], in groups of rows */
    float *scratch; /* [threads][scratch_floats]: d as h, sums of a gradient */
    size_t scratch_floats;
} products;

/* Units of a chunk: weights and moments of it, 1 MiB (more beyond m = 1,820), and a part of the next chunk's stay in a second-level cache
 * (bench/LOG.md). */
static size_t units_of(const nsamp_learner_shape *s) {
    enum { BYTES = 1 << 20, LEAST = 4 * BLOCK, MOST = NSAMP_TRAIN_FP32_UNITS };
    const size_t units = BYTES / (2 * s->m * 3 * sizeof(float)) / BLOCK * BLOCK;
    return units < LEAST ? LEAST : nsamp_least(units, MOST);
}

/* Inputs or outputs of rows, in groups of 64. */
static size_t across(const products *p) {
    return nsamp_train_fp32_up(p->base.shape.m) / LANES;
}

static void begin(nsamp_cpu_products *base, size_t rows) {
    products *p = (products *)base;
    base->rows = rows;
    base->pieces = nsamp_train_fp32_up(rows) / LANES * across(p);
    p->batch.rows = (uint32_t)rows;
}

/* A square of a piece. */
typedef struct square {
    uint32_t row, rows, column;
} square;

static square square_of(const products *p, size_t piece) {
    const size_t row = piece / across(p) * LANES;
    return (square){(uint32_t)row, (uint32_t)nsamp_least(p->base.rows - row, LANES),
                    (uint32_t)(piece % across(p) * LANES)};
}

static void take(const products *p, size_t piece, const float *x, const nsamp_train_fp32_batch *to) {
    const square s = square_of(p, piece);
    p->k->take(&p->batch, s.row, s.rows, s.column, x + s.row * p->base.shape.m, to);
}

static void inputs(nsamp_cpu_products *base, size_t piece, int slot, const float *x) {
    const products *p = (const products *)base;
    take(p, piece, x, &p->x[slot]);
}

/* A part, of `of`, of a matrix of a chunk and its moments: to be fetched. */
static nsamp_train_fp32_ahead ahead_of(const products *p, float *w, size_t count, size_t first, size_t last,
                                       size_t of) {
    const nsamp_cpu_moments at = nsamp_cpu_moments_of(&p->base, w);
    const size_t from = count * first / of;
    return (nsamp_train_fp32_ahead){{w + from, at.m + from, at.v + from, at.seen ? at.seen + from : NULL},
                                    count * last / of - from};
}

/* Of W1 of the next chunk: a third beside the last gradient of this one, the rest beside the forward products. */
static nsamp_train_fp32_ahead next_of(const products *p, size_t then, size_t first, size_t last) {
    if (then == NSAMP_CPU_NONE) return (nsamp_train_fp32_ahead){0};
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(&p->base, then);
    return ahead_of(p, k.w1, k.units * p->base.shape.m, first, last, 3);
}

static void forward(nsamp_cpu_products *base, size_t c, int slot, size_t then, int thread) {
    products *p = (products *)base;
    (void)thread;
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(base, c);
    const nsamp_train_fp32_ahead ahead = next_of(p, then, 1, 3);
    p->k->forward(&p->batch, (uint32_t)k.units, k.w2, k.w1, k.b, &p->x[slot], c % base->per_group != 0,
                  &ahead, p->h + k.first * p->padded, p->f + c / base->per_group * p->padded * base->shape.m);
}

static void outputs(nsamp_cpu_products *base, size_t piece, float *f) {
    const products *p = (const products *)base;
    const square s = square_of(p, piece);
    p->k->outputs(&p->batch, base->groups, p->padded * base->shape.m, p->f, s.row, s.rows, s.column,
                  f + s.row * base->shape.m);
}

static void errors(nsamp_cpu_products *base, size_t piece, const float *e) {
    const products *p = (const products *)base;
    take(p, piece, e, &p->e);
}

static nsamp_train_fp32_weights weights_of(const products *p, float *w) {
    const nsamp_cpu_moments at = nsamp_cpu_moments_of(&p->base, w);
    return (nsamp_train_fp32_weights){w, at.m, at.v, at.seen};
}

/* The weights of W1 are used before Adam changes them. */
static void back(nsamp_cpu_products *base, size_t c, const nsamp_adam *adam, int slot, size_t then,
                 int thread) {
    products *p = (products *)base;
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(base, c);
    const uint32_t units = (uint32_t)k.units;
    const size_t count = k.units * base->shape.m;
    const float *const h = p->h + k.first * p->padded;
    float *const d = p->scratch + (size_t)thread * p->scratch_floats;
    float *const sums = d + p->padded * base->unit;
    float gb[NSAMP_TRAIN_FP32_UNITS];
    const nsamp_train_fp32_weights w1 = weights_of(p, k.w1), w2 = weights_of(p, k.w2);
    const nsamp_train_fp32_ahead first = ahead_of(p, k.w2, count, 0, 1, 2),
                                 second = ahead_of(p, k.w2, count, 1, 2, 2), next = next_of(p, then, 0, 1);
    p->k->back(&p->batch, units, k.w1, &p->e, h, &first, d, gb);
    p->k->step(&p->batch, units, h, &p->e, adam, &second, sums, &w1);
    p->k->step(&p->batch, units, d, &p->x[slot], adam, &next, sums, &w2);
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
    free(p);
}

static void make_batch(const products *p, nsamp_train_fp32_batch *b, bool *ok) {
    const size_t m = p->base.shape.m;
    b->across = nsamp_cpu_memory(p->padded * m * sizeof(float), ok);
    b->down = nsamp_cpu_memory(p->base.most * nsamp_train_fp32_up(m) * sizeof(float), ok);
}

nsamp_cpu_products *nsamp_cpu_products_fp32(const nsamp_learner_shape *shape, const nsamp_train_cpu *kernels,
                                            float *numbers) {
    static const nsamp_cpu_products_ops ops = {begin, inputs, forward, outputs, errors, back, destroy};
    products *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    nsamp_cpu_products_begin(&p->base, &ops, shape, kernels->loops, units_of(shape), numbers);
    const size_t m = shape->m;
    bool ok = true;
    p->k = kernels->fp32;
    p->padded = nsamp_train_fp32_up(p->base.most);
    p->batch = (nsamp_train_fp32){(uint32_t)m, (uint32_t)p->base.most, (int)shape->activation};
    p->scratch_floats = p->base.unit * (p->padded + nsamp_train_fp32_up(m));
    make_batch(p, &p->x[0], &ok);
    make_batch(p, &p->x[1], &ok);
    make_batch(p, &p->e, &ok);
    p->h = nsamp_cpu_memory(p->padded * shape->n * sizeof(float), &ok);
    p->f = nsamp_cpu_memory(p->base.groups * p->padded * m * sizeof(float), &ok);
    p->scratch = nsamp_cpu_memory((size_t)p->base.threads * p->scratch_floats * sizeof(float), &ok);
    if (ok) return &p->base;
    destroy(&p->base);
    return NULL;
}
