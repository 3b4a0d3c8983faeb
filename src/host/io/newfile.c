/* newfile.c: see newfile.h. */
#define _GNU_SOURCE /* fallocate, gethostname */
#include "newfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "error.h"
#include "io/pathname.h"

/* The folder of path, malloc'ed. */
static char *folder_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return strdup(".");
    return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

nsamp_status nsamp_sync_folder(const char *path, nsamp_error *err) {
    char *folder = folder_of(path);
    if (!folder) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    const int fd = open(folder, O_RDONLY | O_DIRECTORY);
    int failed = fd < 0 ? errno : 0;
    if (fd >= 0 && fsync(fd)) failed = errno;
    if (fd >= 0) close(fd);
    free(folder);
    if (!failed || failed == EINVAL || failed == ENOTSUP || failed == EACCES) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EIO, "%s: its folder cannot be synced: %s", path, strerror(failed));
}

static nsamp_status folder_check(const char *path, nsamp_error *err) {
    char *folder = folder_of(path);
    struct stat st;
    if (!folder) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    nsamp_status status = NSAMP_OK;
    if (stat(folder, &st)) {
        const int why = errno;
        status = nsamp_fail(err, why == ENOENT || why == ENOTDIR ? NSAMP_EUSAGE : NSAMP_EIO,
                            "%s: the folder %s: %s", path, folder, strerror(why));
    } else if (!S_ISDIR(st.st_mode)) {
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: %s is not a folder", path, folder);
    } else if (access(folder, W_OK | X_OK)) {
        status = nsamp_fail(err, NSAMP_EIO, "%s: the folder %s cannot be written: %s", path, folder,
                            strerror(errno));
    }
    free(folder);
    return status;
}

nsamp_status nsamp_newfile_check(const char *path, bool overwrite, nsamp_error *err) {
    struct stat st;
    const nsamp_status named = nsamp_pathname_check_new(path, err);
    if (named) return named;
    if (!lstat(path, &st)) {
        if (S_ISDIR(st.st_mode)) return nsamp_fail(err, NSAMP_EUSAGE, "%s: is a folder, not a file", path);
        if (S_ISLNK(st.st_mode))
            return nsamp_fail(err, NSAMP_EUSAGE, "%s: is a symbolic link; name the file itself", path);
        if (!S_ISREG(st.st_mode)) return nsamp_fail(err, NSAMP_EUSAGE, "%s: is not a plain file", path);
        if (!overwrite)
            return nsamp_fail(err, NSAMP_EUSAGE, "%s: exists already and is not to be overwritten", path);
    } else if (errno != ENOENT && errno != ENOTDIR) {
        return nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    }
    return folder_check(path, err);
}

nsamp_status nsamp_newfile_check_key(const nsamp_job *job, nsamp_key file, nsamp_key overwrite,
                                     nsamp_error *err) {
    const char *path = nsamp_job_text(job, file);
    const nsamp_option *allow = &nsamp_options[overwrite];
    nsamp_error why = {0};
    const nsamp_status status = nsamp_newfile_check(path, nsamp_job_bool(job, overwrite), &why);
    if (!status) return NSAMP_OK;
    if (status != NSAMP_EUSAGE) return nsamp_fail(err, status, "%s", why.text);
    /* The path stands before the reason and in the key's value: once is enough. */
    const size_t length = strlen(path);
    const bool named = length && !strncmp(why.text, path, length) && !strncmp(why.text + length, ": ", 2);
    const char *reason = why.text + (named ? length + 2 : 0);
    if (strstr(reason, "exists already"))
        return nsamp_job_fail(job, file, err, "%s (%s.%s = yes replaces it)", reason, allow->section,
                              allow->key);
    return nsamp_job_fail(job, file, err, "%s", reason);
}

/* Names of temporary files: PATH.tmp-HOST-PROCESS-NUMBER, HOST a hash of this machine's name, so that the process number can
 * be asked after. */
static unsigned host_number(void) {
    char name[256] = "";
    unsigned hash = 2166136261u; /* FNV-1a */
    if (gethostname(name, sizeof name - 1)) return hash;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    return hash;
}

void nsamp_newfile_sweep(const char *path) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    const size_t length = strlen(base);
    char *folder = folder_of(path);
    DIR *dir = folder ? opendir(folder) : NULL;
    for (const struct dirent *e; dir && (e = readdir(dir));) {
        unsigned host, number;
        long process;
        int end = 0;
        if (strncmp(e->d_name, base, length) ||
            sscanf(e->d_name + length, ".tmp-%8x-%ld-%u%n", &host, &process, &number, &end) != 3 ||
            e->d_name[length + (size_t)end] || host != host_number() || process <= 0)
            continue;
        if (kill((pid_t)process, 0) && errno == ESRCH) unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir) closedir(dir);
    free(folder);
}

