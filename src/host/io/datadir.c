/* datadir.c: finds the built-in data; see datadir.h. The build compiles in NSAMP_DATADIR (PREFIX/share/nsamp)
 * and NSAMP_SOURCE_DATADIR (data/ of the source tree). */
#include <stdlib.h>
#include <unistd.h>
#include "io/datadir.h"

const char *nsamp_data_dir(void) {
    static const char *const places[] = {NSAMP_SOURCE_DATADIR, NSAMP_DATADIR};
    const char *named = getenv("NSAMP_DATA");
    if (named && *named) return named;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!access(places[i], R_OK | X_OK)) return places[i];
    return NULL;
}
