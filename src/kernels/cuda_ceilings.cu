/* cuda_ceilings.cu: see cuda_ceilings.h. */
#include "kernels/cuda_ceilings.h"

#include "kernels/cuda_noise.h"

enum {
    THREADS = NSAMP_CUDA_CEILING_THREADS,
    RESIDENT = NSAMP_CUDA_CEILING_BLOCKS,
    FMAS = NSAMP_CUDA_CEILING_FMAS
};

static __global__ void __launch_bounds__(THREADS, RESIDENT)
    ceiling_fma(float factor, uint32_t rounds, float *out) {
    float a[FMAS], sum = 0.0f;
#pragma unroll
    for (uint32_t i = 0; i < FMAS; i++)
        a[i] = (float)i;
#pragma unroll 16
    for (uint32_t r = 0; r < rounds; r++)
#pragma unroll
        for (uint32_t i = 0; i < FMAS; i++)
            a[i] = __fmaf_rn(a[i], factor, factor);
#pragma unroll
    for (uint32_t i = 0; i < FMAS; i++)
        sum += a[i];
    out[blockIdx.x * THREADS + threadIdx.x] = sum;
}

/* Four normals are added to four sums, so that each must be made; words are mixed. */
template <uint32_t KIND>
static __device__ __forceinline__ void add(const nsamp_words &words, float sum[4], uint32_t *mix) {
    if constexpr (KIND == NSAMP_CUDA_WORDS) {
        *mix ^= words.w[0] ^ words.w[1] ^ words.w[2] ^ words.w[3];
    } else {
#pragma unroll
        for (uint32_t k = 0; k < 4; k += 2) {
            if constexpr (KIND == NSAMP_CUDA_FAST_NORMALS) {
                float r, c, s;
                nsamp_fast_pair(words.w[k], words.w[k + 1], 1.0f, &r, &c, &s);
                sum[k] = __fmaf_rn(r, c, sum[k]);
                sum[k + 1] = __fmaf_rn(r, s, sum[k + 1]);
            } else {
                float z0, z1;
                nsamp_exact_pair(words.w[k], words.w[k + 1], &z0, &z1);
                sum[k] += z0;
                sum[k + 1] += z1;
            }
        }
    }
}

template <uint32_t KIND>
static __global__ void __launch_bounds__(THREADS, RESIDENT)
    ceiling_noise(const nsamp_keys keys, uint32_t steps, void *out) {
    const uint32_t chain = blockIdx.x * THREADS + threadIdx.x;
    const nsamp_stream stream = nsamp_stream_of(keys, NSAMP_PURPOSE_CHECK, chain, 0);
    float sum[4] = {0.0f, 0.0f, 0.0f, 0.0f};
    uint32_t mix = 0;
    for (uint32_t n = 0; n < steps; n++)
#pragma unroll
        for (uint32_t b = 0; b < NSAMP_CUDA_CEILING_NORMALS / 4; b++)
            add<KIND>(nsamp_stream_words<10>(stream, keys, n, b), sum, &mix);
    if constexpr (KIND == NSAMP_CUDA_WORDS)
        ((uint32_t *)out)[chain] = mix;
    else
        ((float *)out)[chain] = sum[0] + sum[1] + sum[2] + sum[3];
}

/* A thread goes on with the numbers that it wrote itself, so rounds need no barrier. */
static __global__ void __launch_bounds__(THREADS, RESIDENT)
    ceiling_copy(float4 *to, float4 *from, uint64_t count, uint32_t rounds) {
    const uint64_t first = (uint64_t)blockIdx.x * THREADS + threadIdx.x,
                   stride = (uint64_t)gridDim.x * THREADS;
    for (uint32_t r = 0; r < rounds; r++) {
        const float4 *const source = r % 2 ? to : from;
        float4 *const target = r % 2 ? from : to;
#pragma unroll 4
        for (uint64_t i = first; i < count; i += stride)
            __stcg(target + i, __ldcg(source + i));
    }
}

cudaError_t nsamp_cuda_ceiling_fma(const nsamp_cuda_loop *loop, float factor, uint32_t rounds) {
    NSAMP_LAUNCH(ceiling_fma, loop->blocks, (uint32_t)THREADS, 0, loop->stream, factor, rounds,
                 (float *)loop->out);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_ceiling_noise(const nsamp_cuda_loop *loop, nsamp_cuda_noise_kind kind, uint64_t seed,
                                     uint32_t steps) {
    typedef void noise_kernel(nsamp_keys, uint32_t, void *);
    static noise_kernel *const kernels[] = {ceiling_noise<NSAMP_CUDA_EXACT_NORMALS>,
                                            ceiling_noise<NSAMP_CUDA_FAST_NORMALS>,
                                            ceiling_noise<NSAMP_CUDA_WORDS>};
    NSAMP_LAUNCH(kernels[kind], loop->blocks, (uint32_t)THREADS, 0, loop->stream,
                 nsamp_keys_of(nsamp_noise_key_of(seed, 10)), steps, loop->out);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_ceiling_copy(const nsamp_cuda_loop *loop, float4 *to, float4 *from, uint64_t count,
                                    uint32_t rounds) {
    NSAMP_LAUNCH(ceiling_copy, loop->blocks, (uint32_t)THREADS, 0, loop->stream, to, from, count, rounds);
    return cudaGetLastError();
}
