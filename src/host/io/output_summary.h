/* output_summary.h: the groups sample_stats, moments and statistics of an output file; private to output.c.
 * The caller holds the netCDF lock and asks nsamp_nc_result afterwards. */
#ifndef NSAMP_HOST_IO_OUTPUT_SUMMARY_H
#define NSAMP_HOST_IO_OUTPUT_SUMMARY_H

#include "io/ncfile.h"
#include "io/output.h"
#include "systems/model.h"

/* diverged(chain, draw): the chain met a non-finite value before or at this draw; first_bad_step(chain), -1
 * for none. first_bad [chains]. */
void nsamp_output_sample_stats(nsamp_nc *w, const nsamp_recording *what, const uint64_t *first_bad);
/* Everything of the summary, under the names of nsamp_summary; law may be NULL. */
void nsamp_output_moments(nsamp_nc *w, const nsamp_summary *summary, const nsamp_law *law);
/* NAME(NAME_dim_0), NAME_se, NAME_exact for each statistic. */
void nsamp_output_statistics(nsamp_nc *w, const nsamp_statistic *stats, size_t count);

#endif
