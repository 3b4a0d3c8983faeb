/* targets.h: what the tests of targets and of their samplers share: a target from key=value pairs. */
#ifndef NSAMP_TESTS_TARGETS_H
#define NSAMP_TESTS_TARGETS_H

#include <math.h>
#include <string.h>

#include "targets/target.h"

/* pairs: key, value, key, value, ..., NULL. */
static nsamp_status target_of(const char *const *pairs, nsamp_target **target, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    nsamp_status status = NSAMP_OK;
    *target = NULL;
    for (; *pairs && !status; pairs += 2)
        status = nsamp_job_set(job, pairs[0], pairs[1], err);
    if (!status) status = nsamp_target_create(job, target, err);
    nsamp_job_destroy(job);
    return status;
}

static nsamp_target *target_good(const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_target *t;
    if (target_of(pairs, &t, &err)) fail_msg("%s", err.text);
    return t;
}

static inline void assert_close(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance)) fail_msg("%.12g is not %.12g to %.3g", a, b, tolerance);
}

#define TARGET(...)            target_good((const char *const[]){__VA_ARGS__, NULL})
#define TARGET_REFUSED(e, ...) target_of((const char *const[]){__VA_ARGS__, NULL}, &(nsamp_target *){NULL}, e)

#endif
