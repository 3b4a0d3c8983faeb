/* test_team.c: stages of pieces on several threads: each piece once, each stage after the one before, nobody
 * waits for a thread that has nothing in hand, and fewer threads where no more can be started. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "team.h"

/* ---- threads that cannot be started, or do not get a core
 * --------------------------------------------------- */

static int allowed = 1000; /* threads that can still be started */
static bool held;          /* threads begin only when `release` is posted */
static sem_t release;
static int started;

typedef struct begin {
    void *(*routine)(void *);
    void *arg;
} begin;

static void *wait_then_begin(void *p) {
    const begin b = *(begin *)p;
    free(p);
    sem_wait(&release);
    return b.routine(b.arg);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*routine)(void *), void *arg) {
    typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    create *real;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    if (allowed-- <= 0) return EAGAIN;
    started++;
    if (!held) return real(thread, attr, routine, arg);
    begin *const b = malloc(sizeof *b);
    if (!b) return EAGAIN;
    *b = (begin){routine, arg};
    return real(thread, attr, wait_then_begin, b);
}

/* ---- stages whose sums tell what was done
 * ------------------------------------------------------------------- */

enum { STAGES = 400, PIECES = 37, THREADS = 5 };

typedef struct stages {
    size_t stage; /* from 1 on */
    _Atomic int times[PIECES];
    size_t wrong; /* pieces that were not done once */
    _Atomic size_t overlaps,
        late; /* two pieces with one thread's number; pieces of another stage than that which is open */
    _Atomic int busy[THREADS];
    size_t seen[THREADS];
    uint64_t sum[PIECES], total; /* not atomic: a stage sees what the one before wrote */
} stages;

static size_t pieces_of(size_t stage) {
    return 1 + stage % PIECES;
}

static size_t next(void *user) {
    stages *s = user;
    for (size_t i = 0; s->stage && i < pieces_of(s->stage); i++) {
        s->wrong += atomic_load(&s->times[i]) != 1;
        atomic_store(&s->times[i], 0);
        s->total = s->total * 31 + s->sum[i];
    }
    return ++s->stage > STAGES ? 0 : pieces_of(s->stage);
}

static void piece(void *user, size_t i, int thread) {
    stages *s = user;
    const size_t stage = s->stage;
    atomic_fetch_add(&s->overlaps, atomic_fetch_add(&s->busy[thread], 1) != 0);
    s->seen[thread]++;
    s->sum[i] += stage * (i + 1) + s->total;
    atomic_fetch_add(&s->times[i], 1);
    atomic_fetch_add(&s->late, s->stage != stage || i >= pieces_of(stage));
    atomic_fetch_sub(&s->busy[thread], 1);
}

static const nsamp_team_work work = {next, piece};

static uint64_t expected(void) {
    uint64_t sum[PIECES] = {0}, total = 0;
    for (size_t stage = 1; stage <= STAGES; stage++) {
        for (size_t i = 0; i < pieces_of(stage); i++)
            sum[i] += stage * (i + 1) + total;
        for (size_t i = 0; i < pieces_of(stage); i++)
            total = total * 31 + sum[i];
    }
    return total;
}

static void run_and_check(int threads) {
    static stages s;
    memset(&s, 0, sizeof s);
    nsamp_team_run(threads, &work, &s);
    assert_int_equal(s.wrong, 0);
    assert_int_equal(s.overlaps, 0);
    assert_int_equal(s.late, 0);
    assert_true(s.total == expected());
    size_t done = 0, should = 0;
    for (int i = 0; i < threads; i++)
        done += s.seen[i];
    for (size_t stage = 1; stage <= STAGES; stage++)
        should += pieces_of(stage);
    assert_int_equal(done, should);
}

static void each_piece_is_done_once_in_its_stage(void **state) {
    (void)state;
    for (int round = 0; round < 20; round++)
        for (int threads = 1; threads <= THREADS; threads++)
            run_and_check(threads);
}

/* On a thread of its own, so that the team is new. */
static void *run_with_helpers_held(void *arg) {
    held = true;
    started = 0;
    run_and_check(4);
    const bool three = started == 3;
    held = false;
    for (int i = 0; i < 3; i++)
        sem_post(&release);
    run_and_check(4);
    return three ? arg : NULL;
}

/* Helpers that do not get a core hold nobody up. Where all threads must come by, this test does not end. */
static void nobody_waits_for_a_thread_with_nothing_in_hand(void **state) {
    pthread_t caller;
    void *done = NULL;
    assert_int_equal(pthread_create(&caller, NULL, run_with_helpers_held, state), 0);
    pthread_join(caller, &done);
    assert_ptr_equal(done, state);
}

static void *run_with_few(void *arg) {
    allowed = *(int *)arg;
    started = 0;
    run_and_check(THREADS);
    allowed = 1000;
    return started == *(int *)arg ? arg : NULL;
}

static void fewer_threads_where_no_more_can_be_started(void **state) {
    (void)state;
    for (int few = 0; few < 3; few++) {
        pthread_t caller;
        void *done = NULL;
        assert_int_equal(pthread_create(&caller, NULL, run_with_few, &few), 0);
        pthread_join(caller, &done);
        assert_ptr_equal(done, &few);
    }
}

static _Atomic int inner_pieces, other_threads;

static void inner(void *user, size_t i, int thread) {
    (void)user;
    (void)i;
    inner_pieces++;
    other_threads += thread != 0;
}

static void outer(void *user, size_t i, int thread) {
    (void)i;
    (void)thread;
    nsamp_team_for(4, 3, inner, user);
}

static void within_a_piece_or_a_parallel_region_one_thread_does_all(void **state) {
    (void)state;
    nsamp_team_for(4, 10, outer, NULL);
    assert_int_equal(inner_pieces, 30);
    assert_int_equal(other_threads, 0);
#pragma omp parallel num_threads(2)
    nsamp_team_for(4, 5, inner, NULL);
    assert_in_range(inner_pieces, 35, 40);
    assert_int_equal(other_threads, 0);
    nsamp_team_for(4, 0, inner, NULL);
}

int main(void) {
    sem_init(&release, 0, 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_is_done_once_in_its_stage),
        cmocka_unit_test(nobody_waits_for_a_thread_with_nothing_in_hand),
        cmocka_unit_test(fewer_threads_where_no_more_can_be_started),
        cmocka_unit_test(within_a_piece_or_a_parallel_region_one_thread_does_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
