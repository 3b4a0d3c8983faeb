/* test_output.c: the netCDF output: contents and layout, and that nothing but a whole file ever has the final
 * name. The real packages (ArviZ, xarray) read the same file in tests/python. */
#include <errno.h>
#include <netcdf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "sample_output.h"
#include "scratch.h"

static nsamp_job *job_for(const char *path, const char *overwrite) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_non_null(job);
    assert_int_equal(nsamp_job_set(job, "output.file", path, &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "output.overwrite", overwrite, &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "run.seed", "77", &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "target.weights", "0.25 0.75", &err), NSAMP_OK);
    return job;
}

static int group_of(int file, const char *name) {
    int g = -1;
    assert_int_equal(nc_inq_grp_ncid(file, name, &g), 0);
    return g;
}

static size_t dim_of(int group, const char *name) {
    int dim = -1;
    size_t length = 0;
    assert_int_equal(nc_inq_dimid(group, name, &dim), 0);
    assert_int_equal(nc_inq_dimlen(group, dim, &length), 0);
    return length;
}

static int var_of(int group, const char *name, int rank) {
    int var = -1, n = -1;
    assert_int_equal(nc_inq_varid(group, name, &var), 0);
    assert_int_equal(nc_inq_varndims(group, var, &n), 0);
    assert_int_equal(n, rank);
    return var;
}

static void assert_doubles(int group, const char *name, int rank, size_t n, const double *expected) {
    double x[8] = {0};
    assert_true(n <= 8);
    assert_int_equal(nc_get_var_double(group, var_of(group, name, rank), x), 0);
    for (size_t i = 0; i < n; i++)
        assert_true(x[i] == expected[i]);
}

static void assert_attribute(int group, const char *name, const char *expected) {
    char text[400] = {0};
    size_t length = 0;
    assert_int_equal(nc_inq_attlen(group, NC_GLOBAL, name, &length), 0);
    assert_true(length < sizeof text);
    assert_int_equal(nc_get_att_text(group, NC_GLOBAL, name, text), 0);
    assert_string_equal(text, expected);
}

static void check_posterior(int file) {
    const int g = group_of(file, "posterior");
    assert_int_equal(dim_of(g, "chain"), OUT_CHAINS);
    assert_int_equal(dim_of(g, "draw"), OUT_DRAWS);
    assert_int_equal(dim_of(g, "dim"), OUT_DIM);
    float x[OUT_CHAINS][OUT_DRAWS][OUT_DIM];
    assert_int_equal(nc_get_var_float(g, var_of(g, "x", 3), &x[0][0][0]), 0);
    for (size_t c = 0; c < OUT_CHAINS; c++)
        for (size_t k = 0; k < OUT_DRAWS; k++)
            for (size_t d = 0; d < OUT_DIM; d++)
                assert_true(x[c][k][d] == out_x(c, k, d));
    assert_doubles(g, "draw", 1, OUT_DRAWS, (const double[]){10, 20, 30, 40, 50});
    assert_doubles(g, "chain", 1, OUT_CHAINS, (const double[]){0, 1, 2});
}

static void check_sample_stats(int file) {
    const int g = group_of(file, "sample_stats");
    signed char diverged[OUT_CHAINS][OUT_DRAWS];
    assert_int_equal(nc_get_var_schar(g, var_of(g, "diverged", 2), &diverged[0][0]), 0);
    for (size_t c = 0; c < OUT_CHAINS; c++)
        for (size_t k = 0; k < OUT_DRAWS; k++)
            assert_int_equal(diverged[c][k], c == 1 && k >= 2);
    assert_doubles(g, "first_bad_step", 1, OUT_CHAINS, (const double[]){-1, 25, -1});
}

