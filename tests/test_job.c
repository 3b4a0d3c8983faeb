/* test_job.c: job files, values, ranges, digests; what is refused and with which words. */
#include <glob.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "job/job.h"
#include "job/nearest.h"
#include "job/number.h"
#include "says.h"

static char folder[] = "/tmp/nsamp_test_job_XXXXXX";
static char path[64];

static void write_bytes(const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static nsamp_status read_bytes(nsamp_job *job, const void *bytes, size_t size, nsamp_error *err) {
    write_bytes(bytes, size);
    return nsamp_job_read(job, path, err);
}

static nsamp_status read_text(nsamp_job *job, const char *text, nsamp_error *err) {
    return read_bytes(job, text, strlen(text), err);
}

static void assert_same_identity(const nsamp_job *a, const nsamp_job *b) {
    char *one = nsamp_job_identity(a), *other = nsamp_job_identity(b);
    assert_non_null(one);
    assert_non_null(other);
    assert_string_equal(one, other);
    free(one);
    free(other);
}

/* The text is refused with the status, and the message holds each of the parts. */
static void refuse_as(nsamp_status status, const char *text, const char *part1, const char *part2) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create(), *before = nsamp_job_create();
    assert_int_equal(read_text(job, text, &err), status);
    assert_int_equal(err.status, status);
    assert_says(&err, part1);
    assert_says(&err, part2);
    assert_same_identity(job, before);
    nsamp_job_destroy(before);
    nsamp_job_destroy(job);
}

static void refuse(const char *text, const char *part1, const char *part2) {
    refuse_as(NSAMP_EUSAGE, text, part1, part2);
}

static void test_defaults(void **state) {
    (void)state;
    nsamp_job *job = nsamp_job_create();
    assert_non_null(job);
    assert_int_equal(nsamp_job_int(job, NSAMP_KEY_run_chains), 1024);
    assert_true(nsamp_job_real(job, NSAMP_KEY_system_dt) == 0.05);
    assert_true(nsamp_job_is(job, NSAMP_KEY_system_geometry, "naive"));
    assert_false(nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural"));
    assert_true(nsamp_job_bool(job, NSAMP_KEY_system_leak));
    assert_string_equal(nsamp_job_text(job, NSAMP_KEY_output_file), "");
    assert_string_equal(nsamp_job_origin(job, NSAMP_KEY_run_chains), "default");
    size_t n = 0;
    const double *means = nsamp_job_reals(job, NSAMP_KEY_target_means, &n);
    assert_int_equal(n, 2);
    assert_true(means[0] == -1.0 && means[1] == 1.0);
    assert_int_equal(nsamp_job_sweep_count(job), 1);
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        assert_false(nsamp_job_is_set(job, k));
    nsamp_job_destroy(job);
}

/* The table itself: names are unique and findable, defaults obey their ranges, each key explains itself. */
static void test_table(void **state) {
    (void)state;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        const nsamp_option *o = &nsamp_options[k];
        char name[128], valid[256];
        snprintf(name, sizeof name, "%s.%s", o->section, o->key);
        assert_int_equal(nsamp_key_find(name), k);
        assert_true(strlen(o->help) > 3);
        assert_true(o->min <= o->max);
        assert_int_equal(o->type == NSAMP_CHOICE, o->choices[0] != 0);
        nsamp_option_valid(k, valid, sizeof valid);
        assert_true(valid[0] != 0);
    }
    assert_int_equal(nsamp_key_find("run.chain"), NSAMP_KEY_count);
    assert_int_equal(nsamp_key_find("chains"), NSAMP_KEY_count);
    assert_int_equal(nsamp_key_find("ru.chains"), NSAMP_KEY_count);
    assert_int_equal(nsamp_key_find(""), NSAMP_KEY_count);
}

