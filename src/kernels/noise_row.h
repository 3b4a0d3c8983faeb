/* noise_row.h: the noise of all lanes of a tile at once, for the CPU kernels. Same words and normals as
 * noise.h.
 *
 * Use in a step, L lanes, a multiple of 16 up to NSAMP_ROW_LANES:
 *
 *     nsamp_row row;
 *     float z[4 * L];
 *     nsamp_row_begin(&row, key, NSAMP_PURPOSE_STEP, chain0, step, L);     first step; then nsamp_row_next
 *     nsamp_row_normals(&row, key, block, L, z);                           draw k of lane l is z[k * L + l]
 *     nsamp_row_tail(&row, key, n, first, L, tail);                        the last n % 4 of n draws
 *
 * What it is for: neither gcc nor clang finds the 32 x 32 -> 64 bit multiply and the cheap packing of its
 * halves in plain C well enough (bench/LOG.md has the numbers), so the integer part is written here with
 * vectors of 64-bit numbers, one chain each, for AVX-512 and AVX2; elsewhere, and for a GPU thread, it is a
 * plain loop. The floating-point part is the scalar text of noise.h under `omp simd`. */
#ifndef NSAMP_KERNELS_NOISE_ROW_H
#define NSAMP_KERNELS_NOISE_ROW_H

#include "kernels/noise.h"

enum { NSAMP_ROW_LANES = 64 };

#ifdef NSAMP_VECTOR
#include <immintrin.h>

typedef uint64_t nsamp_u64v __attribute__((vector_size(NSAMP_VECTOR)));
typedef uint32_t nsamp_u32v __attribute__((vector_size(NSAMP_VECTOR)));
enum {
    NSAMP_V64 = NSAMP_VECTOR / 8,
    NSAMP_V32 = NSAMP_VECTOR / 4,
    NSAMP_ROW_HALVES = NSAMP_ROW_LANES / NSAMP_V64
};

/* Three operations of the instruction set. mul: products of the low halves. low, high: those halves of a and
 * b, a's in the even places of 32 bits and b's in the odd ones. */
#if NSAMP_VECTOR == 64
NSAMP_HD nsamp_u64v nsamp_v_mul(nsamp_u64v a, nsamp_u64v b) {
    return (nsamp_u64v)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}

NSAMP_HD nsamp_u32v nsamp_v_low(nsamp_u64v a, nsamp_u64v b) {
    return (nsamp_u32v)_mm512_mask_shuffle_epi32((__m512i)a, 0xaaaa, (__m512i)b, _MM_PERM_CCAA);
}

NSAMP_HD nsamp_u32v nsamp_v_high(nsamp_u64v a, nsamp_u64v b) {
    return (nsamp_u32v)_mm512_mask_shuffle_epi32((__m512i)b, 0x5555, (__m512i)a, _MM_PERM_DDBB);
}
#else
NSAMP_HD nsamp_u64v nsamp_v_mul(nsamp_u64v a, nsamp_u64v b) {
    return (nsamp_u64v)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}

NSAMP_HD nsamp_u32v nsamp_v_low(nsamp_u64v a, nsamp_u64v b) {
    return (nsamp_u32v)_mm256_blend_epi32((__m256i)a, (__m256i)(b << 32), 0xaa);
}

NSAMP_HD nsamp_u32v nsamp_v_high(nsamp_u64v a, nsamp_u64v b) {
    return (nsamp_u32v)_mm256_blend_epi32((__m256i)(a >> 32), (__m256i)b, 0xaa);
}
#endif

/* What rounds 1 and 2 make of the chains, the same for all blocks. Vector 2i holds the even and 2i + 1 the
 * odd chains of NSAMP_V32 neighbours. Low halves count; high halves hold rubbish, as in nsamp_philox_round.
 */
typedef struct nsamp_row {
    nsamp_u64v high[NSAMP_ROW_HALVES], low[NSAMP_ROW_HALVES], first[NSAMP_ROW_HALVES];
    uint32_t step;
} nsamp_row;

/* The same number in every place. */
NSAMP_HD nsamp_u64v nsamp_v_all(uint32_t value) {
    nsamp_u64v zero = {0};
    return zero + value;
}

