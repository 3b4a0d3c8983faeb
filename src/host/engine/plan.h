/* plan.h: what a plan holds; private to src/host/engine. plan.c sizes it, run.c runs it, resume.c saves and
 * restores it, spool.c keeps recorded draws on disk while the run goes on. */
#ifndef NSAMP_HOST_ENGINE_PLAN_H
#define NSAMP_HOST_ENGINE_PLAN_H

#include "engine.h"
#include "stats/moments.h"

typedef struct nsamp_spool nsamp_spool;

struct nsamp_plan {
    nsamp_job *job;
    nsamp_model *model;
    const nsamp_cpu_kernel *kernel; /* of the CPU backend; NULL with CUDA */
    const char *isa;                /* of it; NULL with CUDA */
    nsamp_backend *backend;
    nsamp_batch batch;
    uint64_t device_bytes;         /* of the CUDA backend; 0 with the CPU's */
    uint64_t steps, burn_in, step; /* step: done so far */
    uint64_t accumulate_every;
    uint64_t record_every, record_chains, records; /* records: stored draws a chain over the whole run */
    char *checkpoint_path, *spool_path;            /* NULL: none */
    uint64_t digest;                               /* of the job, where there is a checkpoint */
    bool ran;
    nsamp_statistic *statistics; /* of the system, after the run */
    size_t nstatistics;
    double *exact_tau; /* [D] of the summary; NULL */
    double seconds;    /* wall time of the steps, earlier parts of a resumed run included */
    nsamp_summary summary;
    char text[4096];
};

/* Gives every chain its state at step 0 (run.c). */
nsamp_status nsamp_plan_start(nsamp_plan *plan, nsamp_error *err);

/* ---- spool.c: recorded draws, appended to a flat file by a thread of its own while the chains go on ---- */

/* Opens path for draws of `floats` numbers each; keeps the first `draws` that are there and cuts off the
 * rest. */
nsamp_status nsamp_spool_open(const char *path, size_t floats, uint64_t draws, nsamp_spool **spool,
                              nsamp_error *err);
/* The buffer for the next draw [floats]; waits while the writer is behind. NULL after a write error. */
float *nsamp_spool_next(nsamp_spool *spool);
/* Hands the buffer of nsamp_spool_next to the writer. */
void nsamp_spool_put(nsamp_spool *spool);
/* Waits until everything is on disk (fsync). NSAMP_EIO with the reason of the first write that failed. */
nsamp_status nsamp_spool_sync(nsamp_spool *spool, nsamp_error *err);
/* Reads n draws from number first -> x [n][floats]. */
nsamp_status nsamp_spool_read(nsamp_spool *spool, uint64_t first, size_t n, float *x, nsamp_error *err);
/* Stops the thread, closes, and removes the file unless keep. */
void nsamp_spool_close(nsamp_spool *spool, bool keep);

/* ---- resume.c: checkpoints of a plan ---- */

nsamp_status nsamp_plan_save(nsamp_plan *plan, nsamp_error *err);
/* Restores from plan->checkpoint_path when it is there; *found says so. NSAMP_EUSAGE when it belongs to
 * another job. */
nsamp_status nsamp_plan_restore(nsamp_plan *plan, bool *found, nsamp_error *err);
/* Removes the checkpoint of a finished run. */
void nsamp_plan_forget(nsamp_plan *plan);

#endif
