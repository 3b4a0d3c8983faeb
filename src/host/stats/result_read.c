/* result_read.c: reads an output file, in a child (io/apart.h). netCDF checks the checksums of what HDF5
 * stored; shapes and kinds are checked here, before memory is asked for. */
#include "stats/result_read.h"

#include <netcdf.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/ncfile.h"
#include "io/pathname.h"

static const char *const numeric_groups[] = {"moments", "statistics"};

enum { ATTRIBUTE_MOST = 1 << 20 }; /* numbers or characters of an attribute: more is not ours */

static int send(FILE *to, nsamp_result_record *r, const void *data, size_t bytes) {
    r->bytes = bytes;
    const bool good = fwrite(r, sizeof *r, 1, to) == 1 && (!bytes || fwrite(data, 1, bytes, to) == bytes);
    return good ? NC_NOERR : NC_EIO;
}

/* ---- groups ---- */

static int send_variable(FILE *to, int group, int var, const char *group_name) {
    int rank, dims[NC_MAX_VAR_DIMS], type;
    char name[NC_MAX_NAME + 1], axis[NC_MAX_NAME + 1];
    nsamp_result_record r = {.kind = NSAMP_RECORD_ARRAY, .columns = 1};
    int rc = nc_inq_var(group, var, name, &type, &rank, dims, NULL);
    if (rc) return rc;
    if (rank == 1 && !nc_inq_dimname(group, dims[0], axis) && !strcmp(axis, name))
        return NC_NOERR; /* a coordinate */
    if (type == NC_CHAR || type == NC_STRING || type > NC_STRING || strlen(name) >= sizeof r.name)
        return NC_NOERR;
    size_t count = 1, length;
    for (int i = 0; i < rank; i++) {
        if ((rc = nc_inq_dimlen(group, dims[i], &length))) return rc;
        if (length && count > SIZE_MAX / sizeof(double) / length) return NC_ENOMEM;
        count *= length;
        r.columns = length;
    }
    r.rank = (uint64_t)rank;
    memcpy(r.name, name, strlen(name) + 1);
    snprintf(r.group, sizeof r.group, "%s", group_name);
    if (!nc_inq_attlen(group, var, "units", &length) && length < sizeof r.unit)
        if (nc_get_att_text(group, var, "units", r.unit)) r.unit[0] = 0;
    double *value = malloc((count + 1) * sizeof *value);
    if (!value) return NC_ENOMEM;
    rc = nc_get_var_double(group, var, value);
    if (!rc) rc = send(to, &r, value, count * sizeof *value);
    free(value);
    return rc;
}

static int send_attribute(FILE *to, int group, const char *group_name, const char *name) {
    nc_type type;
    size_t length;
    double value;
    nsamp_result_record r = {.kind = NSAMP_RECORD_ARRAY, .columns = 1};
    int rc = nc_inq_att(group, NC_GLOBAL, name, &type, &length);
    if (rc || type == NC_CHAR || type == NC_STRING || length != 1 || strlen(name) >= sizeof r.name) return rc;
    if ((rc = nc_get_att_double(group, NC_GLOBAL, name, &value))) return rc;
    memcpy(r.name, name, strlen(name) + 1);
    snprintf(r.group, sizeof r.group, "%s", group_name);
    return send(to, &r, &value, sizeof value);
}

static int send_source(FILE *to, int group) {
    char text[256];
    nsamp_result_record r = {.kind = NSAMP_RECORD_SOURCE};
    size_t length;
    if (nc_inq_attlen(group, NC_GLOBAL, "exact_source", &length) || length >= sizeof text ||
        nc_get_att_text(group, NC_GLOBAL, "exact_source", text))
        return NC_NOERR;
    return send(to, &r, text, length);
}

static int send_group(FILE *to, int file, const char *group_name) {
    int group, vars, attributes, rc = nc_inq_grp_ncid(file, group_name, &group);
    if (rc == NC_ENOGRP) return NC_NOERR;
    if (rc || (rc = nc_inq(group, NULL, &vars, &attributes, NULL))) return rc;
    for (int k = 0; k < attributes && !rc; k++) {
        char name[NC_MAX_NAME + 1];
        if (!(rc = nc_inq_attname(group, NC_GLOBAL, k, name)))
            rc = send_attribute(to, group, group_name, name);
    }
    for (int k = 0; k < vars && !rc; k++)
        rc = send_variable(to, group, k, group_name);
    return rc ? rc : send_source(to, group);
}

static int send_posterior(FILE *to, int file) {
    int group, x, rank, dims[NC_MAX_VAR_DIMS], steps_dims[NC_MAX_VAR_DIMS],
        rc = nc_inq_grp_ncid(file, "posterior", &group);
    nsamp_result_record r = {.kind = NSAMP_RECORD_DRAWS};
    if (rc == NC_ENOGRP) return NC_NOERR;
    if (rc || (rc = nc_inq_varid(group, "x", &x)) ||
        (rc = nc_inq_var(group, x, NULL, NULL, &rank, dims, NULL)))
        return rc;
    if (rank != 3) return NC_EDIMSIZE;
    size_t length[3];
    for (int d = 0; d < 3; d++)
        if ((rc = nc_inq_dimlen(group, dims[d], &length[d]))) return rc;
    if ((rc = nc_inq_varid(group, "draw", &x))) return rc;
    if ((rc = nc_inq_var(group, x, NULL, NULL, &rank, steps_dims, NULL))) return rc;
    if (rank != 1 || steps_dims[0] != dims[1]) return NC_EDIMSIZE;
    r.chains = length[0];
    r.draws = length[1];
    r.dim = length[2];
    double *steps = length[1] < SIZE_MAX / sizeof *steps - 1 ? malloc((length[1] + 1) * sizeof *steps) : NULL;
    if (!steps) return NC_ENOMEM;
    rc = nc_get_var_double(group, x, steps);
    if (!rc) rc = send(to, &r, steps, length[1] * sizeof *steps);
    free(steps);
    return rc;
}

