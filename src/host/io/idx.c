/* idx.c: see idx.h. */
#include "idx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "error.h"
#include "io/plainfile.h"

static const uint64_t ITEMS_MAX = 100000000, SIDE_MAX = 65535;
static const size_t FIRST_BYTES = (size_t)1 << 20;

/* An open IDX file; path is for messages. */
typedef struct source {
    gzFile gz;
    const char *path;
    nsamp_error *err;
} source;

/* Reads up to n bytes; *got < n only at the end of the data. */
static nsamp_status read_some(const source *s, uint8_t *to, size_t n, size_t *got) {
    *got = 0;
    while (*got < n) {
        const size_t left = n - *got;
        errno = 0;
        const int r = gzread(s->gz, to + *got, left < (1u << 30) ? (unsigned)left : 1u << 30);
        int code = Z_OK;
        const char *why = r > 0 ? "" : gzerror(s->gz, &code);
        /* at the end of a gz that was cut, gzread returns 0 or less with Z_BUF_ERROR */
        if (code == Z_BUF_ERROR)
            return nsamp_fail(s->err, NSAMP_EIO, "%s: the gzip data is cut short", s->path);
        if (r < 0)
            return nsamp_fail(s->err, NSAMP_EIO, "%s: cannot be read: %s", s->path,
                              code == Z_ERRNO ? strerror(errno) : why);
        if (!r) break;
        *got += (size_t)r;
    }
    return NSAMP_OK;
}

static nsamp_status read_head(const source *s, int rank, nsamp_idx *idx) {
    uint8_t head[16];
    const size_t want = 4 + 4 * (size_t)rank;
    size_t got;
    nsamp_status status = read_some(s, head, want, &got);
    if (status) return status;
    if (!got) return nsamp_fail(s->err, NSAMP_EIO, "%s: is empty", s->path);
    if (got < 4 || head[0] || head[1])
        return nsamp_fail(s->err, NSAMP_EIO, "%s: is not an IDX file (it must begin with 00 00 08 0%d)",
                          s->path, rank);
    if (head[2] != 8 || head[3] != rank)
        return nsamp_fail(s->err, NSAMP_EIO, "%s: IDX type %02x and rank %d; %s have type 08 and rank %d",
                          s->path, head[2], head[3], rank == 3 ? "images" : "labels", rank);
    if (got < want) return nsamp_fail(s->err, NSAMP_EIO, "%s: is cut short within its head", s->path);
    uint64_t size[3] = {0, 1, 1};
    for (int d = 0; d < rank; d++) {
        const uint8_t *b = head + 4 + 4 * d;
        size[d] = (uint64_t)b[0] << 24 | (uint64_t)b[1] << 16 | (uint64_t)b[2] << 8 | b[3];
    }
    if (!size[0] || size[0] > ITEMS_MAX || !size[1] || size[1] > SIDE_MAX || !size[2] || size[2] > SIDE_MAX)
        return nsamp_fail(
            s->err, NSAMP_EIO, "%s: %llu items of %llu x %llu; valid: 1 to %llu items of sides 1 to %llu",
            s->path, (unsigned long long)size[0], (unsigned long long)size[1], (unsigned long long)size[2],
            (unsigned long long)ITEMS_MAX, (unsigned long long)SIDE_MAX);
    idx->count = (size_t)size[0];
    idx->height = (size_t)size[1];
    idx->width = (size_t)size[2];
    return NSAMP_OK;
}

/* The data, in an array that doubles as they come: a false head costs no memory. */
static nsamp_status read_data(const source *s, nsamp_idx *idx) {
    const size_t total = idx->count * idx->height * idx->width; /* below 2^59 */
    size_t have = 0, room = 0;
    while (have < total) {
        room = room ? 2 * room : FIRST_BYTES;
        if (room > total) room = total;
        uint8_t *more = realloc(idx->bytes, room);
        if (!more)
            return nsamp_fail(s->err, NSAMP_ENOMEM, "%s: out of memory after %zu bytes", s->path, have);
        idx->bytes = more;
        size_t got;
        nsamp_status status = read_some(s, more + have, room - have, &got);
        if (status) return status;
        have += got;
        if (have < room)
            return nsamp_fail(s->err, NSAMP_EIO,
                              "%s: is cut short: %zu bytes of data, but %zu items of %zu x %zu need %zu",
                              s->path, have, idx->count, idx->height, idx->width, total);
    }
    uint8_t extra;
    size_t got;
    nsamp_status status = read_some(s, &extra, 1, &got); /* meets the checksum of a gz, too */
    if (!status && got)
        status = nsamp_fail(s->err, NSAMP_EIO, "%s: has bytes left over after %zu items of %zu x %zu",
                            s->path, idx->count, idx->height, idx->width);
    return status;
}

nsamp_status nsamp_idx_read(const char *path, int rank, nsamp_idx *idx, nsamp_error *err) {
    *idx = (nsamp_idx){0};
    int fd;
    nsamp_status status = nsamp_open_plain(path, &fd, err);
    if (status) return status;
    source s = {.gz = gzdopen(fd, "rb"), .path = path, .err = err};
    if (!s.gz) {
        close(fd);
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
    }
    status = read_head(&s, rank, idx);
    if (!status) status = read_data(&s, idx);
    gzclose(s.gz);
    if (status) nsamp_idx_free(idx);
    return status;
}

void nsamp_idx_free(nsamp_idx *idx) {
    free(idx->bytes);
    *idx = (nsamp_idx){0};
}
