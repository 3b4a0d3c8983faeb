/* cpu_backend.c: chains on the CPU. OpenMP over groups of tiles, SIMD inside the kernel; the kernels of the
 * best instruction set that this processor has are chosen at run time. Every backend interface function is in
 * engine.h. */
#include "engine.h"

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "isa.h"
#include "stats/moments.h"
#include "threads.h"

/* What threads write lies this far apart, a whole page between: a prefetcher that follows one thread to the end of its scratch would
 * otherwise take the first lines of the next thread's away from it, again and again. */
enum { PAGE = 4096 };

/* The units whose home is one thread, and how many of their pieces in the call in progress have been taken. On lines of its own: two, which
 * some processors fetch together. */
typedef struct home {
    _Alignas(128) _Atomic uint64_t taken;
    uint64_t first, units;
} home;

typedef struct cpu_backend {
    nsamp_backend base;
    const nsamp_cpu_kernel *kernel;
    int threads;
    size_t x_at, bad_at,
        stride;    /* bytes of a thread: the kernel's scratch; x [D][L], one observed tile; bad [L] */
    char *scratch; /* [threads][stride] */
    home *homes;   /* [threads] */
    _Atomic uint64_t *through; /* [units] parts of the call in progress that a unit has come through */
} cpu_backend;

static char *scratch_of(const cpu_backend *b, int thread) {
    return b->scratch + (size_t)thread * b->stride;
}

static float *x_of(const cpu_backend *b, int thread) {
    return (float *)(void *)(scratch_of(b, thread) + b->x_at);
}

static uint32_t *bad_of(const cpu_backend *b, int thread) {
    return (uint32_t *)(void *)(scratch_of(b, thread) + b->bad_at);
}

static const nsamp_cpu_kernel *table_of(const char *isa) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) return nsamp_cpu_kernels_v4();
    if (!strcmp(isa, "v3")) return nsamp_cpu_kernels_v3();
#endif
    return strcmp(isa, "base") ? NULL : nsamp_cpu_kernels_base();
}

nsamp_status nsamp_cpu_kernel_find(const nsamp_job *job, const nsamp_model *model,
                                   const nsamp_cpu_kernel **kernel, const char **isa, nsamp_error *err) {
    nsamp_status status = nsamp_isa_find(job, isa, err);
    if (status) return status;
    *kernel = model->host_kernel ? model->host_kernel : &table_of(*isa)[model->kernel];
    return NSAMP_OK;
}

/* Advances one tile over steps [t, end) and notes the first bad step of its chains. */
static void advance_tile(cpu_backend *b, int thread, uint64_t index, uint64_t t, uint64_t end) {
    nsamp_batch *batch = b->base.batch;
    const size_t L = batch->lanes;
    uint32_t *const bad = bad_of(b, thread);
    uint64_t *const first_bad = batch->first_bad + index * L;
    nsamp_tile tile = {batch->state + index * batch->model->state_len * L,
                       bad,
                       scratch_of(b, thread),
                       (uint32_t)(index * L),
                       (uint32_t)L,
                       batch->noise};
    while (t < end) {
        const uint32_t n = end - t < 1u << 30 ? (uint32_t)(end - t) : 1u << 30;
        memset(bad, 0, sizeof *bad * L);
        b->kernel->advance(batch->model->params, &tile, t, n);
        for (size_t l = 0; l < L; l++)
            if (bad[l] && first_bad[l] == UINT64_MAX) first_bad[l] = t + bad[l] - 1;
        t += n;
    }
}

static void observe_tile(cpu_backend *b, int thread, uint64_t index, float *x) {
    const nsamp_batch *batch = b->base.batch;
    const size_t L = batch->lanes;
    const nsamp_tile tile = {batch->state + index * batch->model->state_len * L,
                             bad_of(b, thread),
                             scratch_of(b, thread),
                             (uint32_t)(index * L),
                             (uint32_t)L,
                             batch->noise};
    b->kernel->observe(batch->model->params, &tile, x);
}