/* ---- the job ---- */

/* An attribute as the text of a key's value -> *text, which the caller frees; NULL where there is none, or
 * it is none of ours. */
static int attribute_text(int file, const char *name, char **text) {
    nc_type type;
    size_t length;
    *text = NULL;
    if (nc_inq_att(file, NC_GLOBAL, name, &type, &length) || length > ATTRIBUTE_MOST || type == NC_STRING)
        return NC_NOERR;
    if (type == NC_CHAR) {
        *text = calloc(length + 1, 1);
        return *text ? nc_get_att_text(file, NC_GLOBAL, name, *text) : NC_ENOMEM;
    }
    enum { WIDTH = 32 };
    char *out = *text = calloc(length + 1, WIDTH);
    double *value = malloc((length + 1) * sizeof *value);
    long long integer;
    int rc = out && value ? NC_NOERR : NC_ENOMEM;
    if (!rc && length == 1 && type != NC_DOUBLE && !nc_get_att_longlong(file, NC_GLOBAL, name, &integer)) {
        snprintf(out, WIDTH, "%lld", integer);
    } else if (!rc) {
        rc = nc_get_att_double(file, NC_GLOBAL, name, value);
        for (size_t i = 0, at = 0; i < length && !rc; i++)
            at += (size_t)snprintf(out + at, WIDTH, "%s%.17g", i ? " " : "", value[i]);
    }
    free(value);
    return rc;
}

/* The origin, since files that the job read are looked up beside the job file. */
static int send_key(FILE *to, nsamp_result_record *r, const char *origin, const char *value) {
    const size_t size = strlen(origin) + 1 + strlen(value);
    char *both = malloc(size + 1);
    if (!both) return NC_ENOMEM;
    sprintf(both, "%s%c%s", origin, 0, value);
    const int rc = send(to, r, both, size);
    free(both);
    return rc;
}

/* Keys whose origin is "default" keep this program's default, which lets a table that grew read older
 * files: they are left out. *found: how many keys the file has. */
static int send_job(FILE *to, int file, size_t *found) {
    int rc = NC_NOERR;
    *found = 0;
    for (int k = 0; k < NSAMP_KEY_count && !rc; k++) {
        char origin_name[144], *value, *origin = NULL;
        nsamp_result_record r = {.kind = NSAMP_RECORD_KEY};
        snprintf(r.name, sizeof r.name, "%s.%s", nsamp_options[k].section, nsamp_options[k].key);
        snprintf(origin_name, sizeof origin_name, "%s.origin", r.name);
        rc = attribute_text(file, r.name, &value);
        if (!rc) rc = attribute_text(file, origin_name, &origin);
        *found += value != NULL;
        if (!rc && value && origin && strcmp(origin, "default") != 0) rc = send_key(to, &r, origin, value);
        free(value);
        free(origin);
    }
    return rc;
}

/* ---- the file ---- */

/* Opens the file under the lock of io/ncfile.h, which is held from here to close_file(). */
static nsamp_status open_file(const char *path, int *file, nsamp_error *err) {
    char *name = nsamp_pathname_library(path);
    if (!name) return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
    nsamp_nc_lock();
    const int rc = nc_open(name, NC_NOWRITE, file);
    free(name);
    if (!rc) return NSAMP_OK;
    nsamp_nc_unlock();
    return nsamp_fail(err, NSAMP_EIO, "%s: cannot be read as netCDF: %s", path, nc_strerror(rc));
}

static void close_file(int file) {
    nc_close(file);
    nsamp_nc_unlock();
}

static nsamp_status damaged(const char *path, const char *what, int rc, nsamp_error *err) {
    if (rc == NC_ENOMEM) return nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory to read it", path);
    return nsamp_fail(err, NSAMP_EIO, "%s: damaged%s: %s", path, what, nc_strerror(rc));
}

nsamp_status nsamp_result_send(void *context, FILE *to, nsamp_error *err) {
    const char *path = context;
    int file;
    nsamp_status status = open_file(path, &file, err);
    if (status) return status;
    size_t keys;
    int rc = send_job(to, file, &keys);
    for (size_t k = 0; k < sizeof numeric_groups / sizeof *numeric_groups && !rc && keys; k++)
        rc = send_group(to, file, numeric_groups[k]);
    if (!rc && keys) rc = send_posterior(to, file);
    close_file(file);
    if (rc) return damaged(path, ", or no output of nsamp run", rc, err);
    return keys ? NSAMP_OK
                : nsamp_fail(err, NSAMP_EUSAGE, "%s: no output of nsamp run: it holds no job", path);
}

nsamp_status nsamp_result_send_draws(void *context, FILE *to, nsamp_error *err) {
    const nsamp_draws_wanted *w = context;
    int file, group, var;
    (void)to;
    nsamp_status status = open_file(w->path, &file, err);
    if (status) return status;
    int rc = nc_inq_grp_ncid(file, "posterior", &group);
    if (!rc) rc = nc_inq_varid(group, "x", &var);
    if (!rc) rc = nc_get_vara_float(group, var, w->first, w->count, w->x);
    close_file(file);
    return rc ? damaged(w->path, ": posterior/x", rc, err) : NSAMP_OK;
}
