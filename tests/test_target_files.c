/* test_target_files.c: what targets refuse, and how they say it: files, shapes, covariances, ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <netcdf.h>
#include <stdio.h>

#include "scratch.h"
#include "targets.h"

static const char *write_text(const char *text) {
    const char *path = scratch("file");
    scratch_write(path, text, strlen(text));
    return path;
}

/* The status, one line, and every word of `words` (separated by '|') in it. */
static void check_refused(nsamp_status wanted, const char *words, const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_target *t;
    const nsamp_status status = target_of(pairs, &t, &err);
    assert_null(t);
    if (status != wanted) fail_msg("status %d, wanted %d: %s", status, wanted, err.text);
    assert_null(strchr(err.text, '\n'));
    char list[256];
    snprintf(list, sizeof list, "%s", words);
    for (char *w = strtok(list, "|"); w; w = strtok(NULL, "|"))
        if (!strstr(err.text, w)) fail_msg("no '%s' in: %s", w, err.text);
}

#define REFUSED(status, words, ...) check_refused(status, words, (const char *const[]){__VA_ARGS__, NULL})
#define GAUSSIAN(status, words, text)                                                                        \
    REFUSED(status, words, "target.name", "gaussian", "target.file", write_text(text))
#define MIXTURE(status, words, text)                                                                         \
    REFUSED(status, words, "target.name", "mixture", "target.file", write_text(text))

static void test_unreadable(void **state) {
    (void)state;
    REFUSED(NSAMP_EUSAGE, "target.file|valid", "target.name", "gaussian");
    REFUSED(NSAMP_EIO, "nothing-here|No such file", "target.name", "gaussian", "target.file",
            scratch("nothing-here"));
    REFUSED(NSAMP_EIO, "is a folder", "target.name", "gaussian", "target.file", scratch_folder);
    REFUSED(NSAMP_EIO, "not a plain file", "target.name", "gaussian", "target.file", "/dev/zero");
    GAUSSIAN(NSAMP_EUSAGE, "no numbers", "");
    GAUSSIAN(NSAMP_EUSAGE, "no numbers", "# only this\n\n");
    GAUSSIAN(NSAMP_EUSAGE, "file:2|'two' is not a number", "1 2\n1 two\n");
    GAUSSIAN(NSAMP_EUSAGE, "file:2|'nan'", "0\nnan\n");
    GAUSSIAN(NSAMP_EUSAGE, "file:1|'inf'", "inf\n1\n");
    GAUSSIAN(NSAMP_EUSAGE, "file:2|'1e999'", "0\n1e999\n");
    const char binary[] = "1 2\n\0\x01\x02";
    const char *path = scratch("file");
    scratch_write(path, binary, sizeof binary);
    REFUSED(NSAMP_EUSAGE, "file:2|zero byte", "target.name", "gaussian", "target.file", path);
    REFUSED(NSAMP_EIO, "nothing-here", "target.name", "mixture", "target.file", scratch("nothing-here"));
}

/* The precision of builtin:decay is known: tridiagonal, (1 + rho^2) / (v (1 - rho^2)) inside and 1 / (v (1 - rho^2)) at the ends,
 * -rho / (v (1 - rho^2)) beside the diagonal. */
static void test_decay(void **state) {
    (void)state;
    nsamp_target *t = TARGET("target.name", "gaussian", "target.file", "builtin:decay", "target.dim", "4",
                             "target.rho", "-0.6", "target.variance", "2.5", "target.mean", "3");
    const double x[4] = {2.1, 4.7, 3.3, 0.2}, rho = -0.6, scale = 1 / (2.5 * (1 - rho * rho));
    double got[4];
    t->ops->score(t, x, got);
    for (int i = 0; i < 4; i++) {
        double want = -(1 + (i > 0 && i < 3 ? rho * rho : 0)) * (x[i] - 3);
        if (i > 0) want += rho * (x[i - 1] - 3);
        if (i < 3) want += rho * (x[i + 1] - 3);
        assert_close(got[i], scale * want, 1e-12);
        assert_true(t->mean[i] == 3);
    }
    assert_close(t->cov[3], 2.5 * rho * rho * rho, 1e-15);
    nsamp_target_destroy(t);
    REFUSED(NSAMP_EUSAGE, "builtin:decay", "target.name", "gaussian", "target.file", "builtin:delay");
    REFUSED(NSAMP_EUSAGE, "target.rho|below 1", "target.name", "gaussian", "target.file", "builtin:decay",
            "target.rho", "1");
    REFUSED(NSAMP_EUSAGE, "target.mean|target.dim = 4", "target.name", "gaussian", "target.file",
            "builtin:decay", "target.dim", "4", "target.mean", "1 2");
    REFUSED(NSAMP_EUSAGE, "dimension|10000", "target.name", "gaussian", "target.file", "builtin:decay",
            "target.dim", "10001");
}

