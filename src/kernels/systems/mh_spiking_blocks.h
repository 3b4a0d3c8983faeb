/* mh_spiking_blocks.h: the step of mh_spiking.h for all chains of a tile with vectors (blocks.h). Same bits.
 *
 * For the length of a call a chain's numbers lie together, v [L][P], so that a look-up is one or a few loads of a row of
 * the table. A few steps at a time: first what the noise decides, for all lanes and steps; then the steps. The spike of
 * step t is added when step t + 1 reads the chain, so one pass over a chain's numbers serves both, and the lanes hide that a
 * step waits for the one before. Spikes are listed and counted at the end of the few steps: a counter is a
 * cache miss when neurons are many, and then several are under way at once. */
#ifndef NSAMP_KERNELS_SYSTEMS_MH_SPIKING_BLOCKS_H
#define NSAMP_KERNELS_SYSTEMS_MH_SPIKING_BLOCKS_H

#include "kernels/blocks.h"
#include "kernels/systems/mh_spiking.h"

#ifdef NSAMP_VECTOR

enum { NSAMP_MH_STEPS = 8 };

/* What the noise decides in NSAMP_MH_STEPS steps of 64 lanes, and the spikes not yet counted. */
typedef struct nsamp_mh_noise {
    uint32_t row[NSAMP_MH_STEPS][NSAMP_ROW_LANES];     /* where the proposed row begins, in floats */
    uint32_t counter[NSAMP_MH_STEPS][NSAMP_ROW_LANES]; /* neuron L + lane */
    float bar[NSAMP_MH_STEPS][NSAMP_ROW_LANES];        /* -log U / g */
    uint32_t spikes[NSAMP_MH_STEPS * NSAMP_ROW_LANES + NSAMP_V32];
    uint32_t taken[NSAMP_ROW_LANES]; /* rows of the last step's spikes; 0 for none */
} nsamp_mh_noise __attribute__((aligned(64)));

/* From two words of each lane, [2][L]. */
NSAMP_HD void nsamp_mh_noise_of(const nsamp_mh_spiking_params *p, const uint32_t *words, const uint32_t L,
                                uint32_t *row, uint32_t *counter, float *bar) {
    const float cool = p->cool;
    nsamp_u32v lane = {0};
    for (uint32_t i = 0; i < NSAMP_V32; i++)
        lane[i] = i;
    for (uint32_t l = 0; l < L; l += NSAMP_V32, lane += NSAMP_V32) {
        const nsamp_u32v neuron =
            nsamp_v_high_product(*(const nsamp_u32v *)(const void *)(words + l), p->neurons);
        *(nsamp_u32v *)(void *)(row + l) = (neuron + 1) * p->stride;
        *(nsamp_u32v *)(void *)(counter + l) = neuron * L + lane;
    }
    NSAMP_FOR_LANES(l, L) bar[l] = nsamp_log(nsamp_uniform(words[L + l])) * cool;
}

NSAMP_HD void nsamp_mh_noise_steps(const nsamp_mh_spiking_params *p, const nsamp_tile *t, nsamp_row *row,
                                   uint64_t step, uint32_t nsteps, const uint32_t L, nsamp_mh_noise *noise) {
    uint32_t words[4 * NSAMP_ROW_LANES] __attribute__((aligned(64)));
    for (uint32_t n = 0; n < nsteps; n++, step++) {
        if (n == 0 || step % 2 == 0) {
            if (step / 2 % 0x100000000u == 0)
                nsamp_row_begin(row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step / 2, L);
            row->step = (uint32_t)(step / 2);
            nsamp_row_words(row, t->noise, 0, L, words);
        }
        nsamp_mh_noise_of(p, words + 2 * (step % 2) * L, L, noise->row[n], noise->counter[n], noise->bar[n]);
    }
}

/* 1 - eta, and -eta Sigma^(-1/2) mu, of the coordinates in a chain's first block: read once. */
typedef struct nsamp_mh_decay_block {
    nsamp_block keep, shift;
} nsamp_mh_decay_block;

NSAMP_HD nsamp_mh_decay_block nsamp_mh_decay_of(const nsamp_mh_spiking_params *p, uint32_t b) {
    const nsamp_mh_decay_block decay = {nsamp_block_load(nsamp_mh_table(p, p->keep_offset) + b),
                                        nsamp_block_load(nsamp_mh_table(p, p->shift_offset) + b)};
    return decay;
}

/* A block at v takes the spike of the last step and decays: y. */
NSAMP_HD nsamp_block nsamp_mh_decay_in(float *v, const float *taken, nsamp_mh_decay_block decay) {
    const nsamp_block before = nsamp_block_add(nsamp_block_load(v), nsamp_block_load(taken));
    const nsamp_block y = nsamp_block_fma(before, decay.keep, decay.shift);
    nsamp_block_store(v, y);
    return y;
}

