/* identities.h: what a run must obey beside its law: a moment that relaxes, a balance that holds on every
 * path, and moments where no formula gives the law but a sum over a grid does. From the job's keys and the
 * target in double precision; never from the kernel's parameters. */
#ifndef NSAMP_HOST_CHECK_IDENTITIES_H
#define NSAMP_HOST_CHECK_IDENTITIES_H

#include "engine/plan.h"

typedef struct nsamp_identity {
    const char *name; /* NULL: there is none */
    size_t count;
    double *value, *se, *expected,
        *scale;      /* [count] each, one allocation that starts at value; the caller frees it */
    double rounding; /* what float32 may move a value by, as a share of its scale */
} nsamp_identity;

enum { NSAMP_IDENTITIES = 4 };

/* A langevin run that samples its last two states only: one of a relaxation, of which the stationary law
 * says nothing. */
bool nsamp_is_relaxation(const nsamp_plan *plan);
/* Of a plan that has run -> list [NSAMP_IDENTITIES], zeroed by the caller:
 * - a Gaussian, a mixture of equal components too, that langevin starts at zero and looks only at its end
 *   (burn_in = steps - 2): the mean of the last states, mu - F^steps mu, F the matrix of the Euler scheme;
 * - langevin on a target with a score and without a law, in one or two dimensions: means and variances of
 *   the Euler chain (grid.c);
 * - mh-spiking from zero without burn-in, looked at after every step: eta times the sum of all z is the
 *   spikes' sum less the last z, which holds on every path. */
nsamp_status nsamp_identities(const nsamp_plan *plan, nsamp_identity *list, nsamp_error *err);

#endif
