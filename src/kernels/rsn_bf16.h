/* rsn_bf16.h: the step of a reservoir-sampler network, output level, with products of bf16 numbers in one kernel, for a CPU: by its
 * matrix unit (amx.h), or the same bits by multiply-adds. The equation is that of systems/rsn.h; a GPU has its own kernels
 * (cuda_rsn_tensor.cu, cuda_rsn_wgmma.cu).
 *
 *     y = W1 bf16(phi(b + bf16(W2) bf16(x))), W1 in bf16;  x <- x + h (y - x) + a xi
 *
 * Or with the accuracy of float32, factors in three parts, w = w_0 + w_1 + w_2, w_0 = bf16(w), w_1 = bf16(w - w_0), w_2 what is left: 24 bits.
 * A product is then six, those of w_i and x_k with i + k at most 2; what is left out is below 2^-24 of it [Henry, Tang and Heinecke, Leveraging the
 * bfloat16 artificial intelligence datatype for higher-precision computations, ARITH 2019].
 *
 * Sums of products in float32, in the order of amx.h over blocks of 32 inputs or units; b, phi, x and noise in float32. Bits depend on
 * nothing but the network and the chain: neither tile, thread nor, on x86-64, instruction set. */
#ifndef NSAMP_KERNELS_RSN_BF16_H
#define NSAMP_KERNELS_RSN_BF16_H

#include "kernels/bf16.h"
#include "kernels/kernel.h"

enum { NSAMP_RSN_BF16_LANES = 32 /* chains that go through a panel together; a tile is a multiple of 64 */ };

/* Units of a panel: their values for 32 chains, in one part or three, fill 16 or 24 KiB of the first-level cache. */
NSAMP_HD uint32_t nsamp_rsn_bf16_panel(uint32_t parts) {
    return parts == 1 ? 256 : 128;
}

/* Weights in tiles of amx.h, zero beyond m and n. params->product of nsamp_rsn_params. The arrays are 64-byte aligned, the host's
 * (systems/rsn_bf16.c). Units count in blocks of 32, beyond n with zero weights. */
typedef struct nsamp_rsn_bf16 {
    uint32_t parts;    /* P of a factor: 1 or 3 */
    uint32_t rows;     /* tiles of 16 outputs */
    uint32_t depth;    /* tiles of 32 inputs */
    uint32_t units;    /* n, rounded up to a multiple of 32 */
    const float *bias; /* [units / 16][16][16]: b of the row's unit, 16 times */
    /* One panel after the other, k of its units: W2 [k / 32][depth][P][2][16][32], unit 16 i + row, input 32 k + column; then W1, two rows of tiles
     * together, [k / 32][P][2][16][32], a last row by itself. */
    const nsamp_bf16 *weights;
} nsamp_rsn_bf16;

/* Scratch of a tile of L chains; every part a multiple of 64 bytes. */
typedef struct nsamp_rsn_bf16_parts {
    float *y, *xi;    /* [m][L] */
    float *sums;      /* [L / 32][rows][2][16][16]: y in tiles */
    uint32_t *x;      /* [L / 32][depth][P][2][16][16]: pairs of x */
    uint32_t *hidden; /* [units of a panel / 32][P][2][16][16]: pairs of phi */
} nsamp_rsn_bf16_parts;

/* The parts of the scratch from `base` on -> *to; their bytes in all. */
NSAMP_HD size_t nsamp_rsn_bf16_carve(const nsamp_rsn_bf16 *q, uint32_t m, uint32_t L, float *base,
                                     nsamp_rsn_bf16_parts *to) {
    float *at = base;
    to->y = at, at += (size_t)m * L;
    to->xi = at, at += (size_t)m * L;
    to->sums = at, at += (size_t)q->rows * 16 * L;
    to->x = (uint32_t *)at, at += (size_t)q->depth * q->parts * 16 * L;
    to->hidden = (uint32_t *)at, at += nsamp_rsn_bf16_panel(q->parts) * q->parts / 2 * NSAMP_RSN_BF16_LANES;
    return sizeof(float) * (size_t)(at - base);
}

/* The kernel for each instruction set; amx: AVX-512 and the matrix unit, which is there only where the compiler has it and the system
 * lets the process use it (host, isa.h). A tile is any multiple of 64 chains. */
extern const nsamp_cpu_kernel nsamp_rsn_bf16_base, nsamp_rsn_bf16_v3, nsamp_rsn_bf16_v4, nsamp_rsn_bf16_amx;

#endif