static void check_moments(int file) {
    const int g = group_of(file, "moments");
    int var;
    assert_doubles(g, "mean", 1, 2, (const double[]){1, 2});
    assert_doubles(g, "mean_se", 1, 2, (const double[]){0.5, 0.25});
    assert_doubles(g, "mean_exact", 1, 2, (const double[]){0, 0});
    assert_doubles(g, "var", 1, 2, (const double[]){3, 4});
    assert_doubles(g, "ess", 1, 2, (const double[]){5, 6});
    assert_doubles(g, "rhat", 1, 2, (const double[]){1.01, 1.02});
    assert_doubles(g, "cov", 2, 4, (const double[]){3, 0.5, 0.5, 4});
    assert_doubles(g, "offdiag", 0, 1, (const double[]){0.5});
    assert_int_equal(nc_inq_varid(g, "offdiag_exact", &var), NC_ENOTVAR); /* not known: absent */
    assert_int_equal(nc_inq_varid(g, "tau_exact", &var), NC_ENOTVAR);
    assert_attribute(g, "exact_source", "made up for a test");
    const int s = group_of(file, "statistics");
    assert_doubles(s, "rate", 1, 3, (const double[]){0.1, 0.2, 0.3});
    assert_doubles(s, "rate_se", 1, 3, (const double[]){0.01, 0.02, 0.03});
    assert_doubles(s, "rate_exact", 1, 3, (const double[]){0.11, 0.21, 0.31});
    assert_doubles(s, "acceptance", 1, 1, (const double[]){0.1});
    assert_int_equal(nc_inq_varid(s, "acceptance_exact", &var), NC_ENOTVAR);
}

static void check_options(int file) {
    long long seed = 0;
    double weights[2] = {0}, rho = 0;
    assert_int_equal(nc_get_att_longlong(file, NC_GLOBAL, "run.seed", &seed), 0);
    assert_int_equal(seed, 77);
    assert_int_equal(nc_get_att_double(file, NC_GLOBAL, "target.weights", weights), 0);
    assert_true(weights[0] == 0.25 && weights[1] == 0.75);
    assert_int_equal(nc_get_att_double(file, NC_GLOBAL, "target.rho", &rho), 0);
    assert_true(rho == 0.5);
    assert_attribute(file, "target.rho.origin", "default");
    assert_attribute(file, "system.name", "langevin");
    assert_attribute(file, "output.status", "");
    assert_attribute(file, "nsamp_version", NSAMP_VERSION);
    assert_attribute(file, "inference_library", "nsamp");
    for (int key = 0; key < NSAMP_KEY_count; key++) { /* every option is there, with its origin */
        char name[128];
        size_t length;
        snprintf(name, sizeof name, "%s.%s", nsamp_options[key].section, nsamp_options[key].key);
        assert_int_equal(nc_inq_attlen(file, NC_GLOBAL, name, &length), 0);
        strcat(name, ".origin");
        assert_int_equal(nc_inq_attlen(file, NC_GLOBAL, name, &length), 0);
        assert_true(length > 0);
    }
}

static void holds_what_was_written(void **state) {
    (void)state;
    nsamp_error err = {0};
    int file;
    nsamp_job *job = job_for(scratch("a file, mit \xc3\xa4.nc"), "no");
    assert_int_equal(out_write(job, &err), NSAMP_OK);
    assert_int_equal(nc_open(nsamp_job_text(job, NSAMP_KEY_output_file), NC_NOWRITE, &file), 0);
    check_posterior(file);
    check_sample_stats(file);
    check_moments(file);
    check_options(file);
    assert_int_equal(nc_close(file), 0);
    assert_int_equal(scratch_count(NULL), 1);
    nsamp_job_destroy(job);
    scratch_clear();
}

/* A summary of nothing, for files whose draws are what matters. */
static nsamp_summary no_summary(void) {
    static double zero[1];
    return (nsamp_summary){.dim = 1, .mean = zero, .offdiag = NAN, .offdiag_se = NAN, .exact_offdiag = NAN};
}

/* x [C][R][D] as the test wants it, and what is needed to write it block by block. */
typedef struct array {
    size_t C, R, D, B;
    nsamp_recording what;
    uint64_t *bad;
    float *x, *block;
} array;

