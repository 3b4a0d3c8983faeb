/* models.h: a model from key=value pairs, for tests of systems without the engine. */
#ifndef NSAMP_TESTS_MODELS_H
#define NSAMP_TESTS_MODELS_H

#include "systems/model.h"

/* pairs: key, value, key, value, ..., NULL. */
static nsamp_status model_of(const char *const *pairs, nsamp_model **model, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    nsamp_status status = NSAMP_OK;
    *model = NULL;
    for (; *pairs && !status; pairs += 2)
        status = nsamp_job_set(job, pairs[0], pairs[1], err);
    if (!status) status = nsamp_model_create(job, model, err);
    nsamp_job_destroy(job);
    return status;
}

static nsamp_model *model_good(const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_model *m;
    if (model_of(pairs, &m, &err)) fail_msg("%s", err.text);
    return m;
}

#define MODEL(...) model_good((const char *const[]){__VA_ARGS__, NULL})

#endif
