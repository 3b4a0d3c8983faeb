/* sample_output.h: an output file with known contents, for tests/test_output.c and tests/python. */
#ifndef NSAMP_TESTS_SAMPLE_OUTPUT_H
#define NSAMP_TESTS_SAMPLE_OUTPUT_H

#include <math.h>
#include <string.h>

#include "io/output.h"

#define OUT_RUN_ID "0123456789abcdef0123456789abcdef"
enum { OUT_CHAINS = 3, OUT_DRAWS = 5, OUT_DIM = 2, OUT_EVERY = 10 };

/* x of a chain, draw and dimension: exact in float32. */
static inline float out_x(size_t chain, size_t draw, size_t dim) {
    return (float)(100 * chain + 10 * draw + dim) + 0.25f;
}

/* Writes the file that the job names. Chain 1 is said to diverge in step number 25 (counted from 0), so draws
 * at 10 and 20 are good, 30 to 50 are not. */
static inline nsamp_status out_write(const nsamp_job *job, nsamp_error *err) {
    static const double mean[OUT_DIM] = {1, 2}, se[OUT_DIM] = {0.5, 0.25}, var[OUT_DIM] = {3, 4},
                        tau[OUT_DIM] = {5, 6}, one[OUT_DIM] = {1.01, 1.02}, cov[4] = {3, 0.5, 0.5, 4},
                        exact[OUT_DIM] = {0, 0};
    static double value[3] = {0.1, 0.2, 0.3}, value_se[3] = {0.01, 0.02, 0.03},
                  expected[3] = {0.11, 0.21, 0.31};
    const nsamp_summary s = {.dim = OUT_DIM,
                             .chains = 8,
                             .diverged = 1,
                             .steps = 50,
                             .samples_per_chain = 50,
                             .accumulate_every = 1,
                             .mean = mean,
                             .mean_se = se,
                             .var = var,
                             .var_se = se,
                             .rhat = one,
                             .rhat_nested = one,
                             .ess = tau,
                             .tau = tau,
                             .min = exact,
                             .max = var,
                             .cov = cov,
                             .cov_se = cov,
                             .offdiag = 0.5,
                             .offdiag_se = 0.125,
                             .exact_mean = exact,
                             .exact_var = var,
                             .exact_tau = NULL,
                             .exact_cov = cov,
                             .exact_offdiag = NAN,
                             .first_bad_chain = 1,
                             .first_bad_step = 25,
                             .seconds = 1.5};
    nsamp_law law = {.offdiag = NAN};
    strcpy(law.source, "made up for a test");
    const nsamp_statistic stats[2] = {
        {.name = "rate", .count = 3, .value = value, .se = value_se, .expected = expected, .unit = "Hz"},
        {.name = "acceptance", .count = 1, .value = value, .se = value_se}};
    const nsamp_recording what = {
        .chains = OUT_CHAINS, .draws = OUT_DRAWS, .dim = OUT_DIM, .every = OUT_EVERY};
    const uint64_t first_bad[OUT_CHAINS] = {UINT64_MAX, 25, UINT64_MAX};
    nsamp_output *out = NULL;
    nsamp_status status = nsamp_output_create(job, &what, OUT_RUN_ID, NULL, &out, err);
    float x[OUT_CHAINS * OUT_DRAWS * OUT_DIM];
    for (size_t c = 0; c < OUT_CHAINS; c++)
        for (size_t k = 0; k < OUT_DRAWS; k++)
            for (size_t d = 0; d < OUT_DIM; d++)
                x[(c * OUT_DRAWS + k) * OUT_DIM + d] = out_x(c, k, d);
    if (!status) status = nsamp_output_write(out, 0, x, err);
    if (!status) status = nsamp_output_summary(out, &s, &law, first_bad, stats, 2, err);
    if (!status) return nsamp_output_close(out, err);
    nsamp_output_abandon(out);
    return status;
}

#endif
