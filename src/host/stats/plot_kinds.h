/* plot_kinds.h: the kinds of picture; plot.c chooses between them. Nobody else includes it. */
#ifndef NSAMP_HOST_STATS_PLOT_KINDS_H
#define NSAMP_HOST_STATS_PLOT_KINDS_H

#include "stats/result.h"
#include "targets/target.h"

/* target may be NULL: drawn without it. */
nsamp_status nsamp_plot_trace(const nsamp_result *result, const nsamp_target *target, const char *out,
                              nsamp_error *err);
nsamp_status nsamp_plot_density(const nsamp_result *result, const nsamp_target *target, const char *out,
                                nsamp_error *err);
nsamp_status nsamp_plot_moments(const nsamp_result *result, const char *out, nsamp_error *err);
nsamp_status nsamp_plot_loss(const char *path, const char *out, nsamp_error *err);
nsamp_status nsamp_plot_images(const nsamp_result *result, const char *out, nsamp_error *err);

#endif