static void test_file(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    const char *text =
        "\xEF\xBB\xBF; a comment\n# another\n[system]\r\n  geometry = natural ; "
        "why\r\n\tdt=1e-3\n\n[target]\n"
        "name : mixture\nmeans = -1, 0\n   1 2e0\n   ; between\n   3\nfile = a b.txt\n[run]\nchains = 1e6";
    assert_int_equal(read_text(job, text, &err), NSAMP_OK);
    assert_true(nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural"));
    assert_true(nsamp_job_real(job, NSAMP_KEY_system_dt) == 1e-3);
    assert_int_equal(nsamp_job_int(job, NSAMP_KEY_run_chains), 1000000);
    assert_string_equal(nsamp_job_text(job, NSAMP_KEY_target_file), "a b.txt");
    size_t n = 0;
    const double *means = nsamp_job_reals(job, NSAMP_KEY_target_means, &n);
    assert_int_equal(n, 5);
    for (int i = 0; i < 5; i++)
        assert_true(means[i] == i - 1.0);
    char origin[96];
    snprintf(origin, sizeof origin, "%s:4", path);
    assert_string_equal(nsamp_job_origin(job, NSAMP_KEY_system_geometry), origin);
    assert_true(nsamp_job_is_set(job, NSAMP_KEY_system_dt));
    nsamp_job_destroy(job);
}

static void test_precedence(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_job_set_from(job, "run.chains", "7", "command line", &err), NSAMP_OK);
    assert_int_equal(read_text(job, "[run]\nchains = 5\nsteps = 6\n", &err), NSAMP_OK);
    assert_int_equal(nsamp_job_int(job, NSAMP_KEY_run_chains), 7);
    assert_int_equal(nsamp_job_int(job, NSAMP_KEY_run_steps), 6);
    assert_string_equal(nsamp_job_origin(job, NSAMP_KEY_run_chains), "command line");
    assert_int_equal(read_text(job, "[run]\nsteps = 8\n", &err), NSAMP_OK);
    assert_int_equal(nsamp_job_int(job, NSAMP_KEY_run_steps), 8);
    assert_int_equal(nsamp_job_set(job, "run.steps", "9", &err), NSAMP_OK);
    assert_string_equal(nsamp_job_origin(job, NSAMP_KEY_run_steps), "api");
    nsamp_job *copy = nsamp_job_copy(job);
    nsamp_job_destroy(job);
    assert_int_equal(nsamp_job_int(copy, NSAMP_KEY_run_steps), 9);
    assert_int_equal(nsamp_job_int(copy, NSAMP_KEY_run_chains), 7);
    nsamp_job_destroy(copy);
}

static void test_refused_files(void **state) {
    (void)state;
    char where[96];
    refuse("", "no keys", path);
    refuse("; only this\n\n", "no keys", path);
    refuse("[run]\n", "no keys", path);
    snprintf(where, sizeof where, "%s:3: ", path);
    refuse("[run]\nseed = 1\nchain = 5\n", where, "run.chains");
    refuse("[run]\nseed = 1\ndt = 5\n", where, "system.dt");
    refuse("[run]\nseed = 1\n[tarqet]\n", where, "[target]");
    refuse("[run]\nseed = 1\njunk\n", where, "neither");
    refuse("[run]\nseed = 1\n[target\n", where, "bracket");
    refuse("[run]\nseed = 1\n[target] dim = 4\n", where, "next line");
    refuse("[run]\nseed = 1\nchains = 0\nsteps = x\n", where,
           "run.chains = 0: is out of range; valid: a whole number from 1 to 2^32");
    refuse("[run]\nsteps = 3\nseed = 1\nsteps = 3\n", "given twice", "lines 2 and 4");
    refuse("[run]\nsteps = 3\n[run]\nsteps = 3\n", "given twice", "lines 2 and 4");
    refuse("[run]\nsteps = 3\n  seed = 3\n  steps = 4\n", "given twice", "lines 2 and 4");
    refuse("[output]\nfile: a\n[output]\n  file: b\n", "given twice", "lines 2 and 4");
    refuse("chains = 4\n", "before the first section", ":1: ");
    /* the first fault is the one that is named */
    refuse("[run]\nseed = -1\nchain = 5\n", "run.seed = -1", ":2: ");
    refuse("[run]\nchain = 5\nseed = -1\n", "run.chain;", ":2: ");
    /* a value goes on over indented lines only where a list is meant */
    refuse("[run]\nchains = 1\n  2\n", "1 2", "not a number");
}

