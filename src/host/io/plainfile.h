/* plainfile.h: opening a file to read that must be a plain file: no folder, and no pipe or device that would
 * hold us up. */
#ifndef NSAMP_HOST_IO_PLAINFILE_H
#define NSAMP_HOST_IO_PLAINFILE_H

#include <stdio.h>
#include "nsamp.h"

/* NSAMP_OK and a descriptor, which the caller closes; or NSAMP_EIO with one line, *fd = -1 and errno ENOENT
 * where the path does not exist. */
nsamp_status nsamp_open_plain(const char *path, int *fd, nsamp_error *err);
/* The same, but not through a symbolic link: for files that nsamp itself wrote under that name. */
nsamp_status nsamp_open_own(const char *path, int *fd, nsamp_error *err);
/* nsamp_open_plain as a stream, fclose'd by the caller. */
nsamp_status nsamp_fopen_plain(const char *path, FILE **file, nsamp_error *err);

#endif
