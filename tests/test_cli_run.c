/* test_cli_run.c: nsamp run as somebody types it: what it writes and prints, sweeps, stops, and every bad
 * input with its one line and exit code, nothing overwritten and nothing half-written. */
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

static char folder[] = "/tmp/nsamp_test_run_XXXXXX";

static void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%.600s' does not say '%s'", text, part);
}

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
    assert_refused(IN_FOLDER("run", SMALL, "output.status=nowhere/s"), NSAMP_EIO, "output.status",
                   "nowhere/s");
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

/* ---- progress, status, stops ---- */

/* Long enough to be stopped, short enough to be finished by the resumed run; one thread, so that machines
 * differ less. */
#define LONG "run.chains=800", "run.steps=100000", "target.dim=8", "run.threads=1", "output.file=a.nc"

static void test_stop_and_resume(void **state) {
    (void)state;
    const program p = {.words = {"run", LONG, "output.status=s"}, .folder = folder};
    const program_result *r = program_run_signal(&p, in_folder("s"), SIGTERM);
    assert_int_equal(r->code, NSAMP_STOPPED);
    assert_has(r->err, "nsamp: stopped");
    assert_false(is_there("a.nc"));
    assert_true(is_there("a.nc.ckpt"));
    char status[256] = "";
    FILE *f = fopen(in_folder("s"), "r");
    assert_non_null(f);
    assert_true(fread(status, 1, sizeof status - 1, f) > 0);
    fclose(f);
    assert_has(status, "state = stopped\n");
    r = IN_FOLDER("run", LONG, "run.resume=yes");
    assert_int_equal(r->code, 0);
    assert_true(is_there("a.nc"));
    assert_false(is_there("a.nc.ckpt"));
    /* the table, but for its time, is that of a run that was never stopped */
    char resumed[PROGRAM_TEXT];
    strcpy(resumed, r->out);
    r = IN_FOLDER("run", LONG, "output.overwrite=yes");
    char *end1 = strstr(resumed, "100000 steps in"), *end2 = strstr(r->out, "100000 steps in");
    assert_non_null(end1);
    assert_non_null(end2);
    assert_int_equal(end1 - resumed, end2 - r->out);
    assert_memory_equal(resumed, r->out, (size_t)(end1 - resumed));
}

/* x of a file with draws, as the groups of the summary are not needed for it; its length in numbers. */
static float *x_of(const char *name, size_t *n) {
    int file, group, x, dims[3];
    *n = 1;
    assert_int_equal(nc_open(in_folder(name), NC_NOWRITE, &file), 0);
    assert_int_equal(nc_inq_ncid(file, "posterior", &group), 0);
    assert_int_equal(nc_inq_varid(group, "x", &x), 0);
    assert_int_equal(nc_inq_vardimid(group, x, dims), 0);
    for (int i = 0; i < 3; i++) {
        size_t length;
        assert_int_equal(nc_inq_dimlen(group, dims[i], &length), 0);
        *n *= length;
    }
    float *values = malloc(*n * sizeof *values);
    assert_non_null(values);
    assert_int_equal(nc_get_var_float(group, x, values), 0);
    assert_int_equal(nc_close(file), 0);
    return values;
}

/* Killed after a checkpoint: the file with the draws so far can be read, and the run goes on to the same numbers. */
static void test_kill_and_resume(void **state) {
    (void)state;
#define RECORDED LONG, "record.every=100", "record.chains=800"
    const program p = {.words = {"run", RECORDED, "run.checkpoint_every_s=0.05"}, .folder = folder};
    assert_int_equal(program_run_signal(&p, in_folder("a.nc.ckpt"), SIGKILL)->code, 128 + SIGKILL);
    assert_false(is_there("a.nc"));
    size_t n, whole;
    free(x_of("a.nc.draws", &n));
    assert_int_equal(n, 800 * 1000 * 8);
    assert_int_equal(IN_FOLDER("run", RECORDED, "run.resume=yes")->code, 0);
    assert_false(is_there("a.nc.ckpt"));
    assert_false(is_there("a.nc.draws"));
    float *const resumed = x_of("a.nc", &n);
    assert_int_equal(IN_FOLDER("run", RECORDED, "output.overwrite=yes")->code, 0);
    float *const unbroken = x_of("a.nc", &whole);
    assert_int_equal(n, whole);
    assert_memory_equal(resumed, unbroken, n * sizeof *resumed);
    free(resumed);
    free(unbroken);
#undef RECORDED
}

