/* number.c: strict parsing of numbers; see number.h. strtod alone would take "inf", "0x1p3", " 1" and "1
 * apple". */
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "job/number.h"

static const char empty[] = "is empty: a number is needed";
static const char not_number[] = "is not a number";
static const char not_whole[] = "is not a whole number";
static const char too_large[] = "does not fit in a 64-bit integer";

/* Exponent after 'e', clamped to +-10000; false if there is none or something follows it. */
static bool read_exponent(const char *s, long *exponent) {
    bool negative = *s == '-';
    if (*s == '-' || *s == '+') s++;
    if (!isdigit((unsigned char)*s)) return false;
    long e = 0;
    for (; isdigit((unsigned char)*s); s++)
        if (e < 10000) e = 10 * e + (*s - '0');
    *exponent = negative ? -e : e;
    return *s == 0;
}

/* *m = 10^zeros * *m * 10 + digit, or false where that exceeds 64 bits. */
static bool append_digits(uint64_t *m, long zeros, unsigned digit) {
    for (long i = 0; i <= zeros; i++) {
        if (*m > UINT64_MAX / 10) return false;
        *m *= 10;
    }
    if (*m > UINT64_MAX - digit) return false;
    *m += digit;
    return true;
}

const char *nsamp_number_int(const char *text, int64_t *value) {
    const char *s = text;
    if (!*s) return empty;
    bool negative = *s == '-', point = false, digits = false, fits = true;
    if (*s == '-' || *s == '+') s++;
    /* The number is mantissa 10^shift with no zero at the mantissa's end, so that a shift below 0 means a
     * fraction. */
    uint64_t mantissa = 0;
    long zeros = 0, fraction = 0, exponent = 0;
    for (; isdigit((unsigned char)*s) || (*s == '.' && !point); s++) {
        if (*s == '.') {
            point = true;
            continue;
        }
        digits = true;
        fraction += point;
        if (*s == '0') {
            zeros += mantissa != 0;
        } else {
            fits = fits && append_digits(&mantissa, zeros, (unsigned)(*s - '0'));
            zeros = 0;
        }
    }
    if (!digits) return not_number;
    if ((*s == 'e' || *s == 'E') && !read_exponent(s + 1, &exponent)) return not_number;
    if (*s && *s != 'e' && *s != 'E') return not_number;
    long shift = zeros + exponent - fraction;
    if (mantissa && shift < 0) return not_whole;
    if (!fits) return too_large;
    for (long i = 0; mantissa && i < shift; i++) {
        if (mantissa > UINT64_MAX / 10) return too_large;
        mantissa *= 10;
    }
    if (mantissa > (uint64_t)INT64_MAX) return too_large;
    *value = negative ? -(int64_t)mantissa : (int64_t)mantissa;
    return NULL;
}

const char *nsamp_number_real(const char *text, double *value) {
    if (!*text) return empty;
    const char *digits = text + strspn(text, "+-");
    if (!strncasecmp(digits, "inf", 3) || !strncasecmp(digits, "nan", 3)) return "is not finite";
    if (text[strspn(text, "0123456789.+-eE")]) return not_number;
    char *end = NULL;
    double v = strtod(text, &end);
    if (end == text || *end) return not_number;
    if (!isfinite(v)) return "does not fit in a double (largest 1.8e308)";
    if (v == 0.0 && strcspn(text, "123456789") < strcspn(text, "eE"))
        return "is too small for a double (smallest 4.9e-324)";
    *value = v;
    return NULL;
}

void nsamp_number_text(double value, char *text, size_t size) {
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(text, size, "%.*g", digits, value);
        if (strtod(text, NULL) == value) return;
    }
}
