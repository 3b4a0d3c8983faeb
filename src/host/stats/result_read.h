/* result_read.h: an output file as a child reads it (io/apart.h), and what it sends to result.c, which is
 * the only one to include this: records, one after the other. Not here: whether they make sense together. */
#ifndef NSAMP_HOST_STATS_RESULT_READ_H
#define NSAMP_HOST_STATS_RESULT_READ_H

#include <stdio.h>
#include "stats/result.h"

typedef enum nsamp_record_kind {
    NSAMP_RECORD_KEY = 1, /* of the job, not the default: name; data: its origin, a 0, its value */
    NSAMP_RECORD_ARRAY,   /* group, name, unit, rank, columns; data: doubles */
    NSAMP_RECORD_SOURCE,  /* data: characters, what the exact values are */
    NSAMP_RECORD_DRAWS    /* chains, draws, dim; data: the step of each draw, doubles */
} nsamp_record_kind;

typedef struct nsamp_result_record {
    uint64_t kind, bytes; /* bytes of data after it */
    uint64_t rank, columns, chains, draws, dim;
    char group[32], name[128], unit[32];
} nsamp_result_record;

/* For nsamp_apart; context: the path, const char *. */
nsamp_status nsamp_result_send(void *context, FILE *to, nsamp_error *err);

/* Draws [chains][draws - first][dim] -> x, memory that the child shares. For nsamp_apart; nothing is sent. */
typedef struct nsamp_draws_wanted {
    const char *path;
    size_t first[3], count[3]; /* chains, draws, dim */
    float *x;
} nsamp_draws_wanted;
nsamp_status nsamp_result_send_draws(void *context, FILE *to, nsamp_error *err);

#endif
