/* plot_images.c: stored draws of a model of images, as a grid of images. */
#include "stats/plot_kinds.h"

#include <stdlib.h>
#include <strings.h>
#include <string.h>

#include "error.h"
#include "io/png.h"
#include "targets/images.h"
#include "train/network.h"

enum { ROWS = 10, COLUMNS = 10, ZOOM = 3, GAP = 4 };

/* The principal components that the coordinates belong to: of the model that ran, else of the job's data. The
 * caller frees. */
static nsamp_status find_pca(const nsamp_result *r, nsamp_pca **pca, nsamp_error *err) {
    *pca = NULL;
    const char *model;
    nsamp_network *net = NULL;
    nsamp_images *images = NULL;
    nsamp_status status = nsamp_job_input(r->job, NSAMP_KEY_system_model, &model, err);
    if (!status)
        status = *model ? nsamp_network_load(model, &net, err) : nsamp_images_load(r->job, &images, err);
    if (status) return status;
    const nsamp_pca *found = net ? net->pca : images->pca;
    if (!found || found->m != r->dim)
        status = nsamp_fail(err, NSAMP_EUSAGE,
                            "%s: draws of dimension %zu are no images: the model has %zu components", r->path,
                            r->dim, found ? found->m : 0);
    else if (!(*pca = nsamp_pca_copy(found)))
        status = nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for the principal components", r->path);
    nsamp_network_destroy(net);
    nsamp_images_destroy(images);
    return status;
}

/* The last draw of as many chains as there are, then earlier draws -> x [count][dim]. */
static nsamp_status pick(const nsamp_result *r, size_t count, float *x, nsamp_error *err) {
    const size_t chains = r->chains < count ? r->chains : count, sets = (count + chains - 1) / chains;
    const size_t kept = r->draws < sets ? r->draws : sets, spacing = r->draws / kept;
    float *all;
    const nsamp_status status = nsamp_result_draws(r, chains, 0, &all, err);
    if (status) return status;
    for (size_t k = 0; k < count; k++) {
        const size_t draw = r->draws - 1 - k / chains % kept * spacing;
        memcpy(x + k * r->dim, all + (k % chains * r->draws + draw) * r->dim, r->dim * sizeof *x);
    }
    free(all);
    return NSAMP_OK;
}

nsamp_status nsamp_plot_images(const nsamp_result *r, const char *out, nsamp_error *err) {
    nsamp_pca *pca;
    const char *dot = strrchr(out, '.');
    if (!dot || strcasecmp(dot, ".png") != 0)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: images go to a .png file", out);
    nsamp_status status = find_pca(r, &pca, err);
    if (status) return status;
    const size_t most = r->chains * r->draws, count = most < ROWS * COLUMNS ? most : ROWS * COLUMNS;
    float *const x = malloc(count * (r->dim + pca->pixels) * sizeof *x);
    status = x ? pick(r, count, x, err)
               : nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for %zu images", r->path, count);
    if (!status) {
        const nsamp_grid grid = {.rows = (count + COLUMNS - 1) / COLUMNS,
                                 .columns = COLUMNS,
                                 .height = pca->height,
                                 .width = pca->width,
                                 .zoom = ZOOM,
                                 .gap = GAP};
        nsamp_pca_inverse(pca, count, x, x + count * r->dim);
        status = nsamp_png_write(out, &grid, x + count * r->dim, count, true, err);
    }
    free(x);
    nsamp_pca_destroy(pca);
    return status;
}
