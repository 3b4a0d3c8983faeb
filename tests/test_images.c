/* test_images.c: the image data set against plain sums in this file, the digits against figures from
 * NumPy 2.4 (eigh of np.cov of the first 9,000 built-in digits, L2-normalised), and the same bits for any
 * number of threads. */
#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <zlib.h>
#include <cmocka.h>

#include "scratch.h"
#include "targets/images.h"

enum { COUNT = 40, HELD = 8, TRAIN = COUNT - HELD, HEIGHT = 2, WIDTH = 3, PIXELS = 6 };

/* Deterministic bytes, one black image among them. */
static void pixels_of(int i, uint8_t p[PIXELS]) {
    for (int j = 0; j < PIXELS; j++)
        p[j] = (uint8_t)(i == 5 ? 0 : (i * i * (j + 3) + 31 * j * i + 7) % 251);
}

static void write_images(void) {
    uint8_t file[16 + COUNT * PIXELS] = {0, 0, 8, 3, 0, 0, 0, COUNT, 0, 0, 0, HEIGHT, 0, 0, 0, WIDTH};
    uint8_t labels[8 + COUNT] = {0, 0, 8, 1, 0, 0, 0, COUNT};
    for (int i = 0; i < COUNT; i++) {
        pixels_of(i, file + 16 + i * PIXELS);
        labels[8 + i] = (uint8_t)(i % 10);
    }
    scratch_write(scratch("train-images-idx3-ubyte"), file, sizeof file);
    scratch_write(scratch("train-labels-idx1-ubyte"), labels, sizeof labels);
}

static nsamp_job *job_with(const char *dir, const char *held_out, const char *pca, const char *normalise) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_int_equal(nsamp_job_set(job, "data.dir", dir, &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "data.held_out", held_out, &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "data.pca", pca, &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "data.normalise", normalise, &err), NSAMP_OK);
    return job;
}

static nsamp_images *load(nsamp_job *job) {
    nsamp_error err = {0};
    nsamp_images *im = NULL;
    if (nsamp_images_load(job, &im, &err)) fail_msg("%s", err.text);
    nsamp_job_destroy(job);
    return im;
}

/* Points as the data set should see them, and their mean and covariance over the first TRAIN. */
static void reference(int normalise, double p[COUNT][PIXELS], double mean[PIXELS],
                      double cov[PIXELS][PIXELS]) {
    for (int i = 0; i < COUNT; i++) {
        uint8_t raw[PIXELS];
        double norm = 0;
        pixels_of(i, raw);
        for (int j = 0; j < PIXELS; j++)
            norm += (double)raw[j] * raw[j];
        for (int j = 0; j < PIXELS; j++)
            p[i][j] = normalise && norm > 0 ? raw[j] / sqrt(norm) : raw[j];
    }
    for (int j = 0; j < PIXELS; j++) {
        mean[j] = 0;
        for (int i = 0; i < TRAIN; i++)
            mean[j] += p[i][j] / TRAIN;
    }
    for (int j = 0; j < PIXELS; j++)
        for (int k = 0; k < PIXELS; k++) {
            cov[j][k] = 0;
            for (int i = 0; i < TRAIN; i++)
                cov[j][k] += (p[i][j] - mean[j]) * (p[i][k] - mean[k]) / (TRAIN - 1);
        }
}

static void assert_near(double a, double b, double most) {
    if (!(fabs(a - b) <= most)) fail_msg("%.17g is not %.17g +- %g", a, b, most);
}

/* Eigenvectors of the covariance, orthonormal, descending, with the fixed sign; coordinates by plain sums. */
static void check_components(int normalise, int m) {
    double p[COUNT][PIXELS], mean[PIXELS], cov[PIXELS][PIXELS], sum = 0;
    char text[8];
    snprintf(text, sizeof text, "%d", m);
    reference(normalise, p, mean, cov);
    const double unit = normalise ? 1 : 255;
    nsamp_images *im = load(job_with(scratch_folder, "8", text, normalise ? "yes" : "no"));
    const nsamp_pca *pca = im->pca;
    assert_int_equal(im->train, TRAIN);
    assert_int_equal(im->held_out, HELD);
    assert_int_equal(im->m, m);
    assert_int_equal(pca->height, HEIGHT);
    assert_int_equal(pca->width, WIDTH);
    for (int j = 0; j < PIXELS; j++)
        assert_near(pca->mean[j], mean[j], 1e-13 * unit);
    for (int k = 0; k < m; k++) {
        const double *v = pca->components + k * PIXELS;
        double top = 0;
        for (int j = 0; j < PIXELS; j++) {
            double cv = 0;
            for (int i = 0; i < PIXELS; i++)
                cv += cov[j][i] * v[i];
            assert_near(cv, pca->variances[k] * v[j], 1e-13 * unit * unit);
            if (fabs(v[j]) > fabs(top)) top = v[j];
        }
        assert_true(top > 0);
        for (int l = 0; l < m; l++) {
            double dot = 0;
            for (int j = 0; j < PIXELS; j++)
                dot += v[j] * pca->components[l * PIXELS + j];
            assert_near(dot, k == l, 1e-13);
        }
        assert_true(k == 0 || pca->variances[k] <= pca->variances[k - 1]);
        sum += pca->variances[k];
    }
    assert_near(pca->scale, sqrt(m / sum), 1e-13 * pca->scale);
    for (int k = 0; k < m; k++)
        assert_near(im->var[k], pca->scale * pca->scale * pca->variances[k], 1e-13 * m);
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < m; k++) {
            double x = 0;
            for (int j = 0; j < PIXELS; j++)
                x += pca->scale * (p[i][j] - mean[j]) * pca->components[k * PIXELS + j];
            const float got = i < TRAIN ? im->x[i * m + k] : im->x_held_out[(i - TRAIN) * m + k];
            assert_near((double)got, x, 1e-6);
        }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(im->labels[i], i % 10);
    nsamp_images_destroy(im);
}

