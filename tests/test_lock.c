/* test_lock.c: one process holds a lock; those of dead processes are taken over, with flock() and where a file system has
 * none; of several that want one at once, one gets it. Runs that meet are in test_output_life.c. */
#define _DEFAULT_SOURCE /* syscall */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "io/lock.h"
#include "scratch.h"

/* The library's flock: the system's, or that of a file system without locks. */
static bool no_flock;
int flock(int fd, int operation);
int flock(int fd, int operation) {
    if (no_flock) {
        errno = ENOLCK;
        return -1;
    }
    return (int)syscall(SYS_flock, fd, operation);
}

static nsamp_lock *must_take(void) {
    nsamp_error err = {0};
    nsamp_lock *lock = NULL;
    if (nsamp_lock_take(scratch("a.nc"), &lock, &err)) fail_msg("%s", err.text);
    assert_non_null(lock);
    return lock;
}

static void must_not_take(nsamp_status expected, const char *words) {
    nsamp_error err = {0};
    nsamp_lock *lock = NULL;
    assert_int_equal(nsamp_lock_take(scratch("a.nc"), &lock, &err), expected);
    assert_null(lock);
    if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
}

static void one_at_a_time(void **state) {
    (void)state;
    char words[64];
    snprintf(words, sizeof words, "by process %ld on ", (long)getpid());
    for (int without = 0; without < 2; without++) {
        no_flock = without != 0;
        nsamp_lock *lock = must_take();
        must_not_take(NSAMP_EUSAGE, words);
        assert_int_equal(nsamp_lock_check(lock, NULL), NSAMP_OK);
        nsamp_lock_release(lock);
        assert_int_equal(scratch_count(NULL), 0);
        nsamp_lock_release(must_take());
    }
}

/* A process that is killed leaves its lock behind. */
static void the_dead_hold_nothing(void **state) {
    (void)state;
    for (int without = 0; without < 2; without++) {
        no_flock = without != 0;
        const pid_t child = fork();
        if (!child) {
            nsamp_lock *lock = NULL;
            _exit(nsamp_lock_take(scratch("a.nc"), &lock, NULL) != NSAMP_OK);
        }
        int status = -1;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(scratch_count(NULL), 1);
        nsamp_lock_release(must_take());
        assert_int_equal(scratch_count(NULL), 0);
    }
}

/* The text of a lock of this process, with one line replaced ("pid = ", "pid = 1\n"). */
static void write_lock(const char *line, const char *instead) {
    nsamp_lock *lock = must_take();
    size_t bytes;
    char *text = (char *)scratch_read(scratch("a.nc.lock"), &bytes), made[2048];
    nsamp_lock_release(lock);
    text[bytes] = 0;
    char *at = strstr(text, line);
    assert_non_null(at);
    snprintf(made, sizeof made, "%.*s%s%s", (int)(at - text), text, instead, strchr(at, '\n') + 1);
    scratch_write(scratch("a.nc.lock"), made, strlen(made));
    free(text);
}

static void age(const char *path, long seconds) {
    const struct timespec then[2] = {{.tv_sec = time(NULL) - seconds}, {.tv_sec = time(NULL) - seconds}};
    assert_int_equal(utimensat(AT_FDCWD, path, then, 0), 0);
}

/* Where flock says nothing, process numbers and their start decide; of other machines, signs of life. */
static void signs_of_life(void **state) {
    (void)state;
    no_flock = true;
    write_lock("start = ", "start = 1\n"); /* our number, but of a process before us */
    nsamp_lock_release(must_take());
    write_lock("flock = ", "flock = no\n"); /* ourselves */
    must_not_take(NSAMP_EUSAGE, "is being written by process");
    unlink(scratch("a.nc.lock"));
    for (int without = 0; without < 2; without++) {
        no_flock = without != 0;
        write_lock("boot = ", "boot = another machine\n");
        must_not_take(NSAMP_EUSAGE, "where that run is no more, remove");
        age(scratch("a.nc.lock"), NSAMP_LOCK_STALE_S - 60);
        must_not_take(NSAMP_EUSAGE, "where that run is no more, remove");
        age(scratch("a.nc.lock"), NSAMP_LOCK_STALE_S + 60);
        nsamp_lock_release(must_take());
    }
    no_flock = false; /* a holder with flock on this machine would still have it */
    write_lock("since = ", "since = then\n");
    nsamp_lock_release(must_take());
}

