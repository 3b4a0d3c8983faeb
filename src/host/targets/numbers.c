/* numbers.c: reads text files of numbers; checks covariances. */
#include "targets/numbers.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "targets/target.h"

static const size_t FILE_MAX_BYTES = (size_t)1 << 30;

static nsamp_status read_text(const char *path, char **text, nsamp_error *err) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f) return nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    nsamp_status status = NSAMP_OK;
    if (fstat(fileno(f), &st) || !S_ISREG(st.st_mode))
        status = nsamp_fail(err, NSAMP_EIO, "%s: not a file", path);
    else if ((size_t)st.st_size > FILE_MAX_BYTES)
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: larger than 1 GiB", path);
    const size_t size = status ? 0 : (size_t)st.st_size;
    *text = status ? NULL : malloc(size + 1);
    if (!status && !*text) status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %s", path);
    if (!status && fread(*text, 1, size, f) != size)
        status = nsamp_fail(err, NSAMP_EIO, "%s: cannot be read", path);
    fclose(f);
    if (!status && memchr(*text, 0, size))
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: not a text file", path);
    if (status) {
        free(*text);
        *text = NULL;
    } else {
        (*text)[size] = 0;
    }
    return status;
}

static nsamp_status append(double **numbers, size_t *count, size_t *room, double value) {
    if (*count == *room) {
        *room = *room ? 2 * *room : 256;
        double *more = realloc(*numbers, *room * sizeof **numbers);
        if (!more) return NSAMP_ENOMEM;
        *numbers = more;
    }
    (*numbers)[(*count)++] = value;
    return NSAMP_OK;
}

nsamp_status nsamp_numbers_read(const char *path, double **numbers, size_t *count, nsamp_error *err) {
    char *text = NULL;
    size_t room = 0, line = 1;
    *numbers = NULL;
    *count = 0;
    nsamp_status status = read_text(path, &text, err);
    for (char *c = text; !status && *c;) {
        if (*c == '#') {
            c += strcspn(c, "\n");
        } else if (strchr(" \t\r\n,", *c)) {
            line += *c++ == '\n';
        } else {
            const size_t length = strcspn(c, " \t\r\n,#");
            char *end;
            const double value = strtod(c, &end);
            if (end != c + length || !isfinite(value))
                status = nsamp_fail(err, NSAMP_EUSAGE, "%s:%zu: '%.*s' is not a finite number", path, line,
                                    (int)(length < 40 ? length : 40), c);
            else if (append(numbers, count, &room, value))
                status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the numbers of %s", path);
            c += length;
        }
    }
    free(text);
    if (status) {
        free(*numbers);
        *numbers = NULL;
    }
    return status;
}

nsamp_status nsamp_covariance_factor(const char *where, size_t n, const double *cov, double *l,
                                     nsamp_error *err) {
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++) {
            const double a = cov[i * n + j], b = cov[j * n + i];
            if (fabs(a - b) > 1e-9 * (fabs(a) + fabs(b)))
                return nsamp_fail(
                    err, NSAMP_EUSAGE,
                    "%s: the covariance is not symmetric: entry (%zu, %zu) is %g, (%zu, %zu) is %g", where,
                    i + 1, j + 1, a, j + 1, i + 1, b);
        }
    double pivot = 0;
    const size_t failed = nsamp_cholesky(n, cov, l, &pivot);
    if (failed)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "%s: the covariance is not positive definite: pivot %zu of %zu is %g", where,
                          failed, n, pivot);
    return NSAMP_OK;
}
