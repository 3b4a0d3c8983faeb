/* moments_runs.h: AR(1) samples and the accumulators driven over them as an engine does. */
#ifndef NSAMP_TESTS_MOMENTS_RUNS_H
#define NSAMP_TESTS_MOMENTS_RUNS_H

#include <math.h>
#include <stdlib.h>

#include "draws.h"
#include "stats/moments.h"

/* ---- samples ---- */

/* x [C][n][D]: stationary AR(1) with coefficient a in each coordinate, coordinates correlated by rho, shifted
 * by mean. */
static inline float *ar1(uint64_t C, uint64_t n, size_t D, double a, double rho, double mean, uint64_t seed) {
    float *x = malloc(C * n * D * sizeof *x);
    double *z = calloc(D, sizeof *z);
    for (uint64_t c = 0; c < C; c++) {
        rng r = {seed * 1000003 + c * 7919};
        for (uint64_t t = 0; t < n; t++) {
            const double common = normal(&r), step = t ? sqrt(1.0 - a * a) : 1.0;
            for (size_t i = 0; i < D; i++) {
                z[i] = (t ? a * z[i] : 0.0) + step * (sqrt(rho) * common + sqrt(1.0 - rho) * normal(&r));
                x[(c * n + t) * D + i] = (float)(mean + z[i]);
            }
        }
    }
    free(z);
    return x;
}

/* ---- driving the accumulators as an engine does ---- */

typedef struct run {
    uint64_t C, n, every, burn_in;
    size_t D;
    uint32_t lanes;
    bool row_sum, full_cov;
    int threads;
    uint64_t cut; /* steps a call */
} run;

static inline void feed(nsamp_moments *m, const run *r, uint64_t unit, uint64_t step0, uint64_t step1,
                        const float *data) {
    float *x = malloc(r->D * r->lanes * sizeof *x);
    const uint64_t first = unit * m->tiles_per_unit, last = first + m->tiles_per_unit;
    for (uint64_t s = nsamp_moments_next(m, step0); s <= step1; s = nsamp_moments_next(m, s))
        for (uint64_t tile = first; tile < last && tile < m->tiles; tile++) {
            const uint64_t sample = s / r->every - r->burn_in / r->every - 1;
            for (uint64_t l = 0; l < r->lanes; l++)
                for (size_t i = 0; i < r->D; i++) {
                    const uint64_t c = tile * r->lanes + l;
                    x[i * r->lanes + l] = c < r->C ? data[(c * r->n + sample) * r->D + i] : NAN;
                }
            nsamp_moments_add_tile(m, tile, s, x);
        }
    free(x);
}

static inline nsamp_moments *accumulate(const run *r, const float *data) {
    const uint64_t steps = (r->burn_in / r->every + r->n) * r->every;
    const nsamp_moments_spec spec = {r->C,     r->lanes,   r->D,  r->row_sum, r->full_cov,
                                     r->every, r->burn_in, steps, NULL};
    nsamp_moments *m;
    nsamp_error err;
    assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_OK);
    const uint64_t units = (m->tiles + m->tiles_per_unit - 1) / m->tiles_per_unit;
    for (uint64_t s = 0; s < steps; s += r->cut) {
        const uint64_t end = s + r->cut < steps ? s + r->cut : steps;
#pragma omp parallel for num_threads(r->threads) schedule(dynamic)
        for (uint64_t u = 0; u < units; u++)
            feed(m, r, u, s, end, data);
        nsamp_moments_set_step(m, end);
    }
    return m;
}

static uint64_t *all_good(uint64_t C) {
    uint64_t *bad = malloc(C * sizeof *bad);
    for (uint64_t c = 0; c < C; c++)
        bad[c] = UINT64_MAX;
    return bad;
}

static inline run plain_run(uint64_t C, uint64_t n, size_t D) {
    return (run){.C = C,
                 .n = n,
                 .every = 3,
                 .burn_in = 7,
                 .D = D,
                 .lanes = 16,
                 .row_sum = true,
                 .full_cov = true,
                 .threads = 2,
                 .cut = 1u << 30};
}

static inline void assert_near(double a, double b, double rel) {
    if (!(fabs(a - b) <= rel * (fabs(a) + fabs(b)) / 2 + 1e-300)) fail_msg("%.17g is not %.17g", a, b);
}

#endif
