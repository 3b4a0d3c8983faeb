/* settings.c: see settings.h. */
#include "train/settings.h"

#include "threads.h"

double nsamp_level_epochs(const nsamp_train_settings *s, size_t level) {
    return s->epochs[s->epochs_count == 1 ? 0 : level];
}

double nsamp_level_seconds(const nsamp_train_settings *s, size_t level) {
    return s->seconds[s->seconds_count == 1 ? 0 : level];
}

static nsamp_status read_levels(const nsamp_job *job, nsamp_train_settings *s, nsamp_error *err) {
    s->sigmas = nsamp_job_reals(job, NSAMP_KEY_train_sigmas, &s->levels);
    s->epochs = nsamp_job_reals(job, NSAMP_KEY_train_epochs, &s->epochs_count);
    s->seconds = nsamp_job_reals(job, NSAMP_KEY_train_seconds, &s->seconds_count);
    if (s->epochs_count != 1 && s->epochs_count != s->levels)
        return nsamp_job_fail(job, NSAMP_KEY_train_epochs, err,
                              "%zu numbers for %zu noise levels (train.sigmas): give one, or one a level",
                              s->epochs_count, s->levels);
    if (s->seconds_count != 1 && s->seconds_count != s->levels)
        return nsamp_job_fail(job, NSAMP_KEY_train_seconds, err,
                              "%zu numbers for %zu noise levels (train.sigmas): give one, or one a level",
                              s->seconds_count, s->levels);
    for (size_t i = 0; i < s->levels; i++)
        if (!(nsamp_level_epochs(s, i) > 0) && !(nsamp_level_seconds(s, i) > 0))
            return nsamp_job_fail(job, NSAMP_KEY_train_epochs, err,
                                  "level %zu has neither epochs nor train.seconds: one must be positive",
                                  i + 1);
    return NSAMP_OK;
}

static nsamp_status read_optimizer(const nsamp_job *job, nsamp_train_settings *s, nsamp_error *err) {
    s->lr = nsamp_job_real(job, NSAMP_KEY_train_lr);
    s->beta1 = nsamp_job_real(job, NSAMP_KEY_train_beta1);
    s->beta2 = nsamp_job_real(job, NSAMP_KEY_train_beta2);
    s->epsilon = nsamp_job_real(job, NSAMP_KEY_train_epsilon);
    s->weight_decay = nsamp_job_real(job, NSAMP_KEY_train_weight_decay);
    s->warmup = (uint64_t)nsamp_job_int(job, NSAMP_KEY_train_warmup);
    s->amsgrad = nsamp_job_bool(job, NSAMP_KEY_train_amsgrad);
    s->cosine = nsamp_job_is(job, NSAMP_KEY_train_schedule, "cosine");
    s->restart = nsamp_job_bool(job, NSAMP_KEY_train_restart);
    if (s->beta1 >= 1)
        return nsamp_job_fail(job, NSAMP_KEY_train_beta1, err, "must be at least 0 and below 1");
    if (s->beta2 >= 1)
        return nsamp_job_fail(job, NSAMP_KEY_train_beta2, err, "must be at least 0 and below 1");
    return NSAMP_OK;
}

nsamp_status nsamp_train_settings_read(const nsamp_job *job, nsamp_train_settings *s, nsamp_error *err) {
    *s = (nsamp_train_settings){0};
    nsamp_status status = nsamp_job_require_plain(job, err);
    if (!status) status = read_levels(job, s, err);
    if (!status) status = read_optimizer(job, s, err);
    if (status) return status;
    const char *activation = nsamp_job_text(job, NSAMP_KEY_train_activation);
    s->activation = activation[0] == 'r' ? NSAMP_RELU : activation[0] == 't' ? NSAMP_TANH : NSAMP_SOFTPLUS;
    s->precision = nsamp_job_is(job, NSAMP_KEY_train_precision, "bf16")   ? NSAMP_BF16
                   : nsamp_job_is(job, NSAMP_KEY_train_precision, "tf32") ? NSAMP_TF32
                                                                          : NSAMP_FP32;
    s->hidden = (size_t)nsamp_job_int(job, NSAMP_KEY_train_hidden);
    s->batch = (size_t)nsamp_job_int(job, NSAMP_KEY_train_batch);
    s->denoiser = nsamp_job_is(job, NSAMP_KEY_train_form, "denoiser");
    s->control_variate = nsamp_job_bool(job, NSAMP_KEY_train_control_variate);
    s->sigma2 = nsamp_job_is(job, NSAMP_KEY_train_weighting, "sigma2");
    s->wiener = nsamp_job_bool(job, NSAMP_KEY_train_wiener);
    s->torch_init = nsamp_job_is(job, NSAMP_KEY_train_init, "torch");
    s->wide_share = nsamp_job_real(job, NSAMP_KEY_train_wide_share);
    s->wide_factor = nsamp_job_real(job, NSAMP_KEY_train_wide_factor);
    if (s->wide_share > 0 && (!s->denoiser || s->control_variate))
        return nsamp_job_fail(job, NSAMP_KEY_train_wide_share, err,
                              "needs train.form = denoiser and train.control_variate = no, or must be 0");
    s->draws = (uint64_t)nsamp_job_int(job, NSAMP_KEY_train_draws);
    s->seed = (uint64_t)nsamp_job_int(job, NSAMP_KEY_train_seed);
    s->threads = nsamp_threads_of(nsamp_job_int(job, NSAMP_KEY_run_threads));
    s->checkpoint_every_s = nsamp_job_real(job, NSAMP_KEY_train_checkpoint_every_s);
    s->max_walltime_s = nsamp_job_real(job, NSAMP_KEY_train_max_walltime_s);
    s->max_batches = (uint64_t)nsamp_job_int(job, NSAMP_KEY_train_max_batches);
    s->resume = nsamp_job_bool(job, NSAMP_KEY_train_resume);
    return NSAMP_OK;
}
