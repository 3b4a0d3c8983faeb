/* cuda_train_step.h: one training step on the GPU: its arrays on the device, its products (cuda_product.h) and kernels
 * (cuda_train.h) in their order, and a graph of them. Only .cu files include this. What a batch holds and how numbers come
 * and go is cuda_learner.cu's. */
#ifndef NSAMP_KERNELS_CUDA_TRAIN_STEP_H
#define NSAMP_KERNELS_CUDA_TRAIN_STEP_H

#include "kernels/cuda_device.h"
#include "kernels/cuda_product.h"
#include "kernels/cuda_train.h"

extern "C" {
#include "train/learner.h"
}

/* The hidden units go forward together. Back they go in chunks, each through Adam at once, so that a chunk's slopes and
 * gradients stay in the second-level cache. */
typedef struct nsamp_cuda_step {
    nsamp_cuda_train t;
    uint32_t units, chunks; /* of a chunk, the last may have fewer */
    void *zero;             /* [row_n]: the bias that the fused relu asks for */
    nsamp_cuda_arena device;
    nsamp_cuda_blas *blas;
    nsamp_cuda_product *up, *down;                                 /* h = W2 x, f = W1 h */
    nsamp_cuda_product *back[2], *gradient_w1[2], *gradient_w2[2]; /* of a whole chunk, of the last */
    cudaGraphExec_t graph;                                         /* of one step; NULL until the first */
} nsamp_cuda_step;

/* All zero on the device, which must have room: NSAMP_ENOMEM says how much is lacking. On failure, destroy. */
nsamp_status nsamp_cuda_step_create(nsamp_cuda_step *s, const nsamp_learner_shape *shape, nsamp_error *err);
/* Enqueues: head, widen and eps as cuda_train_rows wants them -> x, h, f. */
nsamp_status nsamp_cuda_step_forward(nsamp_cuda_step *s, nsamp_error *err);
/* Enqueues `steps` whole steps, each of one graph; head tells what they work on. */
nsamp_status nsamp_cuda_step_run(nsamp_cuda_step *s, size_t steps, nsamp_error *err);
/* Zeroed and never created: nothing. */
void nsamp_cuda_step_destroy(nsamp_cuda_step *s);

#endif
