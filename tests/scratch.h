/* scratch.h: a fresh folder for a test's files, removed with all that is in it. */
#ifndef NSAMP_TESTS_SCRATCH_H
#define NSAMP_TESTS_SCRATCH_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[256];

/* cmocka group set-up. */
static int scratch_open(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(scratch_folder, sizeof scratch_folder, "%.200s/nsamp-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    return mkdtemp(scratch_folder) ? 0 : -1;
}

/* Path of a file in the folder: one of eight buffers, in turn. */
static const char *scratch(const char *name) {
    static char buffers[8][600];
    static unsigned next;
    char *b = buffers[next++ % 8];
    snprintf(b, sizeof buffers[0], "%s/%s", scratch_folder, name);
    return b;
}

/* How many entries the folder has; the last name goes to `last` (NULL: nowhere). */
static inline int scratch_count(char last[256]) {
    DIR *d = opendir(scratch_folder);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
            n++;
            if (last) snprintf(last, 256, "%.255s", e->d_name);
        }
    if (d) closedir(d);
    return n;
}

static void scratch_clear(void) {
    DIR *d = opendir(scratch_folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") && strcmp(e->d_name, "..")) {
            const char *path = scratch(e->d_name);
            if (unlink(path)) rmdir(path);
        }
    if (d) closedir(d);
}

/* cmocka group tear-down. */
static int scratch_close(void **state) {
    (void)state;
    scratch_clear();
    return rmdir(scratch_folder);
}

static inline void scratch_write(const char *path, const void *data, size_t bytes) {
    unlink(path); /* ext4 syncs a file that is cut to nothing and written again */
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, bytes, f) != bytes || fclose(f)) abort();
}

/* The whole file, malloc'ed. */
static inline unsigned char *scratch_read(const char *path, size_t *bytes) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &st)) abort();
    unsigned char *data = (unsigned char *)malloc((size_t)st.st_size + 1); /* the cast is for C++ */
    if (!data || fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) abort();
    fclose(f);
    *bytes = (size_t)st.st_size;
    return data;
}

#endif
