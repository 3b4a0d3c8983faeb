/* approx.h: the functions of cuda_approx.h with the errors that they may have: the exact value off by a share of the bound,
 * then rounded. The share is nsamp_shim_approx: -1 and 1 everywhere, or NAN for one drawn from the argument's bits,
 * different for each argument. rsqrt alone is as good as a float can be: nsamp_sqrt_mid is the compiler's own sequence for
 * sqrt.rn, which is correct with the root that the device really gives (at the documented bound 10 of 2^24 arguments would
 * not be). */
#ifndef NSAMP_SHIM_APPROX_H
#define NSAMP_SHIM_APPROX_H

#include <math.h>
#include <stdint.h>
#include <string.h>

extern "C" double nsamp_shim_approx;

static inline double nsamp_shim_share(float x) {
    if (!isnan(nsamp_shim_approx)) return nsamp_shim_approx;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits ^ bits >> 16) * 0x7feb352du;
    bits = (bits ^ bits >> 15) * 0x846ca68bu;
    return (double)(int32_t)(bits ^ bits >> 16) * 0x1p-31;
}

#define NSAMP_APPROX
static inline float nsamp_approx_rcp(float x) {
    return (float)(1 / (double)x * (1 + nsamp_shim_share(x) * 0x1p-23));
}
static inline float nsamp_approx_rsqrt(float x) {
    return (float)(1 / sqrt((double)x));
}
static inline float nsamp_approx_sqrt(float x) {
    return (float)(sqrt((double)x) * (1 + nsamp_shim_share(x) * 0x1p-23));
}
static inline float nsamp_approx_log2(float x) {
    const double y = log2((double)x), bound = x > 0.5f && x < 2.0f ? 0x1p-22 : 0x1p-22 * fabs(y);
    return (float)(y + nsamp_shim_share(x) * bound);
}
static inline float nsamp_approx_sin(float x) {
    return (float)(sin((double)x) + nsamp_shim_share(x) * exp2(-20.5));
}
static inline float nsamp_approx_cos(float x) {
    return (float)(cos((double)x) + nsamp_shim_share(-x) * exp2(-20.5));
}
static inline float nsamp_approx_tanh(float x) {
    return (float)(tanh((double)x) * (1 + nsamp_shim_share(x) * 0x1p-11));
}

#endif
