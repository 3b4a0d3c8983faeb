/* test_idx.c: IDX files, gzip or not: what is in them, and one line for each way in which they can be wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <cmocka.h>

#include "io/datadir.h"
#include "io/idx.h"
#include "scratch.h"

enum { COUNT = 3, HEIGHT = 2, WIDTH = 5, BYTES = 16 + COUNT * HEIGHT * WIDTH };

static void make(uint8_t file[BYTES]) {
    const uint8_t head[16] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    memcpy(file, head, 16);
    for (int i = 16; i < BYTES; i++)
        file[i] = (uint8_t)(37 * i + 200);
}

static const char *plain(const uint8_t *data, size_t bytes) {
    const char *path = scratch("images");
    scratch_write(path, data, bytes);
    return path;
}

static const char *gzipped(const uint8_t *data, size_t bytes) {
    const char *path = scratch("images.gz");
    gzFile f = gzopen(path, "wb");
    if (!f || gzwrite(f, data, (unsigned)bytes) != (int)bytes || gzclose(f)) abort();
    return path;
}

static void assert_refused(const char *path, int rank, const char *words) {
    nsamp_error err = {0};
    nsamp_idx idx = {.count = 77};
    assert_int_equal(nsamp_idx_read(path, rank, &idx, &err), NSAMP_EIO);
    assert_null(idx.bytes);
    assert_int_equal(idx.count, 0);
    assert_non_null(strstr(err.text, path));
    if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
}

static void reads_plain_and_gz(void **state) {
    (void)state;
    uint8_t file[BYTES];
    make(file);
    for (int gz = 0; gz < 2; gz++) {
        nsamp_error err = {0};
        nsamp_idx idx;
        assert_int_equal(nsamp_idx_read(gz ? gzipped(file, BYTES) : plain(file, BYTES), 3, &idx, &err),
                         NSAMP_OK);
        assert_int_equal(idx.count, COUNT);
        assert_int_equal(idx.height, HEIGHT);
        assert_int_equal(idx.width, WIDTH);
        assert_memory_equal(idx.bytes, file + 16, BYTES - 16);
        nsamp_idx_free(&idx);
        assert_null(idx.bytes);
    }
    const uint8_t labels[11] = {0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4};
    nsamp_error err = {0};
    nsamp_idx idx;
    assert_int_equal(nsamp_idx_read(plain(labels, sizeof labels), 1, &idx, &err), NSAMP_OK);
    assert_int_equal(idx.count, 3);
    assert_int_equal(idx.height * idx.width, 1);
    assert_memory_equal(idx.bytes, labels + 8, 3);
    nsamp_idx_free(&idx);
    scratch_clear();
}

/* The ten thousand digits: sizes, and the sums of all their bytes as counted by a separate program. */
static void reads_the_built_in_digits(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_idx images, labels;
    char path[1024];
    const char *data = nsamp_data_dir();
    assert_non_null(data);
    snprintf(path, sizeof path, "%s/mnist/t10k-images-idx3-ubyte.gz", data);
    assert_int_equal(nsamp_idx_read(path, 3, &images, &err), NSAMP_OK);
    snprintf(path, sizeof path, "%s/mnist/t10k-labels-idx1-ubyte.gz", data);
    assert_int_equal(nsamp_idx_read(path, 1, &labels, &err), NSAMP_OK);
    assert_int_equal(images.count, 10000);
    assert_int_equal(images.height, 28);
    assert_int_equal(images.width, 28);
    assert_int_equal(labels.count, 10000);
    uint64_t sum = 0, label_sum = 0;
    for (size_t i = 0; i < images.count * 784; i++)
        sum += images.bytes[i];
    for (size_t i = 0; i < labels.count; i++)
        label_sum += labels.bytes[i];
    assert_int_equal(sum, 264923200);
    assert_int_equal(label_sum, 44434);
    nsamp_idx_free(&images);
    nsamp_idx_free(&labels);
}

static void every_truncation_is_refused(void **state) {
    (void)state;
    uint8_t file[BYTES];
    size_t bytes;
    make(file);
    for (size_t n = 0; n < BYTES; n++)
        assert_refused(plain(file, n), 3, n == 0 ? "is empty" : n < 4 ? "not an IDX file" : "cut short");
    unsigned char *gz = scratch_read(gzipped(file, BYTES), &bytes);
    for (size_t n = 0; n < bytes; n++)
        assert_refused(plain(gz, n), 3, "");
    for (size_t n = 12; n < bytes; n++)
        assert_refused(plain(gz, n), 3, "gzip data is cut short");
    for (size_t n = 18; n < bytes; n++) { /* from the data on: deflate errors, or the checksum */
        gz[n] ^= 0x55;
        assert_refused(plain(gz, bytes), 3, "");
        gz[n] ^= 0x55;
    }
    free(gz);
    scratch_clear();
}

static void left_over_bytes_are_refused(void **state) {
    (void)state;
    uint8_t file[BYTES + 1] = {0};
    make(file);
    assert_refused(plain(file, BYTES + 1), 3, "bytes left over");
    assert_refused(gzipped(file, BYTES + 1), 3, "bytes left over");
    scratch_clear();
}

static void wrong_kinds_of_file_are_refused(void **state) {
    (void)state;
    uint8_t file[BYTES];
    make(file);
    assert_refused(scratch("missing"), 3, "No such file");
    assert_refused(scratch_folder, 3, "is a folder");
    assert_refused("/dev/zero", 3, "not a plain file");
    assert_int_equal(mkfifo(scratch("pipe"), 0600), 0);
    assert_refused(scratch("pipe"), 3, "not a plain file");
    assert_refused(plain((const uint8_t *)"[run]\nchains = 5\n", 17), 3, "is not an IDX file");
    assert_refused(plain(file, BYTES), 1, "labels have type 08 and rank 1");
    file[3] = 1;
    assert_refused(plain(file, BYTES), 3, "images have type 08 and rank 3");
    file[3] = 3;
    file[2] = 0x0d; /* float */
    assert_refused(plain(file, BYTES), 3, "IDX type 0d");
    file[2] = 8;
    file[1] = 1;
    assert_refused(plain(file, BYTES), 3, "is not an IDX file");
    scratch_clear();
}

/* 4e9 images of 65535 x 65535, 839 MB in a file of 46 bytes, sizes of zero. */
static void absurd_sizes_are_refused(void **state) {
    (void)state;
    uint8_t file[BYTES];
    make(file);
    memset(file + 4, 0xff, 12);
    assert_refused(plain(file, BYTES), 3, "4294967295 items");
    make(file);
    file[4] = 5; /* 83886083 images, a size that is allowed, but not there */
    assert_refused(plain(file, BYTES), 3, "30 bytes of data, but 83886083 items of 2 x 5 need 838860830");
    assert_refused(gzipped(file, BYTES), 3, "30 bytes of data");
    for (int d = 0; d < 3; d++) {
        make(file);
        file[7 + 4 * d] = 0;
        assert_refused(plain(file, BYTES), 3, "valid: 1 to");
        file[4 + 4 * d] = 0x80;
        assert_refused(plain(file, BYTES), 3, "valid: 1 to");
    }
    scratch_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_plain_and_gz),
        cmocka_unit_test(reads_the_built_in_digits),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(left_over_bytes_are_refused),
        cmocka_unit_test(wrong_kinds_of_file_are_refused),
        cmocka_unit_test(absurd_sizes_are_refused),
    };
    return cmocka_run_group_tests_name("idx", tests, scratch_open, scratch_close);
}
