/* test_cli_run.c: nsamp run as somebody types it: what it writes and prints, sweeps, and every bad
 * input with its one line and exit code, nothing overwritten and nothing half-written. Stops: test_cli_stop.c. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <sys/stat.h>
#include <cmocka.h>
#include <netcdf.h>
#include <stdlib.h>
#include "job/job.h"
#include "program.h"
#include "says.h"

static char folder[] = "/tmp/nsamp_test_run_XXXXXX";

/* One line "nsamp: ..." that holds the parts, nothing on standard output. */
static void assert_refused(const program_result *r, int code, const char *part1, const char *part2) {
    assert_has(r->err, part1);
    assert_has(r->err, part2);
    assert_int_equal(r->code, code);
    assert_string_equal(r->out, "");
    assert_int_equal(strncmp(r->err, "nsamp: ", 7), 0);
    assert_ptr_equal(strchr(r->err, '\n'), r->err + strlen(r->err) - 1);
}

/* Nothing went wrong; a slow machine may have seen lines of progress. */
static void assert_fine(const program_result *r) {
    assert_null(strstr(r->err, "nsamp: "));
    assert_int_equal(r->code, 0);
}

#define IN_FOLDER(...) program_run(&(program){.words = {__VA_ARGS__}, .folder = folder})

static char *in_folder(const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *bytes, size_t size) {
    FILE *f = fopen(in_folder(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void write_text(const char *name, const char *text) {
    write_file(name, text, strlen(text));
}

static bool is_there(const char *name) {
    return !access(in_folder(name), F_OK);
}

/* Empties the folder; returns how many files were in it. */
static int sweep_folder(void) {
    int n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.' || strlen(e->d_name) > 2) {
            n++;
            remove(in_folder(e->d_name));
        }
    closedir(d);
    return n;
}

static int fresh(void **state) {
    (void)state;
    sweep_folder();
    return 0;
}

#define SMALL "run.chains=64", "run.steps=200", "run.burn_in=50", "target.dim=4"

static void test_small_run(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("run", SMALL, "output.file=a.nc");
    assert_fine(r);
    assert_has(r->out, "mean x[0]");
    assert_has(r->out, "variance x[3]");
    assert_has(r->out, "off-diagonal covariance");
    assert_has(r->out, "R-hat");
    assert_has(r->out, "0 of 64 chains diverged");
    assert_has(r->out, "64 chains x 200 steps");
    assert_has(r->out, "wrote a.nc\n");
    assert_true(is_there("a.nc"));
    assert_int_equal(sweep_folder(), 1);
}

/* Exact values are shown, and the run agrees with them: the largest z of the table stays below 5.5. */
static void test_table_is_right(void **state) {
    (void)state;
    const program_result *r =
        IN_FOLDER("run", "run.chains=20000", "run.steps=200", "run.burn_in=100", "target.dim=3",
                  "target.rho=0.5", "system.geometry=natural", "target.mean=2");
    assert_int_equal(r->code, 0);
    /* natural, dt 0.05: variance 1/(1 - 0.025), covariance half of that */
    int rows = 0;
    for (const char *line = r->out; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        double value, se, exact, z;
        bool mean = !strncmp(line, "mean x", 6), var = !strncmp(line, "variance x", 10),
             off = !strncmp(line, "off-diagonal covariance", 23);
        if (!mean && !var && !off) continue;
        assert_int_equal(sscanf(line + 36, "%lf %lf %lf %lf", &value, &se, &exact, &z), 4);
        double expected = mean ? 2.0 : var ? 1.0 / 0.975 : 0.5 / 0.975;
        assert_true(exact > expected - se && exact < expected + se);
        assert_true(z >= 0 && z < 5.5);
        assert_true(se > 0 && se < 0.01 * expected);
        assert_true(value > expected - 6 * se && value < expected + 6 * se);
        rows++;
    }
    assert_int_equal(rows, 7);
}

static void test_job_file(void **state) {
    (void)state;
    write_text("a.ini",
               "[run]\nchains = 32\nsteps = 100\n[target]\ndim = 2\n[output]\nfile = from-file.nc\n");
    const program_result *r = IN_FOLDER("run", "a.ini", "run.steps=60");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "32 chains x 60 steps");
    assert_true(is_there("from-file.nc"));
}

static void test_quiet_and_dry(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("run", SMALL, "output.file=a.nc", "--quiet");
    assert_int_equal(r->code, 0);
    assert_string_equal(r->out, "");
    assert_string_equal(r->err, "");
    assert_int_equal(sweep_folder(), 1);
    r = IN_FOLDER("run", SMALL, "output.file=a.nc", "--dry");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "langevin");
    assert_has(r->out, "64");
    char text[PROGRAM_TEXT];
    strcpy(text, r->out);
    assert_string_equal(IN_FOLDER("run", SMALL, "output.file=a.nc", "run.dry=true")->out, text);
    assert_int_equal(sweep_folder(), 0);
}

