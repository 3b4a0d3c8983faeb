/* ceilings.h: loops that measure what a core can do, one copy for each instruction set. */
#ifndef NSAMP_KERNELS_CEILINGS_H
#define NSAMP_KERNELS_CEILINGS_H

#include <stdint.h>

/* fma: rounds x 12 x 16 fused multiply-adds, result in out [16]; factor just below 1.
 * noise: steps x blocks x 4 x 64 normals of purpose CHECK, their sum in out [1]. */
#define NSAMP_CEILINGS(isa)                                                                                  \
    void nsamp_ceiling_fma_##isa(float factor, uint64_t rounds, float *out);                                 \
    void nsamp_ceiling_noise_##isa(uint64_t seed, uint32_t chain0, uint64_t steps, uint32_t blocks,          \
                                   float *out);
NSAMP_CEILINGS(base)
NSAMP_CEILINGS(v3)
NSAMP_CEILINGS(v4)
#undef NSAMP_CEILINGS

enum { NSAMP_CEILING_FMAS = 12 * 16, NSAMP_CEILING_NORMALS = 4 * 64 };

#endif
