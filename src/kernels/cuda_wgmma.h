/* cuda_wgmma.h: products of 64 rows on the tensor cores of sm_90a, four warps (a warpgroup) at a time, by wgmma: the left factor in
 * registers, the right one in shared memory, where the tensor cores read it themselves and once for all four warps. Only .cu
 * files include this; the tests' shim defines NSAMP_WGMMA and the same functions for the host.
 *
 * A warp has 16 of the 64 rows, and its c and a lie as in cuda_mma.h: c[j] of columns 8 j to 8 j + 7, a of 16 inner numbers from
 * two such pieces. So layers follow one another in registers. The right factor of a product, 16 inner numbers k by N columns of bf16, is
 * stored as [k / 8][N / 8][8 columns][8 k], N * 32 bytes, aligned to 16 (the layout without swizzle of the PTX manual, "core
 * matrices"); whoever stores it calls nsamp_wgmma_publish and a barrier before the first product reads it.
 *
 * Products run beside what follows them: c is not to be read, and c and a not to be written, before nsamp_wgmma_wait. All four warps
 * come to each call. A warpgroup begins at a thread that 128 divides. Sums as in cuda_mma.h. */
#ifndef NSAMP_KERNELS_CUDA_WGMMA_H
#define NSAMP_KERNELS_CUDA_WGMMA_H

#include "kernels/cuda_launch.h"

enum { NSAMP_WARPGROUP = 128, NSAMP_WGMMA_ROWS = 64 };

/* Where such a right factor lies, as wgmma is told: the lower word of its description has the address (bits 0 to 13) and the distance of the two
 * halves of k (from bit 16), the upper one the distance of neighbouring columns by eight, all in units of 16 bytes. The next right factor of as many
 * columns: 2 columns more. */
static constexpr uint32_t NSAMP_WGMMA_UPPER = 8;
static __device__ __forceinline__ uint32_t nsamp_wgmma_right(const void *matrix, uint32_t columns) {
    return ((uint32_t)__cvta_generic_to_shared(matrix) & 0x3ffff) >> 4 | columns << 16;
}

#ifndef NSAMP_WGMMA

/* Before the first of several products, and whenever registers that they take were written since the last. */
static __device__ __forceinline__ void nsamp_wgmma_begin(void) {
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

/* What was stored to shared memory so far is what the tensor cores will read. */
static __device__ __forceinline__ void nsamp_wgmma_publish(void) {
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* Ends a group of products. */
static __device__ __forceinline__ void nsamp_wgmma_end(void) {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

/* Until all groups are done; then c may be read: the compiler, which does not know that it was not ready before, is told so. */
template <uint32_t PIECES> static __device__ __forceinline__ void nsamp_wgmma_wait(float (&c)[PIECES][4]) {
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
#pragma unroll
    for (uint32_t j = 0; j < PIECES; j++)
#pragma unroll
        for (uint32_t i = 0; i < 4; i++)
            asm volatile("" : "+f"(c[j][i])::"memory");
}

/* c = (add ? c : 0) + a right, N = 8 PIECES columns. */
#define NSAMP_WGMMA_C4(c, j) "+f"(c[j][0]), "+f"(c[j][1]), "+f"(c[j][2]), "+f"(c[j][3])
#define NSAMP_WGMMA_A                                                                                        \
    "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(right), "r"((uint32_t)add), "n"(NSAMP_WGMMA_UPPER)

static __device__ __forceinline__ void nsamp_wgmma_bf16(float (&c)[2][4], const uint32_t (&a)[4],
                                                        uint32_t right, bool add) {
    asm volatile("{\n.reg .pred p;\n.reg .b64 d;\nsetp.ne.b32 p, %13, 0;\nmov.b64 d, {%12, %14};\n"
                 "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7}, "
                 "{%8,%9,%10,%11}, d, p, 1, 1, 0;\n}"
                 : NSAMP_WGMMA_C4(c, 0), NSAMP_WGMMA_C4(c, 1)
                 : NSAMP_WGMMA_A);
}

static __device__ __forceinline__ void nsamp_wgmma_bf16(float (&c)[4][4], const uint32_t (&a)[4],
                                                        uint32_t right, bool add) {
    asm volatile(
        "{\n.reg .pred p;\n.reg .b64 d;\nsetp.ne.b32 p, %21, 0;\nmov.b64 d, {%20, %22};\n"
        "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,"
        "%12,%13,%14,%15}, {%16,%17,%18,%19}, d, p, 1, 1, 0;\n}"
        : NSAMP_WGMMA_C4(c, 0), NSAMP_WGMMA_C4(c, 1), NSAMP_WGMMA_C4(c, 2), NSAMP_WGMMA_C4(c, 3)
        : NSAMP_WGMMA_A);
}

static __device__ __forceinline__ void nsamp_wgmma_bf16(float (&c)[8][4], const uint32_t (&a)[4],
                                                        uint32_t right, bool add) {
    asm volatile(
        "{\n.reg .pred p;\n.reg .b64 d;\nsetp.ne.b32 p, %37, 0;\nmov.b64 d, {%36, %38};\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,"
        "%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, "
        "{%32,%33,%34,%35}, d, p, 1, 1, 0;\n}"
        : NSAMP_WGMMA_C4(c, 0), NSAMP_WGMMA_C4(c, 1), NSAMP_WGMMA_C4(c, 2), NSAMP_WGMMA_C4(c, 3),
          NSAMP_WGMMA_C4(c, 4), NSAMP_WGMMA_C4(c, 5), NSAMP_WGMMA_C4(c, 6), NSAMP_WGMMA_C4(c, 7)
        : NSAMP_WGMMA_A);
}
#endif

#endif
