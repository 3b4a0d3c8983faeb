/* value.c: the text of a value, parsed by the type of its key and held to its range. A sweep ("0:0.01:0.99",
 * "1, 2, 5") is expanded here into its points. */
#include <assert.h>
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "job/nearest.h"
#include "job/number.h"
#include "job/spelling.h"
#include "job/value.h"

/* What the parsing of one value works on. */
typedef struct parse {
    nsamp_key key;
    const nsamp_option *option;
    const char *text, *origin;
    nsamp_value *value;
    size_t room; /* entries allocated */
    nsamp_error *err;
} parse;

nsamp_status nsamp_value_fail(nsamp_key key, const char *text, const char *origin, nsamp_error *err,
                              const char *reason) {
    const nsamp_option *o = &nsamp_options[key];
    return nsamp_fail(err, NSAMP_EUSAGE, "%s: %s.%s = %.*s%s: %s", origin, o->section, o->key, NSAMP_SHOWN,
                      text, strlen(text) > NSAMP_SHOWN ? "..." : "", reason);
}

/* The failure of one item of the value, which may be the whole of it. */
static nsamp_status fail_item(const parse *p, const char *item, const char *why) {
    char reason[512], range[160];
    nsamp_option_valid(p->key, range, sizeof range);
    if (strcmp(item, p->text) != 0)
        snprintf(reason, sizeof reason, "'%.*s' %s; valid: %s", NSAMP_SHOWN, item, why, range);
    else
        snprintf(reason, sizeof reason, "%s; valid: %s", why, range);
    return nsamp_value_fail(p->key, p->text, p->origin, p->err, reason);
}

_Static_assert(sizeof(double) == sizeof(int64_t), "entries of both kinds are 8 bytes");

/* Room for one more entry, in ints or reals as the type wants. */
static nsamp_status grow(parse *p) {
    if (p->value->count < p->room) return NSAMP_OK;
    size_t room = p->room ? 2 * p->room : 1;
    bool real = p->option->type == NSAMP_REAL || p->option->type == NSAMP_REALS;
    void *old = real ? (void *)p->value->reals : (void *)p->value->ints;
    void *now = realloc(old, room * sizeof(int64_t)); /* doubles are as wide */
    if (!now)
        return nsamp_fail(p->err, NSAMP_ENOMEM, "not enough memory for %s.%s", p->option->section,
                          p->option->key);
    if (real)
        p->value->reals = now;
    else
        p->value->ints = now;
    p->room = room;
    return NSAMP_OK;
}

static nsamp_status push_int(parse *p, int64_t v, const char *item) {
    /* Both ends are exact as doubles or beyond any int64_t, so the comparison is exact enough to refuse
     * nothing valid. */
    if (p->option->type == NSAMP_INT && ((double)v < p->option->min || (double)v > p->option->max))
        return fail_item(p, item, "is out of range");
    nsamp_status status = grow(p);
    if (!status) p->value->ints[p->value->count++] = v;
    return status;
}

static nsamp_status push_real(parse *p, double v, const char *item) {
    if (v < p->option->min || v > p->option->max) return fail_item(p, item, "is out of range");
    nsamp_status status = grow(p);
    if (!status) p->value->reals[p->value->count++] = v;
    return status;
}

static nsamp_status parse_number(parse *p, const char *item) {
    const char *why;
    if (p->option->type == NSAMP_INT) {
        int64_t v;
        why = nsamp_number_int(item, &v);
        return why ? fail_item(p, item, why) : push_int(p, v, item);
    }
    double v;
    why = nsamp_number_real(item, &v);
    return why ? fail_item(p, item, why) : push_real(p, v, item);
}

static nsamp_status parse_bool(parse *p, const char *item) {
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(item, words[i])) return push_int(p, (int64_t)(i % 2), item);
    return fail_item(p, item, "is neither yes nor no");
}

static nsamp_status parse_choice(parse *p, const char *item) {
    int64_t index = 0;
    for (const char *c = p->option->choices; *c; index++) {
        size_t len = strcspn(c, "|");
        if (strlen(item) == len && !memcmp(item, c, len)) return push_int(p, index, item);
        c += len + (c[len] == '|');
    }
    char nearest[64] = "", why[128];
    nsamp_nearest_choice(item, p->option->choices, nearest, sizeof nearest);
    snprintf(why, sizeof why, "is not known (nearest: %s)", nearest);
    return fail_item(p, item, why);
}

