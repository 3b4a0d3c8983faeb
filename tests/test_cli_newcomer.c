/* test_cli_newcomer.c: what somebody trips over who has just met the program: files named in a job, what the plan says, what a stopped or
 * diverged run says, tables of sweeps. Bad input as such: test_cli_run.c, test_job*.c. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "job/job.h"
#include "program.h"
#include "says.h"
#include "scratch.h"

#define IN_SCRATCH(...) program_run(&(program){.words = {__VA_ARGS__}, .folder = scratch_folder})

static void write_text(const char *name, const char *text) {
    scratch_write(scratch(name), text, strlen(text));
}

static void assert_refused(const program_result *r, int code, const char *part) {
    assert_has(r->err, part);
    assert_int_equal(r->code, code);
    assert_ptr_equal(strchr(r->err, '\n'), r->err + strlen(r->err) - 1);
}

static uint64_t digest_of(const char *path) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    if (nsamp_job_read(job, path, &err)) fail_msg("%s", err.text);
    const uint64_t digest = nsamp_job_digest(job);
    nsamp_job_destroy(job);
    return digest;
}

static const char gaussian[] =
    "[target]\nname = gaussian\ndim = 1\nfile = g.txt\n[run]\nchains = 64\nsteps = 40\n"
    "burn_in = 10\n[output]\nfile = g.nc\n[record]\nevery = 10\n";

/* A name in a job file is a file beside it; else one here; both are named where there is neither. */
static void test_files_beside_the_job(void **state) {
    (void)state;
    char text[PROGRAM_TEXT];
    mkdir(scratch("jobs"), 0755);
    write_text("jobs/g.ini", gaussian);
    const program_result *r = IN_SCRATCH("run", "jobs/g.ini");
    assert_refused(r, NSAMP_EIO,
                   "jobs/g.ini:4: target.file = g.txt: no such file: neither beside the job file "
                   "(jobs/g.txt) nor in the "
                   "folder where nsamp was started (g.txt)");
    write_text("g.txt", "5\n\n1\n");
    r = IN_SCRATCH("run", "jobs/g.ini", "--dry");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "input       target.file: g.txt\n");
    write_text("jobs/g.txt", "3\n\n1\n");
    r = IN_SCRATCH("run", "jobs/g.ini", "--dry");
    assert_has(
        r->out,
        "input       target.file: jobs/g.txt (beside the job file); not the one of that name here, g.txt\n");
    /* what the command line names is here */
    r = IN_SCRATCH("run", "jobs/g.ini", "target.file=g.txt", "--dry");
    assert_has(r->out, "input       target.file: g.txt\n");
    r = IN_SCRATCH("run", "jobs/g.ini");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "wrote g.nc"); /* an output is here too */
    const char *row = strstr(r->out, "mean");
    double value = 0;
    assert_int_equal(sscanf(row, "%*s %lf", &value), 1);
    assert_true(value > 1.5 && value < 4);
    /* what reads the output finds it again */
    unlink(scratch("g.txt"));
    r = IN_SCRATCH("stats", "g.nc");
    assert_int_equal(r->code, 0);
    strcpy(text, r->err);
    assert_string_equal(text, "");
}

/* The digest of a job does not depend on where it is run from: name and contents count, not the path. */
static void test_digest_from_anywhere(void **state) {
    (void)state;
    char here[4096];
    assert_non_null(getcwd(here, sizeof here));
    mkdir(scratch("jobs"), 0755);
    write_text("jobs/g.ini", gaussian);
    write_text("jobs/g.txt", "3\n\n1\n");
    const uint64_t outside = digest_of(scratch("jobs/g.ini"));
    assert_int_equal(chdir(scratch("jobs")), 0);
    const uint64_t inside = digest_of("g.ini");
    scratch_write("g.txt", "3\n\n2\n", 5);
    const uint64_t changed = digest_of("g.ini");
    assert_int_equal(chdir(here), 0);
    assert_true(inside == outside);
    assert_true(changed == digest_of(scratch("jobs/g.ini")));
    assert_true(changed != inside);
}

static void test_example_runs_from_anywhere(void **state) {
    (void)state;
    char here[4096], job[4200];
    assert_non_null(getcwd(here, sizeof here));
    snprintf(job, sizeof job, "%s/jobs/gaussian.ini", here);
    const program_result *r = IN_SCRATCH("run", job, "--dry");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "jobs/gaussian.txt (beside the job file)");
}

static void test_plan_names_the_start(void **state) {
    (void)state;
    static const struct {
        const char *words[3], *line;
    } cases[] = {
        {{"system.name=langevin"}, "start       target: an exact draw for each chain (run.start = auto)\n"},
        {{"run.start=normal", "run.start_scale=2.5"}, "start       normal, standard deviation 2.5\n"},
        {{"run.start=uniform", "run.start_scale=3"}, "start       uniform from -3 to 3\n"},
        {{"system.name=mh-spiking"}, "start       zero (run.start = auto)\n"},
        {{"system.name=mh-spiking", "system.leak=no"}, "start       target: an exact draw"},
        {{"system.name=mh-spiking", "run.start=uniform"}, "start       uniform from -1 to 1\n"},
        {{"system.name=rsn", "system.model=builtin:linear", "train.hidden=32"},
         "start       normal, standard deviation 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const program_result *r =
            IN_SCRATCH("run", "--dry", cases[i].words[0], cases[i].words[1] ? cases[i].words[1] : "-q",
                       cases[i].words[2] ? cases[i].words[2] : "-q");
        assert_int_equal(r->code, 0);
        assert_has(r->out, cases[i].line);
    }
}

static int fresh(void **state) {
    (void)state;
    const char *const inner[] = {"jobs/g.ini", "jobs/g.txt"};
    for (size_t i = 0; i < sizeof inner / sizeof *inner; i++)
        unlink(scratch(inner[i]));
    scratch_clear();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_files_beside_the_job, fresh),
        cmocka_unit_test_teardown(test_digest_from_anywhere, fresh),
        cmocka_unit_test_teardown(test_example_runs_from_anywhere, fresh),
        cmocka_unit_test_teardown(test_plan_names_the_start, fresh),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