static array array_of(size_t C, size_t R, size_t D) {
    const array a = {C,
                     R,
                     D,
                     nsamp_output_block(C, D, R),
                     {.chains = C, .draws = R, .dim = D, .every = 1},
                     malloc(C * sizeof *a.bad),
                     malloc(R * C * D * sizeof *a.x),
                     calloc((R + C) * C * D, sizeof *a.block)};
    assert_true(a.bad && a.x && a.block);
    for (size_t c = 0; c < C; c++)
        a.bad[c] = UINT64_MAX;
    for (size_t k = 0; k < R * C * D; k++)
        a.x[k] = (float)(k % 16000057);
    return a;
}

static void free_array(const array *a) {
    free(a->bad);
    free(a->x);
    free(a->block);
}

static void write_block(const array *a, nsamp_output *out, size_t k) {
    nsamp_error err = {0};
    for (size_t c = 0; c < a->C; c++)
        for (size_t r = k * a->B; r < (k + 1) * a->B && r < a->R; r++)
            memcpy(a->block + (c * a->B + r - k * a->B) * a->D, a->x + (c * a->R + r) * a->D,
                   a->D * sizeof *a->x);
    assert_int_equal(nsamp_output_write(out, k, a->block, &err), NSAMP_OK);
}

static void assert_file_holds(const array *a, const char *path) {
    float *y = malloc(a->R * a->C * a->D * sizeof *y);
    int file;
    assert_int_equal(nc_open(path, NC_NOWRITE, &file), 0);
    const int g = group_of(file, "posterior");
    assert_int_equal(nc_get_var_float(g, var_of(g, "x", 3), y), 0);
    assert_int_equal(nc_close(file), 0);
    assert_memory_equal(a->x, y, a->R * a->C * a->D * sizeof *y);
    free(y);
}

/* One block, several, and draws of several chunks: each number must come back from its place. */
static void large_arrays_keep_their_places(void **state) {
    (void)state;
    const size_t shapes[][3] = {{7, 1000, 130}, {7, 1001, 300}, {5, 2, 500000}, {700, 50, 3}};
    const size_t blocks[] = {1, 3, 2, 1}, chunks[] = {1, 3, 6, 1};
    for (int i = 0; i < 4; i++) {
        const array a = array_of(shapes[i][0], shapes[i][1], shapes[i][2]);
        nsamp_error err = {0};
        nsamp_job *job = job_for(scratch("large.nc"), "yes");
        nsamp_output *out = NULL;
        const nsamp_summary s = no_summary();
        assert_int_equal((a.R + a.B - 1) / a.B, blocks[i]);
        assert_int_equal(nsamp_output_create(job, &a.what, OUT_RUN_ID, NULL, &out, &err), NSAMP_OK);
        assert_int_equal(nsamp_output_frame_of(out)->chunks, chunks[i]);
        for (size_t k = 0; k < blocks[i]; k++)
            write_block(&a, out, k);
        assert_int_equal(nsamp_output_summary(out, &s, NULL, a.bad, NULL, 0, &err), NSAMP_OK);
        assert_int_equal(nsamp_output_close(out, &err), NSAMP_OK);
        assert_file_holds(&a, scratch("large.nc"));
        free_array(&a);
        nsamp_job_destroy(job);
    }
    scratch_clear();
}

/* Killed at any point, PATH.draws is readable, or made so by the frame: here one is left in the middle of the draws, and
 * one in the middle of the last groups, the worst of which is a file whose every byte beside the draws, their step numbers and the digits of
 * run_id, which nothing moves, is lost. */
