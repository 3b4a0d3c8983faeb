/* job.c: a job: one value for each key of the table. Reading files is in read.c, sweeps in sweep.c, values in
 * value.c. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "io/plainfile.h"
#include "job/nearest.h"
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
    }
    if (!failed) return copy;
    nsamp_job_destroy(copy);
    return NULL;
}

nsamp_status nsamp_job_unknown(const char *name, const char *origin, nsamp_error *err) {
    const nsamp_option *near = &nsamp_options[nsamp_nearest_key(name)];
    const char *dot = strchr(name, '.');
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

/* ---- digest ---- */

/* Keys that change how, where or for how long a run computes and what is kept of it on the way, but not its
 * numbers. */
static bool shapes_result(nsamp_key key) {
    const char *section = nsamp_options[key].section;
    /* The built-in networks are made of these. */
    if (key == NSAMP_KEY_train_hidden || key == NSAMP_KEY_train_activation) return true;
    if (!strcmp(section, "output") || !strcmp(section, "model") || !strcmp(section, "train")) return false;
    switch (key) {
    case NSAMP_KEY_run_backend:
    case NSAMP_KEY_run_isa:
    case NSAMP_KEY_run_threads:
    case NSAMP_KEY_run_tile:
    case NSAMP_KEY_run_checkpoint:
    case NSAMP_KEY_run_checkpoint_every_s:
    case NSAMP_KEY_run_resume:
    case NSAMP_KEY_run_max_walltime_s:
    case NSAMP_KEY_run_dry:
        return false;
    default:
        return true;
    }
}

/* FNV-1a, 64 bits. */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes) {
    const unsigned char *b = data;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ b[i]) * 0x100000001b3u;
    return hash;
}

bool nsamp_key_shapes_training(nsamp_key key) {
    const char *section = nsamp_options[key].section;
    if (key == NSAMP_KEY_train_checkpoint_every_s || key == NSAMP_KEY_train_resume ||
        key == NSAMP_KEY_train_max_walltime_s || key == NSAMP_KEY_train_max_batches)
        return false;
    return !strcmp(section, "target") || !strcmp(section, "data") || !strcmp(section, "train");
}

/* The bytes of the plain file that a value names; nothing where there is none, which its reader will say. */
static uint64_t mix_file(uint64_t hash, const char *path) {
    FILE *f;
    nsamp_error ignored = {0};
    if (!*path || nsamp_fopen_plain(path, &f, &ignored)) return hash;
    unsigned char block[1 << 14];
    for (size_t n; (n = fread(block, 1, sizeof block, f));)
        hash = mix(hash, block, n);
    fclose(f);
    return hash;
}

/* Does the key name a file whose contents are part of the job? */
static bool names_input(nsamp_key key) {
    return key == NSAMP_KEY_system_model || key == NSAMP_KEY_target_file || key == NSAMP_KEY_data_images ||
           key == NSAMP_KEY_data_labels;
}

static uint64_t digest_of(const nsamp_job *job, bool (*shapes)(nsamp_key)) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        const nsamp_value *v = &job->values[k];
        const nsamp_option *o = &nsamp_options[k];
        if (!shapes(k)) continue;
        hash = mix(hash, o->section, strlen(o->section) + 1);
        hash = mix(hash, o->key, strlen(o->key) + 1);
        /* Values, not spellings: 1000 and 1e3 are the same job. */
        if (v->ints) hash = mix(hash, v->ints, v->count * sizeof *v->ints);
        if (v->reals) hash = mix(hash, v->reals, v->count * sizeof *v->reals);
        if (o->type == NSAMP_TEXT) hash = mix(hash, v->text, strlen(v->text) + 1);
        if (names_input(k)) hash = mix_file(hash, v->text);
    }
    return hash;
}

uint64_t nsamp_job_digest(const nsamp_job *job) {
    return digest_of(job, shapes_result);
}

uint64_t nsamp_job_training_digest(const nsamp_job *job) {
    return digest_of(job, nsamp_key_shapes_training);
}
