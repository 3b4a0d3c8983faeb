/* images_target.c: the data set of images.h as a target: draws are its training images, chosen at random with
 * replacement, in the scaled coordinates of the principal components. No density, no score. */
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "targets/builders.h"
#include "targets/images.h"

/* Image floor(u n) for a 64-bit word u: no image is favoured by more than n 2^-64. */
static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    const nsamp_images *images = t->data;
    const nsamp_words w = nsamp_draw_words(key, purpose, (uint32_t)i, i >> 32, 0);
    /* the high word of a 64 x 32 bit product; there are fewer than 2^32 images */
    const uint64_t low = (uint64_t)w.w[1] * images->train >> 32;
    const size_t row = (size_t)(((uint64_t)w.w[0] * images->train + low) >> 32);
    for (size_t k = 0; k < t->dim; k++)
        x[k] = (double)images->x[row * images->m + k];
}

static void destroy(nsamp_target *t) {
    nsamp_images_destroy(t->data);
}

nsamp_status nsamp_target_images(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {NULL, NULL, draw, destroy};
    nsamp_images *images;
    nsamp_status status = nsamp_images_load(job, &images, err);
    if (status) return status;
    t->ops = &ops;
    t->data = images;
    status = nsamp_target_check_dim(job, "the image set (data.pca)", images->m, err);
    if (status) return status;
    t->dim = images->m;
    t->mean = calloc(t->dim, sizeof *t->mean); /* coordinates are centred */
    t->var = malloc(t->dim * sizeof *t->var);
    if (!t->mean || !t->var) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    memcpy(t->var, images->var, t->dim * sizeof *t->var);
    return NSAMP_OK;
}
