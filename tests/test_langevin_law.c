/* test_langevin_law.c: whole runs of langevin on Gaussians through the public API: mean, every covariance, off-diagonal and
 * autocorrelation time against the exact law of the Euler recursion. About 120 numbers; |z| < 5.5. Standard errors that
 * could not see a fault of 1 % (autocorrelation times: 10 %) fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>

#include "nsamp.h"
#include "scratch.h"

static void check_value(const char *what, size_t i, double value, double se, double exact, double scale,
                        double fault) {
    if (!(fabs(value - exact) <= 5.5 * se)) fail_msg("%s %zu: %g +- %g, exact %g", what, i, value, se, exact);
    if (!(5.5 * se < fault * scale))
        fail_msg("%s %zu: +- %g cannot see a fault of %g", what, i, se, fault * scale);
}

static void check_run(const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    nsamp_status status = NSAMP_OK;
    for (; *pairs && !status; pairs += 2)
        status = nsamp_job_set(job, pairs[0], pairs[1], &err);
    if (!status) status = nsamp_plan_create(job, &plan, &err);
    if (!status) status = nsamp_plan_run(plan, NULL, NULL, &err);
    if (status) fail_msg("%s", err.text);
    const nsamp_summary *s = nsamp_plan_summary(plan);
    const size_t D = s->dim;
    for (size_t i = 0; i < D; i++) {
        const double sd = sqrt(s->exact_var[i]);
        check_value("mean", i, s->mean[i], s->mean_se[i], s->exact_mean[i], sd, 0.01);
        check_value("variance", i, s->var[i], s->var_se[i], s->exact_var[i], s->exact_var[i], 0.01);
        check_value("tau", i, s->tau[i], s->tau[i] * sqrt(2.0 / (double)(s->chains - 1)), s->exact_tau[i],
                    s->exact_tau[i], 0.1);
        for (size_t j = 0; s->exact_cov && j < D; j++)
            check_value("covariance", i * D + j, s->cov[i * D + j], s->cov_se[i * D + j],
                        s->exact_cov[i * D + j], sd * sqrt(s->exact_var[j]), 0.01);
    }
    if (isfinite(s->exact_offdiag))
        check_value("off-diagonal", 0, s->offdiag, s->offdiag_se, s->exact_offdiag, s->exact_var[0], 0.01);
    assert_true(s->diverged == 0);
    nsamp_plan_destroy(plan);
    nsamp_job_destroy(job);
}

#define RUN(...) check_run((const char *const[]){__VA_ARGS__, NULL})

static const char *gauss_file(void) {
    const char text[] = "1 -2 0.5 3\n2 0.5 -0.3 0.2\n0.5 1 0.1 0.4\n-0.3 0.1 0.5 0\n0.2 0.4 0 0.8\n";
    const char *path = scratch("gauss4");
    scratch_write(path, text, sizeof text - 1);
    return path;
}

static void test_gaussian(void **state) {
    (void)state;
    RUN("target.name", "gaussian", "target.file", gauss_file(), "system.dt", "0.3", "run.chains", "16384",
        "run.steps", "600", "run.accumulate_every", "3");
    RUN("target.name", "gaussian", "target.file", gauss_file(), "system.dt", "0.3", "system.geometry",
        "natural", "run.chains", "16384", "run.steps", "600", "run.accumulate_every", "3", "run.seed", "2");
}

/* From a start far from the law, after a burn-in of 40 relaxation times. */
static void test_burn_in(void **state) {
    (void)state;
    RUN("target.name", "gaussian", "target.file", gauss_file(), "system.dt", "0.5", "run.chains", "16384",
        "run.steps", "800", "run.burn_in", "300", "run.accumulate_every", "5", "run.start", "uniform",
        "run.start_scale", "30");
}

/* The rank-one kernel, in both geometries. */
static void test_equicorrelated(void **state) {
    (void)state;
    RUN("target.dim", "40", "target.rho", "0.5", "system.dt", "0.4", "run.chains", "8192", "run.steps",
        "6000", "run.accumulate_every", "40");
    RUN("target.dim", "100", "target.rho", "0.9", "system.dt", "0.4", "system.geometry", "natural",
        "run.chains", "16384", "run.steps", "300", "run.accumulate_every", "5");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gaussian),
        cmocka_unit_test(test_burn_in),
        cmocka_unit_test(test_equicorrelated),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
