/* test_cli_stop.c: nsamp run while it runs: progress, the status file, threads, stops by signal, by wall time and by force,
 * and what a resumed run makes of them. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <cmocka.h>
#include "nsamp.h"
#include "program.h"
#include "says.h"
#include "scratch.h"
#include "stored_draws.h"

#define IN_FOLDER(...) program_run(&(program){.words = {__VA_ARGS__}, .folder = scratch_folder})

static bool is_there(const char *name) {
    return !access(scratch(name), F_OK);
}

static int fresh(void **state) {
    (void)state;
    scratch_clear();
    return 0;
}

/* Long enough to be stopped, short enough to be finished by the resumed run; one thread, so that machines
 * differ less. */
#define LONG "run.chains=800", "run.steps=600000", "target.dim=8", "run.threads=1", "output.file=a.nc"

static void test_stop_and_resume(void **state) {
    (void)state;
    const program p = {.words = {"run", LONG, "output.status=s"}, .folder = scratch_folder};
    const program_result *r = program_run_signal(&p, scratch("s"), SIGTERM);
    assert_int_equal(r->code, NSAMP_STOPPED);
    assert_has(r->err, "nsamp: stopped");
    assert_false(is_there("a.nc"));
    assert_true(is_there("a.nc.ckpt"));
    char status[256] = "";
    FILE *f = fopen(scratch("s"), "r");
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
    char *end1 = strstr(resumed, "600000 steps in"), *end2 = strstr(r->out, "600000 steps in");
    assert_non_null(end1);
    assert_non_null(end2);
    assert_int_equal(end1 - resumed, end2 - r->out);
    assert_memory_equal(resumed, r->out, (size_t)(end1 - resumed));
}

/* Killed after a checkpoint: the file with the draws so far can be read, and the run goes on to the same numbers. */
static void test_kill_and_resume(void **state) {
    (void)state;
#define RECORDED LONG, "record.every=600", "record.chains=800"
    const program p = {.words = {"run", RECORDED, "run.checkpoint_every_s=0.05"}, .folder = scratch_folder};
    assert_int_equal(program_run_signal(&p, scratch("a.nc.ckpt"), SIGKILL)->code, 128 + SIGKILL);
    assert_false(is_there("a.nc"));
    size_t n, whole;
    free(stored_draws(scratch("a.nc.draws"), &n));
    assert_int_equal(n, 800 * 1000 * 8);
    assert_int_equal(IN_FOLDER("run", RECORDED, "run.resume=yes")->code, 0);
    assert_false(is_there("a.nc.ckpt"));
    assert_false(is_there("a.nc.draws"));
    float *const resumed = stored_draws(scratch("a.nc"), &n);
    assert_int_equal(IN_FOLDER("run", RECORDED, "output.overwrite=yes")->code, 0);
    float *const unbroken = stored_draws(scratch("a.nc"), &whole);
    assert_int_equal(n, whole);
    assert_memory_equal(resumed, unbroken, n * sizeof *resumed);
    free(resumed);
    free(unbroken);
#undef RECORDED
}

/* The most threads that the program had while it ran, in five looks one after the other: it starts some for a moment to see
 * whether it may. */
static int threads_of(const program *p) {
    char path[64];
    int out[2], err[2], status = 0, most = 0, last[4] = {0};
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
        int least = n;
        for (int i = 0; i < 4; i++) {
            if (last[i] < least) least = last[i];
            last[i] = i < 3 ? last[i + 1] : n;
        }
        if (least > most) most = least;
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
                                           .folder = scratch_folder,
                                           .environment = {"OPENBLAS_NUM_THREADS=1"}}),
                     1);
    assert_int_equal(threads_of(&(program){.words = {PRODUCTS, "run.threads=2"},
                                           .folder = scratch_folder,
                                           .environment = {"OPENBLAS_NUM_THREADS=1"}}),
                     2);
#undef PRODUCTS
}

static void test_interrupt(void **state) {
    (void)state;
    const program p = {.words = {"run", LONG, "output.status=s"}, .folder = scratch_folder};
    assert_int_equal(program_run_signal(&p, scratch("s"), SIGINT)->code, NSAMP_STOPPED);
    scratch_clear();
    assert_int_equal(program_run_signal(&p, scratch("s"), SIGUSR1)->code, NSAMP_STOPPED);
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
    const program p = {.words = {"run", WALLTIME}, .folder = scratch_folder, .terminal = slave};
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
        cmocka_unit_test_setup(test_stop_and_resume, fresh),
        cmocka_unit_test_setup(test_kill_and_resume, fresh),
        cmocka_unit_test_setup(test_threads_of_products, fresh),
        cmocka_unit_test_setup(test_interrupt, fresh),
        cmocka_unit_test_setup(test_plain_progress, fresh),
        cmocka_unit_test_setup(test_terminal_progress, fresh),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
