/* bench_table.h: the numbers of a bench as tables: for people, and as the Markdown that the README quotes. */
#ifndef NSAMP_HOST_CLI_BENCH_TABLE_H
#define NSAMP_HOST_CLI_BENCH_TABLE_H

#include "bench/bench.h"

void cli_bench_table(const nsamp_bench_report *report);
void cli_bench_markdown(const nsamp_bench_report *report);

#endif
