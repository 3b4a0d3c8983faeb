/* kernel.h: the contract between a system's kernel and the engines that drive it.
 *
 * A kernel advances tiles of chains. The state of a tile is float32 [S][L]: S numbers a chain, L chains
 * ("lanes"), lane fastest; tiles lie one after the other. L belongs to the kernel and backend (CPU: usually
 * 16 or 64; product kernels: the plan's choice; CUDA: 32) and is never visible in results: a chain's path
 * depends on its number, the seed and the step alone. Lanes beyond the last chain are computed and ignored.
 *
 * Parameters are one flat block of bytes: a struct at its head, then arrays that the struct finds by byte
 * offset. It holds no pointers, so a device gets a copy of the bytes.
 *
 * Steps are numbered from 0 over the whole life of a chain; advancing from step t uses the noise of step t.
 */
#ifndef NSAMP_KERNELS_KERNEL_H
#define NSAMP_KERNELS_KERNEL_H

#include <stddef.h>
#include <stdint.h>
#include "kernels/noise.h"

typedef struct nsamp_tile {
    float *state;  /* [S][L] in and out */
    uint32_t *bad; /* [L]: 0, or 1 + offset (from step0) of the first step after which x is not finite */
    void *scratch; /* scratch_bytes of it, 64-byte aligned, one a thread; contents do not survive a call. Rows
                      of L 32-bit numbers, as the state: on a GPU each lane is moved to its own column */
    uint32_t chain0;       /* global number of lane 0 */
    uint32_t lanes;        /* L */
    nsamp_noise_key noise; /* seed and rounds */
} nsamp_tile;

/* Advances the tile by nsteps steps, the first numbered step0. Pure but for *tile: same input, same bits. */
typedef void nsamp_advance_fn(const void *params, const nsamp_tile *tile, uint64_t step0, uint32_t nsteps);
/* Writes the sampled quantity x [D][L] of the tile's present state; leaves the state alone. */
typedef void nsamp_observe_fn(const void *params, const nsamp_tile *tile, float *x);

typedef struct nsamp_cpu_kernel {
    const char *name;
    uint32_t lanes; /* L; 0: any multiple of 16, the plan's choice */
    nsamp_advance_fn *advance;
    nsamp_observe_fn *observe;
} nsamp_cpu_kernel;

/* Kernels by number; the list is kernels.def. A model names its kernel by this number on every backend. */
typedef enum nsamp_kernel_id {
#define NSAMP_KERNEL(name) NSAMP_KERNEL_##name,
#include "kernels/kernels.def"
#undef NSAMP_KERNEL
    NSAMP_KERNEL_count
} nsamp_kernel_id;

/* The table of one instruction set: "base", "v3" (AVX2, FMA) or "v4" (AVX-512); NULL where not compiled in.
 */
const nsamp_cpu_kernel *nsamp_cpu_kernels_base(void);
const nsamp_cpu_kernel *nsamp_cpu_kernels_v3(void);
const nsamp_cpu_kernel *nsamp_cpu_kernels_v4(void);

#endif
