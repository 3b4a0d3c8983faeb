/* amx.h: products of small tiles of bf16 numbers, as the matrix unit of a processor makes them (Intel AMX), or the same bits by
 * multiply-adds where there is none. CPU only. Not a matrix product: what surrounds it, a kernel says.
 *
 * A tile is 1 KiB, rows of 64 bytes, one after the other:
 *     sums    0 to 3   float [16][16]
 *     left    4, 5     bf16 [16][32]
 *     right   6, 7     bf16 [16][16][2]: numbers 2 k and 2 k + 1 of column j at [k][j]
 * A product adds to sums[r][j], in this order (Intel's manual, TDPBF16PS):
 *     even = sum over k of left[r][2 k] right[k][j][0], from 0, by multiply-adds; odd the same with 2 k + 1; sums[r][j] += even + odd
 * with subnormal numbers, taken and made, as 0. So does the text below while the mode of nsamp_amx_flush_begin holds; on other
 * processors than x86-64 subnormal numbers are kept.
 *
 * Numbers of tiles are literals. t is an nsamp_amx, which the unit has no use for. */
#ifndef NSAMP_KERNELS_AMX_H
#define NSAMP_KERNELS_AMX_H

#include <stdbool.h>
#include <string.h>
#include "kernels/bf16.h"
#include "kernels/vector.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

enum { NSAMP_AMX_SIDE = 16, NSAMP_AMX_DEPTH = 32, NSAMP_AMX_FACTORS = 512, NSAMP_AMX_SUMS = 256 };

/* ---- from two rows of float to one of a right tile, or of a left one --------------------------------------- */

#ifdef NSAMP_AMX

/* to [16][2] = (even[j], odd[j]) rounded to bf16, to the nearest, ties to even; subnormal numbers become 0; relu: negative ones too. */
NSAMP_HD void nsamp_amx_pairs(const bool relu, const float *even, const float *odd, uint32_t *to) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                           7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i both = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(odd), _mm512_loadu_ps(even));
    const __m512i pairs = _mm512_permutexvar_epi16(order, both);
    _mm512_storeu_si512(to, relu ? _mm512_max_epi16(pairs, _mm512_setzero_si512()) : pairs);
}

/* to [32] = low [16], then high [16], rounded in the same way. */
NSAMP_HD void nsamp_amx_row(const bool relu, const float *low, const float *high, nsamp_bf16 *to) {
    const __m512i row = (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(high), _mm512_loadu_ps(low));
    _mm512_storeu_si512(to, relu ? _mm512_max_epi16(row, _mm512_setzero_si512()) : row);
}

/* Two rows of a left tile -> a row of each of two right ones: low [j] = even [j], odd [j]; high [j] = even [16 + j], odd [16 + j]. */
NSAMP_HD void nsamp_amx_zip(const nsamp_bf16 *even, const nsamp_bf16 *odd, uint32_t *low, uint32_t *high) {
    const __m512i of_low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0),
                  of_high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
    const __m512i a = _mm512_loadu_si512(even), b = _mm512_loadu_si512(odd);
    const __m512i first = _mm512_unpacklo_epi16(a, b),
                  second = _mm512_unpackhi_epi16(a, b); /* of each 8 numbers */
    _mm512_storeu_si512(low, _mm512_permutex2var_epi64(first, of_low, second));
    _mm512_storeu_si512(high, _mm512_permutex2var_epi64(first, of_high, second));
}

/* to [j][i] = from [i][j], 16 by 16 words. */
NSAMP_HD void nsamp_amx_turn(const uint32_t *from, uint32_t *to) {
    enum { EVEN = 0x88, ODD = 0xdd };
    __m512i a[16], b[16];
    NSAMP_UNROLL for (int i = 0; i < 16; i++) a[i] = _mm512_loadu_si512(from + i * 16);
    NSAMP_UNROLL for (int i = 0; i < 16; i += 2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    NSAMP_UNROLL for (int i = 0; i < 16; i += 4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    /* a[4 i + j] has columns j, 4 + j, 8 + j and 12 + j of rows 4 i to 4 i + 3 */
    NSAMP_UNROLL for (int j = 0; j < 4; j++) {
        const __m512i first = _mm512_shuffle_i32x4(a[j], a[4 + j], EVEN),
                      second = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], EVEN),
                      third = _mm512_shuffle_i32x4(a[j], a[4 + j], ODD),
                      fourth = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], ODD);
        _mm512_storeu_si512(to + j * 16, _mm512_shuffle_i32x4(first, second, EVEN));
        _mm512_storeu_si512(to + (4 + j) * 16, _mm512_shuffle_i32x4(third, fourth, EVEN));
        _mm512_storeu_si512(to + (8 + j) * 16, _mm512_shuffle_i32x4(first, second, ODD));
        _mm512_storeu_si512(to + (12 + j) * 16, _mm512_shuffle_i32x4(third, fourth, ODD));
    }
}

