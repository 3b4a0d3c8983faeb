/* job.c: a job: one value for each key of the table. Reading files is in read.c, sweeps in sweep.c, values in
 * value.c. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "job/nearest.h"
#include "job/spelling.h"
#include "job/value.h"

nsamp_job *nsamp_job_create(void) {
    nsamp_job *job = calloc(1, sizeof *job);
    if (!job) return NULL;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        if (nsamp_value_parse(k, nsamp_options[k].text, "default", NSAMP_RANK_DEFAULT, &job->values[k],
                              NULL)) {
            nsamp_job_destroy(job);
            return NULL;
        }
    return job;
}

void nsamp_job_destroy(nsamp_job *job) {
    if (!job) return;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        nsamp_value_free(&job->values[k]);
    free(job);
}

static void *duplicate(const void *from, size_t bytes, bool *failed) {
    if (!from) return NULL;
    void *to = malloc(bytes);
    if (to)
        memcpy(to, from, bytes);
    else
        *failed = true;
    return to;
}

nsamp_job *nsamp_job_copy(const nsamp_job *job) {
    nsamp_job *copy = malloc(sizeof *copy);
    if (!copy) return NULL;
    *copy = *job;
    bool failed = false;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        const nsamp_value *from = &job->values[k];
        nsamp_value *to = &copy->values[k];
        to->text = duplicate(from->text, strlen(from->text) + 1, &failed);
        to->origin = duplicate(from->origin, strlen(from->origin) + 1, &failed);
        to->ints = duplicate(from->ints, from->count * sizeof *from->ints, &failed);
        to->reals = duplicate(from->reals, from->count * sizeof *from->reals, &failed);
        to->beside = duplicate(from->beside, from->beside ? strlen(from->beside) + 1 : 0, &failed);
    }
    if (!failed) return copy;
    nsamp_job_destroy(copy);
    return NULL;
}

nsamp_status nsamp_job_unknown(const char *name, const char *origin, nsamp_error *err) {
    const nsamp_option *near = &nsamp_options[nsamp_nearest_key(name)];
    const char *dot = strchr(name, '.');
    char odd[NSAMP_SPELLING];
    size_t column;
    if (nsamp_spelling_odd(name, strlen(name), &column, odd) < strlen(name))
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: '%.*s' is not a key: character %zu is %s; nearest: %s.%s",
                          origin, NSAMP_SHOWN, name, column, odd, near->section, near->key);
    bool section_known = false;
    for (nsamp_key k = 0; dot && k < NSAMP_KEY_count; k++) {
        const char *s = nsamp_options[k].section;
        section_known |= strlen(s) == (size_t)(dot - name) && !memcmp(s, name, strlen(s));
    }
    if (!dot)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: '%.*s' is not a key: keys are section.key; nearest: %s.%s",
                          origin, NSAMP_SHOWN, name, near->section, near->key);
    return nsamp_fail(err, NSAMP_EUSAGE, "%s: unknown %s %.*s; nearest: %s.%s (nsamp help lists the keys)",
                      origin, section_known ? "key" : "section and key", NSAMP_SHOWN, name, near->section,
                      near->key);
}

nsamp_status nsamp_job_write(nsamp_job *job, const char *name, const char *text, const char *origin,
                             nsamp_rank rank, nsamp_error *err) {
    nsamp_key key = nsamp_key_find(name);
    if (key == NSAMP_KEY_count) return nsamp_job_unknown(name, origin, err);
    nsamp_value value;
    nsamp_status status = nsamp_value_parse(key, text, origin, rank, &value, err);
    if (status) return status;
    size_t points = nsamp_value_points(key, &value);
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        if (k != key) points *= nsamp_value_points(k, &job->values[k]);
    if (points > NSAMP_SWEEP_MAX)
        status = nsamp_value_fail(key, text, origin, err,
                                  "with the other sweeps this makes more than 1000000 jobs");
    if (!status) status = nsamp_value_find_input(key, &value, err);
    if (status || rank < job->values[key].rank) {
        nsamp_value_free(&value);
        return status;
    }
    value.order = ++job->writes;
    nsamp_value_free(&job->values[key]);
    job->values[key] = value;
    return NSAMP_OK;
}

nsamp_status nsamp_job_set(nsamp_job *job, const char *key, const char *value, nsamp_error *err) {
    return nsamp_job_write(job, key, value, "api", NSAMP_RANK_SET, err);
}

nsamp_status nsamp_job_set_from(nsamp_job *job, const char *key, const char *value, const char *origin,
                                nsamp_error *err) {
    return nsamp_job_write(job, key, value, origin, NSAMP_RANK_SET, err);
}

/* ---- values ---- */

int64_t nsamp_job_int(const nsamp_job *job, nsamp_key key) {
    assert(nsamp_options[key].type == NSAMP_INT);
    return job->values[key].ints[0];
}

double nsamp_job_real(const nsamp_job *job, nsamp_key key) {
    assert(nsamp_options[key].type == NSAMP_REAL);
    return job->values[key].reals[0];
}

bool nsamp_job_bool(const nsamp_job *job, nsamp_key key) {
    assert(nsamp_options[key].type == NSAMP_BOOL);
    return job->values[key].ints[0] != 0;
}

const char *nsamp_job_text(const nsamp_job *job, nsamp_key key) {
    return job->values[key].text;
}

bool nsamp_job_is(const nsamp_job *job, nsamp_key key, const char *choice) {
    assert(nsamp_options[key].type == NSAMP_CHOICE);
    char text[64];
    nsamp_value_point_text(key, &job->values[key], 0, text, sizeof text);
    return !strcmp(text, choice);
}

const double *nsamp_job_reals(const nsamp_job *job, nsamp_key key, size_t *count) {
    assert(nsamp_options[key].type == NSAMP_REALS);
    *count = job->values[key].count;
    return job->values[key].reals;
}

bool nsamp_job_is_set(const nsamp_job *job, nsamp_key key) {
    return job->values[key].rank != NSAMP_RANK_DEFAULT;
}

const char *nsamp_job_origin(const nsamp_job *job, nsamp_key key) {
    return job->values[key].origin;
}

nsamp_status nsamp_job_fail(const nsamp_job *job, nsamp_key key, nsamp_error *err, const char *format, ...) {
    char reason[768];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    return nsamp_value_fail(key, job->values[key].text, job->values[key].origin, err, reason);
}
