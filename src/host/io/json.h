/* json.h: what jansson leaves to its callers. Everything else is jansson itself. */
#ifndef NSAMP_HOST_IO_JSON_H
#define NSAMP_HOST_IO_JSON_H

#include <jansson.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>

/* null for what is not finite; whole numbers without a point. */
static inline json_t *nsamp_json_number(double v) {
    if (!isfinite(v)) return json_null();
    return v == rint(v) && fabs(v) < 0x1p53 ? json_integer((json_int_t)v) : json_real(v);
}

/* Bytes that are no UTF-8 (a path may have some) become '?'. */
static inline json_t *nsamp_json_text(const char *text) {
    json_t *whole = json_string(text), *plain = whole ? whole : json_string_nocheck(text);
    if (whole || !plain) return plain;
    char *at = (char *)json_string_value(plain);
    for (; *at; at++)
        if ((unsigned char)*at >= 0x80) *at = '?';
    return plain;
}

/* Writes root, in lines, in the order in which it was filled, with the 17 digits that bring a double back, and lets go of it. False: out of memory,
 * or an error of the stream. */
bool nsamp_json_write(FILE *out, json_t *root);

/* The number or text of a member of an object; what is given in its place where there is none of this type. */
static inline double nsamp_json_number_of(const json_t *object, const char *key, double otherwise) {
    const json_t *v = json_object_get(object, key);
    return json_is_number(v) ? json_number_value(v) : otherwise;
}

static inline const char *nsamp_json_text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

#endif
