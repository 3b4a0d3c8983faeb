/* bench.c: the bench as a whole: laws, ceilings, then the cases of cases.def, one after the other. */
#include "bench/bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/training.h"
#include "check/check.h"
#include "engine/plan.h"
#include "error.h"
#include "job/nearest.h"
#include "job/settings.h"

/* As long as a block of steps of a run (engine/run.c): what a tile finds in the caches is what it finds in a run. A GPU has launches of its own
 * length, and time on one is dear. */
const nsamp_stopwatch nsamp_bench_watch = {0.5, 5}, nsamp_bench_quick = {0.04, 5};
static const double CUDA_SECONDS = 0.2;

enum { ANY, CPU, CUDA }; /* backends of a case */

typedef struct bench_case {
    int size, backend;
    const char *system, *title, *settings;
} bench_case;

static const bench_case cases[] = {
#define NSAMP_CASE(size, backend, system, title, settings)                                                   \
    {NSAMP_BENCH_##size, backend, system, title, settings},
#include "bench/cases.def"
#undef NSAMP_CASE
};
enum { CASES = sizeof cases / sizeof *cases };

static const char SYSTEMS[] = "langevin|rsn|mh-spiking|training";

/* What is asked for: passed down in place of a handful of arguments. */
typedef struct run {
    const nsamp_bench_options *o;
    nsamp_bench_progress *progress;
    void *user;
    nsamp_bench_report *report;
    size_t at, all; /* measurements done and in all */
    bool cuda;      /* the first case that can be planned runs on a GPU */
} run;

static bool wanted(const run *r, const bench_case *c) {
    const nsamp_bench_options *o = r->o;
    bool named = o->nsystems == 0;
    for (size_t i = 0; i < o->nsystems; i++)
        named = named || !strcmp(o->systems[i], c->system);
    return named && (o->sizes & c->size) && (c->backend == ANY || (c->backend == CUDA) == r->cuda);
}

static nsamp_status known(const nsamp_bench_options *o, nsamp_error *err) {
    for (size_t i = 0; i < o->nsystems; i++) {
        char near[32], mark[64];
        bool found = false;
        for (size_t k = 0; k < CASES && !found; k++)
            found = !strcmp(o->systems[i], cases[k].system);
        if (found) continue;
        nsamp_nearest_choice(o->systems[i], SYSTEMS, near, sizeof near);
        snprintf(mark, sizeof mark, "%.60s", o->systems[i]);
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "%s: nothing to time has this name; nearest: %s (valid: langevin, rsn, mh-spiking, "
                          "training)",
                          mark, near);
    }
    return NSAMP_OK;
}

static nsamp_status tell(run *r, const char *what, nsamp_error *err) {
    if (r->progress && r->progress(what, r->at, r->all, r->user))
        return nsamp_fail(err, NSAMP_STOPPED, "stopped; nothing is kept of a bench that was not finished");
    r->at++;
    return NSAMP_OK;
}

/* The job of a case with the settings on top, and what it is set against on top of these; case NULL: of the settings alone. Steps: more than will
 * ever be timed. */
static nsamp_status job_of(const nsamp_bench_options *o, const bench_case *c, const char *against,
                           nsamp_job **job, nsamp_error *err) {
    *job = nsamp_job_create();
    nsamp_status status = *job ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    if (!status && c && strcmp(c->system, "training"))
        status = nsamp_job_set(*job, "system.name", c->system, err);
    if (!status) status = nsamp_job_set_all(*job, "run.steps=1000000000000", err);
    if (!status && c) status = nsamp_job_set_all(*job, c->settings, err);
    for (size_t i = 0; i < o->nsettings && !status; i++)
        status = nsamp_job_set_all(*job, o->settings[i], err);
    if (!status && against) status = nsamp_job_set_all(*job, against, err);
    if (!status) return NSAMP_OK;
    nsamp_job_destroy(*job);
    *job = NULL;
    return status;
}