/* What is no lock is not taken for one; half of one is left by a process that died while it wrote. */
static void other_things(void **state) {
    (void)state;
    no_flock = false;
    assert_int_equal(mkdir(scratch("a.nc.lock"), 0755), 0);
    must_not_take(NSAMP_EIO, "a.nc.lock");
    assert_int_equal(rmdir(scratch("a.nc.lock")), 0);
    assert_int_equal(symlink("elsewhere", scratch("a.nc.lock")), 0);
    must_not_take(NSAMP_EIO, "is not a plain file");
    unlink(scratch("a.nc.lock"));
    assert_int_equal(mkfifo(scratch("a.nc.lock"), 0644), 0);
    must_not_take(NSAMP_EIO, "is not a plain file");
    unlink(scratch("a.nc.lock"));
    scratch_write(scratch("a.nc.lock"), "nsamp lock 1\nhost = x\n", 22);
    age(scratch("a.nc.lock"), 60);
    nsamp_lock_release(must_take());
    nsamp_lock *lock = NULL;
    nsamp_error err = {0};
    assert_int_equal(nsamp_lock_take(scratch("no/folder"), &lock, &err), NSAMP_EIO);
    assert_int_equal(scratch_count(NULL), 0);
}

/* A holder learns that it was taken for dead; a lock that was only removed is no reason to lose a run. */
static void a_lost_lock(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_lock *lock = must_take();
    unlink(scratch("a.nc.lock"));
    assert_int_equal(nsamp_lock_check(lock, &err), NSAMP_OK);
    nsamp_lock *other = must_take();
    assert_int_equal(nsamp_lock_check(lock, &err), NSAMP_EIO);
    assert_non_null(strstr(err.text, "was taken over by process"));
    nsamp_lock_release(lock); /* and leaves the other's */
    assert_int_equal(scratch_count(NULL), 1);
    assert_int_equal(nsamp_lock_check(other, &err), NSAMP_OK);
    nsamp_lock_release(other);
}

/* Several processes find the lock of a dead one at the same moment. */
static void a_race(void **state) {
    (void)state;
    enum { RIVALS = 6, ROUNDS = 10 };
    for (int round = 0; round < ROUNDS; round++) {
        no_flock = round % 2 != 0;
        write_lock("pid = ", "pid = 4194304\n"); /* beyond every process number */
        int gate[2], done[2], tried[2], won = 0;
        assert_true(!pipe(gate) && !pipe(done) && !pipe(tried));
        for (int i = 0; i < RIVALS; i++)
            if (!fork()) {
                char c;
                nsamp_lock *lock = NULL;
                close(gate[1]);
                close(done[1]);
                (void)!read(gate[0], &c, 1);
                const nsamp_status status = nsamp_lock_take(scratch("a.nc"), &lock, NULL);
                (void)!write(tried[1], "t", 1);
                (void)!read(done[0], &c, 1); /* held until all have tried */
                _exit(status == NSAMP_OK ? 1 : status == NSAMP_EUSAGE ? 0 : 2);
            }
        close(gate[1]);
        for (int i = 0; i < RIVALS; i++) {
            char c;
            assert_int_equal(read(tried[0], &c, 1), 1);
        }
        close(done[1]);
        for (int i = 0; i < RIVALS; i++) {
            int status;
            assert_true(wait(&status) > 0 && WIFEXITED(status));
            assert_true(WEXITSTATUS(status) < 2);
            won += WEXITSTATUS(status);
        }
        close(gate[0]);
        close(done[0]);
        close(tried[0]);
        close(tried[1]);
        assert_int_equal(won, 1);
        nsamp_lock_release(must_take());
        assert_int_equal(scratch_count(NULL), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time), cmocka_unit_test(the_dead_hold_nothing),
        cmocka_unit_test(signs_of_life), cmocka_unit_test(other_things),
        cmocka_unit_test(a_lost_lock),   cmocka_unit_test(a_race)};
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
