/* run.c: the loop of a run: start states, blocks of steps between the points where something is told or
 * saved, and the output at the end. The bits do not depend on where the blocks end. */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "stats/laws.h"
#include "threads.h"

/* Seconds a block of steps should take: how soon a stop is noticed, how often progress is told. In shorter ones a tile of many coordinates has
 * left the caches between two samples (bench/LOG.md). */
static const double BLOCK_SECONDS = 0.5;

/* Lanes beyond the last chain are started too: they are computed and ignored. */
nsamp_status nsamp_plan_start(nsamp_plan *p, nsamp_error *err) {
    const nsamp_batch *b = &p->batch;
    const size_t S = p->model->state_len, L = b->lanes;
    int failed = 0;
#pragma omp parallel
    {
        float *one = malloc(S * sizeof *one);
        double *x = malloc(p->model->dim * sizeof *x);
#pragma omp for schedule(static)
        for (uint64_t tile = 0; tile < b->tiles; tile++)
            for (size_t l = 0; one && x && l < L; l++) {
                p->model->start(p->model, b->noise, (uint32_t)(tile * L + l), x, one);
                for (size_t i = 0; i < S; i++)
                    b->state[(tile * S + i) * L + l] = one[i];
            }
#pragma omp atomic
        failed += !one || !x;
        free(one);
        free(x);
    }
    return failed ? nsamp_fail(err, NSAMP_ENOMEM, "out of memory for start states") : NSAMP_OK;
}

typedef struct run_state {
    nsamp_recorder *recorder;
    double began, saved; /* clock at the beginning of this part of the run, and at the last checkpoint */
    uint64_t first_step; /* of this part */
    uint64_t block;      /* steps a block */
    bool stop;
} run_state;

static uint64_t diverged(const nsamp_batch *b) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < b->chains; i++)
        n += b->first_bad[i] != UINT64_MAX;
    return n;
}

static void tell(nsamp_plan *p, run_state *r, nsamp_progress_fn *progress, void *user) {
    const double here = nsamp_clock() - r->began;
    const double rate = here > 0 ? (double)(p->step - r->first_step) / here : 0;
    const nsamp_progress report = {.phase = "sample",
                                   .done = p->step,
                                   .total = p->steps,
                                   .seconds = p->seconds + here,
                                   .rate = rate * (double)p->batch.chains,
                                   .seconds_left = rate > 0 ? (double)(p->steps - p->step) / rate : -1,
                                   .loss = NAN,
                                   .diverged = diverged(&p->batch)};
    if (progress && progress(&report, user)) r->stop = true;
    const double most = nsamp_job_real(p->job, NSAMP_KEY_run_max_walltime_s);
    if (most > 0 && here >= most) r->stop = true;
}

/* A checkpoint of now: draws on disk first, since it says how many there are. */
static nsamp_status save(nsamp_plan *p, run_state *r, nsamp_error *err) {
    nsamp_status status = p->backend->ops->fetch(p->backend, err);
    if (!status && r->recorder) status = nsamp_recorder_flush(r->recorder, err);
    if (!status && p->out) status = nsamp_output_sync(p->out, err);
    const double here = nsamp_clock() - r->began;
    p->seconds += here;
    if (!status) status = nsamp_plan_save(p, err);
    p->seconds -= here;
    if (!status && p->out) nsamp_output_keep(p->out);
    r->saved = nsamp_clock();
    return status;
}

