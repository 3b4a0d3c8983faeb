/* pathname.h: names of files, made safe for every library that gets them. netCDF drops blanks at the start
 * of a name and takes "scheme://..." for a place on the net, on some systems it rewrites backslashes; a
 * name with a line break would make two lines of one message. gnuplot is given no names at all
 * (stats/figure.c). Not here: whether a file may be written (newfile.h). */
#ifndef NSAMP_HOST_IO_PATHNAME_H
#define NSAMP_HOST_IO_PATHNAME_H

#include "nsamp.h"

/* Can a file of this name be read and written by every library? Looks at the name only. NSAMP_EUSAGE:
 * empty, a control character, a backslash, "scheme://", longer than the system takes, a folder's name
 * (ends in "/"). err = "PATH: what is wrong", control characters shown as "?". */
nsamp_status nsamp_pathname_check(const char *path, nsamp_error *err);

/* The same for a file to be written: room for the endings of temporary files; a link of that name must
 * lead to something (NSAMP_EUSAGE). */
nsamp_status nsamp_pathname_check_new(const char *path, nsamp_error *err);

/* The name as libraries get it, malloc'ed: "./" before one that does not begin with "/" or ".". NULL: out
 * of memory. */
char *nsamp_pathname_library(const char *path);

#endif
