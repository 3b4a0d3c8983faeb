/* run.c: the loop of a run: start states, blocks of steps between the points where something is told or
 * saved, and the output at the end. The bits do not depend on where the blocks end. */
#define _DEFAULT_SOURCE /* getrandom */
#include "plan.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "io/checkpoint.h"
#include "io/newfile.h"
#include "stats/laws.h"
#include "threads.h"

/* Seconds a block of steps should take: how soon a stop is noticed, how often progress is told. In shorter ones a tile of many coordinates has
 * left the caches between two samples (bench/LOG.md). */
static const double BLOCK_SECONDS = 0.5;

/* Lanes beyond the last chain are started too: they are computed and ignored. */
nsamp_status nsamp_plan_start(nsamp_plan *p, nsamp_error *err) {
    const nsamp_batch *b = &p->batch;
    const size_t S = p->model->state_len, L = b->lanes;
    const uint64_t C = b->chains, K = (uint64_t)nsamp_job_int(p->job, NSAMP_KEY_run_superchains);
    int failed = 0;
#pragma omp parallel
    {
        float *one = malloc(S * sizeof *one);
        double *x = malloc(p->model->dim * sizeof *x);
#pragma omp for schedule(static)
        for (uint64_t tile = 0; tile < b->tiles; tile++)
            for (size_t l = 0; one && x && l < L; l++) {
                p->model->start(p->model, b->noise, (uint32_t)nsamp_superchain_start(tile * L + l, C, K), x,
                                one);
                for (size_t i = 0; i < S; i++)
                    b->state[(tile * S + i) * L + l] = one[i];
            }
#pragma omp atomic
        failed += !one || !x;
        free(one);
        free(x);
    }
    return failed ? nsamp_fail(err, NSAMP_ENOMEM, "no memory for start states (%zu numbers a thread)",
                               S + p->model->dim)
                  : NSAMP_OK;
}

typedef struct run_state {
    nsamp_recorder *recorder;
    double began, saved; /* clock at the beginning of this part of the run, and at the last checkpoint */
    uint64_t first_step; /* of this part */
    uint64_t block;      /* steps a block */
    bool stop;
    nsamp_progress_fn *progress;
    void *user;
    bool has_saved;      /* there is a checkpoint of this run, */
    uint64_t saved_step; /* of so many steps */
} run_state;

/* Something that the user is to know before the run goes on. */
static void say(const nsamp_plan *p, run_state *r, const char *note) {
    const nsamp_progress report = {
        .phase = "sample", .done = p->step, .total = p->steps, .seconds_left = -1, .loss = NAN, .note = note};
    if (*note && r->progress)
        (void)r->progress(&report, r->user); /* a stop is asked for again at the next report */
}

static uint64_t diverged(const nsamp_batch *b) {
    uint64_t n = 0;
    for (uint64_t i = 0; i < b->chains; i++)
        n += b->first_bad[i] != UINT64_MAX;
    return n;
}

static void tell(nsamp_plan *p, run_state *r) {
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
    if (r->progress && r->progress(&report, r->user)) r->stop = true;
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
    if (!status && p->out && p->records) nsamp_output_keep(p->out);
    r->saved = nsamp_clock();
    if (status) return status;
    r->has_saved = true;
    r->saved_step = p->step;
    return NSAMP_OK;
}

