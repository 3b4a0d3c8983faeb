/* reference_bf16.h: rounding to bf16 by arithmetic on the value; shares no code with kernels/bf16.h. */
#ifndef NSAMP_TESTS_REFERENCE_BF16_H
#define NSAMP_TESTS_REFERENCE_BF16_H

#include <math.h>

/* The bf16 number nearest to x, ties to even, without a bound on the exponent; infinities and NaN as they are. */
static inline double ref_bf16(double x) {
    if (x == 0 || !isfinite(x)) return x;
    int e;
    const double f = frexp(x, &e); /* |f| in [1/2, 1): 8 bits are f * 256 */
    return ldexp(nearbyint(f * 256), e - 8);
}

#endif
