/* moments.h: what a run accumulates, in memory that does not grow with the steps, and the summary made from
 * it.
 *
 * For each chain and dimension: sums of x and x^2 over the first and the second half of the samples (double),
 * minimum and maximum. For groups of chains: sums of products, up to record.cov_dim. nsamp_moments_finish
 * turns them into mean, variance, covariance, split and nested R-hat, ESS and autocorrelation time, with
 * standard errors.
 *
 * Same bits for any number of threads, lanes of a tile, and calls that a run is cut into:
 * - a chain's own sums grow in the order of time;
 * - a group is a range of chains that depends on C and D alone; its sums grow in the order (time, chain). So
 *   one thread owns a unit (tiles_per_unit tiles, which hold whole groups) and, sample by sample, adds the
 *   unit's tiles in order;
 * - finish adds over chains in a fixed tree of aligned powers of two.
 *
 * A chain that diverged is left out of everything. Products cannot be taken back, so the covariance leaves
 * out every group that holds such a chain (C <= 256: a group is one chain).
 *
 * Double sums of float32 samples: a variance keeps about 16 - 2 log10(|mean| / sd) digits. Models therefore
 * hand in samples relative to the mean of their target (systems/model.h); nsamp_moments_shift puts it back. */
#ifndef NSAMP_HOST_STATS_MOMENTS_H
#define NSAMP_HOST_STATS_MOMENTS_H

#include <stdbool.h>
#include "kernels/moments.h"
#include "nsamp.h"

typedef struct nsamp_moments_spec {
    uint64_t chains; /* C >= 1 */
    uint32_t lanes;  /* L, a multiple of 16 */
    size_t dim;      /* D >= 1 */
    bool row_sum;    /* also the moments of the sum over coordinates: off-diagonal in O(D) */
    bool full_cov;   /* sums of products */
    uint64_t every;  /* >= 1: a sample after each step t with (t + 1) % every == 0 and t + 1 > burn_in */
    uint64_t burn_in, steps;
    const char *isa; /* isa.h; NULL: the best of this processor */
} nsamp_moments_spec;

typedef struct nsamp_moments {
    const nsamp_moments_loops *loops;
    uint64_t chains, tiles;
    uint32_t lanes;
    size_t dim;    /* D */
    size_t rows;   /* D, or D + 1 with the sum over coordinates as the last row */
    bool full_cov; /* products [groups][D * D] */
    uint64_t every, burn_in;
    uint64_t half_step; /* samples after steps t + 1 > half_step go to the second half */
    uint64_t count[2];  /* samples of each half so far: nsamp_moments_set_step */
    double *sums;       /* [tiles][2 halves][2 powers][rows][lanes] */
    double *products;   /* [groups][D * D], lower triangle (j <= i at i * D + j); NULL */
    uint64_t groups, group_chains;
    uint32_t group_halves; /* 2: a group holds one half of its chains' samples (C < 16); otherwise 1 */
    uint64_t tiles_per_unit;
    float *low, *high; /* [tiles][D][lanes] */
    double *results;   /* what the summary points to */
    double *scratch;
} nsamp_moments;

/* The scalars of what create makes, of a spec within its ranges; no arrays. */
nsamp_moments nsamp_moments_describe(const nsamp_moments_spec *spec);
/* Another interval for the same span, every >= 1, before any sample: a run goes on with the interval that it began with, which
 * its checkpoint knows, whatever would be chosen now. steps: those of the spec. */
void nsamp_moments_set_interval(nsamp_moments *m, uint64_t every, uint64_t steps);
/* Bytes that create allocates; UINT64_MAX when they do not fit 64 bits. */
uint64_t nsamp_moments_bytes(const nsamp_moments_spec *spec);
/* NSAMP_ENOMEM; NSAMP_EINTERNAL for a spec outside its ranges. On failure *m is NULL. */
nsamp_status nsamp_moments_create(const nsamp_moments_spec *spec, nsamp_moments **m, nsamp_error *err);
void nsamp_moments_destroy(nsamp_moments *m);

/* The next step count (steps done, t + 1) above `step` after which a sample is due; UINT64_MAX if it does not
 * fit. */
uint64_t nsamp_moments_next(const nsamp_moments *m, uint64_t step);
/* Says that all chains have done `step` steps and were sampled whenever one was due: sets count. Not
 * thread-safe. */
