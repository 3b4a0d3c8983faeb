/* reference_amx.h: a block of 32 terms in the order of Intel's matrix unit (TDPBF16PS in the manual), one number at a time; shares no code
 * with kernels/amx.h. */
#ifndef NSAMP_TESTS_REFERENCE_AMX_H
#define NSAMP_TESTS_REFERENCE_AMX_H

#include <float.h>
#include <stdbool.h>

#include "reference_bf16.h"

static inline float ref_flushed(float x) {
    return fabsf(x) < FLT_MIN ? copysignf(0.0f, x) : x;
}

static inline float ref_rounded(float x) {
    return (float)ref_bf16((double)ref_flushed(x));
}

/* c + a b over 32 numbers; in_turn: in another order, one number after the other. */
static inline float ref_block(const float *a, const float *b, float c, bool in_turn) {
    float even = 0.0f, odd = 0.0f;
    for (int k = 0; in_turn && k < 32; k++)
        c = ref_flushed(fmaf(a[k], b[k], ref_flushed(c)));
    if (in_turn) return c;
    for (int k = 0; k < 32; k += 2) {
        even = ref_flushed(fmaf(a[k], b[k], even));
        odd = ref_flushed(fmaf(a[k + 1], b[k + 1], odd));
    }
    return ref_flushed(ref_flushed(c) + ref_flushed(even + odd));
}

#endif
