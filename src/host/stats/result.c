/* result.c: reading an output file. netCDF checks the checksums of what HDF5 stored; shapes and kinds are
 * checked here. */
#include "stats/result.h"

#include <errno.h>
#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "io/ncfile.h"

static const char *const numeric_groups[] = {"moments", "statistics"};

enum { ATTRIBUTE_MOST = 1 << 20 }; /* numbers or characters of an attribute: more is not ours */

static nsamp_result_array *append(nsamp_result *r) {
    nsamp_result_array *more = realloc(r->arrays, (r->count + 1) * sizeof *more);
    if (!more) return NULL;
    r->arrays = more;
    memset(&more[r->count], 0, sizeof *more);
    return &more[r->count];
}

/* ---- groups ---- */

static int read_variable(nsamp_result *r, int group, int var, const char *group_name) {
    int rank, dims[NC_MAX_VAR_DIMS], type;
    char name[NC_MAX_NAME + 1], axis[NC_MAX_NAME + 1];
    int rc = nc_inq_var(group, var, name, &type, &rank, dims, NULL);
    if (rc) return rc;
    if (rank == 1 && !nc_inq_dimname(group, dims[0], axis) && !strcmp(axis, name))
        return NC_NOERR; /* a coordinate */
    if (type == NC_CHAR || type == NC_STRING || type > NC_STRING || strlen(name) >= sizeof r->arrays->name)
        return NC_NOERR;
    size_t count = 1, columns = 1;
    for (int i = 0; i < rank; i++) {
        size_t length;
        if ((rc = nc_inq_dimlen(group, dims[i], &length))) return rc;
        if (length && count > SIZE_MAX / sizeof(double) / length) return NC_ENOMEM;
        count *= length;
        columns = length;
    }
    nsamp_result_array *a = append(r);
    double *value = malloc((count + 1) * sizeof *value);
    if (!a || !value) {
        free(value);
        return NC_ENOMEM;
    }
    snprintf(a->group, sizeof a->group, "%s", group_name);
    memcpy(a->name, name, strlen(name) + 1);
    a->rank = (size_t)rank;
    a->count = count;
    a->columns = columns;
    a->value = value;
    r->count++;
    size_t length;
    if (!nc_inq_attlen(group, var, "units", &length) && length < sizeof a->unit)
        if (nc_get_att_text(group, var, "units", a->unit)) a->unit[0] = 0;
    return nc_get_var_double(group, var, value);
}

static int read_attribute(nsamp_result *r, int group, const char *group_name, const char *name) {
    nc_type type;
    size_t length;
    const int rc = nc_inq_att(group, NC_GLOBAL, name, &type, &length);
    if (rc || type == NC_CHAR || type == NC_STRING || length != 1 || strlen(name) >= sizeof r->arrays->name)
        return rc;
    nsamp_result_array *a = append(r);
    if (!a || !(a->value = malloc(sizeof *a->value))) return NC_ENOMEM;
    snprintf(a->group, sizeof a->group, "%s", group_name);
    memcpy(a->name, name, strlen(name) + 1);
    a->count = 1;
    r->count++;
    return nc_get_att_double(group, NC_GLOBAL, name, a->value);
}

static int read_group(nsamp_result *r, const char *group_name) {
    int group, vars, attributes, rc = nc_inq_grp_ncid(r->file, group_name, &group);
    if (rc == NC_ENOGRP) return NC_NOERR;
    if (rc || (rc = nc_inq(group, NULL, &vars, &attributes, NULL))) return rc;
    for (int k = 0; k < attributes && !rc; k++) {
        char name[NC_MAX_NAME + 1];
        if (!(rc = nc_inq_attname(group, NC_GLOBAL, k, name)))
            rc = read_attribute(r, group, group_name, name);
    }
    for (int k = 0; k < vars && !rc; k++)
        rc = read_variable(r, group, k, group_name);
    return rc;
}

