/* sample_run.h: an output file as a run would write it, from draws that the test makes itself: Gaussian AR(1)
 * chains of unit variance and one correlation. For the tests of the report and the figures. */
#ifndef NSAMP_TESTS_SAMPLE_RUN_H
#define NSAMP_TESTS_SAMPLE_RUN_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "draws.h"
#include "io/output.h"
#include "stats/moments.h"

enum { RUN_CHAINS = 64, RUN_DRAWS = 100, RUN_EVERY = 10 };

typedef struct sample_run {
    size_t dim;
    double a, rho;   /* autocorrelation from draw to draw, correlation of coordinates */
    uint64_t broken; /* chain whose draws become NaN half way; UINT64_MAX: none */
    int stored;      /* 0: no draws in the file */
    uint64_t seed;
} sample_run;

/* x [chains][draws][dim] */
static inline float *run_draws(const sample_run *s) {
    float *x = malloc(sizeof *x * RUN_DRAWS * RUN_CHAINS * s->dim);
    double *z = calloc(s->dim, sizeof *z);
    if (!x || !z) abort();
    for (size_t c = 0; c < RUN_CHAINS; c++) {
        rng r = {s->seed * 1000 + c};
        for (size_t t = 0; t < RUN_DRAWS; t++) {
            const double common = normal(&r), step = t ? sqrt(1 - s->a * s->a) : 1, keep = t ? s->a : 0;
            for (size_t i = 0; i < s->dim; i++) {
                z[i] = keep * z[i] + step * (sqrt(s->rho) * common + sqrt(1 - s->rho) * normal(&r));
                x[(c * RUN_DRAWS + t) * s->dim + i] = c == s->broken && t > RUN_DRAWS / 2 ? NAN : (float)z[i];
            }
        }
    }
    free(z);
    return x;
}

/* Writes the file that the job names (output.file); the job's record.every should be RUN_EVERY. */
static inline nsamp_status run_write(const sample_run *s, const nsamp_job *job, nsamp_error *err) {
    enum { LANES = 16 };
    const size_t D = s->dim;
    float *x = run_draws(s), *tile = malloc(sizeof *tile * LANES * D);
    const nsamp_moments_spec spec = {.chains = RUN_CHAINS,
                                     .lanes = LANES,
                                     .dim = D,
                                     .row_sum = true,
                                     .full_cov = D <= 16,
                                     .every = RUN_EVERY,
                                     .steps = (uint64_t)RUN_DRAWS * RUN_EVERY};
    uint64_t steps[RUN_DRAWS], bad[RUN_CHAINS];
    double *exact = calloc(D, sizeof *exact);
    nsamp_moments *m = NULL;
    nsamp_output *out = NULL;
    if (nsamp_output_block(RUN_CHAINS, D, RUN_DRAWS) != RUN_DRAWS) abort(); /* all in one */
    if (!x || !tile || !exact || nsamp_moments_create(&spec, &m, err)) abort();
    for (size_t t = 0; t < RUN_DRAWS; t++) {
        steps[t] = (t + 1) * RUN_EVERY;
        for (size_t k = 0; k < RUN_CHAINS / LANES; k++) {
            for (size_t l = 0; l < LANES; l++)
                for (size_t i = 0; i < D; i++)
                    tile[i * LANES + l] = x[((k * LANES + l) * RUN_DRAWS + t) * D + i];
            nsamp_moments_add_tile(m, k, steps[t], tile);
        }
    }
    nsamp_moments_set_step(m, steps[RUN_DRAWS - 1]);
    for (size_t c = 0; c < RUN_CHAINS; c++)
        bad[c] = c == s->broken ? RUN_DRAWS / 2 * RUN_EVERY : UINT64_MAX;
    nsamp_summary summary = {
        .steps = (uint64_t)RUN_DRAWS * RUN_EVERY, .exact_mean = exact, .exact_offdiag = s->rho};
    nsamp_moments_finish(m, bad, 0, &summary);
    const nsamp_law law = {.offdiag = NAN, .source = "made for a test"};
    double rate[3] = {10, 20, 30}, se[3] = {1, 1, 1}, expected[3] = {10, 17, 30};
    const nsamp_statistic stats[1] = {
        {.name = "rate", .count = 3, .value = rate, .se = se, .expected = expected, .unit = "Hz"}};
    const nsamp_recording what = {.chains = s->stored ? RUN_CHAINS : 0,
                                  .draws = s->stored ? RUN_DRAWS : 0,
                                  .dim = D,
                                  .every = RUN_EVERY};
    nsamp_status status =
        nsamp_output_create(job, &what, "0123456789abcdef0123456789abcdef", NULL, &out, err);
    if (!status && s->stored) status = nsamp_output_write(out, 0, x, err);
    if (!status) status = nsamp_output_summary(out, &summary, &law, bad, stats, 1, err);
    if (!status)
        status = nsamp_output_close(out, err);
    else
        nsamp_output_abandon(out);
    nsamp_moments_destroy(m);
    free(exact);
    free(tile);
    free(x);
    return status;
}

/* A job on an equicorrelated target, written to path. */
static inline nsamp_job *run_job(const char *path, size_t dim, const char *rho) {
    nsamp_error err;
    char text[32];
    nsamp_job *job = nsamp_job_create();
    snprintf(text, sizeof text, "%zu", dim);
    if (!job || nsamp_job_set(job, "target.dim", text, &err) || nsamp_job_set(job, "target.rho", rho, &err) ||
        nsamp_job_set(job, "record.every", "10", &err) || nsamp_job_set(job, "output.file", path, &err) ||
        nsamp_job_set(job, "output.overwrite", "yes", &err))
        abort();
    return job;
}

/* Both in one: NSAMP_OK or abort. */
static inline void run_make(const char *path, const sample_run *s, const char *rho) {
    nsamp_error err;
    nsamp_job *job = run_job(path, s->dim, rho);
    if (run_write(s, job, &err)) abort();
    nsamp_job_destroy(job);
}

#endif
