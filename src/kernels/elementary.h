/* elementary.h: log, sine and cosine, exp, tanh, softplus from + - * fma sqrt and bit operations.
 *
 * Not a libm: no errno, no rounding modes, arguments as stated. Branch-free, so that a loop over lanes vectorises;
 * only correctly rounded operations, so that every compiler, instruction set and GPU gives the same bits.
 * Coefficients are minimax fits (Lawson iteration) over the stated interval. The errors below are measured over
 * every float of the domain by tests/test_elementary.c, which fails if one grows. */
#ifndef NSAMP_KERNELS_ELEMENTARY_H
#define NSAMP_KERNELS_ELEMENTARY_H

#include "kernels/hd.h"

/* Natural logarithm of a positive normal float. */
NSAMP_HD float nsamp_log(float x) {
    /* x = 2^k (1 + f), 1 + f in [sqrt(1/2), sqrt(2)) */
    uint32_t ix = nsamp_bits_of(x) + (0x3f800000u - 0x3f3504f3u);
    float k = (float)((int32_t)(ix >> 23) - 127);
    float f = nsamp_float_of((ix & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
    float p = 0x1.6d46c0p-4f;
    p = nsamp_fma(p, f, -0x1.25e45cp-3f);
    p = nsamp_fma(p, f, 0x1.30ae16p-3f);
    p = nsamp_fma(p, f, -0x1.5343a4p-3f);
    p = nsamp_fma(p, f, 0x1.98e430p-3f);
    p = nsamp_fma(p, f, -0x1.000494p-2f);
    p = nsamp_fma(p, f, 0x1.5556b6p-2f);
    p = nsamp_fma(p, f, -0.5f);
    return nsamp_fma(k, 0x1.62e430p-1f, nsamp_fma(p, f * f, f));
}

/* cos and sin of pi w / 2^31, the angle of a random word. The low 31 bits, signed, are an angle in [-pi/2, pi/2];
 * the top bit turns it by half a circle through the sign of the cosine. */
NSAMP_HD void nsamp_cos_sin_of_word(uint32_t w, float *cosine, float *sine) {
    float y = (float)(int32_t)(w << 1) * 0x1p-31f; /* quarter turns, in [-1, 1] */
    float t = y * y;
    float s = 1.5167853188324026e-04f;
    s = nsamp_fma(s, t, -4.6741574962377887e-03f);
    s = nsamp_fma(s, t, 7.9689926866771926e-02f);
    s = nsamp_fma(s, t, -6.4596376129152033e-01f);
    s = nsamp_fma(s, t, 1.5707963200919985f);
    float c = -8.5670171692709112e-04f; /* cos(pi y / 2) = (1 - y^2) q(y^2): exactly zero at the ends */
    c = nsamp_fma(c, t, 1.9951289225894668e-02f);
    c = nsamp_fma(c, t, -2.3369802640693549e-01f);
    c = nsamp_fma(c, t, 9.9999994737953124e-01f);
    c = c * (1.0f - t);
    *sine = y * s;
    *cosine = nsamp_float_of(nsamp_bits_of(c) ^ (w & 0x80000000u));
}

#endif
