/* test_stats_plot.c: each kind of figure in each format: the right kind of file, with the sampled and the
 * expected drawn in their colours where they should be; nothing half-written and nothing left behind when
 * something is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <png.h>

#include "sample_network.h"
#include "sample_run.h"
#include "scratch.h"
#include "stats/plot.h"

static bool have_gnuplot(void) {
    return system("gnuplot --version >/dev/null 2>&1") == 0;
}

static void need_gnuplot(void) {
    if (!have_gnuplot()) {
        print_message("gnuplot is not installed: figures are not tested\n");
        skip();
    }
}

typedef struct picture {
    png_image image;
    uint8_t *rgb;
} picture;

static picture read_png(const char *path) {
    picture p = {.image = {.version = PNG_IMAGE_VERSION}};
    if (!png_image_begin_read_from_file(&p.image, path)) fail_msg("%s: %s", path, p.image.message);
    p.image.format = PNG_FORMAT_RGB;
    p.rgb = malloc(PNG_IMAGE_SIZE(p.image));
    if (!p.rgb || !png_image_finish_read(&p.image, NULL, p.rgb, 0, NULL))
        fail_msg("%s: %s", path, p.image.message);
    return p;
}

/* Pixels of nearly this colour between the fractions [x0, x1) of the width. */
static size_t count_colour(const picture *p, unsigned colour, double x0, double x1) {
    size_t n = 0;
    for (size_t y = 0; y < p->image.height; y++)
        for (size_t x = (size_t)(x0 * p->image.width); x < (size_t)(x1 * p->image.width); x++) {
            const uint8_t *c = p->rgb + 3 * (y * p->image.width + x);
            bool near = true;
            for (int k = 0; k < 3; k++)
                near = near && abs(c[k] - (int)(colour >> (16 - 8 * k) & 255)) < 30;
            n += near;
        }
    return n;
}

enum { BLUE = 0x0072B2, ORANGE = 0xD55E00, SKY = 0x56B4E9, GREEN = 0x009E73, PURPLE = 0xCC79A7 };

static void plot(const char *path, const char *out, const char *kind) {
    nsamp_error err;
    if (nsamp_plot(path, out, kind, &err)) fail_msg("%s", err.text);
}

/* Nothing but the figures and their sources is in the folder, which is also where temporary files go. */
static void assert_files(int expected) {
    assert_int_equal(scratch_count(NULL), expected);
}

static void traces(void **state) {
    (void)state;
    need_gnuplot();
    scratch_clear();
    const sample_run s = {3, 0.8, 0.5, 2, 1, 3};
    run_make(scratch("run.nc"), &s, "0.5");
    plot(scratch("run.nc"), scratch("run.png"), NULL); /* 3-D with draws: the trace */
    picture p = read_png(scratch("run.png"));
    assert_int_equal(p.image.width, 1600);
    const unsigned chains[3] = {BLUE, GREEN, PURPLE};
    for (int k = 0; k < 3; k++)
        assert_true(count_colour(&p, chains[k], 0.09, 0.64) > 500);
    assert_true(count_colour(&p, SKY, 0.66, 1.0) > 20000);
    assert_true(count_colour(&p, ORANGE, 0.66, 1.0) > 500);
    assert_true(count_colour(&p, ORANGE, 0, 0.64) == 0);
    free(p.rgb);
    assert_files(2);
}

/* Pixels of the draws' marginals beside those of a target. The density axis is shared: a target with a higher peak shrinks
 * the draws. */
static size_t drawn_beside(size_t dim, const char *key, const char *value) {
    nsamp_error err;
    const sample_run s = {dim, 0.0, 0.0, UINT64_MAX, 1, 5};
    nsamp_job *job = run_job(scratch("run.nc"), dim, "0");
    assert_int_equal(nsamp_job_set(job, key, value, &err), NSAMP_OK);
    assert_int_equal(run_write(&s, job, &err), NSAMP_OK);
    nsamp_job_destroy(job);
    plot(scratch("run.nc"), scratch("run.png"), "trace");
    picture p = read_png(scratch("run.png"));
    const size_t shown = count_colour(&p, SKY, 0.66, 1.0);
    assert_true(count_colour(&p, ORANGE, 0.66, 1.0) > 300);
    free(p.rgb);
    return shown;
}

