/* progress.h: what a long run shows while it runs, and how it is asked to stop. */
#ifndef NSAMP_HOST_CLI_PROGRESS_H
#define NSAMP_HOST_CLI_PROGRESS_H

#include "job/job.h"

typedef struct cli_progress {
    const char *status_path; /* file that follows the progress; empty: none. Not owned */
    const char *rate_unit;   /* "chain-steps/s" */
    const char *label;       /* which point of a sweep ("3/12 target.rho=0.5"), or "" */
    bool quiet, terminal, shown, status_failed;
    double printed_s, status_s; /* monotonic time of the last line and of the last status */
} cli_progress;

/* Makes SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP and SIGINT a request to stop, which cli_progress_report
 * passes on; a second SIGINT kills. SIGHUP and SIGINT stay ignored where they were (nohup); SIGPIPE is ignored. */
void cli_stop_on_signals(void);
/* Whether a stop was asked for. */
bool cli_stop_requested(void);

/* Starts the display; writes the first status file, NSAMP_EIO if it cannot be written. */
nsamp_status cli_progress_begin(cli_progress *p, const nsamp_job *job, const char *rate_unit,
                                const char *label, bool quiet, nsamp_error *err);
/* A nsamp_progress_fn; user is a cli_progress. */
int cli_progress_report(const nsamp_progress *now, void *user);
/* Clears the line on a terminal; writes the last status. */
void cli_progress_end(cli_progress *p, nsamp_status status);

/* "48 s", "3 min 20 s", "2 h 05 min". */
void cli_duration(double seconds, char *text, size_t size);

#endif
