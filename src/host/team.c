/* team.c: see team.h. A team belongs to the thread that calls, and is found through a key of that thread. */
#include "team.h"

#include <omp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "clock.h"

/* So long a thread looks for work before it sleeps, in seconds. To be woken costs a thread some ten
 * microseconds, and most stages end within that; where another process waits for the core, it takes it from
 * that process. */
static const double LOOK_S = 50e-6;

/* `ticket` holds the number of the stage in its upper half and in its lower half how many pieces have been
 * taken, or one of two marks. What else describes a stage is written while the ticket is CLOSED. A thread
 * reads it, then takes a piece by a change of the ticket, which fails where the stage has ended meanwhile. */
#define CLOSED UINT32_MAX       /* between two stages, */
#define IDLE   (UINT32_MAX - 1) /* or runs */
typedef struct team {
    _Alignas(128) _Atomic uint64_t ticket;
    _Alignas(128) _Atomic size_t done; /* pieces of the stage */
    _Alignas(128) _Atomic size_t pieces;
    _Atomic int wanted; /* threads of this run */
    const nsamp_team_work *_Atomic work;
    void *_Atomic user;
    int threads; /* that there are, the owner among them */
    pid_t process;
    pthread_t *thread;
    _Atomic int asleep;
    _Atomic bool stop;
    pthread_mutex_t lock;
    pthread_cond_t changed;
} team;

typedef struct member {
    team *team;
    int thread;
} member;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t own;          /* team of a thread */
static _Thread_local team *inside; /* whose piece this thread has in hand */
static _Thread_local bool alone;   /* it runs a piece of a run that no team shares */

static uint32_t stage_of(uint64_t ticket) {
    return (uint32_t)(ticket >> 32);
}

static size_t taken_of(uint64_t ticket) {
    return (uint32_t)ticket;
}

static void rest(void) {
#if defined __x86_64__
    __builtin_ia32_pause();
#endif
}

/* The stage of the ticket is over: opens the next, or ends the run. Only the thread that ended the last
 * piece is here. */
