/* rsn_job.c: reads the keys of rsn and loads its network; the model is built by rsn.c. */
#include <string.h>

#include "engine/engine.h"
#include "error.h"
#include "isa.h"
#include "systems/rsn.h"
#include "systems/start.h"
#include "threads.h"

/* system.model: a file, or the built-in linear network of target.dim outputs and train.hidden units, or that with phi = tanh,
 * whose drift is bounded but for -x, so that it is stable, and not linear. */
static nsamp_status load(const nsamp_job *job, nsamp_network **net, nsamp_error *err) {
    const char *path;
    nsamp_status status = nsamp_job_input(job, NSAMP_KEY_system_model, &path, err);
    if (status) return status;
    if (!*path)
        return nsamp_job_fail(
            job, NSAMP_KEY_system_model, err,
            "rsn needs a model file written by nsamp train (or builtin:linear, builtin:tanh)");
    const bool is_tanh = !strcmp(path, "builtin:tanh");
    if (!is_tanh && strcmp(path, "builtin:linear")) return nsamp_network_load(path, net, err);
    status = nsamp_rsn_linear((size_t)nsamp_job_int(job, NSAMP_KEY_target_dim),
                              (size_t)nsamp_job_int(job, NSAMP_KEY_train_hidden),
                              (uint64_t)nsamp_job_int(job, NSAMP_KEY_system_weight_seed), net, err);
    if (!status && is_tanh) (*net)->activation = NSAMP_TANH;
    return status;
}

/* The kernel of one name for the instruction set of the job, which is *isa. */
static nsamp_status part(const nsamp_job *job, nsamp_kernel_id id, const nsamp_cpu_kernel **kernel,
                         const char **isa, nsamp_error *err) {
    const nsamp_model named = {.kernel = id};
    return nsamp_cpu_kernel_find(job, &named, kernel, isa, err);
}

nsamp_status nsamp_build_rsn(const nsamp_job *job, nsamp_model *model, nsamp_error *err) {
    const int64_t tile = nsamp_job_int(job, NSAMP_KEY_run_tile);
    nsamp_rsn_options o = {
        .h = nsamp_job_real(job, NSAMP_KEY_system_dt),
        .reservoir = nsamp_job_is(job, NSAMP_KEY_system_level, "reservoir"),
        .jump = nsamp_job_bool(job, NSAMP_KEY_system_jump),
        .path = nsamp_job_is(job, NSAMP_KEY_run_path, "fused")     ? NSAMP_RSN_FUSED
                : nsamp_job_is(job, NSAMP_KEY_run_path, "product") ? NSAMP_RSN_PRODUCT
                                                                   : NSAMP_RSN_AUTO,
        .precision = nsamp_job_is(job, NSAMP_KEY_run_precision, "bf16")     ? NSAMP_BF16
                     : nsamp_job_is(job, NSAMP_KEY_run_precision, "tf32")   ? NSAMP_TF32
                     : nsamp_job_is(job, NSAMP_KEY_run_precision, "bf16x3") ? NSAMP_BF16X3
                                                                            : NSAMP_FP32,
        .cuda = nsamp_job_is(job, NSAMP_KEY_run_backend, "cuda"),
        .chains = (uint64_t)nsamp_job_int(job, NSAMP_KEY_run_chains),
        .threads = nsamp_threads_of(nsamp_job_int(job, NSAMP_KEY_run_threads)),
        .tile = (uint32_t)tile,
        .cov_dim = (size_t)nsamp_job_int(job, NSAMP_KEY_record_cov_dim),
        .auto_start = nsamp_job_is(job, NSAMP_KEY_run_start, "auto"),
    };
    /* The system is asked for the unit only where it may be used. */
    if ((o.precision == NSAMP_BF16 || o.precision == NSAMP_BF16X3) && !o.reservoir && !o.cuda)
        o.has_amx = nsamp_isa_has_amx();
    o.amx = o.has_amx && nsamp_job_is(job, NSAMP_KEY_run_isa, "auto");
    nsamp_network *net = NULL;
    nsamp_status status = nsamp_start_choose(job, model, err);
    if (!status) status = part(job, NSAMP_KERNEL_rsn_noise, &o.noise, &o.isa, err);
    if (!status) status = part(job, NSAMP_KERNEL_rsn_move, &o.move, &o.isa, err);
    if (!status) status = load(job, &net, err);
    return status ? status : nsamp_rsn_model(net, &o, model, err);
}