/* Points of a:step:b, b included within rounding, or a failure. */
static nsamp_status expand_reals(parse *p, const char *item, const double v[3]) {
    double steps = v[1] != 0.0 ? (v[2] - v[0]) / v[1] : -1.0;
    if (!(steps >= 0.0))
        return fail_item(p, item, "has a step that never leads from its first value to its last");
    if (steps >= NSAMP_SWEEP_MAX) return fail_item(p, item, "has more than 1000000 points");
    /* 1e-9 a step: far above the rounding of the division, far below what anybody means by a step. */
    size_t last = (size_t)floor(steps + 1e-9 * (steps + 1.0));
    for (size_t i = 0; i <= last; i++) {
        /* Fifteen digits give the decimal that was meant: 0.3, not 0.30000000000000004. */
        char text[40];
        snprintf(text, sizeof text, "%.15g", v[0] + (double)i * v[1]);
        double x = strtod(text, NULL);
        if (fabs(x - v[2]) < 1e-9 * fabs(v[1])) x = v[2];
        nsamp_status status = push_real(p, x, item);
        if (status) return status;
    }
    return NSAMP_OK;
}

static nsamp_status expand_ints(parse *p, const char *item, const int64_t v[3]) {
    bool up = v[1] > 0;
    if (v[1] == 0 || (up ? v[2] < v[0] : v[2] > v[0]))
        return fail_item(p, item, "has a step that never leads from its first value to its last");
    /* Differences of two int64_t may need 65 bits; unsigned arithmetic holds their magnitude. */
    uint64_t span = up ? (uint64_t)v[2] - (uint64_t)v[0] : (uint64_t)v[0] - (uint64_t)v[2];
    uint64_t step = up ? (uint64_t)v[1] : 0 - (uint64_t)v[1], n = span / step;
    if (n >= NSAMP_SWEEP_MAX) return fail_item(p, item, "has more than 1000000 points");
    for (uint64_t i = 0; i <= n; i++) {
        uint64_t x = up ? (uint64_t)v[0] + i * step : (uint64_t)v[0] - i * step;
        nsamp_status status = push_int(p, (int64_t)x, item);
        if (status) return status;
    }
    return NSAMP_OK;
}

static nsamp_status parse_range(parse *p, char *item) {
    char copy[128];
    if (snprintf(copy, sizeof copy, "%s", item) >= (int)sizeof copy)
        return fail_item(p, item, "is too long for a sweep");
    char *colon = strchr(copy, ':'), *second = colon ? strchr(colon + 1, ':') : NULL;
    if (!second || strchr(second + 1, ':')) return fail_item(p, item, "is not a sweep first:step:last");
    *colon = *second = 0;
    const char *parts[3] = {copy, colon + 1, second + 1};
    int64_t i[3];
    double r[3];
    bool whole = p->option->type == NSAMP_INT;
    for (int k = 0; k < 3; k++) {
        const char *why = whole ? nsamp_number_int(parts[k], &i[k]) : nsamp_number_real(parts[k], &r[k]);
        if (why) {
            char text[192];
            snprintf(text, sizeof text, "is not a sweep first:step:last ('%.*s' %s)", NSAMP_SHOWN, parts[k],
                     why);
            return fail_item(p, item, text);
        }
    }
    return whole ? expand_ints(p, item, i) : expand_reals(p, item, r);
}

static nsamp_status parse_item(parse *p, char *item) {
    switch (p->option->type) {
    case NSAMP_INT:
    case NSAMP_REAL:
        return strchr(item, ':') ? parse_range(p, item) : parse_number(p, item);
    case NSAMP_REALS:
        return parse_number(p, item);
    case NSAMP_CHOICE:
        return parse_choice(p, item);
    case NSAMP_BOOL:
        return parse_bool(p, item);
    case NSAMP_TEXT:
        break;
    }
    return NSAMP_OK;
}

