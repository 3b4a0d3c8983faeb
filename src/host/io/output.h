/* output.h: the result of a run as netCDF-4 in ArviZ's InferenceData layout. Groups posterior (x),
 * sample_stats, moments; root attributes hold every option with its origin, the noise and program versions,
 * the machine. Written under another name in the same folder, synced, and renamed when complete: the final
 * name never holds half a file.
 *
 * With draws that other name is PATH.draws, a netCDF file with the group posterior from the beginning. Its
 * variable x(chain, draw, dim) lies in chunks of all chains over some draws, a block (a draw of more than 4 MiB in chunks of some chains); the chunks get their places in the
 * file at once, and blocks are written there without netCDF. So the file stays readable whenever the
 * process is killed, and a checkpoint needs no copy of the draws. The other groups and the attributes come at the
 * end. */
#ifndef NSAMP_HOST_IO_OUTPUT_H
#define NSAMP_HOST_IO_OUTPUT_H

#include "job/job.h"
#include "systems/model.h"

typedef struct nsamp_output nsamp_output;

/* Blocks of draws at a multiple of this address, in bytes, are written without a copy where the system can. */
#define NSAMP_OUTPUT_ALIGN ((size_t)4096)

/* Where the chunks of PATH.draws lie and what it holds beside them: kept with a checkpoint, and put back by a resumed
 * run, since one that is killed while the last groups are written leaves them half done. */
typedef struct nsamp_output_frame {
    size_t chunks;
    uint64_t *at; /* [chunks] offsets in the file, in rising order of chain, then of draw */
    size_t bytes;
    void *data; /* [bytes] what is no chunk, in the order of the file */
} nsamp_output_frame;

/* Draws of a block: about 4 MiB, at least one draw. */
size_t nsamp_output_block(size_t chains, size_t dim, uint64_t draws);

/* Refuses an existing path unless output.overwrite, a missing folder, a path that is a folder (NSAMP_EUSAGE);
 * NSAMP_EIO when it cannot be created. Writes nothing; the plan calls it before anything is computed. */
nsamp_status nsamp_output_check(const nsamp_job *job, nsamp_error *err);

/* chains: how many are stored (0: no posterior group); draws: how many each, with their step numbers [draws].
 * Sets the disk space aside: a full disk is met here (NSAMP_EIO). frame NULL: a new file. Otherwise goes on with PATH.draws
 * as a run left it whose frame this is (copied). */
nsamp_status nsamp_output_create(const nsamp_job *job, size_t chains, size_t draws, size_t dim,
                                 const uint64_t *steps, const nsamp_output_frame *frame, nsamp_output **out,
                                 nsamp_error *err);
/* Of a file with draws; the output's own. */
const nsamp_output_frame *nsamp_output_frame_of(const nsamp_output *out);
/* Block number k, its draws being k B .. k B + B - 1, to or from the file: x [chains][B][D] with B =
 * nsamp_output_block. What lies beyond the last draw has no meaning. A block may be written more than once. One thread at a time, which need not be
 * the one that created the output. */
nsamp_status nsamp_output_write(nsamp_output *out, size_t k, const float *x, nsamp_error *err);
nsamp_status nsamp_output_read(nsamp_output *out, size_t k, float *x, nsamp_error *err);
/* Waits until the draws are on the disk. */
nsamp_status nsamp_output_sync(nsamp_output *out, nsamp_error *err);
/* From now on PATH.draws stays where it is unless it becomes PATH: there is a checkpoint that needs it. */
void nsamp_output_keep(nsamp_output *out);
/* first_bad [C_stored]: first non-finite step of each stored chain, UINT64_MAX if none. */
nsamp_status nsamp_output_summary(nsamp_output *out, const nsamp_summary *summary, const nsamp_law *law,
                                  const uint64_t *first_bad, const nsamp_statistic *stats, size_t nstats,
                                  nsamp_error *err);
/* Syncs, checks and renames. On failure the temporary file is removed, unless it is to be kept. out is freed either way. */
nsamp_status nsamp_output_close(nsamp_output *out, nsamp_error *err);
/* Removes the temporary file, unless it is to be kept; frees. NULL is allowed. */
void nsamp_output_abandon(nsamp_output *out);

#endif
