/* faults.c: a library to preload: the k-th call of one kind that the program nsamp makes fails. For run.sh. It prints nothing.
 *
 *   NSAMP_FAULT_KIND   alloc, open, write, sync, rename, close, truncate, reserve, process, thread
 *   NSAMP_FAULT_AT     k, from 1
 *   NSAMP_FAULT_ERRNO  the number that the call fails with; "kill": the program is killed there, by SIGKILL
 *   NSAMP_FAULT_MARK   a file that is made when the call fails: without it there was no k-th call
 *
 * Allocations and threads: only those of nsamp's own, by the address that calls. The others: those of the libraries that write for it too
 * (netCDF, HDF5, libpng). Counts go on in the children of nsamp, and do not reach programs that it starts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef enum kind { NONE, ALLOC, OPEN, WRITE, SYNC, RENAME, CLOSE, TRUNCATE, RESERVE, PROCESS, THREAD } kind;
static const char *const kinds[] = {"none",  "alloc",    "open",    "write",   "sync",  "rename",
                                    "close", "truncate", "reserve", "process", "thread"};

enum { RANGES = 64 };
typedef struct range {
    uintptr_t first, last;
    bool own; /* of nsamp itself */
} range;

static kind chosen;
static int number = EIO; /* 0: kill */
static long at;
static atomic_long *count; /* shared with children */
static const char *mark;
static range ranges[RANGES];
static int nranges;

static int note(struct dl_phdr_info *info, size_t size, void *user) {
    (void)size;
    (void)user;
    static const char *const writers[] = {"libnetcdf", "libhdf5", "libpng"};
    bool writes = false;
    const bool own = !*info->dlpi_name; /* the program */
    for (size_t i = 0; i < sizeof writers / sizeof *writers; i++)
        writes = writes || strstr(info->dlpi_name, writers[i]);
    for (int i = 0; (own || writes) && i < info->dlpi_phnum && nranges < RANGES; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X)) {
            const uintptr_t first = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            ranges[nranges++] = (range){first, first + info->dlpi_phdr[i].p_memsz, own};
        }
    return 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *name = getenv("NSAMP_FAULT_KIND"), *k = getenv("NSAMP_FAULT_AT"),
               *with = getenv("NSAMP_FAULT_ERRNO");
    mark = getenv("NSAMP_FAULT_MARK");
    if (!name || !k || !mark || strcmp(program_invocation_short_name, "nsamp") != 0) return;
    void *page = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return;
    count = page;
    at = atol(k);
    if (with) number = strcmp(with, "kill") ? atoi(with) : 0;
    dl_iterate_phdr(note, NULL);
    for (size_t i = 1; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i], name)) chosen = (kind)i;
}

/* Whether this call, made from `from`, is the one to fail; errno is set. */
static bool fails(kind k, const void *from) {
    if (chosen != k) return false;
    bool counts = false;
    for (int i = 0; i < nranges && !counts; i++)
        counts = (uintptr_t)from >= ranges[i].first && (uintptr_t)from < ranges[i].last &&
                 (ranges[i].own || (k != ALLOC && k != THREAD));
    if (!counts || atomic_fetch_add(count, 1) + 1 != at) return false;
    const long fd = syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0666);
    if (fd >= 0) syscall(SYS_close, fd);
    if (!number) kill(getpid(), SIGKILL);
    errno = number;
    return true;
}

#define FROM       __builtin_return_address(0)
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* ---- allocations ---- */

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *malloc(size_t bytes) {
    return fails(ALLOC, FROM) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes) {
    return fails(ALLOC, FROM) ? NULL : __libc_calloc(n, bytes);
}

void *realloc(void *p, size_t bytes) {
    return fails(ALLOC, FROM) ? NULL : __libc_realloc(p, bytes);
}

int posix_memalign(void **p, size_t align, size_t bytes) {
    return fails(ALLOC, FROM) ? ENOMEM : REAL(posix_memalign)(p, align, bytes);
}

void *aligned_alloc(size_t align, size_t bytes) {
    return fails(ALLOC, FROM) ? NULL : REAL(aligned_alloc)(align, bytes);
}

char *strdup(const char *text) {
    return fails(ALLOC, FROM) ? NULL : REAL(strdup)(text);
}

char *strndup(const char *text, size_t n) {
    return fails(ALLOC, FROM) ? NULL : REAL(strndup)(text, n);
}