/* What a case says of its backend; it is not started. */
static nsamp_status backend_of(run *r, const bench_case *c, const nsamp_job *job, nsamp_error *err) {
    nsamp_machine *m = &r->report->machine;
    nsamp_plan *plan = NULL;
    nsamp_learner *learner = NULL;
    nsamp_status status;
    if (strcmp(c->system, "training")) {
        status = nsamp_plan_create(job, &plan, err);
        if (!status) snprintf(m->backend, sizeof m->backend, "%s", plan->backend->text);
    } else {
        status = nsamp_training_learner(job, m->threads, m->isa, &learner, err);
        if (!status) snprintf(m->backend, sizeof m->backend, "%s", learner->text);
    }
    if (!status) r->cuda = !strcmp(plan ? plan->backend->ops->name : learner->ops->name, "cuda");
    nsamp_plan_destroy(plan);
    nsamp_learner_destroy(learner);
    return status;
}

/* The backend of the first case that can be planned -> machine.backend. If none can, why the last one cannot. */
static nsamp_status probe(run *r, nsamp_error *err) {
    nsamp_status status = NSAMP_OK;
    for (size_t k = 0; k < CASES; k++) {
        nsamp_job *job = NULL;
        if (!wanted(r, &cases[k])) continue;
        status = job_of(r->o, &cases[k], NULL, &job, err);
        if (!status) status = backend_of(r, &cases[k], job, err);
        nsamp_job_destroy(job);
        if (!status) break;
    }
    return status;
}

/* Sizes are the cases' own: those of the laws are such that a fault of 1 % is seen, and other ones would fail for that alone. */
static bool is_size(const char *setting) {
    static const char *const keys[] = {"run.chains=", "target.dim=", "train.hidden=", "train.batch="};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (!strncmp(setting, keys[i], strlen(keys[i]))) return true;
    return false;
}

