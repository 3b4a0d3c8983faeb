/* cpu_learner.c: training on the CPU. The hidden units are cut into chunks of CHUNK that one thread carries
 * back through Adam and forward again with the next batch of a block while their weights are in its cache: so a step
 * reads and writes every weight and moment once, and the gradient of a chunk is never stored longer than that. Chunks,
 * and the groups whose contributions to f are summed in order, depend on n alone, so no bit depends on the number of threads
 * or on where a block ends. Memory: the numbers, the hidden activities [rows][n], one partial f [rows][m] a group,
 * scratch a thread. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "train/learner.h"

enum {
    CHUNK = 128,
    GROUPS = 32,
    ROWS = 32
}; /* units a chunk; most groups; rows of x a task of the residual */

typedef struct cpu_learner {
    nsamp_learner base;
    const nsamp_train_kernels *k;
    int threads;
    size_t rows; /* of a batch in the products: twice the batch with the control variate */
    size_t chunks, per_group, groups;
    float *numbers;    /* learner.h */
    float *x[2];       /* [rows][m]: inputs of this batch and the next */
    float *eps, *e;    /* [batch][m]: noise; [rows][m]: d objective / d f */
    const float *data; /* of the caller's, see keep */
    float *h;          /* [chunk][rows][units of the chunk] */
    float *f;          /* [groups][rows][m] */
    double *loss;      /* [rows] */
    float *scratch;    /* [threads][scratch_floats]: dh [rows][CHUNK], gradients [CHUNK][m], [CHUNK] */
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

/* x through a chunk, whose contribution to f is added to that of its group, f [rows][m]. */
static void forward_chunk(cpu_learner *l, size_t c, size_t rows, const float *x, float *f) {
    const size_t m = l->base.shape.m;
    chunk k = chunk_of(l, c);
    nsamp_gemm_here(false, true, rows, k.units, m, 1.0f, x, k.w2, 0.0f, k.h);
    l->k->activate((int)l->base.shape.activation, rows, k.units, k.b, k.h);
    nsamp_gemm_here(false, false, rows, m, k.units, 1.0f, k.h, k.w1, c % l->per_group ? 1.0f : 0.0f, f);
}

/* Sums the groups, loss and d objective / d f of rows: the noisy ones, or those of x0 behind them. */
static void residual_of(cpu_learner *l, const nsamp_residual *r, bool clean, size_t rows, const float *x,
                        const float *eps) {
    const size_t m = l->base.shape.m, stride = l->rows * m, first = clean ? rows : 0;
#pragma omp parallel for schedule(static) num_threads(l->threads)
    for (size_t row = 0; row < rows; row += ROWS) {
        size_t at = (first + row) * m;
        l->k->residual(r, clean, least(ROWS, rows - row), m, l->groups, stride, l->f + at, x + at,
                       eps + row * m, l->e + at, l->loss + first + row);
    }
}

/* One step of Adam for count weights of a chunk from w on, whose gradient g is in the cache. */
static void apply_adam(cpu_learner *l, const nsamp_adam *adam, size_t count, const float *g, float *w) {
    const size_t weights = nsamp_learner_weights(&l->base.shape);
    l->k->adam(adam, count, g, w, w + weights, w + 2 * weights,
               l->base.shape.amsgrad ? w + 3 * weights : NULL);
}

/* The weights of W1 are used before Adam changes them, so that one gradient at a time is enough. */
static void backward_chunk(cpu_learner *l, size_t c, const nsamp_adam *adam, const float *x) {
    const size_t m = l->base.shape.m;
    chunk k = chunk_of(l, c);
    float *dh = l->scratch + (size_t)omp_get_thread_num() * l->scratch_floats;
    float *g = dh + l->rows * CHUNK, *gb = g + CHUNK * m;
    nsamp_gemm_here(false, true, l->rows, k.units, m, 1.0f, l->e, k.w1, 0.0f, dh);
    nsamp_gemm_here(true, false, k.units, m, l->rows, 1.0f, k.h, l->e, 0.0f, g);
    apply_adam(l, adam, k.units * m, g, k.w1);
    l->k->slope((int)l->base.shape.activation, l->rows, k.units, k.h, dh, gb);
    nsamp_gemm_here(true, false, k.units, m, l->rows, 1.0f, dh, x, 0.0f, g);
    apply_adam(l, adam, k.units * m, g, k.w2);
    apply_adam(l, adam, k.units, gb, k.b);
}

/* One pass over the chunks: back and Adam with the inputs x (NULL: not), then forward with next (NULL: not). */
static void pass(cpu_learner *l, const nsamp_adam *adam, const float *x, size_t rows, const float *next) {
    const size_t stride = l->rows * l->base.shape.m;
#pragma omp parallel for schedule(dynamic, 1) num_threads(l->threads)
    for (size_t g = 0; g < l->groups; g++)
        for (size_t c = g * l->per_group; c < least((g + 1) * l->per_group, l->chunks); c++) {
            if (x) backward_chunk(l, c, adam, x);
            if (next) forward_chunk(l, c, rows, next, l->f + g * stride);
        }
}

/* x = x0 + sigma eps, and x0 behind them for the control variate; x0: rows, or those of the data that are named. */
static void make_inputs(cpu_learner *l, double sigma, size_t rows, const uint32_t *named, const float *x0,
                        const float *eps, float *x) {
    const size_t m = l->base.shape.m;
    const float by = (float)sigma;
#pragma omp parallel for schedule(static) num_threads(l->threads)
    for (size_t r = 0; r < rows; r++) {
        const float *from = named ? l->data + named[r] * m : x0 + r * m;
        for (size_t k = 0; k < m; k++)
            x[r * m + k] = from[k] + by * eps[r * m + k];
        if (l->base.shape.control_variate) memcpy(x + (rows + r) * m, from, m * sizeof *x);
    }
}

/* f of all groups -> loss of each row, e. */
static void residual(cpu_learner *l, const nsamp_level *level, size_t rows, const float *x,
                     const float *eps) {
    const nsamp_residual r = nsamp_residual_of(&l->base.shape, level);
    residual_of(l, &r, false, rows, x, eps);
    if (!l->base.shape.control_variate) return;
    residual_of(l, &r, true, rows, x, eps);
    for (size_t i = 0; i < rows; i++)
        l->loss[i] += l->loss[rows + i];
}

static double mean_loss(const cpu_learner *l) {
    double sum = 0;
    for (size_t i = 0; i < l->base.shape.batch; i++)
        sum += l->loss[i];
    return sum / (double)l->base.shape.batch;
}

/* Noise and inputs of step i of a block. */
static void make_batch(cpu_learner *l, const nsamp_train_block *b, size_t i, float *x) {
    const size_t m = l->base.shape.m, rows = l->base.shape.batch;
    nsamp_batch_noise(l->k, l->threads, b->key, b->first + i, rows, m, l->eps);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < m; k++)
            l->eps[r * m + k] *= b->widen[r];
    make_inputs(l, b->level.sigma, rows, b->named ? b->named + i * rows : NULL,
                b->named ? NULL : b->x0 + i * rows * m, l->eps, x);
}

