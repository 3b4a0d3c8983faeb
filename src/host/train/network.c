/* network.c: networks in memory, and what makes one valid. Their file is in network_file.c. */
#include "network.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "train/network_check.h"

nsamp_network *nsamp_network_create(size_t m, size_t n) {
    if (!m || !n || n > SIZE_MAX / sizeof(float) / m) return NULL;
    nsamp_network *net = calloc(1, sizeof *net);
    if (!net) return NULL;
    net->m = m;
    net->n = n;
    net->sigma = net->score_error = NAN;
    net->w1 = calloc(m * n, sizeof *net->w1);
    net->w2 = calloc(n * m, sizeof *net->w2);
    net->b = calloc(n, sizeof *net->b);
    net->start_var = calloc(m, sizeof *net->start_var);
    if (net->w1 && net->w2 && net->b && net->start_var) return net;
    nsamp_network_destroy(net);
    return NULL;
}

void nsamp_network_destroy(nsamp_network *net) {
    if (!net) return;
    free(net->w1);
    free(net->w2);
    free(net->b);
    free(net->start_var);
    nsamp_pca_destroy(net->pca);
    free(net->job_text);
    free(net->loss_batch);
    free(net->loss_train);
    free(net->loss_held_out);
    free(net->loss_level);
    free(net);
}

/* Index of the first number that is not finite; n if all are. */
static size_t bad_float(const float *x, size_t n) {
    size_t i = 0;
    while (i < n && isfinite(x[i]))
        i++;
    return i;
}

/* The same, or below `low`. */
static size_t bad_double(const double *x, size_t n, double low) {
    size_t i = 0;
    while (i < n && isfinite(x[i]) && x[i] >= low)
        i++;
    return i;
}

static nsamp_status pca_check(const nsamp_pca *pca, size_t m, const char *path, nsamp_status status,
                              nsamp_error *err) {
    if (pca->m != m || m > pca->pixels || !pca->height || !pca->width ||
        pca->pixels / pca->height != pca->width || pca->pixels % pca->height)
        return nsamp_fail(err, status, "%s: %zu components of %zu pixels (%zu x %zu) do not fit m = %zu",
                          path, pca->m, pca->pixels, pca->height, pca->width, m);
    if (!(isfinite(pca->scale) && pca->scale > 0))
        return nsamp_fail(err, status, "%s: pca_scale = %g, must be positive", path, pca->scale);
    const struct {
        const char *name;
        const double *x;
        size_t n;
        double low;
    } list[] = {{"pca_mean", pca->mean, pca->pixels, -INFINITY},
                {"pca_components", pca->components, m * pca->pixels, -INFINITY},
                {"pca_variances", pca->variances, m, 0}};
    for (size_t k = 0; k < 3; k++) {
        const size_t i = bad_double(list[k].x, list[k].n, list[k].low);
        if (i < list[k].n)
            return nsamp_fail(err, status, "%s: %s[%zu] = %g is not valid", path, list[k].name, i,
                              list[k].x[i]);
    }
    return NSAMP_OK;
}

nsamp_status nsamp_network_check(const nsamp_network *net, const char *path, nsamp_status status,
                                 nsamp_error *err) {
    if (net->activation < NSAMP_IDENTITY || net->activation > NSAMP_SOFTPLUS)
        return nsamp_fail(err, status, "%s: activation %d is none", path, (int)net->activation);
    if (!(isfinite(net->sigma) && net->sigma > 0))
        return nsamp_fail(err, status, "%s: sigma = %g, must be positive", path, net->sigma);
    const struct {
        const char *name;
        const float *x;
        size_t n;
    } list[] = {{"w1", net->w1, net->m * net->n}, {"w2", net->w2, net->n * net->m}, {"b", net->b, net->n}};
    for (size_t k = 0; k < 3; k++) {
        const size_t i = bad_float(list[k].x, list[k].n);
        if (i < list[k].n)
            return nsamp_fail(err, status, "%s: %s[%zu] = %g is not finite", path, list[k].name, i,
                              (double)list[k].x[i]);
    }
    const size_t i = bad_double(net->start_var, net->m, 0);
    if (i < net->m)
        return nsamp_fail(err, status, "%s: start_var[%zu] = %g is not valid", path, i, net->start_var[i]);
    return net->pca ? pca_check(net->pca, net->m, path, status, err) : NSAMP_OK;
}
