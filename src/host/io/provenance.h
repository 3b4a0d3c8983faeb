/* provenance.h: what a file says about how it came to be: every option of the job with its value and its
 * origin, the versions of program and noise, the machine, the date. As attributes of the root group of a
 * netCDF-4 file. */
#ifndef NSAMP_HOST_IO_PROVENANCE_H
#define NSAMP_HOST_IO_PROVENANCE_H

#include "job/job.h"
#include "io/ncfile.h"

/* Attributes of the root: "section.key" (a number, numbers or text, as the key's type; yes|no for BOOL) and
 * "section.key.origin" ("default", "FILE:LINE", "command line"); seed, nsamp_version, noise_version, host,
 * machine. */
void nsamp_provenance_write(nsamp_nc *w, const nsamp_job *job);
/* Attributes that ArviZ puts on each group: created_at (ISO 8601, UTC), inference_library, its version. */
void nsamp_provenance_group(nsamp_nc *w, int group);

#endif
