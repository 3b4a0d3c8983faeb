/* error.c: nsamp_fail, nsamp_note and the texts of the statuses. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static void fill(nsamp_error *err, nsamp_status status, const char *format, va_list args) {
    err->status = status;
    vsnprintf(err->text, sizeof err->text, format, args);
    for (char *c = err->text; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
}

nsamp_status nsamp_fail(nsamp_error *err, nsamp_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (err) fill(err, status, format, args);
    va_end(args);
    return status;
}

void nsamp_note(nsamp_error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    if (err) fill(err, NSAMP_OK, format, args);
    va_end(args);
}

const char *nsamp_status_text(nsamp_status status) {
    switch (status) {
#define NSAMP_ROW(name, value, text)                                                                         \
    case name:                                                                                               \
        return text;
        NSAMP_STATUS_TABLE(NSAMP_ROW)
#undef NSAMP_ROW
    }
    return "unknown status";
}
