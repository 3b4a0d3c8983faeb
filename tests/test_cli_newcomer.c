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

/* Of the identity that a checkpoint must agree with. */
static uint64_t digest_of(const char *path) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    if (nsamp_job_read(job, path, &err)) fail_msg("%s", err.text);
    char *identity = nsamp_job_identity(job);
    assert_non_null(identity);
    uint64_t digest = 5381;
    for (const char *at = identity; *at; at++)
        digest = digest * 33 + (unsigned char)*at;
    free(identity);
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

#define SMALL "run.chains=64", "run.steps=200", "run.burn_in=50", "target.dim=4"

/* Number of a column of a table's second line, by its heading: headings and numbers end at the same place. */
static double under(const char *table, const char *heading) {
    const char *at = strstr(table, heading), *row = strchr(table, '\n') + 1;
    if (!at || at >= row) fail_msg("no column '%s' in %.300s", heading, table);
    const char *end = row + (at - table) + strlen(heading);
    while (end[-1] != ' ')
        end--;
    return strtod(end, NULL);
}

/* tau, ESS and R-hat of a point are those of the same job alone; the files are named. */
static void test_sweep_table(void **state) {
    (void)state;
    double tau, ess, rhat;
    const program_result *r = IN_SCRATCH("run", SMALL, "target.rho=0.5");
    assert_int_equal(
        sscanf(strstr(r->out, "autocorrelation time, steps"), "autocorrelation time, steps %lf", &tau), 1);
    assert_int_equal(sscanf(strstr(r->out, "R-hat "), "R-hat %lf", &rhat), 1);
    assert_int_equal(sscanf(strstr(r->out, "ESS "), "ESS %lf", &ess), 1);
    r = IN_SCRATCH("run", SMALL, "target.rho=0.5,0", "output.file=s.nc");
    assert_int_equal(r->code, 0);
    assert_float_equal(under(r->out, "     tau"), tau, 0.01);
    assert_float_equal(under(r->out, "     ESS"), ess, 0.6);
    assert_float_equal(under(r->out, "  R-hat"), rhat, 1e-3);
    assert_has(r->out, "seconds  file\n");
    assert_has(r->out, "  s_target.rho=0.5.nc\n");
    assert_has(r->out, "  s_target.rho=0.nc\n");
    r = IN_SCRATCH("run", SMALL, "target.rho=0.5,0");
    assert_null(strstr(r->out, "file"));
}

/* What a stopped run says is enough to go on. */
static void test_stop_says_how_to_go_on(void **state) {
    (void)state;
#define LONG "run.chains=4096", "run.steps=100000000", "run.max_walltime_s=0.1", "run.threads=1"
    assert_refused(IN_SCRATCH("run", LONG, "output.file=a.nc"), NSAMP_STOPPED,
                   "a.nc.ckpt; the same command with run.resume=yes goes on");
    assert_refused(IN_SCRATCH("run", LONG, "output.file=b.nc", "target.rho=0, 0.5"), NSAMP_STOPPED,
                   "nsamp: target.rho=0: stopped after step");
    const program_result *r = IN_SCRATCH("run", LONG);
    assert_refused(r, NSAMP_STOPPED, "output.file is not set");
    assert_null(strstr(r->err, "resume"));
    assert_refused(IN_SCRATCH("train", "target.name=mixture", "target.dim=1", "train.hidden=16",
                              "train.epochs=5", "train.draws=1000", "train.max_batches=2", "model.file=m.nc"),
                   NSAMP_STOPPED, "train.resume=yes goes on");
}

static void test_divergence_names_dt(void **state) {
    (void)state;
#define FAR SMALL, "run.start=normal", "run.start_scale=1e300"
    const program_result *r = IN_SCRATCH("run", FAR, "system.dt=0.04");
    assert_int_equal(r->code, NSAMP_EDIVERGED);
    assert_has(r->err,
               "system.dt = 0.04 may be too large: try 0.02, or a smaller run.start_scale; nothing is saved");
    r = IN_SCRATCH("run", FAR, "output.file=a.nc");
    assert_has(r->err, "; all is saved in a.nc\n");
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
        cmocka_unit_test_teardown(test_sweep_table, fresh),
        cmocka_unit_test_teardown(test_stop_says_how_to_go_on, fresh),
        cmocka_unit_test_teardown(test_divergence_names_dt, fresh),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
