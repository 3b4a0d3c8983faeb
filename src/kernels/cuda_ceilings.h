/* cuda_ceilings.h: loops that measure what a GPU can do, as ceilings.h has them for a core. Only .cu files include this. Measurement is in
 * cuda_bench.cu. All launchers only enqueue, and return the launch's error. */
#ifndef NSAMP_KERNELS_CUDA_CEILINGS_H
#define NSAMP_KERNELS_CUDA_CEILINGS_H

#include "kernels/cuda_launch.h"
#include "kernels/noise.h"

enum {
    NSAMP_CUDA_CEILING_THREADS = 256,  /* of a block */
    NSAMP_CUDA_CEILING_BLOCKS = 6,     /* of a multiprocessor: all of them resident at once */
    NSAMP_CUDA_CEILING_FMAS = 8,       /* independent accumulators of a thread */
    NSAMP_CUDA_CEILING_NORMALS = 4 * 4 /* of a thread and step, or words */
};

/* Where the threads leave what they made: out [blocks * 256], float or uint32_t. */
typedef struct nsamp_cuda_loop {
    uint32_t blocks;
    void *out;
    cudaStream_t stream;
} nsamp_cuda_loop;

typedef enum nsamp_cuda_noise_kind {
    NSAMP_CUDA_EXACT_NORMALS, /* those of noise.h */
    NSAMP_CUDA_FAST_NORMALS,  /* those of run.math = fast */
    NSAMP_CUDA_WORDS          /* no normals are made of them */
} nsamp_cuda_noise_kind;

/* rounds * 8 multiply-adds a thread, a <- factor a + factor, from 0 to 7; out: the sum of the eight. factor just below 1. */
cudaError_t nsamp_cuda_ceiling_fma(const nsamp_cuda_loop *loop, float factor, uint32_t rounds);
/* steps * 16 normals or words a thread: blocks 0 to 3 of steps 0 ... of chain `thread`, purpose CHECK, ten rounds; steps is the same for
 * all. out: sums of normal 0 to 3 of each block, added from the left; words are mixed by exclusive or. */
cudaError_t nsamp_cuda_ceiling_noise(const nsamp_cuda_loop *loop, nsamp_cuda_noise_kind kind, uint64_t seed,
                                     uint32_t steps);
/* to [count] = from [count], then back, and so on, rounds times in all, past the first-level cache; 16-byte numbers, out unused. */
cudaError_t nsamp_cuda_ceiling_copy(const nsamp_cuda_loop *loop, float4 *to, float4 *from, uint64_t count,
                                    uint32_t rounds);

#endif
