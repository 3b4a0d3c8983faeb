/* cpu_learner.c: training on the CPU. The hidden units are cut into chunks that one thread carries
 * back through Adam and forward again with the next batch of a block while their weights are in its cache:
 * so a step reads and writes every weight and moment once, and the gradient of a chunk is never stored
 * longer than that. What is done to a chunk is in cpu_products.h. No bit depends on the number of threads or
 * on where a block ends.
 *
 * A batch is four stages of a team (team.h): the outputs of the network; its rows, that is residuals, and
 * noise and inputs of the next batch; what the products need of both; the pass over the chunks. */
#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "team.h"
#include "train/cpu_products.h"

enum { ROWS = 32 }; /* of a piece of the stage of rows: a multiple of the 16 that draw noise together */

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

typedef enum stage { OUTPUTS, IN_ROWS, TAKE, PASS } stage;

/* Batches in a row. Batch `drawn` is the next to be drawn. */
typedef struct course {
    cpu_learner *l;
    stage now;
    size_t rows;         /* of a batch */
    size_t steps, drawn; /* batches */
    int last, next;      /* slots of the batch that goes back and the one that goes forward; -1: none */
    nsamp_residual residual;
    double sigma;
    const nsamp_train_block *block; /* batches are drawn; or NULL: one, of */
    const float *x0, *eps;          /* [rows][m]; x0 NULL: the inputs are there already */
    const nsamp_adam *adam;         /* [steps]; NULL: nothing goes back */
    double *losses;                 /* [steps] or NULL */
    float *f;                       /* not NULL: outputs go there, and that is all */
} course;

static double mean_loss(const cpu_learner *l) {
    double sum = 0;
    for (size_t i = 0; i < l->base.shape.batch; i++)
        sum += l->loss[i];
    return sum / (double)l->base.shape.batch;
}

/* The batch whose outputs are there. */
static size_t last_of(const course *c) {
    return c->drawn - (c->next < 0 ? 1 : 2);
}

static size_t pieces_of(const course *c) {
    const nsamp_cpu_products *p = c->l->products;
    switch (c->now) {
    case IN_ROWS:
        return (c->rows + ROWS - 1) / ROWS;
    case PASS:
        return p->groups;
    case OUTPUTS:
    case TAKE:
        break;
    }
    return p->pieces;
}

/* The stage that comes after this one; 0 where it was the last. */
static size_t next_stage(void *user) {
    course *const c = user;
    switch (c->now) {
    case OUTPUTS:
        if (c->f && c->last >= 0) return 0;
        c->now = IN_ROWS;
        break;
    case IN_ROWS:
        if (c->next >= 0) c->drawn++;
        if (c->last >= 0 && c->losses) c->losses[last_of(c)] = mean_loss(c->l);
        if (c->last >= 0 && !c->adam) return 0;
        c->now = TAKE;
        break;
    case TAKE:
        c->now = PASS;
        break;
    case PASS:
        if (c->next < 0) return 0;
        c->last = c->next;
        c->next = c->drawn < c->steps ? 1 - c->last : -1;
        c->now = OUTPUTS;
        break;
    }
    return pieces_of(c);
}

/* ---- rows
 * -------------------------------------------------------------------------------------------------- */

/* Loss and d objective / d f of rows first .. first + rows - 1: the noisy ones, or those of x0 behind them.
 * */
static void residual(const course *c, bool clean, size_t first, size_t rows) {
    const cpu_learner *l = c->l;
    const size_t m = l->base.shape.m, row = first + (clean ? c->rows : 0);
    l->k->residual(&c->residual, clean, rows, m, l->f + row * m, l->x[c->last] + row * m,
                   (c->block ? l->eps : c->eps) + first * m, l->e + row * m, l->loss + row);
}

/* Noise of rows of batch `drawn` of the block -> eps. */
static void draw(const course *c, size_t first, size_t rows, float *eps) {
    const size_t m = c->l->base.shape.m;
    c->l->k->normals(c->block->key, NSAMP_PURPOSE_TRAIN, (uint32_t)first, rows, c->block->first + c->drawn, m,
                     eps);
    for (size_t r = 0; r < rows; r++)
        for (size_t k = 0; k < m; k++)
            eps[r * m + k] *= c->block->widen[first + r];
}

/* x = x0 + sigma eps, and x0 behind them for the control variate. */
static void make_inputs(const course *c, size_t first, size_t rows, const float *eps) {
    const cpu_learner *l = c->l;
    const size_t m = l->base.shape.m, batch = c->drawn * c->rows;
    const nsamp_train_block *const b = c->block;
    float *const x = l->x[c->next];
    const float by = (float)c->sigma;
    for (size_t r = first; r < first + rows; r++) {
        const float *const from = !b         ? c->x0 + r * m
                                  : b->named ? l->data + b->named[batch + r] * m
                                             : b->x0 + (batch + r) * m;
        for (size_t k = 0; k < m; k++)
            x[r * m + k] = from[k] + by * eps[(r - first) * m + k];
        if (l->base.shape.control_variate) memcpy(x + (c->rows + r) * m, from, m * sizeof *x);
    }
}

