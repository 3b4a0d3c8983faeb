/* laplace_copula.h: float32 score of the two Gaussian copulas of correlation +rho and -rho with Laplace marginals (the
 * double-precision target is host/targets/laplace_copula.c).
 *
 *   z_i = sign(x_i) z(t_i), t_i = sqrt 2 |x_i| = -log erfc(z / sqrt 2);   q = 1 - rho^2
 *   score_i = -sqrt 2 sign(x_i) + sqrt 2 m(|z_i|) [w z_j tanh(w z_1 z_2) - rho w z_i],  w = rho / q
 * m is the Mills ratio (1 - Phi) / phi. Nothing here is the difference of large numbers or takes the logarithm of a tail: z and
 * m are fits in variables that tend to constants at both ends.
 *   z(t) = t / sqrt(2/pi + t/2) A((sqrt t - 1) / (sqrt t + 1))    A(.) -> 1 for t -> 0 and t -> infinity
 *   m(z) = B((z - 3) / (z + 3)) / (1 + z)
 * on t <= 128 (|x| <= 90.5; the target puts 2.6e-56 beyond); farther out z stays at z(128) = 15.81, so that the drift
 * still points back, at -sqrt 2 + O(1/z). Errors measured in tests/test_scores.c. */
#ifndef NSAMP_KERNELS_TARGETS_LAPLACE_COPULA_H
#define NSAMP_KERNELS_TARGETS_LAPLACE_COPULA_H

#include "kernels/elementary.h"

/* z >= 0 with erfc(z / sqrt 2) = exp(-t), 0 <= t <= 128. */
NSAMP_HD float nsamp_copula_z(float t) {
    const float w = nsamp_sqrt(t), y = nsamp_div(w - 1.0f, w + 1.0f);
    float a = -0x1.788088p-9f;
    a = nsamp_fma(a, y, -0x1.c72efap-7f);
    a = nsamp_fma(a, y, -0x1.ad5852p-10f);
    a = nsamp_fma(a, y, 0x1.912d9ep-5f);
    a = nsamp_fma(a, y, 0x1.532484p-6f);
    a = nsamp_fma(a, y, -0x1.747aa6p-4f);
    a = nsamp_fma(a, y, -0x1.66a028p-5f);
    a = nsamp_fma(a, y, 0x1.efd4aap-4f);
    a = nsamp_fma(a, y, 0x1.d71cbep-5f);
    a = nsamp_fma(a, y, -0x1.20ce92p-3f);
    a = nsamp_fma(a, y, -0x1.4858c2p-4f);
    a = nsamp_fma(a, y, 0x1.f3ab38p-4f);
    a = nsamp_fma(a, y, 0x1.718086p-4f);
    a = nsamp_fma(a, y, -0x1.7a8170p-5f);
    a = nsamp_fma(a, y, 0x1.eb8454p-1f);
    return a * nsamp_div(t, nsamp_sqrt(nsamp_fma(0.5f, t, 0x1.45f306p-1f)));
}

/* Mills ratio (1 - Phi(z)) / phi(z), 0 <= z <= 15.9. */
NSAMP_HD float nsamp_mills(float z) {
    const float y = nsamp_div(z - 3.0f, z + 3.0f);
    float b = -0x1.22ffeap-13f;
    b = nsamp_fma(b, y, -0x1.1b1a22p-10f);
    b = nsamp_fma(b, y, -0x1.5899b2p-11f);
    b = nsamp_fma(b, y, 0x1.ea0554p-8f);
    b = nsamp_fma(b, y, 0x1.715caep-9f);
    b = nsamp_fma(b, y, -0x1.d2ad1ap-5f);
    b = nsamp_fma(b, y, 0x1.cfc278p-4f);
    b = nsamp_fma(b, y, -0x1.516d00p-5f);
    b = nsamp_fma(b, y, -0x1.ef8748p-3f);
    b = nsamp_fma(b, y, 0x1.37e686p+0f);
    return nsamp_div(b, 1.0f + z);
}

/* s [2] at x [2] for w = rho / (1 - rho^2). At x_i = 0, where the density has an edge, the middle of the jump. A NaN
 * stays one. */
NSAMP_HD void nsamp_laplace_copula_score(float rho, float w, const float x[2], float s[2]) {
    float z[2], mills[2], sign[2];
    for (int i = 0; i < 2; i++) {
        const uint32_t bit = nsamp_bits_of(x[i]) & 0x80000000u;
        const float far = 0x1.6a09e6p+0f * nsamp_float_of(nsamp_bits_of(x[i]) ^ bit);
        const float t = far > 128.0f ? 128.0f : far;
        const float size = nsamp_copula_z(t);
        mills[i] = nsamp_mills(size);
        z[i] = nsamp_float_of(nsamp_bits_of(size) | bit);
        sign[i] = x[i] == 0.0f ? 0.0f : nsamp_float_of(0x3fb504f3u | bit);
    }
    const float turn = nsamp_tanh(w * z[0] * z[1]);
    for (int i = 0; i < 2; i++) {
        const float pull = nsamp_fma(-rho * w, z[i], w * z[1 - i] * turn);
        s[i] = nsamp_fma(0x1.6a09e6p+0f * mills[i], pull, -sign[i]);
    }
}

#endif
