/* test_moments_few.c: the summary where there is little to sum up: coordinates that never move, two batches,
 * one sample, none; and sizes beyond memory. The numbers of whole runs are in test_moments.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "stats/moments.h"

/* Coordinates that never move, at numbers whose squares and sums are rounded: what rounding leaves is no
 * variance, and no time of it. */
static void still_coordinates(void **state) {
    (void)state;
    enum { D = 16, L = 64 };
    for (uint64_t chains = 1; chains <= 40; chains += 39) {
        nsamp_error err;
        nsamp_moments *m;
        nsamp_summary s = {0};
        uint64_t bad[L];
        float x[D * L];
        for (int i = 0; i < D * L; i++)
            x[i] = 0.1f + 0.37f * (float)(i / L);
        memset(bad, 0xff, sizeof bad);
        const nsamp_moments_spec spec = {chains, L, D, false, false, 1, 0, 1501, NULL};
        assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_OK);
        for (uint64_t step = 1; step <= 1501; step++)
            nsamp_moments_add_tile(m, 0, step, x);
        nsamp_moments_set_step(m, 1501);
        nsamp_moments_finish(m, bad, 0, &s);
        for (int i = 0; i < D; i++) {
            assert_true(s.mean[i] == (double)x[i * L]);
            assert_true(s.var[i] == 0 && s.var_se[i] == 0 && s.mean_se[i] == 0);
            assert_true(isnan(s.tau[i]) && isnan(s.ess[i]) && isnan(s.rhat[i]) && !s.rhat_nested &&
                        s.stuck == spec.chains);
        }
        nsamp_moments_destroy(m);
    }
}

/* What too few batches or samples cannot say is NaN, and not a standard error of 0 or a time. */
static void too_few(void **state) {
    (void)state;
    const struct {
        uint64_t chains, samples;
        bool var_se, tau;
    } cases[] = {{1, 2, false, false}, {2, 1, false, false},  {3, 1, true, false},
                 {20, 1, true, false}, {1, 40, false, false}, {20, 4, true, true}};
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        nsamp_error err;
        nsamp_moments *m;
        nsamp_summary s = {0};
        uint64_t bad[32];
        memset(bad, 0xff, sizeof bad);
        const nsamp_moments_spec spec = {cases[k].chains, 32, 2, true, true, 1, 0, cases[k].samples, NULL};
        assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_OK);
        for (uint64_t step = 1; step <= cases[k].samples; step++) {
            float x[64];
            for (uint64_t i = 0; i < 64; i++)
                x[i] = sinf((float)(64 * step * step + 3 * i * i));
            nsamp_moments_add_tile(m, 0, step, x);
        }
        nsamp_moments_set_step(m, cases[k].samples);
        nsamp_moments_finish(m, bad, 0, &s);
        assert_true(s.var[0] > 0 && s.mean_se[0] > 0);
        assert_int_equal(s.ess[0] > 0, cases[k].chains >= 8);
        assert_int_equal(s.var_se[0] > 0, cases[k].var_se);
        assert_int_equal(s.var_average_se > 0, cases[k].var_se);
        assert_int_equal(s.offdiag_se > 0, cases[k].var_se);
        assert_int_equal(s.cov_se[0] > 0, cases[k].var_se);
        assert_int_equal(s.tau[0] > 0, cases[k].tau);
        assert_int_equal(s.tau_se[0] > 0, cases[k].tau && cases[k].var_se);
        if (!cases[k].var_se) assert_true(isnan(s.var_se[0]) && isnan(s.tau_se[0]) && isnan(s.cov_se[0]));
        nsamp_moments_destroy(m);
    }
}

static void edges(void **state) {
    (void)state;
    nsamp_error err;
    nsamp_moments *m;
    nsamp_summary s = {0};
    nsamp_moments_spec spec = {1, 16, 1, true, true, 10, 0, 25, NULL};
    uint64_t bad[1] = {UINT64_MAX};
    assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_OK);
    assert_int_equal(nsamp_moments_next(m, 0), 10);
    assert_int_equal(nsamp_moments_next(m, 10), 20);
    assert_int_equal(nsamp_moments_next(m, UINT64_MAX - 1), UINT64_MAX);
    nsamp_moments_finish(m, bad, 0, &s); /* no samples */
    assert_true(isnan(s.mean[0]) && isnan(s.cov[0]) && isnan(s.offdiag) && s.samples_per_chain == 0);
    const float x[16] = {3.5f};
    nsamp_moments_add_tile(m, 0, 10, x);
    nsamp_moments_set_step(m, 10);
    nsamp_moments_finish(m, bad, 0,
                         &s); /* one sample of one chain: a mean, and nothing that needs a spread */
    assert_true(s.mean[0] == 3.5 && isnan(s.var[0]) && isnan(s.mean_se[0]) && isnan(s.rhat[0]) &&
                isnan(s.ess[0]));
    bad[0] = 4;
    nsamp_moments_finish(m, bad, 0, &s); /* nobody left */
    assert_true(isnan(s.mean[0]) && s.diverged == 1 && s.first_bad_chain == 0 && s.first_bad_step == 4);
    nsamp_moments_destroy(m);
    nsamp_moments_destroy(NULL);

    spec.chains = 0;
    assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_EINTERNAL);
    assert_null(m);
    spec = (nsamp_moments_spec){1ull << 32, 16, 100000000, true, false, 1, 0, 10, NULL};
    assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_ENOMEM);
    spec.dim = 1ull << 40;
    assert_true(nsamp_moments_bytes(&spec) == UINT64_MAX);
    assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_ENOMEM);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(still_coordinates),
        cmocka_unit_test(too_few),
        cmocka_unit_test(edges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
