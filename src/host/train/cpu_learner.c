/* cpu_learner.c: training on the CPU. The hidden units are cut into chunks of CHUNK that one thread carries
 * through forward, back and Adam while they are in its cache: the gradient of a chunk is never stored longer
 * than that. Chunks, and the groups whose contributions to f are summed in order, depend on n alone, so no
 * bit depends on the number of threads. Memory: the numbers, the hidden activities [rows][n], one partial f
 * [rows][m] a group, scratch a thread. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "train/learner.h"

enum {
    CHUNK = 512,
    GROUPS = 32,
    ROWS = 32
}; /* units a chunk; most groups; rows of x a task of the residual */

typedef struct cpu_learner {
    nsamp_learner base;
    const nsamp_train_kernels *k;
    int threads;
    size_t rows; /* of a batch in the products: twice the batch with the control variate */
    size_t chunks, per_group, groups;
    float *numbers; /* learner.h */
    float *x, *e;   /* [rows][m]: inputs, d objective / d f */
    float *h;       /* [chunk][rows][units of the chunk] */
    float *f;       /* [groups][rows][m] */
    double *loss;   /* [rows] */
    float *scratch; /* [threads][scratch_floats]: dh [rows][CHUNK], gradients [2][CHUNK][m], [CHUNK] */
    size_t scratch_floats;
} cpu_learner;

typedef struct chunk {
    size_t first, units;
    float *w2, *w1, *b; /* [units][m], [units][m], [units] within numbers */
    float *h;           /* [rows][units] */
} chunk;

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static chunk chunk_of(const cpu_learner *l, size_t c) {
    const size_t m = l->base.shape.m, n = l->base.shape.n, first = c * CHUNK;
    chunk k = {first,
               least(CHUNK, n - first),
               l->numbers + first * m,
               l->numbers + (n + first) * m,
               l->numbers + 2 * n * m + first,
               l->h + first * l->rows};
    return k;
}

/* The contribution of one group of chunks to f -> f [rows][m]. */
static void forward_group(cpu_learner *l, size_t group, size_t rows, const float *x, float *f) {
    const size_t m = l->base.shape.m, end = least((group + 1) * l->per_group, l->chunks);
    for (size_t c = group * l->per_group; c < end; c++) {
        chunk k = chunk_of(l, c);
        nsamp_gemm_here(false, true, rows, k.units, m, 1.0f, x, k.w2, 0.0f, k.h);
        l->k->activate((int)l->base.shape.activation, rows, k.units, k.b, k.h);
        nsamp_gemm_here(false, false, rows, m, k.units, 1.0f, k.h, k.w1,
                        c == group * l->per_group ? 0.0f : 1.0f, f);
    }
}

static void forward(cpu_learner *l, size_t rows, const float *x) {
    const size_t stride = l->rows * l->base.shape.m;
#pragma omp parallel for schedule(dynamic, 1) num_threads(l->threads)
    for (size_t g = 0; g < l->groups; g++)
        forward_group(l, g, rows, x, l->f + g * stride);
}

/* Sums the groups, loss and d objective / d f of rows: the noisy ones, or those of x0 behind them. */
static void residual(cpu_learner *l, const nsamp_residual *r, bool clean, size_t rows, const float *eps) {
    const size_t m = l->base.shape.m, stride = l->rows * m, first = clean ? rows : 0;
#pragma omp parallel for schedule(static) num_threads(l->threads)
    for (size_t row = 0; row < rows; row += ROWS) {
        size_t at = (first + row) * m;
        l->k->residual(r, clean, least(ROWS, rows - row), m, l->groups, stride, l->f + at, l->x + at,
                       eps + row * m, l->e + at, l->loss + first + row);
    }
}

static void backward_chunk(cpu_learner *l, size_t c, const nsamp_adam *adam) {
    const size_t m = l->base.shape.m, weights = nsamp_learner_weights(&l->base.shape);
    chunk k = chunk_of(l, c);
    float *dh = l->scratch + (size_t)omp_get_thread_num() * l->scratch_floats;
    float *g1 = dh + l->rows * CHUNK, *g2 = g1 + CHUNK * m, *gb = g2 + CHUNK * m;
    nsamp_gemm_here(false, true, l->rows, k.units, m, 1.0f, l->e, k.w1, 0.0f, dh);
    nsamp_gemm_here(true, false, k.units, m, l->rows, 1.0f, k.h, l->e, 0.0f, g1);
    l->k->slope((int)l->base.shape.activation, l->rows, k.units, k.h, dh, gb);
    nsamp_gemm_here(true, false, k.units, m, l->rows, 1.0f, dh, l->x, 0.0f, g2);
    struct {
        float *w, *g;
        size_t count;
    } part[] = {{k.w2, g2, k.units * m}, {k.w1, g1, k.units * m}, {k.b, gb, k.units}};
    for (size_t i = 0; i < 3; i++)
        l->k->adam(adam, part[i].count, part[i].g, part[i].w, part[i].w + weights, part[i].w + 2 * weights,
                   l->base.shape.amsgrad ? part[i].w + 3 * weights : NULL);
}

