/* builders.h: one function a target, private to this folder: reads the job, checks it, fills a zeroed target.
 * On failure what was filled is freed by the caller. */
#ifndef NSAMP_HOST_TARGETS_BUILDERS_H
#define NSAMP_HOST_TARGETS_BUILDERS_H

#include "targets/target.h"

typedef nsamp_status nsamp_target_builder(const nsamp_job *job, nsamp_target *target, nsamp_error *err);

nsamp_target_builder nsamp_target_equicorrelated, nsamp_target_mixture;

/* target.mean -> t->mean [D]: one number for all coordinates, or D numbers. */
nsamp_status nsamp_target_mean(const nsamp_job *job, nsamp_target *t, nsamp_error *err);

#endif
