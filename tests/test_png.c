/* test_png.c: the image grid, read back through libpng: each screen pixel where and what it should be. */
#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/png.h"
#include "scratch.h"

/* The picture as grey bytes, malloc'ed. */
static unsigned char *read_back(const char *path, unsigned *width, unsigned *height) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_file(&image, path));
    image.format = PNG_FORMAT_GRAY;
    unsigned char *data = malloc(PNG_IMAGE_SIZE(image));
    assert_true(png_image_finish_read(&image, NULL, data, 0, NULL));
    *width = image.width;
    *height = image.height;
    return data;
}

static const float IMAGES[3][2][3] = {
    {{0, 1, 2}, {3, 4, 5}}, {{-1, 0.5f, 0}, {0, 0, 0.25f}}, {{0, 0, 0}, {0, 0, 0}}};

/* 2 x 2 cells of 2 x 3 pixels, zoom 2, gap 1: 11 high, 15 wide; the fourth cell stays empty. */
static void each_pixel_is_in_its_place(void **state) {
    (void)state;
    const nsamp_grid base = {.rows = 2, .columns = 2, .height = 2, .width = 3, .zoom = 2, .gap = 1};
    for (int variant = 0; variant < 3; variant++) {
        nsamp_error err = {0};
        nsamp_grid g = base;
        g.white = variant == 1 ? 2.5 : 0;
        g.invert = variant == 2;
        unsigned width, height;
        assert_int_equal(nsamp_png_write(scratch("g.png"), &g, &IMAGES[0][0][0], 3, variant > 0, &err),
                         NSAMP_OK);
        unsigned char *got = read_back(scratch("g.png"), &width, &height);
        assert_int_equal(width, 15);
        assert_int_equal(height, 11);
        for (unsigned y = 0; y < height; y++)
            for (unsigned x = 0; x < width; x++) {
                double t = 0;
                if (y % 5 != 0 && x % 7 != 0) {
                    const unsigned cell = y / 5 * 2 + x / 7;
                    const double top[4] = {5, 0.5, 1, 1};
                    const double v = cell < 3 ? (double)IMAGES[cell][(y % 5 - 1) / 2][(x % 7 - 1) / 2] : 0;
                    t = v / (variant == 1 ? 2.5 : top[cell]);
                    t = t < 0 ? 0 : t > 1 ? 1 : t;
                }
                assert_int_equal(got[y * width + x], lrint(255 * (variant == 2 ? 1 - t : t)));
            }
        free(got);
    }
    assert_int_equal(scratch_count(NULL), 1);
    scratch_clear();
}

static void strange_numbers_are_grey(void **state) {
    (void)state;
    nsamp_error err = {0};
    const float image[4] = {NAN, INFINITY, -INFINITY, 1};
    const nsamp_grid g = {.rows = 1, .columns = 1, .height = 2, .width = 2, .zoom = 1};
    unsigned width, height;
    assert_int_equal(nsamp_png_write(scratch("g.png"), &g, image, 1, false, &err), NSAMP_OK);
    unsigned char *got = read_back(scratch("g.png"), &width, &height);
    const unsigned char expected[4] = {128, 128, 128, 255};
    assert_memory_equal(got, expected, 4);
    free(got);
    scratch_clear();
}

static void bad_grids_and_paths_are_refused(void **state) {
    (void)state;
    nsamp_error err = {0};
    const nsamp_grid g = {.rows = 1, .columns = 1, .height = 2, .width = 3, .zoom = 1};
    nsamp_grid wide = g, none = g;
    wide.columns = 20000;
    none.zoom = 0;
    assert_int_equal(nsamp_png_write(scratch("g.png"), &wide, &IMAGES[0][0][0], 1, false, &err),
                     NSAMP_EUSAGE);
    assert_int_equal(nsamp_png_write(scratch("g.png"), &none, &IMAGES[0][0][0], 1, false, &err),
                     NSAMP_EUSAGE);
    assert_int_equal(nsamp_png_write(scratch("no/g.png"), &g, &IMAGES[0][0][0], 1, false, &err),
                     NSAMP_EUSAGE);
    assert_int_equal(scratch_count(NULL), 0);
    scratch_write(scratch("g.png"), "mine", 4);
    assert_int_equal(nsamp_png_write(scratch("g.png"), &g, &IMAGES[0][0][0], 1, false, &err), NSAMP_EUSAGE);
    size_t bytes;
    unsigned char *kept = scratch_read(scratch("g.png"), &bytes);
    assert_int_equal(bytes, 4);
    free(kept);
    scratch_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_pixel_is_in_its_place),
        cmocka_unit_test(strange_numbers_are_grey),
        cmocka_unit_test(bad_grids_and_paths_are_refused),
    };
    return cmocka_run_group_tests_name("png", tests, scratch_open, scratch_close);
}
