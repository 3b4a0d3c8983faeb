/* summary.h: the result of a run as a table. */
#ifndef NSAMP_HOST_CLI_SUMMARY_H
#define NSAMP_HOST_CLI_SUMMARY_H

#include "systems/model.h"

/* A number next to its standard error: as many decimals as the error has meaning; "-" where unknown. */
void cli_number(double value, double se, char *text, size_t size);

/* The table of one run, on standard output: moments with standard errors, exact values and z; the system's
 * own statistics; R-hat, effective sample size, divergences, speed. */
void cli_print_summary(const nsamp_summary *s, const nsamp_statistic *stats, size_t count);

/* The table of a sweep, a row a point, with the file that it wrote. The header needs the first point's summary and statistics, which
 * fix the columns. */
void cli_sweep_header(const nsamp_job *job, const nsamp_summary *s, const nsamp_statistic *stats,
                      size_t count);
void cli_sweep_row(const nsamp_job *job, const nsamp_job *point, const nsamp_summary *s,
                   const nsamp_statistic *stats, size_t count);

#endif
