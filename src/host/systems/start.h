/* start.h: where chains begin: run.start and run.start_scale, for every system that samples a point x. */
#ifndef NSAMP_HOST_SYSTEMS_START_H
#define NSAMP_HOST_SYSTEMS_START_H

#include "systems/model.h"

enum { NSAMP_START_ZERO, NSAMP_START_NORMAL, NSAMP_START_UNIFORM, NSAMP_START_TARGET };

/* Says in model->start_law what chains start from: kind as above, with its scale where it has one. */
void nsamp_start_describe(nsamp_model *model, int kind, double scale);

/* Reads run.start into the model, and its words; auto is an exact draw of the target where it has draws, else a normal.
 * NSAMP_EUSAGE when exact draws are asked for and there are none. */
nsamp_status nsamp_start_choose(const nsamp_job *job, nsamp_model *model, nsamp_error *err);

/* The starting point of one chain -> x [D]. */
void nsamp_start_point(const nsamp_model *model, nsamp_noise_key key, uint32_t chain, double *x);

#endif
