/* mh_spiking.h: a spiking network whose spikes are Metropolis-Hastings proposals.
 *
 * Equation [Masset et al., NeurIPS 2022] n neurons, readout z = Gamma r in R^p, Gamma = [A, -A] (naive) or
 *          Sigma^(1/2) [A, -A] (natural), Omega = Gamma^T Sigma^-1 Gamma, eta = dt/tau (0 without leak):
 *            j ~ U{1..n};  s_j = 1 with probability min(1, exp(g [V_j - Omega_jj/2])), all other s = 0
 *            V <- (1 - eta)(V - Omega s) + eta Gamma^T Sigma^-1 mu;   r <- (1 - eta) r + s
 *          Then V = Gamma^T Sigma^-1 (mu - (1 - eta) z) at every step, so z is the whole state: the step decays
 *          z to y = (1 - eta) z and proposes y + Gamma_j, and V_j - Omega_jj/2 = log p(y + Gamma_j)/p(y).
 * Scheme   in whitened coordinates v = Sigma^(-1/2)(z - mu), with w_j = Sigma^(-1/2) Gamma_j:
 *            y = (1 - eta) v - eta Sigma^(-1/2) mu
 *            accept iff log U < -g [w_j . y + |w_j|^2/2];  v = y + w_j if accepted, else y
 *          One table then serves proposal and update, and half of it: w_(j + n/2) = -w_j.
 * Law      without leak Metropolis-Hastings for N(mu, Sigma/g), exactly; acceptance of neuron j in the
 *          stationary state 2 Phi(-sqrt(g) |w_j|/2); lag-1 covariance Sigma/g - J/2,
 *          J = (1/n) sum_j acceptance_j Gamma_j Gamma_j^T. With leak approximate: host,
 *          systems/mh_spiking_law.c.
 * Draws    two words a step. One block serves two: step t takes words 2 (t % 2) and 2 (t % 2) + 1 of block 0 of
 *          step floor(t/2). The first gives j = floor(w n / 2^32), whose probability is off by less than 2^-32
 *          (n/2^32 of itself), the second U.
 * Fails    never: a proposal that overflows is refused.
 *
 * State [S][L]: v [p], then, when counting, the spikes of each neuron [n] as uint32 bit patterns, which stop
 * at 2^32 - 1. */
#ifndef NSAMP_KERNELS_SYSTEMS_MH_SPIKING_H
#define NSAMP_KERNELS_SYSTEMS_MH_SPIKING_H

#include "kernels/kernel.h"
#include "kernels/noise_row.h"

typedef struct nsamp_mh_spiking_params {
    uint32_t dim;     /* p */
    uint32_t neurons; /* n, even; n/2 p < 2^31 */
    uint32_t counts;  /* 1: the state holds spike counts */
    uint32_t equi;    /* 1: Sigma^(1/2) = root_a I + root_b 1 1^T; 0: the table at root_offset */
    float keep;       /* 1 - eta */
    float gain;       /* g */
    float root_a, root_b;
    uint64_t burn_in; /* steps before spikes are counted */
    /* Bytes from this struct to arrays of floats: */
    uint64_t weight_offset; /* w_j [n/2][p] */
    uint64_t energy_offset; /* g |w_j|^2/2 [n/2] */
    uint64_t shift_offset;  /* -eta Sigma^(-1/2) mu [p] */
    uint64_t mean_offset;   /* mu [p] */
    uint64_t root_offset;   /* Sigma^(1/2) [p][p] */
} nsamp_mh_spiking_params;

/* Scratch of a tile of L lanes: four words, neuron, row, dot product, and the proposed row [p]. */
#define NSAMP_MH_SPIKING_SCRATCH(L, dim) (sizeof(float) * (size_t)(L) * (7 + (size_t)(dim)))

NSAMP_HD const float *nsamp_mh_table(const nsamp_mh_spiking_params *p, uint64_t offset) {
    return (const float *)((const char *)p + offset);
}

/* The words [4][L] of steps 2 pair and 2 pair + 1. */
NSAMP_HD void nsamp_mh_words(nsamp_noise_key key, uint32_t chain0, uint64_t pair, const uint32_t L,
                             uint32_t *words) {
    nsamp_row row;
    nsamp_row_begin(&row, key, NSAMP_PURPOSE_STEP, chain0, pair, L);
    nsamp_row_words(&row, key, 0, L, words);
}

/* One step of the tile from its two words [2][L]; work: 3 L numbers, then the row [p][L]. Row indices are
 * signed 32-bit numbers and the loops have one lane an iteration, so that table look-ups become gathers. */
