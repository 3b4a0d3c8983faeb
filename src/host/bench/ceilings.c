/* ceilings.c: measures the ceilings of the CPU. The loops themselves are src/kernels/ceilings.c. */
#include "bench/ceilings.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "isa.h"
#include "kernels/ceilings.h"

enum {
    M = NSAMP_CEILING_M,
    N = NSAMP_CEILING_N,
    ROWS = NSAMP_CEILING_ROWS,
    NOISE_BLOCKS = 64,
    FMA_ROUNDS = 1000,
    MATRIX_ROUNDS = 1000
};

const nsamp_ceiling_name nsamp_ceiling_names[NSAMP_CEILING_count] = {
#define NSAMP_CEILING(name, unit, what) {#name, unit, what},
#include "bench/ceilings.def"
#undef NSAMP_CEILING
};

double nsamp_cache_bytes(int level) {
    static const int names[] = {_SC_LEVEL1_DCACHE_SIZE, _SC_LEVEL2_CACHE_SIZE, _SC_LEVEL3_CACHE_SIZE};
    static const double guesses[] = {32768, 1048576, 16777216};
    const long said = sysconf(names[level - 1]);
    return said > 0 ? (double)said : guesses[level - 1];
}

typedef struct loops {
    nsamp_ceiling_fma_fn *fma;
    nsamp_ceiling_noise_fn *noise;
    nsamp_ceiling_words_fn *words;
    int threads;
} loops;

static loops loops_of(const char *isa, int threads) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4"))
        return (loops){nsamp_ceiling_fma_v4, nsamp_ceiling_noise_v4, nsamp_ceiling_words_v4, threads};
    if (!strcmp(isa, "v3"))
        return (loops){nsamp_ceiling_fma_v3, nsamp_ceiling_noise_v3, nsamp_ceiling_words_v3, threads};
#endif
    (void)isa;
    return (loops){nsamp_ceiling_fma_base, nsamp_ceiling_noise_base, nsamp_ceiling_words_base, threads};
}

static volatile float sink;

static nsamp_status fma_work(void *work, uint64_t times, nsamp_error *err) {
    const loops *l = work;
    volatile float factor = 0.999f;
    (void)err;
#pragma omp parallel num_threads(l->threads)
    {
        float out[16];
        l->fma(factor, times * FMA_ROUNDS, out);
        sink = out[0];
    }
    return NSAMP_OK;
}

static nsamp_status noise_work(void *work, uint64_t times, nsamp_error *err) {
    const loops *l = work;
    (void)err;
#pragma omp parallel num_threads(l->threads)
    {
        float out[1];
        l->noise(1, 64u * (uint32_t)omp_get_thread_num(), times, NOISE_BLOCKS, out);
        sink = out[0];
    }
    return NSAMP_OK;
}

static volatile uint32_t word_sink;

static nsamp_status words_work(void *work, uint64_t times, nsamp_error *err) {
    const loops *l = work;
    (void)err;
#pragma omp parallel num_threads(l->threads)
    {
        uint32_t out[1];
        l->words(1, 64u * (uint32_t)omp_get_thread_num(), times, NOISE_BLOCKS, out);
        word_sink = out[0];
    }
    return NSAMP_OK;
}

#ifdef NSAMP_HAVE_AMX
static nsamp_status matrix_work(void *work, uint64_t times, nsamp_error *err) {
    const int threads = *(const int *)work;
    (void)err;
#pragma omp parallel num_threads(threads)
    {
        float out[4 * 256] __attribute__((aligned(64)));
        nsamp_ceiling_matrix_amx(times * MATRIX_ROUNDS, out);
        sink = out[0];
    }
    return NSAMP_OK;
}
#endif

