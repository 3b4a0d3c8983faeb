/* plainfile.c: see plainfile.h. */
#include "plainfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "error.h"

static nsamp_status open_it(const char *path, int more, int *fd, nsamp_error *err) {
    struct stat st;
    *fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | more); /* opening a pipe would wait for its writer */
    if (*fd < 0) {
        const int why = errno;
        nsamp_fail(err, NSAMP_EIO, "%s: cannot be opened: %s", path,
                   why == ELOOP && more ? "is a symbolic link, not a file that nsamp wrote" : strerror(why));
        errno = why;
        return NSAMP_EIO;
    }
    if (!fstat(*fd, &st) && S_ISREG(st.st_mode)) return NSAMP_OK;
    nsamp_fail(err, NSAMP_EIO, "%s: is %s", path,
               S_ISDIR(st.st_mode) ? "a folder, not a file" : "not a plain file");
    close(*fd);
    *fd = -1;
    errno = EINVAL;
    return NSAMP_EIO;
}

nsamp_status nsamp_open_plain(const char *path, int *fd, nsamp_error *err) {
    return open_it(path, 0, fd, err);
}

nsamp_status nsamp_open_own(const char *path, int *fd, nsamp_error *err) {
    return open_it(path, O_NOFOLLOW, fd, err);
}

nsamp_status nsamp_fopen_plain(const char *path, FILE **file, nsamp_error *err) {
    int fd;
    *file = NULL;
    nsamp_status status = nsamp_open_plain(path, &fd, err);
    if (status) return status;
    *file = fdopen(fd, "rb");
    if (*file) return NSAMP_OK;
    close(fd);
    return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
}