/* The laws of the samplers that are to be timed, with the settings on top but for sizes, and with what they are set against. */
static nsamp_status check_laws(run *r, const char *against, nsamp_error *err) {
    const char *systems[CASES] = {NULL};
    size_t count = 0, nsettings = 0;
    for (size_t k = 0; k < CASES; k++) {
        bool listed = !wanted(r, &cases[k]) || !strcmp(cases[k].system, "training");
        for (size_t i = 0; i < count; i++)
            listed = listed || !strcmp(systems[i], cases[k].system);
        if (!listed) systems[count++] = cases[k].system;
    }
    nsamp_status status = tell(r, "laws", err);
    if (status || !count) return status;
    nsamp_check_report laws;
    const size_t length = against ? strlen(against) : 0;
    const char **settings = malloc((r->o->nsettings + length + 1) * sizeof *settings);
    char *const words = calloc(length + 1, 1), *rest = NULL;
    if (!settings || !words) {
        free(settings);
        free(words);
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < r->o->nsettings; i++)
        if (!is_size(r->o->settings[i])) settings[nsettings++] = r->o->settings[i];
    if (against) memcpy(words, against, length);
    for (char *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (!is_size(word)) settings[nsettings++] = word;
    status = nsamp_check_run(systems, count, settings, nsettings, NULL, NULL, &laws, err);
    free(settings);
    free(words);
    r->report->laws += laws.count - laws.failed;
    if (status == NSAMP_ECHECK)
        nsamp_fail(err, status, "%zu of %zu checks failed, so nothing was timed; nsamp check shows them",
                   laws.failed, laws.count);
    nsamp_check_report_free(&laws);
    return status;
}

/* Of a GPU the caches are its own: nothing that bounds a kernel there is in those of the processor. */
static nsamp_status measure_ceilings(run *r, nsamp_error *err) {
    nsamp_bench_report *report = r->report;
    nsamp_machine *m = &report->machine;
    nsamp_status status = tell(r, "ceilings", err);
    if (!status)
        status = nsamp_ceilings_measure(r->cuda ? "cuda" : "cpu", m->isa, m->threads, &report->watch,
                                        &report->ceilings, &m->l2_bytes, err);
    if (r->cuda) m->l1_bytes = m->l3_bytes = 0;
    report->beside = !r->cuda;
    return status;
}

static nsamp_status time_case(run *r, const bench_case *c, nsamp_error *err) {
    nsamp_bench_report *report = r->report;
    nsamp_bench_row *row = &report->rows[report->count];
    nsamp_job *job, *other;
    char what[96];
    snprintf(what, sizeof what, "%s, %s", c->system, c->title);
    nsamp_status status = tell(r, what, err);
    if (!status) status = job_of(r->o, c, NULL, &job, err);
    if (status) return status;
    report->count++;
    *row = (nsamp_bench_row){.size = c->size, .binds = NSAMP_BOUND_count, .reference = -1};
    snprintf(row->system, sizeof row->system, "%s", c->system);
    snprintf(row->title, sizeof row->title, "%s", c->title);
    snprintf(row->job, sizeof row->job, "%s", c->settings);
    nsamp_bench_time(report, job, row);
    if (r->o->against && !row->error[0]) {
        status = job_of(r->o, c, r->o->against, &other, err);
        if (!status) nsamp_bench_versus(report, job, other, row);
        nsamp_job_destroy(other);
    }
    nsamp_job_destroy(job);
    return status;
}

/* Machine, overrides, room for the rows. */
static nsamp_status begin(run *r, nsamp_error *err) {
    nsamp_bench_report *report = r->report;
    nsamp_job *job = NULL;
    nsamp_status status = known(r->o, err);
    if (!status && r->o->against) { /* a mistake in it is said before anything is timed */
        status = job_of(r->o, NULL, r->o->against, &job, err);
        nsamp_job_destroy(job);
        snprintf(report->against, sizeof report->against, "%s", r->o->against);
    }
    if (!status) status = job_of(r->o, NULL, NULL, &job, err);
    if (!status) status = nsamp_machine_describe(job, &report->machine, err);
    nsamp_job_destroy(job);
    if (status) return status;
    report->watch = r->o->watch;
    for (size_t i = 0; i < r->o->nsettings; i++) {
        const size_t used = strlen(report->overrides);
        snprintf(report->overrides + used, sizeof report->overrides - used, "%s%s", i ? " " : "",
                 r->o->settings[i]);
    }
    status = probe(r, err);
    if (status) return status;
    if (r->cuda && report->watch.seconds > CUDA_SECONDS) report->watch.seconds = CUDA_SECONDS;
    r->all = r->o->against ? 3 : 2;
    for (size_t k = 0; k < CASES; k++)
        r->all += wanted(r, &cases[k]);
    report->rows = calloc(r->all, sizeof *report->rows);
    return report->rows ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
}

nsamp_status nsamp_bench_run(const nsamp_bench_options *options, nsamp_bench_progress *progress, void *user,
                             nsamp_bench_report *report, nsamp_error *err) {
    run r = {options, progress, user, report, 0, 0, false};
    memset(report, 0, sizeof *report);
    nsamp_status status = begin(&r, err);
    if (!status) status = check_laws(&r, NULL, err);
    if (!status && options->against) status = check_laws(&r, options->against, err);
    if (!status) status = measure_ceilings(&r, err);
    for (size_t k = 0; k < CASES && !status; k++)
        if (wanted(&r, &cases[k])) status = time_case(&r, &cases[k], err);
    if (status) {
        report->count = 0;
        return status;
    }
    size_t failed = 0;
    for (size_t i = 0; i < report->count; i++)
        failed += report->rows[i].failed || report->rows[i].against.failed;
    if (!failed) return NSAMP_OK;
    return nsamp_fail(
        err, NSAMP_ECHECK,
        "%zu of %zu cases failed their check, or failed it with the other settings, and were not timed",
        failed, report->count);
}

void nsamp_bench_report_free(nsamp_bench_report *report) {
    free(report->rows);
    memset(report, 0, sizeof *report);
}