static void test_refused_bytes(void **state) {
    (void)state;
    static const char elf[] = "\x7f"
                              "ELF\x02\x01\x01\0\0\0";
    static const char nul[] = "[run]\nchains = 5\0\n";
    static const char bell[] = "[run]\nchains = 5\a\n";
    static const char mac[] = "[run]\rchains = 5\r";
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(read_bytes(job, elf, sizeof elf, &err), NSAMP_EUSAGE);
    assert_says(&err, "not a text file (byte 0x7f)");
    assert_int_equal(read_bytes(job, nul, sizeof nul - 1, &err), NSAMP_EUSAGE);
    assert_says(&err, ":2: not a text file (byte 0x00)");
    assert_int_equal(read_bytes(job, bell, sizeof bell - 1, &err), NSAMP_EUSAGE);
    assert_says(&err, "0x07");
    assert_int_equal(read_bytes(job, mac, sizeof mac - 1, &err), NSAMP_EUSAGE);
    assert_says(&err, "0x0d");
    char *big = malloc((1 << 20) + 10);
    memset(big, ';', (1 << 20) + 10);
    assert_int_equal(read_bytes(job, big, (1 << 20) + 10, &err), NSAMP_EUSAGE);
    assert_says(&err, "1 MiB");
    free(big);
    assert_int_equal(nsamp_job_read(job, folder, &err), NSAMP_EIO);
    assert_says(&err, "folder");
    assert_int_equal(nsamp_job_read(job, "/nonexistent/a.ini", &err), NSAMP_EIO);
    assert_says(&err, "/nonexistent/a.ini");
    assert_int_equal(nsamp_job_read(job, "/dev/zero", &err), NSAMP_EUSAGE);
    nsamp_job_destroy(job);
}

/* No line is ever cut: it is taken whole or refused by name. */
static void test_long_lines(void **state) {
    (void)state;
    nsamp_error err = {0};
    for (size_t len = 1; len < 1000; len++) {
        char text[1100] = "[output]\nfile = ", expected[1100] = "";
        memset(expected, 'x', len);
        expected[len - 1] = 'y';
        strcat(text, expected);
        nsamp_job *job = nsamp_job_create();
        nsamp_status status = read_text(job, text, &err);
        if (!status) {
            assert_string_equal(nsamp_job_text(job, NSAMP_KEY_output_file), expected);
        } else {
            assert_int_equal(status, NSAMP_EUSAGE);
            assert_says(&err, ":2: a line of");
            assert_true(len > 150);
        }
        nsamp_job_destroy(job);
    }
    /* long comments are nobody's business */
    char text[2000] = "[run]\n;";
    memset(text + 7, 'c', 1500);
    strcat(text, "\nchains = 3\n");
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(read_text(job, text, &err), NSAMP_OK);
    nsamp_job_destroy(job);
}

static void refuse_value(const char *key, const char *value, const char *part1, const char *part2) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_job_set_from(job, key, value, "command line", &err), NSAMP_EUSAGE);
    assert_says(&err, "command line: ");
    assert_says(&err, part1);
    assert_says(&err, part2);
    nsamp_job_destroy(job);
}

static void test_refused_values(void **state) {
    (void)state;
    static const char *const bad[] = {"",   " ",  "x",   "1x",      "1 2",   "0x10",  "1e",    "1e+",
                                      ".",  "-",  "+-1", "inf",     "nan",   "-inf",  "1..2",  "1,,2",
                                      "1,", ",1", "1:2", "1:1:2:3", "1:0:2", "2:1:1", "1:x:2", "1e400"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refuse_value("run.chains", bad[i], "run.chains = ", "valid: a whole number");
        refuse_value("system.gain", bad[i], "system.gain = ", "valid: a number from 1e-09 to 1e+09");
        if (!strchr(bad[i], ':') && strcmp(bad[i], "1 2") != 0)
            refuse_value("train.sigmas", bad[i], "train.sigmas = ", "valid: numbers from");
    }
    refuse_value("run.chains", "1.5", "is not a whole number", "");
    refuse_value("run.chains", "1e-1", "is not a whole number", "");
    refuse_value("run.chains", "1e12", "run.chains = 1e12: is out of range", "from 1 to 2^32");
    refuse_value("run.chains", "99999999999999999999", "64-bit", "");
    refuse_value("run.chains", "4294967297", "out of range", "");
    refuse_value("run.chains", "1:1:1e12", "1000000 points", "");
    refuse_value("system.gain", "1:1e-9:1e9", "1000000 points", "");
    refuse_value("system.gain", "1e-400", "too small", "");
    refuse_value("target.rho", "1.5", "target.rho = 1.5: is out of range", "from -1 to 1");
    refuse_value("target.rho", "0:0.5:2", "out of range", "from -1 to 1");
    refuse_value("system.geometry", "natual", "nearest: natural", "naive|natural");
    refuse_value("system.geometry", "", "not known", "naive|natural");
    refuse_value("run.dry", "maybe", "neither yes nor no", "yes or no");
    refuse_value("output.file", "a\nb", "control character", "0x0a");
    refuse_value("chains", "5", "keys are section.key", "run.chains");
    refuse_value("run.chians", "5", "unknown key run.chians", "run.chains");
    refuse_value("rnu.chains", "5", "unknown section", "run.chains");
    refuse_value("", "5", "not a key", "");
    refuse_value("run.seed", "-1", "out of range", "2^63 - 1");
    /* long values are cut in messages only */
    char big[3000];
    memset(big, '7', sizeof big - 1);
    big[sizeof big - 1] = 0;
    refuse_value("run.chains", big, "7777...: does not fit", "");
}

