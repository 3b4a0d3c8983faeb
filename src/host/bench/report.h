/* report.h: the numbers of a bench as a JSON file, written and read back. The schema is in docs/performance.md; `nsamp_bench` at its head is its
 * version. */
#ifndef NSAMP_HOST_BENCH_REPORT_H
#define NSAMP_HOST_BENCH_REPORT_H

#include <stdio.h>
#include "bench/bench.h"

/* False: out of memory, or an error of the stream. */
bool nsamp_bench_write(FILE *out, const nsamp_bench_report *report);
/* Whole or not at all; an existing file is replaced. NSAMP_EUSAGE, NSAMP_EIO. */
nsamp_status nsamp_bench_save(const char *path, const nsamp_bench_report *report, nsamp_error *err);
/* NSAMP_EIO: not such a file, or of another version. Free the report in every case. */
nsamp_status nsamp_bench_load(const char *path, nsamp_bench_report *report, nsamp_error *err);

const char *nsamp_bench_size_name(int size);

#endif
