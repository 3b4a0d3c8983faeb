/* idx.h: reading the IDX files of MNIST and its kin: unsigned bytes, images (rank 3) or labels (rank 1), gzip
 * or not. Format: two zero bytes, the type (0x08: unsigned byte), the rank; the lengths as 32-bit big-endian;
 * the data. */
#ifndef NSAMP_HOST_IO_IDX_H
#define NSAMP_HOST_IO_IDX_H

#include "nsamp.h"

typedef struct nsamp_idx {
    size_t count, height, width; /* labels: height = width = 1 */
    uint8_t *bytes;              /* [count][height][width], owned */
} nsamp_idx;

/* rank: 3 for images, 1 for labels. NSAMP_EIO in one line: missing, a folder, not IDX, another type or rank,
 * sizes that are zero or absurd, cut short (a gz too), bytes left over. Memory follows what the file holds,
 * not what its head says. On failure *idx is zeroed. */
nsamp_status nsamp_idx_read(const char *path, int rank, nsamp_idx *idx, nsamp_error *err);
void nsamp_idx_free(nsamp_idx *idx);

#endif
