/* rsn_pack.c: weights of a network as the fused kernel reads them: blocks of eight units, or of eight hinges
 * (kernels/systems/rsn.h has both layouts). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "systems/rsn.h"

enum { B = NSAMP_RSN_BLOCK };

static void fill_blocks(const nsamp_network *net, const nsamp_rsn_params *p, const double *s, float *block) {
    const size_t m = net->m, n = net->n, len = nsamp_rsn_block_len(p);
    for (size_t j = 0; j < n; j++) {
        float *to = block + j / B * len + j % B;
        to[0] = net->b[j];
        for (size_t k = 0; k < m; k++) {
            to[B * (1 + k)] = net->w2[j * m + k];
            to[B * (1 + m + k)] = net->w1[k * n + j];
            if (s) to[B * (1 + 2 * m + k)] = (float)((double)p->noise * s[j * m + k]);
        }
    }
}

/* The pivot of unit j; m where w is so small beside b that x does not count before a chain is flagged for being far. */
static size_t pivot_of(const nsamp_network *net, size_t j) {
    const float *w = net->w2 + j * net->m;
    size_t k = 0;
    for (size_t i = 1; i < net->m; i++)
        if (fabsf(w[i]) > fabsf(w[k])) k = i;
    return fabs((double)w[k]) > 0x1p-100 * fabs((double)net->b[j]) ? k : net->m;
}

/* Unit j with pivot k to its place; what is linear of it to y0 [4] and a [4][4]. The rounded numbers are summed, so that what the kernel
 * takes away is what it added. */
static void put_hinge(const nsamp_network *net, size_t j, size_t k, float *to, double *y0, double *a) {
    const size_t m = net->m;
    const float *w = net->w2 + j * m;
    const double pivot = (double)w[k];
    const float c = (float)(-(double)net->b[j] / pivot) + 0.0f; /* -0 becomes 0: nsamp_max wants that */
    to[0] = c;
    for (size_t o = 1; o < m; o++)
        to[B * o] = (float)((double)w[(k + o) % m] / pivot);
    for (size_t i = 0; i < m; i++) {
        const float v = (float)((double)net->w1[i * net->n + j] * fabs(pivot));
        to[B * (m + i)] = v;
        if (pivot > 0) {
            y0[i] -= (double)v * (double)c;
            continue;
        }
        a[i * NSAMP_RSN_HINGES + k] -= (double)v;
        for (size_t o = 1; o < m; o++)
            a[i * NSAMP_RSN_HINGES + (k + o) % m] -= (double)v * (double)to[B * o];
    }
}

static void fill_hinges(const nsamp_network *net, const nsamp_rsn_params *p, float *linear) {
    enum { K = NSAMP_RSN_HINGES };
    const size_t m = net->m, n = net->n;
    double y0[K] = {0}, a[K * K] = {0};
    size_t at[K + 1] = {0}; /* the next hinge of each pivot, counted from the first block */
    float *const block = linear + NSAMP_RSN_LINEAR;
    for (size_t k = 1; k < m; k++)
        at[k] = at[k - 1] + (size_t)B * p->hinges[k - 1];
    for (size_t j = 0; j < n; j++) {
        const size_t k = pivot_of(net, j), u = at[k];
        if (k == m) {
            for (size_t i = 0; i < m; i++)
                y0[i] += (double)net->w1[i * n + j] * fmax((double)net->b[j], 0.0);
            continue;
        }
        put_hinge(net, j, k, block + u / B * 2 * m * B + u % B, y0, a);
        at[k]++;
    }
    for (size_t i = 0; i < K; i++)
        linear[i] = (float)y0[i];
    for (size_t i = 0; i < K * K; i++)
        linear[K + i] = (float)a[i];
}

/* Blocks of hinges for each pivot -> p->hinges; their numbers and the linear part's. */
static size_t count_hinges(const nsamp_network *net, nsamp_rsn_params *p) {
    size_t count[NSAMP_RSN_HINGES + 1] = {0}, blocks = 0;
    for (size_t j = 0; j < net->n; j++)
        count[pivot_of(net, j)]++;
    for (size_t k = 0; k < net->m; k++) {
        p->hinges[k] = (uint32_t)((count[k] + B - 1) / B);
        blocks += p->hinges[k];
    }
    return NSAMP_RSN_LINEAR + blocks * 2 * net->m * B;
}

nsamp_status nsamp_rsn_pack(const nsamp_network *net, const nsamp_rsn_options *o, const double *s,
                            uint32_t precision, nsamp_model *model, nsamp_error *err) {
    nsamp_rsn_params head = {.dim = (uint32_t)net->m,
                             .reservoir = o->reservoir,
                             .jump = o->jump,
                             .precision = precision,
                             .h = (float)o->h};
    head.units = (uint32_t)nsamp_rsn_round_up(net->n, B);
    head.activation = net->activation == NSAMP_RELU   ? NSAMP_RSN_RELU
                      : net->activation == NSAMP_TANH ? NSAMP_RSN_TANH
                                                      : NSAMP_RSN_SOFTPLUS;
    head.noise = (float)(sqrt(2.0 * o->h) * (net->denoiser ? net->sigma : 1.0));
    head.blocks_offset = nsamp_rsn_round_up(sizeof head, 64);
    const bool hinged = nsamp_rsn_is_hinged(&head);
    const size_t numbers =
        hinged ? count_hinges(net, &head) : (size_t)(head.units / B) * nsamp_rsn_block_len(&head);
    const size_t bytes = nsamp_rsn_round_up(head.blocks_offset + sizeof(float) * numbers, 64);
    if (posix_memalign(&model->params, 64, bytes)) {
        model->params = NULL;
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu bytes of weights", bytes);
    }
    model->params_bytes = bytes;
    memset(model->params, 0, bytes);
    memcpy(model->params, &head, sizeof head);
    float *const to = (float *)((char *)model->params + head.blocks_offset);
    if (hinged)
        fill_hinges(net, &head, to);
    else
        fill_blocks(net, &head, s, to);
    return NSAMP_OK;
}
