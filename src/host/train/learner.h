/* learner.h: the numbers of a training and one step of it: a device that holds weights and moments, runs a
 * batch forward and back, and applies Adam. Above this interface (train.c) nothing knows where the products
 * run. Not here: what a batch holds (source.h), when the learning rate falls, checkpoints.
 *
 * The network: f(x) = W1 phi(W2 x + b). A row of a batch is x0 with noise eps, x = x0 + sigma eps. With
 *     score form      s = f - x               residual q = s + eps / sigma = f - x + eps / sigma,  scale a =
 * 1 denoiser form   s = (f - x) / sigma^2   residual q = f - x + sigma eps = f - x0,             scale a = 1
 * / sigma^2 the loss of a row is 1/2 |s + eps / sigma|^2 = 1/2 a^2 |q|^2 (Vincent, Neural Computation 23,
 * 2011), the objective its mean over the batch times the weight of the level. The control variate subtracts
 * s(x0) . eps / sigma + 1/2 |eps|^2 / sigma^2 - m / (2 sigma^2), which has mean zero and carries the terms of
 * order 1 / sigma and 1 / sigma^2 (arXiv 2101.03288). */
#ifndef NSAMP_HOST_TRAIN_LEARNER_H
#define NSAMP_HOST_TRAIN_LEARNER_H

#include <stdbool.h>
#include "kernels/train.h"
#include "matmul.h"

typedef struct nsamp_learner_shape {
    size_t m, n, batch;
    nsamp_activation activation;
    bool denoiser, control_variate, amsgrad;
    int threads; /* 0: all */
} nsamp_learner_shape;

/* One noise level: everything that depends on sigma. */
typedef struct nsamp_level {
    double sigma, weight; /* in the units of x; the weight of the loss */
} nsamp_level;

typedef struct nsamp_learner nsamp_learner;

typedef struct nsamp_learner_ops {
    const char *name; /* "cpu" */
    /* One step on x0, eps [batch][m]: returns the mean loss of the batch before it. */
    double (*step)(nsamp_learner *l, const nsamp_level *level, const nsamp_adam *adam, const float *x0,
                   const float *eps);
    /* The losses of rows <= batch rows, nothing changed -> loss [rows]. */
    void (*loss)(nsamp_learner *l, const nsamp_level *level, size_t rows, const float *x0, const float *eps,
                 double *loss);
    /* f(x), rows <= batch -> f [rows][m]. */
    void (*forward)(nsamp_learner *l, size_t rows, const float *x, float *f);
    /* All numbers (below), up to date, in host memory of the learner's. After changing them call put. */
    float *(*get)(nsamp_learner *l);
    void (*put)(nsamp_learner *l);
    void (*destroy)(nsamp_learner *l);
} nsamp_learner_ops;

/* The numbers of a learner: weights, then Adam's m, v and, with amsgrad, the largest v; each laid out as
 * W2 [n][m], W1 transposed [n][m], b [n]. */
struct nsamp_learner {
    const nsamp_learner_ops *ops;
    nsamp_learner_shape shape;
};

size_t nsamp_learner_weights(const nsamp_learner_shape *shape); /* n (2 m + 1) */
size_t nsamp_learner_numbers(const nsamp_learner_shape *shape); /* weights times 3, or 4 with amsgrad */

/* The coefficients of train.h for a level. */
nsamp_residual nsamp_residual_of(const nsamp_learner_shape *shape, const nsamp_level *level);

/* The loops of an instruction set that isa.h names. */
const nsamp_train_kernels *nsamp_train_kernels_of(const char *isa);

/* All numbers zero. kernels: of this processor's instruction set. NSAMP_ENOMEM. */
nsamp_status nsamp_cpu_learner_create(const nsamp_learner_shape *shape, const nsamp_train_kernels *kernels,
                                      nsamp_learner **learner, nsamp_error *err);
void nsamp_learner_destroy(nsamp_learner *l);

#endif
