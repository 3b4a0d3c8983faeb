/* cuda_rsn_small.h: what the two kernels for small rsn share: cuda_rsn_few.cu, cuda_rsn_tensor.cu. Only they include it. */
#ifndef NSAMP_KERNELS_CUDA_RSN_SMALL_H
#define NSAMP_KERNELS_CUDA_RSN_SMALL_H

#include "kernels/cuda_kernels.h"
#include "kernels/systems/rsn.h"

/* Weight of unit u: what = 0 is b, 1 + k is W2 [u][k], 1 + m + k is W1 [k][u]. */
static __device__ __forceinline__ float weight(const nsamp_rsn_params &p, const float *blocks, uint32_t u,
                                               uint32_t what) {
    enum { B = NSAMP_RSN_BLOCK };
    return blocks[(size_t)(u / B) * nsamp_rsn_block_len(&p) + B * what + u % B];
}

/* Not finite, or so far that a sum inside phi soon is not. */
static __device__ __forceinline__ bool is_far(float x) {
    return x * 0x1p27f * 0.0f != 0.0f;
}

static __device__ __forceinline__ void flag(const nsamp_cuda_view &v, uint64_t chain, uint64_t step0,
                                            uint32_t bad) {
    if (bad != ~0u && v.first_bad[chain] == ~0ull) v.first_bad[chain] = step0 + bad;
}

#endif
