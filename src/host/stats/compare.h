/* compare.h: the stored draws of a result against the target that its job names. */
#ifndef NSAMP_HOST_STATS_COMPARE_H
#define NSAMP_HOST_STATS_COMPARE_H

#include "stats/pit.h"
#include "stats/result.h"
#include "targets/target.h"

/* The target of the result's job. NSAMP_EUSAGE or NSAMP_EIO where it cannot be rebuilt or has another
 * dimension. */
nsamp_status nsamp_result_target(const nsamp_result *result, nsamp_target **target, nsamp_error *err);

/* Table of the target's density, target->dim 1 or 2, on a box that holds 20,000 exact draws with room to
 * spare. */
nsamp_status nsamp_target_pit(const nsamp_target *target, nsamp_pit **pit, nsamp_error *err);

/* n exact draws -> x [dim][n] (coordinate by coordinate), malloc'ed, the caller frees; NULL: out of memory.
 * `set` names one of many independent sets. */
double *nsamp_target_draws(const nsamp_target *target, size_t n, uint64_t set);

/* Adds to the result what its draws say, over chains whose draws are all finite; nothing when it stores none.
 *   group "draws"       chains, draws (used); tau_steps, excess_kurtosis with _se (first 64 coordinates)
 *   group "distances"   kl with kl_se (nats), ks [dim] in 1-D and 2-D; w1 [first 64 coordinates], and w1_floor,
 *                       the same between two sets of as many independent exact draws; frechet, frechet_floor
 *                       (squared, up to 512 dimensions)
 * NSAMP_EUSAGE, NSAMP_EIO where the target cannot be rebuilt: "draws" is there all the same. */
nsamp_status nsamp_compare(nsamp_result *result, nsamp_error *err);

#endif