NSAMP_HD void nsamp_row_begin(nsamp_row *row, nsamp_noise_key key, uint32_t purpose, uint32_t chain0,
                              uint64_t step, const uint32_t L) {
    const uint32_t c3 = nsamp_counter3(purpose, step);
    row->step = (uint32_t)step;
    for (uint32_t i = 0; i < L / NSAMP_V64; i++) {
        nsamp_u64v chain = {0};
        for (uint32_t j = 0; j < NSAMP_V64; j++)
            chain[j] = chain0 + (i / 2) * NSAMP_V32 + i % 2 + 2 * j;
        nsamp_u64v p0 = nsamp_v_mul(chain, nsamp_v_all(NSAMP_PHILOX_M0));
        nsamp_u64v p1 = nsamp_v_mul((p0 >> 32) ^ (c3 ^ key.k1), nsamp_v_all(NSAMP_PHILOX_M1));
        row->first[i] = p0;
        row->high[i] = p1 >> 32;
        row->low[i] = p1;
    }
}

/* nsamp_row_rounds_N_R: rounds 3 to R of N vectors from i on, taken together. N is 8 where L allows: with fewer the ports wait for
 * the chain of rounds of each. A macro, since clang unrolls a loop only where it sees the bound before it inlines. x0, x2, x3:
 * what the block made of rounds 1 and 2. words: a constant, 2 or 4. */
#define NSAMP_ROW_ROUNDS(N, R)                                                                               \
    NSAMP_HD void nsamp_row_rounds_##N##_##R(const nsamp_row *row, nsamp_noise_key key, uint32_t x0,         \
                                             uint32_t x2, uint32_t x3, uint32_t i, const uint32_t L,         \
                                             uint32_t *w, const uint32_t words) {                            \
        const nsamp_u64v m0 = nsamp_v_all(NSAMP_PHILOX_M0), m1 = nsamp_v_all(NSAMP_PHILOX_M1);               \
        const uint32_t k0 = key.k0 + (R - 1) * NSAMP_PHILOX_W0, k1 = key.k1 + (R - 1) * NSAMP_PHILOX_W1;     \
        const uint32_t stride = L / NSAMP_V32;                                                               \
        nsamp_u64v c[N][4], q0[N], q1[N];                                                                    \
        NSAMP_UNROLL for (uint32_t h = 0; h < N; h++) {                                                      \
            c[h][0] = row->high[i + h] ^ x0;                                                                 \
            c[h][1] = row->low[i + h];                                                                       \
            c[h][2] = row->first[i + h] ^ x2;                                                                \
            c[h][3] = nsamp_v_all(x3);                                                                       \
        }                                                                                                    \
        NSAMP_UNROLL for (uint32_t r = 2; r < R - 1; r++) NSAMP_UNROLL for (uint32_t h = 0; h < N; h++) {    \
            q0[h] = nsamp_v_mul(c[h][0], m0);                                                                \
            q1[h] = nsamp_v_mul(c[h][2], m1);                                                                \
            c[h][0] = (q1[h] >> 32) ^ c[h][1] ^ (key.k0 + r * NSAMP_PHILOX_W0);                              \
            c[h][2] = (q0[h] >> 32) ^ c[h][3] ^ (key.k1 + r * NSAMP_PHILOX_W1);                              \
            c[h][1] = q1[h];                                                                                 \
            c[h][3] = q0[h];                                                                                 \
        }                                                                                                    \
        NSAMP_UNROLL for (uint32_t h = 0; h < N; h++) {                                                      \
            q0[h] = nsamp_v_mul(c[h][0], m0);                                                                \
            q1[h] = nsamp_v_mul(c[h][2], m1);                                                                \
        }                                                                                                    \
        NSAMP_UNROLL for (uint32_t h = 0; h < N; h += 2) {                                                   \
            nsamp_u32v *const out = (nsamp_u32v *)(void *)w + (i + h) / 2;                                   \
            out[0] = nsamp_v_high(q1[h], q1[h + 1]) ^ nsamp_v_low(c[h][1], c[h + 1][1]) ^ k0;                \
            out[stride] = nsamp_v_low(q1[h], q1[h + 1]);                                                     \
            if (words == 2) continue;                                                                        \
            out[2 * stride] = nsamp_v_high(q0[h], q0[h + 1]) ^ nsamp_v_low(c[h][3], c[h + 1][3]) ^ k1;       \
            out[3 * stride] = nsamp_v_low(q0[h], q0[h + 1]);                                                 \
        }                                                                                                    \
    }
