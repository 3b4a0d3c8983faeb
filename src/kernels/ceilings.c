/* ceilings.c: what the arithmetic units do when nothing else is asked of them. Compiled like cpu.c, once for each instruction
 * set, since the ceiling of a kernel is that of the instructions it is compiled to. Measurement is in src/host/bench. */
#include "kernels/isa_name.h"
#include "kernels/ceilings.h"

#include "kernels/amx.h"
#include "kernels/noise_row.h"
#include "kernels/vector.h"

enum { L = 64, CHAINS_OF_FMA = 12 };

#ifdef NSAMP_AMX

void nsamp_ceiling_matrix_amx(uint64_t rounds, float *out) {
    static const nsamp_bf16 factors[2][NSAMP_AMX_FACTORS] __attribute__((aligned(64)));
    nsamp_amx t;
    nsamp_amx_begin(&t);
    NSAMP_AMX_CLEAR(&t, 0);
    NSAMP_AMX_CLEAR(&t, 1);
    NSAMP_AMX_CLEAR(&t, 2);
    NSAMP_AMX_CLEAR(&t, 3);
    NSAMP_AMX_LEFT(&t, 4, factors[0]);
    NSAMP_AMX_LEFT(&t, 5, factors[1]);
    NSAMP_AMX_RIGHT(&t, 6, factors[0]);
    NSAMP_AMX_RIGHT(&t, 7, factors[1]);
    for (uint64_t r = 0; r < rounds; r++) {
        NSAMP_AMX_PRODUCT(&t, 0, 4, 6);
        NSAMP_AMX_PRODUCT(&t, 1, 4, 7);
        NSAMP_AMX_PRODUCT(&t, 2, 5, 6);
        NSAMP_AMX_PRODUCT(&t, 3, 5, 7);
    }
    NSAMP_AMX_PUT(&t, 0, out);
    NSAMP_AMX_PUT(&t, 1, out + NSAMP_AMX_SUMS);
    NSAMP_AMX_PUT(&t, 2, out + 2 * NSAMP_AMX_SUMS);
    NSAMP_AMX_PUT(&t, 3, out + 3 * NSAMP_AMX_SUMS);
    NSAMP_AMX_END(&t);
}

#else

const char *NSAMP_PASTE(nsamp_ceiling_compiler_, NSAMP_ISA)(void) {
#ifdef __clang__
    return __VERSION__;
#else
    return "gcc " __VERSION__;
#endif
}

/* Independent accumulators hide the latency of an FMA, as many vectors as fit the registers; the factor comes from outside, so
 * nothing can be computed beforehand. */
void NSAMP_PASTE(nsamp_ceiling_fma_, NSAMP_ISA)(float factor, uint64_t rounds, float *out) {
    enum { W = NSAMP_WIDTH > 1 ? NSAMP_WIDTH : 4 };
    for (int part = 0; part < 16; part += W) {
        float a[CHAINS_OF_FMA][W];
        for (int i = 0; i < CHAINS_OF_FMA; i++)
            for (int l = 0; l < W; l++)
                a[i][l] = (float)(i + part + l);
        for (uint64_t r = 0; r < rounds; r++)
            for (int i = 0; i < CHAINS_OF_FMA; i++) {
                NSAMP_PRAGMA(omp simd)
                for (int l = 0; l < W; l++)
                    a[i][l] = nsamp_fma(a[i][l], factor, factor);
            }
        for (int l = 0; l < W; l++) {
            out[part + l] = 0.0f;
            for (int i = 0; i < CHAINS_OF_FMA; i++)
                out[part + l] += a[i][l];
        }
    }
}

/* The noise of the kernels and nothing else: each normal is added to a sum, so that it must be made. */
void NSAMP_PASTE(nsamp_ceiling_noise_, NSAMP_ISA)(uint64_t seed, uint32_t chain0, uint64_t steps,
                                                  uint32_t blocks, float *out) {
    const nsamp_noise_key key = {(uint32_t)seed, (uint32_t)(seed >> 32), 10};
    float z[4 * L], sum[4 * L];
    nsamp_row row;
    for (uint32_t i = 0; i < 4 * L; i++)
        sum[i] = 0.0f;
    for (uint64_t step = 0; step < steps; step++) {
        nsamp_row_begin(&row, key, NSAMP_PURPOSE_CHECK, chain0, step, L);
        for (uint32_t b = 0; b < blocks; b++) {
            nsamp_row_normals(&row, key, b, L, z);
            NSAMP_PRAGMA(omp simd)
            for (uint32_t i = 0; i < 4 * L; i++)
                sum[i] += z[i];
        }
    }
    out[0] = 0.0f;
    for (uint32_t i = 0; i < 4 * L; i++)
        out[0] += sum[i];
}

/* The random words of the noise and nothing else, mixed into one by exclusive or. */
void NSAMP_PASTE(nsamp_ceiling_words_, NSAMP_ISA)(uint64_t seed, uint32_t chain0, uint64_t steps,
                                                  uint32_t blocks, uint32_t *out) {
    const nsamp_noise_key key = {(uint32_t)seed, (uint32_t)(seed >> 32), 10};
    uint32_t w[4 * L] __attribute__((aligned(64))), mix[4 * L];
    nsamp_row row;
    for (uint32_t i = 0; i < 4 * L; i++)
        mix[i] = 0;
    for (uint64_t step = 0; step < steps; step++) {
        nsamp_row_begin(&row, key, NSAMP_PURPOSE_CHECK, chain0, step, L);
        for (uint32_t b = 0; b < blocks; b++) {
            nsamp_row_words(&row, key, b, L, w);
            NSAMP_PRAGMA(omp simd)
            for (uint32_t i = 0; i < 4 * L; i++)
                mix[i] ^= w[i];
        }
    }
    out[0] = 0;
    for (uint32_t i = 0; i < 4 * L; i++)
        out[0] ^= mix[i];
}

#endif
