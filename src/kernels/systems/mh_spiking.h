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
 *            accept iff w_j . y + |w_j|^2/2 < -log(U) / g;  v = y + w_j if accepted, else y
 *          A neuron's row of the table is w_j followed by |w_j|^2/2, which meets a 1 after y, and zeros up to a
 *          multiple of 16. Element d of the row is added to sum d mod 16, in the order of d; the sixteen sums are added in
 *          the tree of blocks.h.
 * Law      without leak Metropolis-Hastings for N(mu, Sigma/g), exactly; acceptance of neuron j in the
 *          stationary state 2 Phi(-sqrt(g) |w_j|/2); lag-1 covariance Sigma/g - J/2,
 *          J = (1/n) sum_j acceptance_j Gamma_j Gamma_j^T. With leak approximate: host,
 *          systems/mh_spiking_law.c.
 * Draws    two words a step. One block serves two: step t takes words 2 (t % 2) and 2 (t % 2) + 1 of block 0 of
 *          step floor(t/2). The first gives j = floor(w n / 2^32), whose probability is off by less than 2^-32
 *          (n/2^32 of itself), the second U.
 * Fails    never: a proposal that overflows is refused.
 *
 * State [S][L]: v [p], never -0, then, when counting, the spikes of each neuron [n] as uint32 bit patterns, which stop
 * at 2^32 - 1. */
#ifndef NSAMP_KERNELS_SYSTEMS_MH_SPIKING_H
#define NSAMP_KERNELS_SYSTEMS_MH_SPIKING_H

#include "kernels/kernel.h"

typedef struct nsamp_mh_spiking_params {
    uint32_t dim;     /* p */
    uint32_t stride;  /* P: p + 1 rounded up to a multiple of 16 */
    uint32_t neurons; /* n, even; (n + 1) P <= 2^30 */
    uint32_t counts;  /* 1: the state holds spike counts */
    uint32_t leak;    /* 0: eta is 0, so that y = v */
    uint32_t equi;    /* 1: Sigma^(1/2) = root_a I + root_b 1 1^T; 0: the table at root_offset */
    float cool;       /* -1/g */
    float root_a, root_b;
    uint64_t burn_in; /* steps before spikes are counted */
    /* Bytes from this struct to arrays of floats: */
    uint64_t row_offset;  /* [1 + n][P]: zeros, no spike; then w_j [p], |w_j|^2/2, zeros, of neuron j */
    uint64_t keep_offset; /* [P]: 1 - eta [p], zeros */
    uint64_t
        shift_offset; /* [P]: -eta Sigma^(-1/2) mu [p] (2^-90 for 0 where there is a leak, never -0), 1, zeros */
    uint64_t root_offset; /* Sigma^(1/2) [p][p] */
} nsamp_mh_spiking_params;

enum { NSAMP_MH_BLOCK = 16 };

/* P of dimension p. */
#define NSAMP_MH_STRIDE(dim) (((size_t)(dim) / NSAMP_MH_BLOCK + 1) * NSAMP_MH_BLOCK)
/* Scratch of a tile of L lanes: v with a chain's numbers together, on a CPU with vectors; one number a lane elsewhere. */
#define NSAMP_MH_SPIKING_SCRATCH(L, dim) (sizeof(float) * (size_t)(L)*NSAMP_MH_STRIDE(dim))

NSAMP_HD const float *nsamp_mh_table(const nsamp_mh_spiking_params *p, uint64_t offset) {
    return (const float *)((const char *)p + offset);
}

/* One spike more, or none: a counter stops at its end. */
NSAMP_HD void nsamp_mh_count(uint32_t *count, uint32_t spike) {
    *count += spike & (uint32_t)(*count != 0xffffffffu);
}

