/* choose.c: where a training computes: the learner that a job asks for. */
#include <stdio.h>
#include <string.h>
#include "error.h"
#include "isa.h"
#include "threads.h"
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

/* The matrix unit is beside AVX-512, and asked for where it is of use only. */
static nsamp_status on_cpu(const nsamp_job *job, const nsamp_learner_shape *shape, const char *isa,
                           nsamp_learner **learner, nsamp_error *err) {
    const bool bf16 = shape->precision == NSAMP_BF16, amx = bf16 && !strcmp(isa, "v4") && nsamp_isa_has_amx();
    const nsamp_train_cpu kernels = nsamp_train_cpu_of(isa, amx);
    const nsamp_status status = nsamp_cpu_learner_create(shape, &kernels, learner, err);
    if (status) return status;
    char fewer[80];
    nsamp_threads_note(nsamp_job_int(job, NSAMP_KEY_run_threads), shape->threads, fewer, sizeof fewer);
    if (bf16)
        snprintf((*learner)->text, sizeof(*learner)->text, "cpu, bf16, %s%s",
                 amx ? "by the matrix unit (AMX)" : "by multiply-adds", fewer);
    else
        snprintf((*learner)->text, sizeof(*learner)->text, "cpu, fp32%s", fewer);
    return NSAMP_OK;
}

nsamp_status nsamp_learner_choose(const nsamp_job *job, const nsamp_learner_shape *shape, const char *isa,
                                  nsamp_learner **learner, nsamp_error *err) {
    const bool must = nsamp_job_is(job, NSAMP_KEY_run_backend, "cuda");
    const char *missing = nsamp_job_is(job, NSAMP_KEY_run_backend, "cpu") ? "" : no_gpu();
    *learner = NULL;
    if (!missing) return on_gpu(shape, learner, err);
    if (must) return nsamp_job_fail(job, NSAMP_KEY_run_backend, err, "%s; cpu and auto work here", missing);
    if (shape->precision == NSAMP_TF32)
        return nsamp_job_fail(job, NSAMP_KEY_train_precision, err,
                              "only a GPU trains in tf32%s%s; valid here: fp32, bf16",
                              *missing ? ", and " : "", missing);
    const nsamp_status status = on_cpu(job, shape, isa, learner, err);
    if (status || !*missing) return status;
    const size_t used = strlen((*learner)->text);
    snprintf((*learner)->text + used, sizeof(*learner)->text - used, " (%.120s)", missing);
    return NSAMP_OK;
}