/* The most threads that the program had while it ran. */
static int threads_of(const program *p) {
    char path[64];
    int out[2], err[2], status = 0, most = 0;
    assert_true(!pipe(out) && !pipe(err));
    fflush(NULL);
    const pid_t pid = fork();
    if (!pid) program_exec(p, out, err);
    for (int i = 0; i < 2; i++)
        close(i ? out[1] : err[1]);
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    while (!waitpid(pid, &status, WNOHANG)) {
        DIR *const tasks = opendir(path);
        int n = -2; /* . and .. */
        while (tasks && readdir(tasks))
            n++;
        if (tasks) closedir(tasks);
        if (n > most) most = n;
        usleep(1000);
    }
    close(out[0]);
    close(err[0]);
    assert_true(WIFEXITED(status) && !WEXITSTATUS(status));
    return most;
}

/* run.threads holds for products too, which find their threads themselves. OpenBLAS starts idle ones of its own. */
static void test_threads_of_products(void **state) {
    (void)state;
#define PRODUCTS                                                                                             \
    "run", "system.name=rsn", "system.model=builtin:linear", "target.dim=64", "train.hidden=4096",           \
        "run.path=product", "run.chains=64", "run.steps=200", "-q"
    assert_int_equal(threads_of(&(program){.words = {PRODUCTS, "run.threads=1"},
                                           .folder = folder,
                                           .environment = {"OPENBLAS_NUM_THREADS=1"}}),
                     1);
    assert_int_equal(threads_of(&(program){.words = {PRODUCTS, "run.threads=2"},
                                           .folder = folder,
                                           .environment = {"OPENBLAS_NUM_THREADS=1"}}),
                     2);
#undef PRODUCTS
}

static void test_interrupt(void **state) {
    (void)state;
    const program p = {.words = {"run", LONG, "output.status=s"}, .folder = folder};
    assert_int_equal(program_run_signal(&p, in_folder("s"), SIGINT)->code, NSAMP_STOPPED);
    sweep_folder();
    assert_int_equal(program_run_signal(&p, in_folder("s"), SIGUSR1)->code, NSAMP_STOPPED);
}

/* Ends by itself after 3 s: time for one plain line, or for several rewritings of a terminal's line. */
#define WALLTIME "run.steps=1e9", "run.chains=64", "run.max_walltime_s=3", "run.threads=1", "output.file=a.nc"

static void test_plain_progress(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("run", WALLTIME, "output.status=s");
    assert_int_equal(r->code, NSAMP_STOPPED);
    assert_int_equal(strncmp(r->err, "sample ", 7), 0);
    assert_has(r->err, " chain-steps/s");
    assert_has(r->err, " left\n");
    assert_null(strchr(r->err, '\r'));
    assert_null(strchr(r->err, '\033'));
    assert_true(is_there("s"));
    assert_false(is_there("s.part"));
    r = IN_FOLDER("run", WALLTIME, "run.resume=yes", "--quiet");
    assert_int_equal(r->code, NSAMP_STOPPED);
    assert_int_equal(strncmp(r->err, "nsamp: stopped", 14), 0);
}

static void test_terminal_progress(void **state) {
    (void)state;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    const program p = {.words = {"run", WALLTIME}, .folder = folder, .terminal = slave};
    assert_int_equal(program_run(&p)->code, NSAMP_STOPPED);
    char text[4096];
    ssize_t n = read(master, text, sizeof text - 1);
    assert_true(n > 0);
    text[n] = 0;
    close(slave);
    close(master);
    assert_has(text, "\rsample ");
    /* the line is wiped before the last word, which is the only one that ends a line */
    const char *end = strstr(text, "nsamp: stopped");
    assert_non_null(end);
    assert_ptr_equal(strchr(text, '\n'), end + strcspn(end, "\r\n") + 1);
    assert_true(end[-1] == '\r');
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
        cmocka_unit_test_setup(test_stop_and_resume, fresh),
        cmocka_unit_test_setup(test_kill_and_resume, fresh),
        cmocka_unit_test_setup(test_threads_of_products, fresh),
        cmocka_unit_test_setup(test_interrupt, fresh),
        cmocka_unit_test_setup(test_plain_progress, fresh),
        cmocka_unit_test_setup(test_terminal_progress, fresh),
    };
    if (!mkdtemp(folder)) return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    sweep_folder();
    rmdir(folder);
    return failed;
}
