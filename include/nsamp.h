/* nsamp.h: the public C API of nsamp, a batch sampler for neural circuits.
 *
 * A complete program (tests/test_api.c compiles and runs it):
 *
 *     #include <nsamp.h>
 *     #include <stdio.h>
 *
 *     int main(void) {
 *         nsamp_error err;
 *         nsamp_job *job = nsamp_job_create();
 *         nsamp_plan *plan = NULL;
 *         nsamp_job_set(job, "system.name", "langevin", &err);
 *         nsamp_job_set(job, "target.name", "equicorrelated", &err);
 *         nsamp_job_set(job, "target.dim", "100", &err);
 *         nsamp_job_set(job, "target.rho", "0.9", &err);
 *         nsamp_job_set(job, "system.geometry", "natural", &err);
 *         if (nsamp_plan_create(job, &plan, &err) || nsamp_plan_run(plan, NULL, NULL, &err)) {
 *             fprintf(stderr, "%s\n", err.text);
 *         } else {
 *             const nsamp_summary *s = nsamp_plan_summary(plan);
 *             printf("var[0] = %.4f +- %.4f\n", s->var[0], s->var_se[0]);
 *         }
 *         nsamp_plan_destroy(plan);
 *         nsamp_job_destroy(job);
 *         return 0;
 *     }
 *
 * Conventions. Every function that can fail returns a nsamp_status and writes one line of text, with the values
 * that matter, to the caller's nsamp_error. The library never prints and never exits. A plan owns its scratch,
 * sized before the run; nothing is allocated while chains advance. Not thread-safe on one object; distinct
 * objects are independent. Shape letters: C chains, D dimensions of what is sampled, T steps, R stored draws. */
#ifndef NSAMP_H
#define NSAMP_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NSAMP_VERSION "0.1.0"
/* Version of the noise layout (docs/noise.md): the same job, seed and noise version give the same paths. */
#define NSAMP_NOISE_VERSION 2

/* name, value (also the exit code of the program), meaning */
#define NSAMP_STATUS_TABLE(ROW)                                                                              \
    ROW(NSAMP_OK, 0, "done")                                                                                 \
    ROW(NSAMP_EINTERNAL, 1, "internal error: a defect of nsamp")                                             \
    ROW(NSAMP_EUSAGE, 2, "usage or bad job")                                                                 \
    ROW(NSAMP_EDIVERGED, 3, "a chain diverged; the output is written")                                       \
    ROW(NSAMP_EIO, 4, "input or output failed")                                                              \
    ROW(NSAMP_ENOMEM, 5, "not enough memory")                                                                \
    ROW(NSAMP_ECHECK, 6, "a sampler does not keep its law, or a run does not pass stats --strict")           \
    ROW(NSAMP_STOPPED, 75, "stopped on request, with a checkpoint")

typedef enum nsamp_status {
#define NSAMP_ROW(name, value, text) name = value,
    NSAMP_STATUS_TABLE(NSAMP_ROW)
#undef NSAMP_ROW
} nsamp_status;

typedef struct nsamp_error {
    nsamp_status status;
    char text[1024]; /* one line, no newline at the end */
} nsamp_error;

/* The meaning of a status, a constant string. */
const char *nsamp_status_text(nsamp_status status);

/* ---- jobs: keys and values ---------------------------------------------------------------------------------- */

typedef struct nsamp_job nsamp_job;

/* A job in which every key has its default. NULL only when out of memory. */
nsamp_job *nsamp_job_create(void);
nsamp_job *nsamp_job_copy(const nsamp_job *job);
void nsamp_job_destroy(nsamp_job *job);
/* Reads an INI file; NSAMP_EUSAGE names file, line, key, value and what is valid; NSAMP_EIO if it cannot be read. */
nsamp_status nsamp_job_read(nsamp_job *job, const char *path, nsamp_error *err);
/* Sets one key ("section.key"); a value set so overrides the file's, whatever the order of the calls. */
nsamp_status nsamp_job_set(nsamp_job *job, const char *key, const char *value, nsamp_error *err);

/* ---- plans: sized, checked, ready to run -------------------------------------------------------------------- */

typedef struct nsamp_plan nsamp_plan;

/* Validates the job against itself and this machine, loads what it names, allocates all that the run needs.
 * On failure *plan is NULL. The job may be destroyed afterwards. */
nsamp_status nsamp_plan_create(const nsamp_job *job, nsamp_plan **plan, nsamp_error *err);
/* What will run where and why, with bytes in memory and on disk: several lines, owned by the plan. */
const char *nsamp_plan_text(const nsamp_plan *plan);