static void a_kept_file_goes_on(void **state) {
    (void)state;
    const array a = array_of(7, 1001, 300);
    nsamp_error err = {0};
    nsamp_job *job = job_for(scratch("kept.nc"), "no");
    nsamp_output *out = NULL;
    const nsamp_summary s = no_summary();
    assert_int_equal(nsamp_output_create(job, &a.what, OUT_RUN_ID, NULL, &out, &err), NSAMP_OK);
    const nsamp_output_frame *own = nsamp_output_frame_of(out);
    nsamp_output_frame frame = {.chunks = own->chunks,
                                .at = malloc(own->chunks * sizeof *own->at),
                                .bytes = own->bytes,
                                .data = malloc(own->bytes),
                                .id_at = own->id_at,
                                .draw_at = own->draw_at};
    memcpy(frame.at, own->at, own->chunks * sizeof *own->at);
    memcpy(frame.data, own->data, own->bytes);
    write_block(&a, out, 0);
    nsamp_output_keep(out);
    assert_int_equal(nsamp_output_summary(out, &s, NULL, a.bad, NULL, 0, &err), NSAMP_OK);
    nsamp_output_abandon(out);
    assert_int_equal(scratch_count(NULL), 1);
    for (int ruined = 0; ruined < 2; ruined++) {
        size_t bytes;
        unsigned char *file = scratch_read(scratch("kept.nc.draws"), &bytes);
        for (size_t i = 0; ruined && i < bytes; i++) {
            bool chunk = (i >= frame.id_at && i - frame.id_at < NSAMP_RUN_ID) ||
                         (i >= frame.draw_at && i - frame.draw_at < 8 * a.R);
            for (size_t k = 0; k < frame.chunks; k++)
                chunk |= i >= frame.at[k] && i - frame.at[k] < a.C * a.B * a.D * sizeof *a.x;
            if (!chunk) file[i] ^= 0xff;
        }
        scratch_write(scratch("kept.nc.draws"), file, bytes);
        free(file);
        assert_int_equal(nsamp_output_create(job, &a.what, OUT_RUN_ID, &frame, &out, &err), NSAMP_OK);
        if (ruined) break;
        nsamp_output_abandon(out); /* with a frame, it is kept */
    }
    memset(a.block, 0, a.C * a.B * a.D * sizeof *a.block);
    assert_int_equal(nsamp_output_read(out, 0, a.block, &err), NSAMP_OK);
    for (size_t c = 0; c < a.C; c++)
        assert_memory_equal(a.block + c * a.B * a.D, a.x + c * a.R * a.D, a.B * a.D * sizeof *a.x);
    write_block(&a, out, 1);
    write_block(&a, out, 2);
    assert_int_equal(nsamp_output_summary(out, &s, NULL, a.bad, NULL, 0, &err), NSAMP_OK);
    assert_int_equal(nsamp_output_close(out, &err), NSAMP_OK);
    assert_file_holds(&a, scratch("kept.nc"));
    assert_int_equal(scratch_count(NULL), 1);

    /* a frame whose file is gone, and one whose file was cut */
    assert_int_equal(unlink(scratch("kept.nc")), 0);
    for (int cut = 0; cut < 2; cut++) {
        if (cut) scratch_write(scratch("kept.nc.draws"), "short", 5);
        assert_int_equal(nsamp_output_create(job, &a.what, OUT_RUN_ID, &frame, &out, &err), NSAMP_EIO);
        assert_non_null(strstr(err.text, "run.resume = no and output.overwrite = yes"));
    }
    free(frame.at);
    free(frame.data);
    free_array(&a);
    nsamp_job_destroy(job);
    scratch_clear();
}

static void assert_refused(const char *path, const char *overwrite, nsamp_status expected,
                           const char *words) {
    nsamp_error err = {0};
    nsamp_job *job = job_for(path, overwrite);
    assert_int_equal(nsamp_output_check(job, &err), expected);
    assert_non_null(strstr(err.text, words));
    assert_non_null(strstr(err.text, path));
    assert_int_equal(out_write(job, &err), expected);
    nsamp_job_destroy(job);
}

static void bad_paths_are_refused(void **state) {
    (void)state;
    scratch_write(scratch("there.nc"), "precious", 8);
    assert_refused(scratch("there.nc"), "no", NSAMP_EUSAGE, "exists already");
    assert_refused(scratch("no/such/folder/x.nc"), "no", NSAMP_EUSAGE, "No such file or directory");
    assert_refused(scratch("there.nc/x.nc"), "yes", NSAMP_EUSAGE, "not a folder");
    assert_refused(scratch_folder, "yes", NSAMP_EUSAGE, "is a folder");
    assert_refused(scratch("newname/"), "yes", NSAMP_EUSAGE, "folder");
    assert_refused("/dev/null", "yes", NSAMP_EUSAGE, "not a plain file");
    if (geteuid() != 0) assert_refused("/proc/x.nc", "no", NSAMP_EIO, "cannot be written");
    size_t bytes;
    unsigned char *kept = scratch_read(scratch("there.nc"), &bytes);
    assert_int_equal(bytes, 8);
    assert_memory_equal(kept, "precious", 8);
    free(kept);
    assert_int_equal(scratch_count(NULL), 1);
    scratch_clear();
}

