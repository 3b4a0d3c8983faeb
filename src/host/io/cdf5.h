/* cdf5.h: is the head of a netCDF file of the format CDF-5 (classic model, 64-bit data) consistent with the
 * size of the file? Asked before the netCDF library opens a file, since that (4.9.0) allocates whatever the
 * head asks for. Not here: reading. */
#ifndef NSAMP_HOST_IO_CDF5_H
#define NSAMP_HOST_IO_CDF5_H

#include "nsamp.h"

/* Walks the head of the file at path, of which the first `bytes` bytes count. NSAMP_OK when every list, name,
 * attribute and variable lies within them, with at most 64 dimensions, attributes or variables a list, rank
 * 4, no record dimension; otherwise NSAMP_EIO in one line. */
nsamp_status nsamp_cdf5_check(const char *path, uint64_t bytes, nsamp_error *err);

#endif
