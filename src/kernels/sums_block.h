/* sums_block.h: six rows of a matrix times the numbers of 64 lanes, all their sums in registers: the inner loop of the float32 kernels whose
 * weights no first-level cache holds, rsn_panels.c and train_fp32.c. What surrounds it, they say.
 *
 * A block is NSAMP_SUMS_ROWS rows by four vectors of AVX-512 (ten loads for 24 multiply-adds), or by two of AVX2. Each sum takes its terms in
 * order, in one accumulator: no bits depend on the shape of a block. */
#ifndef NSAMP_KERNELS_SUMS_BLOCK_H
#define NSAMP_KERNELS_SUMS_BLOCK_H

#include "kernels/vector.h"

enum {
    NSAMP_SUMS_ROWS = 6,
    NSAMP_SUMS_LANES = 64,                          /* together, at most */
    NSAMP_SUMS_VECTORS = NSAMP_WIDTH == 16 ? 4 : 2, /* of lanes in registers, at most */
    NSAMP_SUMS_ALL = NSAMP_SUMS_ROWS * NSAMP_SUMS_VECTORS
};

/* The sum over i < n of w_i z_i: row r of w_i at w[i ws + r wr], lane l of z_i at z[i zs + l]. */
typedef struct nsamp_sums_terms {
    const float *w, *z;
    size_t ws, wr, zs;
    uint32_t n;
} nsamp_sums_terms;

/* What sums begin with: zero, a number a row at `there`, or what is there [R][stride]. */
enum { NSAMP_SUMS_FROM_ZERO, NSAMP_SUMS_FROM_BIAS, NSAMP_SUMS_FROM_THERE };
/* What becomes of them: nothing; the larger of 0 and the sum, 0 for a NaN or the NaN. */
enum { NSAMP_SUMS_PLAIN, NSAMP_SUMS_RELU, NSAMP_SUMS_RELU_OR_NAN };

/* Below, R rows and V vectors are constants in each call. A compiler sees that only after it has unrolled, hence loops of constant length. */
#define NSAMP_SUMS_EACH(r, c)                                                                                \
    NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_SUMS_ROWS; r++)                                              \
        NSAMP_UNROLL for (uint32_t c = 0; c < NSAMP_SUMS_VECTORS; c++) if (r < R && c < V)

NSAMP_HD void nsamp_sums_begin(const uint32_t R, const uint32_t V, const int from, const float *there,
                               size_t stride, nsamp_floats *t) {
    NSAMP_SUMS_EACH(r, c)
    t[r * NSAMP_SUMS_VECTORS + c] = from == NSAMP_SUMS_FROM_ZERO ? nsamp_floats_all(0.0f)
                                    : from == NSAMP_SUMS_FROM_BIAS
                                        ? nsamp_floats_all(there[r])
                                        : nsamp_floats_load(there + r * stride + c * NSAMP_WIDTH);
}

/* t [R][V] += the terms. */
NSAMP_HD void nsamp_sums_add(const uint32_t R, const uint32_t V, const nsamp_sums_terms *s, nsamp_floats *t) {
    enum { VECTORS = NSAMP_SUMS_VECTORS };
    const float *w = s->w, *z = s->z;
    for (uint32_t i = 0; i < s->n; i++, w += s->ws, z += s->zs) {
        nsamp_floats v[VECTORS];
        NSAMP_UNROLL for (uint32_t c = 0; c < VECTORS; c++) if (c < V) v[c] =
            nsamp_floats_load(z + c * NSAMP_WIDTH);
        NSAMP_UNROLL for (uint32_t r = 0; r < NSAMP_SUMS_ROWS; r++) {
            if (r >= R) continue;
            const nsamp_floats all = nsamp_floats_all(w[r * s->wr]);
            NSAMP_UNROLL for (uint32_t c = 0; c < VECTORS; c++) if (c < V) t[r * VECTORS + c] =
                nsamp_floats_fma(all, v[c], t[r * VECTORS + c]);
        }
    }
}

NSAMP_HD void nsamp_sums_put(const uint32_t R, const uint32_t V, const int as, const nsamp_floats *t,
                             float *to, size_t stride) {
    NSAMP_SUMS_EACH(r, c) {
        const nsamp_floats sum = t[r * NSAMP_SUMS_VECTORS + c];
        nsamp_floats_store(to + r * stride + c * NSAMP_WIDTH,
                           as == NSAMP_SUMS_RELU          ? nsamp_floats_relu(sum)
                           : as == NSAMP_SUMS_RELU_OR_NAN ? nsamp_floats_max(nsamp_floats_all(0.0f), sum)
                                                          : sum);
    }
}

#endif
