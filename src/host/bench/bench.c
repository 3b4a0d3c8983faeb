/* bench.c: runs the cases of cases.def under a stopwatch. The ceilings are in ceilings.c. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/ceilings.h"
#include "check/check.h"
#include "engine/plan.h"
#include "clock.h"
#include "error.h"
#include "job/settings.h"
#include "matmul.h"
#include "stats/distances.h"

/* A block of steps lasts at least this long: far above the clock and a parallel region's start. */
static const double BLOCK_SECONDS = 0.25;

typedef struct bench_case {
    const char *system, *settings;
} bench_case;

static const bench_case cases[] = {
#define NSAMP_CASE(system, settings) {system, settings},
#include "bench/cases.def"
#undef NSAMP_CASE
};
enum { CASES = sizeof cases / sizeof *cases };

/* Seconds that `steps` further steps of the plan take; negative on failure. */
static double advance(nsamp_plan *p, uint64_t steps, nsamp_error *err) {
    const double t = nsamp_clock();
    if (p->backend->ops->advance(p->backend, p->step, p->step + steps, err)) return -1;
    p->step += steps;
    return nsamp_clock() - t;
}

static nsamp_status time_plan(nsamp_plan *p, nsamp_bench_row *row, nsamp_error *err) {
    nsamp_status status = nsamp_plan_start(p, err);
    if (status) return status;
    uint64_t steps = 1;
    for (double t = 0; t < BLOCK_SECONDS;) { /* warm-up, and the size of a block */
        if ((t = advance(p, steps, err)) < 0) return err->status;
        if (t < BLOCK_SECONDS) steps = t < BLOCK_SECONDS / 16 ? steps * 8 : steps * 2;
    }
    double rate[NSAMP_BENCH_RUNS];
    for (int i = 0; i < NSAMP_BENCH_RUNS; i++) {
        const double t = advance(p, steps, err);
        if (t < 0) return err->status;
        rate[i] = (double)p->batch.chains * (double)steps / t;
    }
    nsamp_sort(rate, NSAMP_BENCH_RUNS);
    row->low = rate[0];
    row->chain_steps = rate[NSAMP_BENCH_RUNS / 2];
    row->high = rate[NSAMP_BENCH_RUNS - 1];
    return NSAMP_OK;
}

static void rate_against(const nsamp_bench_report *report, const nsamp_plan *p, nsamp_bench_row *row) {
    const nsamp_model *m = p->model;
    const bool bf16 = nsamp_job_is(p->job, NSAMP_KEY_run_precision, "bf16");
    const double product = bf16 ? report->product_bf16 : report->product_fp32;
    row->dim_steps = row->chain_steps * (double)m->dim;
    row->threads = report->threads;
    row->normals = row->chain_steps * (double)m->draws;
    row->flops = row->chain_steps * m->flops;
    row->share_noise = row->normals / report->noise;
    row->share_fma = row->flops / report->fma;
    row->share_product = m->host_kernel && product > 0 ? row->flops / product : 0;
    row->bound = m->host_kernel ? "product" : row->share_noise > row->share_fma ? "noise" : "fma";
}

static nsamp_status run_case(nsamp_bench_report *report, const bench_case *c, const char *const *settings,
                             size_t nsettings, nsamp_error *err) {
    nsamp_bench_row *rows = realloc(report->rows, (report->count + 1) * sizeof *rows);
    if (!rows) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    report->rows = rows;
    nsamp_bench_row *row = &rows[report->count++];
    memset(row, 0, sizeof *row);
    snprintf(row->system, sizeof row->system, "%s", c->system);
    snprintf(row->job, sizeof row->job, "%s", c->settings);
    row->bound = "";
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    nsamp_status status = job ? nsamp_job_set(job, "system.name", c->system, err) : NSAMP_ENOMEM;
    if (!status) status = nsamp_job_set_all(job, "run.steps=1000000000000", err);
    if (!status) status = nsamp_job_set_all(job, c->settings, err);
    for (size_t i = 0; i < nsettings && !status; i++)
        status = nsamp_job_set_all(job, settings[i], err);
    if (!status) status = nsamp_plan_create(job, &plan, err);
    if (!status) {
        snprintf(row->kernel, sizeof row->kernel, "%s", plan->model->why);
        status = time_plan(plan, row, err);
    }
    if (!status) rate_against(report, plan, row);
    if (status) snprintf(row->error, sizeof row->error, "%.255s", err->text);
    nsamp_plan_destroy(plan);
    nsamp_job_destroy(job);
    return NSAMP_OK;
}

static bool wanted(const char *system, const char *const *systems, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!strcmp(systems[i], system)) return true;
    return count == 0;
}

static nsamp_status check_first(const char *const *systems, size_t count, const char *const *settings,
                                size_t nsettings, nsamp_error *err) {
    nsamp_check_report report;
    nsamp_status status = nsamp_check_run(systems, count, settings, nsettings, NULL, NULL, &report, err);
    nsamp_check_report_free(&report);
    return status;
}

static nsamp_status measure_ceilings(nsamp_bench_report *report, int threads, nsamp_error *err) {
    nsamp_ceilings c;
    nsamp_status status = nsamp_ceilings_measure(threads, &c, err);
    if (status) return status;
    report->fma = c.fma;
    report->noise = c.noise;
    report->product_fp32 = c.product_fp32;
    report->product_bf16 = c.product_bf16;
    report->threads = c.threads;
    snprintf(report->machine, sizeof report->machine, "%s", c.machine);
    snprintf(report->isa, sizeof report->isa, "%s", c.isa);
    snprintf(report->products, sizeof report->products, "%s", nsamp_matmul_name());
    return nsamp_training_measure(300, 20000, 512, NSAMP_BENCH_RUNS, threads, c.isa, &report->training, err);
}

nsamp_status nsamp_bench_run(const char *const *systems, size_t count, const char *const *settings,
                             size_t nsettings, nsamp_bench_progress *progress, void *user,
                             nsamp_bench_report *report, nsamp_error *err) {
    memset(report, 0, sizeof *report);
    if (progress && progress("laws", 0, CASES + 2, user)) return nsamp_fail(err, NSAMP_STOPPED, "stopped");
    nsamp_status status = check_first(systems, count, settings, nsettings, err);
    if (status) return status;
    if (progress && progress("ceilings", 1, CASES + 2, user))
        return nsamp_fail(err, NSAMP_STOPPED, "stopped");
    nsamp_job *job = nsamp_job_create(); /* for run.threads among the settings */
    for (size_t i = 0; job && i < nsettings && !status; i++)
        status = nsamp_job_set_all(job, settings[i], err);
    if (!status)
        status = job ? measure_ceilings(report, (int)nsamp_job_int(job, NSAMP_KEY_run_threads), err)
                     : NSAMP_ENOMEM;
    nsamp_job_destroy(job);
    for (size_t k = 0; k < CASES && !status; k++) {
        if (!wanted(cases[k].system, systems, count)) continue;
        if (progress && progress(cases[k].settings, k + 2, CASES + 2, user))
            status = nsamp_fail(err, NSAMP_STOPPED, "stopped");
        else
            status = run_case(report, &cases[k], settings, nsettings, err);
    }
    return status;
}

void nsamp_bench_report_free(nsamp_bench_report *report) {
    free(report->rows);
    memset(report, 0, sizeof *report);
}
