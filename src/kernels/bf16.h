/* bf16.h: the upper half of a float32 as a number of its own, for weights and activations of matrix products.
 * Stored as uint16_t; arithmetic on them is the products' affair. */
#ifndef NSAMP_KERNELS_BF16_H
#define NSAMP_KERNELS_BF16_H

#include "kernels/hd.h"

typedef uint16_t nsamp_bf16;

/* To the nearest, ties to even; a NaN stays one. */
NSAMP_HD nsamp_bf16 nsamp_bf16_of(float value) {
    const uint32_t bits = nsamp_bits_of(value);
    const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    return (nsamp_bf16)((bits & 0x7fffffffu) > 0x7f800000u ? bits >> 16 | 0x40u : rounded >> 16);
}

NSAMP_HD float nsamp_bf16_value(nsamp_bf16 value) {
    return nsamp_float_of((uint32_t)value << 16);
}

/* The float32 that is rounded so. */
NSAMP_HD float nsamp_bf16_round(float value) {
    const uint32_t bits = nsamp_bits_of(value), rounded = bits + 0x7fffu + (bits >> 16 & 1u);
    return nsamp_float_of(((bits & 0x7fffffffu) > 0x7f800000u ? bits | 0x400000u : rounded) & 0xffff0000u);
}

/* y [count] = x [count] rounded to bf16, in float32; may not overlap. As nsamp_cpu_kernels_* of kernel.h; all give the same bits. */
void nsamp_round_to_bf16_base(size_t count, const float *x, float *y);
void nsamp_round_to_bf16_v3(size_t count, const float *x, float *y);
void nsamp_round_to_bf16_v4(size_t count, const float *x, float *y);

#endif
