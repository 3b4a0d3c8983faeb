/* vector.h: float32 vectors of the instruction set, for the few loops whose sums must stay in registers.
 *
 * Compilers vectorise most of the kernels' text (NSAMP_FOR_LANES); a block of sums that neither gcc nor clang keeps in
 * registers by itself is written with these. Lane by lane the operations are those of the scalar text, so the bits are
 * too. Elsewhere, and for a GPU thread, a vector is one number. */
#ifndef NSAMP_KERNELS_VECTOR_H
#define NSAMP_KERNELS_VECTOR_H

#include "kernels/hd.h"

#if defined(NSAMP_VECTOR) && NSAMP_VECTOR == 64
#include <immintrin.h>
typedef __m512 nsamp_floats;
#define nsamp_floats_load(p)      _mm512_loadu_ps(p)
#define nsamp_floats_store(p, v)  _mm512_storeu_ps((p), (v))
#define nsamp_floats_all(a)       _mm512_set1_ps(a)
#define nsamp_floats_fma(a, b, c) _mm512_fmadd_ps((a), (b), (c))
#define nsamp_floats_max(a, b)    _mm512_max_ps((a), (b))
#define nsamp_floats_relu(a)      _mm512_max_ps((a), _mm512_setzero_ps())
#define nsamp_floats_add(a, b)    _mm512_add_ps((a), (b))
#define nsamp_floats_sub(a, b)    _mm512_sub_ps((a), (b))
#define nsamp_floats_mul(a, b)    _mm512_mul_ps((a), (b))
#define nsamp_floats_div(a, b)    _mm512_div_ps((a), (b))
#define nsamp_floats_sqrt(a)      _mm512_sqrt_ps(a)
#define nsamp_floats_normal_or_zero(a)                                                                       \
    _mm512_maskz_mov_ps(_mm512_test_epi32_mask(_mm512_castps_si512(a), _mm512_set1_epi32(0x7f800000)), (a))
/* The first k numbers, 1 to NSAMP_WIDTH; the others are zero, or stay. */
#define nsamp_floats_load_some(p, k)     _mm512_maskz_loadu_ps((__mmask16)((1u << (k)) - 1), (p))
#define nsamp_floats_store_some(p, v, k) _mm512_mask_storeu_ps((p), (__mmask16)((1u << (k)) - 1), (v))
#elif defined(NSAMP_VECTOR)
#include <immintrin.h>
typedef __m256 nsamp_floats;
#define nsamp_floats_load(p)      _mm256_loadu_ps(p)
#define nsamp_floats_store(p, v)  _mm256_storeu_ps((p), (v))
#define nsamp_floats_all(a)       _mm256_set1_ps(a)
#define nsamp_floats_fma(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define nsamp_floats_max(a, b)    _mm256_max_ps((a), (b))
#define nsamp_floats_relu(a)      _mm256_max_ps((a), _mm256_setzero_ps())
#define nsamp_floats_add(a, b)    _mm256_add_ps((a), (b))
#define nsamp_floats_sub(a, b)    _mm256_sub_ps((a), (b))
#define nsamp_floats_mul(a, b)    _mm256_mul_ps((a), (b))
#define nsamp_floats_div(a, b)    _mm256_div_ps((a), (b))
#define nsamp_floats_sqrt(a)      _mm256_sqrt_ps(a)
#define nsamp_floats_normal_or_zero(a)                                                                       \
    _mm256_andnot_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(                                                 \
                         _mm256_and_si256(_mm256_castps_si256(a), _mm256_set1_epi32(0x7f800000)),            \
                         _mm256_setzero_si256())),                                                           \
                     (a))
#define nsamp_floats_some_(k)                                                                                \
    _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(k)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
#define nsamp_floats_load_some(p, k)     _mm256_maskload_ps((p), nsamp_floats_some_(k))
#define nsamp_floats_store_some(p, v, k) _mm256_maskstore_ps((p), nsamp_floats_some_(k), (v))
#else
typedef float nsamp_floats;
#define nsamp_floats_load(p)             (*(p))
#define nsamp_floats_store(p, v)         ((void)(*(p) = (v)))
#define nsamp_floats_all(a)              (a)
#define nsamp_floats_fma(a, b, c)        nsamp_fma((a), (b), (c))
#define nsamp_floats_max(a, b)           nsamp_max((a), (b)) /* b for two zeros, and where either is NaN */
#define nsamp_floats_relu(a)             nsamp_max((a), 0.0f)
#define nsamp_floats_add(a, b)           ((a) + (b))
#define nsamp_floats_sub(a, b)           ((a) - (b))
#define nsamp_floats_mul(a, b)           ((a) * (b))
#define nsamp_floats_div(a, b)           nsamp_div((a), (b))
#define nsamp_floats_sqrt(a)             nsamp_sqrt(a)
#define nsamp_floats_normal_or_zero(a)   nsamp_normal_or_zero(a)
#define nsamp_floats_load_some(p, k)     ((void)(k), *(p))
#define nsamp_floats_store_some(p, v, k) ((void)(*(p) = (v)))
#endif

enum { NSAMP_WIDTH = sizeof(nsamp_floats) / sizeof(float) };

#endif
