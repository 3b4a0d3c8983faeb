/* reference_noise.h: the noise of docs/noise.md in double precision, with Random123's Philox and libm. Shares no
 * code with src/kernels/noise.h. */
#ifndef NSAMP_TESTS_REFERENCE_NOISE_H
#define NSAMP_TESTS_REFERENCE_NOISE_H

#include <Random123/philox.h>
#include <math.h>
#include <stdint.h>

enum { REF_PURPOSE_STEP = 0, REF_PURPOSE_WEIGHTS = 5 };

static inline philox4x32_ctr_t ref_words(uint64_t seed, uint32_t purpose, uint32_t chain, uint64_t step,
                                         uint32_t block) {
    philox4x32_ctr_t counter = {{chain, (uint32_t)step, block, purpose << 16 | (uint32_t)(step >> 32)}};
    philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    return philox4x32_R(10, counter, key);
}

static inline double ref_uniform(uint32_t w) {
    return ((double)(w >> 1) + 0.5) / 2147483648.0;
}

/* Normal i of a chain and step: Box and Muller on the words of block i/4, pair (i % 4)/2. The radius is that
 * of the low 31 bits made odd; the angle a signed quarter turn, bits 0 to 22 made odd, less one; the top bit
 * mirrors the cosine. */
static inline double ref_normal(uint64_t seed, uint32_t purpose, uint32_t chain, uint64_t step, uint32_t i) {
    philox4x32_ctr_t w = ref_words(seed, purpose, chain, step, i / 4);
    uint32_t a = w.v[i % 4 / 2 * 2], b = w.v[i % 4 / 2 * 2 + 1];
    double u = (double)((a & 0x7fffffffu) | 1u) / 0x1p31,
           turn = (double)((b & 0x7fffffu) | 1u) / 0x1p22 - 1.0;
    double radius = sqrt(-2.0 * log(u)), angle = turn * acos(-1.0) / 2.0;
    return radius * (i % 2 ? sin(angle) : b >> 31 ? -cos(angle) : cos(angle));
}

/* Which draw normal i of the n of a step of a Langevin system is: up to 16, the last block is shared by four steps of which each takes one
 * of it, by two of which each takes two. */
typedef struct ref_draw {
    uint64_t step;
    uint32_t number;
} ref_draw;

static inline ref_draw ref_shared(uint64_t step, uint32_t i, uint32_t n) {
    static const uint32_t steps[] = {1, 4, 2, 1}; /* for n % 4 */
    const uint32_t sharing = n < 17 && i / 4 == n / 4 ? steps[n % 4] : 1, at = (uint32_t)(step % sharing);
    const ref_draw draw = {step - at, i + at * (n % 4)};
    return draw;
}

static inline double ref_shared_normal(uint64_t seed, uint32_t chain, uint64_t step, uint32_t i, uint32_t n) {
    const ref_draw d = ref_shared(step, i, n);
    return ref_normal(seed, REF_PURPOSE_STEP, chain, d.step, d.number);
}

#endif
