/* check.c: nsamp check: the samplers against their laws, on this machine. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "check/check.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "error.h"

/* nsamp_check_progress: one line on a terminal, rewritten for each case. */
static int say_case(const char *system, const char *job, size_t index, size_t count, void *user) {
    const bool *quiet = user;
    if (!*quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%-79.79s\r%zu/%zu %s %.50s", "", index + 1, count, system, job);
    return cli_stop_requested();
}

static const char *verdict_colour(const nsamp_check_row *row) {
    return row->error || row->verdict == NSAMP_VERDICT_FAIL ? "\033[31m"
           : row->verdict == NSAMP_VERDICT_BLIND            ? "\033[33m"
                                                            : "\033[32m";
}

static void print_row(const nsamp_check_row *row, bool colour) {
    const char *on = colour ? verdict_colour(row) : "", *off = colour ? "\033[0m" : "";
    if (row->error) {
        printf("  %-34s %sFAIL%s  %s\n", row->quantity, on, off, row->text);
        return;
    }
    char value[32], expected[32], se[32], name[96];
    cli_number(row->value, row->se, value, sizeof value);
    cli_number(row->expected, row->se, expected, sizeof expected);
    cli_number(row->se, row->se, se, sizeof se);
    if (row->entries > 1)
        snprintf(name, sizeof name, "%s, worst of %zu", row->quantity, row->entries);
    else
        snprintf(name, sizeof name, "%s", row->quantity);
    printf("  %-34s %12s %12s %10s %7.2f %6.2f %%  %s%s%s\n", name, value, expected, se, row->z,
           100 * row->sees, on, nsamp_verdict_text(row->verdict), off);
}

static void print_report(const nsamp_check_report *report) {
    bool colour = cli_colour(stdout);
    const nsamp_check_row *last = NULL;
    for (size_t i = 0; i < report->count; i++) {
        const nsamp_check_row *row = &report->rows[i];
        if (!last || strcmp(last->job, row->job) != 0 || strcmp(last->system, row->system) != 0) {
            printf("%s%s %s\n", last ? "\n" : "", row->system, row->job);
            if (row->text[0] && !row->error) printf("  law: %s\n", row->text);
            printf("  %-34s %12s %12s %10s %7s %8s\n", "", "value", "expected", "std. error", "z", "sees");
        }
        print_row(row, colour);
        last = row;
    }
    printf("\n%zu of %zu pass: |z| < %.2f, which a correct program exceeds anywhere with a chance of %.0e, "
           "and a fault of the "
           "size under 'sees' would be seen\n",
           report->count - report->failed, report->count, report->threshold, report->budget);
}

/* Words with an '=' are settings put on top of every case, the others are systems. */
static nsamp_status check(const cli_args *args, nsamp_error *err) {
    const char *systems[64];
    char *settings[64];
    size_t nsystems = 0, nsettings = 0;
    if (args->count > 64)
        return nsamp_fail(err, NSAMP_EUSAGE, "nsamp check takes at most 64 words, not %d", args->count);
    for (int i = 0; i < args->count; i++)
        if (strchr(args->words[i], '='))
            settings[nsettings++] = args->words[i];
        else
            systems[nsystems++] = args->words[i];
    /* A key that no job takes is a mistake of the command line, not a failure of every case. */
    nsamp_job *trial = NULL;
    nsamp_status status =
        cli_job_create(&(cli_args){.words = settings, .count = (int)nsettings}, &trial, err);
    nsamp_job_destroy(trial);
    if (status) return status;
    nsamp_check_report report = {0};
    bool quiet = args->quiet;
    cli_stop_on_signals();
    status = nsamp_check_run(systems, nsystems, (const char *const *)settings, nsettings, say_case, &quiet,
                             &report, err);
    if (!quiet && isatty(STDERR_FILENO)) fprintf(stderr, "\r%-79.79s\r", "");
    if (!quiet && report.count) print_report(&report);
    nsamp_check_report_free(&report);
    return status;
}

static const cli_example examples[] = {
    {"nsamp check", "every system, on the backend that a run would choose"},
    {"nsamp check langevin run.backend=cpu run.isa=base", "one system, plain C kernels"},
    {NULL, NULL},
};

const cli_verb cli_verb_check = {
    .name = "check",
    .synopsis = "check [SYSTEM ...] [section.key=value ...]",
    .summary = "prove the samplers, here",
    .about = "Runs every system and compares what it sampled with what it must sample: exact laws of the "
             "discretised dynamics, "
             "two-sided, with one false-alarm budget for all comparisons. A comparison whose standard error "
             "would hide a "
             "fault that matters is BLIND, not passed. Exit code 6 when anything is not passed.",
    .examples = examples,
    .run = check,
};
