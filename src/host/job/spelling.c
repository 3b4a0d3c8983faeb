/* spelling.c: see spelling.h. */
#include "job/spelling.h"
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Characters that get into jobs from word processors, web pages and other keyboards. seen: what it looks like. */
static const struct {
    uint32_t first, last;
    const char *what;
    bool unseen; /* a blank, or nothing at all */
} lookalikes[] = {
    {0xA0, 0xA0, "a no-break space: write a blank", true},
    {0xAD, 0xAD, "a soft hyphen: leave it out", true},
    {0xB7, 0xB7, "a middle dot: write a point", false},
    {0xD7, 0xD7, "a multiplication sign: write 1e3, not 1 x 10^3", false},
    {0x660, 0x669, "an Arabic-Indic digit: write 0 to 9", false},
    {0x66B, 0x66B, "an Arabic decimal separator: write a point", false},
    {0x6F0, 0x6F9, "a Persian digit: write 0 to 9", false},
    {0x2000, 0x200A, "a wide or thin space: write a blank", true},
    {0x200B, 0x200F, "a mark that cannot be seen: leave it out", true},
    {0x2010, 0x2015, "a hyphen or dash: write -", false},
    {0x2018, 0x201F, "a quotation mark: leave it out", false},
    {0x2026, 0x2026, "an ellipsis: write what is meant, a sweep is first:step:last", false},
    {0x2028, 0x202E, "a mark that cannot be seen: leave it out", true},
    {0x202F, 0x202F, "a narrow no-break space: write a blank", true},
    {0x205F, 0x205F, "a mathematical space: write a blank", true},
    {0x2060, 0x2064, "a mark that cannot be seen: leave it out", true},
    {0x2212, 0x2212, "a minus sign: write -", false},
    {0x3000, 0x3000, "a wide space: write a blank", true},
    {0xFEFF, 0xFEFF, "a byte order mark: leave it out", true},
    {0xFF0B, 0xFF0B, "a full-width plus: write +", false},
    {0xFF0C, 0xFF0C, "a full-width comma: write ,", false},
    {0xFF0D, 0xFF0D, "a full-width minus: write -", false},
    {0xFF0E, 0xFF0E, "a full-width point: write .", false},
    {0xFF10, 0xFF19, "a full-width digit: write 0 to 9", false},
    {0xFF1A, 0xFF1A, "a full-width colon: write :", false},
    {0xFF1D, 0xFF1D, "a full-width equals sign: write =", false},
    {0xFF21, 0xFF5A, "a full-width letter: write a plain one", false},
};

/* The character at s, of *bytes bytes; 0 where there is no UTF-8. */
static uint32_t decode(const char *s, size_t len, size_t *bytes) {
    const unsigned char *u = (const unsigned char *)s;
    const size_t n = u[0] < 0x80 ? 1 : u[0] >> 5 == 6 ? 2 : u[0] >> 4 == 14 ? 3 : u[0] >> 3 == 30 ? 4 : 0;
    *bytes = 1;
    if (!n || n > len) return 0;
    uint32_t c = n == 1 ? u[0] : u[0] & (0xFFu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (u[i] >> 6 != 2) return 0;
        c = c << 6 | (u[i] & 0x3F);
    }
    *bytes = n;
    return c;
}

/* Index in lookalikes, or -1. */
static int find(uint32_t c) {
    for (size_t i = 0; i < sizeof lookalikes / sizeof *lookalikes; i++)
        if (c >= lookalikes[i].first && c <= lookalikes[i].last) return (int)i;
    return -1;
}

static void name(const char *s, size_t len, char what[NSAMP_SPELLING]) {
    size_t bytes;
    const uint32_t c = decode(s, len, &bytes);
    const int known = find(c);
    if (!c)
        snprintf(what, NSAMP_SPELLING, "the byte 0x%02x, which is no UTF-8", (unsigned char)*s);
    else if (known >= 0)
        snprintf(what, NSAMP_SPELLING, "U+%04X (%s)", (unsigned)c, lookalikes[known].what);
    else
        snprintf(what, NSAMP_SPELLING, "U+%04X (%.*s)", (unsigned)c, (int)bytes, s);
}

size_t nsamp_spelling_odd(const char *s, size_t len, size_t *column, char what[NSAMP_SPELLING]) {
    size_t at = 0;
    while (at < len && (unsigned char)s[at] < 0x80)
        at++;
    *column = at + 1;
    if (at < len) name(s + at, len - at, what);
    return at;
}