/* All of a chain at v [P], which then proposes row: the products of the tree. */
NSAMP_HD nsamp_f32v nsamp_mh_propose(const nsamp_mh_spiking_params *p, const nsamp_mh_decay_block *first,
                                     float *v, const uint32_t P, const float *taken, const float *row) {
    nsamp_block sum = nsamp_block_mul(nsamp_block_load(row), nsamp_mh_decay_in(v, taken, *first));
    for (uint32_t b = NSAMP_BLOCK; b < P; b += NSAMP_BLOCK)
        sum = nsamp_block_fma(nsamp_block_load(row + b),
                              nsamp_mh_decay_in(v + b, taken + b, nsamp_mh_decay_of(p, b)), sum);
    return nsamp_block_fold(sum);
}

/* nsteps <= NSAMP_MH_STEPS steps; P = p->stride, a constant where it is one block. Number of spikes listed. */
NSAMP_HD uint32_t nsamp_mh_steps(const nsamp_mh_spiking_params *p, float *v, const uint32_t P,
                                 const uint32_t L, uint32_t nsteps, nsamp_mh_noise *noise) {
    const float *const table = nsamp_mh_table(p, p->row_offset);
    const nsamp_mh_decay_block first = nsamp_mh_decay_of(p, 0);
    uint32_t spikes = 0;
    for (uint32_t n = 0; n < nsteps; n++)
        for (uint32_t l = 0; l < L; l += NSAMP_V32) {
            uint32_t *const taken = noise->taken + l;
            const uint32_t *const row = noise->row[n] + l;
            nsamp_f32v part[NSAMP_V32];
            NSAMP_UNROLL for (uint32_t i = 0; i < NSAMP_V32; i++) part[i] =
                nsamp_mh_propose(p, &first, v + (size_t)(l + i) * P, P, table + taken[i], table + row[i]);
            const uint32_t accept = nsamp_choose_less(nsamp_block_sums(part), noise->bar[n] + l, row, taken);
            spikes += nsamp_append(accept, noise->counter[n] + l, noise->spikes + spikes);
        }
    return spikes;
}

/* State [p][L] -> v [L][P], padded with zeros; and back, with the last spikes. */
NSAMP_HD void nsamp_mh_gather(const nsamp_mh_spiking_params *p, const float *state, const uint32_t L,
                              float *v) {
    const uint32_t P = p->stride;
    for (uint32_t l = 0; l < L; l++)
        for (uint32_t d = 0; d < P; d++)
            v[l * P + d] = d < p->dim ? state[d * L + l] : 0.0f;
}

NSAMP_HD void nsamp_mh_scatter(const nsamp_mh_spiking_params *p, const float *v, const uint32_t *taken,
                               const uint32_t L, float *state) {
    const uint32_t P = p->stride;
    const float *const table = nsamp_mh_table(p, p->row_offset);
    for (uint32_t l = 0; l < L; l++)
        for (uint32_t d = 0; d < p->dim; d++)
            state[d * L + l] = v[l * P + d] + table[taken[l] + d];
}

NSAMP_HD void nsamp_mh_advance_tile(const nsamp_mh_spiking_params *p, const nsamp_tile *t, const uint32_t L,
                                    uint64_t step0, uint32_t nsteps) {
    nsamp_mh_noise noise;
    nsamp_row row;
    float *const v = (float *)t->scratch;
    uint32_t *const count = (uint32_t *)(t->state + (size_t)p->dim * L);
    nsamp_row_begin(&row, t->noise, NSAMP_PURPOSE_STEP, t->chain0, step0 / 2, L);
    nsamp_mh_gather(p, t->state, L, v);
    for (uint32_t l = 0; l < L; l++)
        noise.taken[l] = 0;
    for (uint64_t step = step0, end = step0 + nsteps; step < end;) {
        uint64_t few = end - step < NSAMP_MH_STEPS ? end - step : NSAMP_MH_STEPS;
        if (step < p->burn_in && p->burn_in - step < few) few = p->burn_in - step;
        nsamp_mh_noise_steps(p, t, &row, step, (uint32_t)few, L, &noise);
        uint32_t spikes = p->stride == NSAMP_BLOCK
                              ? nsamp_mh_steps(p, v, NSAMP_BLOCK, L, (uint32_t)few, &noise)
                              : nsamp_mh_steps(p, v, p->stride, L, (uint32_t)few, &noise);
        if (!p->counts || step < p->burn_in) spikes = 0;
        for (uint32_t i = 0; i < spikes; i++)
            nsamp_mh_count(&count[noise.spikes[i]], 1);
        step += few;
    }
    nsamp_mh_scatter(p, v, noise.taken, L, t->state);
}

#endif

#endif
