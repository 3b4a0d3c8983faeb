/* cpu_products.h: what a training on the CPU does to a chunk of hidden units: the products of learner.h, forward and back, and Adam
 * on the way. In float32 by kernels/train_fp32.h, or with factors of bf16 by kernels/train_bf16.h. Which chunk is carried when, and
 * what lies between forward and back, is cpu_learner.c's.
 *
 * Chunks, and the groups whose contributions to f are summed in order, depend on m and n or, in bf16, on n and the batch, so no bit depends on the number
 * of threads. */
#ifndef NSAMP_HOST_TRAIN_CPU_PRODUCTS_H
#define NSAMP_HOST_TRAIN_CPU_PRODUCTS_H

#include "train/learner.h"

enum { NSAMP_CPU_GROUPS = 32 /* at most */ };
#define NSAMP_CPU_NONE SIZE_MAX

typedef struct nsamp_cpu_products nsamp_cpu_products;

/* Called by the threads of a team, each with other pieces, chunks of other groups and a number `thread` of its own. slot: 0 or 1, of two
 * batches of inputs. Rows [rows][m] are taken and given in nsamp_cpu_products.pieces pieces. */
typedef struct nsamp_cpu_products_ops {
    /* The batches from here on have so many rows: before their inputs. */
    void (*begin)(nsamp_cpu_products *p, size_t rows);
    /* A piece of the inputs x [rows][m] of a batch, which stay where they are: before its forward passes. */
    void (*inputs)(nsamp_cpu_products *p, size_t piece, int slot, const float *x);
    /* Adds the outputs of a chunk to those of its group. then: the chunk that this thread probably goes back through next, or NSAMP_CPU_NONE. */
    void (*forward)(nsamp_cpu_products *p, size_t chunk, int slot, size_t then, int thread);
    /* A piece of f [rows][m], of all groups. */
    void (*outputs)(nsamp_cpu_products *p, size_t piece, float *f);
    /* A piece of e [rows][m]: d objective / d f of a whole batch, which stays where it is: before it goes back. */
    void (*errors)(nsamp_cpu_products *p, size_t piece, const float *e);
    /* The gradients of a chunk, and Adam. */
    void (*back)(nsamp_cpu_products *p, size_t chunk, const nsamp_adam *adam, int slot, size_t then,
                 int thread);
    void (*destroy)(nsamp_cpu_products *p);
} nsamp_cpu_products_ops;

struct nsamp_cpu_products {
    const nsamp_cpu_products_ops *ops;
    nsamp_learner_shape shape;
    const nsamp_train_kernels *k;
    int threads;
    size_t most;         /* rows of a batch in the products: twice the batch with the control variate */
    size_t rows, pieces; /* of the batches now */
    size_t unit, chunks, per_group, groups;
    float *numbers; /* learner.h; the caller's */
};

/* What all of them share: a chunk has `unit` units. */
void nsamp_cpu_products_begin(nsamp_cpu_products *p, const nsamp_cpu_products_ops *ops,
                              const nsamp_learner_shape *shape, const nsamp_train_kernels *loops, size_t unit,
                              float *numbers);

/* Units of a chunk and where its weights are. */
typedef struct nsamp_cpu_chunk {
    size_t first, units;
    float *w2, *w1, *b; /* [units][m], [units][m], [units] within the numbers */
} nsamp_cpu_chunk;
nsamp_cpu_chunk nsamp_cpu_chunk_of(const nsamp_cpu_products *p, size_t chunk);

/* The lesser of two numbers. */
static inline size_t nsamp_least(size_t a, size_t b) {
    return a < b ? a : b;
}

/* The moments of weights from w on, with amsgrad their largest v, else NULL. */
typedef struct nsamp_cpu_moments {
    float *m, *v, *seen;
} nsamp_cpu_moments;
nsamp_cpu_moments nsamp_cpu_moments_of(const nsamp_cpu_products *p, float *w);

/* One step of Adam for `count` weights from w on, whose gradient g is in the cache. */
void nsamp_cpu_adam(const nsamp_cpu_products *p, const nsamp_adam *adam, size_t count, const float *g,
                    float *w);

/* Zeroed bytes of pages.h; NULL, and *ok is made false, where there are none. Free with free. */
void *nsamp_cpu_memory(size_t bytes, bool *ok);

/* In float32; with factors of bf16. numbers: of the learner, which frees them after the products. NULL: no memory. */
nsamp_cpu_products *nsamp_cpu_products_fp32(const nsamp_learner_shape *shape, const nsamp_train_cpu *kernels,
                                            float *numbers);
nsamp_cpu_products *nsamp_cpu_products_bf16(const nsamp_learner_shape *shape, const nsamp_train_cpu *kernels,
                                            float *numbers);

#endif
