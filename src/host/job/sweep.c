/* sweep.c: the jobs that a job with sweeps stands for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "job/value.h"

size_t nsamp_job_sweep_keys(const nsamp_job *job, nsamp_key keys[NSAMP_KEY_count]) {
    size_t n = 0;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        if (nsamp_value_points(k, &job->values[k]) == 1) continue;
        size_t at = n++;
        for (; at && job->values[keys[at - 1]].order > job->values[k].order; at--)
            keys[at] = keys[at - 1];
        keys[at] = k;
    }
    return n;
}

size_t nsamp_job_sweep_count(const nsamp_job *job) {
    size_t count = 1;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        count *= nsamp_value_points(k, &job->values[k]);
    return count;
}

nsamp_job *nsamp_job_sweep_at(const nsamp_job *job, size_t k, char *label, size_t label_size) {
    nsamp_key keys[NSAMP_KEY_count];
    size_t n = nsamp_job_sweep_keys(job, keys), index[NSAMP_KEY_count], used = 0;
    for (size_t i = n; i-- > 0;) {
        size_t points = nsamp_value_points(keys[i], &job->values[keys[i]]);
        index[i] = k % points;
        k /= points;
    }
    nsamp_job *point = nsamp_job_copy(job);
    if (label_size) label[0] = 0;
    for (size_t i = 0; point && i < n; i++) {
        const nsamp_value *from = &job->values[keys[i]];
        nsamp_value value;
        char text[64];
        nsamp_value_point_text(keys[i], from, index[i], text, sizeof text);
        if (nsamp_value_parse(keys[i], text, from->origin, from->rank, &value, NULL)) {
            nsamp_job_destroy(point);
            return NULL;
        }
        value.order = from->order;
        nsamp_value_free(&point->values[keys[i]]);
        point->values[keys[i]] = value;
        const nsamp_option *o = &nsamp_options[keys[i]];
        if (used < label_size)
            used += (size_t)snprintf(label + used, label_size - used, "%s%s.%s=%s", i ? " " : "", o->section,
                                     o->key, text);
    }
    return point;
}

nsamp_status nsamp_job_require_plain(const nsamp_job *job, nsamp_error *err) {
    nsamp_key keys[NSAMP_KEY_count];
    if (!nsamp_job_sweep_keys(job, keys)) return NSAMP_OK;
    return nsamp_job_fail(job, keys[0], err, "a sweep of %zu jobs where one value is needed",
                          nsamp_job_sweep_count(job));
}
