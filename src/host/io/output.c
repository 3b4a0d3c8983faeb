/* output.c: the output file of a run: its life (check, create, close, abandon) and the group posterior. The
 * groups of the summary are in output_summary.c. */
#include "output.h"

#include <errno.h>
#include <netcdf.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/newfile.h"
#include "io/output_summary.h"
#include "io/provenance.h"

struct nsamp_output {
    nsamp_newfile file;
    nsamp_nc nc;
    bool open; /* nc.id is an open file */
    int posterior, x;
    size_t chains, draws, dim, written; /* written: draws so far */
    uint64_t *steps;                    /* [draws] */
    bool summarised;
    uint64_t bytes; /* set aside for it on the disk */
};

static const size_t CHUNK_FLOATS = (size_t)1 << 18; /* 1 MiB */
static const size_t CACHE_BYTES = (size_t)64
                                  << 20; /* holds a row of chunks over all chains; see chunk_shape */

nsamp_status nsamp_output_check(const nsamp_job *job, nsamp_error *err) {
    if (!*nsamp_job_text(job, NSAMP_KEY_output_file)) return NSAMP_OK;
    return nsamp_newfile_check_key(job, NSAMP_KEY_output_file, NSAMP_KEY_output_overwrite, err);
}

static size_t clamp(size_t value, size_t most) {
    return value < 1 ? 1 : value < most ? value : most;
}

/* Chunks of about a MiB, long in draws (a trace is the usual reading), yet so that the chunks of all chains
 * over the same draws fit in the cache: draws come for all chains at once, and no chunk is written twice. */
static void chunk_shape(const nsamp_output *o, size_t shape[3]) {
    const size_t row = clamp(o->dim, CHUNK_FLOATS);
    const size_t fit = CACHE_BYTES / 2 / sizeof(float) / o->chains / o->dim;
    shape[2] = row;
    shape[1] = clamp(clamp(fit, CHUNK_FLOATS / row), o->draws);
    shape[0] = clamp(CHUNK_FLOATS / row / shape[1], o->chains);
}

static void define_posterior(nsamp_output *o) {
    nsamp_nc *w = &o->nc;
    o->posterior = nsamp_nc_group(w, "posterior");
    nsamp_provenance_group(w, o->posterior);
    const int dims[3] = {nsamp_nc_axis(w, o->posterior, "chain", o->chains, NULL),
                         nsamp_nc_axis(w, o->posterior, "draw", o->draws, o->steps),
                         nsamp_nc_axis(w, o->posterior, "dim", o->dim, NULL)};
    o->x = nsamp_nc_var(w, o->posterior, "x", NC_FLOAT, 3, dims);
    size_t shape[3];
    chunk_shape(o, shape);
    if (w->status) return;
    nsamp_nc_note(w, nc_def_var_chunking(o->posterior, o->x, NC_CHUNKED, shape), "x");
    nsamp_nc_note(w, nc_def_var_fill(o->posterior, o->x, NC_NOFILL, NULL), "x");
    nsamp_nc_note(w, nc_set_var_chunk_cache(o->posterior, o->x, CACHE_BYTES, 4133, 1.0f), "x");
    nsamp_nc_text(w, o->posterior, o->x, "long_name", "the quantity that is sampled");
}

/* An upper bound of the file's size, statistics aside: x in whole chunks, moments with covariances, attributes. */
static uint64_t bytes_at_most(const nsamp_output *o, size_t cov_dim) {
    uint64_t bytes = ((uint64_t)1 << 20) + 8 * (20 * (uint64_t)o->dim + 2 * (uint64_t)(o->draws + o->chains));
    if (o->dim <= cov_dim) bytes += 3 * 8 * (uint64_t)o->dim * o->dim;
    if (!o->chains) return bytes;
    size_t shape[3];
    chunk_shape(o, shape);
    const size_t length[3] = {o->chains, o->draws, o->dim};
    uint64_t x = sizeof(float) + 1; /* the index of the chunks included: it takes less than a byte a number */
    for (int d = 0; d < 3; d++)
        x *= (length[d] + shape[d] - 1) / shape[d] * shape[d];
    return bytes + x + (uint64_t)o->chains * o->draws;
}

static void create_file(nsamp_output *o, const nsamp_job *job) {
    nsamp_nc_lock();
    errno = 0;
    o->open = !nsamp_nc_note(&o->nc, nc_create(o->file.temp, NC_NETCDF4 | NC_CLOBBER, &o->nc.id), "the file");
    if (o->open) nsamp_provenance_write(&o->nc, job);
    if (o->open && o->chains) define_posterior(o);
    nsamp_nc_unlock();
}