static nsamp_status let_go(nsamp_newfile *f, nsamp_status status) {
    free(f->path);
    free(f->temp);
    *f = (nsamp_newfile){0};
    return status;
}

/* f for path and the temporary name of path with `ending`, as libraries take it (pathname.h). */
static nsamp_status hold(nsamp_newfile *f, const char *path, const char *ending, bool overwrite,
                         nsamp_error *err) {
    nsamp_status status = nsamp_newfile_check(path, overwrite, err);
    if (status) return status;
    char *name = malloc(strlen(path) + strlen(ending) + 1);
    if (name) sprintf(name, "%s%s", path, ending);
    *f = (nsamp_newfile){
        .path = strdup(path), .temp = name ? nsamp_pathname_library(name) : NULL, .overwrite = overwrite};
    free(name);
    if (f->path && f->temp) return NSAMP_OK;
    return let_go(f, nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its name", path));
}

/* 0 or an errno; EEXIST where the name of the temporary file belongs to something else than a plain file. */
static int open_temp(const nsamp_newfile *f, int *fd) {
    struct stat old;
    const bool replaces = !lstat(f->path, &old) && S_ISREG(old.st_mode);
    const mode_t mode = replaces ? old.st_mode & 0777 : 0666;
    const int how = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
    struct stat st;
    *fd = open(f->temp, how, mode);
    if (*fd < 0 && errno == EEXIST) {
        if (lstat(f->temp, &st) || !S_ISREG(st.st_mode)) return EEXIST;
        *fd = unlink(f->temp) ? -1 : open(f->temp, how, mode);
    }
    if (*fd < 0) return errno;
    /* What replaces a file keeps its permissions, and its owner where we may say so. */
    if (replaces && (old.st_uid != geteuid() || old.st_gid != getegid()))
        (void)!fchown(*fd, old.st_uid, old.st_gid);
    return replaces && fchmod(*fd, mode) && errno != EPERM ? errno : 0;
}

/* Creates the temporary file, which must not be there; one that is was left by a dead process and is replaced. */
static nsamp_status create(nsamp_newfile *f, nsamp_error *err) {
    struct stat st;
    int fd, failed = open_temp(f, &fd);
    if (!failed && fstat(fd, &st)) failed = errno;
    if (fd >= 0) close(fd);
    if (fd >= 0 && failed) unlink(f->temp);
    if (failed)
        return let_go(f, nsamp_fail(err, NSAMP_EIO, "%s: cannot be created: %s: %s", f->path, f->temp,
                                    strerror(failed)));
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return NSAMP_OK;
}

/* The temporary file of an earlier process, which is to be a plain one. Whether it is there is for the caller to see. */
static nsamp_status find(nsamp_newfile *f, nsamp_error *err) {
    struct stat st;
    if (lstat(f->temp, &st)) return NSAMP_OK;
    if (!S_ISREG(st.st_mode))
        return let_go(f, nsamp_fail(err, NSAMP_EIO, "%s: is %s, not the file that an earlier run wrote",
                                    f->temp, S_ISLNK(st.st_mode) ? "a symbolic link" : "no plain file"));
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return NSAMP_OK;
}

nsamp_status nsamp_newfile_begin(const char *path, bool overwrite, nsamp_newfile *f, nsamp_error *err) {
    static atomic_uint number; /* distinct names within the process */
    *f = (nsamp_newfile){0};
    char ending[64];
    snprintf(ending, sizeof ending, ".tmp-%08x-%ld-%u", host_number(), (long)getpid(),
             atomic_fetch_add(&number, 1));
    nsamp_status status = hold(f, path, ending, overwrite, err);
    if (status) return status;
    nsamp_newfile_sweep(path);
    return create(f, err);
}

nsamp_status nsamp_newfile_begin_as(const char *path, const char *suffix, bool overwrite, bool old,
                                    nsamp_newfile *f, nsamp_error *err) {
    *f = (nsamp_newfile){0};
    nsamp_status status = hold(f, path, suffix, overwrite, err);
    if (status) return status;
    return old ? find(f, err) : create(f, err);
}

/* 0, or the errno that writing `bytes` bytes would meet, as far as can be known without writing. */
static int look_for_space(int fd, uint64_t bytes) {
    struct statvfs fs;
    struct stat st;
    struct rlimit most;
    if (!getrlimit(RLIMIT_FSIZE, &most) && most.rlim_cur != RLIM_INFINITY && most.rlim_cur < bytes)
        return EFBIG;
    const uint64_t has =
        fstat(fd, &st) ? 0 : (uint64_t)st.st_blocks * 512; /* what it was given before counts */
    if (!fstatvfs(fd, &fs) && has < bytes && (uint64_t)fs.f_bavail * fs.f_frsize < bytes - has) return ENOSPC;
    return 0;
}

nsamp_status nsamp_newfile_reserve(const nsamp_newfile *f, uint64_t bytes, nsamp_error *err) {
    const int fd = open(f->temp, O_WRONLY);
    int failed = fd < 0 ? errno : look_for_space(fd, bytes);
#ifdef FALLOC_FL_KEEP_SIZE
    if (!failed && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)bytes) && errno != EOPNOTSUPP &&
        errno != ENOSYS)
        failed = errno;
