/* rsn_bf16.h: the step of a reservoir-sampler network, output level, with products of bf16 numbers in one kernel, for a CPU: by its
 * matrix unit (amx.h), or the same bits by multiply-adds. The equation is that of systems/rsn.h; a GPU has its own kernels
 * (cuda_rsn_tensor.cu, cuda_rsn_wgmma.cu).
 *
 *     y = W1 bf16(phi(b + bf16(W2) bf16(x))), W1 in bf16;  x <- x + h (y - x) + a xi
 *
 * Sums of products in float32, in the order of amx.h over blocks of 32 inputs or units; b, phi, x and noise in float32. Bits depend on
 * nothing but the network and the chain: neither tile, thread nor instruction set. */
#ifndef NSAMP_KERNELS_RSN_BF16_H
#define NSAMP_KERNELS_RSN_BF16_H

#include "kernels/bf16.h"
#include "kernels/kernel.h"

enum {
    NSAMP_RSN_BF16_LANES = 32, /* chains that go through a panel together; a tile is a multiple of 64 */
    NSAMP_RSN_BF16_PANEL = 256 /* units: their values for 32 chains fill 16 KiB of the first-level cache */
};

/* Weights in tiles of amx.h, zero beyond m and n. params->product of nsamp_rsn_params. The arrays are 64-byte aligned, the host's
 * (systems/rsn_bf16.c). Units count in blocks of 32, beyond n with zero weights. */
typedef struct nsamp_rsn_bf16 {
    uint32_t rows;        /* tiles of 16 outputs */
    uint32_t depth;       /* tiles of 32 inputs */
    uint32_t units;       /* n, rounded up to a multiple of 32 */
    const nsamp_bf16 *w2; /* [units / 32][depth][2][16][32]: unit 16 i + row, input 32 k + column */
    const float *bias;    /* [units / 16][16][16]: b of the row's unit, 16 times */
    const nsamp_bf16 *
        w1; /* for each panel [rows][its units / 32][16][32], two rows of tiles at a time: [.. / 32][2][16][32] */
} nsamp_rsn_bf16;

/* Scratch of a tile of L chains; every part a multiple of 64 bytes. */
typedef struct nsamp_rsn_bf16_parts {
    float *y, *xi;    /* [m][L] */
    float *sums;      /* [L / 32][rows][2][16][16]: y in tiles */
    uint32_t *x;      /* [L / 32][depth][2][16][16]: pairs of x */
    uint32_t *hidden; /* [PANEL / 32][2][16][16]: pairs of phi */
} nsamp_rsn_bf16_parts;

/* The parts from `base` on -> *parts; their bytes in all. */
NSAMP_HD size_t nsamp_rsn_bf16_carve(uint32_t m, uint32_t L, float *base, nsamp_rsn_bf16_parts *parts) {
    const size_t rows = (m + 15) / 16, depth = (m + 31) / 32;
    float *at = base;
    parts->y = at, at += (size_t)m * L;
    parts->xi = at, at += (size_t)m * L;
    parts->sums = at, at += rows * 16 * L;
    parts->x = (uint32_t *)at, at += depth * 16 * L;
    parts->hidden = (uint32_t *)at, at += NSAMP_RSN_BF16_PANEL / 2 * NSAMP_RSN_BF16_LANES;
    return sizeof(float) * (size_t)(at - base);
}

/* The kernel for each instruction set; amx: AVX-512 and the matrix unit, which is there only where the compiler has it and the system
 * lets the process use it (host, isa.h). A tile is any multiple of 64 chains. */
extern const nsamp_cpu_kernel nsamp_rsn_bf16_base, nsamp_rsn_bf16_v3, nsamp_rsn_bf16_v4, nsamp_rsn_bf16_amx;

#endif
