/* ceilings.h: loops that measure what a core can do, one copy for each instruction set. */
#ifndef NSAMP_KERNELS_CEILINGS_H
#define NSAMP_KERNELS_CEILINGS_H

#include <stdint.h>

typedef void nsamp_ceiling_words_fn(uint64_t seed, uint32_t chain0, uint64_t steps, uint32_t blocks,
                                    uint32_t *out);
typedef void nsamp_ceiling_fma_fn(float factor, uint64_t rounds, float *out);
typedef void nsamp_ceiling_noise_fn(uint64_t seed, uint32_t chain0, uint64_t steps, uint32_t blocks,
                                    float *out);

/* fma: rounds x 12 x 16 fused multiply-adds, result in out [16]; factor just below 1.
 * noise: steps x blocks x 4 x 64 normals of purpose CHECK, their sum in out [1]. words: the same without making
 * normals of them. compiler: what compiled
 * the kernels, a constant string. */
#define NSAMP_CEILINGS(isa)                                                                                  \
    nsamp_ceiling_fma_fn nsamp_ceiling_fma_##isa;                                                            \
    nsamp_ceiling_noise_fn nsamp_ceiling_noise_##isa;                                                        \
    nsamp_ceiling_words_fn nsamp_ceiling_words_##isa;                                                        \
    const char *nsamp_ceiling_compiler_##isa(void);
NSAMP_CEILINGS(base)
NSAMP_CEILINGS(v3)
NSAMP_CEILINGS(v4)
#undef NSAMP_CEILINGS

/* rounds x 4 products of tiles by the matrix unit (amx.h), sums in registers; in the copy for it alone. */
void nsamp_ceiling_matrix_amx(uint64_t rounds, float *out /* [4][256] */);

enum { NSAMP_CEILING_MATRIX_FLOP = 4 * 2 * 16 * 16 * 32 };
enum { NSAMP_CEILING_FMAS = 12 * 16, NSAMP_CEILING_NORMALS = 4 * 64 };

#endif
