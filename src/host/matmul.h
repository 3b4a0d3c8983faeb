/* matmul.h: dense products with bias and activation fused, over whichever library the build has: oneDNN (2 or 3) on
 * the CPU, BLAS as the fallback, cuBLASLt on a GPU. Everything is row-major float32 at the border; bf16 is a matter of
 * the weights and of the products inside. Not a general BLAS. */
#ifndef NSAMP_HOST_MATMUL_H
#define NSAMP_HOST_MATMUL_H

#include <stdbool.h>
#include "nsamp.h"

typedef enum nsamp_activation { NSAMP_IDENTITY, NSAMP_RELU, NSAMP_TANH, NSAMP_SOFTPLUS } nsamp_activation;
typedef enum nsamp_precision { NSAMP_FP32, NSAMP_BF16 } nsamp_precision;

/* y [rows, out] = act(x [rows, in] W^T + b), W [out, in] packed once. A layer is read-only after creation and may be
 * used by several threads at once; inside an OpenMP parallel region it runs on the calling thread alone. Same bits for
 * any number of threads and rows. */
typedef struct nsamp_layer nsamp_layer;

nsamp_status nsamp_layer_create(size_t in, size_t out, const float *w, const float *bias /* or NULL */,
                                nsamp_activation act, nsamp_precision precision, size_t max_rows,
                                nsamp_layer **layer, nsamp_error *err);
/* accumulate: y += ... (no activation then). */
void nsamp_layer_apply(const nsamp_layer *layer, size_t rows, const float *x, float *y, bool accumulate);
void nsamp_layer_destroy(nsamp_layer *layer);

/* c [m, n] = alpha op(a) op(b) + beta c, row-major, all threads. */
void nsamp_gemm(bool transpose_a, bool transpose_b, size_t m, size_t n, size_t k, float alpha, const float *a,
                const float *b, float beta, float *c);

/* "oneDNN 2.6, avx512_core" and the like: for the plan, the bench and the build report. */
const char *nsamp_matmul_name(void);

#endif