/* A wrong sampler's picture is not a right one's; each target has its own curve. Draws: N(0, 1), peak 0.40; a target of
 * variance 0.1 has its peak at 1.26, a Laplace marginal at 0.71. */
static void shows_a_difference(void **state) {
    (void)state;
    need_gnuplot();
    scratch_clear();
    const double right = (double)drawn_beside(1, "target.variance", "1");
    const double wrong = (double)drawn_beside(1, "target.variance", "0.1");
    assert_true(wrong < 0.5 * right && wrong > 0.25 * right);
    const double gaussian = (double)drawn_beside(2, "target.variance", "1");
    const double laplace = (double)drawn_beside(2, "target.name", "laplace-copula");
    assert_true(laplace < 0.8 * gaussian && laplace > 0.45 * gaussian);
}

static void densities(void **state) {
    (void)state;
    need_gnuplot();
    scratch_clear();
    const sample_run s = {2, 0.3, 0.7, UINT64_MAX, 1, 4};
    run_make(scratch("run.nc"), &s, "0.7");
    plot(scratch("run.nc"), scratch("run.png"), NULL);
    picture p = read_png(scratch("run.png"));
    const size_t left = count_colour(&p, ORANGE, 0.09, 0.48), right = count_colour(&p, ORANGE, 0.50, 0.89);
    assert_true(left > 800 && right > 800); /* the contours stand in both panels */
    size_t blue[2] = {0};
    for (size_t y = 0; y < p.image.height; y++)
        for (size_t x = 0; x < p.image.width; x++) {
            const uint8_t *c = p.rgb + 3 * (y * p.image.width + x);
            const double at = (double)x / p.image.width;
            if (c[2] > c[0] + 60) blue[at > 0.495] += at < 0.89;
        }
    assert_true(blue[0] > 20000 && blue[1] > 20000 && fabs((double)blue[0] / (double)blue[1] - 1) < 0.3);
    free(p.rgb);
    assert_files(2);
}

static void moments(void **state) {
    (void)state;
    need_gnuplot();
    scratch_clear();
    const sample_run s = {5, 0.3, 0.2, UINT64_MAX, 0, 6};
    run_make(scratch("run.nc"), &s, "0.2");
    plot(scratch("run.nc"), scratch("run.png"), NULL); /* no draws */
    picture p = read_png(scratch("run.png"));
    assert_true(count_colour(&p, BLUE, 0, 0.5) > 300 && count_colour(&p, BLUE, 0.5, 1) > 300);
    assert_true(count_colour(&p, ORANGE, 0, 0.5) > 500 &&
                count_colour(&p, ORANGE, 0.5, 1) == 0); /* exact mean only */
    free(p.rgb);
}

static void loss_and_images(void **state) {
    (void)state;
    need_gnuplot();
    scratch_clear();
    nsamp_error err;
    nsamp_network *net = net_sample(1);
    assert_int_equal(nsamp_network_save(scratch("model.nc"), true, net, &err), NSAMP_OK);
    plot(scratch("model.nc"), scratch("loss.png"), NULL);
    assert_int_equal(nsamp_plot(scratch("model.nc"), scratch("x.png"), "trace", &err), NSAMP_EUSAGE);
    const sample_run s = {NET_M, 0.3, 0.2, UINT64_MAX, 1, 8};
    nsamp_job *job = run_job(scratch("run.nc"), NET_M, "0.2");
    assert_int_equal(nsamp_job_set(job, "target.name", "images", &err), NSAMP_OK);
    assert_int_equal(nsamp_job_set(job, "system.model", scratch("model.nc"), &err), NSAMP_OK);
    assert_int_equal(run_write(&s, job, &err), NSAMP_OK);
    plot(scratch("run.nc"), scratch("images.png"), NULL);
    picture p = read_png(scratch("images.png"));
    assert_int_equal(p.image.width, 10 * (3 * NET_WIDTH + 4) + 4);
    assert_int_equal(p.image.height, 10 * (3 * NET_HEIGHT + 4) + 4);
    free(p.rgb);
    assert_int_equal(nsamp_plot(scratch("run.nc"), scratch("x.pdf"), "images", &err), NSAMP_EUSAGE);
    nsamp_job_destroy(job);
    nsamp_network_destroy(net);
    assert_files(4);
}

