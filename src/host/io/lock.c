/* lock.c: see lock.h. Exclusive creation decides who holds a lock, since it works everywhere; flock() only says whether a
 * holder on this machine still lives. */
#define _GNU_SOURCE /* flock, gethostname */
#include "lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"

enum { TEXT = 1024, NAME = 160, TRIES = 200, BEING_MADE_S = 2 };

struct nsamp_lock {
    char *path, *file; /* path, and path with ".lock" added */
    int fd;            /* of file; open as long as the lock is held, for flock */
    dev_t device;
    ino_t inode;
    double beaten; /* clock at the last sign of life */
};

/* Who a lock belongs to. */
typedef struct holder {
    char host[NAME], boot[NAME], since[NAME];
    long pid;
    unsigned long long start;
    bool flock;
} holder;

/* ---- who we are ---------------------------------------------------------------------------------------- */

static void first_line(const char *file, char *text, size_t size) {
    FILE *f = fopen(file, "re");
    if (!f || !fgets(text, (int)size, f)) *text = 0;
    if (f) fclose(f);
    text[strcspn(text, "\n")] = 0;
}

/* Field 22 of /proc/PID/stat; 0 where it is not known. The second field, a name in brackets, may hold anything. */
static unsigned long long start_of(long pid) {
    char file[64], line[TEXT];
    unsigned long long start = 0;
    snprintf(file, sizeof file, "/proc/%ld/stat", pid);
    first_line(file, line, sizeof line);
    char *at = strrchr(line, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (at) start = strtoull(at, NULL, 10);
    return start;
}

static holder ourselves(bool flocked) {
    holder h = {.pid = (long)getpid(), .flock = flocked};
    char boot[48] = "", names[48] = "";
    struct tm utc;
    const time_t now = time(NULL);
    if (gethostname(h.host, sizeof h.host - 1) || !*h.host) snprintf(h.host, sizeof h.host, "unknown");
    first_line("/proc/sys/kernel/random/boot_id", boot, sizeof boot);
    /* Process numbers of one container mean nothing in another. */
    const ssize_t n = readlink("/proc/self/ns/pid", names, sizeof names - 1);
    if (n > 0) names[n] = 0;
    if (*boot && n > 0) snprintf(h.boot, sizeof h.boot, "%s %s", boot, names);
    h.start = start_of(h.pid);
    if (!gmtime_r(&now, &utc) || !strftime(h.since, sizeof h.since, "%Y-%m-%dT%H:%M:%SZ", &utc)) *h.since = 0;
    return h;
}

/* On this machine, and with its process numbers; where /proc does not say, by the machine's name. */
static bool is_here(const holder *h, const holder *us) {
    return *us->boot && *h->boot ? !strcmp(h->boot, us->boot) : !strcmp(h->host, us->host);
}

/* ---- the file ------------------------------------------------------------------------------------------ */

/* 0 or an errno. */
static int write_holder(int fd, const holder *h) {
    char text[TEXT];
    const int length =
        snprintf(text, sizeof text,
                 "nsamp lock 1\nhost = %s\nboot = %s\npid = %ld\nstart = %llu\nflock = %s\nsince = %s\n",
                 h->host, h->boot, h->pid, h->start, h->flock ? "yes" : "no", h->since);
    for (int done = 0; done < length;) {
        const ssize_t n = pwrite(fd, text + done, (size_t)(length - done), done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n < 0 ? errno : ENOSPC;
        done += (int)n;
    }
    return fsync(fd) && errno != EINVAL && errno != ENOTSUP ? errno : 0; /* so that other machines see it */
}

/* The value of "\nNAME = " in text, cut at the end of its line. */
static bool field(const char *text, const char *name, char *value, size_t size) {
    char key[32];
    snprintf(key, sizeof key, "\n%s = ", name);
    const char *at = strstr(text, key);
    if (!at) return false;
    at += strlen(key);
    snprintf(value, size, "%.*s", (int)strcspn(at, "\n"), at);
    for (char *c = value; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = '?';
    return true;
}

/* False where the file does not (yet) say who. */
static bool read_holder(int fd, holder *h) {
    char text[TEXT] = "", number[NAME];
    *h = (holder){.pid = 0};
    const ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n <= 0 || strncmp(text, "nsamp lock 1\n", 13)) return false;
    if (!field(text, "host", h->host, NAME) || !field(text, "boot", h->boot, NAME)) return false;
    if (!field(text, "pid", number, NAME) || (h->pid = strtol(number, NULL, 10)) <= 0) return false;
    if (field(text, "start", number, NAME)) h->start = strtoull(number, NULL, 10);
    if (!field(text, "flock", number, NAME)) return false;
    h->flock = !strcmp(number, "yes");
    return field(text, "since", h->since, NAME); /* the last line: the file is whole */
}

/* ---- is the holder alive? ------------------------------------------------------------------------------ */

typedef enum state { HELD, DEAD, BEING_MADE } state;

static bool touched_within(int fd, int seconds) {
    struct stat st;
    return !fstat(fd, &st) && difftime(time(NULL), st.st_mtime) < seconds;
}

static state judge(int fd, holder *h) {
    const bool known = read_holder(fd, h);
    const int locked = flock(fd, LOCK_EX | LOCK_NB) ? errno : 0;
    if (locked == EWOULDBLOCK) return known ? HELD : BEING_MADE;
    if (!known) return touched_within(fd, BEING_MADE_S) ? BEING_MADE : DEAD;
    const holder us = ourselves(false);
    if (!is_here(h, &us)) return touched_within(fd, NSAMP_LOCK_STALE_S) ? HELD : DEAD;
    if (!locked && h->flock) return DEAD; /* it would have it */
    if (kill((pid_t)h->pid, 0) && errno == ESRCH) return DEAD;
    const unsigned long long start = start_of(h->pid);
    return h->start && start && start != h->start ? DEAD : HELD; /* another process has its number now */
}

static bool same_file(const struct stat *a, dev_t device, ino_t inode) {
    return a->st_dev == device && a->st_ino == inode;
}

/* Removes the lock of a dead process, open as fd. Renaming comes first: of several that try, one gets that file, and a lock
 * that was made meanwhile is seen and put back. */
static void clear(const char *file, int fd) {
    static atomic_uint number;
    struct stat judged, moved;
    const size_t size = strlen(file) + 64;
    char *aside = malloc(size);
    if (aside && !fstat(fd, &judged)) {
        snprintf(aside, size, "%s.dead-%ld-%u", file, (long)getpid(), atomic_fetch_add(&number, 1));
        if (!rename(file, aside)) {
            if (!lstat(aside, &moved) && !same_file(&moved, judged.st_dev, judged.st_ino))
                (void)!link(aside, file);
            unlink(aside);
        }
    }
    free(aside);
}

static nsamp_status refuse(const nsamp_lock *lock, const holder *h, nsamp_error *err) {
    const holder us = ourselves(false);
    const bool here = is_here(h, &us);
    return nsamp_fail(err, NSAMP_EUSAGE,
                      "%s: is being written by process %ld on %s, since %s%s%s%s; give this run another file",
                      lock->path, h->pid, h->host, h->since,
                      here ? "" : " (where that run is no more, remove ", here ? "" : lock->file,
                      here ? "" : ")");
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void pause_a_little(void) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* The new file, ours by exclusive creation. */
static nsamp_status sign(nsamp_lock *lock, nsamp_error *err) {
    struct stat st = {0};
    int locked = -1;
    for (int i = 0; i < 50 && locked; i++) { /* one that asks whether we live may hold it for a moment */
        locked = flock(lock->fd, LOCK_EX | LOCK_NB);
        if (!locked || errno != EWOULDBLOCK) break;
        pause_a_little();
    }
    const holder us = ourselves(!locked);
    const int failed = fstat(lock->fd, &st) ? errno : write_holder(lock->fd, &us);
    lock->device = st.st_dev;
    lock->inode = st.st_ino;
    lock->beaten = nsamp_clock();
    if (!failed) return NSAMP_OK;
    unlink(lock->file);
    return nsamp_fail(err, NSAMP_EIO, "%s: cannot be locked: %s: %s", lock->path, lock->file,
                      strerror(failed));
}

static nsamp_status take(nsamp_lock *lock, nsamp_error *err) {
    holder h = {.pid = 0};
    for (int i = 0; i < TRIES; i++) {
        lock->fd = open(lock->file, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (lock->fd >= 0) return sign(lock, err);
        if (errno != EEXIST) break;
        struct stat st;
        const int fd = open(lock->file, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT) continue;
        if (fd < 0 && errno != ELOOP) break;
        if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode)) {
            if (fd >= 0) close(fd);
            return nsamp_fail(err, NSAMP_EIO, "%s: cannot be locked: %s is not a plain file", lock->path,
                              lock->file);
        }
        const state now = judge(fd, &h);
        if (now == DEAD) {
            clear(lock->file, fd);
            h.pid = 0;
        }
        close(fd);
        if (now == HELD) return refuse(lock, &h, err);
        if (now == BEING_MADE) pause_a_little();
    }
    if (h.pid) return refuse(lock, &h, err);
    return nsamp_fail(err, NSAMP_EIO, "%s: cannot be locked: %s: %s", lock->path, lock->file,
                      strerror(errno));
}

nsamp_status nsamp_lock_take(const char *path, nsamp_lock **out, nsamp_error *err) {
    *out = NULL;
    nsamp_lock *lock = calloc(1, sizeof *lock);
    const size_t size = strlen(path) + sizeof ".lock";
    if (lock) {
        lock->fd = -1;
        lock->path = strdup(path);
        lock->file = malloc(size);
    }
    if (!lock || !lock->path || !lock->file) {
        if (lock) free(lock->path), free(lock->file);
        free(lock);
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its lock", path);
    }
    snprintf(lock->file, size, "%s.lock", path);
    const nsamp_status status = take(lock, err);
    if (!status) {
        *out = lock;
        return NSAMP_OK;
    }
    if (lock->fd >= 0) close(lock->fd);
    free(lock->path);
    free(lock->file);
    free(lock);
    return status;
}

void nsamp_lock_beat(nsamp_lock *lock) {
    if (!lock || nsamp_clock() - lock->beaten < NSAMP_LOCK_BEAT_S) return;
    lock->beaten = nsamp_clock();
    (void)futimens(lock->fd, NULL);
}

nsamp_status nsamp_lock_check(const nsamp_lock *lock, nsamp_error *err) {
    struct stat st;
    holder h;
    if (!lock || lstat(lock->file, &st) || same_file(&st, lock->device, lock->inode)) return NSAMP_OK;
    const int fd = open(lock->file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const bool known = fd >= 0 && read_holder(fd, &h);
    if (fd >= 0) close(fd);
    if (!known)
        return nsamp_fail(err, NSAMP_EIO, "%s: %s is no longer the one of this run", lock->path, lock->file);
    return nsamp_fail(err, NSAMP_EIO, "%s: was taken over by process %ld on %s (%s)", lock->path, h.pid,
                      h.host, lock->file);
}

void nsamp_lock_release(nsamp_lock *lock) {
    struct stat st;
    if (!lock) return;
    if (!lstat(lock->file, &st) && same_file(&st, lock->device, lock->inode)) unlink(lock->file);
    close(lock->fd);
    free(lock->path);
    free(lock->file);
    free(lock);
}
