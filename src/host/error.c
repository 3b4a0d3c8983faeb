/* error.c: nsamp_fail and the texts of the statuses. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

nsamp_status nsamp_fail(nsamp_error *err, nsamp_status status, const char *format, ...) {
    if (err) {
        va_list args;
        va_start(args, format);
        err->status = status;
        vsnprintf(err->text, sizeof err->text, format, args);
        va_end(args);
        for (char *c = err->text; *c; c++)
            if (*c == '\n' || *c == '\r') *c = ' ';
    }
    return status;
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
