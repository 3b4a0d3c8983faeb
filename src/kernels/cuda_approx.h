/* cuda_approx.h: what the special function unit of a GPU computes in one instruction, by PTX, and a square root made from
 * it; a quotient. Only .cu files include this, and hd.h for their device code. The tests' shim defines NSAMP_APPROX and gives the same functions the errors that
 * they may have. Errors as the PTX manual states them (version 9.0, floating-point instructions):
 *
 *   rcp    relative 2^-23
 *   rsqrt  relative 2^-22.9
 *   sqrt   relative 2^-23
 *   log2   absolute 2^-22 in (0.5, 2), elsewhere relative 2^-22
 *   sin    absolute 2^-20.5 in [-2 pi, 2 pi]
 *   cos    absolute 2^-20.5 in [-2 pi, 2 pi]
 *   tanh   relative 2^-11
 *
 * Subnormal arguments and results count as zero. */
#ifndef NSAMP_KERNELS_CUDA_APPROX_H
#define NSAMP_KERNELS_CUDA_APPROX_H

#include "kernels/cuda_launch.h"

#ifndef NSAMP_APPROX
#define NSAMP_APPROX(name, instruction)                                                                      \
    static __device__ __forceinline__ float nsamp_approx_##name(float x) {                                   \
        float y;                                                                                             \
        asm(instruction " %0, %1;" : "=f"(y) : "f"(x));                                                      \
        return y;                                                                                            \
    }
NSAMP_APPROX(rcp, "rcp.approx.ftz.f32")
NSAMP_APPROX(rsqrt, "rsqrt.approx.ftz.f32")
NSAMP_APPROX(sqrt, "sqrt.approx.ftz.f32")
NSAMP_APPROX(log2, "lg2.approx.ftz.f32")
NSAMP_APPROX(sin, "sin.approx.ftz.f32")
NSAMP_APPROX(cos, "cos.approx.ftz.f32")
NSAMP_APPROX(tanh, "tanh.approx.f32")
#endif

/* Correctly rounded square root of 0 or of x in [2^-60, 2^60]: what the compiler makes of sqrt.rn.f32 without its test
 * for arguments that need another way, which is a branch. One step from the approximate root s = x y, whose residual
 * x - s^2 is exact but for its last bit. */
static __device__ __forceinline__ float nsamp_sqrt_mid(float x) {
    const float y = nsamp_approx_rsqrt(fmaxf(x, 0x1p-60f)), s = x * y;
    return __fmaf_rn(__fmaf_rn(-s, s, x), 0.5f * y, s);
}

/* Correctly rounded n / q for q in [1, 512] and |n| below 2^60: what the compiler makes of div.rn.f32 without its test for arguments that need
 * another way, which is a branch. n = -0 gives 0. Where q = 1 the reciprocal is 1 after its first step, so that a subnormal n comes out as it is. */
static __device__ __forceinline__ float nsamp_quotient_mid(float n, float q) {
    const float y = nsamp_approx_rcp(q), r = __fmaf_rn(y, __fmaf_rn(-q, y, 1.0f), y), s = n * r;
    return __fmaf_rn(r, __fmaf_rn(-q, s, n), s);
}

#endif