static void test_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } whole[] = {{"0", 0},
                 {"-0", 0},
                 {"007", 7},
                 {"1e6", 1000000},
                 {"2.5e3", 2500},
                 {"+3", 3},
                 {"1.000", 1},
                 {"10.0e-1", 1},
                 {"1e18", 1000000000000000000},
                 {"1E2", 100},
                 {"0e9999", 0},
                 {"0.000e5", 0},
                 {"12300e-2", 123},
                 {"0.5e1", 5},
                 {"9223372036854775807", INT64_MAX},
                 {"-9223372036854775807", -INT64_MAX},
                 {"9.223372036854775807e18", INT64_MAX},
                 {"1000000000000000000000e-3", 1000000000000000000}};
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
        int64_t v = -77;
        assert_null(nsamp_number_int(whole[i].text, &v));
        assert_true(v == whole[i].value);
    }
    int64_t v;
    assert_non_null(nsamp_number_int("9223372036854775808", &v));
    assert_non_null(nsamp_number_int("1e19", &v));
    assert_non_null(nsamp_number_int("1e999999999999999999999", &v));
    assert_non_null(nsamp_number_int("1e-999999999999999999999", &v));
    static const double reals[] = {0.1,  1.0 / 3.0, 5e-324, 1.7976931348623157e308,
                                   -2.5, 0.0,       1e22,   123456789.0};
    for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
        char text[40];
        double back = -1.0;
        nsamp_number_text(reals[i], text, sizeof text);
        assert_null(nsamp_number_real(text, &back));
        assert_true(back == reals[i]);
    }
    char text[40];
    nsamp_number_text(0.1, text, sizeof text);
    assert_string_equal(text, "0.1");
}

static char *identity_with(const char *key, const char *value) {
    nsamp_job *job = nsamp_job_create();
    nsamp_error err = {0};
    assert_int_equal(nsamp_job_set(job, key, value, &err), NSAMP_OK);
    char *identity = nsamp_job_identity(job);
    assert_non_null(identity);
    nsamp_job_destroy(job);
    return identity;
}

/* Whether the job with this value is the job of the identity. */
static bool is_same(const char *identity, const char *key, const char *value) {
    char *other = identity_with(key, value);
    const bool same = !strcmp(identity, other);
    free(other);
    return same;
}

/* Values count, not spellings, and only what shapes the numbers; the output belongs to them. */
static void test_identity(void **state) {
    (void)state;
    char text[256], *before = identity_with("run.steps", "1000"), *other = identity_with("run.steps", "2000");
    assert_true(is_same(before, "run.steps", "1e3"));
    assert_null(strstr(before, "run.threads"));
    assert_non_null(strstr(before, "output.file = \n"));
    assert_null(strstr(before, "output.overwrite"));
    nsamp_identity_difference(before, other, text, sizeof text);
    assert_string_equal(text, "run.steps is 1000 there, 2000 here");
    nsamp_identity_difference("", before, text, sizeof text);
    assert_non_null(strstr(text, "not known there"));
    nsamp_identity_difference(before, "", text, sizeof text);
    assert_non_null(strstr(text, "keys that this job has not"));
    free(before);
    free(other);
}

