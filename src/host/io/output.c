/* output.c: the output file of a run: its life (check, create, close, abandon) and the group posterior. The
 * groups of the summary are in output_summary.c. */
#define _GNU_SOURCE /* sync_file_range */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <netcdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"
#include "io/newfile.h"
#include "io/output_summary.h"
#include "io/provenance.h"

struct nsamp_output {
    const nsamp_job *job;
    nsamp_newfile file;
    nsamp_nc nc;
    bool open; /* nc.id is an open file */
    int fd;    /* of a file with draws; -1: none */
    size_t chains, draws, dim, written; /* written: draws so far */
    uint64_t *steps;                    /* [draws] */
    nsamp_output_frame frame;           /* of a file with draws */
    bool summarised;
    uint64_t bytes; /* set aside for it on the disk */
};

nsamp_status nsamp_output_check(const nsamp_job *job, nsamp_error *err) {
    if (!*nsamp_job_text(job, NSAMP_KEY_output_file)) return NSAMP_OK;
    return nsamp_newfile_check_key(job, NSAMP_KEY_output_file, NSAMP_KEY_output_overwrite, err);
}

static uint64_t x_bytes(const nsamp_output *o) {
    return (uint64_t)o->chains * o->draws * o->dim * sizeof(float);
}

/* An upper bound of the file's size, statistics aside: x, moments with covariances, attributes. */
static uint64_t bytes_at_most(const nsamp_output *o, size_t cov_dim) {
    uint64_t bytes = ((uint64_t)1 << 20) + 8 * (20 * (uint64_t)o->dim + 3 * (uint64_t)(o->draws + o->chains));
    if (o->dim <= cov_dim) bytes += 3 * 8 * (uint64_t)o->dim * o->dim;
    return bytes + x_bytes(o) + (uint64_t)o->chains * o->draws;
}

/* ---- the group posterior ------------------------------------------------------------------------------- */

/* One number of x is written, since netCDF sets the block aside with the first. */
static void define_posterior(nsamp_output *o) {
    nsamp_nc *w = &o->nc;
    const int group = nsamp_nc_group(w, "posterior");
    const int dims[3] = {nsamp_nc_axis(w, group, "chain", o->chains, NULL),
                         nsamp_nc_axis(w, group, "draw", o->draws, o->steps),
                         nsamp_nc_axis(w, group, "dim", o->dim, NULL)};
    const int x = nsamp_nc_var(w, group, "x", NC_FLOAT, 3, dims);
    if (w->status) return;
    nsamp_nc_note(w, nc_def_var_chunking(group, x, NC_CONTIGUOUS, NULL), "x");
    nsamp_nc_note(w, nc_def_var_fill(group, x, NC_NOFILL, NULL), "x");
    nsamp_nc_text(w, group, x, "long_name", "the quantity that is sampled");
    const size_t origin[3] = {0};
    const float zero = 0;
    if (!w->status) nsamp_nc_note(w, nc_put_var1_float(group, x, origin, &zero), "x");
}

