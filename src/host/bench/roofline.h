/* roofline.h: the picture of a bench: rate of arithmetic against arithmetic intensity, under the measured ceilings (Williams, Waterman and
 * Patterson, Communications of the ACM 52, 2009). */
#ifndef NSAMP_HOST_BENCH_ROOFLINE_H
#define NSAMP_HOST_BENCH_ROOFLINE_H

#include "bench/bench.h"

/* Draws the report into `out` (.png, .svg or .pdf; replaced when it exists). NSAMP_EUSAGE: no row was timed, or another kind of file;
 * NSAMP_EIO: gnuplot missing or failing. */
nsamp_status nsamp_bench_plot(const nsamp_bench_report *report, const char *out, nsamp_error *err);

#endif
