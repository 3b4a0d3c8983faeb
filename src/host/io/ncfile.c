/* ncfile.c: see ncfile.h. */
#define _GNU_SOURCE /* setenv */
#include "ncfile.h"

#include <errno.h>
#include <hdf5.h>
#include <netcdf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"

static pthread_mutex_t the_lock = PTHREAD_MUTEX_INITIALIZER;

/* A write that failed leaves the file open within HDF5 (1.10), and its clean-up at exit then crashes the
 * program, exit code and all. We close every file ourselves, so that clean-up is switched off. HDF5 tells of errors by
 * itself unless told not to: ours are told once, by us. Its locks of files are off: with them a reader of the draws makes the
 * end of a run fail, and so does a file system without locks; who may write is decided by lock.h. */
static void set_up_hdf5(void) {
    setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void nsamp_nc_lock(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_hdf5);
    pthread_mutex_lock(&the_lock);
}

void nsamp_nc_unlock(void) {
    pthread_mutex_unlock(&the_lock);
}

int nsamp_nc_note(nsamp_nc *w, int rc, const char *what) {
    if (rc && !w->status) {
        w->status = rc;
        w->system = errno;
        snprintf(w->what, sizeof w->what, "%s", what);
    }
    return rc;
}

/* nc_close of netCDF 4.9 crashes where HDF5 cannot close the file (a full quota on a file server is told at close). So another
 * handle of HDF5 holds the file while netCDF closes its own, which cannot fail then, and is closed here. */
void nsamp_nc_close(nsamp_nc *w, const char *path) {
    const hid_t held = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    nsamp_nc_note(w, nc_close(w->id), "the file");
    if (held >= 0 && H5Fclose(held) < 0) nsamp_nc_note(w, NC_EHDFERR, "the file");
}

nsamp_status nsamp_nc_result(const nsamp_nc *w, const char *path, nsamp_error *err) {
    if (!w->status) return NSAMP_OK;
    if (w->status == NC_ENOMEM) return nsamp_fail(err, NSAMP_ENOMEM, "%s: %s: out of memory", path, w->what);
    /* HDF5 hides the reason; errno has it where a system call failed. */
    const bool full = w->system == ENOSPC || w->system == EDQUOT || w->system == EFBIG || w->system == EIO;
    return nsamp_fail(err, NSAMP_EIO, "%s: %s cannot be written: %s", path, w->what,
                      full ? strerror(w->system) : nc_strerror(w->status));
}

void nsamp_nc_text(nsamp_nc *w, int group, int var, const char *name, const char *text) {
    if (!w->status) nsamp_nc_note(w, nc_put_att_text(group, var, name, strlen(text), text), name);
}

void nsamp_nc_int(nsamp_nc *w, int group, int var, const char *name, long long value) {
    if (!w->status) nsamp_nc_note(w, nc_put_att_longlong(group, var, name, NC_INT64, 1, &value), name);
}

void nsamp_nc_reals(nsamp_nc *w, int group, int var, const char *name, size_t n, const double *values) {
    if (!w->status) nsamp_nc_note(w, nc_put_att_double(group, var, name, NC_DOUBLE, n, values), name);
}

int nsamp_nc_group(nsamp_nc *w, const char *name) {
    int id = -1;
    if (!w->status) nsamp_nc_note(w, nc_def_grp(w->id, name, &id), name);
    return id;
}

int nsamp_nc_dim(nsamp_nc *w, int group, const char *name, size_t length) {
    int id = -1;
    if (!w->status) nsamp_nc_note(w, nc_def_dim(group, name, length, &id), name);
    return id;
}

int nsamp_nc_var(nsamp_nc *w, int group, const char *name, int type, int rank, const int *dims) {
    int id = -1;
    if (!w->status) nsamp_nc_note(w, nc_def_var(group, name, type, rank, dims, &id), name);
    return id;
}

int nsamp_nc_axis(nsamp_nc *w, int group, const char *name, size_t length, uint64_t first, uint64_t step) {
    enum { PIECE = 4096 }; /* at a time: a run may store 1e9 draws */
    const int dim = nsamp_nc_dim(w, group, name, length);
    const int var = nsamp_nc_var(w, group, name, NC_INT64, 1, &dim);
    long long at[PIECE];
    for (size_t begin = 0; begin < length && !w->status; begin += PIECE) {
        const size_t n = length - begin < PIECE ? length - begin : PIECE;
        for (size_t i = 0; i < n; i++)
            at[i] = (long long)(first + (begin + i) * step);
        nsamp_nc_note(w, nc_put_vara_longlong(group, var, &begin, &n, at), name);
    }
    return dim;
}

int nsamp_nc_doubles(nsamp_nc *w, int group, const char *name, int rank, const int *dims,
                     const double *data) {
    if (!data) return -1;
    const int var = nsamp_nc_var(w, group, name, NC_DOUBLE, rank, dims);
    if (!w->status) nsamp_nc_note(w, nc_put_var_double(group, var, data), name);
    return var;
}
