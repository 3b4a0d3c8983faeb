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
#elif defined(NSAMP_VECTOR)
#include <immintrin.h>
typedef __m256 nsamp_floats;
#define nsamp_floats_load(p)      _mm256_loadu_ps(p)
#define nsamp_floats_store(p, v)  _mm256_storeu_ps((p), (v))
#define nsamp_floats_all(a)       _mm256_set1_ps(a)
#define nsamp_floats_fma(a, b, c) _mm256_fmadd_ps((a), (b), (c))
#define nsamp_floats_max(a, b)    _mm256_max_ps((a), (b))
#define nsamp_floats_relu(a)      _mm256_max_ps((a), _mm256_setzero_ps())
#else
typedef float nsamp_floats;
#define nsamp_floats_load(p)      (*(p))
#define nsamp_floats_store(p, v)  ((void)(*(p) = (v)))
#define nsamp_floats_all(a)       (a)
#define nsamp_floats_fma(a, b, c) nsamp_fma((a), (b), (c))
#define nsamp_floats_max(a, b)    nsamp_max((a), (b)) /* b where a is NaN */
#define nsamp_floats_relu(a)      nsamp_max((a), 0.0f)
#endif

enum { NSAMP_WIDTH = sizeof(nsamp_floats) / sizeof(float) };

#endif
