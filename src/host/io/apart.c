/* apart.c: see apart.h. fork() without exec, from a program that may have threads: the C library keeps its
 * own locks usable in the child, the lock of netCDF is held across the fork, and the child uses nothing
 * else of the parent's. */
#define _GNU_SOURCE /* RLIMIT_AS */
#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "error.h"
#include "io/ncfile.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

/* The end of what a child sends: without it, the child did not get there. */
static const char MAGIC[8] = "NSAMPEND";
typedef struct trailer {
    char magic[8];
    nsamp_error err;
} trailer;

/* What reading a file of so many bytes may take. A whole file, as nsamp writes it, takes a hundredth of
 * that. */
typedef struct limits {
    rlim_t cpu_s;
    unsigned wall_s;
    uint64_t memory, sent; /* bytes beyond what the parent has; bytes sent */
} limits;

static limits limits_of(uint64_t bytes) {
    return (limits){.cpu_s = 5 + bytes / 20000000,
                    .wall_s = (unsigned)(120 + bytes / 1000000), /* a slow disk is not a damaged file */
                    .memory = ((uint64_t)256 << 20) + 2 * NSAMP_PACKED_MOST * bytes,
                    .sent = ((uint64_t)16 << 20) + NSAMP_PACKED_MOST * bytes};
}

/* ---- the child ---- */

static void lower(int resource, rlim_t soft, rlim_t hard) {
    struct rlimit now;
    if (getrlimit(resource, &now)) return;
    if (now.rlim_max == RLIM_INFINITY || now.rlim_max > hard) now.rlim_max = hard;
    if (now.rlim_cur == RLIM_INFINITY || now.rlim_cur > soft) now.rlim_cur = soft;
    if (now.rlim_cur > now.rlim_max) now.rlim_cur = now.rlim_max;
    setrlimit(resource, &now);
}

/* Bytes of address space of this process; 0 where the system does not say. */
static uint64_t address_space(void) {
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    if (fscanf(f, "%llu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void confine(const limits *l) {
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM, SIGXCPU, SIGPIPE};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        signal(fatal[i], SIG_DFL);
        sigaddset(&set, fatal[i]);
    }
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    const uint64_t has = address_space();
#ifdef SANITIZED
    (void)has; /* a sanitizer's own memory is all of the address space */
#else
    if (has) lower(RLIMIT_AS, (rlim_t)(has + l->memory), (rlim_t)(has + l->memory));
#endif
    lower(RLIMIT_CPU, l->cpu_s, l->cpu_s + 5); /* at the hard limit SIGKILL comes, which would not say why */
    lower(RLIMIT_CORE, 0, 0);
#ifdef __linux__
    prctl(PR_SET_DUMPABLE, 0); /* no core through a program that collects them either */
#endif
    alarm(l->wall_s);
    /* What the C library says of a broken heap is not for the user. */
    const int null = open("/dev/null", O_RDWR);
    if (null >= 0) {
        dup2(null, 1);
        dup2(null, 2);
    }
}

static void child(int to, const limits *l, nsamp_apart_fn *read, void *context) __attribute__((noreturn));
static void child(int to, const limits *l, nsamp_apart_fn *read, void *context) {
    trailer end = {.err.status = NSAMP_OK};
    confine(l);
    FILE *f = fdopen(to, "wb");
    if (!f) _exit(1);
    const nsamp_status status = read(context, f, &end.err);
    end.err.status = status;
    memcpy(end.magic, MAGIC, sizeof MAGIC);
    const int good = fwrite(&end, sizeof end, 1, f) == 1 && !fflush(f);
    _exit(good ? 0 : 1);
}

/* ---- the parent ---- */