static void test_shapes(void **state) {
    (void)state;
    GAUSSIAN(NSAMP_EUSAGE, "2 rows|valid: 3", "0 0\n1 0\n");
    GAUSSIAN(NSAMP_EUSAGE, "file:3|3 numbers|valid: 2", "0 0\n1 0\n0 1 1\n");
    REFUSED(NSAMP_EUSAGE, "target.dim|dimension 2", "target.name", "gaussian", "target.dim", "3",
            "target.file", write_text("0 0\n1 0\n0 1\n"));
    MIXTURE(NSAMP_EUSAGE, "file:2|2 numbers|valid: 1", "1 0\n1 1\n");
    MIXTURE(NSAMP_EUSAGE, "1 numbers", "1\n1\n");
    MIXTURE(NSAMP_EUSAGE, "5 rows|multiple of 3", "1 0 0\n1 0\n0 1\n1 0 0\n1 0\n");
    MIXTURE(NSAMP_EUSAGE, "target.file|weight 2 is -1", "1 0\n1\n-1 0\n1\n");
    MIXTURE(NSAMP_EUSAGE, "target.file|weight 1 is 0|above 0", "0 0\n1\n");
    REFUSED(NSAMP_EUSAGE, "target.sds|target.file is set too", "target.name", "mixture", "target.sds", "1",
            "target.file", write_text("1 0\n1\n"));
    REFUSED(NSAMP_EUSAGE, "target.sds|3 numbers|valid: 1, or 2", "target.name", "mixture", "target.sds",
            "1 1 1");
    REFUSED(NSAMP_EUSAGE, "target.means|3 numbers|2 x 1", "target.name", "mixture", "target.means", "1 2 3");
    REFUSED(NSAMP_EUSAGE, "target.means|4 numbers|2 x 3", "target.name", "mixture", "target.means", "1 2 3 4",
            "target.dim", "3");
    REFUSED(NSAMP_EUSAGE, "target.means|1 numbers|2 x 1", "target.name", "mixture", "target.means", "1");
    REFUSED(NSAMP_EUSAGE, "target.mean|2 numbers|3", "target.name", "equicorrelated", "target.dim", "3",
            "target.mean", "1 2");
}

static void test_covariances(void **state) {
    (void)state;
    GAUSSIAN(NSAMP_EUSAGE, "target.file|not symmetric|(2, 1) is 0.5|(1, 2) is 0.4", "0 0\n1 0.4\n0.5 1\n");
    GAUSSIAN(NSAMP_EUSAGE, "not positive definite|pivot 2 of 2 is -3", "0 0\n1 2\n2 1\n");
    GAUSSIAN(NSAMP_EUSAGE, "not positive definite|pivot 1 of 1 is 0", "0\n0\n");
    GAUSSIAN(NSAMP_EUSAGE, "not positive definite|pivot 3 of 3 is -1", "0 0 0\n1 0 1\n0 1 1\n1 1 1\n");
    MIXTURE(NSAMP_EUSAGE, "component 2 is not positive definite|pivot 1 of 1 is -1", "1 0\n1\n1 0\n-1\n");
    MIXTURE(NSAMP_EUSAGE, "component 1 is not symmetric", "1 0 0\n1 0\n1 1\n");
}

/* The pivot is that of the elimination, in a dimension where LAPACK works in blocks. */
static void test_far_pivot(void **state) {
    (void)state;
    enum { D = 200 };
    char *text = malloc(D * (D + 1) * 8), *at = text;
    for (int i = 0; i <= D; i++) {
        for (int j = 0; j < D; j++)
            at += sprintf(at, "%s ", i == 0 ? "0" : i - 1 == j ? (j == 170 ? "0.5" : "2") : "1");
        *at++ = '\n';
    }
    *at = 0;
    /* I + 1 1^T but for entry 171: its pivot is 0.5 - (1 - 1/171) */
    GAUSSIAN(NSAMP_EUSAGE, "pivot 171 of 200 is -0.494152", text);
    free(text);
}

