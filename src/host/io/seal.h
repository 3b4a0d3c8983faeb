/* seal.h: a checksum at the end of a file, verified before a library parses the file: what a disk, a copy or
 * a cut damaged never reaches the parser. netCDF readers ignore bytes after the data, so a sealed file is
 * still a netCDF file. The seal, 24 bytes, little-endian: "NSAMPSEA"; uint64 bytes before it; uint32 crc32 of
 * those; uint32 crc32 of the 20 bytes of the seal so far. */
#ifndef NSAMP_HOST_IO_SEAL_H
#define NSAMP_HOST_IO_SEAL_H

#include "nsamp.h"

/* Appends the seal to the file at path. name: what messages call the file. */
nsamp_status nsamp_seal(const char *path, const char *name, nsamp_error *err);
/* NSAMP_OK and the bytes before the seal, or NSAMP_EIO in one line: missing, a folder, empty, cut short,
 * damaged. */
nsamp_status nsamp_seal_check(const char *path, uint64_t *bytes, nsamp_error *err);

#endif
