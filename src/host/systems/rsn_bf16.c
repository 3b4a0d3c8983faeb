/* rsn_bf16.c: weights of a network in the tiles of kernels/rsn_bf16.h, and the choice between its kernels. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pages.h"
#include "systems/rsn.h"

enum { SIDE = 16, DEPTH = 32, FACTORS = SIDE * DEPTH, PANEL = NSAMP_RSN_BF16_PANEL };

/* A factor as the kernel takes it: subnormal numbers, which the matrix unit takes as 0, are 0 for everyone. */
static nsamp_bf16 factor(float w) {
    return fabsf(w) < FLT_MIN ? 0 : nsamp_bf16_of(w);
}

static void fill_w2(const nsamp_network *net, const nsamp_rsn_bf16 *q, nsamp_bf16 *to) {
    for (size_t j = 0; j < net->n; j++)
        for (size_t i = 0; i < net->m; i++) {
            const size_t tile = (j / DEPTH * q->depth + i / DEPTH) * 2 + j / SIDE % 2;
            to[tile * FACTORS + j % SIDE * DEPTH + i % DEPTH] = factor(net->w2[j * net->m + i]);
        }
}

static void fill_bias(const nsamp_network *net, float *to) {
    for (size_t j = 0; j < net->n; j++)
        for (size_t l = 0; l < SIDE; l++)
            to[j * SIDE + l] = net->b[j];
}

/* Of a panel, two rows of tiles at a time, then the last by itself where their number is odd. */
static void fill_w1(const nsamp_network *net, const nsamp_rsn_bf16 *q, nsamp_bf16 *to) {
    for (size_t j = 0; j < net->n; j++) {
        const size_t first = j / PANEL * PANEL, units = q->units - first < PANEL ? q->units - first : PANEL;
        nsamp_bf16 *const panel = to + first * q->rows * SIDE;
        for (size_t i = 0; i < net->m; i++) {
            const size_t row = i / SIDE, pair = row / 2 * 2, together = pair + 1 < q->rows ? 2 : 1;
            const size_t tile = pair * (units / DEPTH) + (j - first) / DEPTH * together + row % 2;
            panel[tile * FACTORS + i % SIDE * DEPTH + j % DEPTH] = factor(net->w1[i * net->n + j]);
        }
    }
}

nsamp_status nsamp_rsn_bf16_create(const nsamp_network *net, nsamp_rsn_bf16 **packed, nsamp_error *err) {
    nsamp_rsn_bf16 *const q = *packed = calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    q->rows = (uint32_t)((net->m + SIDE - 1) / SIDE);
    q->depth = (uint32_t)((net->m + DEPTH - 1) / DEPTH);
    q->units = (uint32_t)nsamp_rsn_round_up(net->n, DEPTH);
    const size_t w2 = (size_t)q->units * q->depth * DEPTH, w1 = (size_t)q->units * q->rows * SIDE,
                 bias = (size_t)q->units * SIDE, numbers = bias + (w2 + w1) / 2;
    float *const memory = nsamp_pages_floats(numbers, 0.0f); /* huge pages where there are any */
    if (!memory) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu bytes of weights", 4 * numbers);
    nsamp_bf16 *const factors = (nsamp_bf16 *)(void *)(memory + bias);
    q->bias = memory;
    q->w2 = factors;
    q->w1 = factors + w2;
    fill_bias(net, memory);
    fill_w2(net, q, factors);
    fill_w1(net, q, factors + w2);
    return NSAMP_OK;
}

void nsamp_rsn_bf16_destroy(nsamp_rsn_bf16 *q) {
    if (q) free((void *)q->bias);
    free(q);
}

const nsamp_cpu_kernel *nsamp_rsn_bf16_kernel(const char *isa, bool amx) {
#ifdef NSAMP_HAVE_AMX
    if (amx) return &nsamp_rsn_bf16_amx;
#endif
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) return &nsamp_rsn_bf16_v4;
    if (!strcmp(isa, "v3")) return &nsamp_rsn_bf16_v3;
#endif
    (void)isa;
    (void)amx;
    return &nsamp_rsn_bf16_base;
}
