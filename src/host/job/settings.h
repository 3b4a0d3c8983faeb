/* settings.h: several keys at once, as the tables of checks and benchmarks write them. */
#ifndef NSAMP_HOST_JOB_SETTINGS_H
#define NSAMP_HOST_JOB_SETTINGS_H

#include "nsamp.h"

/* settings: "section.key=value section.key=value", values without spaces. */
nsamp_status nsamp_job_set_all(nsamp_job *job, const char *settings, nsamp_error *err);

#endif
