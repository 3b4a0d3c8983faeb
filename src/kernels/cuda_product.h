/* cuda_product.h: dense products on the GPU over cuBLASLt, with bias and relu fused. The GPU's counterpart of
 * matmul.h; networks that are sampled and networks that are trained use it. Only .cu files include this. Not a
 * general BLAS.
 *
 *     nsamp_cuda_blas_create(&blas, err);                   opens the library: nothing does before
 *     nsamp_cuda_product_create(blas, &shape, &product, err);
 *     nsamp_cuda_product_run(product, stream, a, b, c, bias, err);     any number of times; may be captured
 *     nsamp_cuda_product_destroy(product);
 *     nsamp_cuda_blas_destroy(blas);
 *
 * The library is found at run time (libcublasLt.so of CUDA 12 or 13), so that a program that needs no product
 * needs no library either. How a product is computed is asked of the library's heuristic once, at creation: the same
 * shape on the same device and library gets the same algorithm. Sums over k that several blocks share are added
 * in float32 in a fixed order (the reduction schemes of the library that are not are forbidden), so a product
 * repeats its bits; another shape, device or library may have others. */
#ifndef NSAMP_KERNELS_CUDA_PRODUCT_H
#define NSAMP_KERNELS_CUDA_PRODUCT_H

#include <stdbool.h>
#include "kernels/bf16.h"
#include "kernels/cuda_launch.h"
#include "nsamp.h"

/* The library on the present device, and the workspace (device memory) of all products made with it. Products of one
 * nsamp_cuda_blas must not run at the same time: keep to one stream. Not thread-safe. */
typedef struct nsamp_cuda_blas nsamp_cuda_blas;
typedef struct nsamp_cuda_product nsamp_cuda_product;

enum {
    NSAMP_CUDA_WORKSPACE = 32 << 20, /* bytes */
    NSAMP_CUDA_ALIGNMENT = 16        /* of every pointer that run takes, in bytes */
};

typedef enum nsamp_cuda_arithmetic {
    NSAMP_CUDA_FP32, /* a, b, c float32 */
    NSAMP_CUDA_TF32, /* the same, but a and b are rounded to 10 bits of significand for the tensor cores */
    NSAMP_CUDA_BF16  /* a and b bf16; c float32, or bf16 with c_bf16. All sums float32 */
} nsamp_cuda_arithmetic;

typedef enum nsamp_cuda_epilogue {
    NSAMP_CUDA_IDENTITY,
    NSAMP_CUDA_BIAS,     /* + bias [n], of the type of c */
    NSAMP_CUDA_BIAS_RELU /* max(0, that) */
} nsamp_cuda_epilogue;

/* c [m, n] = epilogue(alpha op(a) op(b) + beta c), row-major; op(a) is [m, k], op(b) [k, n]: as stored a is [m, k], or
 * [k, m] with transpose_a, and b alike. beta = 0 does not read c. Fastest where all of m, n, k and the rows are
 * multiples of 16 bytes. */
typedef struct nsamp_cuda_product_shape {
    size_t m, n, k;
    size_t row_a, row_b, row_c; /* numbers from row to row, as stored; 0: no gaps */
    bool transpose_a, transpose_b;
    nsamp_cuda_arithmetic arithmetic;
    bool c_bf16;
    nsamp_cuda_epilogue epilogue;
    float alpha, beta;
} nsamp_cuda_product_shape;

/* NULL if the library is there and new enough, else one line that says what is missing; a constant string. Loads it.
 */
const char *nsamp_cuda_blas_missing(void);

/* For the present device. NSAMP_EIO with that line, or with what the library says; NSAMP_ENOMEM. */
nsamp_status nsamp_cuda_blas_create(nsamp_cuda_blas **blas, nsamp_error *err);
/* NULL: nothing. After its products. */
void nsamp_cuda_blas_destroy(nsamp_cuda_blas *blas);
/* "cuBLASLt 13.1.0"; lives as long as blas. */
const char *nsamp_cuda_blas_name(const nsamp_cuda_blas *blas);

/* NSAMP_EINTERNAL for a shape that is not one, NSAMP_EIO where the library has no such product. */
nsamp_status nsamp_cuda_product_create(nsamp_cuda_blas *blas, const nsamp_cuda_product_shape *shape,
                                       nsamp_cuda_product **product, nsamp_error *err);
/* Enqueues on the stream. Pointers: device memory, aligned to NSAMP_CUDA_ALIGNMENT; c may not overlap a or b;
 * bias NULL exactly where the epilogue is the identity. NSAMP_EINTERNAL for a bad pointer, NSAMP_EIO with what
 * the library says. */
nsamp_status nsamp_cuda_product_run(nsamp_cuda_product *product, cudaStream_t stream, const void *a,
                                    const void *b, void *c, const void *bias, nsamp_error *err);
void nsamp_cuda_product_destroy(nsamp_cuda_product *product);

#endif
