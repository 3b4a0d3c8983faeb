/* plot.c: which picture fits a file. */
#include "stats/plot.h"

#include <stdio.h>
#include <string.h>

#include "error.h"
#include "io/plainfile.h"
#include "stats/compare.h"
#include "stats/plot_kinds.h"

/* Model files are classic netCDF ("CDF", io/seal.h), outputs are netCDF-4, that is HDF5. */
static nsamp_status is_model(const char *path, bool *model, nsamp_error *err) {
    char head[4] = {0};
    FILE *in;
    const nsamp_status status = nsamp_fopen_plain(path, &in, err);
    if (status) return status;
    const size_t n = fread(head, 1, sizeof head, in);
    fclose(in);
    *model = n == sizeof head && !memcmp(head, "CDF", 3);
    return NSAMP_OK;
}

static bool is(const char *kind, const char *name) {
    return !strcmp(kind, name);
}

/* The first kind that fits an output. */
static const char *choose(const nsamp_result *r, const char *out) {
    const char *dot = strrchr(out, '.');
    if (!r->chains || !r->draws) return "moments";
    if (nsamp_job_is(r->job, NSAMP_KEY_target_name, "images") && dot && !strcmp(dot, ".png")) return "images";
    return r->dim == 2 ? "density" : "trace";
}

static nsamp_status plot_result(const nsamp_result *r, const char *out, const char *kind, nsamp_error *err) {
    nsamp_target *target = NULL;
    nsamp_error why;
    if (!kind) kind = choose(r, out);
    if (is(kind, "loss"))
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: a loss curve is in a model file: this is an output",
                          r->path);
    if (is(kind, "moments")) return nsamp_plot_moments(r, out, err);
    if (!r->chains || !r->draws)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: stores no draws (record.every): only --kind moments",
                          r->path);
    if (is(kind, "images")) return nsamp_plot_images(r, out, err);
    if (nsamp_result_target(r, &target, &why)) target = NULL;
    const nsamp_status status =
        is(kind, "trace") ? nsamp_plot_trace(r, target, out, err) : nsamp_plot_density(r, target, out, err);
    nsamp_target_destroy(target);
    return status;
}

nsamp_status nsamp_plot(const char *path, const char *out, const char *kind, nsamp_error *err) {
    static const char *const kinds[] = {"images", "density", "trace", "moments", "loss"};
    bool known = !kind, model = false;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
        known = known || is(kind, kinds[k]);
    if (!known)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "no picture is called %s: images, density, trace, moments or loss", kind);
    nsamp_status status = is_model(path, &model, err);
    if (status) return status;
    if (model) {
        if (kind && !is(kind, "loss"))
            return nsamp_fail(err, NSAMP_EUSAGE, "%s: a model file has a loss curve and no %s", path, kind);
        return nsamp_plot_loss(path, out, err);
    }
    nsamp_result *r;
    status = nsamp_result_open(path, &r, err);
    if (status) return status;
    status = plot_result(r, out, kind, err);
    nsamp_result_close(r);
    return status;
}
