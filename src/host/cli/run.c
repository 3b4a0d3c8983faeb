/* run.c: nsamp run: one job, or the jobs of a sweep one after the other (sweep.c). */
#include <stdio.h>
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "cli/sweep.h"
#include "engine/engine.h"
#include "error.h"

static nsamp_status run_planned(nsamp_plan *plan, const nsamp_job *job, bool quiet, nsamp_error *err) {
    cli_progress progress;
    nsamp_status status = cli_progress_begin(&progress, job, "chain-steps/s", "", quiet, err);
    if (status) return status;
    status = nsamp_plan_run(plan, cli_progress_report, &progress, err);
    cli_progress_end(&progress, status);
    /* Where only the output failed there is a summary, and it may be all that is left. */
    if (quiet || !nsamp_plan_summary(plan)->dim) return status;
    size_t count = 0;
    const nsamp_statistic *stats = nsamp_plan_statistics(plan, &count);
    cli_print_summary(nsamp_plan_summary(plan), stats, count);
    const char *file = nsamp_job_text(job, NSAMP_KEY_output_file);
    if (*file && (!status || status == NSAMP_EDIVERGED)) printf("wrote %s\n", file);
    return status;
}

static nsamp_status run_job(const nsamp_job *job, bool quiet, nsamp_error *err) {
    nsamp_plan *plan = NULL;
    nsamp_status status = nsamp_plan_create(job, &plan, err);
    if (status) return status;
    if (nsamp_job_bool(job, NSAMP_KEY_run_dry))
        printf("%s", nsamp_plan_text(plan));
    else
        status = run_planned(plan, job, quiet, err);
    nsamp_plan_destroy(plan);
    return status;
}

static nsamp_status run(const cli_args *args, nsamp_error *err) {
    nsamp_job *job = NULL;
    nsamp_status status = cli_job_create(args, &job, err);
    if (!status && cli_flag_value(&cli_verb_run, args, "--dry"))
        status = nsamp_job_set_from(job, "run.dry", "yes", "command line", err);
    cli_stop_on_signals();
    if (!status && nsamp_job_sweep_count(job) > 1)
        status = cli_run_sweep(job, args->quiet, err);
    else if (!status)
        status = run_job(job, args->quiet, err);
    nsamp_job_destroy(job);
    return status;
}

static const cli_flag flags[] = {
    {"--dry", NULL, NULL, "print the plan and stop, as run.dry=yes"},
    {NULL, NULL, NULL, NULL},
};

static const cli_example examples[] = {
    {"nsamp run jobs/equicorrelated.ini target.dim=1000 target.rho=0.9 run.chains=4096",
     "a job file with three keys changed"},
    {"nsamp run target.dim=10 target.rho=0.75 system.geometry=natural", "no file: all else has its default"},
    {"nsamp run jobs/equicorrelated.ini target.rho=0:0.25:0.75 system.geometry=naive,natural",
     "a sweep of 8 points, a row of the table each"},
    {"nsamp run jobs/equicorrelated.ini --dry",
     "what would run where and why, with its size in memory and on disk"},
    {NULL, NULL},
};

const cli_verb cli_verb_run = {
    .name = "run",
    .synopsis = "run [JOB.ini] [section.key=value ...]",
    .summary = "sample; writes output.file",
    .about = "Runs the job and prints mean, variance and off-diagonal covariance with their standard errors, "
             "the exact values "
             "where they are known, and the diagnostics of the chains; writes output.file (netCDF) where one "
             "is named.\n\n"
             "A value first:step:last, or values with commas, is a sweep: the points run one after the "
             "other, each writes "
             "output.file with its keys in the name, and each gets a row of one table.\n\n"
             "SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU and run.max_walltime_s stop a run with a "
             "checkpoint and exit code 75; "
             "run.resume=yes "
             "goes on from there.",
    .flags = flags,
    .examples = examples,
    .run = run,
};
