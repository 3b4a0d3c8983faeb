/* seal.c: see seal.h. */
#include "seal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#include "error.h"
#include "io/plainfile.h"

static const char MAGIC[8] = "NSAMPSEA";
enum { SEAL_BYTES = 24 };

static void put(unsigned char *to, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++)
        to[i] = (unsigned char)(value >> 8 * i);
}

static void make_seal(unsigned char seal[SEAL_BYTES], uint64_t bytes, uint32_t crc) {
    memcpy(seal, MAGIC, 8);
    put(seal + 8, bytes, 8);
    put(seal + 16, crc, 4);
    put(seal + 20, crc32_z(crc32_z(0, NULL, 0), seal, 20), 4);
}

/* crc32 of the first `bytes` bytes of f; false when it ends before. */
static int crc_of_file(FILE *f, uint64_t bytes, uint32_t *crc) {
    unsigned char buffer[1 << 16];
    uLong sum = crc32_z(0, NULL, 0);
    while (bytes) {
        const size_t piece = bytes < sizeof buffer ? (size_t)bytes : sizeof buffer;
        if (fread(buffer, 1, piece, f) != piece) return 0;
        sum = crc32_z(sum, buffer, piece);
        bytes -= piece;
    }
    *crc = (uint32_t)sum;
    return 1;
}

nsamp_status nsamp_seal(const char *path, const char *name, nsamp_error *err) {
    unsigned char seal[SEAL_BYTES];
    struct stat st;
    uint32_t crc;
    FILE *f = fopen(path, "r+b");
    int good = f && !fstat(fileno(f), &st) && crc_of_file(f, (uint64_t)st.st_size, &crc);
    if (good) {
        make_seal(seal, (uint64_t)st.st_size, crc);
        good = !fseeko(f, 0, SEEK_END) && fwrite(seal, sizeof seal, 1, f) == 1 && !fflush(f);
    }
    const int why = errno;
    if (f && fclose(f)) good = 0;
    return good ? NSAMP_OK : nsamp_fail(err, NSAMP_EIO, "%s: cannot be written: %s", name, strerror(why));
}

static nsamp_status check(FILE *f, const char *path, uint64_t *bytes, nsamp_error *err) {
    unsigned char seal[SEAL_BYTES], right[SEAL_BYTES];
    struct stat st;
    uint32_t crc;
    if (fstat(fileno(f), &st)) return nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    if (!st.st_size) return nsamp_fail(err, NSAMP_EIO, "%s: is empty", path);
    if (st.st_size <= SEAL_BYTES || fseeko(f, st.st_size - SEAL_BYTES, SEEK_SET) ||
        fread(seal, sizeof seal, 1, f) != 1 || memcmp(seal, MAGIC, sizeof MAGIC))
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: is cut short, or was not written by nsamp (%lld bytes, no seal at the end)",
                          path, (long long)st.st_size);
    *bytes = (uint64_t)(st.st_size - SEAL_BYTES);
    rewind(f);
    if (!crc_of_file(f, *bytes, &crc))
        return nsamp_fail(err, NSAMP_EIO, "%s: cannot be read: %s", path, strerror(errno));
    make_seal(right, *bytes, crc);
    if (memcmp(seal, right, sizeof seal))
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: is damaged (the checksum of its %llu bytes is %08x, not the stored one)", path,
                          (unsigned long long)*bytes, (unsigned)crc);
    return NSAMP_OK;
}

nsamp_status nsamp_seal_check(const char *path, uint64_t *bytes, nsamp_error *err) {
    FILE *f;
    nsamp_status status = nsamp_fopen_plain(path, &f, err);
    if (status) return status;
    status = check(f, path, bytes, err);
    fclose(f);
    return status;
}
