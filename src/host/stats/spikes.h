/* spikes.h: statistics of spike counts over independent repeats (chains, trials). Not here: how a system counts its spikes
 * (systems/). */
#ifndef NSAMP_HOST_STATS_SPIKES_H
#define NSAMP_HOST_STATS_SPIKES_H

#include "stats/distances.h"

/* Fano factor of counts [n] of repeats in equal windows: sample variance / mean. se: delta method. NaN when n
 * < 2 or no spikes. 1 for a Poisson process. */
nsamp_estimate nsamp_fano(const double *counts, size_t n);

#endif
