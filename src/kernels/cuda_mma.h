/* cuda_mma.h: products of small matrices on the tensor cores, a warp at a time, by mma.sync. Only .cu files include this; the
 * tests' shim defines NSAMP_MMA and the same functions for the host.
 *
 * With g = lane / 4 and t = lane % 4, the four numbers c of a lane are the rows g (c[0], c[1]) and g + 8 (c[2], c[3]) of a
 * 16 x 8 matrix, columns 2 t and 2 t + 1. A second product that takes such a matrix for its left factor finds it in the
 * right lanes, so that layers follow one another in registers:
 *   bf16  c += a b, a 16 x 16, b 16 x 8. a: the pairs of one c, then of a second one to its right, rounded:
 *         nsamp_pack_bf16(c[0], c[1]), (c[2], c[3]), (d[0], d[1]), (d[2], d[3]).
 *         b: pairs of column g, rows 2 t and 2 t + 1, then 2 t + 8 and 2 t + 9.
 *   tf32  c += a b, a 16 x 8, b 8 x 8, the inner index in the order 0 2 4 6 1 3 5 7. a: c[0], c[2], c[1], c[3].
 *         b: column g, row 2 t, then row 2 t + 1.
 * Products are exact. Their sums are float32, in an order and with a rounding that belong to the device: the shim adds
 * in the order of the inner index, rounding to nearest; what is derived from them has to allow for any. */
#ifndef NSAMP_KERNELS_CUDA_MMA_H
#define NSAMP_KERNELS_CUDA_MMA_H

#include "kernels/cuda_launch.h"

#ifndef NSAMP_MMA
static __device__ __forceinline__ void nsamp_mma_bf16(float c[4], const uint32_t a[4], uint2 b) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
}

static __device__ __forceinline__ void nsamp_mma_tf32(float c[4], const uint32_t a[4], uint2 b) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
        "{%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y));
}

/* Two bf16, rounded to nearest even, low in the lower half. */
static __device__ __forceinline__ uint32_t nsamp_pack_bf16(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/* The same of max(0, each); a NaN stays one. */
static __device__ __forceinline__ uint32_t nsamp_pack_bf16_relu(float low, float high) {
    uint32_t pair;
    asm("cvt.rn.relu.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
}

/* The bits of a float rounded to tf32 (10 bits after the point), ties away from zero. */
static __device__ __forceinline__ uint32_t nsamp_to_tf32(float value) {
    uint32_t bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
    return bits;
}
#endif

#endif
