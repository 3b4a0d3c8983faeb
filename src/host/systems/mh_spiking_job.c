/* mh_spiking_job.c: reads the keys of mh-spiking and its target; the network is built by mh_spiking.c. */
#include <math.h>
#include <string.h>

#include "error.h"
#include "kernels/systems/mh_spiking.h"
#include "systems/mh_spiking.h"
#include "systems/range.h"

static nsamp_mh_start start_of(const nsamp_job *job, bool leak) {
    if (nsamp_job_is(job, NSAMP_KEY_run_start, "zero")) return NSAMP_MH_ZERO;
    if (nsamp_job_is(job, NSAMP_KEY_run_start, "normal")) return NSAMP_MH_NORMAL;
    if (nsamp_job_is(job, NSAMP_KEY_run_start, "uniform")) return NSAMP_MH_UNIFORM;
    if (nsamp_job_is(job, NSAMP_KEY_run_start, "target")) return NSAMP_MH_TARGET;
    return leak ? NSAMP_MH_ZERO
                : NSAMP_MH_TARGET; /* auto: silent at first; or stationary from the first step */
}

nsamp_status nsamp_build_mh_spiking(const nsamp_job *job, nsamp_model *model, nsamp_error *err) {
    nsamp_status status = nsamp_target_create(job, &model->target, err);
    if (status) return status;
    const nsamp_target *target = model->target;
    const bool equicorrelated = isfinite(target->rho);
    if (!target->gaussian)
        return nsamp_job_fail(job, NSAMP_KEY_target_name, err,
                              "mh-spiking samples gaussian and equicorrelated only");
    status = nsamp_range_target(job, target, err);
    if (status) return status;
    const uint64_t burn_in = (uint64_t)nsamp_job_int(job, NSAMP_KEY_run_burn_in);
    const bool counts = nsamp_job_bool(job, NSAMP_KEY_system_spike_counts);
    nsamp_mh_network net = {
        .dim = target->dim,
        .neurons = (size_t)nsamp_job_int(job, NSAMP_KEY_system_neurons),
        .natural = nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural"),
        .leak = nsamp_job_bool(job, NSAMP_KEY_system_leak),
        .counts = counts,
        .dt_ms = nsamp_job_real(job, NSAMP_KEY_system_dt_ms),
        .tau_ms = nsamp_job_real(job, NSAMP_KEY_system_tau_ms),
        .gain = nsamp_job_real(job, NSAMP_KEY_system_gain),
        .scale = nsamp_job_real(job, NSAMP_KEY_system_scale),
        .weight_seed = (uint64_t)nsamp_job_int(job, NSAMP_KEY_system_weight_seed),
        .burn_in = burn_in,
        .mean = target->mean,
        .cov = equicorrelated ? NULL : target->cov,
        .variance = target->variance,
        .rho = target->rho,
        .cov_dim = (size_t)nsamp_job_int(job, NSAMP_KEY_record_cov_dim),
        .start_scale = nsamp_job_real(job, NSAMP_KEY_run_start_scale),
    };
    net.start = start_of(job, net.leak);
    status = nsamp_mh_model(&net, model, err);
    return status;
}
