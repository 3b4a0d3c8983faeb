/* says.h: what an error message must hold. */
#ifndef NSAMP_TESTS_SAYS_H
#define NSAMP_TESTS_SAYS_H

#include <string.h>

#include "nsamp.h"

/* `part` is in the message, which is one line. */
static inline void assert_says(const nsamp_error *err, const char *part) {
    if (!strstr(err->text, part)) fail_msg("'%s' does not say '%s'", err->text, part);
    assert_null(strchr(err->text, '\n'));
}

#endif
