/* plan.h: what a plan holds; private to src/host/engine. plan.c sizes it, run.c runs it, resume.c saves and
 * restores it, recorder.c writes recorded draws while the run goes on. */
#ifndef NSAMP_HOST_ENGINE_PLAN_H
#define NSAMP_HOST_ENGINE_PLAN_H

#include "engine.h"
#include "io/lock.h"
#include "io/output.h"
#include "stats/moments.h"

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
    char *checkpoint_path;                         /* NULL: none */
    char *identity;                                /* of the job, where there is a checkpoint */
    char run_id[NSAMP_RUN_ID + 1];                 /* of the run, however often it was resumed */
    nsamp_lock *output_lock, *checkpoint_lock;     /* while it runs; NULL: none */
    nsamp_output *out;                             /* of a run with an output, from its start; NULL */
    nsamp_output_frame frame; /* of the output that a restored run goes on with; data its own */
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

/* ---- recorder.c: recorded draws, written into the output by a thread of its own while the chains go on ---- */

/* Starts the thread; the first `step` steps are done, and their draws in the output, which stays the caller's and must outlive the recorder. */
nsamp_status nsamp_recorder_start(nsamp_output *out, const nsamp_recording *what, uint64_t step,
                                  nsamp_recorder **recorder, nsamp_error *err);
/* Memory that it takes. */
double nsamp_recorder_bytes(size_t chains, size_t dim, uint64_t draws);
/* NSAMP_EIO with the reason of the first write that failed, if one has. */
nsamp_status nsamp_recorder_status(nsamp_recorder *recorder, nsamp_error *err);
/* Waits until every draw has been written, one that failed included (as above). Not yet on the disk: nsamp_output_sync. Between
 * calls of the backend only, when a draw is there for all chains or for none. */
nsamp_status nsamp_recorder_flush(nsamp_recorder *recorder, nsamp_error *err);
/* Stops the thread and frees; draws that were not flushed may be lost. */
void nsamp_recorder_stop(nsamp_recorder *recorder);

/* ---- resume.c: checkpoints of a plan ---- */

nsamp_status nsamp_plan_save(nsamp_plan *plan, nsamp_error *err);
/* Restores from plan->checkpoint_path when it is there; *found says so, note (of size bytes) where the run goes on. NSAMP_EUSAGE
 * when it belongs to another job. */
nsamp_status nsamp_plan_restore(nsamp_plan *plan, bool *found, char *note, size_t size, nsamp_error *err);
/* NSAMP_EIO where a run cannot have reached what was read of a checkpoint at `step`, plan->seconds among it: state [C][S],
 * first_bad [C], sums [C][record] (resume_check.c). */
nsamp_status nsamp_plan_check_restored(const nsamp_plan *plan, uint64_t step, const float *state,
                                       const uint64_t *first_bad, const double *sums, nsamp_error *err);
/* Removes the checkpoint of a finished run. */
void nsamp_plan_forget(nsamp_plan *plan);

#endif