#else

NSAMP_HD uint32_t nsamp_amx_number(const bool relu, float x) {
    const uint32_t bits = nsamp_bits_of(x), kept = bits & 0x7f800000u ? bits : bits & 0x80000000u;
    const uint32_t rounded = nsamp_bf16_of(nsamp_float_of(kept));
    return relu && rounded >> 15 ? 0 : rounded;
}

NSAMP_HD void nsamp_amx_pairs(const bool relu, const float *even, const float *odd, uint32_t *to) {
    NSAMP_FOR_LANES(j, NSAMP_AMX_SIDE)
    to[j] = nsamp_amx_number(relu, even[j]) | nsamp_amx_number(relu, odd[j]) << 16;
}

NSAMP_HD void nsamp_amx_row(const bool relu, const float *low, const float *high, nsamp_bf16 *to) {
    NSAMP_FOR_LANES(j, NSAMP_AMX_SIDE) to[j] = (nsamp_bf16)nsamp_amx_number(relu, low[j]);
    NSAMP_FOR_LANES(j, NSAMP_AMX_SIDE) to[j + NSAMP_AMX_SIDE] = (nsamp_bf16)nsamp_amx_number(relu, high[j]);
}

NSAMP_HD void nsamp_amx_zip(const nsamp_bf16 *even, const nsamp_bf16 *odd, uint32_t *low, uint32_t *high) {
    NSAMP_FOR_LANES(j, NSAMP_AMX_SIDE) {
        low[j] = even[j] | (uint32_t)odd[j] << 16;
        high[j] = even[NSAMP_AMX_SIDE + j] | (uint32_t)odd[NSAMP_AMX_SIDE + j] << 16;
    }
}

/* Words may have been written as pairs of bf16 numbers, or be read as such: so by memcpy. */
NSAMP_HD void nsamp_amx_turn(const uint32_t *from, uint32_t *to) {
    enum { SIDE = NSAMP_AMX_SIDE };
    uint32_t rows[SIDE * SIDE], turned[SIDE * SIDE];
    memcpy(rows, from, sizeof rows);
    for (uint32_t j = 0; j < SIDE; j++)
        NSAMP_FOR_LANES(i, SIDE) turned[j * SIDE + i] = rows[i * SIDE + j];
    memcpy(to, turned, sizeof turned);
}

#endif

/* ---- tiles ------------------------------------------------------------------------------------------------ */

/* Subnormal numbers as 0, in all arithmetic of this thread until the mode is given back. */
static inline unsigned nsamp_amx_flush_begin(void) {
#ifdef __SSE2__
    const unsigned mode = _mm_getcsr();
    _mm_setcsr(mode | 0x8040u);
    return mode;
#else
    return 0;
#endif
}

static inline void nsamp_amx_flush_end(unsigned mode) {
#ifdef __SSE2__
    _mm_setcsr(mode);
#else
    (void)mode;
#endif
}

#ifdef NSAMP_AMX

typedef struct nsamp_amx {
    unsigned char palette, start_row, reserved[14];
    uint16_t bytes[16]; /* of a row */
    unsigned char rows[16];
} nsamp_amx;

/* gcc's intrinsics do not say that they read and write memory. */
#ifdef __clang__
#define NSAMP_AMX_ORDER() ((void)0)
#else
#define NSAMP_AMX_ORDER() __asm__ volatile("" ::: "memory")
#endif

/* The shapes of the tiles, before the first and after the last of a call; without the second a switch of threads saves 8 KiB. */
NSAMP_HD void nsamp_amx_begin(nsamp_amx *t) {
    *t = (nsamp_amx){.palette = 1};
    for (int i = 0; i < 8; i++) {
        t->bytes[i] = 64;
        t->rows[i] = NSAMP_AMX_SIDE;
    }
    NSAMP_AMX_ORDER();
    _tile_loadconfig(t);
}

#define NSAMP_AMX_END(t)         _tile_release()
#define NSAMP_AMX_CLEAR(t, sums) _tile_zero(sums)
#define NSAMP_AMX_LOAD(tile, p)                                                                              \
    do {                                                                                                     \
        NSAMP_AMX_ORDER();                                                                                   \
        _tile_loadd(tile, p, 64);                                                                            \
    } while (0)
