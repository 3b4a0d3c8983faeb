/* langevin.h: the three ways in which the langevin system runs, private to langevin*.c. Each takes a model whose target
 * and start are set, and fills in kernel, parameters and law. */
#ifndef NSAMP_HOST_SYSTEMS_LANGEVIN_H
#define NSAMP_HOST_SYSTEMS_LANGEVIN_H

#include "systems/model.h"

/* Equicorrelated targets: kernels/systems/langevin_equi.h. */
nsamp_status nsamp_langevin_equi_build(const nsamp_job *job, nsamp_model *m, nsamp_error *err);
/* Gaussians of any covariance: kernels/systems/langevin_gauss.h. */
nsamp_status nsamp_langevin_gauss_build(const nsamp_job *job, nsamp_model *m, nsamp_error *err);
/* Targets with a score: kernels/systems/langevin_score.h. */
nsamp_status nsamp_langevin_score_build(const nsamp_job *job, nsamp_model *m, nsamp_error *err);

/* NSAMP_EUSAGE unless system.dt is below the limit of the Euler scheme, which is 2 (natural) or twice the smallest
 * eigenvalue of the covariance (naive). */
nsamp_status nsamp_langevin_check_dt(const nsamp_job *job, double smallest, nsamp_error *err);

/* m->params <- bytes of zeros, aligned to 64. */
nsamp_status nsamp_langevin_params(nsamp_model *m, size_t bytes, nsamp_error *err);

#endif
