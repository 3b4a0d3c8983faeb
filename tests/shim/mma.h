/* mma.h: the functions of cuda_mma.h for the host, by the layout of fragments in the PTX manual: each lane lays its
 * registers out, then computes its own four numbers from those of the others. Sums in the order of the inner index, a
 * fused multiply-add each. All 32 lanes must come. */
#ifndef NSAMP_SHIM_MMA_H
#define NSAMP_SHIM_MMA_H

#define NSAMP_MMA

struct nsamp_shim_fragment {
    uint32_t a[4], b[2];
};
extern nsamp_shim_fragment nsamp_shim_fragments[1024]; /* by thread of the block */

static inline float nsamp_shim_bf16(uint32_t pair, uint32_t high) {
    return nsamp_shim_float(high ? pair & 0xffff0000u : pair << 16);
}

/* a (row, k) and b (k, column) of the product that the warp whose first thread is `base` lays out. */
static inline float nsamp_shim_a(uint32_t base, bool bf16, uint32_t row, uint32_t k) {
    const nsamp_shim_fragment *lane = &nsamp_shim_fragments[base + row % 8 * 4];
    if (bf16) return nsamp_shim_bf16(lane[k % 8 / 2].a[k / 8 * 2 + row / 8], k % 2);
    return nsamp_shim_float(lane[k % 4].a[k / 4 * 2 + row / 8]);
}
static inline float nsamp_shim_b(uint32_t base, bool bf16, uint32_t k, uint32_t column) {
    const nsamp_shim_fragment *lane = &nsamp_shim_fragments[base + column * 4];
    if (bf16) return nsamp_shim_bf16(lane[k % 8 / 2].b[k / 8], k % 2);
    return nsamp_shim_float(lane[k % 4].b[k / 4]);
}

static inline void nsamp_shim_mma(float c[4], const uint32_t a[4], uint2 b, bool bf16) {
    const uint32_t lane = nsamp_shim_lane(), base = threadIdx.x - lane;
    nsamp_shim_fragment *const own = &nsamp_shim_fragments[threadIdx.x];
    memcpy(own->a, a, sizeof own->a);
    own->b[0] = b.x;
    own->b[1] = b.y;
    __syncwarp();
    for (uint32_t i = 0; i < 4; i++)
        for (uint32_t k = 0; k < (bf16 ? 16u : 8u); k++)
            c[i] = __builtin_fmaf(nsamp_shim_a(base, bf16, lane / 4 + i / 2 * 8, k),
                                  nsamp_shim_b(base, bf16, k, lane % 4 * 2 + i % 2), c[i]);
    __syncwarp();
}
static inline void nsamp_mma_bf16(float c[4], const uint32_t a[4], uint2 b) {
    nsamp_shim_mma(c, a, b, true);
}
static inline void nsamp_mma_tf32(float c[4], const uint32_t a[4], uint2 b) {
    for (int i = 0; i < 4; i++)
        if (a[i] & 0x1fff || b.x & 0x1fff || b.y & 0x1fff) abort(); /* not rounded before */
    nsamp_shim_mma(c, a, b, false);
}
static inline uint32_t nsamp_pack_bf16(float low, float high) {
    const float value[2] = {low, high};
    uint32_t half[2];
    for (int i = 0; i < 2; i++) {
        const uint32_t bits = nsamp_shim_bits(value[i]);
        half[i] = isnan(value[i]) ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    }
    return half[1] << 16 | half[0];
}
static inline uint32_t nsamp_pack_bf16_relu(float low, float high) {
    return nsamp_pack_bf16(low < 0 ? 0 : low, high < 0 ? 0 : high);
}
static inline uint32_t nsamp_to_tf32(float value) {
    const uint32_t bits = nsamp_shim_bits(value);
    return isnan(value) ? 0x7fffe000u : (bits + 0x1000u) & 0xffffe000u;
}

#endif
