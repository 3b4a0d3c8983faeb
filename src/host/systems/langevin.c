/* langevin.c: the langevin system made ready: which kernel for which target, and what they share. The kernels'
 * coefficients, starts and laws are in langevin_equi.c, langevin_gauss.c and langevin_score.c. */
#include "systems/langevin.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "systems/range.h"
#include "systems/start.h"

nsamp_status nsamp_langevin_check_dt(const nsamp_job *job, double smallest, nsamp_error *err) {
    const bool natural = nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural");
    const double limit = natural ? 2 : 2 * smallest;
    if (nsamp_job_real(job, NSAMP_KEY_system_dt) < limit) return NSAMP_OK;
    return nsamp_job_fail(
        job, NSAMP_KEY_system_dt, err, "unstable: the Euler scheme needs dt below %.6g here (%s)", limit,
        natural ? "natural geometry: 2" : "naive geometry: twice the smallest eigenvalue of the covariance");
}

nsamp_status nsamp_langevin_params(nsamp_model *m, size_t bytes, nsamp_error *err) {
    void *block = NULL;
    const size_t whole = (bytes + 63) / 64 * 64;
    if (posix_memalign(&block, 64, whole))
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu bytes of parameters", whole);
    memset(block, 0, whole);
    m->params = block;
    m->params_bytes = whole;
    return NSAMP_OK;
}

nsamp_status nsamp_build_langevin(const nsamp_job *job, nsamp_model *m, nsamp_error *err) {
    m->system = "langevin";
    nsamp_status status = nsamp_target_create(job, &m->target, err);
    if (!status) status = nsamp_start_choose(job, m, err);
    if (!status && m->target->ops->score) status = nsamp_range_target(job, m->target, err);
    if (status) return status;
    if (m->target->gaussian && isfinite(m->target->rho)) return nsamp_langevin_equi_build(job, m, err);
    if (m->target->gaussian) return nsamp_langevin_gauss_build(job, m, err);
    if (m->target->ops->score) return nsamp_langevin_score_build(job, m, err);
    return nsamp_job_fail(
        job, NSAMP_KEY_target_name, err,
        "langevin needs a score, which data do not have; train a network on them (nsamp train) and "
        "sample with system rsn");
}
