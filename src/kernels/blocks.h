/* blocks.h: sixteen numbers of one chain in vectors of the instruction set, for systems that keep a chain's numbers
 * together; CPU only (NSAMP_VECTOR of hd.h).
 *
 * A block is 16 floats: one AVX-512 or two AVX2 registers. The sum of a block's numbers a[0..15] is a fixed tree, here and in the
 * scalar text:
 *
 *     for (w = 8; w > 0; w /= 2) for (k = 0; k < w; k++) a[k] += a[k + w];
 *
 * Sums of as many blocks as a register holds numbers are taken together: two blocks are merged into one vector in each
 * addition, which is three operations a block in all. */
#ifndef NSAMP_KERNELS_BLOCKS_H
#define NSAMP_KERNELS_BLOCKS_H

#include "kernels/noise_row.h"

enum { NSAMP_BLOCK = 16 };

#ifdef NSAMP_VECTOR

#if NSAMP_VECTOR == 64
typedef __m512 nsamp_f32v, nsamp_block;

NSAMP_HD nsamp_block nsamp_block_load(const float *a) {
    return _mm512_loadu_ps(a);
}

NSAMP_HD void nsamp_block_store(float *a, nsamp_block x) {
    _mm512_storeu_ps(a, x);
}

NSAMP_HD nsamp_block nsamp_block_add(nsamp_block x, nsamp_block y) {
    return _mm512_add_ps(x, y);
}

NSAMP_HD nsamp_block nsamp_block_mul(nsamp_block x, nsamp_block y) {
    return _mm512_mul_ps(x, y);
}

NSAMP_HD nsamp_block nsamp_block_fma(nsamp_block x, nsamp_block y, nsamp_block z) {
    return _mm512_fmadd_ps(x, y, z);
}

/* The part of the tree that one block does by itself: none. */
NSAMP_HD nsamp_f32v nsamp_block_fold(nsamp_block x) {
    return x;
}

/* The tree's additions at distance 8, 4, 2 and 1, of two vectors at once. */
NSAMP_HD nsamp_f32v nsamp_merge8(nsamp_f32v a, nsamp_f32v b) {
    return _mm512_add_ps(_mm512_mask_blend_ps(0xff00, a, b), _mm512_shuffle_f32x4(a, b, 0x4e));
}