#endif
    if (fd >= 0) close(fd);
    if (!failed) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EIO, "%s: %.1f MB cannot be written: %s", f->path, (double)bytes * 1e-6,
                      strerror(failed));
}

/* Gives the temporary file its name; with overwrite off, link() refuses where rename() would replace. 0 or an
 * errno. */
static int give_name(const nsamp_newfile *f) {
    if (!f->overwrite) {
        if (!link(f->temp, f->path)) {
            unlink(f->temp);
            return 0;
        }
        if (errno == EEXIST) return EEXIST;
        struct stat st; /* a file system without hard links */
        if (!lstat(f->path, &st)) return EEXIST;
    }
    return rename(f->temp, f->path) ? errno : 0;
}

/* Everything that fd can read, to the file f->temp. 0 or an errno. */
static int copy_from(int fd, const nsamp_newfile *f) {
    enum { PIECE = 1 << 20 };
    const int to = open(f->temp, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    char *const piece = malloc(PIECE);
    int failed = to < 0 ? errno : piece ? 0 : ENOMEM;
    for (off_t at = 0; !failed;) {
        const ssize_t n = pread(fd, piece, PIECE, at);
        if (n < 0) failed = errno == EINTR ? 0 : errno;
        if (n == 0) break;
        for (ssize_t done = 0; done < n && !failed;) {
            const ssize_t k = pwrite(to, piece + done, (size_t)(n - done), at + done);
            if (k <= 0 && errno != EINTR) failed = k ? errno : ENOSPC;
            done += k > 0 ? k : 0;
        }
        at += n > 0 ? n : 0;
    }
    free(piece);
    if (to >= 0 && close(to) && !failed) failed = errno;
    return failed;
}

nsamp_status nsamp_newfile_mend(nsamp_newfile *f, int fd, bool *again, nsamp_error *err) {
    struct stat st;
    *again = false;
    if (!lstat(f->temp, &st)) {
        if (st.st_dev == f->device && st.st_ino == f->inode) return NSAMP_OK;
        f->keep = true; /* not ours to remove */
        return nsamp_fail(err, NSAMP_EIO, "%s: was replaced by another file while it was written", f->temp);
    }
    int made, failed = errno == ENOENT ? open_temp(f, &made) : errno;
    if (!failed) {
        failed = fstat(made, &st) ? errno : 0;
        close(made);
        f->device = st.st_dev;
        f->inode = st.st_ino;
        *again = true;
    }
    if (!failed && fd >= 0) failed = copy_from(fd, f);
    if (!failed) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EIO, "%s: was removed while it was written, and cannot be made again: %s",
                      f->temp, strerror(failed));
}

/* The temporary file as it is to last. 0 or an errno; ESTALE: it is not the one that was begun. */
static int settle(const nsamp_newfile *f) {
    struct stat st;
    const int fd = open(f->temp, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return errno;
    int failed = fstat(fd, &st) ? errno : 0;
    if (!failed && (st.st_dev != f->device || st.st_ino != f->inode)) failed = ESTALE;
    if (!failed && ftruncate(fd, st.st_size)) failed = errno; /* the unused reserve */
    if (!failed && !f->quick && fsync(fd)) failed = errno;
    if (close(fd) && !failed) failed = errno;
    return failed;
}

nsamp_status nsamp_newfile_commit(nsamp_newfile *f, nsamp_error *err) {
    nsamp_error why = {0};
    nsamp_status status = NSAMP_OK;
    int failed = settle(f);
    if (failed == ESTALE) {
        f->keep = true; /* not ours */
        status = nsamp_fail(err, NSAMP_EIO, "%s: was replaced by another file while it was written", f->temp);
    } else if (failed) {
        status = nsamp_fail(err, NSAMP_EIO, "%s: cannot be written: %s", f->path, strerror(failed));
    } else if ((failed = give_name(f))) {
        status = failed == EEXIST ? nsamp_fail(err, NSAMP_EUSAGE,
                                               "%s: appeared meanwhile and is not to be overwritten", f->path)
                                  : nsamp_fail(err, NSAMP_EIO, "%s: cannot be given its name: %s", f->path,
                                               strerror(failed));
    } else {
        free(f->temp);
        f->temp = NULL;
        if (!f->quick && nsamp_sync_folder(f->path, &why))
            nsamp_note(err, "%s; the file is whole, but a power cut now may take its name away", why.text);
    }
    nsamp_newfile_abandon(f);
    return status;
}

void nsamp_newfile_abandon(nsamp_newfile *f) {
    if (f->temp && !f->keep) unlink(f->temp);
    free(f->temp);
    free(f->path);
    *f = (nsamp_newfile){0};
}
