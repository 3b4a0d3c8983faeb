/* says.h: what a text or an error message must hold. Include cmocka.h first. */
#ifndef NSAMP_TESTS_SAYS_H
#define NSAMP_TESTS_SAYS_H

#include <string.h>

#include "nsamp.h"

static inline void assert_has(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%.600s' does not say '%s'", text, part);
}

/* `part` is in the message, which is one line. */
static inline void assert_says(const nsamp_error *err, const char *part) {
    assert_has(err->text, part);
    assert_null(strchr(err->text, '\n'));
}

#endif
