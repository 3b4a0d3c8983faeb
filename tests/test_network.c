/* test_network.c: model files: what is saved comes back bit for bit, and every way to spoil a file is refused
 * in one line. */
#include <errno.h>
#include <netcdf.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <cmocka.h>

#include "io/seal.h"
#include "sample_network.h"
#include "scratch.h"

static const char *model(void) {
    return scratch("model.nc");
}

static void save(const nsamp_network *net) {
    nsamp_error err = {0};
    assert_int_equal(nsamp_network_save(model(), true, net, &err), NSAMP_OK);
}

/* The file must be refused as NSAMP_EIO, in one line with its name and `words`. */
static void assert_refused(const char *path, const char *words) {
    nsamp_error err = {0};
    nsamp_network *net = (nsamp_network *)&err; /* anything but NULL */
    assert_int_equal(nsamp_network_load(path, &net, &err), NSAMP_EIO);
    assert_null(net);
    assert_non_null(strstr(err.text, path));
    assert_null(strchr(err.text, '\n'));
    if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
}

static void assert_same(const void *a, const void *b, size_t bytes) {
    assert_non_null(a);
    assert_non_null(b);
    assert_memory_equal(a, b, bytes);
}

static void round_trip(int images) {
    nsamp_error err = {0};
    nsamp_network *net = net_sample(images), *back = NULL;
    save(net);
    assert_int_equal(nsamp_network_load(model(), &back, &err), NSAMP_OK);
    assert_int_equal(back->m, NET_M);
    assert_int_equal(back->n, NET_N);
    assert_int_equal(back->activation, NSAMP_TANH);
    assert_true(back->denoiser);
    assert_true(back->sigma == net->sigma);
    assert_true(back->score_error == net->score_error);
    assert_same(back->w1, net->w1, NET_M * NET_N * sizeof(float));
    assert_same(back->w2, net->w2, NET_M * NET_N * sizeof(float));
    assert_same(back->b, net->b, NET_N * sizeof(float));
    assert_same(back->start_var, net->start_var, NET_M * sizeof(double));
    assert_string_equal(back->job_text, net->job_text);
    assert_int_equal(back->losses, NET_LOSSES);
    assert_same(back->loss_batch, net->loss_batch, NET_LOSSES * sizeof(double));
    assert_same(back->loss_train, net->loss_train, NET_LOSSES * sizeof(double));
    assert_same(back->loss_held_out, net->loss_held_out, NET_LOSSES * sizeof(double));
    assert_same(back->loss_level, net->loss_level, NET_LOSSES * sizeof(int));
    assert_int_equal(back->pca != NULL, images);
    if (images) {
        const size_t pixels = NET_HEIGHT * NET_WIDTH;
        assert_int_equal(back->pca->height, NET_HEIGHT);
        assert_int_equal(back->pca->width, NET_WIDTH);
        assert_true(back->pca->scale == net->pca->scale);
        assert_same(back->pca->mean, net->pca->mean, pixels * sizeof(double));
        assert_same(back->pca->components, net->pca->components, NET_M * pixels * sizeof(double));
        assert_same(back->pca->variances, net->pca->variances, NET_M * sizeof(double));
    }
    nsamp_network_destroy(net);
    nsamp_network_destroy(back);
}

static void what_is_saved_comes_back(void **state) {
    (void)state;
    round_trip(1);
    round_trip(0);
    nsamp_error err = {0};
    nsamp_network *bare = nsamp_network_create(1, 1), *back = NULL; /* no loss curve, no job */
    bare->sigma = 1;
    save(bare);
    assert_int_equal(nsamp_network_load(model(), &back, &err), NSAMP_OK);
    assert_null(back->job_text);
    assert_int_equal(back->losses, 0);
    assert_false(back->denoiser);
    assert_int_equal(back->activation, NSAMP_IDENTITY);
    nsamp_network_destroy(bare);
    nsamp_network_destroy(back);
    scratch_clear();
}