static nsamp_status steps(nsamp_plan *p, run_state *r, nsamp_progress_fn *progress, void *user,
                          nsamp_error *err) {
    const double every_s = p->checkpoint_path ? nsamp_job_real(p->job, NSAMP_KEY_run_checkpoint_every_s) : 0;
    double told = nsamp_clock(), measured = told;
    uint64_t measured_step = p->step;
    nsamp_status status = NSAMP_OK;
    while (p->step < p->steps && !status) {
        uint64_t end = p->step + r->block;
        if (end > p->steps) end = p->steps;
        status = p->backend->ops->advance(p->backend, p->step, end, r->recorder, err);
        if (!status && r->recorder) status = nsamp_recorder_status(r->recorder, err);
        if (status) break;
        p->step = end;
        const double t = nsamp_clock();
        if (t - measured > BLOCK_SECONDS / 2) {
            const double per = (t - measured) / (double)(p->step - measured_step),
                         block = BLOCK_SECONDS / per;
            r->block = block < 1 ? 1 : block > 1e9 ? (uint64_t)1e9 : (uint64_t)block;
            measured = t;
            measured_step = p->step;
        } else if (t - measured < BLOCK_SECONDS / 8) {
            r->block = r->block < (uint64_t)1 << 40 ? 2 * r->block : r->block;
        }
        if (t - told >= BLOCK_SECONDS || p->step == p->steps) {
            const double asked = nsamp_clock();
            tell(p, r, progress, user);
            measured += nsamp_clock() - asked; /* what the caller does in its callback is no step */
            told = t;
        }
        if (p->step == p->steps) break;
        if (r->stop) break;
        if (every_s > 0 && t - r->saved >= every_s) status = save(p, r, err);
    }
    return status;
}

/* What this run measures of the autocorrelation times, in expectation: [D], or NULL where the law does not
 * say. */
static const double *expected_tau(nsamp_plan *p) {
    const nsamp_law *law = &p->model->law;
    const nsamp_summary *s = &p->summary;
    if (!law->mode_tau || s->samples_per_chain < 2) return NULL;
    p->exact_tau = calloc(s->dim, sizeof *p->exact_tau);
    for (size_t j = 0; p->exact_tau && j < law->modes; j++) {
        const double tau = nsamp_tau_observed(law->mode_tau[j], s->accumulate_every, s->samples_per_chain);
        for (size_t i = 0; i < s->dim; i++)
            p->exact_tau[i] += law->mode_share[i * law->modes + j] * tau;
    }
    return p->exact_tau;
}

static void summarise(nsamp_plan *p) {
    nsamp_summary *s = &p->summary;
    const nsamp_law *law = &p->model->law;
    nsamp_moments_finish(p->batch.moments, p->batch.first_bad,
                         (uint64_t)nsamp_job_int(p->job, NSAMP_KEY_run_superchains), s);
    s->steps = p->steps;
    s->seconds = p->seconds;
    s->exact_mean = law->mean;
    s->exact_var = law->var;
    s->exact_tau = expected_tau(p);
    s->exact_cov = law->cov;
    s->exact_offdiag = law->offdiag;
}

/* [C][S], one chain after the other. */
static float *states_by_chain(const nsamp_plan *p) {
    const size_t S = p->model->state_len, L = p->batch.lanes, C = p->batch.chains;
    float *states = malloc(C * S * sizeof *states);
    for (size_t c = 0; states && c < C; c++)
        for (size_t i = 0; i < S; i++)
            states[c * S + i] = p->batch.state[((c / L) * S + i) * L + c % L];
    return states;
}

static nsamp_status statistics(nsamp_plan *p, nsamp_error *err) {
    if (!p->model->statistics) return NSAMP_OK;
    float *states = states_by_chain(p);
    if (!states) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the statistics of the system");
    nsamp_status status = p->model->statistics(p->model, states, p->batch.chains, p->steps, &p->statistics,
                                               &p->nstatistics, err);
    free(states);
    return status;
}

/* The output with room for the draws, or none where none are to be stored; a restored run goes on with the one it
 * left. */
static nsamp_status create_output(nsamp_plan *p, const nsamp_output_frame *frame, nsamp_error *err) {
    uint64_t *at = malloc((p->records + 1) * sizeof *at);
    if (!at) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    for (uint64_t k = 0; k < p->records; k++)
        at[k] = p->burn_in + (k + 1) * p->record_every;
    nsamp_status status = nsamp_output_create(p->job, p->records ? p->record_chains : 0, p->records,
                                              p->model->dim, at, frame, &p->out, err);
    free(at);
    return status;
}

