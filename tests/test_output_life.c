/* test_output_life.c: what happens to the files of runs that meet, are started twice, lose their files or their streams, or
 * fail at the very end. Every run here is the program itself; what it leaves is compared with an unbroken run. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "nsamp.h"
#include "program.h"
#include "says.h"
#include "scratch.h"
#include "stored_draws.h"

/* Long enough to be met, short enough to be finished. */
#define SMALL    "run.chains=200", "run.steps=200000", "target.dim=8", "run.threads=1"
#define RECORDED SMALL, "record.every=2000", "record.chains=200"
#define SOON     "run.checkpoint_every_s=0.02"
/* Well beyond the half second after which a run first looks at the clock. */
#define LONGER                                                                                               \
    "run.chains=200", "run.steps=1000000", "target.dim=8", "run.threads=1", "record.every=10000",            \
        "record.chains=200"
/* Never finished: it is there to be met. */
#define ENDLESS "run.chains=200", "run.steps=1e12", "target.dim=8", "run.threads=1", SOON

static bool is_there(const char *name) {
    struct stat st;
    return !lstat(scratch(name), &st);
}

static int fresh(void **state) {
    (void)state;
    scratch_clear();
    return 0;
}

static const program_result *run_here(const program *p) {
    program here = *p;
    here.folder = scratch_folder;
    return program_run(&here);
}
#define RUN(...) run_here(&(program){.words = {"run", __VA_ARGS__}})

static void assert_ends(const program_result *r, int code, const char *words) {
    if (r->code != code) fail_msg("exit code %d, expected %d: %s%s", r->code, code, r->out, r->err);
    if (!strstr(r->err, words)) fail_msg("'%s' does not say '%s'", r->err, words);
}

static void assert_draws_are_those_of(const char *name, const char *other) {
    size_t n, m;
    float *a = stored_draws(scratch(name), &n), *b = stored_draws(scratch(other), &m);
    assert_int_equal(n, m);
    assert_memory_equal(a, b, n * sizeof *a);
    free(a);
    free(b);
}

/* A run in the background, stopped (SIGSTOP) as soon as the file is there. */
static pid_t meet(const char *const *words, const char *wait_for) {
    program p = {.folder = scratch_folder};
    memcpy(p.words, words, 16 * sizeof *words);
    program_path(); /* while it still is where we are */
    int out[2], err[2];
    assert_true(!pipe(out) && !pipe(err));
    fflush(NULL);
    const pid_t pid = fork();
    if (!pid) program_exec(&p, out, err);
    for (int i = 0; i < 2; i++) { /* what it says is lost: nothing waits for a reader */
        close(out[i]);
        close(err[i]);
    }
    for (int i = 0; i < 12000 && access(scratch(wait_for), F_OK); i++)
        usleep(5000);
    kill(pid, SIGSTOP);
    assert_true(is_there(wait_for));
    return pid;
}
#define MEET(wait_for, ...) meet((const char *const[16]){"run", __VA_ARGS__}, wait_for)

