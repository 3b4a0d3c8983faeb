/* output.c: the output file of a run: its life (check, create, close, abandon) and the group posterior. The
 * groups of the summary are in output_summary.c. */
#define _GNU_SOURCE /* O_DIRECT */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <math.h>
#include <netcdf.h>
#include <netcdf_meta.h>
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
    bool open;  /* nc.id is an open file */
    int fd;     /* of a file with draws; -1: none */
    int direct; /* the same past the system's cache; -1: none */
    nsamp_recording what;
    size_t chains, draws, dim; /* of it; no draws: no chains */
    size_t rows, block;        /* a chunk of x: chains, draws; all numbers of a draw */
    char run_id[NSAMP_RUN_ID + 1];
    nsamp_output_frame frame; /* of a file with draws */
    size_t written;           /* blocks up to the last one written */
    bool summarised;
    uint64_t bytes; /* set aside for it on the disk */
};

nsamp_status nsamp_output_check(const nsamp_job *job, nsamp_error *err) {
    if (!*nsamp_job_text(job, NSAMP_KEY_output_file)) return NSAMP_OK;
    return nsamp_newfile_check_key(job, NSAMP_KEY_output_file, NSAMP_KEY_output_overwrite, err);
}

/* Of a chunk. Long ones are good for a reader of one trace, but a block that no cache holds takes longer to fill: 2 % of a run that
 * stores 100 MB/s at 32 MiB, measured. A draw that is larger is cut into chunks of some chains. */
static const size_t CHUNK_FLOATS = (size_t)1 << 20;

static size_t clamp(size_t value, size_t most) {
    return value < 1 ? 1 : value < most ? value : most;
}

static size_t ceil_div(size_t a, size_t b) {
    return (a + b - 1) / b;
}

/* The length of equal parts of `all`, at most `most` (at least 1) each: so little lies beyond the end. */
static size_t part(size_t all, size_t most) {
    const size_t parts = ceil_div(all, clamp(most, all));
    return ceil_div(all, parts);
}

size_t nsamp_output_block(size_t chains, size_t dim, uint64_t draws) {
    return part((size_t)draws, CHUNK_FLOATS / chains / dim);
}

static size_t blocks(const nsamp_output *o) {
    return ceil_div(o->draws, o->block);
}

static size_t chunk_bytes(const nsamp_output *o) {
    return o->rows * o->block * o->dim * sizeof(float);
}

static size_t chunk_count(const nsamp_output *o) {
    return ceil_div(o->chains, o->rows) * blocks(o);
}

/* An upper bound of the file's size, statistics aside: x with the index of its chunks, moments with covariances,
 * attributes. */
static uint64_t bytes_at_most(const nsamp_output *o, size_t cov_dim) {
    uint64_t bytes = ((uint64_t)1 << 20) + 8 * (24 * (uint64_t)o->dim + 3 * (uint64_t)(o->draws + o->chains));
    if (o->dim <= cov_dim) bytes += 3 * 8 * (uint64_t)o->dim * o->dim;
    if (!o->chains) return bytes;
    return bytes + (uint64_t)chunk_count(o) * (chunk_bytes(o) + 256) + (uint64_t)o->chains * o->draws;
}

/* ---- the group posterior ------------------------------------------------------------------------------- */

/* A number of each chunk is written, since that gives the chunk its place; past the cache, so that nothing else is
 * written. */
static void place_chunks(nsamp_output *o, int group, int x) {
    const float zero = 0;
    nsamp_nc_note(&o->nc, nc_set_var_chunk_cache(group, x, 1, 1, 0), "x");
    for (size_t c = 0; c < o->chains; c += o->rows)
        for (size_t k = 0; k < o->draws && !o->nc.status; k += o->block) {
            const size_t at[3] = {c, k, 0};
            nsamp_nc_note(&o->nc, nc_put_var1_float(group, x, at, &zero), "x");
        }
}

static void define_run_id(nsamp_output *o) {
    nsamp_nc *w = &o->nc;
    const int dim = nsamp_nc_dim(w, w->id, "run_id_digits", NSAMP_RUN_ID);
    const int var = nsamp_nc_var(w, w->id, "run_id", NC_CHAR, 1, &dim);
    nsamp_nc_text(w, w->id, var, "long_name", "random; one for each run, however often it was resumed");
    if (!w->status) nsamp_nc_note(w, nc_put_var_text(w->id, var, o->run_id), "run_id");
}

