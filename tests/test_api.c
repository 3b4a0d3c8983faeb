/* test_api.c: the program at the head of nsamp.h, compiled by the Makefile exactly as it stands there, runs
 * and prints what it should; and the public calls in wrong order or with nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "nsamp.h"

static void test_example(void **state) {
    (void)state;
    char path[4096], text[256] = "";
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    assert_true(n > 0);
    path[n] = 0;
    strcpy(strrchr(path, '/') + 1, "api_example");
    FILE *pipe = popen(path, "r");
    assert_non_null(pipe);
    assert_non_null(fgets(text, sizeof text, pipe));
    assert_int_equal(pclose(pipe), 0);
    double var, se;
    if (sscanf(text, "var[0] = %lf +- %lf", &var, &se) != 2) fail_msg("printed '%s'", text);
    assert_true(se > 0 && se < 0.1);
    assert_true(fabs(var - 1 / (1 - 0.05 / 2)) < 6 * se); /* natural geometry, exact for the Euler steps */
}

static void test_destroy_nothing(void **state) {
    (void)state;
    nsamp_job_destroy(NULL);
    nsamp_plan_destroy(NULL);
}

static void test_run_once(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    assert_int_equal(nsamp_job_set(job, "run.chains", "16", &err), NSAMP_OK);
    assert_int_equal(nsamp_plan_create(job, &plan, &err), NSAMP_OK);
    nsamp_job_destroy(job);
    assert_int_equal(nsamp_plan_run(plan, NULL, NULL, &err), NSAMP_OK);
    assert_int_equal(nsamp_plan_run(plan, NULL, NULL, &err), NSAMP_EINTERNAL);
    nsamp_plan_destroy(plan);
}

static void test_status_texts(void **state) {
    (void)state;
    assert_string_equal(nsamp_status_text(NSAMP_OK), "done");
    assert_string_equal(nsamp_status_text((nsamp_status)99), "unknown status");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_destroy_nothing),
        cmocka_unit_test(test_run_once),
        cmocka_unit_test(test_status_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
