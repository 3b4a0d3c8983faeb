/* network_file.c: the model file. netCDF, classic model with 64-bit data (no dates, no library state: the
 * same network gives the same bytes), with a seal at the end.
 *
 *   dimensions  m, n; pixels with a PCA; entry with a loss curve
 *   variables   w1(m, n), w2(n, m), b(n) float; start_var(m) double
 *               pca_mean(pixels), pca_components(m, pixels), pca_variances(m) double
 *               loss_batch(entry), loss_train(entry), loss_held_out(entry) double; loss_level(entry) int
 *   attributes  title, nsamp_model (version 1), nsamp_version, activation, form, sigma, score_error (where
 * it is known), job; with a PCA height, width, pca_scale */
#include "network.h"

#include <errno.h>
#include <math.h>
#include <netcdf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/cdf5.h"
#include "io/ncfile.h"
#include "io/newfile.h"
#include "io/pathname.h"
#include "io/seal.h"
#include "train/network_check.h"

static const char *const ACTIVATIONS[] = {"identity", "relu", "tanh", "softplus"};
static const size_t JOB_TEXT_MAX = (size_t)1 << 20;

/* One variable of the file: name, type, shape by dimension names (second NULL: rank 1). */
typedef struct field {
    const char *name;
    nc_type type;
    const char *dims[2];
    void *data; /* NULL: absent */
} field;

enum { FIELDS = 11 };

static void list_fields(const nsamp_network *net, field f[FIELDS]) {
    const nsamp_pca *p = net->pca;
    const field list[FIELDS] = {
        {"w1", NC_FLOAT, {"m", "n"}, net->w1},
        {"w2", NC_FLOAT, {"n", "m"}, net->w2},
        {"b", NC_FLOAT, {"n"}, net->b},
        {"start_var", NC_DOUBLE, {"m"}, net->start_var},
        {"pca_mean", NC_DOUBLE, {"pixels"}, p ? p->mean : NULL},
        {"pca_components", NC_DOUBLE, {"m", "pixels"}, p ? p->components : NULL},
        {"pca_variances", NC_DOUBLE, {"m"}, p ? p->variances : NULL},
        {"loss_batch", NC_DOUBLE, {"entry"}, net->loss_batch},
        {"loss_train", NC_DOUBLE, {"entry"}, net->loss_train},
        {"loss_held_out", NC_DOUBLE, {"entry"}, net->loss_held_out},
        {"loss_level", NC_INT, {"entry"}, net->loss_level},
    };
    memcpy(f, list, sizeof list);
}

/* ---- writing ---- */

static void write_attributes(nsamp_nc *w, const nsamp_network *net) {
    const int g = NC_GLOBAL, version = 1;
    nsamp_nc_text(w, w->id, g, "title", "reservoir-sampler network: drift(x) = -x + w1 phi(w2 x + b)");
    if (!w->status)
        nsamp_nc_note(w, nc_put_att_int(w->id, g, "nsamp_model", NC_INT, 1, &version), "nsamp_model");
    nsamp_nc_text(w, w->id, g, "nsamp_version", NSAMP_VERSION);
    nsamp_nc_text(w, w->id, g, "activation", ACTIVATIONS[net->activation]);
    nsamp_nc_text(w, w->id, g, "form", net->denoiser ? "denoiser" : "score");
    nsamp_nc_reals(w, w->id, g, "sigma", 1, &net->sigma);
    if (isfinite(net->score_error)) nsamp_nc_reals(w, w->id, g, "score_error", 1, &net->score_error);
    if (net->job_text) nsamp_nc_text(w, w->id, g, "job", net->job_text);
    if (!net->pca) return;
    const double size[2] = {(double)net->pca->height, (double)net->pca->width};
    nsamp_nc_reals(w, w->id, g, "height", 1, &size[0]);
    nsamp_nc_reals(w, w->id, g, "width", 1, &size[1]);
    nsamp_nc_reals(w, w->id, g, "pca_scale", 1, &net->pca->scale);
}

static void write_file(nsamp_nc *w, const nsamp_network *net) {
    field f[FIELDS];
    list_fields(net, f);
    nsamp_nc_dim(w, w->id, "m", net->m);
    nsamp_nc_dim(w, w->id, "n", net->n);
    if (net->pca) nsamp_nc_dim(w, w->id, "pixels", net->pca->pixels);
    if (net->losses) nsamp_nc_dim(w, w->id, "entry", net->losses);
    write_attributes(w, net);
    for (int i = 0; i < FIELDS; i++) {
        if (!f[i].data || w->status) continue;
        int dims[2] = {0, 0};
        const int rank = f[i].dims[1] ? 2 : 1;
        for (int d = 0; d < rank; d++)
            nsamp_nc_note(w, nc_inq_dimid(w->id, f[i].dims[d], &dims[d]), f[i].name);
        nsamp_nc_var(w, w->id, f[i].name, f[i].type, rank, dims);
    }
    if (!w->status) nsamp_nc_note(w, nc_set_fill(w->id, NC_NOFILL, NULL), "the file");
    if (!w->status) nsamp_nc_note(w, nc_enddef(w->id), "the file");
    for (int i = 0; i < FIELDS && !w->status; i++) {
        int var;
        if (!f[i].data || nsamp_nc_note(w, nc_inq_varid(w->id, f[i].name, &var), f[i].name)) continue;
        nsamp_nc_note(w, nc_put_var(w->id, var, f[i].data), f[i].name);
    }
}

