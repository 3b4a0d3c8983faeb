/* layer.h: bias and activation of a block of rows whose product a library has computed; CPU only. The CUDA kernels have
 * theirs in the epilogue of the product (cuda_product.h). */
#ifndef NSAMP_KERNELS_LAYER_H
#define NSAMP_KERNELS_LAYER_H

#include <stdbool.h>
#include <stddef.h>

enum { NSAMP_LAYER_LANES = 16 }; /* rows of a block */

typedef enum nsamp_layer_function {
    NSAMP_LAYER_IDENTITY,
    NSAMP_LAYER_RELU,
    NSAMP_LAYER_TANH,
    NSAMP_LAYER_SOFTPLUS
} nsamp_layer_function;

/* y [rows][out] = f(z + bias), or with add y += f(z + bias), for z [out][NSAMP_LAYER_LANES], bias [out], rows at most
 * NSAMP_LAYER_LANES. A NaN stays one. All instruction sets give the same bits. */
typedef void nsamp_layer_finish_fn(nsamp_layer_function f, size_t out, const float *z, const float *bias,
                                   size_t rows, float *y, bool add);
nsamp_layer_finish_fn nsamp_layer_finish_base, nsamp_layer_finish_v3, nsamp_layer_finish_v4;

#endif