static int end(pid_t pid, int number) {
    int status = 0;
    if (number) kill(pid, number);
    kill(pid, SIGCONT);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* The second run with one output, one checkpoint or one model is told who has it, and changes nothing. */
static void two_runs_that_meet(void **state) {
    (void)state;
    char holder[64];
    pid_t pid = MEET("a.nc.ckpt", ENDLESS, "record.every=1e9", "output.file=a.nc");
    snprintf(holder, sizeof holder, "by process %ld on ", (long)pid);
    assert_ends(RUN(SMALL, "output.file=a.nc"), NSAMP_EUSAGE, holder);
    assert_ends(RUN(SMALL, "output.file=./a.nc", "output.overwrite=yes"), NSAMP_EUSAGE, holder);
    assert_ends(RUN(SMALL, "output.file=a.nc", "run.resume=yes"), NSAMP_EUSAGE, holder);
    assert_ends(RUN(SMALL, "output.file=b.nc", "run.checkpoint=a.nc.ckpt"), NSAMP_EUSAGE, holder);
    assert_ends(RUN(SMALL, "run.checkpoint=a.nc.ckpt", "output.overwrite=yes"), NSAMP_EUSAGE, holder);
    assert_true(is_there("a.nc.draws"));
    assert_false(is_there("b.nc"));
    assert_false(is_there("b.nc.lock"));
    assert_int_equal(end(pid, SIGTERM), NSAMP_STOPPED);
    assert_false(is_there("a.nc.lock"));
    assert_false(is_there("a.nc.ckpt.lock"));
    /* a lock that was left by kill -9 is no obstacle */
    pid = MEET("k.nc.ckpt", ENDLESS, "output.file=k.nc");
    assert_int_equal(end(pid, SIGKILL), 128 + SIGKILL);
    assert_true(is_there("k.nc.lock"));
    assert_ends(RUN(SMALL, "output.file=k.nc", "output.overwrite=yes"), 0, "begins anew");
    assert_false(is_there("k.nc.lock"));
}

#define TRAIN                                                                                                \
    "target.name=mixture", "target.dim=1", "train.hidden=16", "train.sigmas=0.5", "train.draws=1000",        \
        "data.held_out=100", "model.file=m.nc"

static const program_result *train(const char *more, const char *more2) {
    return run_here(&(program){.words = {"train", TRAIN, more, more2, NULL}});
}

static void two_trainings_that_meet(void **state) {
    (void)state;
    char holder[64];
    const char *const words[16] = {"train", TRAIN, "train.epochs=1e6", "train.checkpoint_every_s=0.02"};
    const pid_t pid = meet(words, "m.nc.ckpt");
    snprintf(holder, sizeof holder, "by process %ld on ", (long)pid);
    assert_ends(train("train.epochs=1", "model.overwrite=yes"), NSAMP_EUSAGE, holder);
    assert_int_equal(end(pid, SIGTERM), NSAMP_STOPPED);
    assert_false(is_there("m.nc.lock"));
    assert_ends(train("train.epochs=1", NULL), NSAMP_EUSAGE, "train.resume = yes goes on from it");
    assert_ends(train("train.epochs=1", "train.resume=yes"), NSAMP_EUSAGE,
                "another job: train.epochs is 1000000 there, 1 here");
    assert_ends(train("train.epochs=1", "model.overwrite=yes"), 0, "begins anew");
}

/* A model that came meanwhile stays, and the training is not lost. */
static void write_theirs(pid_t pid, void *name) {
    (void)pid;
    scratch_write(scratch(name), "theirs", 6);
}

static void assert_theirs(const char *name) {
    size_t bytes;
    unsigned char *data = scratch_read(scratch(name), &bytes);
    assert_int_equal(bytes, 6);
    assert_memory_equal(data, "theirs", 6);
    free(data);
}

static void a_model_that_appeared(void **state) {
    (void)state;
    const program p = {.words = {"train", TRAIN, "train.epochs=200", "train.checkpoint_every_s=0.02"},
                       .folder = scratch_folder};
    assert_ends(program_run_while(&p, scratch("m.nc.ckpt"), write_theirs, "m.nc"), NSAMP_EUSAGE,
                "train.resume = yes writes the model");
    assert_theirs("m.nc");
    assert_ends(train("train.epochs=200", "train.resume=yes"), NSAMP_EUSAGE, "exists already");
    assert_int_equal(rename(scratch("m.nc"), scratch("theirs")), 0);
    assert_ends(train("train.epochs=200", "train.resume=yes"), 0, "goes on from batch");
    size_t n, m;
    unsigned char *resumed = scratch_read(scratch("m.nc"), &n);
    assert_ends(train("train.epochs=200", "model.overwrite=yes"), 0, "");
    unsigned char *unbroken = scratch_read(scratch("m.nc"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(resumed, unbroken, n);
    free(resumed);
    free(unbroken);
}

/* A checkpoint in the way of a run that is not to go on from it is said, and kept unless the job says otherwise. */
static void a_run_started_twice(void **state) {
    (void)state;
    assert_int_equal(end(MEET("a.nc.ckpt", ENDLESS, "output.file=a.nc"), SIGTERM), NSAMP_STOPPED);
    assert_ends(RUN(ENDLESS, "output.file=a.nc"), NSAMP_EUSAGE, "run.resume = yes goes on from it");
    assert_ends(RUN(ENDLESS, "output.file=a.nc", "run.resume=yes", "run.max_walltime_s=0.1"), NSAMP_STOPPED,
                "goes on from step ");
    assert_ends(RUN(ENDLESS, "output.file=a.nc", "run.resume=yes", "run.seed=2"), NSAMP_EUSAGE,
                "another job: run.seed is 1 there, 2 here");
    assert_ends(RUN(ENDLESS, "output.file=b.nc", "run.checkpoint=a.nc.ckpt", "run.resume=yes"), NSAMP_EUSAGE,
                "another job: output.file is a.nc there, b.nc here");
    assert_ends(RUN(SMALL, "output.file=a.nc", "output.overwrite=yes"), 0, "begins anew");
    assert_ends(RUN(SMALL, "output.file=c.nc", "run.resume=yes"), 0, "begins at the first step");
}

/* Draws of another run, a link to draws, or none: the checkpoint does not go on with them. */
static void draws_of_another_run(void **state) {
    (void)state;
    static const char *const names[] = {"output.file=a.nc", "output.file=b.nc"};
    for (int i = 0; i < 2; i++)
        assert_ends(RUN(LONGER, SOON, names[i], "run.max_walltime_s=0.01"), NSAMP_STOPPED, "run.resume=yes");
    assert_int_equal(rename(scratch("a.nc.draws"), scratch("mine")), 0);
    assert_int_equal(rename(scratch("b.nc.draws"), scratch("a.nc.draws")), 0);
    size_t n, m;
    unsigned char *before = scratch_read(scratch("a.nc.draws"), &n);
    assert_ends(RUN(LONGER, SOON, names[0], "run.resume=yes"), NSAMP_EUSAGE, "are of another run");
    unsigned char *after = scratch_read(scratch("a.nc.draws"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(before, after, n);
    free(before);
    free(after);
    unlink(scratch("a.nc.draws"));
    assert_ends(RUN(LONGER, SOON, names[0], "run.resume=yes"), NSAMP_EIO, "cannot be opened");
    assert_int_equal(symlink("mine", scratch("a.nc.draws")), 0);
    assert_ends(RUN(LONGER, SOON, names[0], "run.resume=yes"), NSAMP_EIO, "symbolic link");
    unlink(scratch("a.nc.draws"));
    assert_int_equal(rename(scratch("mine"), scratch("a.nc.draws")), 0);
    assert_ends(RUN(LONGER, SOON, names[0], "run.resume=yes"), 0, "goes on from step");
    assert_ends(RUN(LONGER, "output.file=whole.nc"), 0, "");
    assert_draws_are_those_of("a.nc", "whole.nc");
}

static void remove_draws(pid_t pid, void *name) {
    (void)pid;
    unlink(scratch(name));
}

static void replace_draws(pid_t pid, void *name) {
    unlink(scratch(name));
    write_theirs(pid, name);
}

/* Somebody removes the draws of a run: they are made again from what the run still has open. Somebody puts another file in
 * their place: that file is not touched. */
static void draws_that_vanish(void **state) {
    (void)state;
    program p = {.words = {"run", RECORDED, SOON, "output.file=a.nc"}, .folder = scratch_folder};
    assert_ends(program_run_while(&p, scratch("a.nc.ckpt"), remove_draws, "a.nc.draws"), 0, "");
    assert_ends(RUN(RECORDED, "output.file=whole.nc"), 0, "");
    assert_draws_are_those_of("a.nc", "whole.nc");
    scratch_clear();
    const program_result *r = program_run_while(&p, scratch("a.nc.ckpt"), replace_draws, "a.nc.draws");
    assert_ends(r, NSAMP_EIO, "was replaced by another file");
    assert_theirs("a.nc.draws");
    assert_false(is_there("a.nc"));
}

/* A name that appeared during the run is kept, the summary is printed, and the run can be finished. */
static void an_output_that_appeared(void **state) {
    (void)state;
    program p = {.words = {"run", RECORDED, SOON, "output.file=a.nc"}, .folder = scratch_folder};
    const program_result *r = program_run_while(&p, scratch("a.nc.ckpt"), write_theirs, "a.nc");
    assert_ends(r, NSAMP_EUSAGE, "run.resume = yes writes the output");
    assert_true(strstr(r->out, "mean, average of 8") && !strstr(r->out, "wrote"));
    assert_theirs("a.nc");
    assert_true(is_there("a.nc.draws") && is_there("a.nc.ckpt"));
    assert_ends(RUN(RECORDED, SOON, "output.file=a.nc", "run.resume=yes", "output.overwrite=yes"), 0,
                "goes on from step 200000 of 200000");
    assert_ends(RUN(RECORDED, "output.file=whole.nc"), 0, "");
    assert_draws_are_those_of("a.nc", "whole.nc");
    assert_false(is_there("a.nc.ckpt"));
    assert_false(is_there("a.nc.draws"));
}

/* A reader holds the draws with the lock that HDF5 would take. */
static void lock_draws(pid_t pid, void *fd) {
    (void)pid;
    *(int *)fd = open(scratch("a.nc.draws"), O_RDONLY);
    assert_int_equal(flock(*(int *)fd, LOCK_EX | LOCK_NB), 0);
}

static void a_reader_of_the_draws(void **state) {
    (void)state;
    int fd = -1;
    const program p = {.words = {"run", RECORDED, SOON, "output.file=a.nc"}, .folder = scratch_folder};
    assert_ends(program_run_while(&p, scratch("a.nc.ckpt"), lock_draws, &fd), 0, "");
    assert_true(fd >= 0);
    close(fd);
}

/* Started without its standard streams, a run writes nothing of what it says into its files. */
static void closed_streams(void **state) {
    (void)state;
    program p = {.words = {"run", RECORDED, SOON, "output.file=a.nc", "output.status=s"},
                 .folder = scratch_folder,
                 .closed = true};
    assert_int_equal(program_run(&p)->code, NSAMP_EIO); /* the table could not be printed */
    assert_ends(RUN(RECORDED, "output.file=whole.nc"), 0, "");
    assert_draws_are_those_of("a.nc", "whole.nc");
}

/* What batch systems send before they kill. */
static void signals(void **state) {
    (void)state;
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const program p = {.words = {"run", ENDLESS, "output.file=a.nc", "output.overwrite=yes"},
                           .folder = scratch_folder};
        const program_result *r = program_run_signal(&p, scratch("a.nc.ckpt"), numbers[i]);
        assert_ends(r, NSAMP_STOPPED, "run.resume=yes goes on from there");
        assert_true(is_there("a.nc.ckpt"));
        scratch_clear();
    }
    const program p = {.words = {"run", SMALL, SOON, "output.file=a.nc"}, /* nohup */
                       .folder = scratch_folder,
                       .ignored = SIGHUP};
    assert_ends(program_run_signal(&p, scratch("a.nc.ckpt"), SIGHUP), 0, "");
}

static mode_t mode_of(const char *name) {
    struct stat st;
    assert_int_equal(lstat(scratch(name), &st), 0);
    return st.st_mode & 07777;
}

/* What replaces a file keeps its permissions. */
static void modes(void **state) {
    (void)state;
    const mode_t before = umask(022);
    static const char *const names[] = {"a.nc", "s", "m.nc"};
    for (int i = 0; i < 3; i++) {
        scratch_write(scratch(names[i]), "old", 3);
        assert_int_equal(chmod(scratch(names[i]), i == 1 ? 0640 : 0600), 0);
    }
    assert_ends(RUN(SMALL, "output.file=a.nc", "output.overwrite=yes", "output.status=s"), 0, "");
    assert_ends(train("train.epochs=1", "model.overwrite=yes"), 0, "");
    assert_int_equal(mode_of("a.nc"), 0600);
    assert_int_equal(mode_of("s"), 0640);
    assert_int_equal(mode_of("m.nc"), 0600);
    assert_ends(RUN(RECORDED, "output.file=a.nc", "output.overwrite=yes"), 0, "");
    assert_int_equal(mode_of("a.nc"), 0600);
    umask(before);
}

/* Links, pipes and folders in the place of what a run writes are refused before it begins, and left as they are. */
static void special_files(void **state) {
    (void)state;
    static const char *const keys[] = {"output.file", "output.status", "run.checkpoint"};
    for (int i = 0; i < 3; i++)
        for (int kind = 0; kind < 3; kind++) {
            char word[64];
            struct stat was, is;
            scratch_clear();
            scratch_write(scratch("target"), "theirs", 6);
            if (kind == 0) assert_int_equal(symlink("target", scratch("x")), 0);
            if (kind == 1) assert_int_equal(mkfifo(scratch("x"), 0600), 0);
            if (kind == 2) assert_int_equal(symlink("nowhere", scratch("x")), 0);
            assert_int_equal(lstat(scratch("x"), &was), 0);
            snprintf(word, sizeof word, "%s=x", keys[i]);
            const program_result *r = RUN(SMALL, word, "output.overwrite=yes");
            assert_ends(r, NSAMP_EUSAGE,
                        kind == 0   ? "is a symbolic link"
                        : kind == 1 ? "is not a plain file"
                                    : "is a link that leads nowhere");
            assert_null(strstr(r->out, "mean"));
            assert_int_equal(lstat(scratch("x"), &is), 0);
            assert_true(was.st_ino == is.st_ino && was.st_mode == is.st_mode);
            assert_theirs("target");
            assert_int_equal(scratch_count(NULL), 2);
        }
}

#define TEST(name) cmocka_unit_test_setup(name, fresh)

int main(void) {
    const struct CMUnitTest tests[] = {TEST(two_runs_that_meet),
                                       TEST(two_trainings_that_meet),
                                       TEST(a_model_that_appeared),
                                       TEST(a_run_started_twice),
                                       TEST(draws_of_another_run),
                                       TEST(draws_that_vanish),
                                       TEST(an_output_that_appeared),
                                       TEST(a_reader_of_the_draws),
                                       TEST(closed_streams),
                                       TEST(signals),
                                       TEST(modes),
                                       TEST(special_files)};
    return cmocka_run_group_tests_name("output_life", tests, scratch_open, scratch_close);
}