/* Where x lies in the closed file: netCDF does not say, HDF5 does. */
static nsamp_status find_x(nsamp_output *o, nsamp_error *err) {
    haddr_t at = HADDR_UNDEF;
    hsize_t bytes = 0;
    nsamp_nc_lock();
    const hid_t file = H5Fopen(o->file.temp, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t x = file < 0 ? -1 : H5Dopen2(file, "/posterior/x", H5P_DEFAULT);
    if (x >= 0) {
        at = H5Dget_offset(x);
        bytes = H5Dget_storage_size(x);
        H5Dclose(x);
    }
    if (file >= 0) H5Fclose(file);
    nsamp_nc_unlock();
    if (at == HADDR_UNDEF || bytes != x_bytes(o))
        return nsamp_fail(err, NSAMP_EIO, "%s: HDF5 sets no block of %llu bytes aside for the draws",
                          o->file.temp, (unsigned long long)x_bytes(o));
    o->frame.x_at = at;
    return NSAMP_OK;
}

/* Reads or writes all of it at the offset; 0 or an errno. */
static int transfer(int fd, bool write, char *data, size_t bytes, uint64_t at) {
    while (bytes) {
        const ssize_t n = write ? pwrite(fd, data, bytes, (off_t)at) : pread(fd, data, bytes, (off_t)at);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : write ? ENOSPC : EIO;
        data += n;
        bytes -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

/* What lies before and after x, read from the file or written to it; 0 or an errno. */
static int transfer_frame(nsamp_output *o, bool write) {
    const nsamp_output_frame *f = &o->frame;
    const int failed = transfer(o->fd, write, f->data, f->x_at, 0);
    if (failed) return failed;
    return transfer(o->fd, write, (char *)f->data + f->x_at, f->bytes - f->x_at, f->x_at + x_bytes(o));
}

/* The new file, closed by netCDF, becomes one with a frame and a descriptor. */
static nsamp_status take_frame(nsamp_output *o, nsamp_error *err) {
    struct stat st;
    nsamp_status status = find_x(o, err);
    if (status) return status;
    o->fd = open(o->file.temp, O_RDWR);
    int failed = o->fd < 0 || fstat(o->fd, &st) ? errno : 0;
    if (!failed && (uint64_t)st.st_size < o->frame.x_at + x_bytes(o)) failed = EIO;
    if (!failed) {
        o->frame.bytes = (size_t)((uint64_t)st.st_size - x_bytes(o));
        o->frame.data = malloc(o->frame.bytes);
        failed = o->frame.data ? transfer_frame(o, false) : ENOMEM;
    }
    if (!failed) return NSAMP_OK;
    return nsamp_fail(err, failed == ENOMEM ? NSAMP_ENOMEM : NSAMP_EIO, "%s: %s", o->file.temp,
                      strerror(failed));
}

/* Puts the frame of an earlier part of the run back. */
static nsamp_status put_frame(nsamp_output *o, const nsamp_output_frame *frame, nsamp_error *err) {
    struct stat st;
    const uint64_t whole = x_bytes(o) + frame->bytes;
    o->frame = *frame;
    o->frame.data = malloc(frame->bytes);
    if (!o->frame.data) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the output");
    memcpy(o->frame.data, frame->data, frame->bytes);
    o->fd = open(o->file.temp, O_RDWR);
    if (o->fd < 0 || fstat(o->fd, &st))
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: the draws of the checkpoint cannot be opened: %s; start without run.resume",
                          o->file.temp, strerror(errno));
    if ((uint64_t)st.st_size < frame->x_at + x_bytes(o))
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: %lld bytes, but with the draws of the checkpoint it has %llu; start without "
                          "run.resume",
                          o->file.temp, (long long)st.st_size, (unsigned long long)whole);
    int failed = transfer_frame(o, true);
    if (!failed && ftruncate(o->fd, (off_t)whole)) failed = errno;
    return failed ? nsamp_fail(err, NSAMP_EIO, "%s: %s", o->file.temp, strerror(failed)) : NSAMP_OK;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static nsamp_status close_nc(nsamp_output *o, nsamp_error *err) {
    if (o->open) nsamp_nc_note(&o->nc, nc_close(o->nc.id), "the file");
    o->open = false;
    return nsamp_nc_result(&o->nc, o->file.path, err);
}

static nsamp_status create_draws(nsamp_output *o, nsamp_error *err) {
    nsamp_nc_lock();
    errno = 0;
    o->open = !nsamp_nc_note(&o->nc, nc_create(o->file.temp, NC_NETCDF4 | NC_CLOBBER, &o->nc.id), "the file");
    if (o->open) define_posterior(o);
    nsamp_status status = close_nc(o, err);
    nsamp_nc_unlock();
    if (!status) status = take_frame(o, err);
    return status;
}

/* The file under its temporary name, with its space. */
static nsamp_status begin(nsamp_output *o, const nsamp_output_frame *frame, nsamp_error *err) {
    const char *path = nsamp_job_text(o->job, NSAMP_KEY_output_file);
    const bool overwrite = nsamp_job_bool(o->job, NSAMP_KEY_output_overwrite);
    nsamp_status status = o->chains ? nsamp_newfile_begin_as(path, ".draws", overwrite, frame != NULL,
                                                             &o->file, err)
                                    : nsamp_newfile_begin(path, overwrite, &o->file, err);
    if (status) return status;
    o->file.keep = frame != NULL;
    /* Space is set aside before HDF5 sees the disk, and again since HDF5 empties the file: a full disk is
     * met here, not there. */
    status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (status || !o->chains) return status;
    status = frame ? put_frame(o, frame, err) : create_draws(o, err);
    return status ? status : nsamp_newfile_reserve(&o->file, o->bytes, err);
}

nsamp_status nsamp_output_create(const nsamp_job *job, size_t chains, size_t draws, size_t dim,
                                 const uint64_t *steps, const nsamp_output_frame *frame, size_t written,
                                 nsamp_output **out, nsamp_error *err) {
    *out = NULL;
    nsamp_output *o = calloc(1, sizeof *o);
    if (!o) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the output");
    o->job = job;
    o->fd = -1;
    o->chains = draws ? chains : 0;
    o->draws = draws;
    o->dim = dim;
    o->written = written;
    o->bytes = bytes_at_most(o, (size_t)nsamp_job_int(job, NSAMP_KEY_record_cov_dim));
    o->steps = malloc((draws + 1) * sizeof *o->steps);
    nsamp_status status = o->steps ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the output");
    if (!status) {
        if (draws) memcpy(o->steps, steps, draws * sizeof *steps);
        status = begin(o, frame, err);
    }
    if (status)
        nsamp_output_abandon(o);
    else
        *out = o;
    return status;
}

const nsamp_output_frame *nsamp_output_frame_of(const nsamp_output *o) {
    return &o->frame;
}

nsamp_status nsamp_output_draws(nsamp_output *o, size_t first, size_t n, const float *x, size_t stride,
                                nsamp_error *err) {
    if (!o->chains || first > o->written || n > o->draws - first || stride < n * o->dim)
        return nsamp_fail(err, NSAMP_EINTERNAL, "draws %zu to %zu of %zu written after %zu", first, first + n,
                          o->draws, o->written);
    const bool together = n == o->draws && stride == n * o->dim; /* no gaps: all chains at once */
    const size_t pieces = together ? 1 : o->chains, bytes = (together ? o->chains : 1) * n * o->dim * sizeof *x;
    int failed = 0;
    for (size_t c = 0; c < pieces && !failed; c++)
        failed = transfer(o->fd, true, (char *)(x + c * stride), bytes,
                          o->frame.x_at + (c * o->draws + first) * o->dim * sizeof *x);
#ifdef SYNC_FILE_RANGE_WRITE
    /* The disk begins now, so that less is left to wait for at the end; a hint, hence nothing is lost where it fails. */
    if (!failed) sync_file_range(o->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
#endif
    if (failed)
        return nsamp_fail(err, NSAMP_EIO, "%s: recorded draws cannot be written: %s", o->file.path,
                          strerror(failed));
    if (first + n > o->written) o->written = first + n;
    return NSAMP_OK;
}

nsamp_status nsamp_output_sync(nsamp_output *o, nsamp_error *err) {
    if (!fsync(o->fd)) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EIO, "%s: recorded draws cannot be written: %s", o->file.path,
                      strerror(errno));
}

void nsamp_output_keep(nsamp_output *o) {
    o->file.keep = true;
}

nsamp_status nsamp_output_summary(nsamp_output *o, const nsamp_summary *summary, const nsamp_law *law,
                                  const uint64_t *first_bad, const nsamp_statistic *stats, size_t nstats,
                                  nsamp_error *err) {
    for (size_t i = 0; i < nstats; i++)
        o->bytes += 4 * sizeof(double) * (uint64_t)stats[i].count;
    nsamp_status status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (status) return status;
    nsamp_nc *w = &o->nc;
    nsamp_nc_lock();
    errno = 0;
    o->open = !nsamp_nc_note(w,
                             o->chains ? nc_open(o->file.temp, NC_WRITE, &w->id)
                                       : nc_create(o->file.temp, NC_NETCDF4 | NC_CLOBBER, &w->id),
                             "the file");
    if (!o->chains && o->open) status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (o->open && !status) {
        nsamp_provenance_write(w, o->job);
        if (o->chains) {
            int posterior = -1;
            nsamp_nc_note(w, nc_inq_ncid(w->id, "posterior", &posterior), "posterior");
            nsamp_provenance_group(w, posterior);
            nsamp_output_sample_stats(w, o->chains, o->draws, o->steps, first_bad);
        }
        nsamp_output_moments(w, summary, law);
        if (nstats) nsamp_output_statistics(w, stats, nstats);
    }
    nsamp_nc_unlock();
    o->summarised = true;
    return status ? status : nsamp_nc_result(w, o->file.path, err);
}

nsamp_status nsamp_output_close(nsamp_output *o, nsamp_error *err) {
    nsamp_status status = nsamp_nc_result(&o->nc, o->file.path, err);
    if (!status && (!o->summarised || (o->chains && o->written != o->draws)))
        status = nsamp_fail(err, NSAMP_EINTERNAL, "%s: closed after %zu of %zu draws, %s summary",
                            o->file.path, o->written, o->draws, o->summarised ? "with its" : "without a");
    if (!status) {
        nsamp_nc_lock();
        errno = 0;
        status = close_nc(o, err);
        nsamp_nc_unlock();
    }
    if (!status) status = nsamp_newfile_commit(&o->file, err);
    nsamp_output_abandon(o);
    return status;
}

void nsamp_output_abandon(nsamp_output *o) {
    if (!o) return;
    if (o->open) {
        nsamp_nc_lock();
        nc_close(o->nc.id);
        nsamp_nc_unlock();
    }
    if (o->fd >= 0) close(o->fd);
    nsamp_newfile_abandon(&o->file);
    free(o->frame.data);
    free(o->steps);
    free(o);
}
