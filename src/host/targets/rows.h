/* rows.h: a text file of numbers in rows: a line a row, numbers separated by blanks, tabs or commas, # to the
 * end of the line a comment, empty lines nothing. Strict: every word must be a finite number. Not a CSV
 * reader. */
#ifndef NSAMP_HOST_TARGETS_ROWS_H
#define NSAMP_HOST_TARGETS_ROWS_H

#include "nsamp.h"

typedef struct nsamp_rows {
    size_t count; /* rows */
    size_t
        *first; /* [count + 1] index in value of the first number of a row; the last entry is their number */
    size_t *line; /* [count] line number in the file, from 1 */
    double *value;
} nsamp_rows;

/* NSAMP_EIO where the file cannot be read (a folder, a device); NSAMP_EUSAGE naming file, line and word for
 * what is not a number, for a file without numbers, and for one above 8 GiB. nsamp_rows_free in every case.
 */
nsamp_status nsamp_rows_read(const char *path, nsamp_rows *rows, nsamp_error *err);
void nsamp_rows_free(nsamp_rows *rows);

#endif
