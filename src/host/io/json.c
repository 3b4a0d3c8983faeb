/* json.c: see json.h. A recursive descent over the text, one function a rule of the grammar. */
#include "io/json.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/plainfile.h"

enum { DEEPEST = 32 };

typedef struct parser {
    const char *name, *text;
    size_t size, at;
    nsamp_error *err;
} parser;

static nsamp_status wrong(const parser *p, const char *what) {
    size_t line = 1;
    for (size_t i = 0; i < p->at && i < p->size; i++)
        line += p->text[i] == '\n';
    return nsamp_fail(p->err, NSAMP_EIO, "%s:%zu: not JSON: %s", p->name, line, what);
}

static int here(const parser *p) {
    return p->at < p->size ? (unsigned char)p->text[p->at] : -1;
}

static void skip_space(parser *p) {
    while (here(p) == ' ' || here(p) == '\n' || here(p) == '\t' || here(p) == '\r')
        p->at++;
}

static bool take(parser *p, const char *word) {
    const size_t n = strlen(word);
    if (p->size - p->at < n || memcmp(p->text + p->at, word, n)) return false;
    p->at += n;
    return true;
}

/* ---- strings ------------------------------------------------------------------------------------------- */

/* Four hexadecimal digits -> *code. */
static bool take_hex(parser *p, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++) {
        const int c = here(p), digit = c >= '0' && c <= '9'   ? c - '0'
                                       : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                       : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                                              : -1;
        if (digit < 0) return false;
        *code = *code * 16 + (uint32_t)digit;
        p->at++;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code) {
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* What follows a backslash -> at most four bytes; NULL: no such escape. */
static char *take_escape(parser *p, char *to) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const int c = here(p);
    const char *found = c > 0 ? strchr(names, c) : NULL;
    uint32_t code, low;
    if (c < 0) return NULL;
    p->at++;
    if (found) {
        *to++ = values[found - names];
        return to;
    }
    if (c != 'u' || !take_hex(p, &code) || !code || (code >= 0xdc00 && code <= 0xdfff)) return NULL;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take(p, "\\u") || !take_hex(p, &low) || low < 0xdc00 || low > 0xdfff) return NULL;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    return put_utf8(to, code);
}

static nsamp_status take_string(parser *p, char **text) {
    const size_t first = ++p->at;
    size_t last = first;
    while (last < p->size && p->text[last] != '"')
        last += p->text[last] == '\\' ? 2 : 1;
    if (last >= p->size) return wrong(p, "a string does not end");
    char *to = *text = malloc(last - first + 1); /* escapes are longer than what they stand for */
    if (!to) return nsamp_fail(p->err, NSAMP_ENOMEM, "out of memory");
    while (here(p) != '"') {
        const int c = here(p);
        p->at++;
        if (c < 0x20) return wrong(p, "a control character in a string");
        if (c != '\\')
            *to++ = (char)c;
        else if (!(to = take_escape(p, to)))
            return wrong(p, "a backslash before what it cannot escape");
    }
    *to = 0;
    p->at++;
    return NSAMP_OK;
}

/* ---- values -------------------------------------------------------------------------------------------- */

static size_t count_digits(parser *p) {
    const size_t first = p->at;
    while (here(p) >= '0' && here(p) <= '9')
        p->at++;
    return p->at - first;
}

static nsamp_status take_number(parser *p, double *number) {
    char copy[64];
    const size_t first = p->at;
    if (here(p) == '-') p->at++;
    const bool zero = here(p) == '0';
    const size_t whole = count_digits(p);
    if (!whole || (zero && whole > 1)) return wrong(p, "what is here is no value");
    if (here(p) == '.' && (p->at++, !count_digits(p))) return wrong(p, "a number ends in its point");
    if (here(p) == 'e' || here(p) == 'E') {
        p->at++;
        if (here(p) == '+' || here(p) == '-') p->at++;
        if (!count_digits(p)) return wrong(p, "a number ends in its exponent");
    }
    if (p->at - first >= sizeof copy) return wrong(p, "a number of more than 63 characters");
    memcpy(copy, p->text + first, p->at - first);
    copy[p->at - first] = 0;
    *number = strtod(copy, NULL);
    return isfinite(*number) ? NSAMP_OK : wrong(p, "a number beyond the range of double precision");
}

static nsamp_status take_value(parser *p, int depth, nsamp_json *v);

