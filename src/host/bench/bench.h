/* bench.h: how fast chains advance on this machine, against what the machine can do at all, measured in one process.
 *
 * Correctness first: the systems are held to their laws (check.h) before anything is timed, and each case to a reference in double precision
 * where there is one (reference.h, training.h); a case that fails has no rate. What is timed is what a user gets: the engine, all threads,
 * accumulators at the plan's interval, no recording. Not here: the table for people (cli), the file (report.h), the picture (roofline.h). */
#ifndef NSAMP_HOST_BENCH_BENCH_H
#define NSAMP_HOST_BENCH_BENCH_H

#include "bench/counts.h"
#include "bench/machine.h"

enum { NSAMP_BENCH_SMALL = 1, NSAMP_BENCH_MEDIUM = 2, NSAMP_BENCH_LARGE = 4, NSAMP_BENCH_ALL = 7 };

/* A case with other settings, by turns with its own. */
typedef struct nsamp_bench_against {
    char error[512]; /* not empty: not compared, and why */
    bool failed;     /* it ran and was wrong */
    char kernel[512], backend[8];
    double own;       /* rate of the case's own settings in these rounds, the median */
    nsamp_rate rate;  /* of the other settings, units a second */
    nsamp_rate ratio; /* the case's own rate over that: of the median round, lowest, highest */
} nsamp_bench_against;

typedef struct nsamp_bench_row {
    char system[24], title[64], job[400]; /* the job: settings of the case; overrides are the report's */
    int size;                             /* NSAMP_BENCH_SMALL ... */
    char error[512];                      /* not empty: not timed, and why; then only what is above counts */
    bool failed;                          /* it ran and was wrong */
    char unit[12];                        /* "chain-step", or "sample" of a training */
    char kernel[512], backend[8];
    uint64_t chains;                 /* of a training: the batch */
    size_t dim;                      /* D or m */
    nsamp_rate rate;                 /* units a second */
    nsamp_counts counts;             /* of a unit */
    char copy[16];                   /* the copy that bounds it, a name of ceilings.def */
    double product;                  /* FLOP/s of the products alone on its shape; 0: no products */
    double bound[NSAMP_BOUND_count]; /* units a second */
    nsamp_bound binds;
    double
        tau; /* steps for each effective sample: C T over the smallest ESS of the coordinates; NaN: not known */
    char tau_source
        [8]; /* "run", where the timed run lasted 20 tau; "law", the exact one of the recursion; "" */
    double reference;            /* error of reference.h or training.h; negative: none, only the law */
    nsamp_bench_against against; /* where the report has other settings */
} nsamp_bench_row;

typedef struct nsamp_bench_report {
    nsamp_machine machine;
    nsamp_stopwatch watch;
    char overrides[1024]; /* settings put on top of every case, separated by spaces */
    char against[512];    /* the other settings that every case is set against by turns; or empty */
    size_t laws;          /* comparisons of nsamp check that passed before */
    nsamp_ceilings ceilings;
    bool beside; /* the CPU's loops of vectors are measured again before and after each row, and bound it */
    nsamp_bench_row *rows;
    size_t count;
} nsamp_bench_report;

typedef struct nsamp_bench_options {
    const char *const *systems; /* langevin, rsn, mh-spiking, training; none: all */
    size_t nsystems;
    const char *const *settings; /* "section.key=value", put on top of every case */
    size_t nsettings;
    const char *against; /* the same, in one text, of what every case is set against; NULL: nothing */
    int sizes;
    nsamp_stopwatch watch;
} nsamp_bench_options;

/* A second or so a case; and for a short look. */
extern const nsamp_stopwatch nsamp_bench_watch, nsamp_bench_quick;

/* Told before each measurement; non-zero stops with NSAMP_STOPPED. */
typedef int nsamp_bench_progress(const char *what, size_t index, size_t count, void *user);

/* NSAMP_EUSAGE: an unknown system, or settings with which no case can run; NSAMP_ECHECK when a law fails (then nothing is timed) or a case does
 * (the others are there); NSAMP_STOPPED. Free the report in every case. */
nsamp_status nsamp_bench_run(const nsamp_bench_options *options, nsamp_bench_progress *progress, void *user,
                             nsamp_bench_report *report, nsamp_error *err);
void nsamp_bench_report_free(nsamp_bench_report *report);
/* What binds a row, for people: a name of nsamp_bound_names, "words" where it is their rate, "nothing". */
const char *nsamp_bound_text(const nsamp_bench_row *row);

/* Times one plan, or one training, into row, whose system, title, size and job are set (row.c). A failure is the row's: row->error. */
void nsamp_bench_time(const nsamp_bench_report *report, const nsamp_job *job, nsamp_bench_row *row);
/* The same for a plan that is there and has not been started. */
void nsamp_bench_time_plan(const nsamp_bench_report *report, nsamp_plan *plan, nsamp_bench_row *row);
/* The rate of a timed row's job over that of another by turns -> row->against (versus.c); `other` has that one's settings on top. */
void nsamp_bench_versus(const nsamp_bench_report *report, const nsamp_job *job, const nsamp_job *other,
                        nsamp_bench_row *row);
/* What its chains have accumulated; it is the backend's. NSAMP_EDIVERGED where one of them diverged. */
nsamp_status nsamp_bench_summary(nsamp_plan *plan, nsamp_summary *summary, nsamp_error *err);
/* Work for measure.h: steps of a started plan. */
nsamp_status nsamp_bench_advance(void *plan, uint64_t steps, nsamp_error *err);

#endif