bool nsamp_spelling_ends(const char *text, char why[NSAMP_SPELLING]) {
    const size_t len = strlen(text);
    size_t last = len ? len - 1 : 0, bytes;
    while (last && ((unsigned char)text[last] & 0xC0) == 0x80)
        last--;
    const size_t ends[2] = {0, last};
    for (int i = 0; len && i < 2; i++) {
        const int known = find(decode(text + ends[i], len - ends[i], &bytes));
        if (known < 0 || !lookalikes[known].unseen) continue;
        char what[NSAMP_SPELLING];
        name(text + ends[i], len - ends[i], what);
        snprintf(why, NSAMP_SPELLING, "it %s with %.200s", i ? "ends" : "begins", what);
        return true;
    }
    if (len < 2 || (*text != '"' && *text != '\'') || text[len - 1] != *text) return false;
    snprintf(why, NSAMP_SPELLING, "text stands without quotes: they would be part of the name");
    return true;
}

/* "1,5": two whole numbers with a comma and no blank between them. */
typedef struct pair {
    const char *first, *comma, *end;
} pair;

static bool pair_at(const char *s, pair *p) {
    const char *digits = s + (*s == '-' || *s == '+');
    *p = (pair){.first = s, .comma = digits + strspn(digits, "0123456789")};
    if (p->comma == digits || *p->comma != ',') return false;
    const size_t after = strspn(p->comma + 1, "0123456789");
    p->end = p->comma + 1 + after;
    return after && (!*p->end || strchr(",: \t", *p->end));
}

/* 0,05 or 1,000: a number that begins with a zero before other digits is nobody's. */
static bool find_led(const char *text, pair *p) {
    for (const char *s = text; *s; s++)
        if ((s == text || strchr(",: \t", s[-1])) && pair_at(s, p) && p->comma[1] == '0' &&
            p->end - p->comma > 2)
            return true;
    return false;
}

/* Nothing but a pair. */
static bool find_alone(const char *text, pair *p) {
    return pair_at(text + strspn(text, " \t"), p) && !p->end[strspn(p->end, " \t")];
}

/* Pairs with blanks between them, and no other comma: 0,5 0,5. */
static bool find_among(const char *text, pair *p) {
    size_t words = 0;
    bool found = false;
    for (const char *s = text; *(s += strspn(s, " \t")); words++) {
        const size_t len = strcspn(s, " \t");
        if (memchr(s, ',', len)) {
            if (!pair_at(s, p) || p->end != s + len) return false;
            found = true;
        }
        s += len;
    }
    return found && words > 1;
}

/* A list of numbers may well be 1,2; 0,5 is rather a half, and 0,0 rather two zeros. */
static bool below_one(const pair *p) {
    return p->comma[-1] == '0' && p->comma - p->first - (*p->first == '-' || *p->first == '+') == 1 &&
           strspn(p->comma + 1, "0") < (size_t)(p->end - p->comma - 1);
}

bool nsamp_spelling_comma(const char *text, nsamp_type type, char why[NSAMP_SPELLING]) {
    pair p;
    if (type != NSAMP_REAL && type != NSAMP_REALS && type != NSAMP_INT) return false;
    bool found = find_led(text, &p);
    if (!found && type == NSAMP_REAL) found = find_alone(text, &p);
    if (!found && type == NSAMP_REALS)
        found = (find_alone(text, &p) && below_one(&p)) || find_among(text, &p);
    if (!found) return false;
    const int a = (int)(p.comma - p.first), b = (int)(p.end - p.comma - 1), most = 20;
    const int la = a < most ? a : most, lb = b < most ? b : most;
    if (type == NSAMP_INT)
        snprintf(why, NSAMP_SPELLING,
                 "a comma parts values, so that '%.*s,%.*s' is two; for one number write %.*s%.*s", la,
                 p.first, lb, p.comma + 1, la, p.first, lb, p.comma + 1);
    else
        snprintf(why, NSAMP_SPELLING,
                 "'%.*s,%.*s' is one number or two? A comma parts values: write %.*s.%.*s, or for two values "
                 "'%.*s, %.*s' "
                 "with a blank",
                 la, p.first, lb, p.comma + 1, la, p.first, lb, p.comma + 1, la, p.first, lb, p.comma + 1);
    return true;
}