NSAMP_ROW_ROUNDS(2, 7)
NSAMP_ROW_ROUNDS(2, 10)
NSAMP_ROW_ROUNDS(8, 7)
NSAMP_ROW_ROUNDS(8, 10)
#undef NSAMP_ROW_ROUNDS

/* Words of block b: word k of lane l -> w[k * L + l], k < words; words is a constant, 2 or 4. */
NSAMP_HD void nsamp_row_some_words(const nsamp_row *row, nsamp_noise_key key, uint32_t block,
                                   const uint32_t L, uint32_t *w, const uint32_t words) {
    /* rounds 1 and 2, the part that the block decides: scalar */
    const uint64_t p1 = (uint64_t)block * NSAMP_PHILOX_M1;
    const uint64_t p0 = ((p1 >> 32) ^ row->step ^ key.k0) * NSAMP_PHILOX_M0;
    const uint32_t k0 = key.k0 + NSAMP_PHILOX_W0, k1 = key.k1 + NSAMP_PHILOX_W1;
    const uint32_t x0 = (uint32_t)p1 ^ k0, x2 = (uint32_t)(p0 >> 32) ^ k1, x3 = (uint32_t)p0;
    const uint32_t vectors = L / NSAMP_V64, together = vectors % 8 ? 2 : 8;
    for (uint32_t i = 0; i < vectors; i += together)
        if (together == 8 && key.rounds == 10)
            nsamp_row_rounds_8_10(row, key, x0, x2, x3, i, L, w, words);
        else if (together == 8)
            nsamp_row_rounds_8_7(row, key, x0, x2, x3, i, L, w, words);
        else if (key.rounds == 10)
            nsamp_row_rounds_2_10(row, key, x0, x2, x3, i, L, w, words);
        else
            nsamp_row_rounds_2_7(row, key, x0, x2, x3, i, L, w, words);
}

#else

typedef struct nsamp_row {
    uint32_t step, c3, chain0;
} nsamp_row;

NSAMP_HD void nsamp_row_begin(nsamp_row *row, nsamp_noise_key key, uint32_t purpose, uint32_t chain0,
                              uint64_t step, const uint32_t L) {
    (void)key, (void)L;
    row->step = (uint32_t)step;
    row->c3 = nsamp_counter3(purpose, step);
    row->chain0 = chain0;
}

NSAMP_HD void nsamp_row_some_words(const nsamp_row *row, nsamp_noise_key key, uint32_t block,
                                   const uint32_t L, uint32_t *w, const uint32_t words) {
    NSAMP_FOR_LANES(l, L) {
        nsamp_words r = nsamp_philox(row->chain0 + l, row->step, block, row->c3, key);
        for (uint32_t k = 0; k < words; k++)
            w[k * L + l] = r.w[k];
    }
}

#endif

/* Turns a row begun at step - 1 to step, at less cost than beginning it. */
NSAMP_HD void nsamp_row_next(nsamp_row *row, nsamp_noise_key key, uint32_t purpose, uint32_t chain0,
                             uint64_t step, const uint32_t L) {
    row->step = (uint32_t)step;
    if (row->step == 0) nsamp_row_begin(row, key, purpose, chain0, step, L); /* the upper bits changed */
}

/* All four words. */
NSAMP_HD void nsamp_row_words(const nsamp_row *row, nsamp_noise_key key, uint32_t block, const uint32_t L,
                              uint32_t *w) {
    nsamp_row_some_words(row, key, block, L, w, 4);
}