static void same_network_same_bytes(void **state) {
    (void)state;
    nsamp_network *net = net_sample(1);
    size_t n1, n2;
    save(net);
    unsigned char *first = scratch_read(model(), &n1);
    save(net);
    unsigned char *second = scratch_read(model(), &n2);
    assert_int_equal(n1, n2);
    assert_memory_equal(first, second, n1);
    assert_int_equal(scratch_count(NULL), 1);
    free(first);
    free(second);
    nsamp_network_destroy(net);
    scratch_clear();
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    nsamp_network *net = net_sample(1);
    size_t bytes;
    save(net);
    unsigned char *data = scratch_read(model(), &bytes);
    for (size_t n = 0; n < bytes; n++) {
        scratch_write(model(), data, n);
        assert_refused(model(), n ? "cut short" : "is empty");
    }
    scratch_write(model(), data, bytes);
    FILE *f = fopen(model(), "ab");
    fputc(0, f);
    fclose(f);
    assert_refused(model(), "cut short"); /* a byte too many: the seal is not at the end */
    free(data);
    nsamp_network_destroy(net);
    scratch_clear();
}

static void every_changed_byte_is_refused(void **state) {
    (void)state;
    nsamp_network *net = net_sample(1);
    size_t bytes;
    save(net);
    unsigned char *data = scratch_read(model(), &bytes);
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char flip = (unsigned char)(1u << i % 8);
        data[i] ^= flip;
        scratch_write(model(), data, bytes);
        assert_refused(model(), i < bytes - 24 ? "is damaged" : i < bytes - 16 ? "cut short" : "is damaged");
        data[i] ^= flip;
    }
    free(data);
    nsamp_network_destroy(net);
    scratch_clear();
}

static void wrong_kinds_of_file_are_refused(void **state) {
    (void)state;
    assert_refused(scratch("missing.nc"), "No such file");
    assert_refused(scratch_folder, "is a folder");
    assert_refused("/dev/null", "not a plain file");
    assert_int_equal(mkfifo(scratch("pipe"), 0600), 0);
    assert_refused(scratch("pipe"), "not a plain file");
    scratch_write(model(), "", 0);
    assert_refused(model(), "is empty");
    scratch_write(model(), "[run]\nchains = 3\nsteps = 10000000\nburn_in = 100\n", 49);
    assert_refused(model(), "not written by nsamp");
    nsamp_error err = {0};
    assert_int_equal(nsamp_seal(model(), model(), &err), NSAMP_OK);
    assert_refused(model(), "does not begin as netCDF");
    scratch_clear();
}

/* ---- files with a right seal and wrong contents ---- */

/* Changes the model through netCDF and seals it again. */
typedef void change_fn(int file);

static void change_model(change_fn *change) {
    nsamp_network *net = net_sample(1);
    nsamp_error err = {0};
    size_t bytes;
    int file;
    save(net);
    unsigned char *data = scratch_read(model(), &bytes);
    scratch_write(model(), data, bytes - 24);
    assert_int_equal(nc_open(model(), NC_WRITE, &file), 0);
    assert_int_equal(nc_redef(file), 0);
    change(file);
    assert_int_equal(nc_close(file), 0);
    assert_int_equal(nsamp_seal(model(), model(), &err), NSAMP_OK);
    free(data);
    nsamp_network_destroy(net);
}

static void assert_change_refused(change_fn *change, const char *words) {
    change_model(change);
    assert_refused(model(), words);
}

/* As a float: netCDF 4.9.3 does not convert a double infinity. */
static void change_number(int file, const char *name, size_t at, float value) {
    int var;
    const size_t index[2] = {at, 0};
    assert_int_equal(nc_enddef(file), 0);
    assert_int_equal(nc_inq_varid(file, name, &var), 0);
    assert_int_equal(nc_put_var1_float(file, var, index, &value), 0);
}

static void rename_var(int file, const char *from, const char *to) {
    int var;
    assert_int_equal(nc_inq_varid(file, from, &var), 0);
    assert_int_equal(nc_rename_var(file, var, to), 0);
}

static void rename_dim(int file, const char *from, const char *to) {
    int dim;
    assert_int_equal(nc_inq_dimid(file, from, &dim), 0);
    assert_int_equal(nc_rename_dim(file, dim, to), 0);
}

static void put_text(int file, const char *name, const char *text) {
    assert_int_equal(nc_put_att_text(file, NC_GLOBAL, name, strlen(text), text), 0);
}

static void put_real(int file, const char *name, double value) {
    assert_int_equal(nc_put_att_double(file, NC_GLOBAL, name, NC_DOUBLE, 1, &value), 0);
}