static void rows_piece(const course *c, size_t piece) {
    const cpu_learner *l = c->l;
    const size_t m = l->base.shape.m, first = piece * ROWS, rows = nsamp_least(ROWS, c->rows - first);
    if (c->last >= 0) {
        residual(c, false, first, rows);
        if (l->base.shape.control_variate) {
            residual(c, true, first, rows);
            for (size_t i = first; i < first + rows; i++)
                l->loss[i] += l->loss[c->rows + i];
        }
    }
    if (c->next < 0 || (!c->block && !c->x0)) return;
    if (c->block) draw(c, first, rows, l->eps + first * m);
    make_inputs(c, first, rows, (c->block ? l->eps : c->eps) + first * m);
}

/* ---- the products
 * ------------------------------------------------------------------------------------------ */

/* Back and Adam with the inputs of slot `last`, then forward with those of `next`: a group of chunks. */
static void pass_piece(const course *c, size_t group, int thread) {
    nsamp_cpu_products *const p = c->l->products;
    const size_t end = nsamp_least((group + 1) * p->per_group, p->chunks);
    for (size_t k = group * p->per_group; k < end; k++) {
        size_t open = nsamp_team_taken(); /* another thread may be faster: a guess */
        if (open <= group) open = group + 1;
        const size_t then = c->last < 0        ? NSAMP_CPU_NONE
                            : k + 1 < end      ? k + 1
                            : open < p->groups ? open * p->per_group
                                               : NSAMP_CPU_NONE;
        if (c->last >= 0) p->ops->back(p, k, &c->adam[last_of(c)], c->last, then, thread);
        if (c->next >= 0) p->ops->forward(p, k, c->next, then, thread);
    }
}

static void piece_of_stage(void *user, size_t piece, int thread) {
    const course *const c = user;
    const cpu_learner *const l = c->l;
    nsamp_cpu_products *const p = l->products;
    switch (c->now) {
    case OUTPUTS:
        p->ops->outputs(p, piece, c->f ? c->f : l->f);
        break;
    case IN_ROWS:
        rows_piece(c, piece);
        break;
    case TAKE:
        if (c->last >= 0) p->ops->errors(p, piece, l->e);
        if (c->next >= 0) p->ops->inputs(p, piece, c->next, l->x[c->next]);
        break;
    case PASS:
        pass_piece(c, piece, thread);
        break;
    }
}

/* A course begins with the rows of its first batch. */
static void run(cpu_learner *l, course c) {
    static const nsamp_team_work work = {next_stage, piece_of_stage};
    c.l = l;
    c.now = OUTPUTS;
    c.last = -1;
    l->products->ops->begin(l->products, l->base.shape.control_variate && !c.f ? 2 * c.rows : c.rows);
    nsamp_team_run(l->threads, &work, &c);
}

static nsamp_status cpu_block(nsamp_learner *base, const nsamp_train_block *b, double *losses,
                              nsamp_error *err) {
    (void)err;
    run((cpu_learner *)base, (course){.rows = base->shape.batch,
                                      .steps = b->steps,
                                      .residual = nsamp_residual_of(&base->shape, &b->level),
                                      .sigma = b->level.sigma,
                                      .block = b,
                                      .adam = b->adam,
                                      .losses = losses});
    return NSAMP_OK;
}

static bool cpu_keep(nsamp_learner *base, size_t rows, const float *data) {
    (void)rows;
    ((cpu_learner *)base)->data = data;
    return true;
}

static void cpu_loss(nsamp_learner *base, const nsamp_level *level, size_t rows, const float *x0,
                     const float *eps, double *loss) {
    cpu_learner *const l = (cpu_learner *)base;
    run(l, (course){.rows = rows,
                    .steps = 1,
                    .residual = nsamp_residual_of(&base->shape, level),
                    .sigma = level->sigma,
                    .x0 = x0,
                    .eps = eps});
    memcpy(loss, l->loss, rows * sizeof *loss);
}

static double cpu_step(nsamp_learner *base, const nsamp_level *level, const nsamp_adam *adam, const float *x0,
                       const float *eps) {
    double loss = 0;
    run((cpu_learner *)base, (course){.rows = base->shape.batch,
                                      .steps = 1,
                                      .residual = nsamp_residual_of(&base->shape, level),
                                      .sigma = level->sigma,
                                      .x0 = x0,
                                      .eps = eps,
                                      .adam = adam,
                                      .losses = &loss});
    return loss;
}

static void cpu_forward(nsamp_learner *base, size_t rows, const float *x, float *f) {
    cpu_learner *const l = (cpu_learner *)base;
    memcpy(l->x[0], x, rows * base->shape.m * sizeof *x);
    run(l, (course){.rows = rows, .steps = 1, .f = f});
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
