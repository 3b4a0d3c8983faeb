/* pathname.c: see pathname.h. */
#include "pathname.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"

#ifndef PATH_MAX
#define PATH_MAX 4096
#endif
#ifndef NAME_MAX
#define NAME_MAX 255
#endif

/* The beginning of a name that may hold anything, for a message. */
static void show(const char *path, char *text, size_t size) {
    size_t i = 0;
    for (; path[i] && i + 4 < size; i++)
        text[i] = iscntrl((unsigned char)path[i]) ? '?' : path[i];
    snprintf(text + i, size - i, "%s", path[i] ? "..." : "");
}

static bool is_control(const char *path) {
    for (; *path; path++)
        if (iscntrl((unsigned char)*path)) return true;
    return false;
}

/* "scheme://": letters, digits, "+", "-" and ".", as in RFC 3986. */
static bool is_url(const char *path) {
    const char *c = path;
    while (isalnum((unsigned char)*c) || (c > path && strchr("+-.", *c) && *c))
        c++;
    return c > path && !strncmp(c, "://", 3);
}

/* Length of the longest part between slashes. */
static size_t longest_part(const char *path) {
    size_t most = 0;
    while (*path) {
        const size_t n = strcspn(path, "/");
        if (n > most) most = n;
        path += n + (path[n] == '/');
    }
    return most;
}

static bool too_long(const char *path, size_t endings) {
    return strlen(path) + endings >= PATH_MAX || longest_part(path) + endings > NAME_MAX;
}

nsamp_status nsamp_pathname_check(const char *path, nsamp_error *err) {
    char shown[200];
    const char *wrong = NULL;
    const size_t length = strlen(path);
    if (!length) return nsamp_fail(err, NSAMP_EUSAGE, "the name of a file is empty");
    if (is_control(path))
        wrong = "the name holds a control character or a line break";
    else if (path[length - 1] == '/')
        wrong = "is the name of a folder, not of a file";
    else if (strchr(path, '\\'))
        wrong = "the name holds a backslash, which the netCDF library rewrites";
    else if (is_url(path))
        wrong = "is an address on the net; nsamp takes files (a file of such a name: ./ before it)";
    else if (too_long(path, 0))
        wrong = "the name is too long";
    if (!wrong) return NSAMP_OK;
    show(path, shown, sizeof shown);
    return nsamp_fail(err, NSAMP_EUSAGE, "%s: %s", shown, wrong);
}

nsamp_status nsamp_pathname_check_new(const char *path, nsamp_error *err) {
    enum { ENDINGS = 48 }; /* of temporary files and checkpoints: ".tmp-HOST-PROCESS-NUMBER" and the like */
    struct stat st;
    const nsamp_status status = nsamp_pathname_check(path, err);
    if (status) return status;
    if (too_long(path, ENDINGS))
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "%.200s...: the name is too long: a temporary file's has %d characters more", path,
                          ENDINGS);
    if (!lstat(path, &st) && S_ISLNK(st.st_mode) && stat(path, &st))
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: is a link that leads nowhere", path);
    return NSAMP_OK;
}

char *nsamp_pathname_library(const char *path) {
    const size_t size = strlen(path) + 3;
    char *name = malloc(size);
    if (name) snprintf(name, size, "%s%s", *path == '/' || *path == '.' ? "" : "./", path);
    return name;
}
