/* bf16_cpu.c: rows of numbers rounded to bf16, for products that are computed in float32 (host, matmul.h). Compiled for each
 * instruction set as cpu.c is; the text of the rounding is that of the GPU, bf16.h. */
#include "kernels/bf16.h"

#define NSAMP_PASTE2(a, b) a##b
#define NSAMP_PASTE(a, b)  NSAMP_PASTE2(a, b)

void NSAMP_PASTE(nsamp_round_to_bf16_, NSAMP_ISA)(size_t count, const float *x, float *y) {
    NSAMP_PRAGMA(omp simd)
    for (size_t i = 0; i < count; i++)
        y[i] = nsamp_bf16_value(nsamp_bf16_of(x[i]));
}
