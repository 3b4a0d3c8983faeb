/* read.c: a job file (INI, read by inih) into a job, all of it or nothing. inih itself would cut long lines,
 * glue an indented key to the line above it, drop what follows a section's bracket and never see an empty
 * section: the lines are looked at here before inih gets them. */
#define _GNU_SOURCE /* memmem */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "job/nearest.h"
#include "job/spelling.h"
#include "job/value.h"

enum { FILE_MAX = 1 << 20 };

/* A key of the file; the value of a list may go on over indented lines. */
typedef struct entry {
    char *text;
    unsigned line;
} entry;

typedef struct reading {
    const char *path, *next, *end; /* the text that is left */
    unsigned line;                 /* of the line that inih works on; from 1 */
    bool continuation;             /* that line is indented and has no '=' */
    const char *raw;               /* that line as it stands, raw_len bytes */
    size_t raw_len;
    unsigned failed_line; /* of the failure in err, 0: none */
    nsamp_error err;
    entry entries[NSAMP_KEY_count];
    nsamp_key keys[NSAMP_KEY_count]; /* in the order of the file */
    size_t count;
    nsamp_key last; /* that took a value; NSAMP_KEY_count at the start of a section */
} reading;

/* ---- the bytes ---- */

static nsamp_status read_all(const char *path, char **text, size_t *size, nsamp_error *err) {
    FILE *f = fopen(path, "rb");
    if (!f) return nsamp_fail(err, NSAMP_EIO, "%s: cannot be read: %s", path, strerror(errno));
    char *buffer = malloc(FILE_MAX + 1);
    nsamp_status status = NSAMP_OK;
    if (!buffer) {
        status = nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory to read it", path);
    } else {
        errno = 0;
        *size = fread(buffer, 1, FILE_MAX + 1, f);
        if (ferror(f))
            status = nsamp_fail(err, NSAMP_EIO, "%s: cannot be read: %s", path,
                                errno == EISDIR ? "it is a folder, not a job file" : strerror(errno));
        else if (*size > FILE_MAX)
            status = nsamp_fail(err, NSAMP_EUSAGE, "%s: not a job file: longer than 1 MiB", path);
    }
    fclose(f);
    if (status)
        free(buffer);
    else
        *text = buffer;
    return status;
}

static nsamp_status check_text(const char *path, const char *text, size_t size, nsamp_error *err) {
    unsigned line = 1;
    const bool wide = size > 1 && (!memcmp(text, "\xFF\xFE", 2) || !memcmp(text, "\xFE\xFF", 2));
    if (wide) return nsamp_fail(err, NSAMP_EUSAGE, "%s: UTF-16 text: save it as UTF-8 (or plain text)", path);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        line += c == '\n';
        bool line_end = c == '\r' && i + 1 < size && text[i + 1] == '\n';
        bool fine = c == '\n' || c == '\t' || line_end || !iscntrl(c);
        if (!fine)
            return nsamp_fail(err, NSAMP_EUSAGE,
                              "%s:%u: not a text file (byte 0x%02x): a job file is INI text", path, line, c);
    }
    return NSAMP_OK;
}

/* ---- the lines ---- */

/* Keeps the first failure. */
static void fail_line(reading *r, nsamp_status status, const char *text) {
    if (r->failed_line) return;
    r->failed_line = r->line;
    nsamp_fail(&r->err, status, "%s:%u: %s", r->path, r->line, text);
}

static bool starts_comment(char c) {
    return c == ';' || c == '#';
}

/* Bytes of a line before a comment behind a value: a ';' after a blank. */
static size_t before_comment(const char *s, size_t len) {
    for (size_t i = 1; i < len; i++)
        if (s[i] == ';' && isspace((unsigned char)s[i - 1])) {
            while (i && isspace((unsigned char)s[i - 1]))
                i--;
            return i;
        }
    return len;
}

