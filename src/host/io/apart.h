/* apart.h: reads a file in a process of its own. The netCDF and HDF5 libraries trust what a file says: a
 * damaged one makes them crash, run for ever or ask for all memory. So a child reads it, within limits on
 * time and memory that are taken from the file's size, and sends what it found; whatever becomes of the
 * child, the caller gets a status and a line. Not here: what is read (stats/result_read.c,
 * targets/gaussian_file.c), and whether what was sent makes sense. */
#ifndef NSAMP_HOST_IO_APART_H
#define NSAMP_HOST_IO_APART_H

#include <stdio.h>
#include "nsamp.h"

/* Bytes that one byte of a file may stand for: deflate, HDF5's usual filter, packs at most 1032 into one. */
enum { NSAMP_PACKED_MOST = 1100 };

/* Reads the file and writes what it found to `to`. It runs in a child that has one thread, whatever its
 * parent has: it may use the C library, netCDF and HDF5 (under io/ncfile.h's lock), and memory shared with
 * the parent; no OpenMP, no BLAS, nothing of a GPU. */
typedef nsamp_status nsamp_apart_fn(void *context, FILE *to, nsamp_error *err);

/* Runs read(context) on the file at `path` in a child. NSAMP_OK: *data [*bytes] is what it wrote,
 * malloc'ed, the caller frees. The status and the line of `read` where it failed; NSAMP_EIO "PATH:
 * damaged: ..." where the child crashed, or took more time or memory than a file of this size can need;
 * NSAMP_ENOMEM. On failure *data is NULL. */
nsamp_status nsamp_apart(const char *path, nsamp_apart_fn *read, void *context, char **data, size_t *bytes,
                         nsamp_error *err);

#endif
