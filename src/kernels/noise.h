/* noise.h: random words, uniforms and normals as pure functions of what they are for.
 *
 * Philox4x32-R (Salmon, Moraes, Dror and Shaw, SC 2011), R = 10 or 7. A draw is named by meaning, never by
 * thread, tile, block, rank or batch; docs/noise.md fixes the layout (NSAMP_NOISE_VERSION):
 *
 *     key     = 64-bit seed                    k0 = low word, k1 = high word
 *     counter = c0: chain (32 bits)            c1: low 32 bits of step
 *               c2: block of four draws        c3: purpose (high 16 bits) | high 16 bits of step (48 in all)
 *
 * The chain is the only word that differs between the lanes of a tile, so the first two rounds are nearly all
 * scalar or the same for every block; noise_row.h uses that. Not a stream: there is no state. */
#ifndef NSAMP_KERNELS_NOISE_H
#define NSAMP_KERNELS_NOISE_H

#include "kernels/hd.h"
#include "kernels/elementary.h"

/* What a draw is for. A new purpose gets the next number; numbers are never reused. */
enum {
    NSAMP_PURPOSE_STEP = 0,    /* the noise of the dynamics */
    NSAMP_PURPOSE_START = 1,   /* initial states */
    NSAMP_PURPOSE_TARGET = 2,  /* exact draws from a target */
    NSAMP_PURPOSE_TRAIN = 3,   /* noise of score matching */
    NSAMP_PURPOSE_DATA = 4,    /* choice and order of training data */
    NSAMP_PURPOSE_WEIGHTS = 5, /* initial weights, random connectivity */
    NSAMP_PURPOSE_RECORD = 6,  /* noise of observations (none of the dynamics) */
    NSAMP_PURPOSE_CHECK = 7    /* test and benchmark only */
};

typedef struct nsamp_noise_key {
    uint32_t k0, k1; /* low and high word of the seed */
    uint32_t rounds; /* 10 or 7 */
} nsamp_noise_key;

NSAMP_HD nsamp_noise_key nsamp_noise_key_of(uint64_t seed, uint32_t rounds) {
    nsamp_noise_key key;
    key.k0 = (uint32_t)seed;
    key.k1 = (uint32_t)(seed >> 32);
    key.rounds = rounds;
    return key;
}

typedef struct nsamp_words {
    uint32_t w[4];
} nsamp_words;

/* Multipliers and key increments of Philox4x32. */
#define NSAMP_PHILOX_M0 0xD2511F53u
#define NSAMP_PHILOX_M1 0xCD9E8D57u
#define NSAMP_PHILOX_W0 0x9E3779B9u
#define NSAMP_PHILOX_W1 0xBB67AE85u

/* One round. Counters sit in the low halves of 64-bit integers and the high halves hold rubbish: a wide
 * multiply reads only low halves, so a vector register of products needs no shuffles between rounds. */
NSAMP_HD void nsamp_philox_round(uint64_t c[4], uint32_t k0, uint32_t k1) {
    uint64_t p0 = (c[0] & 0xffffffffu) * NSAMP_PHILOX_M0;
    uint64_t p1 = (c[2] & 0xffffffffu) * NSAMP_PHILOX_M1;
    c[0] = (p1 >> 32) ^ c[1] ^ k0;
    c[2] = (p0 >> 32) ^ c[3] ^ k1;
    c[1] = p1;
    c[3] = p0;
}

NSAMP_HD nsamp_words nsamp_philox(uint32_t c0, uint32_t c1, uint32_t c2, uint32_t c3, nsamp_noise_key key) {
    uint64_t c[4] = {c0, c1, c2, c3};
    uint32_t k0 = key.k0, k1 = key.k1;
    for (uint32_t i = 0; i < key.rounds; i++) {
        nsamp_philox_round(c, k0, k1);
        k0 += NSAMP_PHILOX_W0;
        k1 += NSAMP_PHILOX_W1;
    }
    nsamp_words r = {{(uint32_t)c[0], (uint32_t)c[1], (uint32_t)c[2], (uint32_t)c[3]}};
    return r;
}

/* The fourth counter word. */
NSAMP_HD uint32_t nsamp_counter3(uint32_t purpose, uint64_t step) {
    return (purpose << 16) | ((uint32_t)(step >> 32) & 0xffffu);
}

/* Four random words: block b of the draws of one chain at one step for one purpose. */
NSAMP_HD nsamp_words nsamp_draw_words(nsamp_noise_key key, uint32_t purpose, uint32_t chain, uint64_t step,
                                      uint32_t block) {
    return nsamp_philox(chain, (uint32_t)step, block, nsamp_counter3(purpose, step), key);
}

/* Uniform in (0, 1]: (floor(w/2) + 1/2) 2^-31 to a relative 2^-23; the smallest is 2^-32. */
NSAMP_HD float nsamp_uniform(uint32_t w) {
    return nsamp_fma((float)(int32_t)(w >> 1), 0x1p-31f, 0x1p-32f);
}