static int read_posterior(nsamp_result *r) {
    int group, x, rank, dims[NC_MAX_VAR_DIMS], steps_dims[NC_MAX_VAR_DIMS],
        rc = nc_inq_grp_ncid(r->file, "posterior", &group);
    if (rc == NC_ENOGRP) return NC_NOERR;
    if (rc || (rc = nc_inq_varid(group, "x", &x)) ||
        (rc = nc_inq_var(group, x, NULL, NULL, &rank, dims, NULL)))
        return rc;
    if (rank != 3) return NC_EDIMSIZE;
    if ((rc = nc_inq_dimlen(group, dims[0], &r->chains)) || (rc = nc_inq_dimlen(group, dims[1], &r->draws)))
        return rc;
    if ((rc = nc_inq_dimlen(group, dims[2], &r->dim)) || (rc = nc_inq_varid(group, "draw", &x))) return rc;
    if ((rc = nc_inq_var(group, x, NULL, NULL, &rank, steps_dims, NULL))) return rc;
    if (rank != 1 || steps_dims[0] != dims[1]) return NC_EDIMSIZE;
    r->steps = malloc((r->draws + 1) * sizeof *r->steps);
    return r->steps ? nc_get_var_double(group, x, r->steps) : NC_ENOMEM;
}

/* ---- the job ---- */

/* An attribute as the text of a key's value. Returns NULL where there is none, or memory is short; the caller
 * frees. */
static char *attribute_text(int file, const char *name) {
    nc_type type;
    size_t length;
    if (nc_inq_att(file, NC_GLOBAL, name, &type, &length) || length > ATTRIBUTE_MOST) return NULL;
    if (type == NC_CHAR) {
        char *text = calloc(length + 1, 1);
        if (text && nc_get_att_text(file, NC_GLOBAL, name, text)) text[0] = 0;
        return text;
    }
    if (type == NC_STRING) return NULL;
    enum { WIDTH = 32 };
    char *text = calloc(length + 1, WIDTH);
    double *value = malloc((length + 1) * sizeof *value);
    long long integer;
    if (text && value && length == 1 && type != NC_DOUBLE &&
        !nc_get_att_longlong(file, NC_GLOBAL, name, &integer))
        snprintf(text, WIDTH, "%lld", integer);
    else if (text && value && !nc_get_att_double(file, NC_GLOBAL, name, value))
        for (size_t i = 0, at = 0; i < length; i++)
            at += (size_t)snprintf(text + at, WIDTH, "%s%.17g", i ? " " : "", value[i]);
    free(value);
    return text;
}

/* Keys whose origin is "default" keep this program's default, which lets a table that grew read older files.
 */
static nsamp_status read_job(nsamp_result *r, nsamp_error *err) {
    r->job = nsamp_job_create();
    if (!r->job) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the job of %s", r->path);
    size_t found = 0;
    for (int k = 0; k < NSAMP_KEY_count; k++) {
        char name[96], origin_name[112];
        snprintf(name, sizeof name, "%s.%s", nsamp_options[k].section, nsamp_options[k].key);
        snprintf(origin_name, sizeof origin_name, "%s.origin", name);
        char *value = attribute_text(r->file, name), *origin = attribute_text(r->file, origin_name);
        nsamp_error ignored;
        found += value != NULL;
        if (value && origin && strcmp(origin, "default") != 0) nsamp_job_set(r->job, name, value, &ignored);
        free(value);
        free(origin);
    }
    return found ? NSAMP_OK
                 : nsamp_fail(err, NSAMP_EUSAGE, "%s: no output of nsamp run: it holds no job", r->path);
}

/* ---- the file ---- */

static nsamp_status refuse(const char *path, int rc, nsamp_error *err) {
    struct stat st;
    if (stat(path, &st)) return nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    if (S_ISDIR(st.st_mode)) return nsamp_fail(err, NSAMP_EIO, "%s: is a folder, not a netCDF file", path);
    return nsamp_fail(err, NSAMP_EIO, "%s: cannot be read as netCDF: %s", path, nc_strerror(rc));
}

