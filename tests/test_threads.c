/* test_threads.c: where the system starts no more threads, a run and a training take those that there are
 * and say so; none ends the process or names a defect. The limit is a pthread_create of this test's, and the
 * system's own limit for another user. */
#define _GNU_SOURCE /* RTLD_NEXT, setgroups */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <omp.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nsamp.h"
#include "scratch.h"
#include "threads.h"

/* ---- a limit of this test's
 * ------------------------------------------------------------------------------------ */

static _Atomic int there, most = 1000; /* threads beside the first */

typedef struct begin {
    void *(*routine)(void *);
    void *arg;
} begin;

static void leave(void *arg) {
    (void)arg;
    there--;
}

static void *counted(void *p) {
    const begin b = *(begin *)p;
    void *result;
    free(p);
    pthread_cleanup_push(leave, NULL);
    result = b.routine(b.arg);
    pthread_cleanup_pop(1);
    return result;
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg) {
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    create *real;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (there >= most) return EAGAIN;
    begin *const b = malloc(sizeof *b);
    if (!b) return EAGAIN;
    *b = (begin){routine, arg};
    there++;
    return real(thread, attr, counted, b);
}

static nsamp_job *job_of(const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_job *const job = nsamp_job_create();
    for (; *pairs; pairs += 2)
        if (nsamp_job_set(job, pairs[0], pairs[1], &err)) fail_msg("%s", err.text);
    return job;
}

#define RUN                                                                                                  \
    "system.name", "langevin", "target.dim", "2", "run.chains", "640", "run.steps", "100", "run.burn_in",    \
        "0", "run.backend", "cpu"

/* -> the status of the run; its plan says `words`. */
static nsamp_status run(const char *const *pairs, const char *words, nsamp_error *err) {
    nsamp_job *const job = job_of(pairs);
    nsamp_plan *plan;
    if (nsamp_plan_create(job, &plan, err)) fail_msg("%s", err->text);
    nsamp_job_destroy(job);
    if (!strstr(nsamp_plan_text(plan), words))
        fail_msg("'%s' does not say '%s'", nsamp_plan_text(plan), words);
    const nsamp_status status = nsamp_plan_run(plan, NULL, NULL, err);
    nsamp_plan_destroy(plan);
    return status;
}

static void as_many_as_can_be_started(void **state) {
    (void)state;
    assert_int_equal(nsamp_threads_of(1), 1);
    most = there + 3;
    assert_int_equal(nsamp_threads_try(2), 2);
    assert_int_equal(nsamp_threads_try(9), 3);
    assert_int_equal(nsamp_threads_of(9), 3); /* the caller and two, and room for one that writes */
    assert_int_equal(nsamp_threads_of(3), 3);
    most = there;
    assert_int_equal(nsamp_threads_try(1), 0);
    most = 1000;
}

static void a_run_takes_fewer_and_says_so(void **state) {
    (void)state;
    nsamp_error err = {0};
    most = there + 3;
    assert_int_equal(run((const char *const[]){RUN, "run.threads", "8", NULL},
                         "3 threads, 3 of the 8 threads asked for: no more can be started", &err),
                     NSAMP_OK);
    const int before = omp_get_max_threads();
    omp_set_num_threads(7); /* run.threads = 0 */
    assert_int_equal(run((const char *const[]){RUN, NULL}, "no more can be started", &err), NSAMP_OK);
    assert_int_equal(omp_get_max_threads(), 7); /* as it was */
    omp_set_num_threads(before);
    most = 1000;
}

static void a_training_takes_fewer(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *const job = job_of((const char *const[]){"target.name",
                                                        "gaussian",
                                                        "target.file",
                                                        "builtin:decay",
                                                        "target.dim",
                                                        "3",
                                                        "train.draws",
                                                        "500",
                                                        "train.hidden",
                                                        "20",
                                                        "train.batch",
                                                        "50",
                                                        "train.epochs",
                                                        "1",
                                                        "train.sigmas",
                                                        "0.2",
                                                        "run.backend",
                                                        "cpu",
                                                        "run.threads",
                                                        "9",
                                                        "model.file",
                                                        scratch("model.nc"),
                                                        NULL});
    most = there + 1;
    const nsamp_status status = nsamp_train(job, NULL, NULL, &err);
    most = 1000;
    if (status) fail_msg("%s", err.text);
    nsamp_job_destroy(job);
}

