/* versus.c: a case of the bench against the same case with other settings, by turns in one process. */
#include <stdio.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/reference.h"
#include "bench/training.h"
#include "error.h"

/* One of the two: a plan, or a training. */
typedef struct side {
    nsamp_plan *plan;
    nsamp_learner *learner;
    nsamp_trainee *trainee;
    nsamp_work_fn *f;
    void *work;
    double each;
    const char *kernel, *backend;
} side;

static nsamp_status open_training(const nsamp_job *job, side *s, nsamp_error *err) {
    nsamp_machine m;
    double error;
    nsamp_status status = nsamp_machine_describe(job, &m, err);
    if (!status) status = nsamp_training_learner(job, m.threads, m.isa, &s->learner, err);
    if (!status) status = nsamp_trainee_create(s->learner, m.isa, &error, &s->trainee, err);
    if (status) return status;
    s->f = nsamp_trainee_train;
    s->work = s->trainee;
    s->each = (double)s->learner->shape.batch;
    s->kernel = s->learner->text;
    s->backend = s->learner->ops->name;
    return NSAMP_OK;
}

static nsamp_status open_plan(const nsamp_job *job, side *s, nsamp_error *err) {
    double error;
    nsamp_status status = nsamp_plan_create(job, &s->plan, err);
    if (!status) status = nsamp_plan_start(s->plan, err);
    if (!status) status = nsamp_reference_check(s->plan, &error, err);
    if (status) return status;
    s->f = nsamp_bench_advance;
    s->work = s->plan;
    s->each = (double)s->plan->batch.chains;
    s->kernel = s->plan->model->why;
    s->backend = s->plan->backend->ops->name;
    return NSAMP_OK;
}

static nsamp_status open_side(const char *system, const nsamp_job *job, side *s, nsamp_error *err) {
    return strcmp(system, "training") ? open_plan(job, s, err) : open_training(job, s, err);
}

static void close_side(side *s) {
    nsamp_trainee_destroy(s->trainee);
    nsamp_learner_destroy(s->learner);
    nsamp_plan_destroy(s->plan);
}

/* No rate of chains that are not finite; a training says so itself. */
static nsamp_status still_good(const side *s, nsamp_error *err) {
    nsamp_summary summary;
    return s->plan ? nsamp_bench_summary(s->plan, &summary, err) : NSAMP_OK;
}

void nsamp_bench_versus(const nsamp_bench_report *report, const nsamp_job *job, const nsamp_job *other,
                        nsamp_bench_row *row) {
    nsamp_bench_against *const to = &row->against;
    nsamp_error err = {0};
    side two[2] = {{0}, {0}};
    nsamp_rate rate[2] = {{0, 0, 0}, {0, 0, 0}}, ratio = {0, 0, 0};
    const char *whose = "the case itself beside them: ";
    nsamp_status status = open_side(row->system, job, &two[0], &err);
    if (!status) {
        whose = "";
        status = open_side(row->system, other, &two[1], &err);
    }
    if (!status) {
        nsamp_work_fn *const f[2] = {two[0].f, two[1].f};
        void *const work[2] = {two[0].work, two[1].work};
        const double each[2] = {two[0].each, two[1].each};
        status = nsamp_measure_turns(&report->watch, f, work, each, rate, &ratio, &err);
    }
    if (!status) status = still_good(&two[1], &err);
    if (!status && (status = still_good(&two[0], &err))) whose = "the case itself beside them: ";
    if (status) {
        to->failed = status == NSAMP_ECHECK || status == NSAMP_EDIVERGED;
        snprintf(to->error, sizeof to->error, "%s%.400s", whose, err.text);
    } else {
        snprintf(to->kernel, sizeof to->kernel, "%s", two[1].kernel);
        snprintf(to->backend, sizeof to->backend, "%s", two[1].backend);
        to->own = rate[0].median;
        to->rate = rate[1];
        to->ratio = ratio;
    }
    close_side(&two[0]);
    close_side(&two[1]);
}