/* x = x0 + sigma eps, and x0 behind them for the control variate; then f and the residual. */
static void forward_to_loss(cpu_learner *l, const nsamp_level *level, size_t rows, const float *x0,
                            const float *eps) {
    const size_t count = rows * l->base.shape.m;
    const float sigma = (float)level->sigma;
    const bool pair = l->base.shape.control_variate;
    for (size_t i = 0; i < count; i++)
        l->x[i] = x0[i] + sigma * eps[i];
    if (pair) memcpy(l->x + count, x0, count * sizeof *x0);
    forward(l, pair ? 2 * rows : rows, l->x);
    nsamp_residual r = nsamp_residual_of(&l->base.shape, level);
    residual(l, &r, false, rows, eps);
    if (!pair) return;
    residual(l, &r, true, rows, eps);
    for (size_t i = 0; i < rows; i++)
        l->loss[i] += l->loss[rows + i];
}

static double cpu_step(nsamp_learner *base, const nsamp_level *level, const nsamp_adam *adam, const float *x0,
                       const float *eps) {
    cpu_learner *l = (cpu_learner *)base;
    forward_to_loss(l, level, base->shape.batch, x0, eps);
#pragma omp parallel for schedule(dynamic, 1) num_threads(l->threads)
    for (size_t c = 0; c < l->chunks; c++)
        backward_chunk(l, c, adam);
    double sum = 0;
    for (size_t i = 0; i < base->shape.batch; i++)
        sum += l->loss[i];
    return sum / (double)base->shape.batch;
}

static void cpu_loss(nsamp_learner *base, const nsamp_level *level, size_t rows, const float *x0,
                     const float *eps, double *loss) {
    cpu_learner *l = (cpu_learner *)base;
    forward_to_loss(l, level, rows, x0, eps);
    memcpy(loss, l->loss, rows * sizeof *loss);
}

static void cpu_forward(nsamp_learner *base, size_t rows, const float *x, float *f) {
    cpu_learner *l = (cpu_learner *)base;
    const size_t count = rows * base->shape.m, stride = l->rows * base->shape.m;
    forward(l, rows, x);
    for (size_t i = 0; i < count; i++) {
        f[i] = l->f[i];
        for (size_t g = 1; g < l->groups; g++)
            f[i] += l->f[g * stride + i];
    }
}

static float *cpu_get(nsamp_learner *base) {
    return ((cpu_learner *)base)->numbers;
}

static void cpu_put(nsamp_learner *base) {
    (void)base; /* what get gave is what the steps use */
}

static void cpu_destroy(nsamp_learner *base) {
    cpu_learner *l = (cpu_learner *)base;
    free(l->numbers);
    free(l->x);
    free(l->e);
    free(l->h);
    free(l->f);
    free(l->loss);
    free(l->scratch);
    free(l);
}

/* Zeroed, 64-byte aligned. */
static float *floats(size_t count, bool *ok) {
    void *p = NULL;
    if (count > SIZE_MAX / sizeof(float) || posix_memalign(&p, 64, count * sizeof(float))) {
        *ok = false;
        return NULL;
    }
    return memset(p, 0, count * sizeof(float));
}

nsamp_status nsamp_cpu_learner_create(const nsamp_learner_shape *shape, const nsamp_train_kernels *kernels,
                                      nsamp_learner **learner, nsamp_error *err) {
    static const nsamp_learner_ops ops = {"cpu",   cpu_step, cpu_loss,   cpu_forward,
                                          cpu_get, cpu_put,  cpu_destroy};
    *learner = NULL;
    cpu_learner *l = calloc(1, sizeof *l);
    if (!l) return nsamp_fail(err, NSAMP_ENOMEM, "no memory to train");
    l->base.ops = &ops;
    l->base.shape = *shape;
    l->k = kernels;
    l->threads = shape->threads > 0 ? shape->threads : omp_get_max_threads();
    l->rows = shape->control_variate ? 2 * shape->batch : shape->batch;
    l->chunks = (shape->n + CHUNK - 1) / CHUNK;
    l->per_group = (l->chunks + GROUPS - 1) / GROUPS;
    l->groups = (l->chunks + l->per_group - 1) / l->per_group;
    l->scratch_floats = (l->rows * CHUNK + CHUNK * (2 * shape->m + 1) + 15) / 16 * 16;
    bool ok = true;
    l->numbers = floats(nsamp_learner_numbers(shape), &ok);
    l->x = floats(l->rows * shape->m, &ok);
    l->e = floats(l->rows * shape->m, &ok);
    l->h = floats(l->rows * shape->n, &ok);
    l->f = floats(l->groups * l->rows * shape->m, &ok);
    l->scratch = floats((size_t)l->threads * l->scratch_floats, &ok);
    l->loss = calloc(l->rows, sizeof *l->loss);
    if (!ok || !l->loss) {
        cpu_destroy(&l->base);
        return nsamp_fail(err, NSAMP_ENOMEM,
                          "no memory to train m = %zu, n = %zu in batches of %zu (about %.3g GB)", shape->m,
                          shape->n, shape->batch,
                          4e-9 * (double)(nsamp_learner_numbers(shape) + l->rows * shape->n));
    }
    *learner = &l->base;
    return NSAMP_OK;
}
