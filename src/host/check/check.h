/* check.h: the samplers against their laws, on this machine's backends. `nsamp check` prints these rows, the
 * tests require them. The jobs are in cases.c; what is compared is whatever exact value the system's law or
 * statistics give. */
#ifndef NSAMP_HOST_CHECK_CHECK_H
#define NSAMP_HOST_CHECK_CHECK_H

#include <stdbool.h>
#include "nsamp.h"
#include "stats/laws.h"

struct nsamp_model;

/* One quantity of one case; of several entries (coordinates, neurons) the one with the largest |z| is shown.
 */
typedef struct nsamp_check_row {
    char system[32], job[256], quantity[48];
    char text[1024]; /* of the first row of a case: its law in words; of an error: why */
    size_t entries;  /* compared; each has its share of the false-alarm budget */
    double value, expected, se, z;
    double
        rounding; /* what float32 coefficients may move the value by, a share of its scale: z is of what is beyond it */
    double sees, must_see; /* smallest fault that the threshold would catch, and the largest allowed, both as
                              a share of the quantity's scale */
    nsamp_verdict verdict;
    bool error; /* the run itself failed; text says why. Counts as failed */
} nsamp_check_row;

typedef struct nsamp_check_report {
    nsamp_check_row *rows;
    size_t count, failed;
    double threshold; /* on |z|, two-sided, from the budget and the number of entries */
    double budget;    /* chance that a correct program fails anything: 1e-6 */
} nsamp_check_report;

/* Told before each case; non-zero stops with NSAMP_STOPPED. */
typedef int nsamp_check_progress(const char *system, const char *job, size_t index, size_t count, void *user);

/* Runs the cases of the named systems (count 0: all), with extra settings "section.key=value" put on top of
 * each (a backend, threads); with a mode on top that is not for all, run.math=fast
 * or a GPU for bf16x3, only the cases that have it. NSAMP_OK or NSAMP_ECHECK; NSAMP_EUSAGE for an unknown
 * system, or where no case is left. Free the report in
 * every case. */
nsamp_status nsamp_check_run(const char *const *systems, size_t count, const char *const *settings,
                             size_t nsettings, nsamp_check_progress *progress, void *user,
                             nsamp_check_report *report, nsamp_error *err);
/* A fault put into a model that is built, before it runs: for the test that shows which faults the cases
 * see. `only`: part of the settings of the cases that run. alter changes model->params. */
typedef struct nsamp_check_fault {
    const char *only;
    void (*alter)(struct nsamp_model *model, void *user);
    void *user;
} nsamp_check_fault;
/* nsamp_check_run on faulty models; NULL: without a fault. */
nsamp_status nsamp_check_run_faulty(const char *const *systems, size_t count, const char *const *settings,
                                    size_t nsettings, const nsamp_check_fault *fault,
                                    nsamp_check_progress *progress, void *user, nsamp_check_report *report,
                                    nsamp_error *err);
void nsamp_check_report_free(nsamp_check_report *report);

#endif