/* Where this process may not use a matrix unit, 0. */
static nsamp_status matrix_rate(int threads, const nsamp_stopwatch *watch, nsamp_rate *rate,
                                nsamp_error *err) {
#ifdef NSAMP_HAVE_AMX
    if (nsamp_isa_has_amx())
        return nsamp_measure(watch, matrix_work, &threads,
                             (double)threads * MATRIX_ROUNDS * NSAMP_CEILING_MATRIX_FLOP, rate, err);
#else
    (void)threads;
    (void)watch;
#endif
    (void)rate;
    (void)err;
    return NSAMP_OK;
}

/* ---- copies -------------------------------------------------------------------------------------------- */

typedef struct copies {
    char *bytes; /* [threads][2][each] */
    size_t each;
    int threads;
} copies;

static nsamp_status copy_work(void *work, uint64_t times, nsamp_error *err) {
    const copies *c = work;
    (void)err;
#pragma omp parallel num_threads(c->threads)
    {
        char *const own = c->bytes + 2 * c->each * (size_t)omp_get_thread_num();
        for (uint64_t i = 0; i < times; i++)
            memcpy(own + (i % 2 ? c->each : 0), own + (i % 2 ? 0 : c->each), c->each);
    }
    return NSAMP_OK;
}

/* Copies of working_set bytes a thread, source and destination together. */
static nsamp_status copy_rate(double working_set, int threads, const nsamp_stopwatch *watch, nsamp_rate *rate,
                              nsamp_error *err) {
    copies c = {.each = (size_t)(working_set / 2) / 4096 * 4096, .threads = threads};
    void *bytes = NULL;
    const size_t all = 2 * c.each * (size_t)threads;
    if (posix_memalign(&bytes, 4096, all))
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory to time copies of %zu bytes", all);
    c.bytes = bytes;
#pragma omp parallel num_threads(threads)
    memset(c.bytes + 2 * c.each * (size_t)omp_get_thread_num(), 1,
           2 * c.each); /* each thread its own pages */
    const nsamp_status status =
        nsamp_measure(watch, copy_work, &c, 2.0 * (double)c.each * threads, rate, err);
    free(bytes);
    return status;
}

static nsamp_status copy_rates(int threads, const nsamp_stopwatch *watch, nsamp_ceilings *c,
                               nsamp_error *err) {
    const double l1 = nsamp_cache_bytes(1), l2 = nsamp_cache_bytes(2), l3 = nsamp_cache_bytes(3),
                 far = 2 * l3 / threads;
    const double most = 512.0 * 1048576.0 / threads;
    nsamp_status status = copy_rate(l1 / 2, threads, watch, &c->rate[NSAMP_CEILING_copy_l1], err);
    if (!status) status = copy_rate(l2 / 2, threads, watch, &c->rate[NSAMP_CEILING_copy_l2], err);
    if (!status && 4 * l2 * threads <= l3)
        status = copy_rate(4 * l2, threads, watch, &c->rate[NSAMP_CEILING_copy_l3], err);
    if (!status)
        status = copy_rate(far < most ? far : most, threads, watch, &c->rate[NSAMP_CEILING_copy_memory], err);
    return status;
}

/* ---- products ------------------------------------------------------------------------------------------ */

typedef struct products {
    nsamp_layer *up, *down;
    float *x, *h, *y;
    size_t rows;
    int threads;
} products;

static nsamp_status product_work(void *work, uint64_t times, nsamp_error *err) {
    const products *p = work;
    const int before = omp_get_max_threads();
    (void)err;
    omp_set_num_threads(p->threads);
    for (uint64_t i = 0; i < times; i++) {
        nsamp_layer_apply(p->up, p->rows, p->x, p->h, false);
        nsamp_layer_apply(p->down, p->rows, p->h, p->y, false);
    }
    omp_set_num_threads(before);
    return NSAMP_OK;
}

