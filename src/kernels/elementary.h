/* elementary.h: log, sine and cosine, exp, tanh, softplus from + - * fma sqrt and bit operations.
 *
 * Not a libm: no errno, no rounding modes, arguments as stated. Branch-free, so that a loop over lanes
 * vectorises; only correctly rounded operations, so that every compiler, instruction set and GPU gives the
 * same bits. Coefficients are minimax fits (Lawson iteration) over the stated interval. The errors below are
 * measured over every float of the domain by tests/test_elementary.c, which fails if one grows. */
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

#endif
