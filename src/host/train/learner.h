/* learner.h: the numbers of a training and steps of it: a device that holds weights and moments, runs a
 * batch forward and back, and applies Adam. Above this interface (train.c) nothing knows where the products
 * run. Not here: which rows a batch holds (source.h), when the learning rate falls, checkpoints.
 *
 * The network: f(x) = W1 phi(W2 x + b). A row of a batch is x0 with noise eps, x = x0 + sigma eps. Its score s, the
 * residual q, and their scale a:
 *
 *     score form       s = f - x                q = f - x + eps / sigma     a = 1
 *     denoiser form    s = (f - x) / sigma^2    q = f - x + sigma eps       a = 1 / sigma^2
 *
 * The loss of a row is 1/2 |s + eps / sigma|^2 = 1/2 a^2 |q|^2 (Vincent, Neural Computation 23, 2011), the
 * objective its mean over the batch times the weight of the level. The control variate subtracts
 * s(x0) . eps / sigma + 1/2 |eps|^2 / sigma^2 - m / (2 sigma^2), which has mean zero and carries the terms of
 * order 1 / sigma and 1 / sigma^2 (arXiv 2101.03288). */
#ifndef NSAMP_HOST_TRAIN_LEARNER_H
#define NSAMP_HOST_TRAIN_LEARNER_H

#include <stdbool.h>
#include "job/job.h"
#include "kernels/train_bf16.h"
#include "kernels/train_fp32.h"
#include "matmul.h"

typedef struct nsamp_learner_shape {
    size_t m, n, batch;
    nsamp_activation activation;
    bool denoiser, control_variate, amsgrad;
    int threads;               /* 0: all */
    nsamp_precision precision; /* of the products; a CPU has fp32 and bf16 */
} nsamp_learner_shape;

/* One noise level: everything that depends on sigma. */
typedef struct nsamp_level {
    double sigma, weight; /* in the units of x; the weight of the loss */
} nsamp_level;

/* Consecutive batches of one level. Row r of batch number i gets noise that is drawn as chain r at step i of
 * NSAMP_PURPOSE_TRAIN, times widen[r]. */
typedef struct nsamp_train_block {
    nsamp_level level;
    size_t steps;   /* 1 .. NSAMP_BLOCK_STEPS */
    uint64_t first; /* number of the first batch */
    nsamp_noise_key key;
    const nsamp_adam *adam; /* [steps] */
    const float *widen;     /* [batch] */
    const uint32_t *named;  /* [steps][batch]: rows of the data set that the learner keeps; or NULL, and */
    const float *x0;        /* [steps][batch][m] */
} nsamp_train_block;

enum { NSAMP_BLOCK_STEPS = 64 };

typedef struct nsamp_learner nsamp_learner;

/* Where a call cannot say that its device failed, it returns NaN or leaves its output, and check tells. */
typedef struct nsamp_learner_ops {
    const char *name; /* "cpu", "cuda" */
    /* The steps of a block, without a stop between them: the same numbers as one block a step. losses [steps]: the mean loss
     * of each batch before its step. NSAMP_EIO: the device failed. */
    nsamp_status (*block)(nsamp_learner *l, const nsamp_train_block *b, double *losses, nsamp_error *err);
    /* Keeps a data set [rows][m], which must outlive the learner, for blocks that name its rows. False: there is no room for
     * it, blocks must bring their x0. */
    bool (*keep)(nsamp_learner *l, size_t rows, const float *data);
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
    /* NSAMP_OK, or the first failure of any call so far. */
    nsamp_status (*check)(nsamp_learner *l, nsamp_error *err);
    void (*destroy)(nsamp_learner *l);
} nsamp_learner_ops;

/* The numbers of a learner: weights, then Adam's m, v and, with amsgrad, the largest v; each laid out as
 * W2 [n][m], W1 transposed [n][m], b [n]. */
struct nsamp_learner {
    const nsamp_learner_ops *ops;
    nsamp_learner_shape shape;
    char text[256];   /* one line: where it computes, and how */
    bool matrix_unit; /* the products are those of a CPU's matrix unit; */
    bool library;     /* or of a library; neither: multiply-adds of our own */
};

size_t nsamp_learner_weights(const nsamp_learner_shape *shape); /* n (2 m + 1) */
size_t nsamp_learner_numbers(const nsamp_learner_shape *shape); /* weights times 3, or 4 with amsgrad */

/* The coefficients of train.h for a level. */
nsamp_residual nsamp_residual_of(const nsamp_learner_shape *shape, const nsamp_level *level);

/* The loops of an instruction set that isa.h names. */
const nsamp_train_kernels *nsamp_train_kernels_of(const char *isa);

/* Standard normals: row r of batch number `batch` draws as chain r at step `batch` of NSAMP_PURPOSE_TRAIN -> eps [rows][m]. */
void nsamp_batch_noise(const nsamp_train_kernels *kernels, int threads, nsamp_noise_key key, uint64_t batch,
                       size_t rows, size_t m, float *eps);

/* What a CPU trains with; of fp32 and bf16 those of the shape's precision. */
typedef struct nsamp_train_cpu {
    const nsamp_train_kernels *loops;
    const nsamp_train_fp32_kernels *fp32;
    const nsamp_train_bf16_kernels *bf16;
} nsamp_train_cpu;

/* Those of an instruction set that isa.h names; amx: bf16 by the matrix unit. */
nsamp_train_cpu nsamp_train_cpu_of(const char *isa, bool amx);

/* All numbers zero, in fp32 or bf16. NSAMP_ENOMEM. */
nsamp_status nsamp_cpu_learner_create(const nsamp_learner_shape *shape, const nsamp_train_cpu *kernels,
                                      nsamp_learner **learner, nsamp_error *err);
/* The same on the GPU, in any precision, where this was built with nvcc (cuda_learner.cu). NSAMP_ENOMEM; NSAMP_EIO: the GPU
 * or its library cannot, with what is missing. */
nsamp_status nsamp_cuda_learner_create(const nsamp_learner_shape *shape, nsamp_learner **learner,
                                       nsamp_error *err);
/* NULL where that can work here, else one line: why not. */
const char *nsamp_cuda_learner_missing(void);

/* The learner that run.backend and train.precision ask for, on a CPU with the loops of `isa`; auto takes the GPU where there is one and
 * says so in text. NSAMP_EUSAGE names the key. */
nsamp_status nsamp_learner_choose(const nsamp_job *job, const nsamp_learner_shape *shape, const char *isa,
                                  nsamp_learner **learner, nsamp_error *err);
/* NULL: nothing. */
void nsamp_learner_destroy(nsamp_learner *l);

#endif