#define NSAMP_AMX_GET(t, sums, p)    NSAMP_AMX_LOAD(sums, p)
#define NSAMP_AMX_LEFT(t, left, p)   NSAMP_AMX_LOAD(left, p)
#define NSAMP_AMX_RIGHT(t, right, p) NSAMP_AMX_LOAD(right, p)
#define NSAMP_AMX_PUT(t, sums, p)                                                                            \
    do {                                                                                                     \
        _tile_stored(sums, p, 64);                                                                           \
        NSAMP_AMX_ORDER();                                                                                   \
    } while (0)
#define NSAMP_AMX_PRODUCT(t, s, l, r) _tile_dpbf16ps(s, l, r)

#else

/* Factors as float, since each is taken twice and more. */
typedef struct nsamp_amx {
    float sums[4][NSAMP_AMX_SUMS], left[2][NSAMP_AMX_FACTORS], right[2][2][NSAMP_AMX_SUMS];
} nsamp_amx;

NSAMP_HD void nsamp_amx_begin(nsamp_amx *t) {
    (void)t;
}

NSAMP_HD void nsamp_amx_copy(const float *from, float *to) {
    NSAMP_FOR_LANES(i, NSAMP_AMX_SUMS) to[i] = from[i];
}

NSAMP_HD void nsamp_amx_left(const nsamp_bf16 *from, float *to) {
    NSAMP_FOR_LANES(i, NSAMP_AMX_FACTORS) to[i] = nsamp_bf16_value(from[i]);
}

NSAMP_HD void nsamp_amx_right(const uint32_t *from, float to[2][NSAMP_AMX_SUMS]) {
    NSAMP_FOR_LANES(i, NSAMP_AMX_SUMS) {
        to[0][i] = nsamp_float_of(from[i] << 16);
        to[1][i] = nsamp_float_of(from[i] & 0xffff0000u);
    }
}

/* Four rows by a vector of columns at a time: eight sums in registers. */
NSAMP_HD_CALL void nsamp_amx_product(float *sums, const float *left, float right[2][NSAMP_AMX_SUMS]) {
    enum { R = 4, SIDE = NSAMP_AMX_SIDE, DEPTH = NSAMP_AMX_DEPTH };
    for (uint32_t r = 0; r < SIDE; r += R)
        for (uint32_t j = 0; j < SIDE; j += NSAMP_WIDTH) {
            nsamp_floats even[R], odd[R];
            NSAMP_UNROLL for (uint32_t i = 0; i < R; i++) even[i] = odd[i] = nsamp_floats_all(0.0f);
            for (uint32_t k = 0; k < SIDE; k++) {
                const nsamp_floats first = nsamp_floats_load(right[0] + k * SIDE + j),
                                   second = nsamp_floats_load(right[1] + k * SIDE + j);
                const float *const l = left + r * DEPTH + 2 * k;
                NSAMP_UNROLL for (uint32_t i = 0; i < R; i++) {
                    even[i] = nsamp_floats_fma(nsamp_floats_all(l[i * DEPTH]), first, even[i]);
                    odd[i] = nsamp_floats_fma(nsamp_floats_all(l[i * DEPTH + 1]), second, odd[i]);
                }
            }
            NSAMP_UNROLL for (uint32_t i = 0; i < R; i++) {
                float *const to = sums + (r + i) * SIDE + j;
                const nsamp_floats one = nsamp_floats_all(1.0f),
                                   both = nsamp_floats_fma(one, even[i], odd[i]);
                nsamp_floats_store(to, nsamp_floats_fma(one, nsamp_floats_load(to), both));
            }
        }
}

#define NSAMP_AMX_END(t)              ((void)(t))
#define NSAMP_AMX_CLEAR(t, s)         memset((t)->sums[s], 0, sizeof(t)->sums[s])
#define NSAMP_AMX_GET(t, s, p)        nsamp_amx_copy((p), (t)->sums[s])
#define NSAMP_AMX_LEFT(t, l, p)       nsamp_amx_left((p), (t)->left[(l)-4])
#define NSAMP_AMX_RIGHT(t, r, p)      nsamp_amx_right((p), (t)->right[(r)-6])
#define NSAMP_AMX_PUT(t, s, p)        nsamp_amx_copy((t)->sums[s], (p))
#define NSAMP_AMX_PRODUCT(t, s, l, r) nsamp_amx_product((t)->sums[s], (t)->left[(l)-4], (t)->right[(r)-6])

#endif

#endif