void *mmap(void *p, size_t bytes, int protection, int flags, int fd, off_t offset) {
    if (count && fails(ALLOC, FROM)) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, p, bytes, protection, flags, fd, offset);
}

/* ---- files ---- */

#define OPEN_LIKE(name, parameters, arguments)                                                               \
    int name parameters {                                                                                    \
        va_list more;                                                                                        \
        va_start(more, flags);                                                                               \
        const mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;                        \
        va_end(more);                                                                                        \
        return fails(OPEN, FROM) ? -1 : REAL(name) arguments;                                                \
    }
OPEN_LIKE(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN_LIKE(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN_LIKE(openat, (int folder, const char *path, int flags, ...), (folder, path, flags, mode))

FILE *fopen(const char *path, const char *mode) {
    return fails(OPEN, FROM) ? NULL : REAL(fopen)(path, mode);
}

FILE *fopen64(const char *path, const char *mode) {
    return fails(OPEN, FROM) ? NULL : REAL(fopen64)(path, mode);
}

FILE *fdopen(int fd, const char *mode) {
    return fails(OPEN, FROM) ? NULL : REAL(fdopen)(fd, mode);
}

int mkstemp(char *path) {
    return fails(OPEN, FROM) ? -1 : REAL(mkstemp)(path);
}

ssize_t write(int fd, const void *data, size_t bytes) {
    return fails(WRITE, FROM) ? -1 : REAL(write)(fd, data, bytes);
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
    return fails(WRITE, FROM) ? -1 : REAL(pwrite)(fd, data, bytes, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset) {
    return fails(WRITE, FROM) ? -1 : REAL(pwrite64)(fd, data, bytes, offset);
}

/* As the C library marks a stream of which a write failed, for ferror(). */
static bool stream_fails(FILE *f, const void *from) {
    enum { ERROR_SEEN = 0x20 };
    if (!fails(WRITE, from)) return false;
    f->_flags |= ERROR_SEEN;
    return true;
}

size_t fwrite(const void *data, size_t size, size_t n, FILE *f) {
    return f != stdout && f != stderr && stream_fails(f, FROM) ? 0 : REAL(fwrite)(data, size, n, f);
}

int fflush(FILE *f) {
    return f && f != stderr && stream_fails(f, FROM) ? EOF : REAL(fflush)(f);
}

int fsync(int fd) {
    return fails(SYNC, FROM) ? -1 : REAL(fsync)(fd);
}

int rename(const char *from, const char *to) {
    return fails(RENAME, FROM) ? -1 : REAL(rename)(from, to);
}

int link(const char *from, const char *to) {
    return fails(RENAME, FROM) ? -1 : REAL(link)(from, to);
}

/* A close that fails has closed. */
int close(int fd) {
    const bool failed = fails(CLOSE, FROM);
    const int result = REAL(close)(fd);
    if (failed) errno = number;
    return failed ? -1 : result;
}

int fclose(FILE *f) {
    const bool failed = fails(CLOSE, FROM);
    const int result = REAL(fclose)(f);
    if (failed) errno = number;
    return failed ? EOF : result;
}

int ftruncate(int fd, off_t bytes) {
    return fails(TRUNCATE, FROM) ? -1 : REAL(ftruncate)(fd, bytes);
}

int ftruncate64(int fd, off_t bytes) {
    return fails(TRUNCATE, FROM) ? -1 : REAL(ftruncate64)(fd, bytes);
}

int fallocate(int fd, int mode, off_t first, off_t bytes) {
    return fails(RESERVE, FROM) ? -1 : REAL(fallocate)(fd, mode, first, bytes);
}

/* ---- processes and threads ---- */

int pipe(int ends[2]) {
    return fails(PROCESS, FROM) ? -1 : REAL(pipe)(ends);
}

pid_t fork(void) {
    return fails(PROCESS, FROM) ? -1 : REAL(fork)();
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
                 const posix_spawnattr_t *attributes, char *const words[], char *const environment[]) {
    return fails(PROCESS, FROM) ? number
                                : REAL(posix_spawnp)(pid, file, actions, attributes, words, environment);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*work)(void *),
                   void *argument) {
    return fails(THREAD, FROM) ? number : REAL(pthread_create)(thread, attributes, work, argument);
}