/* Cuts the next item off *rest: up to a comma, or (spaces too) white space. NULL: the text has ended. */
static char *next_item(char **rest, bool spaces) {
    char *s = *rest;
    if (!s) return NULL;
    while (isspace((unsigned char)*s))
        s++;
    char *end = s + (spaces ? strcspn(s, " \t,") : strcspn(s, ",")), *trim = end;
    while (trim > s && isspace((unsigned char)trim[-1]))
        trim--;
    char *after = end;
    while (isspace((unsigned char)*after))
        after++;
    *rest = *after == ',' ? after + 1 : *after ? after : NULL;
    *trim = 0;
    return s;
}

static nsamp_status parse_items(parse *p, char *copy) {
    bool spaces = p->option->type == NSAMP_REALS, list = spaces || p->option->type != NSAMP_BOOL;
    char *rest = copy;
    if (!list) return parse_item(p, copy);
    for (char *item; (item = next_item(&rest, spaces));) {
        nsamp_status status = parse_item(p, item);
        if (status) return status;
        if (p->value->count > NSAMP_SWEEP_MAX) return fail_item(p, p->text, "has more than 1000000 entries");
    }
    return NSAMP_OK;
}

/* What is wrong with the spelling, whatever the value would be. */
static nsamp_status check_spelling(const parse *p) {
    char why[NSAMP_SPELLING], reason[NSAMP_SPELLING + 64];
    size_t column;
    if (p->option->type == NSAMP_TEXT)
        return nsamp_spelling_ends(p->text, why) ? nsamp_value_fail(p->key, p->text, p->origin, p->err, why)
                                                 : NSAMP_OK;
    const size_t len = strlen(p->text);
    if (nsamp_spelling_odd(p->text, len, &column, why) < len) {
        snprintf(reason, sizeof reason, "character %zu of the value is %s", column, why);
        return fail_item(p, p->text, reason);
    }
    return nsamp_spelling_comma(p->text, p->option->type, why) ? fail_item(p, p->text, why) : NSAMP_OK;
}

nsamp_status nsamp_value_parse(nsamp_key key, const char *text, const char *origin, nsamp_rank rank,
                               nsamp_value *value, nsamp_error *err) {
    nsamp_value v = {.rank = rank};
    parse p = {key, &nsamp_options[key], text, origin, &v, 0, err};
    for (const char *s = text; *s; s++)
        if (iscntrl((unsigned char)*s) && *s != '\t')
            return nsamp_fail(err, NSAMP_EUSAGE,
                              "%s: %s.%s: the value holds a control character (byte 0x%02x)", origin,
                              p.option->section, p.option->key, (unsigned char)*s);
    const nsamp_status spelling = check_spelling(&p);
    if (spelling) return spelling;
    char *copy = strdup(text);
    v.text = strdup(text);
    v.origin = strdup(origin);
    nsamp_status status = NSAMP_OK;
    if (!copy || !v.text || !v.origin)
        status =
            nsamp_fail(err, NSAMP_ENOMEM, "not enough memory for %s.%s", p.option->section, p.option->key);
    else if (p.option->type == NSAMP_TEXT)
        v.count = 1;
    else
        status = parse_items(&p, copy);
    free(copy);
    if (status)
        nsamp_value_free(&v);
    else
        *value = v;
    return status;
}

void nsamp_value_free(nsamp_value *value) {
    free(value->text);
    free(value->origin);
    free(value->ints);
    free(value->reals);
    free(value->beside);
    *value = (nsamp_value){0};
}

size_t nsamp_value_points(nsamp_key key, const nsamp_value *value) {
    return nsamp_options[key].type == NSAMP_REALS ? 1 : value->count;
}

void nsamp_value_point_text(nsamp_key key, const nsamp_value *value, size_t i, char *text, size_t size) {
    const nsamp_option *o = &nsamp_options[key];
    assert(i < value->count);
    if (o->type == NSAMP_INT) {
        snprintf(text, size, "%lld", (long long)value->ints[i]);
    } else if (o->type == NSAMP_REAL) {
        nsamp_number_text(value->reals[i], text, size);
    } else if (o->type == NSAMP_CHOICE) {
        const char *c = o->choices;
        for (int64_t skip = value->ints[i]; skip; skip--)
            c += strcspn(c, "|") + 1;
        snprintf(text, size, "%.*s", (int)strcspn(c, "|"), c);
    } else {
        snprintf(text, size, "%s", value->text);
    }
}
