/* engine.h: advancing all chains of a plan. A backend is a table of functions; the plan (plan.c) owns what
 * they work on. */
#ifndef NSAMP_HOST_ENGINE_ENGINE_H
#define NSAMP_HOST_ENGINE_ENGINE_H

#include "systems/model.h"

/* What a backend is given and must keep. Arrays are host memory, in tiles of `lanes` chains. */
typedef struct nsamp_batch {
    const nsamp_model *model;
    nsamp_noise_key noise;
    uint64_t chains;               /* C */
    uint32_t lanes;                /* L of this backend's kernel */
    uint64_t tiles;                /* ceil(C / L) */
    float *state;                  /* [tiles][S][L] */
    uint64_t *first_bad;           /* [tiles * L]: first non-finite step, UINT64_MAX if none */
    struct nsamp_moments *moments; /* accumulators; stats/moments.h */
} nsamp_batch;

typedef struct nsamp_backend nsamp_backend;

/* Where x of chains 0 .. chains - 1 goes: the first D of each row of x [chains][stride]. */
typedef struct nsamp_record {
    uint64_t chains;
    float *x;
    size_t stride;
} nsamp_record;

/* What records steps of a run (recorder.c). Any thread may call these three, so that chains need not wait for one another
 * where something is recorded. */
typedef struct nsamp_recorder nsamp_recorder;
/* The first number of steps done, above `step`, at which x is recorded; UINT64_MAX when there is none. */
uint64_t nsamp_recorder_due(const nsamp_recorder *recorder, uint64_t step);
/* Steps of which the recorder has room for all draws at once, whatever it still has to write: at least 1. */
uint64_t nsamp_recorder_room(const nsamp_recorder *recorder);
/* Where x after `step` goes, a step that is due; waits while the writer is that far behind. Draws before it by more than
 * nsamp_recorder_room must not wait for the caller. */
nsamp_record nsamp_recorder_place(nsamp_recorder *recorder, uint64_t step);
/* x after `step` is there for so many more of the recorded chains. */
void nsamp_recorder_done(nsamp_recorder *recorder, uint64_t step, uint64_t chains);

typedef struct nsamp_backend_ops {
    const char *name; /* "cpu", "cuda" */
    /* Advances all chains over steps [step0, step1), accumulating after every step t with (t + 1) % every ==
     * 0 and t + 1 > burn_in, and recording what is due at the recorder (NULL: nothing). State may stay on the device between calls. */
    nsamp_status (*advance)(nsamp_backend *b, uint64_t step0, uint64_t step1, nsamp_recorder *recorder,
                            nsamp_error *err);
    /* x as it is now. */
    nsamp_status (*observe)(nsamp_backend *b, const nsamp_record *record, nsamp_error *err);
    /* Brings batch->state, first_bad and moments up to date on the host. */
    nsamp_status (*fetch)(nsamp_backend *b, nsamp_error *err);
    void (*destroy)(nsamp_backend *b);
} nsamp_backend_ops;

struct nsamp_backend {
    const nsamp_backend_ops *ops;
    nsamp_batch *batch;
    char text[256]; /* one line for the plan: device or instruction set, threads */
};

/* threads: 0 for all; isa: "auto", "base", "v3", "v4". */
nsamp_status nsamp_cpu_backend_create(nsamp_batch *batch, const nsamp_job *job, nsamp_backend **b,
                                      nsamp_error *err);
/* The text of that backend, without one: for plans that are only to be looked at. */
nsamp_status nsamp_cpu_backend_text(const nsamp_model *model, const nsamp_job *job, char *text, size_t size,
                                    nsamp_error *err);
/* Bytes of scratch of one thread of the CPU backend, for the plan. */
size_t nsamp_cpu_thread_bytes(const nsamp_model *model, size_t lanes);
/* Lanes of the kernel the CPU backend will use. */
nsamp_status nsamp_cpu_kernel_find(const nsamp_job *job, const nsamp_model *model,
                                   const nsamp_cpu_kernel **kernel, const char **isa, nsamp_error *err);
#ifdef NSAMP_HAVE_CUDA
nsamp_status nsamp_cuda_backend_create(nsamp_batch *batch, const nsamp_job *job, nsamp_backend **b,
                                       nsamp_error *err);
/* The text of that backend, without one. Of the batch is read what nsamp_cuda_bytes reads. */
nsamp_status nsamp_cuda_backend_text(nsamp_batch *batch, const nsamp_job *job, char *text, size_t size,
                                     nsamp_error *err);
/* Device memory that the run takes and what the device has free, in bytes. Of the batch model, chains, tiles and the
 * scalars of the moments are read: nothing need be allocated. */
nsamp_status nsamp_cuda_bytes(nsamp_batch *batch, const nsamp_job *job, uint64_t *needed, uint64_t *available,
                              nsamp_error *err);
/* NULL if a usable device is there and the model can run on it, else why not; valid until the next call. */
const char *nsamp_cuda_missing(const nsamp_model *model);
uint32_t nsamp_cuda_lanes(const nsamp_model *model);
#endif

#endif
