/* job.h: a job's keys and values, as the rest of the host reads them. The table is options.def; the public
 * half is in nsamp.h. Not here: what the values mean together (plan.c, systems/, train/). */
#ifndef NSAMP_HOST_JOB_H
#define NSAMP_HOST_JOB_H

#include <stdbool.h>
#include "nsamp.h"

typedef enum nsamp_key {
#define NSAMP_OPTION(section, key, type, def, min, max, choices, unit, help) NSAMP_KEY_##section##_##key,
#include "job/options.def"
#undef NSAMP_OPTION
    NSAMP_KEY_count
} nsamp_key;

typedef enum nsamp_type {
    NSAMP_INT,
    NSAMP_REAL,
    NSAMP_REALS,
    NSAMP_TEXT,
    NSAMP_CHOICE,
    NSAMP_BOOL
} nsamp_type;

typedef struct nsamp_option {
    const char *section, *key; /* full name: section.key */
    nsamp_type type;
    const char *text; /* default */
    double min, max;
    const char *choices, *unit, *help;
} nsamp_option;

/* The table, [NSAMP_KEY_count]. */
extern const nsamp_option nsamp_options[NSAMP_KEY_count];

/* The key of "section.key"; NSAMP_KEY_count if there is none. */
nsamp_key nsamp_key_find(const char *name);
/* What is valid for a key, in words ("a whole number from 1 to 4096", "naive|natural"). */
void nsamp_option_valid(nsamp_key key, char *text, size_t size);

/* nsamp_job_set with an origin to name in messages and in the output ("command line"). */
nsamp_status nsamp_job_set_from(nsamp_job *job, const char *key, const char *value, const char *origin,
                                nsamp_error *err);

/* nsamp_job_read of text in memory, size bytes (no end mark needed), that messages call name. */
nsamp_status nsamp_job_parse(nsamp_job *job, const char *name, const char *text, size_t size,
                             nsamp_error *err);

/* Values. The accessor must fit the key's type (an assertion otherwise). */
int64_t nsamp_job_int(const nsamp_job *job, nsamp_key key);
double nsamp_job_real(const nsamp_job *job, nsamp_key key);
bool nsamp_job_bool(const nsamp_job *job, nsamp_key key);
const char *nsamp_job_text(const nsamp_job *job,
                           nsamp_key key); /* any type: the value as written; owned by job */
/* Where the file or folder of a key that names an input is (system.model, target.file, data.dir, data.images, data.labels): beside the
 * job file that names it or, where there is none and for other origins, relative to the current folder; "" where none is set. Owned by
 * job. NSAMP_EIO, with both places, where a name of a job file is in neither; other files that are missing are left to their readers. */
nsamp_status nsamp_job_input(const nsamp_job *job, nsamp_key key, const char **path, nsamp_error *err);
bool nsamp_job_is(const nsamp_job *job, nsamp_key key, const char *choice);
const double *nsamp_job_reals(const nsamp_job *job, nsamp_key key, size_t *count); /* owned by job */
bool nsamp_job_is_set(const nsamp_job *job, nsamp_key key);                        /* not the default */
/* "default", "FILE:LINE" or "command line" (or "api"). */
const char *nsamp_job_origin(const nsamp_job *job, nsamp_key key);

/* err = "ORIGIN: section.key = value: what is wrong"; the format says what is wrong and what is valid.
 * Returns NSAMP_EUSAGE. For values that are wrong only together with others. */
nsamp_status nsamp_job_fail(const nsamp_job *job, nsamp_key key, nsamp_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sweeps: a value "a:step:b" of a REAL or INT key, or a comma-separated list of a REAL, INT or CHOICE key,
 * stands for several jobs. Count of the jobs this one stands for (1: no sweep); the last key written varies
 * fastest. */
size_t nsamp_job_sweep_count(const nsamp_job *job);
/* Job k of the sweep, all values plain; label is "key=value key=value" of what varies. Caller destroys. NULL:
 * out of memory. */
nsamp_job *nsamp_job_sweep_at(const nsamp_job *job, size_t k, char *label, size_t label_size);
/* The swept keys, in the order in which they were written; returns how many. */
size_t nsamp_job_sweep_keys(const nsamp_job *job, nsamp_key keys[NSAMP_KEY_count]);
/* NSAMP_EUSAGE if the job stands for more than one. The accessors above then give the first. */
nsamp_status nsamp_job_require_plain(const nsamp_job *job, nsamp_error *err);

/* ---- what a checkpoint must agree with (identity.c) ---- */

/* All keys whose values shape the result of `nsamp run` (not threads, backend...) and output.file, a line each, "section.key =
 * value"; of the files that they name (model, target, images, labels) the bytes in the place of the name. Reads those files:
 * taken once, when they are read. Caller frees; NULL: out of memory. */
char *nsamp_job_identity(const nsamp_job *job);
/* The same for `nsamp train`: target.*, data.* and train.*, but not how often it saves and when it stops. */
bool nsamp_key_shapes_training(nsamp_key key);
char *nsamp_job_training_identity(const nsamp_job *job);
/* The first key in which two identities differ and both its values, in words: "run.seed is 1 there, 2 here". */
void nsamp_identity_difference(const char *there, const char *here, char *text, size_t size);

#endif
