/* cuda_train.h: the elementwise part of a training step on the GPU, from the text of train.h: rows of a batch with
 * their noise, activation and slope, residual and loss, Adam. The products between these are cuda_product.h's, their
 * order cuda_learner.cu's. Only .cu files include this.
 *
 * Rows are padded to whole groups of eight numbers, which are zero, so that every row is aligned for products and for 16-byte
 * accesses. The bias is the weight of an input that is always 1: column m of W2 and of x. So no product needs a
 * bias, and its gradient is a column of that of W2.
 *
 * Everything that changes from step to step lies in device memory (nsamp_cuda_head) and is read there: one graph of a
 * step serves all of them. All launchers only enqueue. Nothing is atomic; sums have one order. */
#ifndef NSAMP_KERNELS_CUDA_TRAIN_H
#define NSAMP_KERNELS_CUDA_TRAIN_H

#include "kernels/bf16.h"
#include "kernels/cuda_launch.h"
#include "kernels/train.h"

enum nsamp_cuda_noise {
    NSAMP_CUDA_NO_NOISE,    /* x = x0 */
    NSAMP_CUDA_NOISE_GIVEN, /* eps holds it */
    NSAMP_CUDA_NOISE_DRAWN  /* eps gets it: row r as chain r at step first + now of NSAMP_PURPOSE_TRAIN */
};

/* What a block of steps works on. */
typedef struct nsamp_cuda_head {
    nsamp_residual residual;
    nsamp_noise_key key;
    uint64_t first;        /* number of the first batch */
    const float *data;     /* [any][m] */
    const uint32_t *named; /* [steps][batch]: x0 are these rows of data; NULL: */
    const float *x0;       /* [steps][batch][m] */
    float sigma;
    uint32_t noise; /* nsamp_cuda_noise */
    uint32_t now;   /* steps of the block that are done */
} nsamp_cuda_head;

typedef struct nsamp_cuda_train {
    cudaStream_t stream;
    int activation;
    bool control_variate, bf16;
    uint32_t m, batch, rows; /* rows: of a batch in the products, twice the batch with the control variate */
    uint32_t row_m;          /* m + 1, padded */
    uint64_t n, row_n;       /* n, padded */
    nsamp_cuda_head *head;
    nsamp_adam *adam; /* [steps] */
    double *losses;   /* [steps]: mean of each batch */
    float *widen;     /* [batch]: factors of drawn noise */
    float *eps;       /* [batch][row_m] */
    float *x;         /* [rows][row_m]: noisy rows, with the control variate x0 behind them */
    double *loss;     /* [batch] */
    float *f;         /* [rows][row_m] */
    /* float32, or bf16 where that is set: */
    void *x_in; /* [rows][row_m]: x, as products take it */
    void *h;    /* [rows][row_n] */
    void *dh;   /* [rows][units]: of a chunk of units */
    void *e;    /* [rows][row_m]: d objective / d f */
    /* [2][row_n][row_m], W2 with b, then W1 transposed: */
    float *w, *mean, *square, *largest; /* weights; Adam's m, v, largest v (NULL: without amsgrad) */
    nsamp_bf16 *w_in;                   /* weights as products take them, NULL unless bf16 */
    float *g;                           /* [2][units][row_m]: gradients of a chunk */
} nsamp_cuda_train;

/* head, widen -> eps, x, x_in. */
cudaError_t nsamp_cuda_train_rows(const nsamp_cuda_train *t);
/* h = phi(h). */
cudaError_t nsamp_cuda_train_activate(const nsamp_cuda_train *t);
/* f, x, eps -> e, loss. */
cudaError_t nsamp_cuda_train_residual(const nsamp_cuda_train *t);
/* dh *= phi'(h), for a chunk. units and first: whole groups of eight, as in the following. */
cudaError_t nsamp_cuda_train_slope(const nsamp_cuda_train *t, uint64_t first, uint32_t units);
/* One step of Adam for the weights of a chunk, from g, with coefficients adam[now]. */
cudaError_t nsamp_cuda_train_adam(const nsamp_cuda_train *t, uint64_t first, uint32_t units);
/* losses[now] = mean of loss; the next step. */
cudaError_t nsamp_cuda_train_finish(const nsamp_cuda_train *t);
/* w_in from w. */
cudaError_t nsamp_cuda_train_round(const nsamp_cuda_train *t);

#endif
