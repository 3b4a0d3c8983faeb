/* matmul.h: dense products with bias and activation fused, over whichever library the build has: oneDNN (2 or
 * 3) on the CPU, BLAS as the fallback. Everything is row-major float32 at the border; bf16 is a matter of the
 * weights and of the products inside. Not a general BLAS.
 *
 * No result depends on threads: every product is cut into blocks whose number and place depend on its shape
 * alone, each computed by one thread with a sum over k in one fixed order. They run on the
 * calling thread alone inside an OpenMP parallel region and share their blocks among all threads outside one;
 * the bits are the same. */
#ifndef NSAMP_HOST_MATMUL_H
#define NSAMP_HOST_MATMUL_H

#include <stdbool.h>
#include "nsamp.h"

typedef enum nsamp_activation { NSAMP_IDENTITY, NSAMP_RELU, NSAMP_TANH, NSAMP_SOFTPLUS } nsamp_activation;
/* tf32 (10 bits of significand for the factors) is for GPUs alone: kernels/cuda_product.h; bf16x3, float32 as three bf16 numbers, for
 * kernels/rsn_bf16.h alone. */
typedef enum nsamp_precision { NSAMP_FP32, NSAMP_BF16, NSAMP_TF32, NSAMP_BF16X3 } nsamp_precision;

/* y [rows, out] = act(x [rows, in] W^T + b), W [out, in] packed once. A layer is read-only after creation, so
 * the threads of one OpenMP team may use it at once, each with rows of its own. A row of y has the same bits
 * in any company: any number of rows, any place among them. */
typedef struct nsamp_layer nsamp_layer;

/* w [out * in] and bias [out] are copied. bf16: weights and x are rounded to bf16 (nearest, ties to even),
 * products are summed in float32. max_rows: most rows of a call, for the choice of blocks. NSAMP_EUSAGE: an
 * empty shape, NSAMP_BF16_NATIVE where this CPU cannot, tf32 or bf16x3; NSAMP_ENOMEM. */
nsamp_status nsamp_layer_create(size_t in, size_t out, const float *w, const float *bias /* or NULL */,
                                nsamp_activation act, nsamp_precision precision, size_t max_rows,
                                nsamp_layer **layer, nsamp_error *err);
/* rows at most max_rows. accumulate: y += x W^T + b, only for a layer whose activation is NSAMP_IDENTITY. */
void nsamp_layer_apply(const nsamp_layer *layer, size_t rows, const float *x, float *y, bool accumulate);
/* NULL: nothing. */
void nsamp_layer_destroy(nsamp_layer *layer);

/* How layers of bf16 multiply. The product of two bf16 numbers is exact in float32, so both ways add the same terms and
 * differ in the order of the sums alone. */
typedef enum nsamp_bf16_way {
    NSAMP_BF16_AUTO,   /* the faster of the two on this processor, by its kind: never by a measurement */
    NSAMP_BF16_NATIVE, /* bf16 products of the library: half the memory of the weights */
    NSAMP_BF16_ROUNDED /* float32 products of numbers rounded to bf16: on any processor, at the rate of float32 */
} nsamp_bf16_way;

/* For layers that are created from now on; for tests and measurements, before any thread makes layers. */
void nsamp_matmul_set_bf16(nsamp_bf16_way way);
/* Whether a layer of bf16 created now is NSAMP_BF16_NATIVE. */
bool nsamp_matmul_bf16_is_native(void);

/* "oneDNN 2.6.3, avx512_core" and the like: for the plan, the bench and the build report. A constant string.
 */
const char *nsamp_matmul_name(void);

#endif
