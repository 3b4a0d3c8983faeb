/* test_check.c: the samplers against their laws (the rows of `nsamp check`), and that these checks can fail.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <math.h>

#include "check/check.h"
#include "check/grid.h"
#include "job/settings.h"

static void print_failures(const nsamp_check_report *report) {
    for (size_t i = 0; i < report->count; i++) {
        const nsamp_check_row *r = &report->rows[i];
        if (r->verdict == NSAMP_VERDICT_PASS) continue;
        print_error("%s %s: %s %g, expected %g, z %.1f, sees %.3f of %.3f allowed %s\n", r->system, r->job,
                    r->quantity, r->value, r->expected, r->z, r->sees, r->must_see, r->text);
    }
}

static void test_all_laws(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_check_report report;
    nsamp_status status = nsamp_check_run(NULL, 0, NULL, 0, NULL, NULL, &report, &err);
    print_failures(&report);
    if (status) fail_msg("%s", err.text);
    assert_true(report.count >= 20);
    nsamp_check_report_free(&report);
}

/* The networks of the cases at the level of their reservoirs, in bf16 too: the noise of x is that of the rounded readout. */
static void test_reservoirs(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_check_report report;
    const char *system = "rsn", *settings = "system.level=reservoir run.backend=cpu";
    const nsamp_status status = nsamp_check_run(&system, 1, &settings, 1, NULL, NULL, &report, &err);
    print_failures(&report);
    if (status) fail_msg("%s", err.text);
    size_t bf16 = 0;
    for (size_t i = 0; i < report.count; i++)
        bf16 += strstr(report.rows[i].job, "run.precision=bf16 ") != NULL;
    assert_true(report.count >= 12 && bf16 >= 3);
    nsamp_check_report_free(&report);
}

/* Chains that begin at zero and are not burnt in are too narrow: the check must see it. */
static void test_sees_a_transient(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_check_report report;
    const char *system = "langevin", *settings = "run.start=zero";
    assert_int_equal(nsamp_check_run(&system, 1, &settings, 1, NULL, NULL, &report, &err), NSAMP_ECHECK);
    size_t found = 0;
    for (size_t i = 0; i < report.count; i++)
        found += report.rows[i].verdict == NSAMP_VERDICT_FAIL;
    assert_true(found > 0);
    nsamp_check_report_free(&report);
}

/* Too few chains to see a fault of one per cent: not a pass. */
static void test_blind_is_not_a_pass(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_check_report report;
    const char *system = "langevin", *settings = "run.chains=32 run.steps=100";
    assert_int_equal(nsamp_check_run(&system, 1, &settings, 1, NULL, NULL, &report, &err), NSAMP_ECHECK);
    size_t blind = 0;
    for (size_t i = 0; i < report.count; i++)
        blind += report.rows[i].verdict == NSAMP_VERDICT_BLIND;
    assert_true(blind > 0);
    nsamp_check_report_free(&report);
}

static void test_unknown_system(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_check_report report;
    const char *system = "langevine";
    assert_int_equal(nsamp_check_run(&system, 1, NULL, 0, NULL, NULL, &report, &err), NSAMP_EUSAGE);
    nsamp_check_report_free(&report);
}

/* The grid on one Gaussian, whose Euler law has a formula: v / (1 - h / (2 v)) naive, v / (1 - h/2) natural. */
static void test_grid(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_target *t = NULL;
    const char *settings = "target.name=mixture target.dim=2 target.means=1.5,1.5 target.sds=0.8,0.8";
    assert_int_equal(nsamp_job_set_all(job, settings, &err), NSAMP_OK);
    assert_int_equal(nsamp_target_create(job, &t, &err), NSAMP_OK);
    for (int natural = 0; natural < 2; natural++) {
        double mean[2], cov[4];
        const double h = 0.1, v = 0.64, expected = v / (1 - h / (natural ? 2 : 2 * v));
        assert_int_equal(nsamp_grid_moments(t, natural, h, mean, cov, &err), NSAMP_OK);
        for (int i = 0; i < 4; i++)
            assert_true(fabs(cov[i] - (i % 3 ? 0 : expected)) < 1e-6 && fabs(mean[i / 2] - 1.5) < 1e-9);
    }
    nsamp_target_destroy(t);
    nsamp_job_destroy(job);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grid),
        cmocka_unit_test(test_all_laws),
        cmocka_unit_test(test_reservoirs),
        cmocka_unit_test(test_sees_a_transient),
        cmocka_unit_test(test_blind_is_not_a_pass),
        cmocka_unit_test(test_unknown_system),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