static void formats(void **state) {
    (void)state;
    need_gnuplot();
    scratch_clear();
    const struct {
        const char *name, *magic;
    } formats[] = {{"it's.svg", "<?xml"}, {"a b.pdf", "%PDF-"}, {"UP.PNG", "\x89PNG"}};
    const sample_run s = {2, 0.3, 0.7, UINT64_MAX, 1, 4};
    run_make(scratch("run.nc"), &s, "0.7");
    for (int k = 0; k < 3; k++)
        for (int again = 0; again < 2; again++) { /* a figure is replaced */
            char head[8] = {0};
            plot(scratch("run.nc"), scratch(formats[k].name), k ? "density" : "trace");
            FILE *f = fopen(scratch(formats[k].name), "rb");
            assert_true(f && fread(head, 1, 5, f) == 5);
            fclose(f);
            assert_memory_equal(head, formats[k].magic, strlen(formats[k].magic));
        }
    assert_files(4);
}

static void refuse(const char *path, const char *out, const char *kind, nsamp_status expected,
                   const char *part) {
    nsamp_error err = {0};
    assert_int_equal(nsamp_plot(path, out, kind, &err), expected);
    if (!strstr(err.text, part)) fail_msg("no \"%s\" in: %s", part, err.text);
}

static void refusals(void **state) {
    (void)state;
    scratch_clear();
    const sample_run s = {3, 0.3, 0.7, UINT64_MAX, 1, 4}, bare = {3, 0.3, 0.7, UINT64_MAX, 0, 4};
    run_make(scratch("run.nc"), &s, "0.7");
    run_make(scratch("bare.nc"), &bare, "0.7");
    refuse(scratch("run.nc"), scratch("x.gif"), NULL, NSAMP_EUSAGE, "x.gif");
    refuse(scratch("run.nc"), scratch("no/x.png"), NULL, NSAMP_EUSAGE, "no");
    refuse(scratch("run.nc"), scratch("x.png"), "pie", NSAMP_EUSAGE, "pie");
    refuse(scratch("run.nc"), scratch("x.png"), "loss", NSAMP_EUSAGE, "model file");
    refuse(scratch("run.nc"), scratch("x.png"), "density", NSAMP_EUSAGE, "dimension 2");
    refuse(scratch("bare.nc"), scratch("x.png"), "trace", NSAMP_EUSAGE, "record.every");
    refuse(scratch("none.nc"), scratch("x.png"), NULL, NSAMP_EIO, "none.nc");
    refuse(scratch_folder, scratch("x.png"), NULL, NSAMP_EIO, scratch_folder);
    char *path = strdup(getenv("PATH"));
    setenv("PATH", scratch_folder, 1);
    refuse(scratch("run.nc"), scratch("x.png"), NULL, NSAMP_EIO, "gnuplot is not installed");
    FILE *f = fopen(scratch("gnuplot"), "w"); /* one that fails */
    fputs("#!/bin/sh\necho 'line 3: cannot draw' >&2\nexit 1\n", f);
    fclose(f);
    chmod(scratch("gnuplot"), 0755);
    refuse(scratch("run.nc"), scratch("x.png"), NULL, NSAMP_EIO, "line 3: cannot draw");
    setenv("PATH", path, 1);
    free(path);
    assert_files(3); /* run.nc, bare.nc, gnuplot */
}

static int begin(void **state) {
    if (scratch_open(state)) return -1;
    return setenv("TMPDIR", scratch_folder, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(traces),   cmocka_unit_test(shows_a_difference), cmocka_unit_test(densities),
        cmocka_unit_test(moments),  cmocka_unit_test(loss_and_images),    cmocka_unit_test(formats),
        cmocka_unit_test(refusals),
    };
    return cmocka_run_group_tests(tests, begin, scratch_close);
}