/* Square of the radius of a standard normal pair, -2 ln u, from a word: u = n 2^-31 with n the low 31 bits made odd,
 * n rounded to a float. 62 ln 2 from n = 1, the largest, to 2^-24; n beyond 2^31 - 64 gives 0. n = 2^(31 +
 * k) (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); the fit is of -2 ln(1 + f) / f, relative to the whole. */
NSAMP_HD float nsamp_radius2_of_word(uint32_t w) {
    uint32_t n = nsamp_bits_of((float)(int32_t)((w & 0x7fffffffu) | 1u));
    uint32_t e = (n - 0x4eb504f3u) & 0xff800000u; /* k 2^23; 0x4eb504f3: 2^31 sqrt(1/2) */
    float f = nsamp_fma(nsamp_float_of(n - e), 0x1p-31f, -1.0f);
    float q = 0x1.ae25b6p-3f;
    q = nsamp_fma(q, f, -0x1.510316p-2f);
    q = nsamp_fma(q, f, 0x1.60407ep-2f);
    q = nsamp_fma(q, f, -0x1.96cba0p-2f);
    q = nsamp_fma(q, f, 0x1.ff6f54p-2f);
    q = nsamp_fma(q, f, -0x1.555e08p-1f);
    q = nsamp_fma(q, f, 0x1.00005ep+0f);
    q = nsamp_fma(q, f, -0x1.fffffcp+0f);
    return nsamp_fma(q, f, (float)(int32_t)e * -0x1.62e430p-23f);
}

/* Radius of a standard normal pair; largest 6.556. */
NSAMP_HD float nsamp_radius_of_word(uint32_t w) {
    return nsamp_sqrt(nsamp_radius2_of_word(w));
}

/* Cosine and sine of the angle of a word: bits 1 to 22 give y, an odd multiple of 2^-22 in (-1, 1), an angle
 * of pi y / 2; bit 31 turns the sign of the cosine. 2^23 angles, symmetric about both axes, so that odd
 * moments vanish exactly. */
NSAMP_HD void nsamp_direction_of_word(uint32_t w, float *cosine, float *sine) {
    float y = nsamp_float_of((w & 0x007ffffeu) | 0x40000001u) - 3.0f;
    float t = y * y;
    float s = 0x1.3daff6p-13f;
    s = nsamp_fma(s, t, -0x1.324ccap-8f);
    s = nsamp_fma(s, t, 0x1.4668b0p-4f);
    s = nsamp_fma(s, t, -0x1.4abbc2p-1f);
    s = nsamp_fma(s, t, 0x1.921fb6p+0f);
    float c = 0x1.c1f066p-11f;
    c = nsamp_fma(c, t, -0x1.54f61ap-6f);
    c = nsamp_fma(c, t, 0x1.03bd06p-2f);
    c = nsamp_fma(c, t, -0x1.3bd3a6p+0f);
    c = nsamp_fma(c, t, 0x1.fffffep-1f);
    *sine = s * y;
    *cosine = nsamp_float_of(nsamp_bits_of(c) ^ (w & 0x80000000u));
}

/* Two independent standard normals from two words (Box and Muller 1958): radius from a, angle from b. */
NSAMP_HD void nsamp_normal_pair(uint32_t a, uint32_t b, float *z0, float *z1) {
    float r = nsamp_radius_of_word(a), c, s;
    nsamp_direction_of_word(b, &c, &s);
    *z0 = r * c;
    *z1 = r * s;
}

/* Four standard normals: block b of the draws of one chain at one step for one purpose. For all chains of a
 * tile at once: noise_row.h. */
NSAMP_HD void nsamp_normals4(nsamp_noise_key key, uint32_t purpose, uint32_t chain, uint64_t step,
                             uint32_t block, float z[4]) {
    nsamp_words r = nsamp_draw_words(key, purpose, chain, step, block);
    nsamp_normal_pair(r.w[0], r.w[1], &z[0], &z[1]);
    nsamp_normal_pair(r.w[2], r.w[3], &z[2], &z[3]);
}

/* Steps that share the last block of the n draws of each, in systems whose heads say so, up to 16 draws, where it is much of a step: a
 * block of which a step takes one draw serves four steps, of which it takes two serves two. Of step t it is block n / 4 of step t - t % nsamp_tail_steps(n), and draw i,
 * i >= n - n % 4, is number n % 4 (t % nsamp_tail_steps(n)) + i % 4 of it. */
enum { NSAMP_TAIL_DRAWS = 16 };

NSAMP_HD uint32_t nsamp_tail_steps(uint32_t n) {
    return n > NSAMP_TAIL_DRAWS ? 1 : n % 4 == 1 ? 4 : n % 4 == 2 ? 2 : 1;
}

#endif