static void define_posterior(nsamp_output *o) {
    nsamp_nc *w = &o->nc;
    const int group = nsamp_nc_group(w, "posterior");
    const int dims[3] = {
        nsamp_nc_axis(w, group, "chain", o->chains, 0, 1),
        nsamp_nc_axis(w, group, "draw", o->draws, nsamp_recording_step(&o->what, 0), o->what.every),
        nsamp_nc_axis(w, group, "dim", o->dim, 0, 1)};
    const int x = nsamp_nc_var(w, group, "x", NC_FLOAT, 3, dims);
    const size_t shape[3] = {o->rows, o->block, o->dim};
    if (w->status) return;
    nsamp_nc_note(w, nc_def_var_chunking(group, x, NC_CHUNKED, shape), "x");
    nsamp_nc_note(w, nc_def_var_fill(group, x, NC_NOFILL, NULL), "x");
    nsamp_nc_text(w, group, x, "long_name", "the quantity that is sampled");
    if (!w->status) nsamp_nc_note(w, nc_enddef(w->id), "the file");
    if (!w->status) place_chunks(o, group, x);
}

/* Where chunks, step numbers and run_id lie in the closed file: netCDF does not say, HDF5 does. Returns how many chunks it found, 0 where it
 * did not find run_id. */
static size_t find_chunks(nsamp_output *o) {
    nsamp_nc_lock();
    const hid_t file = H5Fopen(o->file.temp, H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t x = file < 0 ? -1 : H5Dopen2(file, "/posterior/x", H5P_DEFAULT);
    const hid_t id = file < 0 ? -1 : H5Dopen2(file, "/run_id", H5P_DEFAULT);
    const hid_t draw = file < 0 ? -1 : H5Dopen2(file, "/posterior/draw", H5P_DEFAULT);
    const haddr_t id_at = id < 0 ? HADDR_UNDEF : H5Dget_offset(id),
                  draw_at = draw < 0 ? HADDR_UNDEF : H5Dget_offset(draw);
    size_t found = 0;
    o->frame.id_at = id_at;
    o->frame.draw_at = draw_at;
    for (size_t c = 0; c < o->chains && x >= 0; c += o->rows)
        for (size_t k = 0; k < o->draws; k += o->block) {
            const hsize_t first[3] = {c, k, 0};
            unsigned filters;
            haddr_t at = HADDR_UNDEF;
            hsize_t bytes = 0;
            const bool known = H5Dget_chunk_info_by_coord(x, first, &filters, &at, &bytes) >= 0;
            if (!known || at == HADDR_UNDEF || bytes != chunk_bytes(o)) continue;
            o->frame.at[found++] = at;
        }
    if (draw >= 0) H5Dclose(draw);
    if (id >= 0) H5Dclose(id);
    if (x >= 0) H5Dclose(x);
    if (file >= 0) H5Fclose(file);
    nsamp_nc_unlock();
    return id_at == HADDR_UNDEF || draw_at == HADDR_UNDEF ? 0 : found;
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

/* A part of the file that the frame leaves out. */
typedef struct hole {
    uint64_t at, bytes;
} hole;

static int by_place(const void *a, const void *b) {
    const uint64_t x = ((const hole *)a)->at, y = ((const hole *)b)->at;
    return (x > y) - (x < y);
}

static uint64_t bytes_of_holes(const nsamp_output *o) {
    return (uint64_t)o->frame.chunks * chunk_bytes(o) + (uint64_t)o->draws * sizeof(int64_t);
}

/* What the frame holds, read from the file or written to it; 0 or an errno, EINVAL where the holes do not fit in. */
static int transfer_frame(nsamp_output *o, bool write) {
    const nsamp_output_frame *f = &o->frame;
    const size_t count = f->chunks + 2;
    hole *holes = malloc(count * sizeof *holes);
    if (!holes) return ENOMEM;
    for (size_t i = 0; i < f->chunks; i++)
        holes[i] = (hole){f->at[i], chunk_bytes(o)};
    holes[f->chunks] = (hole){f->draw_at, (uint64_t)o->draws * sizeof(int64_t)};
    holes[f->chunks + 1] = (hole){f->bytes + bytes_of_holes(o), 0}; /* the end of the file */
    qsort(holes, count, sizeof *holes, by_place);
    char *data = f->data;
    size_t left = f->bytes;
    uint64_t at = 0;
    int failed = 0;
    for (size_t i = 0; i < count && !failed; i++) {
        if (holes[i].at < at || holes[i].at - at > left) {
            failed = EINVAL;
            break;
        }
        const size_t n = (size_t)(holes[i].at - at);
        failed = transfer(o->fd, write, data, n, at);
        data += n;
        left -= n;
        at = holes[i].at + holes[i].bytes;
    }
    free(holes);
    return failed;
}

/* The new file, closed by netCDF, becomes one with a frame and a descriptor. */
static nsamp_status take_frame(nsamp_output *o, nsamp_error *err) {
    nsamp_output_frame *f = &o->frame;
    struct stat st;
    f->chunks = chunk_count(o);
    f->at = malloc(f->chunks * sizeof *f->at);
    if (!f->at)
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for the places of %zu chunks of draws",
                          o->file.temp, f->chunks);
    const uint64_t x = bytes_of_holes(o);
    o->fd = open(o->file.temp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (o->fd < 0 || fstat(o->fd, &st))
        return nsamp_fail(err, NSAMP_EIO, "%s: %s", o->file.temp, strerror(errno));
    const size_t found = find_chunks(o);
    if (found != f->chunks || (uint64_t)st.st_size < x)
        return nsamp_fail(err, NSAMP_EIO, "%s: HDF5 gave %zu of %zu chunks of draws a place", o->file.temp,
                          found, f->chunks);
    f->bytes = (size_t)((uint64_t)st.st_size - x);
    f->data = malloc(f->bytes);
    const int failed = f->data ? transfer_frame(o, false) : ENOMEM;
    if (!failed) return NSAMP_OK;
    return nsamp_fail(err, failed == ENOMEM ? NSAMP_ENOMEM : NSAMP_EIO, "%s: %s", o->file.temp,
                      strerror(failed));
}

/* That the file at o->fd has the run_id of this run. */
static nsamp_status compare_run_id(nsamp_output *o, nsamp_error *err) {
    char digits[NSAMP_RUN_ID];
    const int failed = transfer(o->fd, false, digits, sizeof digits, o->frame.id_at);
    if (failed) return nsamp_fail(err, NSAMP_EIO, "%s: %s", o->file.temp, strerror(failed));
    if (!memcmp(digits, o->run_id, sizeof digits)) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EUSAGE,
                      "%s: these draws are of another run than the checkpoint; put the right file back, or "
                      "begin anew with run.resume = no and output.overwrite = yes",
                      o->file.temp);
}

/* Puts the frame of an earlier part of the run back. */
static nsamp_status put_frame(nsamp_output *o, const nsamp_output_frame *frame, nsamp_error *err) {
    nsamp_output_frame *f = &o->frame;
    struct stat st;
    *f = (nsamp_output_frame){.chunks = frame->chunks,
                              .at = malloc(frame->chunks * sizeof *f->at),
                              .bytes = frame->bytes,
                              .data = malloc(frame->bytes),
                              .id_at = frame->id_at,
                              .draw_at = frame->draw_at};
    if (!f->at || !f->data)
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its head (%zu bytes)", o->file.temp,
                          f->bytes);
    memcpy(f->at, frame->at, f->chunks * sizeof *f->at);
    memcpy(f->data, frame->data, f->bytes);
    const uint64_t whole = f->bytes + bytes_of_holes(o);
    o->fd = open(o->file.temp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (o->fd < 0 || fstat(o->fd, &st))
        return nsamp_fail(
            err, NSAMP_EIO,
            "%s: the draws of the checkpoint cannot be opened: %s; put the file back, or begin anew "
            "with run.resume = no and output.overwrite = yes",
            o->file.temp, strerror(errno));
    if ((uint64_t)st.st_size < whole)
        return nsamp_fail(
            err, NSAMP_EIO,
            "%s: %lld bytes, but the checkpoint was made with %llu; put the right file back, or begin "
            "anew with run.resume = no and output.overwrite = yes",
            o->file.temp, (long long)st.st_size, (unsigned long long)whole);
    const nsamp_status status = compare_run_id(o, err);
    if (status) return status;
    int failed = f->chunks == chunk_count(o) ? transfer_frame(o, true) : EINVAL;
    if (!failed && ftruncate(o->fd, (off_t)whole)) failed = errno;
    return failed ? nsamp_fail(err, NSAMP_EIO, "%s: %s", o->file.temp, strerror(failed)) : NSAMP_OK;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static nsamp_status close_nc(nsamp_output *o, nsamp_error *err) {
    if (o->open) nsamp_nc_close(&o->nc, o->file.temp);
    o->open = false; /* even where that failed: a second close crashes */
    return nsamp_nc_result(&o->nc, o->file.path, err);
}

static nsamp_status create_draws(nsamp_output *o, nsamp_error *err) {
    nsamp_nc_lock();
    errno = 0;
#if NC_VERSION_MAJOR > 4 || (NC_VERSION_MAJOR == 4 && NC_VERSION_MINOR >= 9)
    nc_set_alignment((int)NSAMP_OUTPUT_ALIGN, (int)NSAMP_OUTPUT_ALIGN); /* for write_direct */
#endif
    o->open = !nsamp_nc_note(&o->nc, nc_create(o->file.temp, NC_NETCDF4 | NC_CLOBBER, &o->nc.id), "the file");
    if (o->open) define_run_id(o);
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
    nsamp_status status =
        o->chains ? nsamp_newfile_begin_as(path, ".draws", overwrite, frame != NULL, &o->file, err)
                  : nsamp_newfile_begin(path, overwrite, &o->file, err);
    if (status) return status;
    if (frame) {
        o->file.keep = true;
        o->written = blocks(o); /* only the caller knows which are still to come */
        status = put_frame(o, frame, err);
        return status ? status : nsamp_newfile_reserve(&o->file, o->bytes, err);
    }
    /* Space is set aside before HDF5 sees the disk, and again since HDF5 empties the file: a full disk is
     * met here, not there. */
    status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    if (!status && o->chains) status = create_draws(o, err);
    if (!status && o->chains) status = nsamp_newfile_reserve(&o->file, o->bytes, err);
    return status;
}

double nsamp_output_bytes(const nsamp_recording *what) {
    if (!what->draws || !what->chains) return 0;
    const double draw = (double)what->chains * (double)what->dim,
                 chunk = fmax(CHUNK_FLOATS, (double)what->dim),
                 chunks = draw * (double)what->draws / chunk + 1;
    /* Their places, once more while they are sorted, and HDF5's index of them, which the frame holds too. */
    return chunks * (sizeof(uint64_t) + sizeof(hole) + 512) + (double)what->chains * sizeof(int64_t) +
           (1 << 20);
}

/* Past the system's cache, for write_direct; where the file system cannot, -1. */
static void open_direct(nsamp_output *o) {
#ifdef O_DIRECT
    o->direct = open(o->file.temp, O_WRONLY | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
#endif
}

nsamp_status nsamp_output_create(const nsamp_job *job, const nsamp_recording *what, const char *run_id,
                                 const nsamp_output_frame *frame, nsamp_output **out, nsamp_error *err) {
    *out = NULL;
    nsamp_output *o = calloc(1, sizeof *o);
    if (!o) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for an output (%zu bytes)", sizeof *o);
    o->job = job;
    o->fd = o->direct = -1;
    o->what = *what;
    o->chains = what->draws ? (size_t)what->chains : 0;
    o->draws = (size_t)what->draws;
    o->dim = what->dim;
    snprintf(o->run_id, sizeof o->run_id, "%s", run_id);
    if (o->chains) {
        o->block = nsamp_output_block(o->chains, o->dim, o->draws);
        o->rows = part(o->chains, CHUNK_FLOATS / o->block / o->dim);
    }
    o->bytes = bytes_at_most(o, (size_t)nsamp_job_int(job, NSAMP_KEY_record_cov_dim));
    const nsamp_status status = begin(o, frame, err);
    if (!status && o->chains) open_direct(o);
    if (status)
        nsamp_output_abandon(o);
    else
        *out = o;
    return status;
}

const nsamp_output_frame *nsamp_output_frame_of(const nsamp_output *o) {
    return &o->frame;
}

nsamp_output_frame nsamp_output_take_frame(nsamp_output *o) {
    const nsamp_output_frame frame = o->frame;
    o->frame = (nsamp_output_frame){0};
    return frame;
}

/* Writes whole pages past the system's cache, where data and file lie on them: no copy, and no memory taken from others
 * for draws that nobody reads now. Returns how many bytes; the rest, and everything where the file system
 * cannot do that or an error is to be met, is for the usual way. */
static size_t write_direct(nsamp_output *o, const char *data, size_t bytes, uint64_t at) {
    if (o->direct < 0 || (uintptr_t)data % NSAMP_OUTPUT_ALIGN || at % NSAMP_OUTPUT_ALIGN) return 0;
    const size_t whole = bytes / NSAMP_OUTPUT_ALIGN * NSAMP_OUTPUT_ALIGN;
    size_t done = 0;
    while (done < whole) {
        const ssize_t n = pwrite(o->direct, data + done, whole - done, (off_t)(at + done));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0 || n % NSAMP_OUTPUT_ALIGN) break;
        done += (size_t)n;
    }
    return done;
}

/* The chunks of a block, one for every o->rows chains; 0 or an errno. */
static int transfer_block(nsamp_output *o, bool write, size_t k, float *x) {
    int failed = 0;
    for (size_t c = 0, chunk = k; c < o->chains && !failed; c += o->rows, chunk += blocks(o)) {
        const size_t rows = o->chains - c < o->rows ? o->chains - c : o->rows, row = o->block * o->dim;
        char *const data = (char *)(x + c * row);
        const size_t bytes = rows * row * sizeof *x;
        const uint64_t at = o->frame.at[chunk];
        const size_t done = write ? write_direct(o, data, bytes, at) : 0;
        failed = transfer(o->fd, write, data + done, bytes - done, at + done);
    }
    return failed;
}

nsamp_status nsamp_output_write(nsamp_output *o, size_t k, const float *x, nsamp_error *err) {
    if (!o->chains || k >= blocks(o))
        return nsamp_fail(err, NSAMP_EINTERNAL, "block %zu of %zu", k, o->chains ? blocks(o) : 0);
    const int failed = transfer_block(o, true, k, (float *)x);
    if (failed)
        return nsamp_fail(err, NSAMP_EIO, "%s: recorded draws cannot be written: %s", o->file.path,
                          strerror(failed));
    if (k >= o->written) o->written = k + 1;
    return NSAMP_OK;
}

nsamp_status nsamp_output_read(nsamp_output *o, size_t k, float *x, nsamp_error *err) {
    if (!o->chains || k >= blocks(o))
        return nsamp_fail(err, NSAMP_EINTERNAL, "block %zu of %zu", k, o->chains ? blocks(o) : 0);
    const int failed = transfer_block(o, false, k, x);
    if (failed)
        return nsamp_fail(err, NSAMP_EIO, "%s: recorded draws cannot be read back: %s", o->file.temp,
                          strerror(failed));
    return NSAMP_OK;
}

/* The file under its temporary name is the one that was begun, or is made so. */
static nsamp_status mend(nsamp_output *o, nsamp_error *err) {
    bool again = false;
    nsamp_status status = nsamp_newfile_mend(&o->file, o->fd, &again, err);
    if (status || !again || o->fd < 0) return status;
    const int fd = open(o->file.temp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return nsamp_fail(err, NSAMP_EIO, "%s: %s", o->file.temp, strerror(errno));
    close(o->fd);
    if (o->direct >= 0) close(o->direct);
    o->fd = fd;
    open_direct(o);
    return NSAMP_OK;
}

nsamp_status nsamp_output_sync(nsamp_output *o, nsamp_error *err) {
    const nsamp_status status = mend(o, err);
    if (status || o->fd < 0 || !fsync(o->fd)) return status;
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
    nsamp_status status = mend(o, err);
    if (!status) status = nsamp_newfile_reserve(&o->file, o->bytes, err);
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
        if (!o->chains) define_run_id(o);
        if (o->chains) {
            int posterior = -1;
            nsamp_nc_note(w, nc_inq_ncid(w->id, "posterior", &posterior), "posterior");
            nsamp_provenance_group(w, posterior);
            nsamp_output_sample_stats(w, &o->what, first_bad);
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
    if (!status && (!o->summarised || (o->chains && o->written != blocks(o))))
        status = nsamp_fail(err, NSAMP_EINTERNAL, "%s: closed after %zu blocks of draws, %s summary",
                            o->file.path, o->written, o->summarised ? "with its" : "without a");
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
        (void)close_nc(o, NULL);
        nsamp_nc_unlock();
    }
    if (o->fd >= 0) close(o->fd);
    if (o->direct >= 0) close(o->direct);
    nsamp_newfile_abandon(&o->file);
    free(o->frame.at);
    free(o->frame.data);
    free(o);
}
