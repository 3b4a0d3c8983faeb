/* test_stats_report.c: an output file read back: the same numbers, the draws against their target, table and
 * JSON; files that are not outputs are refused in one line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <netcdf.h>

#include "sample_run.h"
#include "scratch.h"
#include "stats/compare.h"
#include "stats/report.h"

static void near(double a, double b, double within) {
    if (!(fabs(a - b) <= within)) fail_msg("%.12g is not %.12g within %.3g", a, b, within);
}

static nsamp_result *open_result(const char *path) {
    nsamp_result *r;
    nsamp_error err;
    if (nsamp_result_open(path, &r, &err)) fail_msg("%s", err.text);
    return r;
}

static void reads_what_was_written(void **state) {
    (void)state;
    const sample_run s = {3, 0.5, 0.25, UINT64_MAX, 1, 4};
    run_make(scratch("a.nc"), &s, "0.25");
    nsamp_result *r = open_result(scratch("a.nc"));
    assert_int_equal(r->dim, 3);
    assert_int_equal(r->chains, RUN_CHAINS);
    assert_int_equal(r->draws, RUN_DRAWS);
    assert_true(r->steps[0] == 10 && r->steps[RUN_DRAWS - 1] == 1000);
    assert_string_equal(nsamp_job_text(r->job, NSAMP_KEY_target_rho), "0.25");
    assert_string_equal(r->source, "made for a test");
    assert_true(nsamp_result_number(r, "moments", "steps") == 1000);
    assert_true(isnan(nsamp_result_number(r, "moments", "no such thing")));
    const nsamp_result_array *cov = nsamp_result_find(r, "moments", "cov"),
                             *rate = nsamp_result_find(r, "statistics", "rate");
    assert_true(cov && cov->rank == 2 && cov->count == 9 && cov->columns == 3);
    assert_true(rate && rate->count == 3 && rate->value[1] == 20);
    assert_string_equal(rate->unit, "Hz");
    float *expected = run_draws(&s), *none, *x;
    nsamp_error err;
    assert_int_equal(nsamp_result_draws(r, 5, 40, &x, &err), NSAMP_OK); /* [5][60][3] of [draws][chains][3] */
    for (size_t c = 0; c < 5; c++)
        for (size_t t = 40; t < RUN_DRAWS; t++)
            for (size_t i = 0; i < 3; i++)
                assert_true(x[(c * 60 + t - 40) * 3 + i] == expected[(c * RUN_DRAWS + t) * 3 + i]);
    assert_int_equal(nsamp_result_draws(r, RUN_CHAINS + 1, 0, &none, &err), NSAMP_EINTERNAL);
    assert_null(none);
    free(expected);
    free(x);
    run_make(scratch("a.nc"), &s, "0.25"); /* another file of this name: not read as if it were the first */
    assert_int_equal(nsamp_result_draws(r, 5, 40, &none, &err), NSAMP_EIO);
    assert_null(none);
    assert_non_null(strstr(err.text, "was changed"));
    nsamp_result_close(r);
}

/* Of the target itself: no distance beyond what exact draws have. Of another correlation: the exact KL,
 * within its error. */