void nsamp_moments_set_step(nsamp_moments *m, uint64_t step);

/* Whether no sample is in them: sums and products are 0, low and high as far apart as can be. */
static inline bool nsamp_moments_empty(const nsamp_moments *m) {
    return m->count[0] + m->count[1] == 0;
}

/* Adds a sample x [D][lanes] of one tile, taken when `step` steps were done. Threads may call it at the same
 * time for tiles of different units. x of lanes beyond C and of diverged chains may be anything. */
void nsamp_moments_add_tile(nsamp_moments *m, uint64_t tile, uint64_t step, const float *x);

/* The group that a chain's samples of a half (0, 1) go to. */
static inline uint64_t nsamp_moments_group(const nsamp_moments *m, uint64_t chain, uint32_t half) {
    return chain / m->group_chains * m->group_halves + (m->group_halves == 2 ? half : 0);
}

/* For checkpoints: one chain's part as [record_len] doubles: sums [2 halves][2 powers][rows], low [D], high
 * [D]. Does not depend on lanes, and neither do products. */
size_t nsamp_moments_record_len(const nsamp_moments *m);
void nsamp_moments_get(const nsamp_moments *m, uint64_t chain, double *record);
void nsamp_moments_put(nsamp_moments *m, uint64_t chain, const double *record);

/* Fills the summary from what was accumulated up to set_step: dim, chains, diverged, first_bad_*,
 * samples_per_chain, accumulate_every and all estimates; the rest of *s is left alone. Its arrays are owned
 * by m and live as long. first_bad [C]: first non-finite step, UINT64_MAX if none. superchains K: chains c with the same
 * floor(c K / C) began at one point (nsamp_superchain_start); 0: every chain began by itself, and there is no nested R-hat.
 *
 * Over the M chains that did not diverge, n samples each, with m_c and w_c the mean and (1/n) variance of chain c:
 *   mean         average of m_c; se sd(m_c) / sqrt(M)
 *   var          average of w_c + sample variance of m_c: unbiased at stationarity for any autocorrelation; se from
 *                the spread over chains of their mean square about the overall mean
 *   ess          var / mean_se^2
 *   tau          n every Var(m_c) / var, steps; ess tau = M n every. This is the law of a run of this length, sampled
 *                at this interval: about tau (1 - tau / (2 n every)) for an exponential autocorrelation, and never
 *                below `every` for a positive one
 *   rhat         split R-hat, each half a chain [Gelman et al., Bayesian Data Analysis, 2013]
 *   rhat_nested  of superchains [Margossian et al. 2022, arXiv 2110.13017]; NULL where there are none
 *   drift_mean   Student's t of the change of the mean from the first half of each chain to the second, over the chains (or
 *                superchains: what began independently), drift_units of them; drift_var of the mean square about the
 *                overall mean. Near 0 at stationarity; a transient that standard errors do not know of makes it large
 *   stuck        chains with one and the same x in all their samples
 *   *_average    over the coordinates; se from the spread over chains of each chain's own average
 *   cov          over the groups, same bias correction from the group means; se from the spread over groups
 *   offdiag      from the variance of the sum over coordinates (row_sum)
 * With M < 16 half chains take the place of chains (but in rhat_nested), as if independent: too optimistic when tau
 * is not small against half a run; half_batches says so. NaN where there are too few batches, samples or clean
 * groups: of two batches no error of a variance or a time, of fewer than eight no ess and no tau, of one sample a batch no tau. A coordinate that is
 * the same number in all samples has variance and standard errors 0, and no ess, tau or R-hat. */
void nsamp_moments_finish(nsamp_moments *m, const uint64_t *first_bad, uint64_t superchains,
                          nsamp_summary *s);

/* The first chain of the superchain of chain c: where it starts is where they all start. */
static inline uint64_t nsamp_superchain_start(uint64_t c, uint64_t chains, uint64_t superchains) {
    if (!superchains) return c;
    const uint64_t k = c * superchains / chains;
    return (k * chains + superchains - 1) / superchains;
}

/* Makes the summary of finish that of samples x + offset [D] in the place of x: means and extremes move. */
void nsamp_moments_shift(nsamp_moments *m, const double *offset, nsamp_summary *s);

/* Whether finish uses half chains as batches for M chains. */
static inline bool nsamp_moments_half_batches(uint64_t chains) {
    return chains < 16;
}

#endif
