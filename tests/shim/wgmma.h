/* wgmma.h: the functions of cuda_wgmma.h for the host. The right factor is found by its description in shared memory, the left one
 * in the registers of the warp (mma.h). Results are held back until they are waited for: c is NaN before, and left factors that are
 * written too early, products without a fence, and warps that do not come with their warpgroup end the test. */
#ifndef NSAMP_SHIM_WGMMA_H
#define NSAMP_SHIM_WGMMA_H

#define NSAMP_WGMMA

extern unsigned char nsamp_shared[];
static inline size_t __cvta_generic_to_shared(const void *at) {
    return (size_t)((const unsigned char *)at - nsamp_shared);
}

enum { NSAMP_SHIM_RIGHT = 8 /* what the upper word of a description says */ };

/* Aborts with the text. */
[[noreturn]] void nsamp_shim_fail(const char *what);
/* Waits until all 128 threads of this one's warpgroup have come. */
void nsamp_shim_warpgroup(void);

/* What a thread has asked for and not waited for. */
struct nsamp_shim_pending {
    float *c;
    uint32_t pieces;
    float result[8][4];
};
struct nsamp_shim_left {
    const uint32_t *at;
    uint32_t value[4];
};
struct nsamp_shim_async {
    uint64_t published; /* the launch and block in which it did */
    bool begun, open;   /* a fence since the last group; products that no group holds yet */
    uint32_t pendings, lefts;
    nsamp_shim_pending pending[4];
    nsamp_shim_left left[32];
};
extern nsamp_shim_async nsamp_shim_asyncs[1024]; /* by thread of the block */
uint64_t nsamp_shim_block(void);                 /* of the present block: no other has the same */

static inline nsamp_shim_async *nsamp_shim_own(void) {
    return &nsamp_shim_asyncs[threadIdx.x];
}

static inline void nsamp_wgmma_begin(void) {
    nsamp_shim_own()->begun = true;
}
static inline void nsamp_wgmma_publish(void) {
    *nsamp_shim_own() = {};
    nsamp_shim_own()->published = nsamp_shim_block();
}
static inline void nsamp_wgmma_end(void) {
    nsamp_shim_own()->begun = nsamp_shim_own()->open = false;
}

template <uint32_t PIECES> static inline void nsamp_wgmma_wait(float (&)[PIECES][4]) {
    nsamp_shim_async *const own = nsamp_shim_own();
    if (own->open) nsamp_shim_fail("a wait for products that no group holds");
    for (uint32_t i = 0; i < own->lefts; i++)
        if (memcmp(own->left[i].at, own->left[i].value, sizeof own->left[i].value))
            nsamp_shim_fail("a left factor was written while a product read it");
    for (uint32_t i = 0; i < own->pendings; i++)
        memcpy(own->pending[i].c, own->pending[i].result,
               own->pending[i].pieces * sizeof own->pending[i].result[0]);
    own->lefts = own->pendings = 0;
}

/* b (k, column): the two halves of k lie `lead` bytes apart, columns by eight 128. */
static inline float nsamp_shim_right(uint32_t right, uint32_t k, uint32_t column) {
    const uint32_t lead = right >> 16 << 4, stride = NSAMP_SHIM_RIGHT << 4;
    const unsigned char *const at = nsamp_shared + ((right & 0x3fff) << 4) + k / 8 * lead +
                                    column / 8 * stride + column % 8 * 16 + k % 8 * 2;
    return nsamp_shim_float((uint32_t)(at[0] | at[1] << 8) << 16);
}

template <uint32_t PIECES>
static inline void nsamp_wgmma_bf16(float (&c)[PIECES][4], const uint32_t (&a)[4], uint32_t right, bool add) {
    nsamp_shim_async *const own = nsamp_shim_own();
    const uint32_t lane = nsamp_shim_lane(), base = threadIdx.x - lane;
    if (own->published != nsamp_shim_block())
        nsamp_shim_fail("a product before its right factor was published");
    if (!own->begun) nsamp_shim_fail("a product without a fence before");
    nsamp_shim_warpgroup();
    nsamp_shim_pending *p = own->pending;
    while (p < own->pending + own->pendings && p->c != c[0])
        p++;
    if (p == own->pending + own->pendings) {
        p->c = c[0];
        p->pieces = PIECES;
        memcpy(p->result, c, sizeof c);
        own->pendings++;
    }
    own->open = true;
    own->left[own->lefts].at = a;
    memcpy(own->left[own->lefts++].value, a, sizeof a);
    memcpy(nsamp_shim_fragments[threadIdx.x].a, a, sizeof a);
    __syncwarp();
    for (uint32_t j = 0; j < PIECES; j++)
        for (uint32_t i = 0; i < 4; i++) {
            float sum = add ? p->result[j][i] : 0.0f;
            for (uint32_t k = 0; k < 16; k++)
                sum = __builtin_fmaf(nsamp_shim_a(base, true, lane / 4 + i / 2 * 8, k),
                                     nsamp_shim_right(right, k, 8 * j + lane % 4 * 2 + i % 2), sum);
            p->result[j][i] = sum;
            c[j][i] = NAN;
        }
    __syncwarp();
}

#endif