/* Normals of block b: draw k of lane l -> z[k * L + l], k < draws; draws is a constant, 2 or 4. */
NSAMP_HD void nsamp_row_normals_here(const nsamp_row *row, nsamp_noise_key key, uint32_t block,
                                     const uint32_t L, float *z, const uint32_t draws) {
    uint32_t w[4 * NSAMP_ROW_LANES] __attribute__((aligned(64)));
    nsamp_row_some_words(row, key, block, L, w, draws);
    NSAMP_FOR_LANES(l, L) nsamp_normal_pair(w[l], w[L + l], &z[l], &z[L + l]);
    if (draws == 2) return;
    NSAMP_FOR_LANES(l, L) nsamp_normal_pair(w[2 * L + l], w[3 * L + l], &z[2 * L + l], &z[3 * L + l]);
}

#ifdef NSAMP_VECTOR
/* For 64 lanes it is called, not inlined: rounds and fits want every register, and what a caller keeps in some would be moved
 * out and back between them. */
#define NSAMP_ROW_CALL(R, draws)                                                                             \
    static __attribute__((noinline, unused)) void nsamp_row_normals_##R##_##draws(                           \
        const nsamp_row *row, nsamp_noise_key key, uint32_t block, float *z) {                               \
        key.rounds = R;                                                                                      \
        nsamp_row_normals_here(row, key, block, 64, z, draws);                                               \
    }
NSAMP_ROW_CALL(7, 2)
NSAMP_ROW_CALL(7, 4)
NSAMP_ROW_CALL(10, 2)
NSAMP_ROW_CALL(10, 4)
#undef NSAMP_ROW_CALL
#endif

/* The same, in the way that suits L. */
NSAMP_HD void nsamp_row_some_normals(const nsamp_row *row, nsamp_noise_key key, uint32_t block,
                                     const uint32_t L, float *z, const uint32_t draws) {
#ifdef NSAMP_VECTOR
    if (L == 64) {
        if (key.rounds == 7 && draws == 2)
            nsamp_row_normals_7_2(row, key, block, z);
        else if (key.rounds == 7)
            nsamp_row_normals_7_4(row, key, block, z);
        else if (draws == 2)
            nsamp_row_normals_10_2(row, key, block, z);
        else
            nsamp_row_normals_10_4(row, key, block, z);
        return;
    }
#endif
    nsamp_row_normals_here(row, key, block, L, z, draws);
}

/* All four normals. */
NSAMP_HD void nsamp_row_normals(const nsamp_row *row, nsamp_noise_key key, uint32_t block, const uint32_t L,
                                float *z) {
    nsamp_row_some_normals(row, key, block, L, z, 4);
}

/* The last n % 4 of the n normals of a step, from a block that steps share (nsamp_tail_steps of noise.h): draw k of them of lane l ->
 * z[k * L + l]. z [4 L] keeps the block from step to step; first: it holds none yet. row: of this step, and the same after. */
NSAMP_HD void nsamp_row_tail(nsamp_row *row, nsamp_noise_key key, uint32_t n, uint32_t first,
                             const uint32_t L, float *z) {
    const uint32_t each = n % 4, at = row->step & (nsamp_tail_steps(n) - 1); /* of 1, 2 or 4 */
    if (nsamp_tail_steps(n) == 1 && each < 3) {
        nsamp_row_some_normals(row, key, n / 4, L, z, 2);
        return;
    }
    if (first || at == 0) {
        row->step -= at; /* its upper bits are the same */
        nsamp_row_normals(row, key, n / 4, L, z);
        row->step += at;
    }
    /* What steps before took makes room. Indices are constants, so that a GPU thread has z in registers. */
    if (each == 2 && at == 1) NSAMP_FOR_LANES(l, L) {
            z[l] = z[2 * L + l];
            z[L + l] = z[3 * L + l];
        }
    if (each == 1 && at == 1) NSAMP_FOR_LANES(l, L) z[l] = z[L + l];
    if (each == 1 && at == 2) NSAMP_FOR_LANES(l, L) z[l] = z[2 * L + l];
    if (each == 1 && at == 3) NSAMP_FOR_LANES(l, L) z[l] = z[3 * L + l];
}

#endif
