/* plot.h: the picture that fits a file, for `nsamp plot`. */
#ifndef NSAMP_HOST_STATS_PLOT_H
#define NSAMP_HOST_STATS_PLOT_H

#include "nsamp.h"

/* Draws the file at `path` (an output of nsamp run, or a model file) into `out` (.png, .svg or .pdf; replaced
 * when it exists). kind, or NULL for the first that fits:
 *   "images"   grid of stored draws as images (.png only; models of images)
 *   "density"  2-D: density of the stored draws beside the target's, with the contours that hold 50, 80 and 95 %
 *              of the target
 *   "trace"    stored draws of a few chains against steps, and the marginal of all chains against the target's,
 *              for the first coordinates
 *   "moments"  mean and variance of every coordinate with standard errors, against the exact values
 *   "loss"     loss curve of a model file
 * NSAMP_EUSAGE: unknown kind, or one that the file cannot give; NSAMP_EIO: a bad file, gnuplot missing or
 * failing, out not writable. A target that cannot be rebuilt is left out of the picture, which says so. */
nsamp_status nsamp_plot(const char *path, const char *out, const char *kind, nsamp_error *err);

#endif