static nsamp_status steps(nsamp_plan *p, run_state *r, nsamp_error *err) {
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
            nsamp_lock_beat(p->output_lock);
            nsamp_lock_beat(p->checkpoint_lock);
            tell(p, r);
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
    for (size_t j = 0; j < law->modes; j++) {
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
    if (p->model->offset) nsamp_moments_shift(p->batch.moments, p->model->offset, s);
    s->steps = p->steps;
    s->seconds = p->seconds;
    s->exact_mean = law->mean;
    s->exact_var = law->var;
    s->exact_tau = expected_tau(p);
    s->exact_cov = law->cov;
    s->exact_offdiag = law->offdiag;
    const nsamp_target *target = p->model->target;
    s->target_offdiag = NAN;
    if (target && target->dim == p->model->dim) {
        s->target_mean = target->mean;
        s->target_var = target->var;
        s->target_offdiag = p->model->dim > 1 ? target->rho * target->variance : NAN;
    }
    s->cold_start = p->burn_in == 0 && strncmp(p->model->start_law, "target", 6) != 0;
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

/* ---- the output ---------------------------------------------------------------------------------------- */

static nsamp_recording recording_of(const nsamp_plan *p) {
    return (nsamp_recording){.chains = p->records ? p->record_chains : 0,
                             .draws = p->records,
                             .dim = p->model->dim,
                             .offset = p->model->offset,
                             .burn_in = p->burn_in,
                             .every = p->record_every};
}

/* The output with room for the draws, or none where none are to be stored; a restored run goes on with the one it
 * left. */
static nsamp_status create_output(nsamp_plan *p, bool restored, nsamp_recorder **recorder, nsamp_error *err) {
    const nsamp_recording what = recording_of(p);
    if (!*nsamp_job_text(p->job, NSAMP_KEY_output_file)) return NSAMP_OK;
    nsamp_status status = nsamp_output_create(p->job, &what, p->run_id,
                                              restored && p->records ? &p->frame : NULL, &p->out, err);
    if (status || !p->records) return status;
    return nsamp_recorder_start(p->out, &what, p->step, recorder, err);
}

static nsamp_status write_output(nsamp_plan *p, nsamp_recorder *recorder, nsamp_error *err) {
    if (!p->out) return NSAMP_OK;
    nsamp_status status = recorder ? nsamp_recorder_flush(recorder, err) : NSAMP_OK;
    if (!status) status = nsamp_lock_check(p->output_lock, err);
    if (!status)
        status = nsamp_output_summary(p->out, &p->summary, &p->model->law, p->batch.first_bad, p->statistics,
                                      p->nstatistics, err);
    if (status) return status;
    if (p->records) {
        nsamp_output_keep(p->out); /* if it cannot be given its name, the draws stay, */
        free(p->frame.at);         /* and the checkpoint needs their places */
        free(p->frame.data);
        p->frame = nsamp_output_take_frame(p->out);
    }
    nsamp_output *const out = p->out;
    p->out = NULL;
    return nsamp_output_close(out, err);
}

/* The output failed though all steps are done: a checkpoint of the end keeps what they gave. err goes on with how to finish. */
static nsamp_status keep_the_end(nsamp_plan *p, run_state *r, nsamp_status status, nsamp_error *err) {
    nsamp_error why = {0};
    char how[700];
    if (!nsamp_plan_save(p, &why)) {
        if (p->out && p->records) nsamp_output_keep(p->out);
        snprintf(how, sizeof how, "all steps are done and kept in %s%s; run.resume = yes writes the output",
                 p->checkpoint_path, p->records ? " and the draws beside it" : "");
    } else if (r->has_saved) {
        snprintf(how, sizeof how, "%.300s; run.resume = yes goes on from step %llu", why.text,
                 (unsigned long long)r->saved_step);
    } else {
        snprintf(how, sizeof how, "%.300s; only the summary is left", why.text);
    }
    char first[sizeof err->text];
    snprintf(first, sizeof first, "%s", err->text);
    return nsamp_fail(err, status, "%.300s; %s", first, how);
}

/* Which chain, what to change, and where the rest is. */
static nsamp_status fail_diverged(const nsamp_plan *p, nsamp_error *err) {
    const nsamp_summary *s = &p->summary;
    const char *file = nsamp_job_text(p->job, NSAMP_KEY_output_file);
    const double dt = nsamp_job_real(p->job, NSAMP_KEY_system_dt);
    const bool spiking = nsamp_job_is(p->job, NSAMP_KEY_system_name, "mh-spiking");
    char advice[192];
    if (spiking)
        snprintf(advice, sizeof advice,
                 "a smaller system.scale (now %g) or run.start_scale (now %g) may help",
                 nsamp_job_real(p->job, NSAMP_KEY_system_scale),
                 nsamp_job_real(p->job, NSAMP_KEY_run_start_scale));
    else
        snprintf(advice, sizeof advice, "system.dt = %g may be too large: try %g%s", dt, dt / 2,
                 s->first_bad_step ? "" : ", or a smaller run.start_scale");
    return nsamp_fail(err, NSAMP_EDIVERGED,
                      "%llu of %llu chains diverged, the first at step %llu (chain %llu); %s; %s%s",
                      (unsigned long long)s->diverged, (unsigned long long)p->batch.chains,
                      (unsigned long long)s->first_bad_step, (unsigned long long)s->first_bad_chain, advice,
                      *file ? "all is saved in " : "nothing is saved: output.file is not set", file);
}

static nsamp_status finish(nsamp_plan *p, run_state *r, nsamp_error *err) {
    nsamp_error why = {0};
    nsamp_status status = p->backend->ops->fetch(p->backend, err);
    if (!status) summarise(p);
    if (!status) status = statistics(p, err);
    if (!status && (status = write_output(p, r->recorder, &why))) {
        if (err) *err = why;
        return keep_the_end(p, r, status, err ? err : &why);
    }
    if (status) return status;
    say(p, r, why.text);
    return p->summary.diverged ? fail_diverged(p, err) : NSAMP_OK;
}

/* ---- the beginning ------------------------------------------------------------------------------------- */

/* Nobody else writes what this run writes, and what it will write can be written. */
static nsamp_status claim(nsamp_plan *p, nsamp_error *err) {
    const char *output = nsamp_job_text(p->job, NSAMP_KEY_output_file);
    nsamp_status status = NSAMP_OK;
    if (*output) status = nsamp_output_check(p->job, err);
    if (!status && *output) status = nsamp_lock_take(output, &p->output_lock, err);
    if (!status && p->checkpoint_path) status = nsamp_newfile_check(p->checkpoint_path, true, err);
    if (!status && p->checkpoint_path) status = nsamp_lock_take(p->checkpoint_path, &p->checkpoint_lock, err);
    if (!status && *output) status = nsamp_output_check(p->job, err); /* it may have come before the lock */
    if (status || !p->checkpoint_path) return status;
    nsamp_newfile trial;
    status = nsamp_newfile_begin(p->checkpoint_path, true, &trial, err);
    if (!status) nsamp_newfile_abandon(&trial);
    return status;
}

/* A checkpoint that is there and is not to be gone on with is somebody's work: it goes only where the job says so. */
static nsamp_status clear_the_way(nsamp_plan *p, run_state *r, nsamp_error *err) {
    char there[512], note[600];
    nsamp_checkpoint_look(p->checkpoint_path, there, sizeof there);
    if (!*there) return NSAMP_OK;
    if (!nsamp_job_bool(p->job, NSAMP_KEY_output_overwrite))
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "%s is there: run.resume = yes goes on from it, output.overwrite = yes begins anew and "
            "removes it",
            there);
    snprintf(note, sizeof note, "begins anew (run.resume = no); %s is removed", there);
    nsamp_plan_forget(p);
    say(p, r, note);
    return NSAMP_OK;
}

/* Random digits. */
static void new_run_id(char id[NSAMP_RUN_ID + 1]) {
    unsigned char bytes[NSAMP_RUN_ID / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        const uint64_t other[2] = {(uint64_t)(nsamp_clock() * 1e9),
                                   (uint64_t)time(NULL) << 32 ^ (uint64_t)getpid()};
        memcpy(bytes, other, sizeof bytes);
    }
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
}

/* Chains at their start or where the checkpoint left them, and the output. */
static nsamp_status begin(nsamp_plan *p, run_state *r, nsamp_error *err) {
    const bool resume = nsamp_job_bool(p->job, NSAMP_KEY_run_resume);
    bool found = false;
    char note[1200] = "";
    nsamp_status status = claim(p, err);
    if (!status && resume && p->checkpoint_path)
        status = nsamp_plan_restore(p, &found, note, sizeof note, err);
    if (!status && resume && !found && p->checkpoint_path)
        snprintf(note, sizeof note, "no checkpoint %.500s: begins at the first step", p->checkpoint_path);
    if (!status) say(p, r, note);
    if (!status && !resume && p->checkpoint_path) status = clear_the_way(p, r, err);
    if (!status && !found) {
        new_run_id(p->run_id);
        status = nsamp_plan_start(p, err);
    }
    r->has_saved = found;
    r->saved_step = r->first_step = p->step;
    return status ? status : create_output(p, found, &r->recorder, err);
}

/* A run that failed on the way says from where it can go on. */
static nsamp_status failed_on_the_way(const run_state *r, nsamp_status status, nsamp_error *err) {
    char first[700];
    if (!r->has_saved || !err) return status;
    snprintf(first, sizeof first, "%.699s", err->text);
    return nsamp_fail(err, status, "%s; run.resume = yes goes on from step %llu", first,
                      (unsigned long long)r->saved_step);
}

static nsamp_status run(nsamp_plan *p, run_state *r, nsamp_error *err) {
    nsamp_status status = begin(p, r, err);
    if (status) return status;
    r->began = r->saved = nsamp_clock();
    status = steps(p, r, err);
    if (status) return failed_on_the_way(r, status, err);
    if (p->step == p->steps) {
        p->seconds += nsamp_clock() - r->began;
        status = finish(p, r, err);
        if ((!status || status == NSAMP_EDIVERGED) && p->checkpoint_path) nsamp_plan_forget(p);
        return status;
    }
    if (p->checkpoint_path) status = save(p, r, err);
    if (status) return failed_on_the_way(r, status, err);
    return nsamp_fail(err, NSAMP_STOPPED, "stopped after step %llu of %llu; %s%s%s",
                      (unsigned long long)p->step, (unsigned long long)p->steps,
                      p->checkpoint_path ? "checkpoint " : "nothing to save it in (output.file is not set)",
                      p->checkpoint_path ? p->checkpoint_path : "",
                      p->checkpoint_path ? "; the same command with run.resume=yes goes on from there" : "");
}

nsamp_status nsamp_plan_run(nsamp_plan *p, nsamp_progress_fn *progress, void *user, nsamp_error *err) {
    if (p->ran) return nsamp_fail(err, NSAMP_EINTERNAL, "a plan runs once");
    if (!p->backend)
        return nsamp_job_fail(p->job, NSAMP_KEY_run_dry, err, "this plan is only to be looked at");
    p->ran = true;
    const int before = nsamp_threads_set(nsamp_job_int(p->job, NSAMP_KEY_run_threads));
    run_state r = {.block = 1, .progress = progress, .user = user};
    const nsamp_status status = run(p, &r, err);
    nsamp_recorder_stop(r.recorder);
    nsamp_output_abandon(p->out);
    p->out = NULL;
    nsamp_lock_release(p->checkpoint_lock);
    nsamp_lock_release(p->output_lock);
    p->checkpoint_lock = p->output_lock = NULL;
    nsamp_threads_restore(before);
    return status;
}
