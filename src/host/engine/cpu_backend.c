/* cpu_backend.c: chains on the CPU. OpenMP over groups of tiles, SIMD inside the kernel; the kernels of the best instruction
 * set that this processor has are chosen at run time. Every backend interface function is in engine.h. */
#include "engine.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "stats/moments.h"

typedef struct cpu_backend {
    nsamp_backend base;
    const nsamp_cpu_kernel *kernel;
    int threads;
    size_t scratch_bytes; /* of one thread */
    char *scratch;        /* [threads][scratch_bytes] */
    float *x;             /* [threads][D][L]: one observed tile each */
    uint32_t *bad;        /* [threads][L] */
} cpu_backend;

static bool supports(const char *isa) {
#ifdef NSAMP_X86_64
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
              __builtin_cpu_supports("bmi2");
    if (!strcmp(isa, "v3")) return v3;
    if (!strcmp(isa, "v4"))
        return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return !strcmp(isa, "base");
}

static const nsamp_cpu_kernel *table_of(const char *isa) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) return nsamp_cpu_kernels_v4();
    if (!strcmp(isa, "v3")) return nsamp_cpu_kernels_v3();
#endif
    return strcmp(isa, "base") ? NULL : nsamp_cpu_kernels_base();
}

nsamp_status nsamp_cpu_kernel_find(const nsamp_job *job, const nsamp_model *model, const nsamp_cpu_kernel **kernel,
                                   const char **isa, nsamp_error *err) {
    static const char *const order[] = {"v4", "v3", "base"};
    const char *wanted = nsamp_job_text(job, NSAMP_KEY_run_isa);
    *isa = NULL;
    if (strcmp(wanted, "auto")) {
        if (!supports(wanted))
            return nsamp_job_fail(job, NSAMP_KEY_run_isa, err, "this processor does not have it; auto takes the best it has");
        *isa = wanted;
    } else {
        for (size_t i = 0; i < 3 && !*isa; i++)
            if (supports(order[i])) *isa = order[i];
    }
    *kernel = model->host_kernel ? model->host_kernel : &table_of(*isa)[model->kernel];
    return NSAMP_OK;
}

/* Runs one tile from step0 to step1, stopping to accumulate where the moments ask for it. */
static void advance_tile(cpu_backend *b, int thread, uint64_t index, uint64_t step0, uint64_t step1) {
    nsamp_batch *batch = b->base.batch;
    const nsamp_model *model = batch->model;
    const size_t L = batch->lanes;
    uint32_t *const bad = b->bad + (size_t)thread * L;
    uint64_t *const first_bad = batch->first_bad + index * L;
    float *const x = b->x + (size_t)thread * model->dim * L;
    nsamp_tile tile = {batch->state + index * model->state_len * L, bad, b->scratch + (size_t)thread * b->scratch_bytes,
                       (uint32_t)(index * L), (uint32_t)L, batch->noise};
    for (uint64_t t = step0; t < step1;) {
        uint64_t end = nsamp_moments_next(batch->moments, t);
        const bool sample = end <= step1;
        if (end > step1) end = step1;
        while (t < end) {
            const uint32_t n = end - t < 1u << 30 ? (uint32_t)(end - t) : 1u << 30;
            memset(bad, 0, sizeof *bad * L);
            b->kernel->advance(model->params, &tile, t, n);
            for (size_t l = 0; l < L; l++)
                if (bad[l] && first_bad[l] == UINT64_MAX) first_bad[l] = t + bad[l] - 1;
            t += n;
        }
        if (sample) {
            b->kernel->observe(model->params, &tile, x);
            nsamp_moments_add(batch->moments, index, end, x, first_bad);
        }
    }
}

static nsamp_status cpu_advance(nsamp_backend *base, uint64_t step0, uint64_t step1, nsamp_error *err) {
    cpu_backend *b = (cpu_backend *)base;
    (void)err;
    const uint64_t tiles = base->batch->tiles;
    uint64_t unit = nsamp_moments_unit(base->batch->moments);
    const uint64_t units = (tiles + unit - 1) / unit;
#pragma omp parallel for schedule(dynamic, 1) num_threads(b->threads)
    for (uint64_t u = 0; u < units; u++) {
        const uint64_t last = (u + 1) * unit < tiles ? (u + 1) * unit : tiles;
        for (uint64_t i = u * unit; i < last; i++) advance_tile(b, omp_get_thread_num(), i, step0, step1);
    }
    for (uint64_t u = 0; u < units; u++) nsamp_moments_count(base->batch->moments, step0, step1), u = units;
    return NSAMP_OK;
}