static void empty_name_means_none(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_output_check(job, &err), NSAMP_OK);
    nsamp_job_destroy(job);
}

/* A limit on the size of files stands for a full disk: at whatever point it strikes, one line, and nothing is
 * left. */
static void full_disk_leaves_nothing(void **state) {
    (void)state;
    struct rlimit before, now;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    nsamp_job *job = job_for(scratch("full.nc"), "no");
    int refused = 0;
    for (rlim_t most = 0; most < 1500000; most += 100000 + most / 3) {
        nsamp_error err = {0};
        now = (struct rlimit){.rlim_cur = most, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
        const nsamp_status status = out_write(job, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (status) {
            refused++;
            assert_int_equal(status, NSAMP_EIO);
            assert_non_null(strstr(err.text, "full.nc"));
            assert_int_equal(scratch_count(NULL), 0);
        }
        scratch_clear();
    }
    assert_true(refused >= 5);
    nsamp_job_destroy(job);
}

static void an_incomplete_output_gets_no_name(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = job_for(scratch("part.nc"), "no");
    nsamp_output *out = NULL;
    const nsamp_recording what = {.chains = 1, .draws = 2, .dim = 2, .every = 1};
    const float x[4] = {1, 2, 3, 4};
    assert_int_equal(nsamp_output_create(job, &what, OUT_RUN_ID, NULL, &out, &err), NSAMP_OK);
    assert_int_equal(nsamp_output_write(out, 1, x, &err), NSAMP_EINTERNAL); /* there is one block */
    assert_int_equal(nsamp_output_write(out, 0, x, &err), NSAMP_OK);
    assert_int_equal(nsamp_output_close(out, &err), NSAMP_EINTERNAL);
    assert_int_equal(nsamp_output_create(job, &what, OUT_RUN_ID, NULL, &out, &err), NSAMP_OK);
    nsamp_output_abandon(out);
    assert_int_equal(scratch_count(NULL), 0);
    nsamp_job_destroy(job);
}

/* Without overwrite, a file that somebody made during the run is kept. */
static void a_rival_is_not_replaced(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = job_for(scratch("rival.nc"), "no");
    nsamp_output *out = NULL;
    double zero[1] = {0};
    const nsamp_summary s = {.dim = 1, .mean = zero, .offdiag = NAN, .offdiag_se = NAN, .exact_offdiag = NAN};
    assert_int_equal(nsamp_output_create(job, &(nsamp_recording){.dim = 1}, OUT_RUN_ID, NULL, &out, &err),
                     NSAMP_OK);
    scratch_write(scratch("rival.nc"), "theirs", 6);
    assert_int_equal(nsamp_output_summary(out, &s, NULL, NULL, NULL, 0, &err), NSAMP_OK);
    assert_int_equal(nsamp_output_close(out, &err), NSAMP_EUSAGE);
    size_t bytes;
    unsigned char *kept = scratch_read(scratch("rival.nc"), &bytes);
    assert_int_equal(bytes, 6);
    free(kept);
    assert_int_equal(scratch_count(NULL), 1);
    nsamp_job_destroy(job);
    scratch_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_what_was_written),
        cmocka_unit_test(large_arrays_keep_their_places),
        cmocka_unit_test(bad_paths_are_refused),
        cmocka_unit_test(empty_name_means_none),
        cmocka_unit_test(a_kept_file_goes_on),
        cmocka_unit_test(full_disk_leaves_nothing),
        cmocka_unit_test(an_incomplete_output_gets_no_name),
        cmocka_unit_test(a_rival_is_not_replaced),
    };
    return cmocka_run_group_tests_name("output", tests, scratch_open, scratch_close);
}
