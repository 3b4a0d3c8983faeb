/* value.h: one value of a job, parsed. Private to src/host/job. */
#ifndef NSAMP_HOST_JOB_VALUE_H
#define NSAMP_HOST_JOB_VALUE_H

#include "job/job.h"

/* Who wrote a value: a later rank is never overridden by an earlier one. */
typedef enum nsamp_rank { NSAMP_RANK_DEFAULT, NSAMP_RANK_FILE, NSAMP_RANK_SET } nsamp_rank;

enum {
    NSAMP_SWEEP_MAX = 1000000, /* jobs that one job may stand for */
    NSAMP_SHOWN = 60           /* characters of a value that messages show */
};

typedef struct nsamp_value {
    char *text;   /* as written */
    char *origin; /* "default", "FILE:LINE", "command line", "api" */
    nsamp_rank rank;
    uint32_t order; /* when it was written */
    size_t count;   /* entries below: 1, or the points of a sweep, or the length of a REALS list */
    int64_t *ints;  /* INT; BOOL: 0 or 1; CHOICE: index of the choice; otherwise NULL */
    double *reals;  /* REAL, REALS; otherwise NULL */
    char *
        beside; /* the file that text names, where it is one beside the job file; otherwise NULL (inputs.c) */
} nsamp_value;

struct nsamp_job {
    nsamp_value values[NSAMP_KEY_count];
    uint32_t writes;
};

/* Parses text as a value of the key. On failure err has the line and *value is left alone. */
nsamp_status nsamp_value_parse(nsamp_key key, const char *text, const char *origin, nsamp_rank rank,
                               nsamp_value *value, nsamp_error *err);
void nsamp_value_free(nsamp_value *value);
/* How many jobs the value stands for. */
size_t nsamp_value_points(nsamp_key key, const nsamp_value *value);
/* The text of point i of a sweep. */
void nsamp_value_point_text(nsamp_key key, const nsamp_value *value, size_t i, char *text, size_t size);
/* err = "ORIGIN: section.key = value: reason"; NSAMP_EUSAGE. */
nsamp_status nsamp_value_fail(nsamp_key key, const char *text, const char *origin, nsamp_error *err,
                              const char *reason);

/* A file that the value, just parsed, names beside its job file -> value->beside. NSAMP_ENOMEM. */
nsamp_status nsamp_value_find_input(nsamp_key key, nsamp_value *value, nsamp_error *err);
/* Does the key name a file whose contents are part of the job? */
bool nsamp_key_names_contents(nsamp_key key);

/* The failure for a name that is no key, with the nearest one that is. */
nsamp_status nsamp_job_unknown(const char *name, const char *origin, nsamp_error *err);
/* Writes a value that was given for a key name. */
nsamp_status nsamp_job_write(nsamp_job *job, const char *name, const char *text, const char *origin,
                             nsamp_rank rank, nsamp_error *err);

#endif
