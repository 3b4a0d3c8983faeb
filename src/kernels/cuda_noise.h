/* cuda_noise.h: the normals of noise.h for a thread that makes many blocks of one chain, step after step. Only .cu files
 * include this. The words are those of noise.h bit for bit.
 *
 * Of the rounds of Philox, the chain decides half of the first and of the second, the step and the block the rest of
 * them: nsamp_stream keeps what the chain decides. The keys of the rounds are an argument of the kernel, so that they are
 * read as constants and cost neither instructions nor registers. exact: the normals of noise.h, bit for bit. fast: from the same words
 * by hardware approximations (cuda_approx.h); errors below. */
#ifndef NSAMP_KERNELS_CUDA_NOISE_H
#define NSAMP_KERNELS_CUDA_NOISE_H

#include "kernels/cuda_approx.h"
#include "kernels/noise.h"

typedef struct nsamp_keys {
    uint32_t k[2][10]; /* of each round */
} nsamp_keys;

static inline nsamp_keys nsamp_keys_of(nsamp_noise_key key) {
    nsamp_keys keys;
    for (uint32_t i = 0; i < 10; i++) {
        keys.k[0][i] = key.k0 + i * NSAMP_PHILOX_W0;
        keys.k[1][i] = key.k1 + i * NSAMP_PHILOX_W1;
    }
    return keys;
}

/* One purpose of one chain, over steps whose upper 32 bits are the same. */
typedef struct nsamp_stream {
    uint32_t first;     /* low word of round 1's product with the chain */
    uint32_t high, low; /* round 2's product with what round 1 made of it */
} nsamp_stream;

/* Of nsteps steps from step0 on, those of one launch: a stream keeps the upper 32 bits of step / each, where a block of words serves
 * `each` steps. */
static inline uint32_t nsamp_stream_steps(uint64_t step0, uint32_t nsteps, uint64_t each) {
    const uint64_t span = each << 32, left = span - step0 % span;
    return nsteps <= left ? nsteps : (uint32_t)left;
}

static __device__ __forceinline__ uint32_t nsamp_wide(uint32_t a, uint32_t b, uint32_t *low) {
    const uint64_t product = (uint64_t)a * b;
    *low = (uint32_t)product;
    return (uint32_t)(product >> 32);
}

static __device__ __forceinline__ nsamp_stream nsamp_stream_of(const nsamp_keys &keys, uint32_t purpose,
                                                               uint32_t chain, uint64_t step) {
    nsamp_stream s;
    const uint32_t c = nsamp_wide(chain, NSAMP_PHILOX_M0, &s.first);
    s.high = nsamp_wide(c ^ nsamp_counter3(purpose, step) ^ keys.k[1][0], NSAMP_PHILOX_M1, &s.low);
    return s;
}

/* Words of a block at a step (its lower 32 bits). */
template <uint32_t ROUNDS>
static __device__ __forceinline__ nsamp_words nsamp_stream_words(const nsamp_stream &s,
                                                                 const nsamp_keys &keys, uint32_t step,
                                                                 uint32_t block) {
    uint32_t c[4], low;
    const uint32_t a = nsamp_wide(block, NSAMP_PHILOX_M1, &low) ^ step ^ keys.k[0][0];
    c[0] = s.high ^ low ^ keys.k[0][1];
    c[1] = s.low;
    c[2] = nsamp_wide(a, NSAMP_PHILOX_M0, &c[3]) ^ s.first ^ keys.k[1][1];
#pragma unroll
    for (uint32_t i = 2; i < ROUNDS; i++) {
        uint32_t low0, low1;
        const uint32_t high0 = nsamp_wide(c[0], NSAMP_PHILOX_M0, &low0),
                       high1 = nsamp_wide(c[2], NSAMP_PHILOX_M1, &low1);
        c[0] = high1 ^ c[1] ^ keys.k[0][i];
        c[2] = high0 ^ c[3] ^ keys.k[1][i];
        c[1] = low1;
        c[3] = low0;
    }
    const nsamp_words words = {{c[0], c[1], c[2], c[3]}};
    return words;
}

/* nsamp_normal_pair of noise.h. */
static __device__ __forceinline__ void nsamp_exact_pair(uint32_t a, uint32_t b, float *z0, float *z1) {
    const float r = nsamp_sqrt_mid(nsamp_radius2_of_word(a));
    float c, s;
    nsamp_direction_of_word(b, &c, &s);
    *z0 = r * c;
    *z1 = r * s;
}

/* A pair of normals times the root of scale2, as radius and direction: z0 = *r *c, z1 = *r *s. With u = (a + 1/2) 2^-32
 * and the angle pi b 2^-31, b signed: where u < 1/2, r differs from sqrt(-2 ln u) by at most 2^-21 of itself, elsewhere
 * r^2 by at most 2^-19.5; c and s by 2^-19.6. 0 <= r < 6.77. The bounds add what the approximations may be off and what
 * rounding does before and after; tests/shim/test_cuda_fast.cpp. */
static __device__ __forceinline__ void nsamp_fast_pair(uint32_t a, uint32_t b, float scale2, float *r,
                                                       float *c, float *s) {
    const float u = __fmaf_rn((float)a, 0x1p-32f, 0x1p-33f);
    /* the logarithm of a u near 1 may come out above 0 */
    *r = nsamp_approx_sqrt(fabsf(nsamp_approx_log2(u) * (0x1.62e430p+0f * scale2)));
    const float angle = (float)(int32_t)b * 0x1.921fb6p-30f;
    *c = nsamp_approx_cos(angle);
    *s = nsamp_approx_sin(angle);
}

#endif
