/* heart.h: float32 score of the heart-shaped density exp(-(Q/4)^2), Q = 0.8 x_1^2 + y^2, y = x_2 - (x_1^2)^(1/3) (the
 * double-precision target, with the reading of the slide, is host/targets/heart.c). Errors: tests/test_scores.c. */
#ifndef NSAMP_KERNELS_TARGETS_HEART_H
#define NSAMP_KERNELS_TARGETS_HEART_H

#include "kernels/elementary.h"

/* a^(-1/3) of a positive normal float: from the bits to 3.4 %, then three steps of Newton. */
NSAMP_HD float nsamp_rcbrt(float a) {
    float y =
        nsamp_float_of(0x54a23400u - (uint32_t)(int32_t)((float)(int32_t)nsamp_bits_of(a) * 0x1.555556p-2f));
    for (int i = 0; i < 3; i++) {
        const float e = nsamp_fma(-(a * y), y * y, 1.0f); /* 1 - a y^3 */
        y = nsamp_fma(y * 0x1.555556p-2f, e, y);
    }
    return y;
}

/* s [2] at x [2]. The pole at x_1 = 0 is cut at |x_1| = 2^-126, the jump at 0 itself taken as 0. */
NSAMP_HD void nsamp_heart_score(const float x[2], float s[2]) {
    const uint32_t bit = nsamp_bits_of(x[0]) & 0x80000000u;
    const float size = nsamp_float_of(nsamp_bits_of(x[0]) ^ bit);
    const float root = nsamp_rcbrt(size > 0x1p-126f ? size : 0x1p-126f);
    const float y = nsamp_fma(-size, root, x[1]); /* |x_1| |x_1|^(-1/3) is its 2/3 power */
    const float q = nsamp_fma(0.8f * x[0], x[0], y * y), g = -0.25f * q;
    const float slope = x[0] == 0.0f ? 0.0f : nsamp_float_of(nsamp_bits_of(root * 0x1.555556p-1f) ^ bit);
    s[0] = g * nsamp_fma(-y, slope, 0.8f * x[0]);
    s[1] = g * y;
}

#endif
