/* test_held_out.c: the Frechet distance of samples to held-out images, on made-up coordinates of known moments. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "kernels/noise.h"
#include "stats/held_out.h"

enum { M = 4, TRAIN = 4000, HELD_OUT = 2000 };

static float rows[(TRAIN + HELD_OUT) * M], x[HELD_OUT * M];

static nsamp_images made_up(nsamp_pca *pca) {
    const nsamp_noise_key key = nsamp_noise_key_of(3, 10);
    for (uint32_t i = 0; i < TRAIN + HELD_OUT; i++)
        nsamp_normals4(key, NSAMP_PURPOSE_CHECK, i, 0, 0, rows + (size_t)i * M);
    const nsamp_images images = {
        .train = TRAIN, .held_out = HELD_OUT, .m = M, .x = rows, .x_held_out = rows + TRAIN * M, .pca = pca};
    return images;
}

/* The held-out images themselves moved by d along one axis: d^2 exactly, in units of scale^2. */
static void test_shift(void **state) {
    (void)state;
    nsamp_pca pca = {.m = M, .scale = 2.0};
    const nsamp_images images = made_up(&pca);
    nsamp_error err;
    double distance, floor_;
    for (int i = 0; i < HELD_OUT * M; i++)
        x[i] = images.x_held_out[i] + (i % M == 1 ? 3.0f : 0.0f);
    assert_int_equal(nsamp_held_out_frechet(&images, x, HELD_OUT, &distance, &floor_, &err), NSAMP_OK);
    assert_true(fabs(distance - 9.0 / 4.0) < 1e-4);
    assert_true(floor_ > 0 &&
                floor_ < 0.01); /* M (1/TRAIN + 1/HELD_OUT) / scale^2 is 0.0008, doubled by the covariances */
}

/* Twice as wide as the held-out images: sum of (2 s - s)^2, s^2 the eigenvalues, which is the trace. */
static void test_width(void **state) {
    (void)state;
    nsamp_pca pca = {.m = M, .scale = 1.0};
    const nsamp_images images = made_up(&pca);
    nsamp_error err;
    double distance, floor_, mean[M] = {0}, trace = 0;
    for (int i = 0; i < HELD_OUT * M; i++)
        mean[i % M] += images.x_held_out[i] / HELD_OUT;
    for (int i = 0; i < HELD_OUT * M; i++) {
        const double r = images.x_held_out[i] - mean[i % M];
        trace += r * r / (HELD_OUT - 1);
        x[i] = (float)(mean[i % M] + 2 * r);
    }
    assert_int_equal(nsamp_held_out_frechet(&images, x, HELD_OUT, &distance, &floor_, &err), NSAMP_OK);
    assert_true(fabs(distance - trace) < 1e-4);
}

static void test_too_few(void **state) {
    (void)state;
    nsamp_pca pca = {.m = M, .scale = 1.0};
    const nsamp_images images = made_up(&pca);
    nsamp_error err;
    double distance, floor_;
    assert_int_equal(nsamp_held_out_frechet(&images, x, M, &distance, &floor_, &err), NSAMP_OK);
    assert_true(isnan(distance) && isnan(floor_));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shift),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_too_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
