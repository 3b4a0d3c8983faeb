/* cpu_learner.c: training on the CPU. The hidden units are cut into chunks that one thread carries
 * back through Adam and forward again with the next batch of a block while their weights are in its cache: so a step
 * reads and writes every weight and moment once, and the gradient of a chunk is never stored longer than that. What is done to a
 * chunk is in cpu_products.h. No bit depends on the number of threads or on where a block ends. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "train/cpu_products.h"

enum { ROWS = 32 }; /* rows of x a task of the residual */

typedef struct cpu_learner {
    nsamp_learner base;
    const nsamp_train_kernels *k;
    nsamp_cpu_products *products;
    int threads;
    size_t rows;        /* of a batch in the products: twice the batch with the control variate */
    float *numbers;     /* learner.h */
    float *x[2];        /* [rows][m]: inputs of this batch and the next */
    float *eps, *f, *e; /* [batch][m]: noise; [rows][m]: outputs; d objective / d f */
    const float *data;  /* of the caller's, see keep */
    double *loss;       /* [rows] */
} cpu_learner;

/* Loss and d objective / d f of rows: the noisy ones, or those of x0 behind them. */
static void residual_of(cpu_learner *l, const nsamp_residual *r, bool clean, size_t rows, const float *x,
                        const float *eps) {
    const size_t m = l->base.shape.m, first = clean ? rows : 0;
#pragma omp parallel for schedule(static) num_threads(l->threads)
    for (size_t row = 0; row < rows; row += ROWS) {
        const size_t at = (first + row) * m;
        l->k->residual(r, clean, nsamp_least(ROWS, rows - row), m, l->f + at, x + at, eps + row * m,
                       l->e + at, l->loss + first + row);
    }
}

/* One pass over the chunks: back and Adam with the inputs of slot `last` (-1: not), then forward with those of `next` (-1: not). */
static void pass(cpu_learner *l, const nsamp_adam *adam, int last, int next) {
    nsamp_cpu_products *const p = l->products;
    size_t taken = 0; /* groups */
#pragma omp parallel num_threads(l->threads)
    for (;;) {
        size_t g, open;
#pragma omp atomic capture
        g = taken++;
        if (g >= p->groups) break;
        const size_t end = nsamp_least((g + 1) * p->per_group, p->chunks);
        for (size_t c = g * p->per_group; c < end; c++) {
#pragma omp atomic read
            open = taken; /* another thread may be faster: a guess */
            const size_t then = last < 0           ? NSAMP_CPU_NONE
                                : c + 1 < end      ? c + 1
                                : open < p->groups ? open * p->per_group
                                                   : NSAMP_CPU_NONE;
            if (last >= 0) p->ops->back(p, c, adam, last, then);
            if (next >= 0) p->ops->forward(p, c, next, then);
        }
    }
}

static void forward(cpu_learner *l, size_t rows, const float *x) {
    l->products->ops->inputs(l->products, 0, rows, x);
    pass(l, NULL, -1, 0);
}

/* After the residual of a whole batch, with the inputs of slot `last`; then forward, as in pass. */
static void back(cpu_learner *l, const nsamp_adam *adam, int last, int next) {
    l->products->ops->errors(l->products, l->e);
    pass(l, adam, last, next);
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
    l->products->ops->outputs(l->products, l->f);
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
    forward(l, l->rows, l->x[0]);
    for (size_t i = 0; i < b->steps; i++) {
        const int last = (int)(i % 2), next = i + 1 < b->steps ? 1 - last : -1;
        residual(l, &b->level, base->shape.batch, l->x[last], l->eps);
        losses[i] = mean_loss(l);
        if (next >= 0) {
            make_batch(l, b, i + 1, l->x[next]);
            l->products->ops->inputs(l->products, next, l->rows, l->x[next]);
        }
        back(l, &b->adam[i], last, next);
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
    forward(l, base->shape.control_variate ? 2 * rows : rows, l->x[0]);
    residual(l, level, rows, l->x[0], eps);
    memcpy(loss, l->loss, rows * sizeof *loss);
}

static double cpu_step(nsamp_learner *base, const nsamp_level *level, const nsamp_adam *adam, const float *x0,
                       const float *eps) {
    cpu_learner *l = (cpu_learner *)base;
    make_inputs(l, level->sigma, base->shape.batch, NULL, x0, eps, l->x[0]);
    forward(l, l->rows, l->x[0]);
    residual(l, level, base->shape.batch, l->x[0], eps);
    back(l, adam, 0, -1);
    return mean_loss(l);
}

static void cpu_forward(nsamp_learner *base, size_t rows, const float *x, float *f) {
    cpu_learner *l = (cpu_learner *)base;
    forward(l, rows, x);
    l->products->ops->outputs(l->products, f);
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
    if (l->products) l->products->ops->destroy(l->products);
    free(l->numbers);
    free(l->x[0]);
    free(l->x[1]);
    free(l->eps);
    free(l->f);
    free(l->e);
    free(l->loss);
    free(l);
}

/* The arrays of rows. */
static bool allocate(cpu_learner *l) {
    const size_t row = l->base.shape.m * sizeof(float);
    bool ok = true;
    l->numbers = nsamp_cpu_memory(nsamp_learner_numbers(&l->base.shape) * sizeof(float), &ok);
    l->x[0] = nsamp_cpu_memory(l->rows * row, &ok);
    l->x[1] = nsamp_cpu_memory(l->rows * row, &ok);
    l->eps = nsamp_cpu_memory(l->base.shape.batch * row, &ok);
    l->f = nsamp_cpu_memory(l->rows * row, &ok);
    l->e = nsamp_cpu_memory(l->rows * row, &ok);
    l->loss = nsamp_cpu_memory(l->rows * sizeof *l->loss, &ok);
    return ok;
}

nsamp_status nsamp_cpu_learner_create(const nsamp_learner_shape *shape, const nsamp_train_cpu *kernels,
                                      nsamp_learner **learner, nsamp_error *err) {
    static const nsamp_learner_ops ops = {"cpu",       cpu_block, cpu_keep, cpu_step,  cpu_loss,
                                          cpu_forward, cpu_get,   cpu_put,  cpu_check, cpu_destroy};
    *learner = NULL;
    cpu_learner *l = calloc(1, sizeof *l);
    if (!l) return nsamp_fail(err, NSAMP_ENOMEM, "no memory to train");
    l->base.ops = &ops;
    l->base.shape = *shape;
    l->k = kernels->loops;
    l->threads = shape->threads > 0 ? shape->threads : omp_get_max_threads();
    l->rows = shape->control_variate ? 2 * shape->batch : shape->batch;
    if (allocate(l))
        l->products = shape->precision == NSAMP_BF16 ? nsamp_cpu_products_bf16(shape, kernels, l->numbers)
                                                     : nsamp_cpu_products_fp32(shape, kernels, l->numbers);
    if (!l->products) {
        cpu_destroy(&l->base);
        return nsamp_fail(err, NSAMP_ENOMEM,
                          "no memory to train m = %zu, n = %zu in batches of %zu (%.3g GB and more)",
                          shape->m, shape->n, shape->batch,
                          1e-9 * (4.0 * (double)nsamp_learner_numbers(shape) +
                                  (shape->precision == NSAMP_BF16 ? 2.0 : 4.0) *
                                      (double)nsamp_train_fp32_up(l->rows) * (double)shape->n));
    }
    l->base.matrix_unit = shape->precision == NSAMP_BF16 && kernels->bf16->matrix_unit;
    *learner = &l->base;
    return NSAMP_OK;
}
