/* result.c: an output file in memory. A child reads it (result_read.c), so that a damaged one is refused
 * whatever the netCDF library makes of it; what the child sends is checked here. */
#define _GNU_SOURCE /* MAP_ANONYMOUS, MADV_REMOVE */
#include "stats/result.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "error.h"
#include "io/apart.h"
#include "io/pathname.h"
#include "stats/result_read.h"

static nsamp_result_array *append(nsamp_result *r) {
    nsamp_result_array *more = realloc(r->arrays, (r->count + 1) * sizeof *more);
    if (!more) return NULL;
    r->arrays = more;
    memset(&more[r->count], 0, sizeof *more);
    return &more[r->count];
}

/* ---- what the child sent ---- */

static nsamp_status no_memory(const nsamp_result *r, nsamp_error *err) {
    return nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory to read it", r->path);
}

static nsamp_status take_key(nsamp_result *r, const nsamp_result_record *k, const char *data,
                             nsamp_error *err) {
    nsamp_error ignored; /* keys that this program does not know, values that it no longer takes */
    char *both = malloc((size_t)k->bytes + 1);
    if (!both) return no_memory(r, err);
    memcpy(both, data, (size_t)k->bytes);
    both[k->bytes] = 0;
    const size_t origin = strlen(both);
    if (origin < k->bytes) nsamp_job_set_from(r->job, k->name, both + origin + 1, both, &ignored);
    free(both);
    return NSAMP_OK;
}

static nsamp_status take_array(nsamp_result *r, const nsamp_result_record *k, const char *data,
                               nsamp_error *err) {
    nsamp_result_array *a = append(r);
    if (!a || !(a->value = malloc((size_t)k->bytes + sizeof *a->value))) return no_memory(r, err);
    memcpy(a->group, k->group, sizeof a->group);
    memcpy(a->name, k->name, sizeof a->name);
    memcpy(a->unit, k->unit, sizeof a->unit);
    memcpy(a->value, data, (size_t)k->bytes);
    a->rank = (size_t)k->rank;
    a->count = (size_t)k->bytes / sizeof *a->value;
    a->columns = (size_t)k->columns;
    r->count++;
    if (k->bytes % sizeof *a->value || (a->columns ? a->count % a->columns : a->count))
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: %s has %zu numbers in rows of %zu", r->path, a->name,
                          a->count, a->columns);
    return NSAMP_OK;
}

static nsamp_status take_draws(nsamp_result *r, const nsamp_result_record *k, const char *data,
                               nsamp_error *err) {
    if (r->steps || k->bytes != k->draws * sizeof *r->steps || (double)k->draws * sizeof *r->steps > 0x1p60)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: %zu draws, steps of %zu bytes", r->path,
                          (size_t)k->draws, (size_t)k->bytes);
    r->chains = (size_t)k->chains;
    r->draws = (size_t)k->draws;
    r->dim = (size_t)k->dim;
    r->steps = malloc((size_t)k->bytes + sizeof *r->steps);
    if (!r->steps) return no_memory(r, err);
    memcpy(r->steps, data, (size_t)k->bytes);
    return NSAMP_OK;
}

static nsamp_status take(nsamp_result *r, const nsamp_result_record *k, const char *data, nsamp_error *err) {
    switch (k->kind) {
    case NSAMP_RECORD_KEY:
        return take_key(r, k, data, err);
    case NSAMP_RECORD_ARRAY:
        return take_array(r, k, data, err);
    case NSAMP_RECORD_DRAWS:
        return take_draws(r, k, data, err);
    case NSAMP_RECORD_SOURCE:
        snprintf(r->source, sizeof r->source, "%.*s",
                 (int)(k->bytes < sizeof r->source ? k->bytes : sizeof r->source - 1), data);
        return NSAMP_OK;
    default:
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: the netCDF library fails on it", r->path);
    }
}

static nsamp_status take_all(nsamp_result *r, const char *data, size_t bytes, nsamp_error *err) {
    nsamp_status status = NSAMP_OK;
    for (size_t at = 0; at < bytes && !status;) {
        nsamp_result_record k = {.kind = 0};
        if (bytes - at >= sizeof k) memcpy(&k, data + at, sizeof k);
        if (!k.kind || k.bytes > bytes - at - sizeof k)
            return nsamp_fail(err, NSAMP_EIO, "%s: damaged: the netCDF library fails on it", r->path);
        k.group[sizeof k.group - 1] = k.name[sizeof k.name - 1] = k.unit[sizeof k.unit - 1] = 0;
        status = take(r, &k, data + at + sizeof k, err);
        at += sizeof k + (size_t)k.bytes;
    }
    return status;
}

/* ---- the file ---- */

/* More bytes than a file of this size can hold, however well it was packed. */
static bool too_much(const char *path, double bytes) {
    struct stat st;
    return stat(path, &st) || bytes > ((double)st.st_size + 4096) * NSAMP_PACKED_MOST;
}

static nsamp_status check(nsamp_result *r, nsamp_error *err) {
    const nsamp_result_array *mean = nsamp_result_find(r, "moments", "mean");
    if (!mean || mean->rank != 1 || !mean->count)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: no output of nsamp run: no moments/mean", r->path);
    if (r->chains && r->dim != mean->count)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: draws of dimension %zu, moments of %zu", r->path,
                          r->dim, mean->count);
    const double draws = (double)r->chains * (double)r->draws * (double)mean->count;
    if (draws > 0x1p50 || too_much(r->path, draws * sizeof(float)))
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: %zu chains of %zu draws of dimension %zu", r->path,
                          r->chains, r->draws, mean->count);
    r->dim = mean->count;
    return NSAMP_OK;
}

