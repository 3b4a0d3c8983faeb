/* output.h: the result of a run as netCDF-4 in ArviZ's InferenceData layout. Groups posterior (x),
 * sample_stats, moments; root attributes hold every option with its origin, the noise and program versions,
 * the machine. Written under another name in the same folder, synced, and renamed when complete: the final
 * name never holds half a file.
 *
 * With draws that other name is PATH.draws, a netCDF file with the group posterior from the beginning. Its
 * variable x(chain, draw, dim) lies in chunks of all chains over some draws, a block (a draw of more than 4 MiB in chunks of some chains); the chunks get their places in the
 * file at once, and blocks are written there without netCDF. So the file stays readable whenever the
 * process is killed, and a checkpoint needs no copy of the draws. The other groups and the attributes come at the
 * end. The variable run_id of the root, random digits, is in the checkpoint too: a resumed run takes no other draws. */
#ifndef NSAMP_HOST_IO_OUTPUT_H
#define NSAMP_HOST_IO_OUTPUT_H

#include "job/job.h"
#include "systems/model.h"

typedef struct nsamp_output nsamp_output;

/* Blocks of draws at a multiple of this address, in bytes, are written without a copy where the system can. */
#define NSAMP_OUTPUT_ALIGN ((size_t)4096)

/* Where the chunks of PATH.draws, its step numbers and the digits of its run_id lie and what else it holds: kept with a checkpoint, and put back by a resumed
 * run, since one that is killed while the last groups are written leaves them half done. */
typedef struct nsamp_output_frame {
    size_t chunks;
    uint64_t *at; /* [chunks] offsets in the file, in rising order of chain, then of draw */
    size_t bytes;
    void *data;     /* [bytes] what is neither chunk nor step number, in the order of the file */
    uint64_t id_at; /* offset of the digits, which no later write moves */
    uint64_t
        draw_at; /* offset of the step numbers of the draws, 8 bytes each: not in data, since they may be 1e9 */
} nsamp_output_frame;

/* Which draws a run stores; none: no group posterior. */
typedef struct nsamp_recording {
    uint64_t chains, draws; /* of the whole run */
    size_t dim;
    const double *offset;    /* [dim], added to x as kernels observe it; NULL: 0. Must outlive the recorder */
    uint64_t burn_in, every; /* draw k is x after burn_in + (k + 1) * every steps */
} nsamp_recording;

static inline uint64_t nsamp_recording_step(const nsamp_recording *what, uint64_t k) {
    return what->burn_in + (k + 1) * what->every;
}

/* Hexadecimal digits of the number by which draws and checkpoint know that they belong together. */
enum { NSAMP_RUN_ID = 32 };

/* Draws of a block: about 4 MiB, at least one draw. */
size_t nsamp_output_block(size_t chains, size_t dim, uint64_t draws);

/* Refuses an existing path unless output.overwrite, a missing folder, a path that is a folder (NSAMP_EUSAGE);
 * NSAMP_EIO when it cannot be created. Writes nothing; the plan calls it before anything is computed. */
nsamp_status nsamp_output_check(const nsamp_job *job, nsamp_error *err);

/* Sets the disk space aside: a full disk is met here (NSAMP_EIO). run_id: NSAMP_RUN_ID digits. frame NULL: a new file. Otherwise
 * goes on with PATH.draws as a run left it whose frame this is (copied): a file with another run_id is refused. */
nsamp_status nsamp_output_create(const nsamp_job *job, const nsamp_recording *what, const char *run_id,
                                 const nsamp_output_frame *frame, nsamp_output **out, nsamp_error *err);
/* Memory that it takes, bytes. */
double nsamp_output_bytes(const nsamp_recording *what);
/* Of a file with draws; the output's own. */
const nsamp_output_frame *nsamp_output_frame_of(const nsamp_output *out);
/* The same, the caller's from now on (frees at and data): of an output that is only to be closed. */
nsamp_output_frame nsamp_output_take_frame(nsamp_output *out);
/* Block number k, its draws being k B .. k B + B - 1, to or from the file: x [chains][B][D] with B =
 * nsamp_output_block. What lies beyond the last draw has no meaning. A block may be written more than once. One thread at a time, which need not be
 * the one that created the output. */
nsamp_status nsamp_output_write(nsamp_output *out, size_t k, const float *x, nsamp_error *err);
nsamp_status nsamp_output_read(nsamp_output *out, size_t k, float *x, nsamp_error *err);
/* Waits until the draws are on the disk, under their name: one that was removed meanwhile is made again. */
nsamp_status nsamp_output_sync(nsamp_output *out, nsamp_error *err);
/* From now on PATH.draws stays where it is unless it becomes PATH: there is a checkpoint that needs it. */
void nsamp_output_keep(nsamp_output *out);
/* first_bad [C_stored]: first non-finite step of each stored chain, UINT64_MAX if none. */
nsamp_status nsamp_output_summary(nsamp_output *out, const nsamp_summary *summary, const nsamp_law *law,
                                  const uint64_t *first_bad, const nsamp_statistic *stats, size_t nstats,
                                  nsamp_error *err);
/* Syncs, checks and renames. On failure the temporary file is removed, unless it is to be kept. out is freed either way. NSAMP_OK
 * with a text: nsamp_newfile_commit. */
nsamp_status nsamp_output_close(nsamp_output *out, nsamp_error *err);
/* Removes the temporary file, unless it is to be kept; frees. NULL is allowed. */
void nsamp_output_abandon(nsamp_output *out);

#endif
