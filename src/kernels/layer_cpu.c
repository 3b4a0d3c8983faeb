/* layer_cpu.c: what stands before and after a library's product of float32 (host, matmul/plain.c): numbers rounded to bf16,
 * activations. Compiled for each instruction set as cpu.c is; the texts are those of the GPU, bf16.h and elementary.h. */
#include "kernels/isa_name.h"
#include "kernels/layer.h"

#include "kernels/bf16.h"
#include "kernels/elementary.h"

void NSAMP_PASTE(nsamp_round_to_bf16_, NSAMP_ISA)(size_t count, const float *x, float *y) {
    NSAMP_PRAGMA(omp simd)
    for (size_t i = 0; i < count; i++)
        y[i] = nsamp_bf16_round(x[i]);
}

enum { LANES = NSAMP_LAYER_LANES };

/* One output of all lanes, activated. */
NSAMP_HD void activate(nsamp_layer_function f, float bias, const float *z, float *a) {
    NSAMP_PRAGMA(omp simd)
    for (uint32_t r = 0; r < LANES; r++)
        a[r] = z[r] + bias;
    if (f == NSAMP_LAYER_RELU) {
        NSAMP_PRAGMA(omp simd)
        for (uint32_t r = 0; r < LANES; r++)
            a[r] = a[r] < 0.0f ? 0.0f : a[r]; /* a NaN stays one */
    } else if (f == NSAMP_LAYER_TANH) {
        NSAMP_PRAGMA(omp simd)
        for (uint32_t r = 0; r < LANES; r++)
            a[r] = nsamp_tanh(a[r]);
    } else if (f == NSAMP_LAYER_SOFTPLUS) {
        NSAMP_PRAGMA(omp simd)
        for (uint32_t r = 0; r < LANES; r++)
            a[r] = nsamp_softplus(a[r]);
    }
}

/* In squares of outputs by lanes, so that rows of y are written a line of the cache at a time. */
void NSAMP_PASTE(nsamp_layer_finish_, NSAMP_ISA)(nsamp_layer_function f, size_t out, const float *z,
                                                 const float *bias, size_t rows, float *y, bool add) {
    for (size_t j0 = 0; j0 < out; j0 += LANES) {
        const size_t width = out - j0 < LANES ? out - j0 : LANES;
        float a[LANES][LANES];
        for (size_t j = 0; j < width; j++)
            activate(f, bias[j0 + j], z + (j0 + j) * LANES, a[j]);
        for (size_t r = 0; r < rows; r++)
            for (size_t j = 0; j < width; j++) {
                float *const to = &y[r * out + j0 + j];
                *to = add ? *to + a[j][r] : a[j][r];
            }
    }
}
