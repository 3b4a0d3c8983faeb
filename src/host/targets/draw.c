/* draw.c: the noise of exact draws. Draw number i takes the counter (i mod 2^32, i / 2^32, block, purpose),
 * so all 2^64 numbers are different draws. */
#include "targets/builders.h"

void nsamp_target_normals(nsamp_noise_key key, uint32_t purpose, uint64_t i, uint32_t block, size_t dim,
                          double *z) {
    for (size_t d = 0; d < dim; d += 4) {
        float four[4];
        nsamp_normals4(key, purpose, (uint32_t)i, i >> 32, block + (uint32_t)(d / 4), four);
        for (size_t k = 0; k < 4 && d + k < dim; k++)
            z[d + k] = four[k];
    }
}

double nsamp_target_uniform(uint32_t high, uint32_t low) {
    const uint64_t bits = ((uint64_t)high << 32 | low) >> 12;
    return ((double)bits + 0.5) * 0x1p-52;
}
