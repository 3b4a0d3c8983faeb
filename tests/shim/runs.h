/* runs.h: plans driven by hand on one backend, for the tests of the CUDA backend over the shim. Include cmocka.h
 * first. */
#ifndef NSAMP_SHIM_RUNS_H
#define NSAMP_SHIM_RUNS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/plan.h"
#include "scratch.h"
#include "shim.h"
#include "train/network.h"

/* Saves net in the test's folder under a name of its own and destroys it; setting: "system.model=PATH". */
static inline void save_network(char *setting, size_t size, nsamp_network *net) {
    static unsigned count;
    char name[32];
    nsamp_error err = {0};
    snprintf(name, sizeof name, "net%u", count++);
    const char *const path = scratch(name);
    if (nsamp_network_save(path, true, net, &err)) fail_msg("%s", err.text);
    nsamp_network_destroy(net);
    snprintf(setting, size, "system.model=%s", path);
}

static inline void set_all(nsamp_job *job, const char *const *settings) {
    nsamp_error err = {0};
    for (; *settings; settings++) {
        char key[128];
        const char *eq = strchr(*settings, '=');
        snprintf(key, sizeof key, "%.*s", (int)(eq - *settings), *settings);
        if (nsamp_job_set(job, key, eq + 1, &err)) fail_msg("%s", err.text);
    }
}

static inline nsamp_plan *plan_on(const char *backend, const char *const *settings) {
    static const char *const common[] = {
        "run.seed=20240607", "run.chains=29", "run.steps=8", "run.accumulate_every=2",
        "run.burn_in=3",     "run.threads=1", NULL};
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    assert_non_null(job);
    set_all(job, common);
    set_all(job, settings);
    if (nsamp_job_set(job, "run.backend", backend, &err)) fail_msg("%s", err.text);
    if (nsamp_plan_create(job, &plan, &err)) fail_msg("%s", err.text);
    nsamp_job_destroy(job);
    assert_string_equal(plan->backend->ops->name, backend);
    return plan;
}

/* All steps, in uneven calls; x [C][D] gets the observed chains in the middle and at the end. tamper, if any,
 * changes the model before the start. */
typedef void tamper_fn(nsamp_model *model);

static inline nsamp_plan *run_on(const char *backend, const char *const *settings, tamper_fn *tamper,
                                 float **x) {
    nsamp_error err = {0};
    nsamp_plan *p = plan_on(backend, settings);
    if (tamper) tamper(p->model);
    const uint64_t C = p->batch.chains, D = p->model->dim, cuts[] = {0, 1, 5, p->steps};
    *x = malloc(2 * C * D * sizeof **x);
    assert_non_null(*x);
    if (nsamp_plan_start(p, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < 3; i++) {
        if (p->backend->ops->advance(p->backend, cuts[i], cuts[i + 1], NULL, &err)) fail_msg("%s", err.text);
        if (i &&
            p->backend->ops->observe(p->backend, &(nsamp_record){C, *x + (size_t)(i - 1) * C * D, D}, &err))
            fail_msg("%s", err.text);
    }
    if (p->backend->ops->fetch(p->backend, &err)) fail_msg("%s", err.text);
    return p;
}

static const struct {
    nsamp_shim_order order;
    const char *name;
} orders[] = {
    {NSAMP_SHIM_FORWARD, "forward"}, {NSAMP_SHIM_REVERSED, "reversed"}, {NSAMP_SHIM_SHUFFLED, "shuffled"}};

#endif
