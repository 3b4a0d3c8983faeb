/* choose.c: where a training computes: the learner that a job asks for. */
#include <stdio.h>
#include "error.h"
#include "train/learner.h"

/* NULL: the GPU can train; else why not, in one line. */
static const char *no_gpu(void) {
#ifdef NSAMP_HAVE_CUDA
    return nsamp_cuda_learner_missing();
#else
    return "this nsamp was built without CUDA";
#endif
}

static nsamp_status on_gpu(const nsamp_learner_shape *shape, nsamp_learner **learner, nsamp_error *err) {
#ifdef NSAMP_HAVE_CUDA
    return nsamp_cuda_learner_create(shape, learner, err);
#else
    (void)shape;
    *learner = NULL;
    return nsamp_fail(err, NSAMP_EINTERNAL, "%s", no_gpu());
#endif
}

nsamp_status nsamp_learner_choose(const nsamp_job *job, const nsamp_learner_shape *shape,
                                  const nsamp_train_kernels *kernels, nsamp_learner **learner,
                                  nsamp_error *err) {
    const bool must = nsamp_job_is(job, NSAMP_KEY_run_backend, "cuda");
    const char *missing = nsamp_job_is(job, NSAMP_KEY_run_backend, "cpu") ? "" : no_gpu();
    *learner = NULL;
    if (!missing) return on_gpu(shape, learner, err);
    if (must) return nsamp_job_fail(job, NSAMP_KEY_run_backend, err, "%s; cpu and auto work here", missing);
    if (shape->precision != NSAMP_FP32)
        return nsamp_job_fail(job, NSAMP_KEY_train_precision, err,
                              "only a GPU trains in less than fp32%s%s; valid here: fp32",
                              *missing ? ", and " : "", missing);
    nsamp_status status = nsamp_cpu_learner_create(shape, kernels, learner, err);
    if (!status)
        snprintf((*learner)->text, sizeof(*learner)->text, "cpu, fp32, %.80s%s%.120s%s", nsamp_matmul_name(),
                 *missing ? " (" : "", missing, *missing ? ")" : "");
    return status;
}