/* A job of a file is another job once the file holds something else, wherever in it. */
static void test_identity_of_files(void **state) {
    (void)state;
    static const char *const key[] = {"system.model", "target.file", "data.images", "data.labels"};
    char bytes[40000] = {0};
    for (int i = 0; i < 4; i++) {
        write_bytes(bytes, sizeof bytes);
        char *before = identity_with(key[i], path);
        assert_true(is_same(before, key[i], path));
        bytes[sizeof bytes - 1] ^= 1;
        write_bytes(bytes, sizeof bytes);
        assert_false(is_same(before, key[i], path));
        write_bytes(bytes, sizeof bytes - 1);
        assert_false(is_same(before, key[i], path));
        free(before);
    }
}

/* Keys that shape the numbers of a run, and some that do not. */
static void test_what_shapes(void **state) {
    (void)state;
    static const char *const same[][2] = {{"run.threads", "3"},
                                          {"run.chains", "1.024e3"},
                                          {"output.overwrite", "yes"},
                                          {"run.backend", "cpu"},
                                          {"run.max_walltime_s", "5"}},
                             *const other[][2] = {{"run.chains", "1025"},     {"run.seed", "2"},
                                                  {"target.rho", "0.25"},     {"system.model", "a.nc"},
                                                  {"train.hidden", "17"},     {"system.geometry", "natural"},
                                                  {"target.means", "-1 1 0"}, {"output.file", "x.nc"}};
    char *plain = identity_with("run.chains", "1024");
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        assert_true(is_same(plain, same[i][0], same[i][1]));
    for (size_t i = 0; i < sizeof other / sizeof *other; i++)
        assert_false(is_same(plain, other[i][0], other[i][1]));
    free(plain);
}

static void test_nearest(void **state) {
    (void)state;
    assert_int_equal(nsamp_edit_distance("", "abc"), 3);
    assert_int_equal(nsamp_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(nsamp_edit_distance("chians", "chains"), 1);
    assert_int_equal(nsamp_edit_distance("same", "same"), 0);
    assert_int_equal(nsamp_nearest_key("run.chians"), NSAMP_KEY_run_chains);
    assert_int_equal(nsamp_nearest_key("run.geometry"), NSAMP_KEY_system_geometry);
    assert_int_equal(nsamp_nearest_key("burnin"), NSAMP_KEY_run_burn_in);
    assert_string_equal(nsamp_nearest_section("sytem"), "system");
}

static void test_fail(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_job_set_from(job, "target.rho", "-0.5", "command line", &err), NSAMP_OK);
    assert_int_equal(
        nsamp_job_fail(job, NSAMP_KEY_target_rho, &err, "must be above %g for dim %d", -1.0 / 9.0, 10),
        NSAMP_EUSAGE);
    assert_string_equal(err.text, "command line: target.rho = -0.5: must be above -0.111111 for dim 10");
    nsamp_job_destroy(job);
}

/* The example jobs that come with nsamp (tests run in the source tree). */
static void test_examples(void **state) {
    (void)state;
    glob_t found;
    assert_int_equal(glob("jobs/*.ini", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 13);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        nsamp_error err = {0};
        nsamp_job *job = nsamp_job_create();
        if (nsamp_job_read(job, found.gl_pathv[i], &err)) fail_msg("%s", err.text);
        nsamp_job_destroy(job);
    }
    globfree(&found);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),      cmocka_unit_test(test_table),
        cmocka_unit_test(test_file),          cmocka_unit_test(test_precedence),
        cmocka_unit_test(test_refused_files), cmocka_unit_test(test_refused_bytes),
        cmocka_unit_test(test_long_lines),    cmocka_unit_test(test_refused_values),
        cmocka_unit_test(test_numbers),       cmocka_unit_test(test_what_shapes),
        cmocka_unit_test(test_identity),      cmocka_unit_test(test_identity_of_files),
        cmocka_unit_test(test_nearest),       cmocka_unit_test(test_fail),
        cmocka_unit_test(test_examples),
    };
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/a.ini", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    rmdir(folder);
    return failed;
}