/* Refuses a character that is not ASCII in bytes from..to of the line. what: where it stands ("a key"). */
static bool check_plain(reading *r, const char *what, size_t from, size_t to) {
    char odd[NSAMP_SPELLING], text[NSAMP_SPELLING + 128];
    size_t column;
    const size_t at = nsamp_spelling_odd(r->raw + from, to - from, &column, odd);
    if (at == to - from) return true;
    for (size_t i = 0; i < from; i++)
        column += ((unsigned char)r->raw[i] & 0xC0) != 0x80;
    snprintf(text, sizeof text, "%s: column %zu is %s", what, column, odd);
    fail_line(r, NSAMP_EUSAGE, text);
    return false;
}

/* A line that opens a section: the name must be known and alone. */
static void check_section(reading *r, const char *s, size_t len) {
    char name[64], text[256];
    const char *close = memchr(s, ']', len);
    r->last = NSAMP_KEY_count;
    if (!close) {
        fail_line(r, NSAMP_EUSAGE, "a section needs a closing bracket, as in [run]");
        return;
    }
    snprintf(name, sizeof name, "%.*s", (int)(close - s - 1), s + 1);
    const char *near = nsamp_nearest_section(name);
    if (strcmp(near, name) != 0) {
        snprintf(text, sizeof text, "unknown section [%s]; nearest: [%s]", name, near);
        fail_line(r, NSAMP_EUSAGE, text);
    }
    const char *after = close + 1;
    while (after < s + len && isspace((unsigned char)*after))
        after++;
    if (after < s + len && !starts_comment(*after))
        fail_line(r, NSAMP_EUSAGE,
                  "a section's line ends with its bracket; the key belongs on the next line");
}

/* ini_reader: one line of the text, with no white space before it unless it continues a value. */
static char *read_line(char *out, int room, void *user) {
    reading *r = user;
    if (r->next >= r->end || room < 3) return NULL;
    const char *s = r->next, *newline = memchr(s, '\n', (size_t)(r->end - s));
    size_t len = newline ? (size_t)(newline - s) : (size_t)(r->end - s), lead = 0;
    r->next = newline ? newline + 1 : r->end;
    r->line++;
    if (r->line == 1 && len >= 3 && !memcmp(s, "\xEF\xBB\xBF", 3)) s += 3, len -= 3;
    while (len && isspace((unsigned char)s[len - 1]))
        len--;
    r->raw = s;
    r->raw_len = len;
    while (lead < len && isspace((unsigned char)s[lead]))
        lead++;
    if (lead < len && starts_comment(s[lead])) len = lead;
    /* inih takes a comment for a part of a value that goes on. */
    const size_t bare = before_comment(s, len);
    const char *equals = memchr(s, '=', bare), *colon = memchr(s, ':', bare);
    r->continuation = lead && lead < len && s[lead] != '[' && !equals;
    if (r->continuation) len = bare;
    if (!r->continuation && lead < len) {
        const char *sign = equals && (!colon || equals < colon) ? equals : colon;
        if (!check_plain(r, s[lead] == '[' ? "the section" : "the key", lead,
                         sign && s[lead] != '[' ? (size_t)(sign - s) : bare)) {
            memcpy(out, "\n", 2);
            return out;
        }
    }
    if (!r->continuation) s += lead, len -= lead;
    if (len && s[0] == '[') check_section(r, s, len);
    if (len + 2 > (size_t)room) {
        char text[128];
        snprintf(text, sizeof text,
                 "a line of %zu characters; the longest is %d (lists may go on over indented lines)", len,
                 room - 2);
        fail_line(r, NSAMP_EUSAGE, text);
        len = 0;
    }
    memcpy(out, s, len);
    memcpy(out + len, "\n", 2);
    return out;
}

