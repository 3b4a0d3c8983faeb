/* rsn_panels.h: the step of a reservoir-sampler network of many outputs in float32, both levels, for a CPU: what nsamp_rsn_any of
 * systems/rsn.h computes, with the same bits, in an order of loops that reads weights from memory rarely. The equation is there.
 * And in bf16 where a processor multiplies such numbers no faster: the same multiply-adds of rounded factors.
 *
 * Units go through the second-level cache in panels, with all chains of a tile, 64 of these at a time: so weights come from memory once
 * a tile, and a row of y once a panel. In registers lie six units, or six outputs, by 64 chains (AVX2: 16; sums_block.h).
 * Each sum takes its terms in order, in one accumulator, so no bits depend on panel, tile or instruction set. */
#ifndef NSAMP_KERNELS_RSN_PANELS_H
#define NSAMP_KERNELS_RSN_PANELS_H

#include "kernels/kernel.h"
#include "kernels/sums_block.h"

enum {
    NSAMP_RSN_PANELS_ROWS = NSAMP_SUMS_ROWS,   /* units or outputs together */
    NSAMP_RSN_PANELS_LANES = NSAMP_SUMS_LANES, /* chains that go through a panel together, at most */
    NSAMP_RSN_PANELS_MOST = 192                /* units of a panel: their values for 64 chains are 48 KiB */
};

/* Packed weights; params->product of nsamp_rsn_params. The array is 64-byte aligned, the host's (systems/rsn_panels.c). */
typedef struct nsamp_rsn_panels {
    uint32_t units; /* n, rounded up as in nsamp_rsn_params */
    uint32_t
        panel; /* units of a panel, a multiple of 6 and at most NSAMP_RSN_PANELS_MOST; the last has what is left */
    /* 1: bf16. The factors of both layers are rounded to bf16, x and hidden units in each step, W1 and W2 when they are packed; b, S, noise and r
     * are not. */
    uint32_t rounded;
    /* One panel after the other, of k units: b [k]; W2 in blocks [m][6] of six units, the last of what is left; at the reservoir level a S as W2;
     * W1 in blocks [k][6] of six outputs, the last of what is left. */
    const float *weights;
} nsamp_rsn_panels;

/* Numbers of a unit in its panel. */
NSAMP_HD uint32_t nsamp_rsn_panels_each(uint32_t m, uint32_t reservoir) {
    return 1 + (2 + reservoir) * m;
}

/* Scratch of a tile of L chains, any multiple of 16. Where L is more than 64, or factors are rounded, x, y and xi are there once more, 64 chains a
 * group. */
typedef struct nsamp_rsn_panels_parts {
    float *y, *xi;       /* [m][L] */
    float *gx, *gy, *gz; /* of each group [m][64]: x, y; xi, at the reservoir level */
    float *hidden;       /* [units of a panel][64] */
} nsamp_rsn_panels_parts;

/* The parts of the scratch from `base` on -> *to; their bytes in all. */
NSAMP_HD size_t nsamp_rsn_panels_carve(uint32_t m, uint32_t reservoir, uint32_t rounded, uint32_t L,
                                       float *base, nsamp_rsn_panels_parts *to) {
    const uint32_t wide = L > NSAMP_RSN_PANELS_LANES || rounded ? (L + 63) / 64 * 64 : 0;
    float *at = base;
    to->y = at, at += (size_t)m * L;
    to->xi = at, at += (size_t)m * L;
    to->gx = at, at += (size_t)m * wide;
    to->gy = at, at += (size_t)m * wide;
    to->gz = at, at += (size_t)reservoir * m * wide;
    to->hidden = at, at += NSAMP_RSN_PANELS_MOST * NSAMP_RSN_PANELS_LANES;
    return sizeof(float) * (size_t)(at - base);
}

/* The kernel for each instruction set. A tile is any multiple of 16 chains. */
extern const nsamp_cpu_kernel nsamp_rsn_panels_base, nsamp_rsn_panels_v3, nsamp_rsn_panels_v4;

#endif
