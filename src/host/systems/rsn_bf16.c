/* rsn_bf16.c: weights of a network in the tiles of kernels/rsn_bf16.h, and the choice between its kernels. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pages.h"
#include "systems/rsn.h"

enum { SIDE = 16, DEPTH = 32, FACTORS = SIDE * DEPTH };

/* The parts of a factor, `stride` apart from `to` on. The matrix unit takes subnormal numbers as 0; so does everyone. */
static void put_parts(float w, uint32_t parts, nsamp_bf16 *to, size_t stride) {
    for (uint32_t i = 0; i < parts; i++) {
        to[i * stride] = fabsf(w) < FLT_MIN ? 0 : nsamp_bf16_of(w);
        w -= nsamp_bf16_value(to[i * stride]);
    }
}

static void fill_bias(const nsamp_network *net, float *to) {
    for (size_t j = 0; j < net->n; j++)
        for (size_t l = 0; l < SIDE; l++)
            to[j * SIDE + l] = net->b[j];
}

/* Panel by panel, as the kernel reads them. */
static void fill_weights(const nsamp_network *net, const nsamp_rsn_bf16 *q, nsamp_bf16 *to) {
    const size_t most = nsamp_rsn_bf16_panel(q->parts), P = q->parts;
    for (size_t j = 0; j < net->n; j++) {
        const size_t first = j / most * most, units = q->units - first < most ? q->units - first : most,
                     u = j - first;
        nsamp_bf16 *const w2 = to + first * (q->depth * DEPTH + q->rows * SIDE) * P, *const w1 =
                                                                                         w2 + units *
                                                                                                  q->depth *
                                                                                                  DEPTH * P;
        for (size_t i = 0; i < net->m; i++) {
            const size_t tile = (u / DEPTH * q->depth + i / DEPTH) * P * 2 + u / SIDE % 2;
            put_parts(net->w2[j * net->m + i], q->parts, w2 + tile * FACTORS + u % SIDE * DEPTH + i % DEPTH,
                      2 * FACTORS);
        }
        for (size_t i = 0; i < net->m; i++) {
            const size_t row = i / SIDE, pair = row / 2 * 2, together = pair + 1 < q->rows ? 2 : 1;
            const size_t tile = (pair * (units / DEPTH) + u / DEPTH * together) * P + row % 2;
            put_parts(net->w1[i * net->n + j], q->parts, w1 + tile * FACTORS + i % SIDE * DEPTH + u % DEPTH,
                      together * FACTORS);
        }
    }
}

size_t nsamp_rsn_bf16_bytes(const nsamp_rsn_bf16 *q) {
    const size_t weights = (q->depth * DEPTH + q->rows * SIDE) * q->parts;
    return q->units * (SIDE * sizeof(float) + weights * sizeof(nsamp_bf16));
}

nsamp_status nsamp_rsn_bf16_create(const nsamp_network *net, uint32_t parts, nsamp_rsn_bf16 **packed,
                                   nsamp_error *err) {
    nsamp_rsn_bf16 *const q = *packed = calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    q->parts = parts;
    q->rows = (uint32_t)((net->m + SIDE - 1) / SIDE);
    q->depth = (uint32_t)((net->m + DEPTH - 1) / DEPTH);
    q->units = (uint32_t)nsamp_rsn_round_up(net->n, DEPTH);
    const size_t bias = (size_t)q->units * SIDE, numbers = nsamp_rsn_bf16_bytes(q) / sizeof(float);
    float *const memory = nsamp_pages_floats(numbers, 0.0f); /* huge pages where there are any */
    if (!memory) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu bytes of weights", 4 * numbers);
    q->bias = memory;
    q->weights = (nsamp_bf16 *)(void *)(memory + bias);
    fill_bias(net, memory);
    fill_weights(net, q, (nsamp_bf16 *)(void *)(memory + bias));
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