NSAMP_HD nsamp_f32v nsamp_merge4(nsamp_f32v a, nsamp_f32v b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

NSAMP_HD nsamp_f32v nsamp_merge2(nsamp_f32v a, nsamp_f32v b) {
    return _mm512_add_ps(_mm512_mask_blend_ps(0xcccc, a, b), _mm512_shuffle_ps(a, b, 0x4e));
}

NSAMP_HD nsamp_f32v nsamp_merge1(nsamp_f32v a, nsamp_f32v b) {
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}

/* Number k is the sum of block k, from what nsamp_block_fold made of NSAMP_V32 blocks. */
NSAMP_HD nsamp_f32v nsamp_block_sums(const nsamp_f32v *x) {
    nsamp_f32v half[8], four[4];
    NSAMP_UNROLL for (uint32_t i = 0; i < 4; i++) {
        half[2 * i] = nsamp_merge8(x[i], x[4 + i]);
        half[2 * i + 1] = nsamp_merge8(x[8 + i], x[12 + i]);
        four[i] = nsamp_merge4(half[2 * i], half[2 * i + 1]);
    }
    return nsamp_merge1(nsamp_merge2(four[0], four[1]), nsamp_merge2(four[2], four[3]));
}

/* b where x < limit, else 0 -> chosen; bit k of the result: whether. */
NSAMP_HD uint32_t nsamp_choose_less(nsamp_f32v x, const float *limit, const uint32_t *b, uint32_t *chosen) {
    const __mmask16 less = _mm512_cmp_ps_mask(x, _mm512_loadu_ps(limit), _CMP_LT_OQ);
    _mm512_storeu_si512(chosen, _mm512_maskz_loadu_epi32(less, b));
    return less;
}

/* Appends the numbers of a [NSAMP_V32] whose bit is set to list, which has room for all of them; how many. */
NSAMP_HD uint32_t nsamp_append(uint32_t bits, const uint32_t *a, uint32_t *list) {
    _mm512_storeu_si512(list, _mm512_maskz_compress_epi32((__mmask16)bits, _mm512_loadu_si512(a)));
    return (uint32_t)__builtin_popcount(bits);
}

#else
typedef __m256 nsamp_f32v;

typedef struct nsamp_block {
    nsamp_f32v low, high;
} nsamp_block;

NSAMP_HD nsamp_block nsamp_block_load(const float *a) {
    return (nsamp_block){_mm256_loadu_ps(a), _mm256_loadu_ps(a + 8)};
}

NSAMP_HD void nsamp_block_store(float *a, nsamp_block x) {
    _mm256_storeu_ps(a, x.low);
    _mm256_storeu_ps(a + 8, x.high);
}

NSAMP_HD nsamp_block nsamp_block_add(nsamp_block x, nsamp_block y) {
    return (nsamp_block){_mm256_add_ps(x.low, y.low), _mm256_add_ps(x.high, y.high)};
}

NSAMP_HD nsamp_block nsamp_block_mul(nsamp_block x, nsamp_block y) {
    return (nsamp_block){_mm256_mul_ps(x.low, y.low), _mm256_mul_ps(x.high, y.high)};
}

NSAMP_HD nsamp_block nsamp_block_fma(nsamp_block x, nsamp_block y, nsamp_block z) {
    return (nsamp_block){_mm256_fmadd_ps(x.low, y.low, z.low), _mm256_fmadd_ps(x.high, y.high, z.high)};
}

NSAMP_HD nsamp_f32v nsamp_block_fold(nsamp_block x) {
    return _mm256_add_ps(x.low, x.high);
}

NSAMP_HD nsamp_f32v nsamp_merge4(nsamp_f32v a, nsamp_f32v b) {
    return _mm256_add_ps(_mm256_blend_ps(a, b, 0xf0), _mm256_permute2f128_ps(a, b, 0x21));
}

NSAMP_HD nsamp_f32v nsamp_merge2(nsamp_f32v a, nsamp_f32v b) {
    return _mm256_add_ps(_mm256_blend_ps(a, b, 0xcc), _mm256_shuffle_ps(a, b, 0x4e));
}

NSAMP_HD nsamp_f32v nsamp_merge1(nsamp_f32v a, nsamp_f32v b) {
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x88), _mm256_shuffle_ps(a, b, 0xdd));
}

NSAMP_HD nsamp_f32v nsamp_block_sums(const nsamp_f32v *x) {
    nsamp_f32v four[4];
    NSAMP_UNROLL for (uint32_t i = 0; i < 4; i++) four[i] = nsamp_merge4(x[i], x[4 + i]);
    return nsamp_merge1(nsamp_merge2(four[0], four[1]), nsamp_merge2(four[2], four[3]));
}

NSAMP_HD uint32_t nsamp_choose_less(nsamp_f32v x, const float *limit, const uint32_t *b, uint32_t *chosen) {
    const __m256 less = _mm256_cmp_ps(x, _mm256_loadu_ps(limit), _CMP_LT_OQ);
    const __m256i all = _mm256_loadu_si256((const __m256i *)(const void *)b);
    _mm256_storeu_si256((__m256i *)(void *)chosen, _mm256_and_si256(all, _mm256_castps_si256(less)));
    return (uint32_t)_mm256_movemask_ps(less);
}

NSAMP_HD uint32_t nsamp_append(uint32_t bits, const uint32_t *a, uint32_t *list) {
    uint32_t count = 0;
    for (uint32_t k = 0; k < NSAMP_V32; k++) {
        list[count] = a[k];
        count += bits >> k & 1;
    }
    return count;
}
#endif

/* High words of the products a n. */
NSAMP_HD nsamp_u32v nsamp_v_high_product(nsamp_u32v a, uint32_t n) {
    const nsamp_u64v factor = nsamp_v_all(n), even = (nsamp_u64v)a;
    return nsamp_v_high(nsamp_v_mul(even, factor), nsamp_v_mul(even >> 32, factor));
}

#endif

#endif