typedef struct nsamp_progress {
    const char *phase; /* "sample", "train", ... */
    uint64_t done, total;
    double seconds;      /* since the phase began */
    double rate;         /* chain-steps a second (sampling) or samples a second (training) */
    double seconds_left; /* negative: not known yet */
    double loss;         /* training: last loss; otherwise NaN */
    int level, levels;   /* training: noise level, 1-based; otherwise 0 */
    uint64_t diverged;   /* chains that have met a non-finite value */
    /* Training only: epochs of this level done and in all (0: seconds decide); the last loss of the data kept from
     * training (NaN: none yet); at the end, E_p |grad log p - s|^2 where the target's score is known, otherwise NaN. */
    double epoch, epochs, held_out, score_error;
    const char *where; /* training: what computes it, one line, as long as the call lasts; otherwise NULL */
    /* Something to tell the user once ("goes on from step 1200 of 5000"), as long as the call lasts; otherwise NULL. */
    const char *note;
} nsamp_progress;

/* Called from the thread that runs the plan, a few times a second at most. Non-zero asks for a stop with a
 * checkpoint, like SIGTERM. */
typedef int nsamp_progress_fn(const nsamp_progress *progress, void *user);

/* Runs all steps and writes the output that the job names (output.file empty: none). While it runs, PATH.lock keeps other runs from
 * the output and from the checkpoint. NSAMP_OK; NSAMP_EDIVERGED (the rest is saved, err names the first chain and step);
 * NSAMP_STOPPED; NSAMP_EUSAGE (another run has the output, a checkpoint is in the way); NSAMP_EIO: where the output failed after
 * the last step, the summary is there, draws and checkpoint are kept, and err says how to finish. May be called once. */
nsamp_status nsamp_plan_run(nsamp_plan *plan, nsamp_progress_fn *progress, void *user, nsamp_error *err);
void nsamp_plan_destroy(nsamp_plan *plan);

/* Moments over all chains that did not diverge and all accumulated steps after burn-in. Arrays are [D] and owned
 * by the plan; NaN where unknown. exact_* is the law of the discretised dynamics, NULL where none is known;
 * exact_tau is what a run of this length, sampled at this interval, measures in expectation. */
typedef struct nsamp_summary {
    size_t dim;
    uint64_t chains, diverged, steps, samples_per_chain, accumulate_every;
    uint64_t stuck;                              /* chains that never moved */
    const double *mean, *mean_se, *var, *var_se; /* [D] with standard errors */
    const double *rhat, *rhat_nested, *ess;      /* [D]; rhat_nested NULL without run.superchains */
    /* [D] Student's t of the change from the first to the second half of each chain, over drift_units chains or superchains: of
     * the mean, and of the mean square about it. */
    const double *drift_mean, *drift_var;
    double drift_units;
    const double *tau, *tau_se;           /* [D] integrated autocorrelation time in steps */
    const double *min, *max;              /* [D] */
    double mean_average, mean_average_se; /* average of mean over the coordinates */
    double var_average, var_average_se;   /* of var; both errors from whole chains, as those of mean */
    const double *cov, *cov_se;           /* [D * D], or NULL above record.cov_dim */
    double offdiag, offdiag_se;           /* mean covariance of two different coordinates */
    int half_batches; /* standard errors take half chains as batches (fewer than 16 chains); otherwise whole chains */
    const double *exact_mean, *exact_var, *exact_tau, *exact_cov;
    double exact_offdiag;
    const double *target_mean, *target_var; /* [D] moments of the target itself, NULL where unknown */
    double target_offdiag;                  /* NaN where unknown */
    /* A start that is not the target's law, and no burn-in: what the means say is of the way there, too. */
    int cold_start;
    uint64_t first_bad_chain, first_bad_step; /* of the earliest divergence; UINT64_MAX when none */
    double seconds;                           /* wall time of the steps */
} nsamp_summary;

/* Of a run that did all its steps; before that dim is 0. */
const nsamp_summary *nsamp_plan_summary(const nsamp_plan *plan);

/* A statistic of one system beyond the moments (acceptance of a neuron, rates): named, with value and law. */
typedef struct nsamp_statistic {
    char name[48];
    size_t count;       /* entries */
    double *value, *se; /* [count] */
    double *expected;   /* [count] or NULL */
    char unit[16];
} nsamp_statistic;

/* The statistics of the system of a finished run, [*count]; owned by the plan. */
const nsamp_statistic *nsamp_plan_statistics(const nsamp_plan *plan, size_t *count);

/* ---- training ----------------------------------------------------------------------------------------------- */

/* Trains the reservoir-sampler network that the job describes by denoising score matching and writes the model
 * file model.file. NSAMP_STOPPED leaves a checkpoint, model.file with .ckpt added; with train.resume the next call goes
 * on from there to the same bytes. The last call of progress comes after the model is written, with done = total.
 * NSAMP_EDIVERGED: the loss is no longer finite. */
nsamp_status nsamp_train(const nsamp_job *job, nsamp_progress_fn *progress, void *user, nsamp_error *err);

#ifdef __cplusplus
}
#endif
#endif
