/* sweep.h: running the points of a sweep. */
#ifndef NSAMP_HOST_CLI_SWEEP_H
#define NSAMP_HOST_CLI_SWEEP_H

#include "job/job.h"

/* Runs all points, one after the other, and prints a row for each. All points are checked before the first
 * runs. A point whose chains diverged does not end the sweep (NSAMP_EDIVERGED at its end); any other failure
 * does. With run.resume, points whose output is there are left alone. */
nsamp_status cli_run_sweep(const nsamp_job *job, bool quiet, nsamp_error *err);

/* PATH with "_label" before its extension, blanks of the label as '_' (a.nc, "x=1 y=2" -> a_x=1_y=2.nc). */
void cli_labelled_path(const char *path, const char *label, char *out, size_t size);

#endif