static void components_are_the_eigenvectors(void **state) {
    (void)state;
    write_images();
    check_components(1, 6);
    check_components(1, 2);
    check_components(0, 3);
    scratch_clear();
}

/* With all components the inverse gives the pixels back. */
static void inverse_gives_the_pixels_back(void **state) {
    (void)state;
    double p[COUNT][PIXELS], mean[PIXELS], cov[PIXELS][PIXELS];
    float back[COUNT][PIXELS];
    write_images();
    reference(1, p, mean, cov);
    nsamp_images *im = load(job_with(scratch_folder, "8", "6", "yes"));
    nsamp_pca_inverse(im->pca, COUNT, im->x, &back[0][0]);
    for (int i = 0; i < COUNT; i++)
        for (int j = 0; j < PIXELS; j++)
            assert_near((double)back[i][j], p[i][j], 1e-6);
    nsamp_pca *copy = nsamp_pca_copy(im->pca);
    float again[PIXELS];
    nsamp_pca_inverse(copy, 1, im->x, again);
    assert_memory_equal(again, back[0], sizeof again);
    nsamp_pca_destroy(copy);
    nsamp_images_destroy(im);
    scratch_clear();
}

static void digits_agree_with_numpy(void **state) {
    (void)state;
    nsamp_images *im = load(job_with("", "1000", "100", "yes"));
    assert_int_equal(im->train, 9000);
    assert_int_equal(im->held_out, 1000);
    assert_near(im->pca->scale, 13.6167165992843, 1e-11);
    assert_near(im->pca->variances[0], 0.057539734681489, 1e-13);
    assert_near(im->pca->variances[99], 0.00061795361917734, 1e-14);
    assert_near((double)im->x[0], -1.43290347488, 2e-7);
    assert_near((double)im->x[1], 4.82247739886, 5e-7);
    assert_near((double)im->x[8999 * 100 + 99], -0.0257899546424, 1e-7);
    assert_near((double)im->x_held_out[0], -1.40594846844, 2e-7);
    assert_near((double)im->x_held_out[999 * 100 + 5], 0.49582769201, 1e-7);
    assert_int_equal(im->labels[0], 7);
    assert_int_equal(im->labels[9999], 6);
    double sum = 0;
    for (int k = 0; k < 100; k++)
        sum += im->var[k];
    assert_near(sum, 100, 1e-10);
    nsamp_images_destroy(im);
}

static void threads_do_not_matter(void **state) {
    (void)state;
    const int before = openblas_get_num_threads();
    nsamp_images *first = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        openblas_set_num_threads(threads);
        omp_set_num_threads(threads);
        nsamp_images *im = load(job_with("", "7000", "60", "yes"));
        assert_int_equal(openblas_get_num_threads(), threads); /* left as it was */
        if (!first) {
            first = im;
            continue;
        }
        assert_memory_equal(im->x, first->x, 10000 * 60 * sizeof *im->x);
        assert_memory_equal(im->pca->components, first->pca->components, 60 * 784 * sizeof(double));
        nsamp_images_destroy(im);
    }
    openblas_set_num_threads(before);
    nsamp_images_destroy(first);
}

static void assert_refused(nsamp_job *job, nsamp_status expected, const char *words) {
    nsamp_error err = {0};
    nsamp_images *im = NULL;
    assert_int_equal(nsamp_images_load(job, &im, &err), expected);
    assert_null(im);
    if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
    nsamp_job_destroy(job);
}

static void bad_jobs_and_files_are_refused(void **state) {
    (void)state;
    nsamp_error err = {0};
    assert_refused(job_with(scratch("nowhere"), "1", "2", "yes"), NSAMP_EIO, "holds neither train-images");
    write_images();
    assert_refused(job_with(scratch_folder, "39", "2", "yes"), NSAMP_EUSAGE, "has 40 images; valid: 0 to 38");
    assert_refused(job_with(scratch_folder, "8", "7", "yes"), NSAMP_EUSAGE,
                   "32 training images of 6 pixels; valid: 1 to 6");
    assert_refused(job_with(scratch_folder, "37", "3", "yes"), NSAMP_EUSAGE, "valid: 1 to 2");
    nsamp_job *job = job_with("", "1", "2", "yes");
    assert_int_equal(nsamp_job_set(job, "data.images", scratch("train-images-idx3-ubyte"), &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "data.labels", scratch("train-images-idx3-ubyte"), &err), NSAMP_OK);
    assert_refused(job, NSAMP_EIO, "labels have type 08 and rank 1");
    const uint8_t two[10] = {0, 0, 8, 1, 0, 0, 0, 2, 1, 1};
    scratch_write(scratch("train-labels-idx1-ubyte"), two, sizeof two);
    assert_refused(job_with(scratch_folder, "8", "2", "yes"), NSAMP_EIO, "2 labels for 40 images");
    const uint8_t flat[16 + 12] = {0, 0, 8, 3, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 2};
    scratch_write(scratch("train-images-idx3-ubyte"), flat, sizeof flat);
    unlink(scratch("train-labels-idx1-ubyte"));
    assert_refused(job_with(scratch_folder, "0", "1", "yes"), NSAMP_EUSAGE, "all 3 points are equal");
    scratch_clear();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(components_are_the_eigenvectors), cmocka_unit_test(inverse_gives_the_pixels_back),
        cmocka_unit_test(digits_agree_with_numpy),         cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(bad_jobs_and_files_are_refused),
    };
    return cmocka_run_group_tests_name("images", tests, scratch_open, scratch_close);
}
