/* sweep.c: the points of a sweep, each a run with its own output and a row of the table. */
#include "cli/sweep.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "engine/engine.h"
#include "error.h"
#include "io/output.h"

enum { LABEL = 512, PATH_ROOM = 4096, CHECKED = 1000 };

void cli_labelled_path(const char *path, const char *label, char *out, size_t size) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    size_t stem = dot && dot != name ? (size_t)(dot - path) : strlen(path);
    int start = snprintf(out, size, "%.*s_", (int)stem, path);
    snprintf(out + start, size - (size_t)start, "%s%s", label, path + stem);
    for (char *c = out + start; *c; c++)
        if (*c == ' ') *c = '_';
}

/* One point with files of its own. NULL: err says why. */
static nsamp_job *point_at(const nsamp_job *job, size_t k, char *label, nsamp_error *err) {
    static const nsamp_key files[] = {NSAMP_KEY_output_file, NSAMP_KEY_run_checkpoint};
    static const char *const names[] = {"output.file", "run.checkpoint"};
    nsamp_job *point = nsamp_job_sweep_at(job, k, label, LABEL);
    nsamp_status status =
        point ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "not enough memory for point %zu", k + 1);
    for (int i = 0; !status && i < 2; i++) {
        char path[PATH_ROOM + LABEL];
        const char *given = nsamp_job_text(job, files[i]);
        if (!*given) continue;
        if (strlen(given) >= PATH_ROOM) {
            status = nsamp_job_fail(job, files[i], err, "a path of %zu characters; the longest is %d",
                                    strlen(given), PATH_ROOM - 1);
            continue;
        }
        cli_labelled_path(given, label, path, sizeof path);
        status = nsamp_job_set_from(point, names[i], path, nsamp_job_origin(job, files[i]), err);
    }
    if (!status) return point;
    nsamp_job_destroy(point);
    return NULL;
}

/* With run.resume: this point has its output. */
static bool is_done(const nsamp_job *point) {
    const char *file = nsamp_job_text(point, NSAMP_KEY_output_file);
    return nsamp_job_bool(point, NSAMP_KEY_run_resume) && *file && !access(file, F_OK);
}

/* Everything that can be refused is refused before hours of other points have run. */
static nsamp_status check_points(const nsamp_job *job, size_t count, nsamp_error *err) {
    char label[LABEL];
    nsamp_status status = NSAMP_OK;
    for (size_t k = 0; !status && k < count && k < CHECKED; k++) {
        nsamp_job *point = point_at(job, k, label, err);
        if (!point) return err->status;
        nsamp_model *model = NULL;
        if (!is_done(point)) status = nsamp_output_check(point, err);
        if (!status) status = nsamp_model_create(point, &model, err);
        nsamp_model_destroy(model);
        nsamp_job_destroy(point);
    }
    return status;
}

static nsamp_status run_point(const nsamp_job *job, const nsamp_job *point, const char *label, bool quiet,
                              bool *header, nsamp_error *err) {
    nsamp_plan *plan = NULL;
    cli_progress progress;
    nsamp_status status = nsamp_plan_create(point, &plan, err);
    if (!status) status = cli_progress_begin(&progress, point, "chain-steps/s", label, quiet, err);
    if (status) {
        nsamp_plan_destroy(plan);
        return status;
    }
    status = nsamp_plan_run(plan, cli_progress_report, &progress, err);
    cli_progress_end(&progress, status);
    if (!quiet && (!status || status == NSAMP_EDIVERGED)) {
        size_t count = 0;
        const nsamp_statistic *stats = nsamp_plan_statistics(plan, &count);
        if (!*header) cli_sweep_header(job, nsamp_plan_summary(plan), stats, count);
        *header = true;
        cli_sweep_row(job, point, nsamp_plan_summary(plan), stats, count);
    }
    nsamp_plan_destroy(plan);
    return status;
}

static nsamp_status print_plan(const nsamp_job *point, const char *label, nsamp_error *err) {
    nsamp_plan *plan = NULL;
    nsamp_status status = nsamp_plan_create(point, &plan, err);
    if (!status) printf("%s\n%s\n", label, nsamp_plan_text(plan));
    nsamp_plan_destroy(plan);
    return status;
}

/* "POINT: what happened". */
static void name_point(const char *keys, nsamp_error *err) {
    const nsamp_error what = *err;
    nsamp_fail(err, what.status, "%s: %s", keys, what.text);
}

nsamp_status cli_run_sweep(const nsamp_job *job, bool quiet, nsamp_error *err) {
    size_t count = nsamp_job_sweep_count(job);
    nsamp_status status = check_points(job, count, err), diverged = NSAMP_OK;
    nsamp_error first = {0};
    bool header = false;
    for (size_t k = 0; !status && k < count; k++) {
        char keys[LABEL], label[LABEL + 64];
        nsamp_job *point = point_at(job, k, keys, err);
        if (!point) return err->status;
        snprintf(label, sizeof label, "%zu/%zu %s", k + 1, count, keys);
        if (nsamp_job_bool(job, NSAMP_KEY_run_dry)) {
            status = print_plan(point, label, err);
        } else if (is_done(point)) {
            if (!quiet) printf("%s: %s is there\n", keys, nsamp_job_text(point, NSAMP_KEY_output_file));
        } else {
            status = run_point(job, point, label, quiet, &header, err);
            if (status == NSAMP_STOPPED) name_point(keys, err);
        }
        if (status == NSAMP_EDIVERGED) {
            if (!diverged) nsamp_fail(&first, status, "%s: %s", keys, err->text);
            diverged = status;
            status = NSAMP_OK;
        }
        nsamp_job_destroy(point);
    }
    if (!status && diverged) *err = first;
    return status ? status : diverged;
}
