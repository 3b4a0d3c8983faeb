/* gaussian_file.c: mean and covariance of a Gaussian from a text or a netCDF file, or by the name of a built-in one.
 *
 * builtin:decay: correlations that fall with distance, Sigma_ij = variance rho^|i - j| (an AR(1) sequence), of any dimension: for
 * checks and benches, which must not depend on files.
 *
 * Text (rows.h): the mean on the first line, then the rows of the covariance, a line each. netCDF: variables
 * mean(D) and cov(D, D) of any number type, in the root group or in a group moments, where the output of a
 * run has them. */
#include <math.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/apart.h"
#include "io/ncfile.h"
#include "io/pathname.h"
#include "io/plainfile.h"
#include "targets/builders.h"
#include "targets/rows.h"

/* Allocates mean and cov for dimension dim. */
static nsamp_status allocate(const nsamp_job *job, nsamp_target *t, size_t dim, nsamp_error *err) {
    if (dim < 1 || dim > NSAMP_TARGET_DENSE_MAX)
        return nsamp_job_fail(job, NSAMP_KEY_target_file, err, "dimension %zu; valid: 1 to %d", dim,
                              NSAMP_TARGET_DENSE_MAX);
    nsamp_status status = nsamp_target_check_dim(job, nsamp_job_text(job, NSAMP_KEY_target_file), dim, err);
    if (status) return status;
    t->dim = dim;
    t->mean = malloc(dim * sizeof *t->mean);
    t->cov = malloc(dim * dim * sizeof *t->cov);
    if (!t->mean || !t->cov)
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a covariance of dimension %zu", dim);
    return NSAMP_OK;
}

static nsamp_status read_text(const nsamp_job *job, const char *path, nsamp_target *t, nsamp_error *err) {
    nsamp_rows rows;
    nsamp_status status = nsamp_rows_read(path, &rows, err);
    const size_t dim = status ? 0 : rows.first[1];
    for (size_t r = 1; !status && r < rows.count; r++) {
        const size_t count = rows.first[r + 1] - rows.first[r];
        if (count != dim)
            status =
                nsamp_fail(err, NSAMP_EUSAGE, "%s:%zu: %zu numbers; valid: %zu, as in the mean on line %zu",
                           path, rows.line[r], count, dim, rows.line[0]);
    }
    if (!status && rows.count != dim + 1)
        status =
            nsamp_fail(err, NSAMP_EUSAGE,
                       "%s: %zu rows; valid: %zu, the mean (of %zu numbers) and %zu rows of the covariance",
                       path, rows.count, dim + 1, dim, dim);
    if (!status) status = allocate(job, t, dim, err);
    if (!status) {
        memcpy(t->mean, rows.value, dim * sizeof *t->mean);
        memcpy(t->cov, rows.value + dim, dim * dim * sizeof *t->cov);
    }
    nsamp_rows_free(&rows);
    return status;
}

/* The group that has both variables, with their numbers. */
static bool find(int file, int *group, int *mean, int *cov) {
    int moments;
    *group = file;
    if (!nc_inq_varid(file, "mean", mean) && !nc_inq_varid(file, "cov", cov)) return true;
    if (nc_inq_grp_ncid(file, "moments", &moments)) return false;
    *group = moments;
    return !nc_inq_varid(moments, "mean", mean) && !nc_inq_varid(moments, "cov", cov);
}

/* Shape of a variable of the given rank: all lengths the same -> *length. */
static bool square(int group, int var, int rank, size_t *length) {
    int found, dims[NC_MAX_VAR_DIMS];
    size_t n[2] = {0, 0};
    if (nc_inq_varndims(group, var, &found) || found != rank || nc_inq_vardimid(group, var, dims))
        return false;
    for (int d = 0; d < rank; d++)
        if (nc_inq_dimlen(group, dims[d], &n[d])) return false;
    *length = n[0];
    return rank == 1 || n[0] == n[1];
}

/* In a child (io/apart.h): the mean and the covariance, doubles one after the other. */
static nsamp_status send_open(const char *path, int file, FILE *to, nsamp_error *err) {
    int group, mean, cov;
    size_t dim, side;
    if (!find(file, &group, &mean, &cov))
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "%s: no variables mean and cov, neither in the root nor in group moments", path);
    if (!square(group, mean, 1, &dim) || !square(group, cov, 2, &side) || dim != side)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: mean and cov must have the shapes (D) and (D, D)", path);
    if (dim < 1 || dim > NSAMP_TARGET_DENSE_MAX)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: dimension %zu; valid: 1 to %d", path, dim,
                          NSAMP_TARGET_DENSE_MAX);
    const size_t count = dim + dim * dim;
    double *value = malloc(count * sizeof *value);
    if (!value) return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
    int rc = nc_get_var_double(group, mean, value);
    if (!rc) rc = nc_get_var_double(group, cov, value + dim);
    nsamp_status status = rc ? nsamp_fail(err, NSAMP_EIO, "%s: %s", path, nc_strerror(rc)) : NSAMP_OK;
    if (!status && fwrite(value, sizeof *value, count, to) != count) status = NSAMP_EIO;
    free(value);
    return status;
}

