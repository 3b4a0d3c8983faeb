/* output.h: the result of a run as netCDF-4 in ArviZ's InferenceData layout. Groups posterior (x),
 * sample_stats, moments; root attributes hold every option with its origin, the noise and program versions,
 * the machine. Written under a temporary name in the same folder, synced, and renamed when complete: the
 * final name never holds half a file. */
#ifndef NSAMP_HOST_IO_OUTPUT_H
#define NSAMP_HOST_IO_OUTPUT_H

#include "job/job.h"
#include "systems/model.h"

typedef struct nsamp_output nsamp_output;

/* Refuses an existing path unless output.overwrite, a missing folder, a path that is a folder (NSAMP_EUSAGE);
 * NSAMP_EIO when it cannot be created. Writes nothing; the plan calls it before anything is computed. */
nsamp_status nsamp_output_check(const nsamp_job *job, nsamp_error *err);

/* chains: how many are stored (0: no posterior group); draws: how many each, with their step numbers [draws].
 */
nsamp_status nsamp_output_create(const nsamp_job *job, size_t chains, size_t draws, size_t dim,
                                 const uint64_t *steps, nsamp_output **out, nsamp_error *err);
/* Draws first .. first + n - 1 of all stored chains: x [n][chains][D]. Called from one thread at a time,
 * which need not be the one that created it. */
nsamp_status nsamp_output_draws(nsamp_output *out, size_t first, size_t n, const float *x, nsamp_error *err);
/* first_bad [C_stored]: first non-finite step of each stored chain, UINT64_MAX if none. */
nsamp_status nsamp_output_summary(nsamp_output *out, const nsamp_summary *summary, const nsamp_law *law,
                                  const uint64_t *first_bad, const nsamp_statistic *stats, size_t nstats,
                                  nsamp_error *err);
/* Syncs, checks and renames. On failure the temporary file is removed. out is freed either way. */
nsamp_status nsamp_output_close(nsamp_output *out, nsamp_error *err);
/* Removes the temporary file; frees. */
void nsamp_output_abandon(nsamp_output *out);

#endif
