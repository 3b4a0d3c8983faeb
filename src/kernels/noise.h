/* noise.h: random words, uniforms and normals as pure functions of what they are for.
 *
 * Philox4x32-R (Salmon, Moraes, Dror and Shaw, SC 2011), R = 10 or 7. A draw is named by meaning, never by thread,
 * tile, block, rank or batch; docs/noise.md fixes the layout (NSAMP_NOISE_VERSION):
 *
 *     key     = 64-bit seed                    k0 = low word, k1 = high word
 *     counter = c0: chain (32 bits)            c1: low 32 bits of step
 *               c2: block of four draws        c3: purpose (high 16 bits) | high 16 bits of step (48 in all)
 *
 * The chain is the only word that differs between lanes, so the first two rounds are nearly all scalar: the
 * compiler, or nsamp_chain_key below, takes them out of the loop over blocks. Not a stream: there is no state. */
#ifndef NSAMP_KERNELS_NOISE_H
#define NSAMP_KERNELS_NOISE_H

#include "kernels/hd.h"
#include "kernels/elementary.h"

/* What a draw is for. A new purpose gets the next number; numbers are never reused. */
enum {
    NSAMP_PURPOSE_STEP = 0,     /* the noise of the dynamics */
    NSAMP_PURPOSE_START = 1,    /* initial states */
    NSAMP_PURPOSE_TARGET = 2,   /* exact draws from a target */
    NSAMP_PURPOSE_TRAIN = 3,    /* noise of score matching */
    NSAMP_PURPOSE_DATA = 4,     /* choice and order of training data */
    NSAMP_PURPOSE_WEIGHTS = 5,  /* initial weights, random connectivity */
    NSAMP_PURPOSE_RECORD = 6,   /* noise of observations (none of the dynamics) */
    NSAMP_PURPOSE_CHECK = 7     /* test and benchmark only */
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

/* One round. Counters sit in the low halves of 64-bit integers and the high halves hold rubbish: a wide multiply
 * reads only low halves, so a vector register of products needs no shuffles between rounds. */
NSAMP_HD void nsamp_philox_round(uint64_t c[4], uint32_t k0, uint32_t k1) {
    uint64_t p0 = (c[0] & 0xffffffffu) * 0xD2511F53u;
    uint64_t p1 = (c[2] & 0xffffffffu) * 0xCD9E8D57u;
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
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    nsamp_words r = {{(uint32_t)c[0], (uint32_t)c[1], (uint32_t)c[2], (uint32_t)c[3]}};
    return r;
}

/* Four random words: block b of the draws of one chain at one step for one purpose. */
NSAMP_HD nsamp_words nsamp_draw_words(nsamp_noise_key key, uint32_t purpose, uint32_t chain, uint64_t step,
                                      uint32_t block) {
    return nsamp_philox(chain, (uint32_t)step, block, (purpose << 16) | ((uint32_t)(step >> 32) & 0xffffu), key);
}

/* Uniform in (0, 1]: 31 bits, the float nearest to (floor(w/2) + 1/2) 2^-31; the smallest is 2^-32. */
NSAMP_HD float nsamp_uniform(uint32_t w) {
    return nsamp_fma((float)(int32_t)(w >> 1), 0x1p-31f, 0x1p-32f);
}

/* Two independent standard normals from two words (Box and Muller 1958): radius from a, angle from b.
 * The largest radius is sqrt(64 ln 2) = 6.66. */
NSAMP_HD void nsamp_normal_pair(uint32_t a, uint32_t b, float *z0, float *z1) {
    float r = nsamp_sqrt(-2.0f * nsamp_log(nsamp_uniform(a)));
    float c, s;
    nsamp_cos_sin_of_word(b, &c, &s);
    *z0 = r * c;
    *z1 = r * s;
}

/* Four standard normals: block b of the draws of one chain at one step for one purpose. */
NSAMP_HD void nsamp_normals4(nsamp_noise_key key, uint32_t purpose, uint32_t chain, uint64_t step, uint32_t block,
                             float z[4]) {
    nsamp_words r = nsamp_draw_words(key, purpose, chain, step, block);
    nsamp_normal_pair(r.w[0], r.w[1], &z[0], &z[1]);
    nsamp_normal_pair(r.w[2], r.w[3], &z[2], &z[3]);
}

#endif