static void open_next(team *t, const nsamp_team_work *work, void *user) {
    const uint64_t stage = stage_of(atomic_load(&t->ticket)) + UINT64_C(1);
    inside = t;
    const size_t pieces = work->next(user);
    inside = NULL;
    atomic_store(&t->ticket, stage << 32 | CLOSED);
    atomic_store(&t->done, 0);
    atomic_store(&t->pieces, pieces);
    atomic_store(&t->ticket, (stage + 1) << 32 | (pieces ? 0 : IDLE));
    if (pieces == 1 || !atomic_load(&t->asleep)) return; /* one piece: this thread is awake */
    pthread_mutex_lock(&t->lock);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

/* Takes a piece of the stage of `ticket` and does it. -> false: there is none for this thread. */
static bool take(team *t, int thread, uint64_t ticket) {
    const size_t piece = taken_of(ticket), pieces = atomic_load(&t->pieces);
    const nsamp_team_work *const work = atomic_load(&t->work);
    void *const user = atomic_load(&t->user);
    if (piece >= pieces || thread >= atomic_load(&t->wanted)) return false;
    if (!atomic_compare_exchange_strong(&t->ticket, &ticket, ticket + 1)) return true; /* look again */
    inside = t;
    work->piece(user, piece, thread);
    inside = NULL;
    if (atomic_fetch_add(&t->done, 1) + 1 == pieces) open_next(t, work, user);
    return true;
}

/* Until there is another stage than that of `ticket`, or the team ends. */
static void await(team *t, uint64_t ticket) {
    const double until = nsamp_clock() + LOOK_S;
    do {
        for (int i = 0; i < 64; i++) {
            if (stage_of(atomic_load_explicit(&t->ticket, memory_order_relaxed)) != stage_of(ticket)) return;
            rest();
        }
    } while (nsamp_clock() < until);
    pthread_mutex_lock(&t->lock);
    atomic_fetch_add(&t->asleep, 1);
    while (stage_of(atomic_load(&t->ticket)) == stage_of(ticket) && !atomic_load(&t->stop))
        pthread_cond_wait(&t->changed, &t->lock);
    atomic_fetch_sub(&t->asleep, 1);
    pthread_mutex_unlock(&t->lock);
}

static void *help(void *arg) {
    const member m = *(member *)arg;
    free(arg);
    omp_set_num_threads(1); /* a library called by a piece */
    for (;;) {
        const uint64_t ticket = atomic_load(&m.team->ticket);
        if (take(m.team, m.thread, ticket)) continue;
        await(m.team, ticket);
        if (atomic_load(&m.team->stop)) return NULL;
    }
}

/* ---- teams and their threads
 * ------------------------------------------------------------------------------- */

static void end(void *p) {
    team *const t = p;
    pthread_mutex_lock(&t->lock);
    atomic_store(&t->stop, true);
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
    for (int i = 1; i < t->threads; i++)
        pthread_join(t->thread[i], NULL);
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
    free(t->thread);
    free(t);
}

static void make_key(void) {
    if (pthread_key_create(&own, end)) abort(); /* a process has more keys than libraries */
}

/* Of the calling thread; NULL: no memory. A child of fork has none of its parent's threads, and begins anew.
 * */
static team *find(void) {
    pthread_once(&once, make_key);
    team *t = pthread_getspecific(own);
    if (t && t->process == getpid()) return t;
    t = aligned_alloc(_Alignof(team), sizeof *t);
    if (!t) return NULL;
    *t = (team){.ticket = IDLE, .threads = 1, .process = getpid()};
    pthread_mutex_init(&t->lock, NULL);
    pthread_cond_init(&t->changed, NULL);
    if (!pthread_setspecific(own, t)) return t;
    end(t);
    return NULL;
}

static bool add(team *t) {
    pthread_t *const more = realloc(t->thread, ((size_t)t->threads + 1) * sizeof *more);
    if (!more) return false;
    t->thread = more;
    member *const m = malloc(sizeof *m);
    if (!m) return false;
    *m = (member){t, t->threads};
    sigset_t all, before; /* signals are for the caller's threads */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&t->thread[t->threads], NULL, help, m);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        free(m);
        return false;
    }
    t->threads++;
    return true;
}

static void run_alone(const nsamp_team_work *work, void *user) {
    const bool before = alone;
    alone = true;
    for (size_t pieces; (pieces = work->next(user));)
        for (size_t i = 0; i < pieces; i++)
            work->piece(user, i, 0);
    alone = before;
}

void nsamp_team_run(int threads, const nsamp_team_work *work, void *user) {
    team *const t = threads > 1 && !inside && !alone && !omp_in_parallel() ? find() : NULL;
    while (t && t->threads < threads && add(t)) {
    }
    if (!t || t->threads == 1) {
        run_alone(work, user);
        return;
    }
    atomic_store(&t->work, work);
    atomic_store(&t->user, user);
    atomic_store(&t->wanted, threads);
    open_next(t, work, user);
    for (;;) {
        const uint64_t ticket = atomic_load(&t->ticket);
        if (taken_of(ticket) == IDLE) return;
        if (!take(t, 0, ticket)) await(t, ticket);
    }
}

/* ---- one stage
 * --------------------------------------------------------------------------------------------- */

typedef struct single {
    size_t pieces; /* 0: they are done */
    void (*piece)(void *user, size_t piece, int thread);
    void *user;
} single;

static size_t single_next(void *user) {
    single *const s = user;
    const size_t pieces = s->pieces;
    s->pieces = 0;
    return pieces;
}

static void single_piece(void *user, size_t piece, int thread) {
    const single *const s = user;
    s->piece(s->user, piece, thread);
}

void nsamp_team_for(int threads, size_t pieces, void (*piece)(void *user, size_t piece, int thread),
                    void *user) {
    static const nsamp_team_work work = {single_next, single_piece};
    single s = {pieces, piece, user};
    nsamp_team_run(threads, &work, &s);
}

size_t nsamp_team_taken(void) {
    return inside ? taken_of(atomic_load_explicit(&inside->ticket, memory_order_relaxed)) : 0;
}