nsamp_status nsamp_network_save(const char *path, bool overwrite, const nsamp_network *net,
                                nsamp_error *err) {
    nsamp_newfile new;
    nsamp_status status = nsamp_network_check(net, path, NSAMP_EINTERNAL, err);
    if (!status) status = nsamp_newfile_begin(path, overwrite, &new, err);
    if (status) return status;
    nsamp_nc w = {0};
    nsamp_nc_lock();
    errno = 0;
    if (!nsamp_nc_note(&w, nc_create(new.temp, NC_64BIT_DATA | NC_CLOBBER, &w.id), "the file")) {
        write_file(&w, net);
        nsamp_nc_note(&w, nc_close(w.id), "the file");
    }
    nsamp_nc_unlock();
    status = nsamp_nc_result(&w, path, err);
    if (!status) status = nsamp_seal(new.temp, path, err);
    if (!status) return nsamp_newfile_commit(&new, err);
    nsamp_newfile_abandon(&new);
    return status;
}

/* ---- reading ---- */

typedef struct reader {
    int id;
    uint64_t bytes; /* of the file: no variable is larger */
    const char *path;
    nsamp_error *err;
} reader;

static nsamp_status refuse(const reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static nsamp_status refuse(const reader *r, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return nsamp_fail(r->err, NSAMP_EIO, "%s: %s", r->path, text);
}

/* Length of a dimension; 0 where there is none. */
static size_t length_of(const reader *r, const char *name) {
    int dim;
    size_t length;
    return nc_inq_dimid(r->id, name, &dim) || nc_inq_dimlen(r->id, dim, &length) ? 0 : length;
}

static nsamp_status read_real(const reader *r, const char *name, double *value) {
    nc_type type;
    size_t length;
    if (nc_inq_att(r->id, NC_GLOBAL, name, &type, &length) || type != NC_DOUBLE || length != 1 ||
        nc_get_att_double(r->id, NC_GLOBAL, name, value))
        return refuse(r, "has no attribute %s that is one double", name);
    return NSAMP_OK;
}

/* Text attribute, malloc'ed; *text NULL where there is none. */
static nsamp_status read_text(const reader *r, const char *name, char **text) {
    nc_type type;
    size_t length;
    *text = NULL;
    if (nc_inq_att(r->id, NC_GLOBAL, name, &type, &length)) return NSAMP_OK;
    if (type != NC_CHAR || length > JOB_TEXT_MAX || length > r->bytes)
        return refuse(r, "attribute %s is not text of at most %zu bytes", name, JOB_TEXT_MAX);
    char *t = calloc(length + 1, 1);
    if (!t) return nsamp_fail(r->err, NSAMP_ENOMEM, "out of memory for attribute %s", name);
    if (nc_get_att_text(r->id, NC_GLOBAL, name, t)) {
        free(t);
        return refuse(r, "attribute %s cannot be read", name);
    }
    *text = t;
    return NSAMP_OK;
}

/* Index of a text attribute's value in choices; the value must be one of them. */
static nsamp_status read_choice(const reader *r, const char *name, const char *const *choices, int count,
                                int *index) {
    char *text;
    nsamp_status status = read_text(r, name, &text);
    if (status) return status;
    for (*index = 0; *index < count; (*index)++)
        if (text && !strcmp(text, choices[*index])) break;
    if (*index == count) status = refuse(r, "attribute %s is '%.40s'", name, text ? text : "");
    free(text);
    return status;
}

/* Type and shape as listed, before anything is allocated for it. */
static nsamp_status check_field(const reader *r, const field *f) {
    int var, rank, dims[NC_MAX_VAR_DIMS];
    nc_type type;
    const int want = f->dims[1] ? 2 : 1;
    if (nc_inq_varid(r->id, f->name, &var)) return refuse(r, "has no variable %s", f->name);
    if (nc_inq_vartype(r->id, var, &type) || nc_inq_varndims(r->id, var, &rank) || rank != want ||
        nc_inq_vardimid(r->id, var, dims) || type != f->type)
        return refuse(r, "variable %s is not of rank %d and the type it should have", f->name, want);
    for (int d = 0; d < want; d++) {
        int dim; /* ids, not names: a damaged file may have two dimensions of one name */
        if (nc_inq_dimid(r->id, f->dims[d], &dim) || dims[d] != dim)
            return refuse(r, "dimension %d of variable %s is not %s", d, f->name, f->dims[d]);
    }
    return NSAMP_OK;
}

static nsamp_status read_field(const reader *r, const field *f) {
    int var;
    nsamp_status status = check_field(r, f);
    if (!status && (nc_inq_varid(r->id, f->name, &var) || nc_get_var(r->id, var, f->data)))
        status = refuse(r, "variable %s cannot be read", f->name);
    return status;
}

/* An array of rows x columns numbers of `size` bytes must fit in the file that is said to hold it. */
static bool fits(const reader *r, uint64_t rows, uint64_t columns, uint64_t size) {
    return rows && columns && rows <= r->bytes / size / columns;
}

static nsamp_status create(const reader *r, nsamp_network **net) {
    const size_t m = length_of(r, "m"), n = length_of(r, "n"), pixels = length_of(r, "pixels"),
                 entries = length_of(r, "entry");
    if (!fits(r, m, n, 2 * sizeof(float)) || (pixels && !fits(r, pixels, m, sizeof(double))) ||
        (entries && !fits(r, entries, 1, 3 * sizeof(double))))
        return refuse(r, "m = %zu, n = %zu, pixels = %zu, entry = %zu do not fit its %llu bytes", m, n,
                      pixels, entries, (unsigned long long)r->bytes);
    nsamp_network *w = *net = nsamp_network_create(m, n);
    if (!w) return nsamp_fail(r->err, NSAMP_ENOMEM, "%s: out of memory for m = %zu, n = %zu", r->path, m, n);
    if (entries) {
        w->losses = entries;
        w->loss_batch = calloc(entries, sizeof(double));
        w->loss_train = calloc(entries, sizeof(double));
        w->loss_held_out = calloc(entries, sizeof(double));
        w->loss_level = calloc(entries, sizeof(int));
        if (!w->loss_batch || !w->loss_train || !w->loss_held_out || !w->loss_level)
            return nsamp_fail(r->err, NSAMP_ENOMEM, "%s: out of memory for a loss curve of %zu", r->path,
                              entries);
    }
    if (!pixels) return NSAMP_OK;
    double height, width;
    nsamp_status status = read_real(r, "height", &height);
    if (!status) status = read_real(r, "width", &width);
    if (status) return status;
    if (!(height >= 1 && width >= 1 && height <= (double)pixels && height * width == (double)pixels))
        return refuse(r, "height %g and width %g do not make %zu pixels", height, width, pixels);
    w->pca = nsamp_pca_create((size_t)height, (size_t)width, m);
    if (!w->pca)
        return nsamp_fail(r->err, NSAMP_ENOMEM, "%s: out of memory for the principal components", r->path);
    return read_real(r, "pca_scale", &w->pca->scale);
}

static nsamp_status read_file(const reader *r, nsamp_network **net) {
    static const char *const forms[] = {"score", "denoiser"};
    int activation, form, version = 0;
    nc_type type;
    size_t length;
    if (nc_inq_att(r->id, NC_GLOBAL, "nsamp_model", &type, &length) || type != NC_INT || length != 1 ||
        nc_get_att_int(r->id, NC_GLOBAL, "nsamp_model", &version) || version != 1)
        return refuse(r, "is not a model file of version 1 (attribute nsamp_model: %d)", version);
    nsamp_status status = create(r, net);
    if (!status) status = read_choice(r, "activation", ACTIVATIONS, 4, &activation);
    if (!status) status = read_choice(r, "form", forms, 2, &form);
    if (!status) status = read_real(r, "sigma", &(*net)->sigma);
    if (!status && !nc_inq_att(r->id, NC_GLOBAL, "score_error", &type, &length))
        status = read_real(r, "score_error", &(*net)->score_error);
    if (!status) status = read_text(r, "job", &(*net)->job_text);
    if (status) return status;
    (*net)->activation = (nsamp_activation)activation;
    (*net)->denoiser = form == 1;
    field f[FIELDS];
    list_fields(*net, f);
    for (int i = 0; i < FIELDS && !status; i++)
        if (f[i].data) status = read_field(r, &f[i]);
    return status ? status : nsamp_network_check(*net, r->path, NSAMP_EIO, r->err);
}

nsamp_status nsamp_network_load(const char *path, nsamp_network **net, nsamp_error *err) {
    reader r = {.path = path, .err = err};
    *net = NULL;
    nsamp_status status = nsamp_pathname_check(path, err);
    if (!status) status = nsamp_seal_check(path, &r.bytes, err);
    if (!status) status = nsamp_cdf5_check(path, r.bytes, err);
    if (status) return status;
    char *name = nsamp_pathname_library(path);
    if (!name) return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
    nsamp_nc_lock();
    const int rc = nc_open(name, NC_NOWRITE, &r.id);
    free(name);
    if (rc) {
        status = refuse(&r, "cannot be opened as netCDF: %s", nc_strerror(rc));
    } else {
        status = read_file(&r, net);
        nc_close(r.id);
    }
    nsamp_nc_unlock();
    if (status) {
        nsamp_network_destroy(*net);
        *net = NULL;
    }
    return status;
}
