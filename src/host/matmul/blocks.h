/* blocks.h: what the files that implement matmul.h share: a plain product, what is refused, rounding. Nothing here calls a library. */
#ifndef NSAMP_HOST_MATMUL_BLOCKS_H
#define NSAMP_HOST_MATMUL_BLOCKS_H

#include "kernels/bf16.h"
#include "matmul.h"

/* One product c [m, n] = a [m, k] b^T, b [n, k], on the calling thread; all row-major without gaps. */
typedef void nsamp_product_fn(size_t m, size_t n, size_t k, const float *a, const float *b, float *c);

/* NSAMP_EUSAGE for a layer of an empty shape, or of a precision that no CPU has. */
nsamp_status nsamp_layer_check(size_t in, size_t out, nsamp_precision precision, size_t max_rows,
                               nsamp_error *err);

/* y [count] = x rounded to bf16, to the nearest, ties to even, as float32. */
void nsamp_round_to_bf16(size_t count, const float *x, float *y);

#endif
