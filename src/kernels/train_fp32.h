/* train_fp32.h: a step of training in float32 on a CPU: products, and Adam on the way. What both mean is src/host/train/learner.h; activation,
 * slope and Adam are train.h's; the same with factors of bf16 is train_bf16.h. A GPU has its own (cuda_train.cu).
 *
 * For a chunk of units, with rows x of a batch (e = d objective / d f and d below):
 *     h = phi(b + W2 x);  f += W1 h                                              forward
 *     d = phi'(h) (W1^T e);  gradients: of W1  sum over rows of h e^T, of W2  of d x^T, of b  of d
 * Forward and back, lanes are rows of a batch, in the gradients inputs, both 64 together (sums_block.h). Every sum takes its terms one after the
 * other, fused, in one accumulator: over inputs, units of a chunk or rows in their order; that of b over sixteen lanes of rows, then over the
 * lanes. So no bits depend on the instruction set or on how many rows are together.
 *
 * Between the products of a block stands what else there is to do (bench/LOG.md): Adam of the block before, whose divisions and roots take the ports
 * of no product, and fetching into the second-level cache what comes next, since all weights and moments go through memory once a step.
 *
 * Arrays are the caller's, 64-byte aligned but for weights, biases and moments. Rows that are missing in a group of 64 are zero, and so is what they
 * add to a sum over lanes. */
#ifndef NSAMP_KERNELS_TRAIN_FP32_H
#define NSAMP_KERNELS_TRAIN_FP32_H

#include <stdbool.h>
#include "kernels/sums_block.h"
#include "kernels/train.h"

enum {
    NSAMP_TRAIN_FP32_LANES = NSAMP_SUMS_LANES,
    NSAMP_TRAIN_FP32_UNITS = 126 /* of a chunk, at most: a multiple of NSAMP_SUMS_ROWS */
};

/* A network's m, and the rows of a batch. */
typedef struct nsamp_train_fp32 {
    uint32_t m, rows;
    int activation;
} nsamp_train_fp32;

/* `count` rows or inputs in whole groups or panels of 64. */
NSAMP_HD size_t nsamp_train_fp32_up(size_t count) {
    return (count + NSAMP_TRAIN_FP32_LANES - 1) / NSAMP_TRAIN_FP32_LANES * NSAMP_TRAIN_FP32_LANES;
}

/* Rows [rows][m] of a batch, of x or of e, once for each kind of sum. */
typedef struct nsamp_train_fp32_batch {
    float *across; /* for sums over inputs [groups of rows][m][64] */
    float *down;   /* for sums over rows [panels of inputs][rows][64] */
} nsamp_train_fp32_batch;

/* Weights [units][m] of a matrix and their moments; seen NULL: without amsgrad. */
typedef struct nsamp_train_fp32_weights {
    float *w, *m, *v, *seen;
} nsamp_train_fp32_weights;

/* Numbers that are fetched meanwhile: `count` from each on that is not NULL. */
typedef struct nsamp_train_fp32_ahead {
    const float *from[4];
    size_t count;
} nsamp_train_fp32_ahead;

typedef struct nsamp_train_fp32_kernels {
    const char *name;
    /* Of rows `first` (a multiple of 64) to first + count - 1, at most 64, of a batch the 64 inputs from `input` on, or what is left -> to.
     * x [count][m]: those rows. */
    void (*take)(const nsamp_train_fp32 *s, uint32_t first, uint32_t count, uint32_t input, const float *x,
                 const nsamp_train_fp32_batch *to);
    /* h [groups][units][64] of a chunk's units, w2 and w1 [units][m], b [units]; f [groups][m][64]: += W1 h, or begun with it. */
    void (*forward)(const nsamp_train_fp32 *s, uint32_t units, const float *w2, const float *w1,
                    const float *b, const nsamp_train_fp32_batch *x, bool add,
                    const nsamp_train_fp32_ahead *ahead, float *h, float *f);
    /* d, laid out as h, and the gradient of b -> gb [units]. */
    void (*back)(const nsamp_train_fp32 *s, uint32_t units, const float *w1, const nsamp_train_fp32_batch *e,
                 const float *h, const nsamp_train_fp32_ahead *ahead, float *d, float *gb);
    /* The gradient, the sum over rows of left (h or d) and right (e or x), and Adam's step -> to. scratch [panels of inputs][units][64],
     * for more than 64 rows. */
    void (*step)(const nsamp_train_fp32 *s, uint32_t units, const float *left,
                 const nsamp_train_fp32_batch *right, const nsamp_adam *adam,
                 const nsamp_train_fp32_ahead *ahead, float *scratch, const nsamp_train_fp32_weights *to);
    /* to [count][m], 64 outputs from `output` on or what is left: rows first (a multiple of 64) to first + count - 1, at most 64, of the sum of
     * f [parts][stride]. */
    void (*outputs)(const nsamp_train_fp32 *s, size_t parts, size_t stride, const float *f, uint32_t first,
                    uint32_t count, uint32_t output, float *to);
} nsamp_train_fp32_kernels;

/* As nsamp_cpu_kernels_* of kernel.h; all give the same bits. */
extern const nsamp_train_fp32_kernels nsamp_train_fp32_base, nsamp_train_fp32_v3, nsamp_train_fp32_v4;

#endif
