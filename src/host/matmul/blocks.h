/* blocks.h: how products are cut into blocks that do not depend on the number of threads. Shared by the two files that implement matmul.h; nothing here calls a library. */
#ifndef NSAMP_HOST_MATMUL_BLOCKS_H
#define NSAMP_HOST_MATMUL_BLOCKS_H

#include "kernels/bf16.h"
#include "matmul.h"

/* One product c [m, n] on the calling thread; leading dimensions are those of the stored, row-major arrays.
 */
typedef void nsamp_gemm_block_fn(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a,
                                 size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* nsamp_gemm over blocks of the longer side of c. */
void nsamp_gemm_in_blocks(nsamp_gemm_block_fn *block, bool ta, bool tb, size_t m, size_t n, size_t k,
                          float alpha, const float *a, const float *b, float beta, float *c);

/* NSAMP_EUSAGE for a layer of an empty shape, or of a precision that no CPU has. */
nsamp_status nsamp_layer_check(size_t in, size_t out, nsamp_precision precision, size_t max_rows,
                               nsamp_error *err);

/* y [count] = x rounded to bf16, to the nearest, ties to even, as float32. */
void nsamp_round_to_bf16(size_t count, const float *x, float *y);

#endif
