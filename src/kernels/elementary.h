/* elementary.h: log, exp (and of a share), tanh, softplus from + - * fma and bit operations. What random words need has its
 * own fits in noise.h.
 *
 * Not a libm: no errno, no rounding modes, arguments as stated. Branch-free, so that a loop over lanes
 * vectorises; only correctly rounded operations, so that every compiler, instruction set and GPU gives the
 * same bits. Coefficients are minimax fits (Lawson iteration) over the stated interval, rounded one by one.
 * The errors below are measured over every float of the domain by tests/test_elementary.c, which fails if one
 * grows; an ulp is that of the exact value, and 2^-149 where the exact value is below 2^-126. */
#ifndef NSAMP_KERNELS_ELEMENTARY_H
#define NSAMP_KERNELS_ELEMENTARY_H

#include "kernels/hd.h"

/* Natural logarithm of a positive normal float (2^-126 to the largest). Error at most 1.15 ulp. */
NSAMP_HD float nsamp_log(float x) {
    /* x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)) */
    uint32_t ix = nsamp_bits_of(x);
    uint32_t e = (ix - 0x3f3504f3u) & 0xff800000u; /* k 2^23 */
    float f = nsamp_float_of(ix - e) - 1.0f;
    float p = 0x1.645eaep-4f;
    p = nsamp_fma(p, f, -0x1.2432b8p-3f);
    p = nsamp_fma(p, f, 0x1.317456p-3f);
    p = nsamp_fma(p, f, -0x1.53824ap-3f);
    p = nsamp_fma(p, f, 0x1.98d7f2p-3f);
    p = nsamp_fma(p, f, -0x1.000382p-2f);
    p = nsamp_fma(p, f, 0x1.5556dap-2f);
    p = nsamp_fma(p, f, -0.5f);
    return nsamp_fma((float)(int32_t)e, 0x1.62e430p-24f, nsamp_fma(p, f * f, f));
}

/* exp(x) = 2^k (1 + m) for |x| <= 104: returns m in [-0.3, 0.42], sets *k. */
NSAMP_HD float nsamp_exp_reduce(float x, int32_t *k) {
    float shifted = nsamp_fma(x, 0x1.715476p+0f, 0x1.8p23f); /* k in the low bits of the significand */
    float whole = shifted - 0x1.8p23f;
    *k = (int32_t)(nsamp_bits_of(shifted) - 0x4b400000u);
    float r = nsamp_fma(whole, -0x1.62e430p-1f, x);
    r = nsamp_fma(whole, 0x1.05c610p-29f, r);
    float p = 0x1.6bebfep-10f;
    p = nsamp_fma(p, r, 0x1.1227b0p-7f);
    p = nsamp_fma(p, r, 0x1.555674p-5f);
    p = nsamp_fma(p, r, 0x1.5554b0p-3f);
    p = nsamp_fma(p, r, 0x1.fffffep-2f);
    return nsamp_fma(p, r * r, r);
}

/* 2^k for -126 <= k <= 127. */
NSAMP_HD float nsamp_power_of_two(int32_t k) {
    return nsamp_float_of((uint32_t)(k + 127) << 23);
}

/* Exponential of any float: infinity above 88.7228, gradual underflow to 0 below -87.3365; a NaN stays one.
 * Error at most 1.05 ulp. */
NSAMP_HD float nsamp_exp(float x) {
    int32_t k;
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    float m = nsamp_exp_reduce(x, &k);
    int32_t half = k >> 1; /* 2^k itself may be out of range */
    return (1.0f + m) * nsamp_power_of_two(half) * nsamp_power_of_two(k - half);
}

/* Exponential of x <= 0, a share of a sum that is 1 or more: 0 below -64 (1.6e-28, nothing beside 1), so that what a share is multiplied
 * with rarely gives a subnormal number, which may cost a CPU a hundred cycles. A NaN gives 0. Error at most 1.05 ulp from -64 on. The
 * power of two is added to the bits of the exponent: the result is a normal number. */
NSAMP_HD float nsamp_exp_share(float x) {
    int32_t k;
    const float m = nsamp_exp_reduce(x, &k);
    const float e = nsamp_float_of(nsamp_bits_of(1.0f + m) + ((uint32_t)k << 23));
    return x >= -64.0f ? e : 0.0f;
}

/* Hyperbolic tangent of any float; exactly odd; at most 1 + 2^-23, and 1 from 9.1 on; a NaN stays one. Error at most
 * 6.93 ulp, 4.2e-7, and 3.9 ulp for |x| < 1. A ratio of two polynomials of degree 4 in x^2: twelve operations and a
 * division. */
NSAMP_HD float nsamp_tanh(float x) {
    x = x > 9.1f ? 9.1f : x;
    x = x < -9.1f ? -9.1f : x;
    const float z = x * x;
    float p = 0x1.cd1790p-27f, q = 0x1.a3026cp-21f;
    p = nsamp_fma(p, z, 0x1.5aa2c8p-16f);
    p = nsamp_fma(p, z, 0x1.ca9e7ep-9f);
    p = nsamp_fma(p, z, 0x1.121a8cp-3f);
    p = nsamp_fma(p, z, 1.0f);
    q = nsamp_fma(q, z, 0x1.5916b0p-12f);
    q = nsamp_fma(q, z, 0x1.a82f3cp-6f);
    q = nsamp_fma(q, z, 0x1.de628cp-2f);
    q = nsamp_fma(q, z, 1.0f);
    return nsamp_div_mid(x * p, q); /* q in [1, 441] */
}

/* log(1 + exp(x)) of any float: max(x, 0) + log1p(exp(-|x|)), accurate in both tails; a NaN stays one. Error
 * at most 2.45 ulp. */
NSAMP_HD float nsamp_softplus(float x) {
    float e = nsamp_exp(-nsamp_float_of(nsamp_bits_of(x) & 0x7fffffffu));
    float q = 0x1.5f96d2p-8f; /* log1p(e) / e on [0, 1] */
    q = nsamp_fma(q, e, -0x1.ec9914p-6f);
    q = nsamp_fma(q, e, 0x1.446bfap-4f);
    q = nsamp_fma(q, e, -0x1.19ad88p-3f);
    q = nsamp_fma(q, e, 0x1.88444ep-3f);
    q = nsamp_fma(q, e, -0x1.fd131ep-3f);
    q = nsamp_fma(q, e, 0x1.5535d8p-2f);
    q = nsamp_fma(q, e, -0x1.ffff14p-2f);
    q = nsamp_fma(q, e, 1.0f);
    return nsamp_fma(q, e, x > 0.0f ? x : 0.0f);
}

#endif