static void nan_in_w1(int file) {
    change_number(file, "w1", 2, NAN);
}
static void infinite_w2(int file) {
    change_number(file, "w2", 4, INFINITY);
}
static void nan_in_b(int file) {
    change_number(file, "b", 4, NAN);
}
static void negative_start_var(int file) {
    change_number(file, "start_var", 1, -1);
}
static void nan_in_components(int file) {
    change_number(file, "pca_components", 2, NAN);
}
static void negative_variance(int file) {
    change_number(file, "pca_variances", 0, -2);
}
static void no_w1(int file) {
    rename_var(file, "w1", "w3");
}
static void no_losses(int file) {
    rename_var(file, "loss_train", "loss");
}
static void w1_transposed(int file) {
    rename_var(file, "w1", "w");
    rename_var(file, "w2", "w1");
    rename_var(file, "w", "w2");
}
static void wrong_rank(int file) {
    rename_var(file, "b", "b0");
    rename_var(file, "pca_components", "b");
}
static void wrong_type(int file) {
    rename_var(file, "loss_train", "t");
    rename_var(file, "loss_level", "loss_train");
}
static void no_dimension_m(int file) {
    rename_dim(file, "m", "mm");
}
static void no_dimension_n(int file) {
    rename_dim(file, "n", "nn");
}
static void negative_sigma(int file) {
    put_real(file, "sigma", -1);
}
static void infinite_sigma(int file) {
    put_real(file, "sigma", INFINITY);
}
static void sigma_as_text(int file) {
    put_text(file, "sigma", "0.4");
}
static void zero_scale(int file) {
    put_real(file, "pca_scale", 0);
}
static void wrong_height(int file) {
    put_real(file, "height", 3);
}
static void nan_width(int file) {
    put_real(file, "width", NAN);
}
static void strange_activation(int file) {
    put_text(file, "activation", "sinus");
}
static void no_form(int file) {
    assert_int_equal(nc_del_att(file, NC_GLOBAL, "form"), 0);
}
static void job_is_a_number(int file) {
    put_real(file, "job", 3);
}
static void other_version(int file) {
    const int version = 2;
    assert_int_equal(nc_put_att_int(file, NC_GLOBAL, "nsamp_model", NC_INT, 1, &version), 0);
}
static void no_version(int file) {
    assert_int_equal(nc_del_att(file, NC_GLOBAL, "nsamp_model"), 0);
}

static void wrong_contents_are_refused(void **state) {
    (void)state;
    assert_change_refused(nan_in_w1, "w1[10] = nan is not finite");
    assert_change_refused(infinite_w2, "w2[12] = inf is not finite");
    assert_change_refused(nan_in_b, "b[4] = nan is not finite");
    assert_change_refused(negative_start_var, "start_var[1] = -1");
    assert_change_refused(nan_in_components, "pca_components[16] = nan");
    assert_change_refused(negative_variance, "pca_variances[0] = -2");
    assert_change_refused(no_w1, "has no variable w1");
    assert_change_refused(no_losses, "has no variable loss_train");
    assert_change_refused(w1_transposed, "dimension 0 of variable w1 is not m");
    assert_change_refused(wrong_rank, "variable b is not of rank 1");
    assert_change_refused(wrong_type, "variable loss_train is not of rank 1 and the type");
    assert_change_refused(no_dimension_m, "m = 0, n = 5");
    assert_change_refused(no_dimension_n, "m = 3, n = 0");
    assert_change_refused(negative_sigma, "sigma = -1");
    assert_change_refused(infinite_sigma, "sigma = inf");
    assert_change_refused(sigma_as_text, "sigma that is one double");
    assert_change_refused(zero_scale, "pca_scale = 0");
    assert_change_refused(wrong_height, "height 3 and width 4 do not make 8 pixels");
    assert_change_refused(nan_width, "width nan");
    assert_change_refused(strange_activation, "activation is 'sinus'");
    assert_change_refused(no_form, "form is ''");
    assert_change_refused(job_is_a_number, "job is not text");
    assert_change_refused(other_version, "nsamp_model: 2");
    assert_change_refused(no_version, "not a model file");
    scratch_clear();
}

/* Two dimensions of one name and of different lengths: a variable of the longer one must not be read into the
 * space of the shorter one. The library looks up the last of them. */
static void another_dimension(int file) {
    int dim;
    assert_int_equal(nc_def_dim(file, "q", 2, &dim), 0);
}