/* x of one tile into the record, as far as its chains belong there; -> how many do. */
static uint64_t record_tile(const cpu_backend *b, uint64_t index, const float *tile,
                            const nsamp_record *record) {
    const size_t L = b->base.batch->lanes, D = b->base.batch->model->dim;
    if (index * L >= record->chains) return 0;
    const size_t n = record->chains - index * L < L ? (size_t)(record->chains - index * L) : L;
    for (size_t l = 0; l < n; l++) {
        float *const x = record->x + (index * L + l) * record->stride;
        for (size_t d = 0; d < D; d++)
            x[d] = tile[d * L + l];
    }
    return n;
}

/* Tiles [first, last) belong to one unit of the moments: one thread at a time takes them from sample to sample, in
 * order. */
static void advance_unit(cpu_backend *b, uint64_t first, uint64_t last, uint64_t step0, uint64_t step1,
                         nsamp_recorder *recorder) {
    nsamp_moments *m = b->base.batch->moments;
    const int thread = omp_get_thread_num();
    float *const x = x_of(b, thread);
    for (uint64_t t = step0; t < step1;) {
        const uint64_t due = nsamp_moments_next(m, t),
                       recorded = recorder ? nsamp_recorder_due(recorder, t) : UINT64_MAX;
        uint64_t end = due < step1 ? due : step1, put = 0;
        if (end > recorded) end = recorded;
        const nsamp_record record =
            end == recorded ? nsamp_recorder_place(recorder, end) : (nsamp_record){.chains = 0};
        for (uint64_t i = first; i < last; i++) {
            advance_tile(b, thread, i, t, end);
            if (end != due && i * b->base.batch->lanes >= record.chains) continue;
            observe_tile(b, thread, i, x);
            put += record_tile(b, i, x, &record);
            if (end == due) nsamp_moments_add_tile(m, i, end, x);
        }
        if (put) nsamp_recorder_done(recorder, end, put);
        t = end;
    }
}

/* A call is cut into parts, and a piece is one part of one unit. Each thread is the home of a range of units and takes their pieces part by
 * part, so that the state and sums of a chain stay in the caches of one core: between cores that do not share a third-level cache, units that
 * wander cost up to 36 % of the rate (bench/LOG.md). A thread whose units are AHEAD parts further than those of another, or done, takes a piece
 * from there. A piece can be taken when its unit has come through the part before.
 *
 * Each part is half of what is left, and a sixteenth of the whole at least: long ones first, through which the sums of a tile stay in a cache from one
 * sample to the next, and short ones last, so that threads end together. */
enum { PARTS = 16, AHEAD = 2 };

typedef struct schedule {
    uint64_t begin, end;  /* steps */
    uint64_t parts, even; /* even: steps of each part but the last; 0 where they differ, */
    uint64_t ends[PARTS]; /* and end here */
} schedule;

static schedule cut(uint64_t begin, uint64_t end, const nsamp_recorder *recorder) {
    schedule s = {.begin = begin, .end = end};
    const uint64_t steps = end - begin, least = (steps + PARTS - 1) / PARTS;
    /* No piece may wait for room that only a later one makes: nsamp_recorder_place. */
    const uint64_t most = recorder ? nsamp_recorder_room(recorder) : steps;
    if (most < least) {
        s.even = most;
        s.parts = (steps + most - 1) / most;
    }
    for (uint64_t t = begin; t < end && !s.even; s.ends[s.parts++] = t) {
        const uint64_t half = (end - t + 1) / 2;
        const uint64_t part = half < least ? least : half < most ? half : most;
        t = part < end - t ? t + part : end;
    }
    return s;
}

/* Step at which part k ends and part k + 1 begins. */
static uint64_t end_of(const schedule *s, uint64_t k) {
    if (!s->even) return s->ends[k];
    return k + 1 < s->parts ? s->begin + (k + 1) * s->even : s->end;
}

