/* range.h: what float32 cannot hold, refused before the run with the key, its value and what is valid. States
 * are relative to the target's mean (model.h), so that a mean far from 0 costs no digits; what is refused
 * here is what that does not help: spreads beyond the normal numbers, components far from one another, steps
 * that are lost in the spacing of the numbers, and stored draws, which hold the mean. All limits allow a
 * change of a variance by 1 %, the least that `nsamp check` must see. */
#ifndef NSAMP_HOST_SYSTEMS_RANGE_H
#define NSAMP_HOST_SYSTEMS_RANGE_H

#include <stdbool.h>
#include "systems/model.h"

/* Share of the variance of a step that rounding a number of size x to float32 after each of them adds, at
 * most: its spacing 2^-23 |x| has variance 2^-46 x^2 / 12. */
double nsamp_range_rounding(double x, double step_variance);
/* The largest such share. */
#define NSAMP_RANGE_ROUNDING 0.01

/* A target with mean and var: standard deviations from 1e-30 to 1e30, and means within 1e10 of them, where
 * double precision, in which exact draws and means are, still holds them to a part in a million.
 * NSAMP_EUSAGE. */
nsamp_status nsamp_range_target(const nsamp_job *job, const nsamp_target *t, nsamp_error *err);
/* The factor 1 - h / lambda of a mode's step, as a float, against its h / lambda: NSAMP_EUSAGE where rounding
 * takes or adds more than 1 % of it, and with it of the mode's variance and autocorrelation time. */
nsamp_status nsamp_range_factor(const nsamp_job *job, double h, double lambda, double factor,
                                nsamp_error *err);
/* A mixture whose means are taken relative to offset [D] (NULL: 0), moved by steps h of a metric that is the
 * identity or, natural, its covariance. NSAMP_EUSAGE. */
nsamp_status nsamp_range_mixture(const nsamp_job *job, const nsamp_target *t, const double *offset, double h,
                                 bool natural, nsamp_error *err);
/* Stored draws, which are float32 and about 0: NSAMP_EUSAGE where the spacing of these numbers at the model's
 * offset is above 1/128 of a standard deviation (|mean| beyond 65536 of them): 1/128 adds 5e-6 to a variance,
 * and .003 to a Kolmogorov-Smirnov distance. */
nsamp_status nsamp_range_record(const nsamp_job *job, const nsamp_model *m, nsamp_error *err);

#endif
