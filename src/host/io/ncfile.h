/* ncfile.h: writing netCDF with one check at the end. A nsamp_nc keeps the first error and what it was about;
 * after it every call does nothing. Not here: reading (train/network.c), and what the groups mean (output.c).
 */
#ifndef NSAMP_HOST_IO_NCFILE_H
#define NSAMP_HOST_IO_NCFILE_H

#include <stdbool.h>
#include "nsamp.h"

typedef struct nsamp_nc {
    int id;        /* of the file */
    int status;    /* first netCDF error, 0 if none */
    int system;    /* errno at that moment */
    char what[80]; /* what was written then */
} nsamp_nc;

/* The netCDF and HDF5 libraries are not safe to use from two threads: whoever calls them, on whatever file,
 * holds this. */
void nsamp_nc_lock(void);
void nsamp_nc_unlock(void);

/* Remembers the error of a netCDF call (rc) about `what`, if it is the first. Returns rc. */
int nsamp_nc_note(nsamp_nc *w, int rc, const char *what);
/* Closes the netCDF-4 file w->id, which is at path, as far as it can be closed; what fails is noted. */
void nsamp_nc_close(nsamp_nc *w, const char *path);
/* NSAMP_OK, or NSAMP_EIO with "PATH: WHAT: reason". */
nsamp_status nsamp_nc_result(const nsamp_nc *w, const char *path, nsamp_error *err);

/* Attributes; var NC_GLOBAL for those of the group. */
void nsamp_nc_text(nsamp_nc *w, int group, int var, const char *name, const char *text);
void nsamp_nc_int(nsamp_nc *w, int group, int var, const char *name, long long value);
void nsamp_nc_reals(nsamp_nc *w, int group, int var, const char *name, size_t n, const double *values);

int nsamp_nc_group(nsamp_nc *w, const char *name);
int nsamp_nc_dim(nsamp_nc *w, int group, const char *name, size_t length);
int nsamp_nc_var(nsamp_nc *w, int group, const char *name, int type, int rank, const int *dims);
/* A dimension with its coordinate variable (int64): first + i * step. Returns the dimension. */
int nsamp_nc_axis(nsamp_nc *w, int group, const char *name, size_t length, uint64_t first, uint64_t step);
/* A variable of doubles with its data; nothing where data is NULL. Returns its id, -1 where there is none. */
int nsamp_nc_doubles(nsamp_nc *w, int group, const char *name, int rank, const int *dims, const double *data);

#endif