/* ini_handler */
static int take_entry(void *user, const char *section, const char *name, const char *value) {
    reading *r = user;
    char full[160], text[256];
    if (!*section) {
        fail_line(r, NSAMP_EUSAGE, "a key before the first section; keys stand below a line like [run]");
        return 1;
    }
    snprintf(full, sizeof full, "%s.%s", section, name);
    nsamp_key key = nsamp_key_find(full);
    if (key == NSAMP_KEY_count) {
        if (!r->failed_line) {
            snprintf(text, sizeof text, "%s:%u", r->path, r->line);
            r->failed_line = r->line;
            nsamp_job_unknown(full, text, &r->err);
        }
        return 1;
    }
    const char *at = memmem(r->raw, r->raw_len, value, strlen(value));
    if (nsamp_options[key].type != NSAMP_TEXT && at &&
        !check_plain(r, full, (size_t)(at - r->raw), (size_t)(at - r->raw) + strlen(value)))
        return 1;
    entry *e = &r->entries[key];
    bool goes_on = r->continuation && r->last == key;
    r->last = key;
    if (e->text && !goes_on) {
        snprintf(text, sizeof text, "%s is given twice: lines %u and %u", full, e->line, r->line);
        fail_line(r, NSAMP_EUSAGE, text);
        return 1;
    }
    size_t old = e->text ? strlen(e->text) : 0;
    char *joined = realloc(e->text, old + strlen(value) + 2);
    if (!joined) {
        fail_line(r, NSAMP_ENOMEM, "not enough memory");
        return 1;
    }
    sprintf(joined + old, "%s%s", old ? " " : "", value);
    if (!e->text) {
        e->line = r->line;
        r->keys[r->count++] = key;
    }
    e->text = joined;
    return 1;
}

/* Writes the entries above the first failure into the job, so that the earliest fault of the file is the one
 * reported. */
static nsamp_status write_entries(const reading *r, nsamp_job *job, nsamp_error *err) {
    for (size_t i = 0; i < r->count; i++) {
        const entry *e = &r->entries[r->keys[i]];
        const nsamp_option *o = &nsamp_options[r->keys[i]];
        if (r->failed_line && e->line >= r->failed_line) break;
        char name[160], *origin = malloc(strlen(r->path) + 16);
        if (!origin) return nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory", r->path);
        sprintf(origin, "%s:%u", r->path, e->line);
        snprintf(name, sizeof name, "%s.%s", o->section, o->key);
        nsamp_status status = nsamp_job_write(job, name, e->text, origin, NSAMP_RANK_FILE, err);
        free(origin);
        if (status) return status;
    }
    return NSAMP_OK;
}

static nsamp_status parse(reading *r, nsamp_job *job, nsamp_error *err) {
    int rc = ini_parse_stream(read_line, r, take_entry, r);
    if (rc < 0) return nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory", r->path);
    if (rc > 0 && (!r->failed_line || (unsigned)rc < r->failed_line)) {
        r->failed_line = (unsigned)rc;
        nsamp_fail(&r->err, NSAMP_EUSAGE, "%s:%d: neither [section] nor key = value nor a comment (; or #)",
                   r->path, rc);
    }
    nsamp_status status = write_entries(r, job, err);
    if (!status && r->failed_line) status = nsamp_fail(err, r->err.status, "%s", r->err.text);
    if (!status && !r->count)
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: no keys in it: not a job file, or empty", r->path);
    return status;
}

nsamp_status nsamp_job_parse(nsamp_job *job, const char *name, const char *text, size_t size,
                             nsamp_error *err) {
    nsamp_status status = check_text(name, text, size, err);
    if (status) return status;
    nsamp_job *copy = nsamp_job_copy(job);
    reading *r = calloc(1, sizeof *r);
    if (!copy || !r) {
        status = nsamp_fail(err, NSAMP_ENOMEM, "%s: not enough memory", name);
    } else {
        r->path = name;
        r->next = text;
        r->end = text + size;
        status = parse(r, copy, err);
    }
    if (!status) {
        nsamp_job old = *job;
        *job = *copy;
        *copy = old;
    }
    for (nsamp_key k = 0; r && k < NSAMP_KEY_count; k++)
        free(r->entries[k].text);
    free(r);
    nsamp_job_destroy(copy);
    return status;
}

nsamp_status nsamp_job_read(nsamp_job *job, const char *path, nsamp_error *err) {
    char *text = NULL;
    size_t size = 0;
    nsamp_status status = read_all(path, &text, &size, err);
    if (status) return status;
    status = nsamp_job_parse(job, path, text, size, err);
    free(text);
    return status;
}