static nsamp_status start_recording(nsamp_plan *p, bool restored, nsamp_recorder **recorder,
                                    nsamp_error *err) {
    const nsamp_recording what = {.chains = p->record_chains,
                                  .draws = p->records,
                                  .dim = p->model->dim,
                                  .burn_in = p->burn_in,
                                  .every = p->record_every};
    nsamp_status status = create_output(p, restored ? &p->frame : NULL, err);
    return status ? status : nsamp_recorder_start(p->out, &what, p->step, recorder, err);
}

static nsamp_status write_output(nsamp_plan *p, nsamp_recorder *recorder, nsamp_error *err) {
    if (!*nsamp_job_text(p->job, NSAMP_KEY_output_file)) return NSAMP_OK;
    nsamp_status status = recorder ? nsamp_recorder_flush(recorder, err) : create_output(p, NULL, err);
    if (!status)
        status = nsamp_output_summary(p->out, &p->summary, &p->model->law, p->batch.first_bad, p->statistics,
                                      p->nstatistics, err);
    if (status) return status;
    nsamp_output *const out = p->out;
    p->out = NULL;
    return nsamp_output_close(out, err);
}

static nsamp_status finish(nsamp_plan *p, nsamp_recorder *recorder, nsamp_error *err) {
    nsamp_status status = p->backend->ops->fetch(p->backend, err);
    if (!status) summarise(p);
    if (!status) status = statistics(p, err);
    if (!status) status = write_output(p, recorder, err);
    if (status) return status;
    if (p->summary.diverged)
        return nsamp_fail(
            err, NSAMP_EDIVERGED,
            "%llu of %llu chains diverged, the first at step %llu (chain %llu); the rest is saved",
            (unsigned long long)p->summary.diverged, (unsigned long long)p->batch.chains,
            (unsigned long long)p->summary.first_bad_step, (unsigned long long)p->summary.first_bad_chain);
    return NSAMP_OK;
}

static nsamp_status run(nsamp_plan *p, nsamp_progress_fn *progress, void *user, nsamp_error *err) {
    bool found = false;
    nsamp_status status = NSAMP_OK;
    if (nsamp_job_bool(p->job, NSAMP_KEY_run_resume) && p->checkpoint_path)
        status = nsamp_plan_restore(p, &found, err);
    if (!status && !found) status = nsamp_plan_start(p, err);
    run_state r = {.block = 1, .first_step = p->step};
    /* A new file of draws takes the place of the one that an older checkpoint counts on. */
    if (!status && p->records && !found) nsamp_plan_forget(p);
    if (!status && p->records) status = start_recording(p, found, &r.recorder, err);
    if (status) return status;
    r.began = r.saved = nsamp_clock();
    status = steps(p, &r, progress, user, err);
    if (!status && p->step < p->steps) {
        if (p->checkpoint_path) status = save(p, &r, err);
        if (!status)
            status = nsamp_fail(err, NSAMP_STOPPED, "stopped after step %llu of %llu%s%s",
                                (unsigned long long)p->step, (unsigned long long)p->steps,
                                p->checkpoint_path ? "; checkpoint "
                                                   : "; nothing to save it in (output.file is not set)",
                                p->checkpoint_path ? p->checkpoint_path : "");
    } else if (!status) {
        p->seconds += nsamp_clock() - r.began;
        status = finish(p, r.recorder, err);
        if ((!status || status == NSAMP_EDIVERGED) && p->checkpoint_path) nsamp_plan_forget(p);
    }
    nsamp_recorder_stop(r.recorder);
    nsamp_output_abandon(p->out);
    p->out = NULL;
    return status;
}

nsamp_status nsamp_plan_run(nsamp_plan *p, nsamp_progress_fn *progress, void *user, nsamp_error *err) {
    if (p->ran) return nsamp_fail(err, NSAMP_EINTERNAL, "a plan runs once");
    p->ran = true;
    const int before = nsamp_threads_set(nsamp_job_int(p->job, NSAMP_KEY_run_threads));
    const nsamp_status status = run(p, progress, user, err);
    nsamp_threads_restore(before);
    return status;
}
