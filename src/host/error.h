/* error.h: how the host reports failures. */
#ifndef NSAMP_HOST_ERROR_H
#define NSAMP_HOST_ERROR_H

#include "nsamp.h"

/* Writes status and text (newlines become spaces) into err and returns status. err may be NULL. */
nsamp_status nsamp_fail(nsamp_error *err, nsamp_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text for the user about something that succeeded: err has status NSAMP_OK and this text. err may be NULL. */
void nsamp_note(nsamp_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