static void a_name_twice_is_refused(void **state) {
    (void)state;
    static const unsigned char head_q[12] = {0, 0, 0, 0, 0, 0, 0, 1, 'q'};
    nsamp_error err = {0};
    size_t bytes;
    change_model(another_dimension);
    unsigned char *data = scratch_read(model(), &bytes), *at = data;
    while (memcmp(at, head_q, sizeof head_q))
        at++;
    at[8] = 'n';
    scratch_write(model(), data, bytes - 24);
    assert_int_equal(nsamp_seal(model(), model(), &err), NSAMP_OK);
    assert_refused(model(), "dimension 1 of variable w1 is not n");
    free(data);
    scratch_clear();
}

/* Sizes in the head of the file that its bytes cannot hold: refused before anything is allocated. In CDF-5 a
 * dimension is the length of its name (8 bytes), the name padded to 4, its length (8 bytes, big-endian). */
static void absurd_sizes_are_refused(void **state) {
    (void)state;
    static const unsigned char head_m[12] = {0, 0, 0, 0, 0, 0, 0, 1, 'm'},
                               head_n[12] = {0, 0, 0, 0, 0, 0, 0, 1, 'n'};
    const uint64_t sizes[] = {
        0, 4, 1u << 20, 1u << 31, (uint64_t)1 << 40, (uint64_t)1 << 61, UINT64_MAX / 2, UINT64_MAX};
    nsamp_network *net = net_sample(0);
    size_t bytes;
    save(net);
    unsigned char *data = scratch_read(model(), &bytes);
    for (int both = 0; both < 2; both++)
        for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
            nsamp_error err = {0};
            unsigned char *copy = malloc(bytes);
            int found = 0;
            memcpy(copy, data, bytes);
            for (size_t i = 0; i + 20 < 200; i++)
                if (!memcmp(copy + i, head_m, 12) || (both && !memcmp(copy + i, head_n, 12))) {
                    found++;
                    for (int b = 0; b < 8; b++)
                        copy[i + 12 + b] = (unsigned char)(sizes[k] >> 8 * (7 - b));
                }
            assert_int_equal(found, 1 + both);
            scratch_write(model(), copy, bytes - 24);
            assert_int_equal(nsamp_seal(model(), model(), &err), NSAMP_OK);
            assert_refused(model(), "");
            free(copy);
        }
    free(data);
    nsamp_network_destroy(net);
    scratch_clear();
}

static void bad_networks_are_not_saved(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_network *net = net_sample(1);
    net->w2[3] = NAN;
    assert_int_equal(nsamp_network_save(model(), true, net, &err), NSAMP_EINTERNAL);
    assert_non_null(strstr(err.text, "w2[3] = nan"));
    net->w2[3] = 0;
    assert_int_equal(nsamp_network_save(scratch("no/folder.nc"), true, net, &err), NSAMP_EUSAGE);
    assert_int_equal(nsamp_network_save(scratch_folder, true, net, &err), NSAMP_EUSAGE);
    assert_int_equal(scratch_count(NULL), 0);
    assert_null(nsamp_network_create(0, 4));
    assert_null(nsamp_network_create(SIZE_MAX / 8, 9));
    nsamp_network_destroy(net);
}

static void full_disk_keeps_the_old_model(void **state) {
    (void)state;
    struct rlimit before, now;
    nsamp_network *net = net_sample(1);
    size_t bytes, kept;
    save(net);
    unsigned char *data = scratch_read(model(), &bytes);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (size_t most = 0; most < bytes; most += 50) {
        nsamp_error err = {0};
        now = (struct rlimit){.rlim_cur = most, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
        const nsamp_status status = nsamp_network_save(model(), true, net, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(status, NSAMP_EIO);
        assert_non_null(strstr(err.text, "File too large"));
        unsigned char *now_there = scratch_read(model(), &kept);
        assert_int_equal(kept, bytes);
        assert_memory_equal(now_there, data, bytes);
        free(now_there);
        assert_int_equal(scratch_count(NULL), 1);
    }
    free(data);
    nsamp_network_destroy(net);
    scratch_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_saved_comes_back),        cmocka_unit_test(same_network_same_bytes),
        cmocka_unit_test(every_truncation_is_refused),     cmocka_unit_test(every_changed_byte_is_refused),
        cmocka_unit_test(wrong_kinds_of_file_are_refused), cmocka_unit_test(wrong_contents_are_refused),
        cmocka_unit_test(a_name_twice_is_refused),         cmocka_unit_test(absurd_sizes_are_refused),
        cmocka_unit_test(bad_networks_are_not_saved),      cmocka_unit_test(full_disk_keeps_the_old_model),
    };
    return cmocka_run_group_tests_name("network", tests, scratch_open, scratch_close);
}