static nsamp_status send_netcdf(void *context, FILE *to, nsamp_error *err) {
    const char *path = context;
    int file;
    char *name = nsamp_pathname_library(path);
    if (!name) return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
    nsamp_nc_lock();
    const int rc = nc_open(name, NC_NOWRITE, &file);
    free(name);
    nsamp_status status;
    if (rc) {
        status = nsamp_fail(err, NSAMP_EIO, "%s: %s", path, nc_strerror(rc));
    } else {
        status = send_open(path, file, to, err);
        nc_close(file);
    }
    nsamp_nc_unlock();
    return status;
}

static nsamp_status read_netcdf(const nsamp_job *job, const char *path, nsamp_target *t, nsamp_error *err) {
    char *data;
    size_t bytes, dim = 0;
    nsamp_status status = nsamp_pathname_check(path, err);
    if (!status) status = nsamp_apart(path, send_netcdf, (void *)path, &data, &bytes, err);
    if (status) return status;
    while (bytes / sizeof(double) > dim + dim * dim)
        dim++;
    if (bytes != (dim + dim * dim) * sizeof(double))
        status = nsamp_fail(err, NSAMP_EIO, "%s: damaged: %zu bytes of mean and cov", path, bytes);
    if (!status) status = allocate(job, t, dim, err);
    if (!status) {
        memcpy(t->mean, data, dim * sizeof *t->mean);
        memcpy(t->cov, data + dim * sizeof *t->mean, dim * dim * sizeof *t->cov);
    }
    free(data);
    for (size_t i = 0; !status && i < dim * (dim + 1); i++)
        if (!isfinite(i < dim ? t->mean[i] : t->cov[i - dim]))
            status = nsamp_fail(err, NSAMP_EUSAGE, "%s: %s holds a number that is not finite", path,
                                i < dim ? "mean" : "cov");
    return status;
}

/* By the first bytes: "CDF" or HDF5's mark. */
static bool is_netcdf(const char *path) {
    unsigned char head[4] = {0};
    FILE *file;
    if (nsamp_fopen_plain(path, &file, NULL)) return false;
    const size_t n = fread(head, 1, sizeof head, file);
    fclose(file);
    return n == 4 && (!memcmp(head, "CDF", 3) || !memcmp(head, "\211HDF", 4));
}

static nsamp_status make_decay(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    const double rho = nsamp_job_real(job, NSAMP_KEY_target_rho),
                 v = nsamp_job_real(job, NSAMP_KEY_target_variance);
    const size_t dim = (size_t)nsamp_job_int(job, NSAMP_KEY_target_dim);
    if (!(fabs(rho) < 1))
        return nsamp_job_fail(job, NSAMP_KEY_target_rho, err,
                              "correlation of neighbours; valid: above -1 and below 1");
    nsamp_status status = allocate(job, t, dim, err);
    if (status) return status;
    for (size_t i = 0; i < dim; i++)
        for (size_t j = 0; j < dim; j++)
            t->cov[i * dim + j] = v * pow(rho, fabs((double)i - (double)j));
    free(t->mean); /* nsamp_target_mean makes its own */
    t->mean = NULL;
    return nsamp_target_mean(job, t, err);
}

nsamp_status nsamp_target_read_gaussian(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    const char *path;
    const nsamp_status status = nsamp_job_input(job, NSAMP_KEY_target_file, &path, err);
    if (status) return status;
    if (!*path)
        return nsamp_job_fail(job, NSAMP_KEY_target_file, err,
                              "target gaussian takes mean and covariance from a file; valid: its path, or "
                              "builtin:decay (target "
                              "equicorrelated needs none)");
    if (!strncmp(path, "builtin:", 8)) {
        if (!strcmp(path, "builtin:decay")) return make_decay(job, t, err);
        return nsamp_job_fail(job, NSAMP_KEY_target_file, err,
                              "no such built-in covariance; valid: builtin:decay");
    }
    return is_netcdf(path) ? read_netcdf(job, path, t, err) : read_text(job, path, t, err);
}