nsamp_status nsamp_ceiling_product_cpu(size_t m, size_t n, size_t rows, nsamp_precision precision,
                                       int threads, const nsamp_stopwatch *watch, nsamp_rate *rate,
                                       nsamp_error *err) {
    products p = {.rows = rows, .threads = threads};
    float *w = calloc(m * n, sizeof *w);
    nsamp_error none;
    nsamp_status status = NSAMP_OK;
    memset(rate, 0, sizeof *rate);
    p.x = calloc(rows * m, sizeof *p.x);
    p.y = calloc(rows * m, sizeof *p.y);
    p.h = calloc(rows * n, sizeof *p.h);
    if (!w || !p.x || !p.y || !p.h) status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory to time products");
    for (size_t i = 0; !status && i < m * n; i++)
        w[i] = ((float)(i % 7) - 3.0f) * 1e-2f;
    for (size_t i = 0; !status && i < rows * m; i++)
        p.x[i] = (float)(i % 13) - 6.0f;
    if (!status && !nsamp_layer_create(m, n, w, NULL, NSAMP_RELU, precision, rows, &p.up, &none) &&
        !nsamp_layer_create(n, m, w, NULL, NSAMP_IDENTITY, precision, rows, &p.down, &none))
        status =
            nsamp_measure(watch, product_work, &p, 4.0 * (double)m * (double)n * (double)rows, rate, err);
    nsamp_layer_destroy(p.up);
    nsamp_layer_destroy(p.down);
    free(w);
    free(p.x);
    free(p.y);
    free(p.h);
    return status;
}

/* fma, noise, words -> found. */
static nsamp_status vector_rates(const char *isa, int threads, const nsamp_stopwatch *watch,
                                 nsamp_rate *found, nsamp_error *err) {
    loops l = loops_of(isa, threads);
    const double normals = (double)threads * NOISE_BLOCKS * NSAMP_CEILING_NORMALS;
    nsamp_status status = nsamp_measure(watch, fma_work, &l, 2.0 * threads * FMA_ROUNDS * NSAMP_CEILING_FMAS,
                                        &found[NSAMP_CEILING_fma], err);
    if (!status) status = nsamp_measure(watch, noise_work, &l, normals, &found[NSAMP_CEILING_noise], err);
    if (!status) status = nsamp_measure(watch, words_work, &l, normals, &found[NSAMP_CEILING_words], err);
    return status;
}

nsamp_status nsamp_ceilings_again(const char *isa, int threads, const nsamp_stopwatch *watch, bool matrix,
                                  bool keep, nsamp_ceilings *c, nsamp_error *err) {
    static const nsamp_ceiling loop[] = {NSAMP_CEILING_fma, NSAMP_CEILING_noise, NSAMP_CEILING_words,
                                         NSAMP_CEILING_matrix_unit};
    const size_t used = sizeof loop / sizeof loop[0] - !matrix;
    nsamp_ceilings now = {0};
    nsamp_status status = vector_rates(isa, threads, watch, now.rate, err);
    if (!status && matrix) status = matrix_rate(threads, watch, &now.rate[NSAMP_CEILING_matrix_unit], err);
    for (size_t i = 0; i < used && !status; i++) {
        nsamp_rate *const rate = &c->rate[loop[i]];
        if (!keep || now.rate[loop[i]].median > rate->median) *rate = now.rate[loop[i]];
    }
    return status;
}

nsamp_status nsamp_ceilings_cpu(const char *isa, int threads, const nsamp_stopwatch *watch, nsamp_ceilings *c,
                                nsamp_error *err) {
    memset(c, 0, sizeof *c);
    snprintf(c->backend, sizeof c->backend, "cpu");
    nsamp_status status = vector_rates(isa, threads, watch, c->rate, err);
    if (!status) status = matrix_rate(threads, watch, &c->rate[NSAMP_CEILING_matrix_unit], err);
    if (!status)
        status = nsamp_ceiling_product_cpu(M, N, ROWS, NSAMP_FP32, threads, watch,
                                           &c->rate[NSAMP_CEILING_product_fp32], err);
    if (!status)
        status = nsamp_ceiling_product_cpu(M, N, ROWS, NSAMP_BF16, threads, watch,
                                           &c->rate[NSAMP_CEILING_product_bf16], err);
    return status ? status : copy_rates(threads, watch, c, err);
}
