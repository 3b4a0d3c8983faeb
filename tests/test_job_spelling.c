/* test_job_spelling.c: characters that look like others, decimal commas, quotes and comments in jobs: one line that names the character and
 * where it stands, or taken as meant. Other files and values: test_job.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "job/job.h"
#include "says.h"

static nsamp_status read_text(nsamp_job *job, const char *text, nsamp_error *err) {
    return nsamp_job_parse(job, "a.ini", text, strlen(text), err);
}

static void file_says(const char *text, const char *part) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(read_text(job, text, &err), NSAMP_EUSAGE);
    assert_says(&err, part);
    nsamp_job_destroy(job);
}

static void value_says(const char *key, const char *value, const char *part) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    if (!nsamp_job_set_from(job, key, value, "command line", &err)) fail_msg("%s = %s is taken", key, value);
    assert_int_equal(err.status, NSAMP_EUSAGE);
    assert_says(&err, part);
    nsamp_job_destroy(job);
}

static void value_counts(const char *key, const char *value, size_t count) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    size_t n = 0;
    if (nsamp_job_set_from(job, key, value, "command line", &err)) fail_msg("%s", err.text);
    if (nsamp_options[nsamp_key_find(key)].type == NSAMP_REALS)
        nsamp_job_reals(job, nsamp_key_find(key), &n);
    else
        n = nsamp_job_sweep_count(job);
    assert_int_equal(n, count);
    nsamp_job_destroy(job);
}

/* The column counts characters of the line, whatever their bytes. */
static void test_lookalikes_in_files(void **state) {
    (void)state;
    file_says("[run]\nchains\xC2\xA0= 5\n", "a.ini:2: the key: column 7 is U+00A0 (a no-break space");
    file_says("[run]\nchains =\xC2\xA0"
              "5\n",
              "a.ini:2: run.chains: column 9 is U+00A0");
    file_says("\xEF\xBB\xBF[run]\n\tchains = 5\xE2\x80\x8B\n", "a.ini:2: run.chains: column 12 is U+200B");
    file_says("\xEF\xBB\xBF[r\xC3\xBCn]\nchains = 5\n", "a.ini:1: the section: column 3 is U+00FC");
    file_says("[run]\nseed = 2\n\xEF\xBB\xBF[target]\nrho = 0\n", "a.ini:3: the key: column 1 is U+FEFF");
    file_says("[target]\nrho = \xE2\x88\x92"
              "0.5\n",
              "a.ini:2: target.rho: column 7 is U+2212 (a minus sign: write -)");
    file_says("[run]\nchains \xEF\xBC\x9D 5\n", "column 8 is U+FF1D (a full-width equals sign: write =)");
    file_says("[target]\nmeans = -1\n  1 \xE2\x80\x93"
              "2\n",
              "a.ini:3: target.means: column 5 is U+2013");
    file_says("[run]\nchains = 5\xFF\n", "column 11 is the byte 0xff, which is no UTF-8");
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_job_parse(job, "a.ini", "\xFF\xFE[\0r\0", 6, &err), NSAMP_EUSAGE);
    assert_says(&err, "UTF-16");
    /* comments and names of files may hold anything */
    assert_int_equal(
        read_text(
            job,
            "[run]\r\nchains\t=\t5\t; \xC2\xA0\r\n# \xE2\x88\x92\r\n[output]\r\nfile = gr\xC3\xB6\xC3\x9F"
            "e.nc\r\n",
            &err),
        NSAMP_OK);
    assert_int_equal(nsamp_job_int(job, NSAMP_KEY_run_chains), 5);
    assert_string_equal(nsamp_job_text(job, NSAMP_KEY_output_file), "gr\xC3\xB6\xC3\x9F"
                                                                    "e.nc");
    nsamp_job_destroy(job);
}

static void test_lookalikes_in_words(void **state) {
    (void)state;
    value_says("run.chains", "\xEF\xBC\x91\xEF\xBC\x92",
               "character 1 of the value is U+FF11 (a full-width digit");
    value_says("run.chains",
               "1\xE2\x80\xAF"
               "000",
               "character 2 of the value is U+202F (a narrow no-break space");
    value_says("system.geometry", "na\xC3\xAFve", "character 3 of the value is U+00EF");
    value_says("run.dry", "yes\xC2\xA0", "character 4 of the value is U+00A0");
    value_says("run.\xC2\xA0"
               "chains",
               "5", "character 5 is U+00A0");
    value_says("output.file",
               "\xC2\xA0"
               "a.nc",
               "begins with U+00A0");
    value_says("output.file", "a.nc\xE2\x80\x8B", "ends with U+200B");
    value_says("output.file", "\"a b.nc\"", "without quotes");
    value_says("output.file", "'a b.nc'", "without quotes");
}

/* A list that could be a number with a decimal comma is refused; one that could not is taken. */
static void test_commas(void **state) {
    (void)state;
    value_says("target.rho", "0,5", "write 0.5, or for two values '0, 5'");
    value_says("system.dt", "1,2", "write 1.2");
    value_says("system.dt", "0,01,0,02", "write 0.01");
    value_says("system.dt", "0,01:0.01:1", "write 0.01");
    value_says("target.weights", "0,5 0,5", "write 0.5");
    value_says("train.sigmas", " 0,5", "write 0.5");
    value_says("run.chains", "1,000", "for one number write 1000");
    value_counts("target.rho", "0, 5e-1", 2);
    value_counts("target.rho", "0,0.5", 2);
    value_counts("target.rho", "0,-1", 2);
    value_counts("system.dt", "1, 2", 2);
    value_counts("system.dt", "1,2,5", 3);
    value_counts("run.chains", "10,100", 2);
    value_counts("target.means", "-1,1", 2);
    value_counts("target.means", "0,0", 2);
    value_counts("target.means", "0,1,0", 3);
    value_counts("target.means", "1,2", 2);
    value_counts("target.means", "-1, 0 1 2", 4);
}

/* A comment ends a line of a list as it ends any other. */
static void test_comments_go_on(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    size_t n = 0;
    if (read_text(job, "[target]\nmeans = -1 -1  ; the first\n    1 1\t; x = 3: no key\n  ; none\n  2 ;\n",
                  &err))
        fail_msg("%s", err.text);
    const double *means = nsamp_job_reals(job, NSAMP_KEY_target_means, &n);
    assert_int_equal(n, 5);
    for (size_t i = 0; i < n; i++)
        assert_true(means[i] == (i < 2 ? -1 : i < 4 ? 1 : 2));
    nsamp_job_destroy(job);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lookalikes_in_files),
                                       cmocka_unit_test(test_lookalikes_in_words),
                                       cmocka_unit_test(test_commas), cmocka_unit_test(test_comments_go_on)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
