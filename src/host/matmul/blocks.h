/* blocks.h: how products are cut into blocks that do not depend on the number of threads, and how float
 * becomes bf16. Shared by the two files that implement matmul.h; nothing here calls a library. */
#ifndef NSAMP_HOST_MATMUL_BLOCKS_H
#define NSAMP_HOST_MATMUL_BLOCKS_H

#include <stdint.h>
#include <string.h>
#include "matmul.h"

/* One product c [m, n] on the calling thread; leading dimensions are those of the stored, row-major arrays.
 */
typedef void nsamp_gemm_block_fn(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a,
                                 size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc);

/* nsamp_gemm over blocks of the longer side of c. */
void nsamp_gemm_in_blocks(nsamp_gemm_block_fn *block, bool ta, bool tb, size_t m, size_t n, size_t k,
                          float alpha, const float *a, const float *b, float beta, float *c);

/* NSAMP_EUSAGE for a layer of an empty shape. */
nsamp_status nsamp_layer_check(size_t in, size_t out, size_t max_rows, nsamp_error *err);

/* The float nearest to x among those with 8 significant bits, ties to even; the upper half of its bits. */
static inline uint16_t nsamp_bf16_of(float x) {
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    uint32_t rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
    uint32_t nan = (u >> 16) | 0x40u; /* rounding could carry a NaN into infinity or zero */
    return (uint16_t)((u & 0x7fffffffu) > 0x7f800000u ? nan : rounded);
}

#endif