static void test_sweep(void **state) {
    (void)state;
    const program_result *r =
        IN_FOLDER("run", SMALL, "target.rho=0:0.25:0.5", "system.geometry=naive,natural", "output.file=s.nc");
    assert_fine(r);
    int lines = 0;
    for (const char *c = r->out; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 7);
    assert_int_equal(strncmp(r->out, "target.rho", 10), 0);
    assert_has(r->out, "\n0.25         natural ");
    assert_true(is_there("s_target.rho=0.25_system.geometry=natural.nc"));
    assert_true(is_there("s_target.rho=0_system.geometry=naive.nc"));
    assert_false(is_there("s.nc"));
    /* with run.resume, what is there is left alone */
    remove(in_folder("s_target.rho=0_system.geometry=naive.nc"));
    r = IN_FOLDER("run", SMALL, "target.rho=0:0.25:0.5", "system.geometry=naive,natural", "output.file=s.nc",
                  "run.resume=yes");
    assert_int_equal(r->code, 0);
    assert_has(
        r->out,
        "target.rho=0.25 system.geometry=natural: s_target.rho=0.25_system.geometry=natural.nc is there");
    assert_true(is_there("s_target.rho=0_system.geometry=naive.nc"));
    assert_int_equal(sweep_folder(), 6);
}

/* A sweep whose last point is impossible ends before its first has run. */
static void test_sweep_is_checked_first(void **state) {
    (void)state;
    assert_refused(IN_FOLDER("run", SMALL, "target.rho=0,0.25,-0.5", "output.file=s.nc"), 2,
                   "target.rho = -0.5", "");
    assert_int_equal(sweep_folder(), 0);
}

/* Starts beyond what a float holds: every chain is lost at its first step, or none. */
static void test_divergence(void **state) {
    (void)state;
    const program_result *r =
        IN_FOLDER("run", SMALL, "run.start=normal", "run.start_scale=1e300", "output.file=a.nc");
    assert_int_equal(r->code, NSAMP_EDIVERGED);
    assert_has(r->err, "nsamp: 64 of 64 chains diverged");
    assert_has(r->out, "64 of 64 chains diverged, first: chain 0 at step 0\n");
    assert_true(is_there("a.nc"));
    r = IN_FOLDER("run", SMALL, "run.start=normal", "run.start_scale=1e300,1");
    assert_int_equal(r->code, NSAMP_EDIVERGED);
    assert_has(r->err, "run.start_scale=1e+300: 64 of 64");
    assert_has(r->out, "\n1 ");
}

/* ---- what reads an output ---- */

