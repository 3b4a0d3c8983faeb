/* images.c: see images.h. */
#include "images.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "io/datadir.h"
#include "io/idx.h"

/* The raw images, and what turns number i into a point. */
typedef struct raw {
    nsamp_idx idx;
    size_t pixels;
    bool normalise; /* divide by the L2 norm; a black image stays black */
} raw;

static void point(size_t i, double *p, const void *user) {
    const raw *r = user;
    const uint8_t *image = r->idx.bytes + i * r->pixels;
    double square = 0;
    for (size_t j = 0; j < r->pixels; j++)
        square += (double)image[j] * image[j];
    const double factor = r->normalise && square > 0 ? 1 / sqrt(square) : 1;
    for (size_t j = 0; j < r->pixels; j++)
        p[j] = factor * image[j];
}

/* ---- finding the files ---- */

static bool there(const char *path) {
    struct stat st;
    return !stat(path, &st);
}

/* FOLDER/SET-KIND-ubyte or the same with .gz; false when neither is there (path then names the first). */
static bool find(const char *folder, const char *set, const char *kind, char *path, size_t size) {
    static const char *const endings[] = {"", ".gz"};
    for (int i = 0; i < 2; i++) {
        snprintf(path, size, "%s/%s-%s-ubyte%s", folder, set, kind, endings[i]);
        if (there(path)) return true;
    }
    snprintf(path, size, "%s/%s-%s-ubyte", folder, set, kind);
    return false;
}

/* Paths of images and labels (empty: no labels). */
static nsamp_status find_files(const nsamp_job *job, char *images, char *labels, size_t size,
                               nsamp_error *err) {
    const char *one, *its_labels, *dir = "";
    *labels = 0;
    nsamp_status status = nsamp_job_input(job, NSAMP_KEY_data_images, &one, err);
    if (!status && *one) {
        status = nsamp_job_input(job, NSAMP_KEY_data_labels, &its_labels, err);
        if (status) return status;
        snprintf(images, size, "%s", one);
        snprintf(labels, size, "%s", its_labels);
        return NSAMP_OK;
    }
    if (!status) status = nsamp_job_input(job, NSAMP_KEY_data_dir, &dir, err);
    if (status) return status;
    char builtin[2048];
    if (!*dir) {
        const char *data = nsamp_data_dir();
        if (!data)
            return nsamp_fail(
                err, NSAMP_EIO,
                "the built-in digits are not installed: set data.dir, data.images or NSAMP_DATA");
        snprintf(builtin, sizeof builtin, "%s/mnist", data);
        dir = builtin;
    }
    static const char *const sets[] = {"train", "t10k"};
    for (int i = 0; i < 2; i++)
        if (find(dir, sets[i], "images-idx3", images, size)) {
            if (!find(dir, sets[i], "labels-idx1", labels, size)) *labels = 0;
            return NSAMP_OK;
        }
    return nsamp_fail(err, NSAMP_EIO,
                      "%s: holds neither train-images-idx3-ubyte nor t10k-images-idx3-ubyte (or .gz)", dir);
}

/* ---- loading ---- */

static nsamp_status read_labels(const char *path, size_t count, nsamp_images *im, nsamp_error *err) {
    nsamp_idx idx;
    nsamp_status status = nsamp_idx_read(path, 1, &idx, err);
    if (status) return status;
    if (idx.count != count) {
        status = nsamp_fail(err, NSAMP_EIO, "%s: %zu labels for %zu images", path, idx.count, count);
        nsamp_idx_free(&idx);
        return status;
    }
    im->labels = idx.bytes;
    return NSAMP_OK;
}

static nsamp_status check_sizes(const nsamp_job *job, const raw *r, nsamp_images *im, nsamp_error *err) {
    const uint64_t held_out = (uint64_t)nsamp_job_int(job, NSAMP_KEY_data_held_out);
    const uint64_t m = (uint64_t)nsamp_job_int(job, NSAMP_KEY_data_pca), count = r->idx.count;
    if (held_out + 2 > count)
        return nsamp_job_fail(job, NSAMP_KEY_data_held_out, err,
                              "%s has %zu images; valid: 0 to %lld, two stay for training", im->source,
                              r->idx.count, (long long)count - 2);
    im->held_out = (size_t)held_out;
    im->train = (size_t)(count - held_out);
    const size_t most = im->train - 1 < r->pixels ? im->train - 1 : r->pixels;
    if (m > most)
        return nsamp_job_fail(job, NSAMP_KEY_data_pca, err,
                              "%s has %zu training images of %zu pixels; valid: 1 to %zu", im->source,
                              im->train, r->pixels, most);
    im->m = (size_t)m;
    return NSAMP_OK;
}

static nsamp_status fit(const raw *r, nsamp_images *im, nsamp_error *err) {
    const size_t count = im->train + im->held_out;
    im->pca = nsamp_pca_create(r->idx.height, r->idx.width, im->m);
    im->var = malloc(im->m * sizeof *im->var);
    im->x = malloc(count * im->m * sizeof *im->x);
    if (!im->pca || !im->var || !im->x)
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory for %zu images in %zu coordinates",
                          im->source, count, im->m);
    im->x_held_out = im->x + im->train * im->m;
    nsamp_status status = nsamp_pca_fit(im->pca, im->train, point, r, err);
    if (!status) status = nsamp_pca_project(im->pca, 0, count, point, r, im->x, err);
    for (size_t k = 0; !status && k < im->m; k++)
        im->var[k] = im->pca->scale * im->pca->scale * im->pca->variances[k];
    return status;
}

nsamp_status nsamp_images_load(const nsamp_job *job, nsamp_images **images, nsamp_error *err) {
    char labels[sizeof((nsamp_images *)0)->source];
    raw r = {.normalise = nsamp_job_bool(job, NSAMP_KEY_data_normalise)};
    *images = NULL;
    nsamp_images *im = calloc(1, sizeof *im);
    if (!im) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the images");
    nsamp_status status = find_files(job, im->source, labels, sizeof labels, err);
    if (!status) status = nsamp_idx_read(im->source, 3, &r.idx, err);
    r.pixels = r.idx.height * r.idx.width;
    if (!status) status = check_sizes(job, &r, im, err);
    if (!status && *labels) status = read_labels(labels, r.idx.count, im, err);
    if (!status) status = fit(&r, im, err);
    nsamp_idx_free(&r.idx);
    if (status)
        nsamp_images_destroy(im);
    else
        *images = im;
    return status;
}

void nsamp_images_destroy(nsamp_images *im) {
    if (!im) return;
    free(im->x);
    free(im->var);
    free(im->labels);
    nsamp_pca_destroy(im->pca);
    free(im);
}