static void distances_to_the_target(void **state) {
    (void)state;
    nsamp_error err;
    const sample_run s = {2, 0.3, 0.5, 7, 1, 9};
    const char *const rhos[2] = {"0.5", "0.2"};
    for (int k = 0; k < 2; k++) {
        run_make(scratch("d.nc"), &s, rhos[k]);
        nsamp_result *r = open_result(scratch("d.nc"));
        assert_int_equal(nsamp_compare(r, &err), NSAMP_OK);
        assert_true(nsamp_result_number(r, "draws", "chains") ==
                    RUN_CHAINS - 1); /* the broken one is left out */
        const double rho = k ? 0.2 : 0.5, ratio = (1 - 0.25) / (1 - rho * rho);
        const double kl = (1 - rho * 0.5) / (1 - rho * rho) - 1 - 0.5 * log(ratio);
        const double se = nsamp_result_number(r, "distances", "kl_se");
        near(nsamp_result_number(r, "distances", "kl"), kl - 0.1 * kl, 5.5 * se + 0.1 * kl);
        assert_true(se < 0.02);
        const double floor_ = nsamp_result_number(r, "distances", "frechet_floor");
        const double frechet = nsamp_result_number(r, "distances", "frechet");
        /* covariances of the same eigenvectors, 1 +- rho: sum of (difference of square roots)^2 */
        const double exact = pow(sqrt(1.5) - sqrt(1 + rho), 2) + pow(sqrt(0.5) - sqrt(1 - rho), 2);
        near(frechet, exact, 0.02);
        assert_true(floor_ > 0 && floor_ < 0.01);
        const nsamp_result_array *w1 = nsamp_result_find(r, "distances", "w1");
        const nsamp_result_array *tau = nsamp_result_find(r, "draws", "tau_steps");
        assert_true(w1->count == 2 && w1->value[0] < 0.08 &&
                    w1->value[1] < 0.08); /* marginals agree in both cases */
        near(tau->value[0], RUN_EVERY * 1.3 / 0.7, 0.25 * RUN_EVERY * 1.3 / 0.7);
        near(nsamp_result_find(r, "draws", "excess_kurtosis")->value[1], 0,
             5.5 * nsamp_result_find(r, "draws", "excess_kurtosis_se")->value[1]);
        nsamp_result_close(r);
    }
}

static char *report(const char *path, bool json) {
    char *text;
    nsamp_error err;
    if (nsamp_report(path, json, &text, NULL, &err)) fail_msg("%s", err.text);
    return text;
}

static void assert_holds(const char *text, const char *part) {
    if (!text || !strstr(text, part)) fail_msg("no \"%s\" in:\n%s", part, text ? text : "");
}

static void table(void **state) {
    (void)state;
    const sample_run s = {12, 0.3, 0.5, 7, 1, 11};
    run_make(scratch("t.nc"), &s, "0.5");
    char *text = report(scratch("t.nc"), false);
    assert_holds(text, "langevin on equicorrelated, dimension 12");
    assert_holds(text, "64 chains, 1000 steps each, 1 diverged (first: chain 7 at step 500)");
    assert_holds(text, "... and 2 more");
    assert_holds(text, "rate (Hz): 3 entries, mean 20, 10 to 30");
    assert_holds(text, "largest |z| of rate: 3.0 (entry 1)");
    assert_holds(text, "Frechet distance");
    assert_holds(text, "law: made for a test");
    assert_null(strstr(text, "KL("));
    free(text);
    const sample_run bare = {1, 0.3, 0.0, UINT64_MAX, 0, 12};
    run_make(scratch("t.nc"), &bare, "0.5");
    text = report(scratch("t.nc"), false);
    assert_null(strstr(text, "stored draws"));
    free(text);
}

static void json(void **state) {
    (void)state;
    const sample_run s = {2, 0.3, 0.5, UINT64_MAX, 1, 13};
    run_make(scratch("quo\"te.nc"), &s, "0.5");
    char *text = report(scratch("quo\"te.nc"), true);
    json_error_t why;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (!root) fail_msg("%s in %s", why.text, text);
    assert_string_equal(json_string_value(json_object_get(root, "file")), scratch("quo\"te.nc"));
    assert_true(json_real_value(json_object_get(json_object_get(root, "job"), "target.rho")) == 0.5);
    const json_t *rate = json_object_get(json_object_get(root, "statistics"), "rate_se"),
                 *moments = json_object_get(root, "moments"), *cov = json_object_get(moments, "cov");
    assert_int_equal(json_array_size(rate), 3);
    assert_true(json_number_value(json_array_get(rate, 2)) == 1);
    assert_int_equal(json_array_size(cov), 2);
    assert_int_equal(json_array_size(json_array_get(cov, 1)), 2);
    nsamp_result *r = open_result(scratch("quo\"te.nc"));
    assert_true(json_number_value(json_array_get(json_object_get(moments, "var"), 0)) ==
                nsamp_result_number(r, "moments", "var")); /* the same double */
    nsamp_result_close(r);
    json_decref(root);
    free(text);
}

