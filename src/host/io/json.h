/* json.h: reads a JSON text (RFC 8259) into a tree. For small files of our own making, read back from anywhere: every error is one line with
 * its place. Not here: writing, which is printf's work. */
#ifndef NSAMP_HOST_IO_JSON_H
#define NSAMP_HOST_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include "nsamp.h"

typedef enum nsamp_json_type {
    NSAMP_JSON_NULL,
    NSAMP_JSON_BOOL,
    NSAMP_JSON_NUMBER,
    NSAMP_JSON_TEXT,
    NSAMP_JSON_ARRAY,
    NSAMP_JSON_OBJECT
} nsamp_json_type;

typedef struct nsamp_json {
    nsamp_json_type type;
    char *key;                       /* of a member of an object; otherwise NULL */
    char *text;                      /* TEXT, without escapes, UTF-8 */
    double number;                   /* NUMBER; BOOL: 0 or 1 */
    struct nsamp_json *child, *next; /* first member or element; the next one beside this */
} nsamp_json;

/* Nested 32 deep at most. name: of the text, for messages. NSAMP_EIO: not JSON; NSAMP_ENOMEM. Caller destroys *json; NULL on failure. */
nsamp_status nsamp_json_parse(const char *name, const char *text, size_t size, nsamp_json **json,
                              nsamp_error *err);
/* A plain file of at most 64 MiB. */
nsamp_status nsamp_json_read(const char *path, nsamp_json **json, nsamp_error *err);
void nsamp_json_destroy(nsamp_json *json);

/* The member of an object, or NULL; object may be NULL or no object. */
const nsamp_json *nsamp_json_member(const nsamp_json *object, const char *key);
/* Its number or text, or what is given in its place where there is none of this type. */
double nsamp_json_number(const nsamp_json *object, const char *key, double otherwise);
const char *nsamp_json_text(const nsamp_json *object, const char *key, const char *otherwise);

/* text in quotes, escaped. */
void nsamp_json_put_text(FILE *out, const char *text);
/* With so many significant digits; "null" for what is not finite. */
void nsamp_json_put_number(FILE *out, double number, int digits);

#endif