NSAMP_HD void nsamp_mh_step(const nsamp_mh_spiking_params *p, float *v, const uint32_t L,
                            const uint32_t *words, uint32_t *work, uint32_t counting) {
    const float *const weight = nsamp_mh_table(p, p->weight_offset);
    const float *const energy = nsamp_mh_table(p, p->energy_offset);
    const float *const shift = nsamp_mh_table(p, p->shift_offset);
    const uint32_t dim = p->dim, n = p->neurons, half = n / 2;
    const float keep = p->keep, gain = p->gain;
    int32_t *const neuron = (int32_t *)work, *const row = neuron + L;
    float *const dot = (float *)(work + 2 * L), *const proposal = dot + L;
    NSAMP_FOR_LANES(l, L) {
        uint32_t j = (uint32_t)(((uint64_t)words[l] * n) >> 32);
        neuron[l] = (int32_t)j;
        row[l] = (int32_t)((j - half * (uint32_t)(j >= half)) * dim);
        dot[l] = 0.0f;
    }
    for (uint32_t d = 0; d < dim; d++) {
        const float s = shift[d];
        NSAMP_FOR_LANES(l, L) {
            float w = weight[row[l] + (int32_t)d];
            float y = nsamp_fma(keep, v[d * L + l], s);
            dot[l] = nsamp_fma(w, y, dot[l]);
            v[d * L + l] = y;
            proposal[d * L + l] = w;
        }
    }
    float *const spike = dot; /* +1 or -1, the sign of the proposed column, or 0 */
    NSAMP_FOR_LANES(l, L) {
        uint32_t j = (uint32_t)neuron[l], second = (uint32_t)(j >= half);
        float signed_gain = nsamp_float_of(nsamp_bits_of(gain) ^ (second << 31));
        float x = -nsamp_fma(signed_gain, dot[l], energy[(int32_t)(j - half * second)]);
        uint32_t accept = 0u - (uint32_t)(nsamp_log(nsamp_uniform(words[L + l])) < x);
        row[l] = (int32_t)accept;
        spike[l] = nsamp_float_of((second << 31 | 0x3f800000u) & accept);
    }
    for (uint32_t d = 0; d < dim; d++)
        NSAMP_FOR_LANES(l, L) v[d * L + l] = nsamp_fma(spike[l], proposal[d * L + l], v[d * L + l]);
    if (counting) {
        uint32_t *const count = (uint32_t *)(v + (size_t)dim * L);
        NSAMP_FOR_LANES(l, L) {
            uint32_t *const c = &count[neuron[l] * (int32_t)L + (int32_t)l], old = *c;
            *c = old + ((uint32_t)row[l] & (uint32_t)(old != 0xffffffffu));
        }
    }
}

/* Flags the lanes whose state is not finite. Only a start can be so: a step keeps a finite state finite. */
NSAMP_HD void nsamp_mh_flag(const nsamp_mh_spiking_params *p, const nsamp_tile *t, const uint32_t L,
                            float *all) {
    NSAMP_FOR_LANES(l, L) all[l] = 0.0f;
    for (uint32_t d = 0; d < p->dim; d++)
        NSAMP_FOR_LANES(l, L) all[l] += t->state[d * L + l];
    NSAMP_FOR_LANES(l, L) t->bad[l] += (uint32_t)(!(all[l] - all[l] == 0.0f) & (t->bad[l] == 0));
}

NSAMP_HD void nsamp_mh_spiking_advance(const void *params, const nsamp_tile *tile, const uint32_t L,
                                       uint64_t step0, uint32_t nsteps) {
    const nsamp_mh_spiking_params *p = (const nsamp_mh_spiking_params *)params;
    uint32_t *const words = (uint32_t *)tile->scratch, *const work = words + 4 * L;
    nsamp_mh_flag(p, tile, L, (float *)work);
    for (uint32_t n = 0; n < nsteps; n++) {
        const uint64_t step = step0 + n;
        if (n == 0 || step % 2 == 0) nsamp_mh_words(tile->noise, tile->chain0, step / 2, L, words);
        nsamp_mh_step(p, tile->state, L, words + 2 * (step % 2) * L, work, p->counts && step >= p->burn_in);
    }
}

/* z = mu + Sigma^(1/2) v. */
NSAMP_HD void nsamp_mh_spiking_observe(const void *params, const nsamp_tile *tile, const uint32_t L,
                                       float *x) {
    const nsamp_mh_spiking_params *p = (const nsamp_mh_spiking_params *)params;
    const float *const mean = nsamp_mh_table(p, p->mean_offset), *const root =
                                                                     nsamp_mh_table(p, p->root_offset);
    const float *const v = tile->state;
    const uint32_t dim = p->dim;
    if (p->equi) {
        float *const common = (float *)tile->scratch;
        NSAMP_FOR_LANES(l, L) common[l] = 0.0f;
        for (uint32_t d = 0; d < dim; d++)
            NSAMP_FOR_LANES(l, L) common[l] += v[d * L + l];
        for (uint32_t d = 0; d < dim; d++) {
            const float m = mean[d];
            NSAMP_FOR_LANES(l, L)
            x[d * L + l] = nsamp_fma(p->root_a, v[d * L + l], nsamp_fma(p->root_b, common[l], m));
        }
        return;
    }
    for (uint32_t i = 0; i < dim; i++) {
        const float m = mean[i];
        NSAMP_FOR_LANES(l, L) x[i * L + l] = m;
        for (uint32_t d = 0; d < dim; d++) {
            const float r = root[(size_t)i * dim + d];
            NSAMP_FOR_LANES(l, L) x[i * L + l] = nsamp_fma(r, v[d * L + l], x[i * L + l]);
        }
    }
}

#endif
