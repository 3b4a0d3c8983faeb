/* hd.h: what differs between the C compiler and nvcc, and nothing else. The only file that tests __CUDACC__.
 *
 * NSAMP_HD marks a function that is compiled for host and device. The arithmetic of such a function is
 * float32 with explicit fused multiply-adds (nsamp_fma); both compilers are run without contraction
 * (-ffp-contract=off, --fmad=false), so that one text gives the same bits everywhere. NSAMP_HD_CALL is the same for a large
 * function that does not depend on the rounds of the noise: called, not copied into each caller. */
#ifndef NSAMP_KERNELS_HD_H
#define NSAMP_KERNELS_HD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __CUDACC__
#define NSAMP_HD      __host__ __device__ static __forceinline__
#define NSAMP_HD_CALL __host__ __device__ static __noinline__
#else
#define NSAMP_HD      static inline __attribute__((always_inline))
#define NSAMP_HD_CALL static __attribute__((noinline, unused))
/* Vectors of the instruction set may be used beside the scalar text (vector.h, noise_row.h): their bytes. */
#if defined(__AVX512F__) && defined(__AVX512DQ__)
#define NSAMP_VECTOR 64
#elif defined(__AVX2__)
#define NSAMP_VECTOR 32
#endif
#endif

#ifdef __CUDA_ARCH__
#define nsamp_fma(a, b, c) __fmaf_rn((a), (b), (c))
#define nsamp_sqrt(a)      __fsqrt_rn(a)
#define nsamp_div(a, b)    __fdiv_rn((a), (b))
#else
#define nsamp_fma(a, b, c) __builtin_fmaf((a), (b), (c))
#define nsamp_sqrt(a)      __builtin_sqrtf(a)
#define nsamp_div(a, b)    ((a) / (b))
#endif

/* n / q where q is in [1, 512] and |n| below 2^60; 0 for n = -0 on a GPU, where it costs no branch. */
#ifdef __CUDA_ARCH__
#include "kernels/cuda_approx.h"
#define nsamp_div_mid(n, q) nsamp_quotient_mid((n), (q))
#else
#define nsamp_div_mid(n, q) ((n) / (q))
#endif

/* The larger of two numbers, b where a is NaN. For a GPU b must not be -0, nor NaN; CPUs give b for two zeros, and where either is NaN. On a GPU one instruction, where a
 * comparison is two. */
#ifdef __CUDA_ARCH__
#define nsamp_max(a, b) fmaxf((a), (b))
#else
#define nsamp_max(a, b) ((a) > (b) ? (a) : (b))
#endif

NSAMP_HD uint32_t nsamp_lesser(uint32_t a, uint32_t b) {
    return a < b ? a : b;
}

/* Bit casts through a union: defined in C, accepted by every C++ compiler used here, and no call. */
NSAMP_HD float nsamp_float_of(uint32_t bits) {
    union {
        uint32_t u;
        float f;
    } c;
    c.u = bits;
    return c.f;
}

NSAMP_HD uint32_t nsamp_bits_of(float value) {
    union {
        uint32_t u;
        float f;
    } c;
    c.f = value;
    return c.u;
}

/* 0 in the place of a subnormal number. */
NSAMP_HD float nsamp_normal_or_zero(float x) {
    const uint32_t bits = nsamp_bits_of(x);
    return nsamp_float_of(bits & (0u - (uint32_t)((bits & 0x7f800000u) != 0u)));
}

/* a where the mask is all ones, b where it is zero: a select that no compiler turns into a branch. */
NSAMP_HD float nsamp_select(uint32_t mask, float a, float b) {
    return nsamp_float_of((nsamp_bits_of(a) & mask) | (nsamp_bits_of(b) & ~mask));
}

/* Before a short loop of constant length: unrolled, so that what it works on stays in registers. */
#ifdef __CUDA_ARCH__
#define NSAMP_UNROLL _Pragma("unroll")
#elif defined(__CUDACC__)
#define NSAMP_UNROLL
#else
#define NSAMP_UNROLL _Pragma("GCC unroll 16")
#endif

/* A loop over the lanes of a tile. On the CPU one iteration is one SIMD lane. On a GPU a thread has one lane:
 * the pointers of its nsamp_tile are already moved to it, so l is 0, L only the stride, and an array of one
 * number a lane a register. Where a tile is taken G lanes at a time, NSAMP_GROUP(G, L) is the number at a time: for a
 * GPU thread the whole tile, so that it goes round once. NSAMP_FOR_EACH is a loop over n (a constant) numbers side by side,
 * all of them those of this thread. */
#ifdef __CUDACC__
#define NSAMP_FOR_LANES(l, L) for (uint32_t l = 0; l < 1; l++)
#define NSAMP_FOR_EACH(i, n)  NSAMP_UNROLL for (uint32_t i = 0; i < (n); i++)
#define NSAMP_GROUP(G, L)     (L)
#else
#define NSAMP_PRAGMA(text)    _Pragma(#text)
#define NSAMP_FOR_LANES(l, L) NSAMP_PRAGMA(omp simd) for (uint32_t l = 0; l < (L); l++)
#define NSAMP_FOR_EACH(i, n)  NSAMP_FOR_LANES(i, n)
#define NSAMP_GROUP(G, L)     (G)
#endif

#endif
