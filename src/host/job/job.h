/* job.h: a job's keys and values, as the rest of the host reads them. The table is options.def; the public half is
 * in nsamp.h. Not here: what the values mean together (plan.c, systems/, train/). */
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

typedef enum nsamp_type { NSAMP_INT, NSAMP_REAL, NSAMP_REALS, NSAMP_TEXT, NSAMP_CHOICE, NSAMP_BOOL } nsamp_type;

typedef struct nsamp_option {
    const char *section, *key; /* full name: section.key */
    nsamp_type type;
    const char *text; /* default */
    double min, max;
    const char *choices, *unit, *help;
} nsamp_option;

/* The table, [NSAMP_KEY_count]. */
extern const nsamp_option nsamp_options[];

/* Values. The accessor must fit the key's type (an assertion otherwise). */
int64_t nsamp_job_int(const nsamp_job *job, nsamp_key key);
double nsamp_job_real(const nsamp_job *job, nsamp_key key);
bool nsamp_job_bool(const nsamp_job *job, nsamp_key key);
const char *nsamp_job_text(const nsamp_job *job, nsamp_key key); /* any type: the value as written; owned by job */
bool nsamp_job_is(const nsamp_job *job, nsamp_key key, const char *choice);
const double *nsamp_job_reals(const nsamp_job *job, nsamp_key key, size_t *count); /* owned by job */
bool nsamp_job_is_set(const nsamp_job *job, nsamp_key key); /* not the default */
/* "default", "FILE:LINE" or "command line" (or "api"). */
const char *nsamp_job_origin(const nsamp_job *job, nsamp_key key);

/* err = "ORIGIN: section.key = value: what is wrong"; the format says what is wrong and what is valid. Returns
 * NSAMP_EUSAGE. For values that are wrong only together with others. */
nsamp_status nsamp_job_fail(const nsamp_job *job, nsamp_key key, nsamp_error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sweeps: a value "a:step:b" of a REAL or INT key, or a comma-separated list of a REAL, INT or CHOICE key, stands
 * for several jobs. Count of the jobs this one stands for (1: no sweep); the last key written varies fastest. */
size_t nsamp_job_sweep_count(const nsamp_job *job);
/* Job k of the sweep, all values plain; label is "key=value key=value" of what varies. Caller destroys. NULL: out of memory. */
nsamp_job *nsamp_job_sweep_at(const nsamp_job *job, size_t k, char *label, size_t label_size);

/* All keys whose values shape the result of `nsamp run` (not threads, backend, output...), hashed: what a checkpoint
 * must agree with. */
uint64_t nsamp_job_digest(const nsamp_job *job);

#endif
