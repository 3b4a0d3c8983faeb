/* cdf5.c: see cdf5.h. The grammar is in the netCDF documentation, "File Format Specifications"; numbers are
 * big-endian, names and attribute values padded to 4 bytes. */
#include "cdf5.h"

#include <stdbool.h>
#include <stdio.h>

#include "error.h"
#include "io/plainfile.h"

enum { DIMENSIONS = 10, VARIABLES = 11, ATTRIBUTES = 12, LIST_MAX = 64, RANK_MAX = 4, NAME_MAX_BYTES = 256 };

typedef struct walk {
    FILE *file;
    uint64_t at, bytes;        /* position, end */
    const char *wrong;         /* first fault, NULL: none */
    uint64_t length[LIST_MAX]; /* of the dimensions */
    uint64_t dims;
} walk;

static void fault(walk *w, const char *what) {
    if (!w->wrong) w->wrong = what;
}

/* Big-endian number of n bytes; 0 after a fault. */
static uint64_t number(walk *w, unsigned n) {
    uint8_t b[8];
    uint64_t value = 0;
    if (w->wrong) return 0;
    if (n > w->bytes - w->at || fread(b, 1, n, w->file) != n) {
        fault(w, "it ends within its head");
        return 0;
    }
    w->at += n;
    for (unsigned i = 0; i < n; i++)
        value = value << 8 | b[i];
    return value;
}

/* n bytes and their padding. */
static void skip(walk *w, uint64_t n) {
    const uint64_t left = w->bytes - w->at, padded = n <= left ? (n + 3) / 4 * 4 : UINT64_MAX;
    if (w->wrong) return;
    if (padded > left) {
        fault(w, "a name or attribute is longer than the file");
    } else if (fseeko(w->file, (off_t)padded, SEEK_CUR)) {
        fault(w, "it cannot be read");
    } else {
        w->at += padded;
    }
}

static void name(walk *w) {
    const uint64_t n = number(w, 8);
    if (!n || n > NAME_MAX_BYTES) fault(w, "the length of a name");
    skip(w, n);
}

/* Elements of the list that begins here; an absent list has tag 0 and none. */
static uint64_t list(walk *w, uint64_t tag) {
    const uint64_t found = number(w, 4), count = number(w, 8);
    if (count > LIST_MAX || (count && found != tag) || (!count && found && found != tag))
        fault(w, "the head of a list");
    return w->wrong ? 0 : count;
}

/* Bytes of one number of a type; 0 and a fault for none. */
static uint64_t type(walk *w) {
    static const uint8_t size[12] = {0, 1, 1, 2, 4, 4, 8, 1, 2, 4, 8, 8};
    const uint64_t t = number(w, 4);
    if (!t || t > 11) fault(w, "a type");
    return w->wrong ? 0 : size[t];
}

static void attributes(walk *w) {
    for (uint64_t n = list(w, ATTRIBUTES); n && !w->wrong; n--) {
        name(w);
        const uint64_t size = type(w), count = number(w, 8);
        if (size && count > w->bytes / size) fault(w, "the length of an attribute");
        skip(w, w->wrong ? 0 : size * count);
    }
}

static void dimensions(walk *w) {
    w->dims = list(w, DIMENSIONS);
    for (uint64_t i = 0; i < w->dims; i++) {
        name(w);
        w->length[i] = number(w, 8);
        if (!w->length[i] || w->length[i] > w->bytes) fault(w, "a dimension is 0, or longer than the file");
    }
}

static void variable(walk *w) {
    name(w);
    const uint64_t rank = number(w, 8);
    uint64_t count = 1;
    if (rank > RANK_MAX) fault(w, "the rank of a variable");
    for (uint64_t d = 0; d < rank && !w->wrong; d++) {
        const uint64_t dim = number(w, 8);
        if (dim >= w->dims)
            fault(w, "a dimension of a variable");
        else if (w->length[dim] > w->bytes / count)
            fault(w, "a variable is larger than the file");
        else
            count *= w->length[dim];
    }
    attributes(w);
    const uint64_t size = type(w);
    number(w, 8); /* its size in bytes, which readers are to compute themselves */
    const uint64_t begin = number(w, 8);
    if (begin % 4) fault(w, "a variable that is not aligned"); /* the library reads 4 bytes at a time */
    if (size && (begin > w->bytes || count > (w->bytes - begin) / size))
        fault(w, "a variable lies beyond the file");
}

static void whole(walk *w) {
    if (number(w, 4) != 0x43444605) fault(w, "it does not begin as netCDF (CDF-5)");
    if (number(w, 8)) fault(w, "it has records");
    dimensions(w);
    attributes(w);
    for (uint64_t n = list(w, VARIABLES); n && !w->wrong; n--)
        variable(w);
}

nsamp_status nsamp_cdf5_check(const char *path, uint64_t bytes, nsamp_error *err) {
    walk w = {.bytes = bytes};
    const nsamp_status status = nsamp_fopen_plain(path, &w.file, err);
    if (status) return status;
    whole(&w);
    fclose(w.file);
    return w.wrong ? nsamp_fail(err, NSAMP_EIO, "%s: is no model file: %s", path, w.wrong) : NSAMP_OK;
}
