/* result.h: an output file of `nsamp run`, read back: the numbers of its groups, its job, its draws. Written
 * by io/output.c. Not here: what is made of them (report.c, plot.c). */
#ifndef NSAMP_HOST_STATS_RESULT_H
#define NSAMP_HOST_STATS_RESULT_H

#include "job/job.h"

/* A numeric variable of a group, or a numeric attribute of it (rank 0). */
typedef struct nsamp_result_array {
    char group[32], name[128], unit[32]; /* unit "" where none is given */
    size_t rank, count, columns;         /* columns: length of the last dimension */
    double *value;                       /* [count] */
} nsamp_result_array;

typedef struct nsamp_result {
    char *path;
    nsamp_job *
        job; /* the job as echoed in the root attributes; keys that this program does not know are left out */
    char source[256]; /* what the exact values are, "" where none is known */
    nsamp_result_array *arrays;
    size_t count;
    size_t chains, draws, dim; /* of the stored draws; chains 0: none are stored */
    double *steps;             /* [draws] step number of each draw */
    uint64_t seen[5];          /* which file it was, and of when */
} nsamp_result;

/* Read by a child (io/apart.h): NSAMP_EIO for a file that is missing, a folder, no netCDF, cut short or
 * damaged, whatever the netCDF library makes of it; NSAMP_EUSAGE for a netCDF file that is no output of
 * `nsamp run`, and for a name that no library takes (io/pathname.h). On failure *result is NULL. */
nsamp_status nsamp_result_open(const char *path, nsamp_result **result, nsamp_error *err);
void nsamp_result_close(nsamp_result *result);

/* NULL where there is none. */
const nsamp_result_array *nsamp_result_find(const nsamp_result *result, const char *group, const char *name);
/* value [0] of an array, or NaN. */
double nsamp_result_number(const nsamp_result *result, const char *group, const char *name);

/* Read again from the file, which must be the one that was opened (NSAMP_EIO otherwise).
 * Stored draws of the first `chains` chains, from draw `first` on -> x [chains][draws - first][dim],
 * malloc'ed, the caller frees. */
nsamp_status nsamp_result_draws(const nsamp_result *result, size_t chains, size_t first, float **x,
                                nsamp_error *err);

/* Adds numbers made from the file, copied: rank 0 for one number, otherwise 1. */
nsamp_status nsamp_result_add(nsamp_result *result, const char *group, const char *name, const double *value,
                              size_t count, size_t rank, nsamp_error *err);

#endif