static void test_stats_and_plot(void **state) {
    (void)state;
    assert_int_equal(IN_FOLDER("run", SMALL, "output.file=a.nc", "record.every=10", "-q")->code, 0);
    const program_result *r = IN_FOLDER("stats", "a.nc");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "a.nc: langevin on equicorrelated, dimension 4");
    r = IN_FOLDER("stats", "--json", "a.nc");
    assert_int_equal(r->code, 0);
    assert_int_equal(r->out[0], '{');
    r = IN_FOLDER("plot", "a.nc", "--quiet", "--kind", "moments");
    assert_int_equal(r->code, 0);
    assert_string_equal(r->out, "");
    assert_true(is_there("a.png"));
    assert_string_equal(IN_FOLDER("plot", "a.nc", "--kind=moments", "-o", "b.svg")->out, "wrote b.svg\n");
    assert_refused(IN_FOLDER("plot", "a.nc", "-o", "b.gif"), 2, "b.gif", ".png, .svg or .pdf");
    assert_refused(IN_FOLDER("plot", "a.nc", "--kind", "pie"), 2, "pie", "density");
    assert_refused(IN_FOLDER("plot"), 2, "one file", "");
    assert_refused(IN_FOLDER("stats"), 2, "needs an output file", "");
    assert_refused(IN_FOLDER("stats", "b.nc"), NSAMP_EIO, "b.nc", "No such file");
    assert_refused(IN_FOLDER("plot", "b.nc"), NSAMP_EIO, "b.nc", "No such file");
    write_text("c.nc", "CDF");
    assert_refused(IN_FOLDER("stats", "c.nc"), NSAMP_EIO, "c.nc", "");
    assert_refused(IN_FOLDER("plot", "c.nc"), NSAMP_EIO, "c.nc", "");
    assert_int_equal(truncate(in_folder("a.nc"), 5000), 0);
    assert_refused(IN_FOLDER("stats", "a.nc"), NSAMP_EIO, "a.nc", "");
    assert_false(is_there("c.png"));
}

#define TINY                                                                                                 \
    "target.name=mixture", "target.dim=1", "train.hidden=16", "train.draws=512", "train.epochs=1",           \
        "model.file=m.nc"

static void test_train(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("train", TINY, "train.sigmas=0.5 0.1");
    assert_fine(r);
    assert_has(r->out, "1 outputs, 16 reservoir units, denoiser form, last noise level 0.1\n");
    assert_has(r->out, "\n    1 ");
    assert_has(r->out, "\n    2 ");
    assert_has(r->out, " samples in ");
    assert_has(r->out, " samples/s\n");
    assert_has(r->out, "\nwrote m.nc\n");
    assert_int_equal(IN_FOLDER("plot", "m.nc", "-q")->code, 0);
    assert_refused(IN_FOLDER("train", TINY), 2, "model.file = m.nc", "overwrite");
    assert_int_equal(sweep_folder(), 2);
    assert_refused(IN_FOLDER("train", TINY, "train.lr=1e-3,1e-2"), 2, "train.lr = 1e-3,1e-2",
                   "a sweep of 2 jobs");
    assert_refused(IN_FOLDER("train", TINY, "train.epochs=1 2"), 2, "train.epochs = 1 2", "noise levels");
    assert_refused(IN_FOLDER("train", "target.name=images", "data.dir=nowhere"), NSAMP_EIO, "nowhere", "");
    assert_int_equal(sweep_folder(), 0);
}

/* Too few chains to see a fault are not a pass: exit code 6, and the table says which rows are blind. */
static void test_check(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("check", "langevin", "run.chains=32", "run.steps=100");
    assert_int_equal(r->code, NSAMP_ECHECK);
    assert_has(r->out, "BLIND");
    assert_has(r->out, "langevin target.name=equicorrelated");
    assert_null(strchr(r->out, '\033'));
    assert_refused(IN_FOLDER("check", "langvin"), 2, "langvin", "");
    assert_refused(IN_FOLDER("check", "run.chain=3"), 2, "run.chain", "run.chains");
}

/* ---- bad input ---- */

static void test_bad_job_files(void **state) {
    (void)state;
    assert_refused(IN_FOLDER("run", "missing.ini"), NSAMP_EIO, "missing.ini", "No such file");
    assert_refused(IN_FOLDER("run", "."), NSAMP_EIO, ".: cannot be read", "folder");
    assert_refused(IN_FOLDER("run", program_path()), 2, "not a ", "job file");
    write_text("empty.ini", "");
    assert_refused(IN_FOLDER("run", "empty.ini"), 2, "empty.ini: no keys", "");
    write_text("twice.ini", "[run]\nseed = 1\nsteps = 5\nseed = 2\n");
    assert_refused(IN_FOLDER("run", "twice.ini"), 2, "twice.ini:4: run.seed is given twice: lines 2 and 4",
                   "");
    write_text("range.ini", "[run]\nchains = 0\n");
    assert_refused(IN_FOLDER("run", "range.ini"), 2, "range.ini:2: run.chains = 0: is out of range",
                   "1 to 2^32");
    write_text("unknown.ini", "[run]\nchain = 5\n");
    assert_refused(IN_FOLDER("run", "unknown.ini"), 2, "unknown.ini:2: unknown key run.chain", "run.chains");
    write_text("a.ini", "[run]\nchains = 5\n");
    assert_refused(IN_FOLDER("run", "a.ini", "a.ini"), 2, "two job files", "");
    assert_int_equal(sweep_folder(), 5);
}