/* Called by one thread of a team of so many. */
static void share_units(cpu_backend *b, uint64_t units, uint64_t team) {
    for (uint64_t i = 0; i < team; i++) {
        home *h = &b->homes[i];
        h->first = units * i / team;
        h->units = units * (i + 1) / team - h->first;
        atomic_store_explicit(&h->taken, 0, memory_order_relaxed);
    }
    for (uint64_t u = 0; u < units; u++)
        atomic_store_explicit(&b->through[u], 0, memory_order_relaxed);
}

/* Part of the next piece of h; parts when all are taken. */
static uint64_t next_part(const home *h, uint64_t parts, uint64_t *taken) {
    *taken = atomic_load_explicit(&h->taken, memory_order_relaxed);
    return *taken < parts * h->units ? *taken / h->units : parts;
}

/* The home from which this thread takes next, whose count was *taken; NULL when no piece is left anywhere.
 *
 * While a thread has a piece of part k, what is left at its own home is of part k or later: a piece from elsewhere is of an earlier part than what
 * it leaves. So the home of the earliest piece of all is never held up behind a later one, which is what the recorder asks for. */
static home *choose_home(cpu_backend *b, uint64_t team, uint64_t parts, uint64_t *taken) {
    home *best = &b->homes[omp_get_thread_num()];
    const uint64_t own = next_part(best, parts, taken);
    uint64_t least = own;
    for (uint64_t i = 0; i < team; i++) {
        uint64_t count;
        const uint64_t k = next_part(&b->homes[i], parts, &count);
        if (k >= least || (own < parts && k + AHEAD > own)) continue;
        least = k;
        best = &b->homes[i];
        *taken = count;
    }
    return least < parts ? best : NULL;
}

/* Takes a piece: part *k of unit *u; waits until there is one to take. -> false when all are taken. */
static bool take_piece(cpu_backend *b, uint64_t team, uint64_t parts, uint64_t *k, uint64_t *u) {
    for (;;) {
        uint64_t taken;
        home *h = choose_home(b, team, parts, &taken);
        if (!h) return false;
        *k = taken / h->units;
        *u = h->first + taken % h->units;
        if (atomic_load_explicit(&b->through[*u], memory_order_acquire) < *k)
            sched_yield(); /* another thread has it one part before */
        else if (atomic_compare_exchange_strong(&h->taken, &taken, taken + 1))
            return true;
    }
}

static nsamp_status cpu_advance(nsamp_backend *base, uint64_t step0, uint64_t step1, nsamp_recorder *recorder,
                                nsamp_error *err) {
    cpu_backend *b = (cpu_backend *)base;
    (void)err;
    const uint64_t tiles = base->batch->tiles, unit = base->batch->moments->tiles_per_unit;
    const uint64_t units = (tiles + unit - 1) / unit;
    if (step0 >= step1) return NSAMP_OK;
    const int before = nsamp_threads_set(b->threads);
    const schedule s = cut(step0, step1, recorder);
    /* Threads without a unit would do nothing but wait. Where one unit is all, its products take the threads. */
    const int wanted = (uint64_t)b->threads < units ? b->threads : (int)units;
#pragma omp parallel num_threads(wanted)
    {
        const uint64_t team = (uint64_t)omp_get_num_threads(); /* may be fewer than wanted */
#pragma omp single
        share_units(b, units, team);
        uint64_t k, u;
        while (take_piece(b, team, s.parts, &k, &u)) {
            advance_unit(b, u * unit, (u + 1) * unit < tiles ? (u + 1) * unit : tiles,
                         k ? end_of(&s, k - 1) : step0, end_of(&s, k), recorder);
            atomic_store_explicit(&b->through[u], k + 1, memory_order_release);
        }
    }
    nsamp_threads_restore(before);
    nsamp_moments_set_step(base->batch->moments, step1);
    return NSAMP_OK;
}

