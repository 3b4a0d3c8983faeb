/* ceilings.c: measures the ceilings. The loops themselves are src/kernels/ceilings.c. */
#include "bench/ceilings.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "error.h"
#include "isa.h"
#include "kernels/ceilings.h"
#include "matmul.h"
#include "stats/distances.h"

enum { RUNS = 5, M = 300, N = 20000, ROWS = 512, NOISE_BLOCKS = 64 };
static const double RUN_SECONDS = 0.2;

/* What is timed: does its work `times` times on all threads. */
typedef void work(const void *what, uint64_t times, int threads);

/* Median of the rate of `work`, in times a second. */
static double rate_of(work *f, const void *what, int threads) {
    uint64_t times = 1;
    double rate[RUNS];
    for (double t = 0; t < RUN_SECONDS;) {
        const double start = nsamp_clock();
        f(what, times, threads);
        t = nsamp_clock() - start;
        if (t < RUN_SECONDS) times *= t < RUN_SECONDS / 16 ? 8 : 2;
    }
    for (int i = 0; i < RUNS; i++) {
        const double start = nsamp_clock();
        f(what, times, threads);
        rate[i] = (double)times / (nsamp_clock() - start);
    }
    nsamp_sort(rate, RUNS);
    return rate[RUNS / 2];
}

static volatile float sink;

static void fma_work(const void *what, uint64_t times, int threads) {
    const char *isa = what;
    volatile float factor = 0.999f;
#pragma omp parallel num_threads(threads)
    {
        float out[16];
        const uint64_t rounds = times * 1000;
#ifdef NSAMP_X86_64
        if (!strcmp(isa, "v4"))
            nsamp_ceiling_fma_v4(factor, rounds, out);
        else if (!strcmp(isa, "v3"))
            nsamp_ceiling_fma_v3(factor, rounds, out);
        else
#endif
            nsamp_ceiling_fma_base(factor, rounds, out);
        sink = out[0];
    }
    (void)isa;
}

static void noise_work(const void *what, uint64_t times, int threads) {
    const char *isa = what;
#pragma omp parallel num_threads(threads)
    {
        float out[1];
        const uint32_t chain0 = 64u * (uint32_t)omp_get_thread_num();
#ifdef NSAMP_X86_64
        if (!strcmp(isa, "v4"))
            nsamp_ceiling_noise_v4(1, chain0, times, NOISE_BLOCKS, out);
        else if (!strcmp(isa, "v3"))
            nsamp_ceiling_noise_v3(1, chain0, times, NOISE_BLOCKS, out);
        else
#endif
            nsamp_ceiling_noise_base(1, chain0, times, NOISE_BLOCKS, out);
        sink = out[0];
    }
    (void)isa;
}

typedef struct products {
    nsamp_layer *up, *down;
    float *x, *h;
} products;

static void product_work(const void *what, uint64_t times, int threads) {
    const products *p = what;
    omp_set_num_threads(threads);
    for (uint64_t i = 0; i < times; i++) {
        nsamp_layer_apply(p->up, ROWS, p->x, p->h, false);
        nsamp_layer_apply(p->down, ROWS, p->h, p->x, false);
    }
}

/* FLOP/s of the two layers; 0 where this precision is not to be had. */
static double product_rate(nsamp_precision precision, int threads) {
    products p = {0};
    double rate = 0;
    float *w = calloc((size_t)M * N, sizeof *w);
    p.x = calloc((size_t)ROWS * M, sizeof *p.x);
    p.h = calloc((size_t)ROWS * N, sizeof *p.h);
    nsamp_error err;
    for (size_t i = 0; w && i < (size_t)M * N; i++)
        w[i] = (float)(i % 7) * 1e-3f;
    if (w && p.x && p.h && !nsamp_layer_create(M, N, w, NULL, NSAMP_RELU, precision, ROWS, &p.up, &err) &&
        !nsamp_layer_create(N, M, w, NULL, NSAMP_IDENTITY, precision, ROWS, &p.down, &err))
        rate = rate_of(product_work, &p, threads) * 4.0 * M * N * ROWS;
    nsamp_layer_destroy(p.up);
    nsamp_layer_destroy(p.down);
    free(w);
    free(p.x);
    free(p.h);
    return rate;
}

static void name_machine(char *text, size_t size) {
    char line[512];
    FILE *f = fopen("/proc/cpuinfo", "r");
    snprintf(text, size, "unknown processor");
    while (f && fgets(line, sizeof line, f)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) || !colon) continue;
        snprintf(text, size, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
        break;
    }
    if (f) fclose(f);
}

nsamp_status nsamp_ceilings_measure(int threads, nsamp_ceilings *c, nsamp_error *err) {
    memset(c, 0, sizeof *c);
    nsamp_job *job = nsamp_job_create();
    const char *isa = "base";
    nsamp_status status =
        job ? nsamp_isa_find(job, &isa, err) : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    nsamp_job_destroy(job);
    if (status) return status;
    const int before = omp_get_max_threads();
    c->threads = threads ? threads : before;
    snprintf(c->isa, sizeof c->isa, "%s", isa);
    name_machine(c->machine, sizeof c->machine);
    c->fma = rate_of(fma_work, isa, c->threads) * c->threads * 1000.0 * NSAMP_CEILING_FMAS * 2;
    c->noise =
        rate_of(noise_work, isa, c->threads) * c->threads * (double)NOISE_BLOCKS * NSAMP_CEILING_NORMALS;
    c->product_fp32 = product_rate(NSAMP_FP32, c->threads);
    c->product_bf16 = product_rate(NSAMP_BF16, c->threads);
    omp_set_num_threads(before);
    return NSAMP_OK;
}
