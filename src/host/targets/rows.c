/* rows.c: reads rows of numbers. */
#include "targets/rows.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "error.h"
#include "io/plainfile.h"
#include "job/number.h"

/* Grows *array to hold one more than count numbers of the given size. */
static bool room(void **array, size_t count, size_t size) {
    /* powers of two, so that a file of n numbers copies fewer than 2 n */
    if (count & (count - 1) || (count && count < 64)) return true;
    void *bigger = realloc(*array, (count < 64 ? 64 : 2 * count) * size);
    if (bigger) *array = bigger;
    return bigger != NULL;
}

static bool is_gap(char c) {
    return c == ' ' || c == '\t' || c == ',' || c == '\r';
}

/* Shows a word that may be anything: its printable beginning. */
static void show(const char *word, char *text, size_t size) {
    size_t i = 0;
    for (; word[i] && i + 1 < size; i++)
        text[i] = isprint((unsigned char)word[i]) ? word[i] : '?';
    text[i] = 0;
}

static nsamp_status parse_line(const char *path, size_t number, char *text, nsamp_rows *r, size_t *values,
                               nsamp_error *err) {
    const size_t before = *values;
    text[strcspn(text, "#\n")] = 0;
    for (char *c = text; *c;) {
        while (is_gap(*c))
            c++;
        char *word = c;
        while (*c && !is_gap(*c))
            c++;
        if (c == word) break;
        if (*c) *c++ = 0;
        double value;
        const char *wrong = nsamp_number_real(word, &value);
        if (wrong) {
            char shown[40];
            show(word, shown, sizeof shown);
            return nsamp_fail(err, NSAMP_EUSAGE, "%s:%zu: '%s' %s", path, number, shown, wrong);
        }
        if (!room((void **)&r->value, *values, sizeof *r->value))
            return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory after %zu numbers", path, *values);
        r->value[(*values)++] = value;
    }
    if (*values == before) return NSAMP_OK;
    if (!room((void **)&r->first, r->count, sizeof *r->first) ||
        !room((void **)&r->line, r->count, sizeof *r->line))
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory after %zu rows", path, r->count);
    r->first[r->count] = before;
    r->line[r->count++] = number;
    return NSAMP_OK;
}

static nsamp_status parse(FILE *file, const char *path, nsamp_rows *r, nsamp_error *err) {
    char *text = NULL;
    size_t size = 0, number = 0, values = 0;
    ssize_t length;
    nsamp_status status = NSAMP_OK;
    while (!status && (length = getline(&text, &size, file)) >= 0) {
        number++;
        status =
            strlen(text) == (size_t)length
                ? parse_line(path, number, text, r, &values, err)
                : nsamp_fail(err, NSAMP_EUSAGE, "%s:%zu: a zero byte; this is no text file", path, number);
    }
    if (!status && ferror(file)) status = nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    free(text);
    if (status) return status;
    if (!r->count) return nsamp_fail(err, NSAMP_EUSAGE, "%s: no numbers in it", path);
    size_t *first = realloc(r->first, (r->count + 1) * sizeof *first);
    if (!first) return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory", path);
    r->first = first;
    first[r->count] = values;
    return NSAMP_OK;
}

nsamp_status nsamp_rows_read(const char *path, nsamp_rows *rows, nsamp_error *err) {
    static const long long most = 8LL << 30;
    memset(rows, 0, sizeof *rows);
    struct stat about;
    FILE *file;
    nsamp_status status = nsamp_fopen_plain(path, &file, err);
    if (status) return status;
    if (fstat(fileno(file), &about))
        status = nsamp_fail(err, NSAMP_EIO, "%s: %s", path, strerror(errno));
    else if ((long long)about.st_size > most)
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: %lld bytes; valid: up to %lld", path,
                            (long long)about.st_size, most);
    else
        status = parse(file, path, rows, err);
    fclose(file);
    return status;
}

void nsamp_rows_free(nsamp_rows *rows) {
    free(rows->first);
    free(rows->line);
    free(rows->value);
    memset(rows, 0, sizeof *rows);
}
