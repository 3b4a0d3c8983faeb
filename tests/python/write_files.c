/* write_files.c: write_files FOLDER writes sample.nc (tests/sample_output.h), model.nc
 * (tests/sample_network.h) and run.nc (a short run through the public API) for test_files.py. */
#include <stdio.h>
#include <string.h>

#include "sample_network.h"
#include "sample_output.h"

static int failed(const char *what, const nsamp_error *err) {
    fprintf(stderr, "%s: %s\n", what, err->text);
    return 1;
}

static nsamp_status set(nsamp_job *job, const char *const (*list)[2], nsamp_error *err) {
    nsamp_status status = NSAMP_OK;
    for (; (*list)[0] && !status; list++)
        status = nsamp_job_set(job, (*list)[0], (*list)[1], err);
    return status;
}

static nsamp_status write_sample(const char *path, nsamp_error *err) {
    const char *const list[][2] = {
        {"output.file", path}, {"run.seed", "77"}, {"target.weights", "0.25 0.75"}, {0}};
    nsamp_job *job = nsamp_job_create();
    nsamp_status status = set(job, list, err);
    if (!status) status = out_write(job, err);
    nsamp_job_destroy(job);
    return status;
}

/* Every accumulated sample is stored, so that the moments can be computed again from x. */
static nsamp_status write_run(const char *path, nsamp_error *err) {
    const char *const list[][2] = {{"output.file", path},         {"target.dim", "3"},
                                   {"target.rho", "0.5"},         {"run.chains", "64"},
                                   {"run.steps", "1100"},         {"run.burn_in", "100"},
                                   {"run.accumulate_every", "5"}, {"record.every", "5"},
                                   {"record.chains", "64"},       {0}};
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    nsamp_status status = set(job, list, err);
    if (!status) status = nsamp_plan_create(job, &plan, err);
    if (!status) status = nsamp_plan_run(plan, NULL, NULL, err);
    nsamp_plan_destroy(plan);
    nsamp_job_destroy(job);
    return status;
}

int main(int argc, char **argv) {
    nsamp_error err = {0};
    char path[1024];
    if (argc != 2) return 2;
    snprintf(path, sizeof path, "%s/sample.nc", argv[1]);
    if (write_sample(path, &err)) return failed("sample.nc", &err);
    snprintf(path, sizeof path, "%s/run.nc", argv[1]);
    if (write_run(path, &err)) return failed("run.nc", &err);
    snprintf(path, sizeof path, "%s/model.nc", argv[1]);
    nsamp_network *net = net_sample(1);
    const nsamp_status status = nsamp_network_save(path, true, net, &err);
    nsamp_network_destroy(net);
    return status ? failed("model.nc", &err) : 0;
}
