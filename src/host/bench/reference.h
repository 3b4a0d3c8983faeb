/* reference.h: the first steps of a few chains of a plan against the equation in double precision: so that a case is not timed at a size,
 * or with an activation or a precision, at which it is wrong. The laws of check.h hold the samplers at sizes of their own. */
#ifndef NSAMP_HOST_BENCH_REFERENCE_H
#define NSAMP_HOST_BENCH_REFERENCE_H

#include "engine/plan.h"

/* Advances a started plan by three steps. *error: root mean square, over coordinates, of what the step moved beyond noise and drift, as
 * a share of that of the drift; negative where no reference is known: langevin in naive geometry by the target's score (but not for
 * full covariances, whose noise is seen in other coordinates) and rsn at the output level have one. NSAMP_ECHECK when the error is
 * above what float32 (or bf16 weights) explain: 2e-3 (3e-2). */
nsamp_status nsamp_reference_check(nsamp_plan *plan, double *error, nsamp_error *err);

#endif