/* Decays the chain at v (stride L) to y, and returns row . y + |w|^2/2. */
NSAMP_HD float nsamp_mh_decay(const nsamp_mh_spiking_params *p, float *v, const uint32_t L,
                              const float *row) {
    const float *const keep = nsamp_mh_table(p, p->keep_offset), *const shift =
                                                                     nsamp_mh_table(p, p->shift_offset);
    float sum[NSAMP_MH_BLOCK] = {0};
    for (uint32_t block = 0; block < p->stride; block += NSAMP_MH_BLOCK)
        NSAMP_UNROLL for (uint32_t k = 0; k < NSAMP_MH_BLOCK; k++) {
            const uint32_t d = block + k;
            if (d < p->dim) {
                const float y = nsamp_fma(keep[d], v[d * L], shift[d]);
                v[d * L] = y;
                sum[k] = nsamp_fma(row[d], y, sum[k]);
            } else {
                sum[k] += row[d]; /* |w|^2/2 at p, zero beyond */
            }
        }
    NSAMP_UNROLL for (uint32_t k = 0; k < 8; k++) sum[k] += sum[k + 8];
    NSAMP_UNROLL for (uint32_t k = 0; k < 4; k++) sum[k] += sum[k + 4];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* One step of one chain from its two words; v and count: its columns, of stride L. count: NULL when not counting. */
NSAMP_HD void nsamp_mh_step(const nsamp_mh_spiking_params *p, float *v, uint32_t *count, const uint32_t L,
                            uint32_t w0, uint32_t w1) {
    const uint32_t j = (uint32_t)(((uint64_t)w0 * p->neurons) >> 32);
    const float *const row = nsamp_mh_table(p, p->row_offset) + (size_t)(j + 1) * p->stride;
    const float bar = nsamp_log(nsamp_uniform(w1)) * p->cool;
    const uint32_t spike = (uint32_t)(nsamp_mh_decay(p, v, L, row) < bar);
    for (uint32_t d = 0; d < p->dim; d++)
        v[d * L] += nsamp_select(0u - spike, row[d], 0.0f);
    if (count) nsamp_mh_count(&count[(size_t)j * L], spike);
}

/* nsteps steps of one chain at column v of the state. */
NSAMP_HD void nsamp_mh_advance_chain(const nsamp_mh_spiking_params *p, nsamp_noise_key key, uint32_t chain,
                                     float *v, const uint32_t L, uint64_t step0, uint32_t nsteps) {
    uint32_t *const count = (uint32_t *)v + (size_t)p->dim * L;
    nsamp_words w = nsamp_draw_words(key, NSAMP_PURPOSE_STEP, chain, step0 / 2, 0);
    for (uint32_t n = 0; n < nsteps; n++) {
        const uint64_t step = step0 + n;
        if (n && step % 2 == 0) w = nsamp_draw_words(key, NSAMP_PURPOSE_STEP, chain, step / 2, 0);
        nsamp_mh_step(p, v, p->counts && step >= p->burn_in ? count : NULL, L, step % 2 ? w.w[2] : w.w[0],
                      step % 2 ? w.w[3] : w.w[1]);
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

/* The same step for a whole tile, where the CPU has vectors. */
#ifdef NSAMP_VECTOR
#include "kernels/systems/mh_spiking_blocks.h"
#endif

NSAMP_HD void nsamp_mh_spiking_advance(const void *params, const nsamp_tile *tile, const uint32_t L,
                                       uint64_t step0, uint32_t nsteps) {
    const nsamp_mh_spiking_params *p = (const nsamp_mh_spiking_params *)params;
    nsamp_mh_flag(p, tile, L, (float *)tile->scratch);
#ifdef NSAMP_VECTOR
    nsamp_mh_advance_tile(p, tile, L, step0, nsteps);
#else
    NSAMP_FOR_LANES(l, L)
    nsamp_mh_advance_chain(p, tile->noise, tile->chain0 + l, tile->state + l, L, step0, nsteps);
#endif
}

/* z - mu = Sigma^(1/2) v; the host adds mu (systems/model.h). */
NSAMP_HD void nsamp_mh_spiking_observe(const void *params, const nsamp_tile *tile, const uint32_t L,
                                       float *x) {
    const nsamp_mh_spiking_params *p = (const nsamp_mh_spiking_params *)params;
    const float *const root = nsamp_mh_table(p, p->root_offset);
    const float *const v = tile->state;
    const uint32_t dim = p->dim;
    if (p->equi) {
        float *const common = (float *)tile->scratch;
        NSAMP_FOR_LANES(l, L) common[l] = 0.0f;
        for (uint32_t d = 0; d < dim; d++)
            NSAMP_FOR_LANES(l, L) common[l] += v[d * L + l];
        for (uint32_t d = 0; d < dim; d++)
            NSAMP_FOR_LANES(l, L)
        x[d * L + l] = nsamp_fma(p->root_a, v[d * L + l], p->root_b * common[l]);
        return;
    }
    for (uint32_t i = 0; i < dim; i++) {
        NSAMP_FOR_LANES(l, L) x[i * L + l] = 0.0f;
        for (uint32_t d = 0; d < dim; d++) {
            const float r = root[(size_t)i * dim + d];
            NSAMP_FOR_LANES(l, L) x[i * L + l] = nsamp_fma(r, v[d * L + l], x[i * L + l]);
        }
    }
}

#endif