/* Elements of an array, or members of an object, up to the closing mark. */
static nsamp_status take_children(parser *p, int depth, nsamp_json *v) {
    const bool object = v->type == NSAMP_JSON_OBJECT;
    const int close = object ? '}' : ']';
    nsamp_json **last = &v->child;
    if (depth == DEEPEST) return wrong(p, "nested more than 32 deep");
    p->at++;
    skip_space(p);
    for (bool more = here(p) != close; more;) {
        nsamp_json *c = *last = calloc(1, sizeof *c);
        if (!c) return nsamp_fail(p->err, NSAMP_ENOMEM, "out of memory");
        last = &c->next;
        skip_space(p);
        nsamp_status status = NSAMP_OK;
        if (object) {
            status = here(p) == '"' ? take_string(p, &c->key) : wrong(p, "a member without a name");
            skip_space(p);
            if (!status && !take(p, ":")) status = wrong(p, "no colon after the name of a member");
        }
        if (!status) status = take_value(p, depth + 1, c);
        if (status) return status;
        skip_space(p);
        more = take(p, ",");
        if (!more && here(p) != close)
            return wrong(p, object ? "an object does not end" : "an array does not end");
    }
    p->at++;
    return NSAMP_OK;
}

static nsamp_status take_value(parser *p, int depth, nsamp_json *v) {
    skip_space(p);
    v->type = here(p) == '{'   ? NSAMP_JSON_OBJECT
              : here(p) == '[' ? NSAMP_JSON_ARRAY
              : here(p) == '"' ? NSAMP_JSON_TEXT
                               : NSAMP_JSON_NUMBER;
    if (v->type == NSAMP_JSON_TEXT) return take_string(p, &v->text);
    if (v->type != NSAMP_JSON_NUMBER) return take_children(p, depth, v);
    if (take(p, "null")) {
        v->type = NSAMP_JSON_NULL;
    } else if (take(p, "true") || take(p, "false")) {
        v->type = NSAMP_JSON_BOOL;
        v->number = p->text[p->at - 2] == 'u';
    } else {
        return take_number(p, &v->number);
    }
    return NSAMP_OK;
}

nsamp_status nsamp_json_parse(const char *name, const char *text, size_t size, nsamp_json **json,
                              nsamp_error *err) {
    parser p = {name, text, size, 0, err};
    nsamp_json *root = *json = calloc(1, sizeof *root);
    if (!root) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    nsamp_status status = take_value(&p, 0, root);
    skip_space(&p);
    if (!status && p.at < size) status = wrong(&p, "something follows its end");
    if (!status) return NSAMP_OK;
    nsamp_json_destroy(root);
    *json = NULL;
    return status;
}

nsamp_status nsamp_json_read(const char *path, nsamp_json **json, nsamp_error *err) {
    enum { MOST = 1 << 26 };
    FILE *f;
    size_t size = 0, room = 1 << 16;
    char *text = NULL;
    *json = NULL;
    nsamp_status status = nsamp_fopen_plain(path, &f, err);
    while (!status) {
        char *larger = realloc(text, room);
        if (!larger) {
            status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %s", path);
            break;
        }
        text = larger;
        size += fread(text + size, 1, room - size, f);
        if (size < room) break;
        room *= 2;
        if (room > MOST) status = nsamp_fail(err, NSAMP_EIO, "%s: more than 64 MiB", path);
    }
    if (!status && ferror(f)) status = nsamp_fail(err, NSAMP_EIO, "%s: cannot be read", path);
    if (!status) status = nsamp_json_parse(path, text, size, json, err);
    if (f) fclose(f);
    free(text);
    return status;
}

void nsamp_json_destroy(nsamp_json *json) {
    while (json) {
        nsamp_json *next = json->next;
        nsamp_json_destroy(json->child);
        free(json->key);
        free(json->text);
        free(json);
        json = next;
    }
}

const nsamp_json *nsamp_json_member(const nsamp_json *object, const char *key) {
    const nsamp_json *c = object && object->type == NSAMP_JSON_OBJECT ? object->child : NULL;
    while (c && strcmp(c->key, key))
        c = c->next;
    return c;
}

double nsamp_json_number(const nsamp_json *object, const char *key, double otherwise) {
    const nsamp_json *c = nsamp_json_member(object, key);
    return c && c->type == NSAMP_JSON_NUMBER ? c->number : otherwise;
}

const char *nsamp_json_text(const nsamp_json *object, const char *key, const char *otherwise) {
    const nsamp_json *c = nsamp_json_member(object, key);
    return c && c->type == NSAMP_JSON_TEXT ? c->text : otherwise;
}

void nsamp_json_put_text(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        if ((unsigned char)*text < 0x20)
            fprintf(out, "\\u%04x", (unsigned)*text);
        else
            fputc(*text, out);
    }
    fputc('"', out);
}

void nsamp_json_put_number(FILE *out, double number, int digits) {
    if (isfinite(number))
        fprintf(out, "%.*g", digits, number);
    else
        fputs("null", out);
}
