/* cpu_products.c: see cpu_products.h; here, what all share, and float32. */
#include "train/cpu_products.h"

#include <omp.h>
#include <stdlib.h>
#include "pages.h"

void nsamp_cpu_products_begin(nsamp_cpu_products *p, const nsamp_cpu_products_ops *ops,
                              const nsamp_learner_shape *shape, const nsamp_train_kernels *kernels,
                              size_t unit, float *numbers) {
    p->ops = ops;
    p->shape = *shape;
    p->k = kernels;
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

void nsamp_cpu_adam(const nsamp_cpu_products *p, const nsamp_adam *adam, size_t count, const float *g,
                    float *w) {
    const size_t weights = nsamp_learner_weights(&p->shape);
    p->k->adam(adam, count, g, w, w + weights, w + 2 * weights, p->shape.amsgrad ? w + 3 * weights : NULL);
}

void *nsamp_cpu_memory(size_t bytes, bool *ok) {
    float *const p = nsamp_pages_floats(bytes / sizeof(float) + (bytes % sizeof(float) != 0), 0.0f);
    if (!p) *ok = false;
    return p;
}

/* ---- float32 -------------------------------------------------------------------------------------------- */

enum { UNITS = 128 /* of a chunk */, ROWS = 32 /* of f a task */ };

typedef struct products {
    nsamp_cpu_products base;
    const float *x[2], *e; /* the caller's */
    float *h;              /* [chunk][rows][units of the chunk] */
    float *f;              /* [groups][rows][m] */
    float *scratch;        /* [threads][scratch_floats]: dh [rows][UNITS], gradients [UNITS][m], [UNITS] */
    size_t scratch_floats;
} products;

static void inputs(nsamp_cpu_products *base, int slot, size_t rows, const float *x) {
    base->rows = rows;
    ((products *)base)->x[slot] = x;
}

static void forward(nsamp_cpu_products *base, size_t c, int slot) {
    products *p = (products *)base;
    const size_t m = base->shape.m, rows = base->rows;
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(base, c);
    float *const h = p->h + k.first * base->most, *const f = p->f + c / base->per_group * base->most * m;
    nsamp_gemm_here(false, true, rows, k.units, m, 1.0f, p->x[slot], k.w2, 0.0f, h);
    base->k->activate((int)base->shape.activation, rows, k.units, k.b, h);
    nsamp_gemm_here(false, false, rows, m, k.units, 1.0f, h, k.w1, c % base->per_group ? 1.0f : 0.0f, f);
}

static void outputs(nsamp_cpu_products *base, float *f) {
    const products *p = (const products *)base;
    const size_t m = base->shape.m, stride = base->most * m;
#pragma omp parallel for schedule(static) num_threads(base->threads)
    for (size_t row = 0; row < base->rows; row += ROWS)
        base->k->sum(base->groups, stride, nsamp_least(ROWS, base->rows - row) * m, p->f + row * m,
                     f + row * m);
}

static void errors(nsamp_cpu_products *base, const float *e) {
    ((products *)base)->e = e;
}

/* The weights of W1 are used before Adam changes them, so that one gradient at a time is enough. */
static void back(nsamp_cpu_products *base, size_t c, const nsamp_adam *adam, int slot) {
    products *p = (products *)base;
    const size_t m = base->shape.m, rows = base->rows;
    const nsamp_cpu_chunk k = nsamp_cpu_chunk_of(base, c);
    const float *const h = p->h + k.first * base->most;
    float *const dh = p->scratch + (size_t)omp_get_thread_num() * p->scratch_floats,
                 *const g = dh + base->most * UNITS, *const gb = g + UNITS * m;
    nsamp_gemm_here(false, true, rows, k.units, m, 1.0f, p->e, k.w1, 0.0f, dh);
    nsamp_gemm_here(true, false, k.units, m, rows, 1.0f, h, p->e, 0.0f, g);
    nsamp_cpu_adam(base, adam, k.units * m, g, k.w1);
    base->k->slope((int)base->shape.activation, rows, k.units, h, dh, gb);
    nsamp_gemm_here(true, false, k.units, m, rows, 1.0f, dh, p->x[slot], 0.0f, g);
    nsamp_cpu_adam(base, adam, k.units * m, g, k.w2);
    nsamp_cpu_adam(base, adam, k.units, gb, k.b);
}

static void destroy(nsamp_cpu_products *base) {
    products *p = (products *)base;
    free(p->h);
    free(p->f);
    free(p->scratch);
    free(p);
}

nsamp_cpu_products *nsamp_cpu_products_fp32(const nsamp_learner_shape *shape,
                                            const nsamp_train_kernels *kernels, float *numbers) {
    static const nsamp_cpu_products_ops ops = {inputs, forward, outputs, errors, back, destroy};
    products *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    nsamp_cpu_products_begin(&p->base, &ops, shape, kernels, UNITS, numbers);
    const size_t m = shape->m, rows = p->base.most;
    bool ok = true;
    p->scratch_floats = (rows * UNITS + UNITS * (m + 1) + 15) / 16 * 16;
    p->h = nsamp_cpu_memory(rows * shape->n * sizeof(float), &ok);
    p->f = nsamp_cpu_memory(p->base.groups * rows * m * sizeof(float), &ok);
    p->scratch = nsamp_cpu_memory((size_t)p->base.threads * p->scratch_floats * sizeof(float), &ok);
    if (ok) return &p->base;
    destroy(&p->base);
    return NULL;
}