nsamp_status nsamp_output_create(const nsamp_job *job, size_t chains, size_t draws, size_t dim,
                                 const uint64_t *steps, nsamp_output **out, nsamp_error *err) {
    *out = NULL;
    nsamp_output *o = calloc(1, sizeof *o);
    if (!o) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the output");
    o->chains = draws ? chains : 0;
    o->draws = draws;
    o->dim = dim;
    o->steps = malloc((draws + 1) * sizeof *o->steps);
    nsamp_status status = o->steps ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the output");
    if (!status) {
        if (draws) memcpy(o->steps, steps, draws * sizeof *steps);
        status = nsamp_newfile_begin(nsamp_job_text(job, NSAMP_KEY_output_file),
                                     nsamp_job_bool(job, NSAMP_KEY_output_overwrite), &o->file, err);
    }
    /* Space is set aside before HDF5 sees the disk, and again since HDF5 empties the file: a full disk is
     * met here, not there. */
    o->bytes = bytes_at_most(o, (size_t)nsamp_job_int(job, NSAMP_KEY_record_cov_dim));
    if (!status) status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (!status) {
        create_file(o, job);
        status = nsamp_nc_result(&o->nc, o->file.path, err);
    }
    if (!status) status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (status)
        nsamp_output_abandon(o);
    else
        *out = o;
    return status;
}

/* [n][chains][D] -> [chains][n][D] */
static float *by_chain(const nsamp_output *o, size_t n, const float *x) {
    const size_t D = o->dim, C = o->chains;
    float *turned = malloc(n * C * D * sizeof *turned);
    for (size_t c = 0; turned && c < C; c++)
        for (size_t k = 0; k < n; k++)
            memcpy(turned + (c * n + k) * D, x + (k * C + c) * D, D * sizeof *x);
    return turned;
}

nsamp_status nsamp_output_draws(nsamp_output *o, size_t first, size_t n, const float *x, nsamp_error *err) {
    if (!o->chains || first != o->written || n > o->draws - first)
        return nsamp_fail(err, NSAMP_EINTERNAL, "draws %zu to %zu of %zu written after %zu", first, first + n,
                          o->draws, o->written);
    float *turned = by_chain(o, n, x);
    if (!turned) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the recorded draws");
    const size_t start[3] = {0, first, 0}, count[3] = {o->chains, n, o->dim};
    nsamp_nc_lock();
    errno = 0;
    if (!o->nc.status)
        nsamp_nc_note(&o->nc, nc_put_vara_float(o->posterior, o->x, start, count, turned), "x");
    nsamp_nc_unlock();
    free(turned);
    o->written += n;
    return nsamp_nc_result(&o->nc, o->file.path, err);
}

nsamp_status nsamp_output_summary(nsamp_output *o, const nsamp_summary *summary, const nsamp_law *law,
                                  const uint64_t *first_bad, const nsamp_statistic *stats, size_t nstats,
                                  nsamp_error *err) {
    for (size_t i = 0; i < nstats; i++)
        o->bytes += 4 * sizeof(double) * (uint64_t)stats[i].count;
    nsamp_status status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (status) return status;
    nsamp_nc_lock();
    errno = 0;
    if (o->chains) nsamp_output_sample_stats(&o->nc, o->chains, o->draws, o->steps, first_bad);
    nsamp_output_moments(&o->nc, summary, law);
    if (nstats) nsamp_output_statistics(&o->nc, stats, nstats);
    nsamp_nc_unlock();
    o->summarised = true;
    return nsamp_nc_result(&o->nc, o->file.path, err);
}

static void release(nsamp_output *o) {
    if (o->open) {
        nsamp_nc_lock();
        nc_close(o->nc.id);
        nsamp_nc_unlock();
    }
    nsamp_newfile_abandon(&o->file);
    free(o->steps);
    free(o);
}

nsamp_status nsamp_output_close(nsamp_output *o, nsamp_error *err) {
    nsamp_status status = nsamp_nc_result(&o->nc, o->file.path, err);
    if (!status && (!o->summarised || (o->chains && o->written != o->draws)))
        status = nsamp_fail(err, NSAMP_EINTERNAL, "%s: closed after %zu of %zu draws, %s summary",
                            o->file.path, o->written, o->draws, o->summarised ? "with its" : "without a");
    if (!status) {
        nsamp_nc_lock();
        errno = 0;
        nsamp_nc_note(&o->nc, nc_close(o->nc.id), "the file");
        nsamp_nc_unlock();
        o->open = false;
        status = nsamp_nc_result(&o->nc, o->file.path, err);
    }
    if (!status) status = nsamp_newfile_commit(&o->file, err);
    release(o);
    return status;
}

void nsamp_output_abandon(nsamp_output *o) {
    if (o) release(o);
}