static nsamp_status cpu_observe(nsamp_backend *base, const nsamp_record *record, nsamp_error *err) {
    cpu_backend *b = (cpu_backend *)base;
    (void)err;
    const int before = nsamp_threads_set(b->threads);
#pragma omp parallel for schedule(static)
    for (uint64_t i = 0; i < base->batch->tiles; i++)
        if (i * base->batch->lanes < record->chains) {
            float *const x = x_of(b, omp_get_thread_num());
            observe_tile(b, omp_get_thread_num(), i, x);
            record_tile(b, i, x, record);
        }
    nsamp_threads_restore(before);
    return NSAMP_OK;
}

/* The batch is where the chains live: nothing to bring back. */
static nsamp_status cpu_fetch(nsamp_backend *base, nsamp_error *err) {
    (void)base;
    (void)err;
    return NSAMP_OK;
}

static void cpu_destroy(nsamp_backend *base) {
    cpu_backend *b = (cpu_backend *)base;
    free(b->through);
    free(b->homes);
    free(b->scratch);
    free(b);
}

/* Whole pages, and one more. */
static size_t pages(size_t bytes) {
    return (bytes + PAGE - 1) / PAGE * PAGE + PAGE;
}

/* Where the parts of a thread's scratch begin; -> its bytes. */
static size_t lay_out(const nsamp_model *model, size_t lanes, size_t *x_at, size_t *bad_at) {
    *x_at = pages(model->scratch_bytes);
    *bad_at = *x_at + pages(model->dim * lanes * sizeof(float));
    return *bad_at + pages(lanes * sizeof(uint32_t));
}

size_t nsamp_cpu_thread_bytes(const nsamp_model *model, size_t lanes) {
    size_t x_at, bad_at;
    return lay_out(model, lanes, &x_at, &bad_at);
}

nsamp_status nsamp_cpu_backend_text(const nsamp_model *model, const nsamp_job *job, char *text, size_t size,
                                    nsamp_error *err) {
    const nsamp_cpu_kernel *kernel;
    const char *isa;
    const nsamp_status status = nsamp_cpu_kernel_find(job, model, &kernel, &isa, err);
    if (status) return status;
    const int64_t asked = nsamp_job_int(job, NSAMP_KEY_run_threads);
    const int threads = nsamp_threads_of(asked);
    char fewer[80];
    nsamp_threads_note(asked, threads, fewer, sizeof fewer);
    snprintf(text, size, "cpu, %s%s kernels, %d thread%s%s", *isa == 'v' ? "x86-64-" : "", isa, threads,
             threads == 1 ? "" : "s", fewer);
    return NSAMP_OK;
}

nsamp_status nsamp_cpu_backend_create(nsamp_batch *batch, const nsamp_job *job, nsamp_backend **backend,
                                      nsamp_error *err) {
    static const nsamp_backend_ops ops = {"cpu", cpu_advance, cpu_observe, cpu_fetch, cpu_destroy};
    const char *isa;
    *backend = NULL;
    cpu_backend *b = calloc(1, sizeof *b);
    if (!b) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    b->base.ops = &ops;
    b->base.batch = batch;
    nsamp_status status = nsamp_cpu_kernel_find(job, batch->model, &b->kernel, &isa, err);
    if (status) {
        free(b);
        return status;
    }
    b->threads = nsamp_threads_of(nsamp_job_int(job, NSAMP_KEY_run_threads));
    const size_t L = batch->lanes, T = (size_t)b->threads;
    b->stride = lay_out(batch->model, L, &b->x_at, &b->bad_at);
    b->through = calloc(batch->tiles, sizeof *b->through);
    b->homes = aligned_alloc(_Alignof(home), T * sizeof *b->homes);
    b->scratch = aligned_alloc(PAGE, T * b->stride);
    if (!b->through || !b->homes || !b->scratch) {
        cpu_destroy(&b->base);
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the scratch of %zu threads", T);
    }
    status = nsamp_cpu_backend_text(batch->model, job, b->base.text, sizeof b->base.text, err);
    if (status)
        cpu_destroy(&b->base);
    else
        *backend = &b->base;
    return status;
}