/* The lock of io/ncfile.h is held. */
static nsamp_status read_all(nsamp_result *r, nsamp_error *err) {
    struct stat st;
    int rc = stat(r->path, &st) || !S_ISREG(st.st_mode) ? NC_ENOTNC : nc_open(r->path, NC_NOWRITE, &r->file);
    if (rc) {
        r->file = -1;
        return refuse(r->path, rc, err);
    }
    const nsamp_status status = read_job(r, err);
    if (status) return status;
    for (size_t k = 0; k < sizeof numeric_groups / sizeof *numeric_groups && !rc; k++)
        rc = read_group(r, numeric_groups[k]);
    if (!rc) rc = read_posterior(r);
    if (rc == NC_ENOMEM) return nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory to read it", r->path);
    if (rc)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged, or no output of nsamp run: %s", r->path,
                          nc_strerror(rc));
    const nsamp_result_array *mean = nsamp_result_find(r, "moments", "mean");
    if (!mean || mean->rank != 1 || !mean->count)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: no output of nsamp run: no moments/mean", r->path);
    if (r->chains && r->dim != mean->count)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: draws of dimension %zu, moments of %zu", r->path,
                          r->dim, mean->count);
    if ((double)r->chains * (double)r->draws * (double)mean->count > 0x1p50)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: %zu chains of %zu draws of dimension %zu", r->path,
                          r->chains, r->draws, mean->count);
    r->dim = mean->count;
    int group;
    size_t length;
    if (!nc_inq_grp_ncid(r->file, "moments", &group) &&
        !nc_inq_attlen(group, NC_GLOBAL, "exact_source", &length) && length < sizeof r->source &&
        nc_get_att_text(group, NC_GLOBAL, "exact_source", r->source))
        r->source[0] = 0;
    return NSAMP_OK;
}

nsamp_status nsamp_result_open(const char *path, nsamp_result **result, nsamp_error *err) {
    *result = NULL;
    nsamp_result *r = calloc(1, sizeof *r);
    if (r) r->path = malloc(strlen(path) + 1);
    if (!r || !r->path) {
        free(r);
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %s", path);
    }
    memcpy(r->path, path, strlen(path) + 1);
    r->file = -1;
    nsamp_nc_lock();
    const nsamp_status status = read_all(r, err);
    nsamp_nc_unlock();
    if (status)
        nsamp_result_close(r);
    else
        *result = r;
    return status;
}

void nsamp_result_close(nsamp_result *r) {
    if (!r) return;
    if (r->file >= 0) {
        nsamp_nc_lock();
        nc_close(r->file);
        nsamp_nc_unlock();
    }
    for (size_t k = 0; k < r->count; k++)
        free(r->arrays[k].value);
    free(r->arrays);
    nsamp_job_destroy(r->job);
    free(r->steps);
    free(r->path);
    free(r);
}

const nsamp_result_array *nsamp_result_find(const nsamp_result *r, const char *group, const char *name) {
    for (size_t k = 0; k < r->count; k++)
        if (!strcmp(r->arrays[k].group, group) && !strcmp(r->arrays[k].name, name)) return &r->arrays[k];
    return NULL;
}

double nsamp_result_number(const nsamp_result *r, const char *group, const char *name) {
    const nsamp_result_array *a = nsamp_result_find(r, group, name);
    return a && a->count ? a->value[0] : NAN;
}

nsamp_status nsamp_result_add(nsamp_result *r, const char *group, const char *name, const double *value,
                              size_t count, size_t rank, nsamp_error *err) {
    nsamp_result_array *a = append(r);
    if (!a || !(a->value = malloc((count + 1) * sizeof *a->value)))
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for %s", r->path, name);
    snprintf(a->group, sizeof a->group, "%s", group);
    snprintf(a->name, sizeof a->name, "%s", name);
    memcpy(a->value, value, count * sizeof *value);
    a->count = count;
    a->rank = rank;
    r->count++;
    return NSAMP_OK;
}

nsamp_status nsamp_result_draws(const nsamp_result *r, size_t chains, size_t first, float **x,
                                nsamp_error *err) {
    *x = NULL;
    if (chains > r->chains || first > r->draws)
        return nsamp_fail(err, NSAMP_EINTERNAL, "%s: no chains to %zu and draws from %zu", r->path, chains,
                          first);
    const double bytes = (double)chains * (double)(r->draws - first) * (double)r->dim * sizeof **x;
    float *const data = bytes < 0.5 * (double)SIZE_MAX ? malloc((size_t)bytes + 1) : NULL;
    if (!data)
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory for %.3g GB of draws", r->path,
                          bytes * 1e-9);
    const size_t start[3] = {0, first, 0}, count[3] = {chains, r->draws - first, r->dim};
    int group, var;
    nsamp_nc_lock();
    int rc = nc_inq_grp_ncid(r->file, "posterior", &group);
    if (!rc) rc = nc_inq_varid(group, "x", &var);
    if (!rc) rc = nc_get_vara_float(group, var, start, count, data);
    nsamp_nc_unlock();
    if (rc) {
        free(data);
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: posterior/x: %s", r->path, nc_strerror(rc));
    }
    *x = data;
    return NSAMP_OK;
}