static void test_ranges(void **state) {
    (void)state;
    REFUSED(NSAMP_EUSAGE, "target.rho = 1|dimension 4|-0.333333", "target.name", "equicorrelated",
            "target.dim", "4", "target.rho", "1");
    REFUSED(NSAMP_EUSAGE, "target.rho|dimension 5|-0.25|below 1", "target.name", "equicorrelated",
            "target.dim", "5", "target.rho", "-0.25");
    REFUSED(NSAMP_EUSAGE, "target.rho|above -1 and below 1", "target.name", "laplace-copula", "target.rho",
            "-1");
    REFUSED(NSAMP_EUSAGE, "target.dim|dimension 2", "target.name", "laplace-copula", "target.dim", "3");
    REFUSED(NSAMP_EUSAGE, "target.dim|dimension 2", "target.name", "heart", "target.dim", "1");
}

/* Shapes (n) and (rows, columns); value goes to the last entry of cov. In a group when name is not NULL. */
static const char *write_netcdf(const char *group, size_t n, size_t rows, size_t columns, double value) {
    const char *path = scratch("file.nc");
    int file, at, dims[3], mean, cov;
    double m[4] = {1, 2, 3, 4}, c[16] = {0};
    assert_int_equal(nc_create(path, NC_NETCDF4 | NC_CLOBBER, &file), NC_NOERR);
    at = file;
    if (group) assert_int_equal(nc_def_grp(file, group, &at), NC_NOERR);
    nc_def_dim(at, "n", n, &dims[0]);
    nc_def_dim(at, "rows", rows, &dims[1]);
    nc_def_dim(at, "columns", columns, &dims[2]);
    assert_int_equal(nc_def_var(at, "mean", NC_DOUBLE, 1, dims, &mean), NC_NOERR);
    assert_int_equal(nc_def_var(at, "cov", NC_FLOAT, 2, dims + 1, &cov), NC_NOERR);
    for (size_t i = 0; i < rows && i < columns; i++)
        c[i * columns + i] = (double)i + 1;
    c[rows * columns - 1] = value;
    assert_int_equal(nc_put_var_double(at, mean, m), NC_NOERR);
    assert_int_equal(nc_put_var_double(at, cov, c), NC_NOERR);
    assert_int_equal(nc_close(file), NC_NOERR);
    return path;
}

static void test_netcdf(void **state) {
    (void)state;
    const char *const groups[] = {NULL, "moments"};
    for (int g = 0; g < 2; g++) {
        nsamp_target *t =
            TARGET("target.name", "gaussian", "target.file", write_netcdf(groups[g], 3, 3, 3, 7));
        assert_int_equal(t->dim, 3);
        assert_close(t->mean[2], 3, 0);
        assert_close(t->cov[4], 2, 0);
        assert_close(t->cov[8], 7, 0);
        nsamp_target_destroy(t);
    }
#define NETCDF(status, words, ...)                                                                           \
    REFUSED(status, words, "target.name", "gaussian", "target.file", write_netcdf(__VA_ARGS__))
    NETCDF(NSAMP_EUSAGE, "no variables mean and cov", "elsewhere", 3, 3, 3, 1);
    NETCDF(NSAMP_EUSAGE, "shapes", NULL, 3, 3, 2, 1);
    NETCDF(NSAMP_EUSAGE, "shapes", NULL, 2, 3, 3, 1);
    NETCDF(NSAMP_EUSAGE, "not finite", NULL, 3, 3, 3, NAN);
    NETCDF(NSAMP_EUSAGE, "pivot 3 of 3 is -1", NULL, 3, 3, 3, -1);
    /* cut short at every tenth of its length */
    size_t bytes;
    const char *path = write_netcdf(NULL, 3, 3, 3, 7);
    unsigned char *whole = scratch_read(path, &bytes);
    for (size_t cut = 8; cut < bytes; cut += bytes / 10) {
        nsamp_error err = {0};
        const char *part = scratch("part.nc");
        scratch_write(part, whole, cut);
        assert_int_equal(TARGET_REFUSED(&err, "target.name", "gaussian", "target.file", part), NSAMP_EIO);
        assert_non_null(strstr(err.text, "part.nc"));
    }
    free(whole);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreadable),  cmocka_unit_test(test_decay),     cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_covariances), cmocka_unit_test(test_far_pivot), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_netcdf),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