static nsamp_status cpu_block(nsamp_learner *base, const nsamp_train_block *b, double *losses,
                              nsamp_error *err) {
    cpu_learner *l = (cpu_learner *)base;
    (void)err;
    make_batch(l, b, 0, l->x[0]);
    pass(l, NULL, NULL, l->rows, l->x[0]);
    for (size_t i = 0; i < b->steps; i++) {
        float *x = l->x[i % 2], *next = i + 1 < b->steps ? l->x[(i + 1) % 2] : NULL;
        residual(l, &b->level, base->shape.batch, x, l->eps);
        losses[i] = mean_loss(l);
        if (next) make_batch(l, b, i + 1, next);
        pass(l, &b->adam[i], x, l->rows, next);
    }
    return NSAMP_OK;
}

static bool cpu_keep(nsamp_learner *base, size_t rows, const float *data) {
    (void)rows;
    ((cpu_learner *)base)->data = data;
    return true;
}

static void cpu_loss(nsamp_learner *base, const nsamp_level *level, size_t rows, const float *x0,
                     const float *eps, double *loss) {
    cpu_learner *l = (cpu_learner *)base;
    make_inputs(l, level->sigma, rows, NULL, x0, eps, l->x[0]);
    pass(l, NULL, NULL, base->shape.control_variate ? 2 * rows : rows, l->x[0]);
    residual(l, level, rows, l->x[0], eps);
    memcpy(loss, l->loss, rows * sizeof *loss);
}

static double cpu_step(nsamp_learner *base, const nsamp_level *level, const nsamp_adam *adam, const float *x0,
                       const float *eps) {
    cpu_learner *l = (cpu_learner *)base;
    make_inputs(l, level->sigma, base->shape.batch, NULL, x0, eps, l->x[0]);
    pass(l, NULL, NULL, l->rows, l->x[0]);
    residual(l, level, base->shape.batch, l->x[0], eps);
    pass(l, adam, l->x[0], l->rows, NULL);
    return mean_loss(l);
}

static void cpu_forward(nsamp_learner *base, size_t rows, const float *x, float *f) {
    cpu_learner *l = (cpu_learner *)base;
    const size_t count = rows * base->shape.m, stride = l->rows * base->shape.m;
    pass(l, NULL, NULL, rows, x);
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

static nsamp_status cpu_check(nsamp_learner *base, nsamp_error *err) {
    (void)base;
    (void)err;
    return NSAMP_OK;
}

static void cpu_destroy(nsamp_learner *base) {
    cpu_learner *l = (cpu_learner *)base;
    free(l->numbers);
    free(l->x[0]);
    free(l->x[1]);
    free(l->eps);
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
    static const nsamp_learner_ops ops = {"cpu",       cpu_block, cpu_keep, cpu_step,  cpu_loss,
                                          cpu_forward, cpu_get,   cpu_put,  cpu_check, cpu_destroy};
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
    l->scratch_floats = (l->rows * CHUNK + CHUNK * (shape->m + 1) + 15) / 16 * 16;
    bool ok = true;
    l->numbers = floats(nsamp_learner_numbers(shape), &ok);
    l->x[0] = floats(l->rows * shape->m, &ok);
    l->x[1] = floats(l->rows * shape->m, &ok);
    l->eps = floats(shape->batch * shape->m, &ok);
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