/* ---- what is no output ---- */

static void put(const char *path, const char *bytes, size_t n) {
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) abort();
}

static void refuse(const char *path, nsamp_status expected) {
    char *text;
    nsamp_error err = {0};
    assert_int_equal(nsamp_report(path, false, &text, NULL, &err), expected);
    assert_null(text);
    assert_true(*err.text && !strchr(err.text, '\n'));
    assert_holds(err.text, path);
}

static void bad_files(void **state) {
    (void)state;
    refuse(scratch("missing.nc"), NSAMP_EIO);
    refuse(scratch_folder, NSAMP_EIO);
    put(scratch("empty.nc"), "", 0);
    refuse(scratch("empty.nc"), NSAMP_EIO);
    put(scratch("text.nc"), "[system]\nname = langevin\n", 25);
    refuse(scratch("text.nc"), NSAMP_EIO);
    refuse("/dev/null", NSAMP_EIO);
    /* a netCDF file of somebody else: one dimension, classic format, nothing in it */
    static const char classic[] = "CDF\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    put(scratch("classic.nc"), classic, 32);
    refuse(scratch("classic.nc"), NSAMP_EUSAGE);
}

/* Every truncation of a good file is refused or read, and nothing else happens. */
static void truncated(void **state) {
    (void)state;
    const sample_run s = {2, 0.3, 0.5, UINT64_MAX, 1, 14};
    run_make(scratch("whole.nc"), &s, "0.5");
    static char bytes[1 << 20];
    FILE *f = fopen(scratch("whole.nc"), "rb");
    const size_t n = f ? fread(bytes, 1, sizeof bytes, f) : 0;
    if (f) fclose(f);
    assert_true(n > 10000 && n < sizeof bytes);
    for (size_t k = 0; k < 60; k++) {
        put(scratch("cut.nc"), bytes, n * k / 60);
        refuse(scratch("cut.nc"), NSAMP_EIO);
    }
}

/* A file of the right groups and names and any shape: dim of the moments, and chains, draws, dim of the draws. */
static void craft(const char *path, const size_t shape[4]) {
    int file, group, dims[3], var, rc = nc_create(path, NC_NETCDF4 | NC_CLOBBER, &file);
    rc |= nc_put_att_text(file, NC_GLOBAL, "target.rho", 3, "0.5");
    rc |= nc_def_grp(file, "moments", &group) | nc_def_dim(group, "dim", shape[0], &dims[0]);
    rc |= nc_def_var(group, "mean", NC_DOUBLE, 1, dims, &var) | nc_def_grp(file, "posterior", &group);
    static const char *const names[3] = {"chain", "draw", "dim"};
    for (int k = 0; k < 3; k++)
        rc |= nc_def_dim(group, names[k], shape[k + 1], &dims[k]);
    rc |= nc_def_var(group, "draw", NC_INT64, 1, &dims[1], &var);
    rc |= nc_def_var(group, "x", NC_FLOAT, 3, dims, &var) | nc_close(file);
    if (rc) abort();
}

static void absurd_shapes(void **state) {
    (void)state;
    char *text;
    nsamp_error err;
    static const size_t bad[][4] = {{0, 3, 5, 0}, {4, 3, 5, 2}, {2, 1u << 30, 1u << 20, 2}};
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        craft(scratch("crafted.nc"), bad[k]);
        const nsamp_status status = nsamp_report(scratch("crafted.nc"), false, &text, NULL, &err);
        assert_true((status == NSAMP_EIO || status == NSAMP_EUSAGE) && !text);
    }
    static const size_t odd[][4] = {{2, 3, 5, 2}, {1, 0, 0, 1}, {1, 1, 1, 1}};
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) { /* nearly nothing in it, but not wrong */
        craft(scratch("crafted.nc"), odd[k]);
        text = report(scratch("crafted.nc"), k % 2);
        assert_true(*text);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(distances_to_the_target),
        cmocka_unit_test(table),
        cmocka_unit_test(json),
        cmocka_unit_test(bad_files),
        cmocka_unit_test(truncated),
        cmocka_unit_test(absurd_shapes),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
