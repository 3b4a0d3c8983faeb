/* spikes.h: statistics of spikes, from counts and from spike times: rate, Fano factor, interspike intervals.
 * Independent repeats (chains, trials) give the standard errors. Not here: how a system counts its spikes
 * (systems/). */
#ifndef NSAMP_HOST_STATS_SPIKES_H
#define NSAMP_HOST_STATS_SPIKES_H

#include "stats/distances.h"

/* Rate in Hz from counts [n] of repeats that lasted duration_ms each; se from their spread, NaN when n < 2.
 */
nsamp_estimate nsamp_rate_hz(const double *counts, size_t n, double duration_ms);

/* Fano factor of counts [n] of repeats in equal windows: sample variance / mean. se: delta method. NaN when n
 * < 2 or no spikes. 1 for a Poisson process. */
nsamp_estimate nsamp_fano(const double *counts, size_t n);

/* Interspike intervals of `trains` trains; train k's spike times, ascending, are times_ms[first[k]] to
 * times_ms[first[k + 1] - 1]. Intervals of all trains are pooled; se by the delta method with trains as the
 * independent units, NaN when fewer than 2 trains have an interval. */
typedef struct nsamp_isi {
    size_t count;           /* intervals */
    nsamp_estimate mean_ms; /* NaN when there is no interval */
    nsamp_estimate cv;      /* standard deviation / mean; 1 for a Poisson process */
} nsamp_isi;

nsamp_isi nsamp_isi_of(const double *times_ms, const size_t *first, size_t trains);

#endif
