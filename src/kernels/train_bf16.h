/* train_bf16.h: the products of a step of training with factors of bf16, for a CPU: by its matrix unit (amx.h), or the same bits by
 * multiply-adds. What lies between them is train.h; what they are for, src/host/train/learner.h. A GPU has its own (cuda_train.cu).
 *
 * For a chunk of units, with rows x of a batch (in bf16, as all of W2, W1, h, e = d objective / d f and d below):
 *     h = phi(b + W2 x);  f += W1 h                                              forward
 *     d = phi'(h) (W1^T e);  gradients: of W1  sum over rows of h e^T, of W2  of d x^T, of b  of d
 * Sums in float32, those of products in the order of amx.h over blocks of 32 inputs, units or rows; b, phi, phi' of the rounded h, and the
 * gradient of b from d before it is rounded, in float32. On x86-64 bits depend on nothing but the numbers.
 *
 * Units of a chunk count in blocks of 32, rows of a batch too. Of those that are missing x, e and weights are zero here, and so is what they add
 * to any sum. Arrays are 64-byte aligned, the caller's.
 * Fails: relu takes a NaN for 0, so a unit whose W2 or b is one is silent; a NaN in W1 reaches the loss. */
#ifndef NSAMP_KERNELS_TRAIN_BF16_H
#define NSAMP_KERNELS_TRAIN_BF16_H

#include <stdbool.h>
#include "kernels/bf16.h"
#include "kernels/train.h"

enum {
    NSAMP_TRAIN_BF16_BLOCK = 32, /* rows or units together */
    NSAMP_TRAIN_BF16_UNITS = 256 /* of a chunk, at most */
};

/* A network's m, and the rows of a batch, a multiple of 32. */
typedef struct nsamp_train_bf16 {
    uint32_t m, rows;
    int activation;
} nsamp_train_bf16;

/* Units or rows in whole blocks; tiles of 32 inputs; of 16 outputs. */
NSAMP_HD uint32_t nsamp_train_bf16_up(uint32_t count) {
    return (count + NSAMP_TRAIN_BF16_BLOCK - 1) / NSAMP_TRAIN_BF16_BLOCK * NSAMP_TRAIN_BF16_BLOCK;
}
NSAMP_HD uint32_t nsamp_train_bf16_depth(uint32_t m) {
    return (m + 31) / 32;
}
NSAMP_HD uint32_t nsamp_train_bf16_outputs(uint32_t m) {
    return (m + 15) / 16;
}

/* Rows [rows][m] of a batch, of x or of e, rounded, once for each kind of sum. */
typedef struct nsamp_train_bf16_batch {
    uint32_t *across; /* for sums over inputs [rows / 32][depth][2][16][16]: pairs of inputs */
    uint32_t *down;   /* for sums over rows [2 depth][rows / 32][16][16]: pairs of rows */
} nsamp_train_bf16_batch;

/* Pairs in each of the two. */
NSAMP_HD size_t nsamp_train_bf16_pairs(const nsamp_train_bf16 *s) {
    return (size_t)s->rows * nsamp_train_bf16_depth(s->m) * 16;
}

/* The scratch of a thread. */
typedef struct nsamp_train_bf16_scratch {
    /* [units / 16][16][16]: b of the row's unit, 16 times; the gradient of b before its last sum */
    float *bias, *sums;
    /* [units][m] */
    float *gradient;
    /* [units / 32][2][16][16] */
    uint32_t *hidden;
    /* W2, or W1 for what goes back [units / 32][depth][2][16][32]; W1, two rows of tiles together, as in rsn_bf16.h */
    nsamp_bf16 *inputs, *outputs;
    /* d [units / 16][rows / 32][16][32] */
    nsamp_bf16 *back;
} nsamp_train_bf16_scratch;

/* Its parts from `base` on (64-byte aligned; NULL: *to is left as it is) -> *to; their bytes in all, a multiple of 64. */
NSAMP_HD size_t nsamp_train_bf16_carve(const nsamp_train_bf16 *s, char *base, nsamp_train_bf16_scratch *to) {
    const size_t units = NSAMP_TRAIN_BF16_UNITS, rows16 = units * 16 * sizeof(float),
                 weights = units * nsamp_train_bf16_depth(s->m) * 32 * sizeof(nsamp_bf16),
                 back = units * s->rows * sizeof(nsamp_bf16), gradient = units * s->m * sizeof(float);
    if (base) {
        to->bias = (float *)(void *)base;
        to->sums = (float *)(void *)(base + rows16);
        to->hidden = (uint32_t *)(void *)(base + 2 * rows16);
        to->inputs = (nsamp_bf16 *)(void *)(base + 3 * rows16);
        to->outputs = (nsamp_bf16 *)(void *)(base + 3 * rows16 + weights);
        to->back = (nsamp_bf16 *)(void *)(base + 3 * rows16 + 2 * weights);
        to->gradient = (float *)(void *)(base + 3 * rows16 + 2 * weights + back);
    }
    return 3 * rows16 + 2 * weights + back + gradient;
}

typedef struct nsamp_train_bf16_kernels {
    const char *name;
    bool matrix_unit;
    /* Rows `first` to first + 31 of a batch, of which `count` are there -> to. x [count][m]: those rows. */
    void (*take)(const nsamp_train_bf16 *s, uint32_t first, uint32_t count, const float *x,
                 const nsamp_train_bf16_batch *to);
    /* h [units / 16][rows / 32][16][32] of a chunk's units, w2 and w1 [units][m], b [units]; f [rows / 32][outputs][2][16][16]: += W1 h, or
     * begun with it. */
    void (*forward)(const nsamp_train_bf16 *s, uint32_t units, const float *w2, const float *w1,
                    const float *b, const nsamp_train_bf16_batch *x, bool add,
                    const nsamp_train_bf16_scratch *scratch, nsamp_bf16 *h, float *f);
    /* d -> scratch->back, the gradient of b -> gb [units]. */
    void (*back)(const nsamp_train_bf16 *s, uint32_t units, const float *w1, const nsamp_train_bf16_batch *e,
                 const nsamp_bf16 *h, const nsamp_train_bf16_scratch *scratch, float *gb);
    /* scratch->gradient [units][m] = the sum over rows of left (h or d) and right (e or x). */
    void (*gradient)(const nsamp_train_bf16 *s, uint32_t units, const nsamp_bf16 *left,
                     const nsamp_train_bf16_batch *right, const nsamp_train_bf16_scratch *scratch);
    /* to [count][m] = rows first (a multiple of 32) to first + count - 1, at most 32, of the sum of f [parts][stride]. */
    void (*outputs)(const nsamp_train_bf16 *s, size_t parts, size_t stride, const float *f, uint32_t first,
                    uint32_t count, float *to);
} nsamp_train_bf16_kernels;

/* As nsamp_rsn_bf16_* of rsn_bf16.h; all give the same bits. */
extern const nsamp_train_bf16_kernels nsamp_train_bf16_base, nsamp_train_bf16_v3, nsamp_train_bf16_v4,
    nsamp_train_bf16_amx;

#endif