/* All that comes through the pipe, up to `most` bytes -> data, malloc'ed. */
static nsamp_status receive(int from, uint64_t most, const char *path, char **data, size_t *bytes,
                            nsamp_error *err) {
    size_t room = 0;
    for (;;) {
        if (*bytes == room) {
            room = room ? 2 * room : (size_t)1 << 16;
            char *more = realloc(*data, room);
            if (!more)
                return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory after %zu bytes", path, *bytes);
            *data = more;
        }
        const ssize_t n = read(from, *data + *bytes, room - *bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
        if (!n) return NSAMP_OK;
        *bytes += (size_t)n;
        if (*bytes > most)
            return nsamp_fail(err, NSAMP_EIO, "%s: damaged: it says that it holds more than %llu bytes", path,
                              (unsigned long long)most);
    }
}

/* A child that did not come to its end. ended: as of waitpid, 0 where that is not known. */
static nsamp_status judge(const char *path, int ended, const limits *l, nsamp_error *err) {
    const int number = WIFSIGNALED(ended) ? WTERMSIG(ended) : 0;
    if (number == SIGXCPU)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: not read after computing for %llu s", path,
                          (unsigned long long)l->cpu_s);
    if (number == SIGALRM)
        return nsamp_fail(err, NSAMP_EIO, "%s: cannot be read: not done after %u s", path, l->wall_s);
    if (number == SIGKILL || number == SIGINT || number == SIGTERM)
        return nsamp_fail(err, NSAMP_EIO, "%s: cannot be read: its reader was ended by signal %d (%s)", path,
                          number, strsignal(number));
    return nsamp_fail(err, NSAMP_EIO, "%s: damaged: the netCDF library fails on it%s%s%s", path,
                      number ? " (" : "", number ? strsignal(number) : "", number ? ")" : "");
}

/* What the child said of itself at the end of data [*bytes], which is taken off. */
static nsamp_status finish(const char *path, uint64_t file, const char *data, size_t *bytes, int ended,
                           const limits *l, nsamp_error *err) {
    trailer end;
    if (*bytes < sizeof end) return judge(path, ended, l, err);
    memcpy(&end, data + *bytes - sizeof end, sizeof end);
    if (memcmp(end.magic, MAGIC, sizeof MAGIC) || (ended && !WIFEXITED(ended)))
        return judge(path, ended, l, err);
    *bytes -= sizeof end;
    if (!end.err.status) return NSAMP_OK;
    if (end.err.status == NSAMP_ENOMEM)
        return nsamp_fail(err, NSAMP_EIO, "%s: damaged: its %llu bytes ask for more than %llu MB of memory",
                          path, (unsigned long long)file, (unsigned long long)(l->memory / 1000000));
    end.err.text[sizeof end.err.text - 1] = 0;
    const bool known = end.err.status == NSAMP_EUSAGE || end.err.status == NSAMP_EIO;
    return nsamp_fail(err, known ? end.err.status : NSAMP_EIO, "%s", end.err.text);
}

nsamp_status nsamp_apart(const char *path, nsamp_apart_fn *read, void *context, char **data, size_t *bytes,
                         nsamp_error *err) {
    struct stat st;
    int ends[2], ended = 0;
    *data = NULL;
    *bytes = 0;
    if (stat(path, &st)) return nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    const limits l = limits_of((uint64_t)st.st_size);
    if (pipe(ends)) return nsamp_fail(err, NSAMP_EIO, "%s: no pipe to read it: %s", path, strerror(errno));
    for (int k = 0; k < 2; k++)
        fcntl(ends[k], F_SETFD,
              FD_CLOEXEC); /* gnuplot, started meanwhile by another thread, would keep it open */
    nsamp_nc_lock();
    const pid_t pid = fork();
    const int why = errno;
    nsamp_nc_unlock();
    if (!pid) {
        close(ends[0]);
        child(ends[1], &l, read, context);
    }
    close(ends[1]);
    nsamp_status status = NSAMP_OK;
    if (pid < 0) {
        status = nsamp_fail(err, NSAMP_EIO, "%s: no process to read it: %s", path, strerror(why));
    } else {
        status = receive(ends[0], l.sent, path, data, bytes, err);
        if (status) kill(pid, SIGKILL);
        while (waitpid(pid, &ended, 0) < 0 && errno == EINTR) {
        }
        if (!status) status = finish(path, (uint64_t)st.st_size, *data, bytes, ended, &l, err);
    }
    close(ends[0]);
    if (!status) return NSAMP_OK;
    free(*data);
    *data = NULL;
    *bytes = 0;
    return status;
}
