/* report.h: what `nsamp stats` says about an output file. */
#ifndef NSAMP_HOST_STATS_REPORT_H
#define NSAMP_HOST_STATS_REPORT_H

#include <stdbool.h>
#include "nsamp.h"

/* Reads the output file, compares its draws with its target, and writes a table, or JSON with every number
 * under its name in the file: {"file", "job": {key: value}, "exact_source", "moments": {...}, "statistics",
 * "draws", "distances", "findings": [{"name", "bad", "text"}], "note"}; NaN is null. *bad (NULL: not asked): how many
 * findings are bad (diagnose.h). Numbers that the file does not hold (draws, distances) are
 * explained in compare.h; "note" says why some are missing. *text is malloc'ed, ends with a newline, the
 * caller frees. Errors: those of nsamp_result_open. */
nsamp_status nsamp_report(const char *path, bool json, char **text, size_t *bad, nsamp_error *err);

#endif