static void test_bad_words(void **state) {
    (void)state;
    assert_refused(IN_FOLDER("run", "run.chains=1e12"), 2, "command line: run.chains = 1e12: is out of range",
                   "2^32");
    assert_refused(IN_FOLDER("run", "chains=5"), 2, "keys are section.key", "run.chains");
    assert_refused(IN_FOLDER("run", "run.chains="), 2, "run.chains = :", "empty");
    assert_refused(IN_FOLDER("run", "run.seed=0x10"), 2, "run.seed = 0x10", "not a number");
    assert_refused(IN_FOLDER("run", "target.dim=10", "target.rho=-0.2"), 2, "target.rho = -0.2", "");
    assert_refused(IN_FOLDER("run", "target.rho=1.5"), 2, "target.rho = 1.5", "from -1 to 1");
    assert_refused(IN_FOLDER("run", "run.steps=10", "run.burn_in=20"), 2, "run.burn_in = 20", "");
    assert_refused(IN_FOLDER("run", "--dyr"), 2, "unknown option --dyr", "--dry");
    assert_int_equal(sweep_folder(), 0);
}

static void test_bad_outputs(void **state) {
    (void)state;
    assert_refused(IN_FOLDER("run", SMALL, "output.file=nowhere/a.nc"), 2, "output.file = nowhere/a.nc",
                   "nowhere");
    assert_refused(IN_FOLDER("run", SMALL, "output.file=."), 2, "output.file = .", "");
    write_text("a.nc", "precious");
    assert_refused(IN_FOLDER("run", SMALL, "output.file=a.nc"), 2, "output.file = a.nc", "output.overwrite");
    char kept[16] = "";
    FILE *f = fopen(in_folder("a.nc"), "r");
    assert_non_null(f);
    assert_int_equal(fread(kept, 1, sizeof kept, f), 8);
    fclose(f);
    assert_memory_equal(kept, "precious", 8);
    assert_int_equal(sweep_folder(), 1);
    write_text("a.nc", "worthless");
    assert_int_equal(IN_FOLDER("run", SMALL, "output.file=a.nc", "output.overwrite=yes", "-q")->code, 0);
    struct stat now;
    assert_int_equal(stat(in_folder("a.nc"), &now), 0);
    assert_true(now.st_size > 1000);
    sweep_folder();
    assert_refused(IN_FOLDER("run", SMALL, "output.status=nowhere/s"), 2, "output.status", "nowhere/s");
}

/* Files that may not grow: what a full disk does to a write. */
static void test_full_disk(void **state) {
    (void)state;
    const program_result *r =
        program_run(&(program){.words = {"run", SMALL, "output.file=a.nc", "record.every=10"},
                               .folder = folder,
                               .file_limit = 2048});
    assert_int_equal(r->code, NSAMP_EIO);
    assert_has(r->err, "nsamp: ");
    assert_false(is_there("a.nc"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_small_run, fresh),
        cmocka_unit_test_setup(test_table_is_right, fresh),
        cmocka_unit_test_setup(test_job_file, fresh),
        cmocka_unit_test_setup(test_quiet_and_dry, fresh),
        cmocka_unit_test_setup(test_sweep, fresh),
        cmocka_unit_test_setup(test_sweep_is_checked_first, fresh),
        cmocka_unit_test_setup(test_divergence, fresh),
        cmocka_unit_test_setup(test_stats_and_plot, fresh),
        cmocka_unit_test_setup(test_train, fresh),
        cmocka_unit_test_setup(test_check, fresh),
        cmocka_unit_test_setup(test_bad_job_files, fresh),
        cmocka_unit_test_setup(test_bad_words, fresh),
        cmocka_unit_test_setup(test_bad_outputs, fresh),
        cmocka_unit_test_setup(test_full_disk, fresh),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sweep_folder();
    rmdir(folder);
    return failed;
}