static void no_thread_to_write_is_no_defect(void **state) {
    (void)state;
    nsamp_error err = {0};
    most = there; /* beside those that earlier runs left */
    const nsamp_status status = run((const char *const[]){RUN, "run.threads", "1", "record.every", "10",
                                                          "output.file", scratch("draws.nc"), NULL},
                                    "1 thread", &err);
    most = 1000;
    assert_int_equal(status, NSAMP_ENOMEM);
    assert_non_null(strstr(err.text, "no thread can be started to write the recorded draws"));
    assert_non_null(strstr(err.text, "run.threads"));
}

/* ---- the system's own limit, which does not hold for root
 * ------------------------------------------------------ */

/* Runs nsamp as a user of its own who may have `limit` threads -> exit code, or 128 + signal; -1: that
 * cannot be done here. */
static int run_limited(unsigned limit, const char *const *words, char *text, size_t size) {
    enum { USER = 61847 }; /* nobody's */
    int out[2];
    if (geteuid() != 0 || pipe(out)) return -1;
    char path[4096];
    const char *const named = getenv("NSAMP_BIN");
    if (!realpath(named && *named ? named : "build/nsamp", path)) return -1;
    const pid_t child = fork();
    if (child == 0) {
        const struct rlimit most_threads = {limit, limit};
        dup2(out[1], 1);
        dup2(out[1], 2);
        close(out[0]);
        alarm(60); /* a library that waits for its threads for good */
        if (setgroups(0, NULL) || setgid(USER) || setrlimit(RLIMIT_NPROC, &most_threads) || setuid(USER))
            _exit(99);
        execv(path, (char *const *)words);
        _exit(99);
    }
    close(out[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < size && (n = read(out[0], text + used, size - 1 - used)) > 0;)
        used += (size_t)n;
    text[used] = 0;
    close(out[0]);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) return -1;
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    return WEXITSTATUS(status) == 99 ? -1 : WEXITSTATUS(status);
}

static void a_user_with_few_processes_gets_fewer_threads(void **state) {
    (void)state;
    static const char *const words[] = {"nsamp",
                                        "run",
                                        "system.name=rsn",
                                        "system.model=builtin:linear",
                                        "target.dim=3",
                                        "run.chains=640",
                                        "run.steps=50",
                                        "run.burn_in=0",
                                        "run.threads=16",
                                        "run.backend=cpu",
                                        NULL};
    static const char *const dry[] = {"nsamp",           "run",          "target.dim=3",
                                      "run.chains=640",  "run.steps=50", "run.threads=16",
                                      "run.backend=cpu", "run.dry=yes",  NULL};
    char text[1 << 16];
    for (unsigned limit = 1; limit <= 5; limit += 2) {
        const int code = run_limited(limit, words, text, sizeof text);
        if (code == -1) {
            print_message("skipped: only root can be another user, who must reach the program\n");
            skip();
        }
        if (code != 0) fail_msg("%u threads: exit code %d: %s", limit, code, text);
        assert_null(strstr(text, "libgomp"));
        assert_int_equal(run_limited(limit, dry, text, sizeof text), 0);
        if (!strstr(text, "of the 16 threads asked for: no more can be started")) fail_msg("%s", text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_many_as_can_be_started),
        cmocka_unit_test(a_run_takes_fewer_and_says_so),
        cmocka_unit_test(a_training_takes_fewer),
        cmocka_unit_test(no_thread_to_write_is_no_defect),
        cmocka_unit_test(a_user_with_few_processes_gets_fewer_threads),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