static void look(const struct stat *st, uint64_t seen[5]) {
    seen[0] = (uint64_t)st->st_dev;
    seen[1] = (uint64_t)st->st_ino;
    seen[2] = (uint64_t)st->st_size;
    seen[3] = (uint64_t)st->st_mtim.tv_sec;
    seen[4] = (uint64_t)st->st_mtim.tv_nsec;
}

static nsamp_status check_same(const nsamp_result *r, nsamp_error *err) {
    struct stat st;
    uint64_t seen[5];
    if (stat(r->path, &st)) return nsamp_fail(err, NSAMP_EIO, "%s: %s", r->path, strerror(errno));
    look(&st, seen);
    if (!memcmp(seen, r->seen, sizeof seen)) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EIO, "%s: was changed while it was read", r->path);
}

static nsamp_status read_all(nsamp_result *r, nsamp_error *err) {
    struct stat st;
    char *data;
    size_t bytes;
    nsamp_status status = nsamp_pathname_check(r->path, err);
    if (status) return status;
    if (stat(r->path, &st)) return nsamp_fail(err, NSAMP_EIO, "%s: %s", r->path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return nsamp_fail(err, NSAMP_EIO, "%s: is %s", r->path,
                          S_ISDIR(st.st_mode) ? "a folder, not a netCDF file" : "not a plain file");
    look(&st, r->seen);
    r->job = nsamp_job_create();
    if (!r->job) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the job of %s", r->path);
    status = nsamp_apart(r->path, nsamp_result_send, r->path, &data, &bytes, err);
    if (!status) status = take_all(r, data, bytes, err);
    free(data);
    return status ? status : check(r, err);
}

nsamp_status nsamp_result_open(const char *path, nsamp_result **result, nsamp_error *err) {
    *result = NULL;
    nsamp_result *r = calloc(1, sizeof *r);
    if (r) r->path = strdup(path);
    if (!r || !r->path) {
        free(r);
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %s", path);
    }
    const nsamp_status status = read_all(r, err);
    if (status)
        nsamp_result_close(r);
    else
        *result = r;
    return status;
}

void nsamp_result_close(nsamp_result *r) {
    if (!r) return;
    for (size_t k = 0; k < r->count; k++)
        free(r->arrays[k].value);
    free(r->arrays);
    nsamp_job_destroy(r->job);
    free(r->steps);
    free(r->path);
    free(r);
}

const nsamp_result_array *nsamp_result_find(const nsamp_result *r, const char *group, const char *name) {
    for (size_t k = 0; k < r->count; k++)
        if (!strcmp(r->arrays[k].group, group) && !strcmp(r->arrays[k].name, name)) return &r->arrays[k];
    return NULL;
}

double nsamp_result_number(const nsamp_result *r, const char *group, const char *name) {
    const nsamp_result_array *a = nsamp_result_find(r, group, name);
    return a && a->count ? a->value[0] : NAN;
}

nsamp_status nsamp_result_add(nsamp_result *r, const char *group, const char *name, const double *value,
                              size_t count, size_t rank, nsamp_error *err) {
    nsamp_result_array *a = append(r);
    if (!a || !(a->value = malloc((count + 1) * sizeof *a->value)))
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for %s", r->path, name);
    snprintf(a->group, sizeof a->group, "%s", group);
    snprintf(a->name, sizeof a->name, "%s", name);
    memcpy(a->value, value, count * sizeof *value);
    a->count = count;
    a->rank = rank;
    r->count++;
    return NSAMP_OK;
}

/* Copies shared [bytes] to `to` and gives it back piece by piece, so that both are never whole in memory. */
static void move(char *to, char *shared, size_t bytes) {
    static const size_t piece = (size_t)1 << 24;
    for (size_t at = 0; at < bytes; at += piece) {
        const size_t n = bytes - at < piece ? bytes - at : piece;
        memcpy(to + at, shared + at, n);
#ifdef MADV_REMOVE
        madvise(shared + at, n, MADV_REMOVE);
#endif
    }
}

nsamp_status nsamp_result_draws(const nsamp_result *r, size_t chains, size_t first, float **x,
                                nsamp_error *err) {
    *x = NULL;
    if (chains > r->chains || first > r->draws)
        return nsamp_fail(err, NSAMP_EINTERNAL, "%s: no chains to %zu and draws from %zu", r->path, chains,
                          first);
    const size_t count = r->draws - first,
                 bytes = chains * count * r->dim * sizeof **x; /* checked on opening */
    float *const data = malloc(bytes + 1);
    void *const shared = mmap(NULL, bytes + 1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    nsamp_draws_wanted wanted = {
        .path = r->path, .first = {0, first, 0}, .count = {chains, count, r->dim}, .x = shared};
    char *nothing = NULL;
    size_t none;
    nsamp_status status = NSAMP_OK;
    if (!data || shared == MAP_FAILED)
        status = nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory for %.3g GB of draws", r->path,
                            (double)bytes * 1e-9);
    if (!status) status = nsamp_apart(r->path, nsamp_result_send_draws, &wanted, &nothing, &none, err);
    free(nothing);
    if (!status) status = check_same(r, err);
    if (!status) {
        move((char *)data, shared, bytes);
        *x = data;
    } else {
        free(data);
    }
    if (shared != MAP_FAILED) munmap(shared, bytes + 1);
    return status;
}
