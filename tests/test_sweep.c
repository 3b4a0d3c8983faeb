/* test_sweep.c: values that stand for several jobs: ranges, lists, their product, in order and to the last digit. Other values:
 * test_job.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "job/job.h"
#include "says.h"
#include "scratch.h"

static nsamp_status read_text(nsamp_job *job, const char *text, nsamp_error *err) {
    const char *path = scratch("a.ini");
    scratch_write(path, text, strlen(text));
    return nsamp_job_read(job, path, err);
}

static void test_sweeps(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_job_set(job, "target.rho", "0:0.01:0.99", &err), NSAMP_OK);
    assert_int_equal(nsamp_job_sweep_count(job), 100);
    char label[128];
    for (size_t k = 0; k < 100; k++) {
        nsamp_job *point = nsamp_job_sweep_at(job, k, label, sizeof label);
        char expected[64], value[16];
        snprintf(value, sizeof value, "0.%02zu", k);
        for (size_t z = strlen(value) - 1; value[z] == '0' && z; z--)
            value[z] = 0;
        if (value[strlen(value) - 1] == '.') value[1] = 0;
        snprintf(expected, sizeof expected, "target.rho=%s", value);
        assert_string_equal(label, expected);
        assert_true(nsamp_job_real(point, NSAMP_KEY_target_rho) == strtod(value, NULL));
        assert_int_equal(nsamp_job_sweep_count(point), 1);
        nsamp_job_destroy(point);
    }
    assert_int_equal(nsamp_job_require_plain(job, &err), NSAMP_EUSAGE);
    assert_says(&err, "a sweep of 100 jobs");
    nsamp_plan *plan = NULL;
    assert_int_equal(nsamp_plan_create(job, &plan, &err), NSAMP_EUSAGE);
    assert_says(&err, "a sweep of 100 jobs");
    assert_null(plan);
    assert_int_equal(nsamp_job_set(job, "target.rho", "0.5", &err), NSAMP_OK);
    assert_int_equal(nsamp_job_require_plain(job, &err), NSAMP_OK);
    nsamp_job_destroy(job);
}

/* A product, whose last written key varies fastest, whichever comes first in the table. */
static void test_product(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(
        read_text(
            job, "[target]\nrho = 0, 0.5, 0.9\n[system]\ngeometry = naive, natural\n[run]\nchains = 3:-1:2\n",
            &err),
        NSAMP_OK);
    assert_int_equal(nsamp_job_sweep_count(job), 12);
    static const char *const expected[] = {"target.rho=0 system.geometry=naive run.chains=3",
                                           "target.rho=0 system.geometry=naive run.chains=2",
                                           "target.rho=0 system.geometry=natural run.chains=3"};
    char label[128];
    for (size_t k = 0; k < 3; k++) {
        nsamp_job_destroy(nsamp_job_sweep_at(job, k, label, sizeof label));
        assert_string_equal(label, expected[k]);
    }
    nsamp_job *last = nsamp_job_sweep_at(job, 11, label, sizeof label);
    assert_string_equal(label, "target.rho=0.9 system.geometry=natural run.chains=2");
    assert_true(nsamp_job_is(last, NSAMP_KEY_system_geometry, "natural"));
    char small[8];
    nsamp_job_destroy(nsamp_job_sweep_at(job, 0, small, sizeof small));
    assert_string_equal(small, "target.");
    assert_int_equal(nsamp_job_set(job, "run.seed", "1:1:200000", &err), NSAMP_EUSAGE);
    assert_says(&err, "more than 1000000 jobs");
    nsamp_job_destroy(last);
    nsamp_job_destroy(job);
}

static void test_sweep_ends(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t count;
        double last;
    } cases[] = {{"0:0.1:0.3", 4, 0.3},
                 {"0:0.1:0.35", 4, 0.3},
                 {"1:-0.25:0", 5, 0.0},
                 {"0.5:1:0.5", 1, 0.5},
                 {"0:0.3333333333333333:1", 4, 1.0},
                 {"0,0.2:0.1:0.4", 4, 0.4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nsamp_error err = {0};
        nsamp_job *job = nsamp_job_create();
        assert_int_equal(nsamp_job_set(job, "target.rho", cases[i].text, &err), NSAMP_OK);
        assert_int_equal(nsamp_job_sweep_count(job), cases[i].count);
        nsamp_job *point = nsamp_job_sweep_at(job, cases[i].count - 1, NULL, 0);
        assert_true(nsamp_job_real(point, NSAMP_KEY_target_rho) == cases[i].last);
        nsamp_job_destroy(point);
        nsamp_job_destroy(job);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_sweeps), cmocka_unit_test(test_product),
                                       cmocka_unit_test(test_sweep_ends)};
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
