/* progress.c: one line rewritten on a terminal, a plain line every few seconds elsewhere, both on standard
 * error; a small file for another terminal; stop requests by signal. */
#include "cli/progress.h"
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "clock.h"
#include "error.h"
#include "io/newfile.h"

static const double SILENT_S = 2.0, TERMINAL_S = 0.2, PLAIN_S = 5.0, STATUS_S = 1.0;

static volatile sig_atomic_t stop_signal;

static void on_signal(int number) {
    stop_signal = number;
}

void cli_stop_on_signals(void) {
    /* What batch systems and terminals send before they kill. */
    static const int numbers[] = {SIGTERM, SIGUSR1, SIGUSR2, SIGXCPU, SIGHUP, SIGINT};
    struct sigaction action = {0}, before;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const bool asked_to_ignore = numbers[i] == SIGHUP || numbers[i] == SIGINT; /* nohup, a shell's & */
        if (asked_to_ignore && !sigaction(numbers[i], NULL, &before) && before.sa_handler == SIG_IGN)
            continue;
        action.sa_handler = on_signal;
        /* Whoever presses the keys twice means it. */
        action.sa_flags = numbers[i] == SIGINT ? SA_RESTART | (int)SA_RESETHAND : SA_RESTART;
        sigaction(numbers[i], &action, NULL);
    }
    /* A reader of the table that goes away must not take the run with it. */
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
}

bool cli_stop_requested(void) {
    return stop_signal != 0;
}

void cli_duration(double seconds, char *text, size_t size) {
    double s = ceil(seconds);
    if (s < 120)
        snprintf(text, size, "%.0f s", s);
    else if (s < 7200)
        snprintf(text, size, "%.0f min %02.0f s", floor(s / 60), fmod(s, 60));
    else
        snprintf(text, size, "%.0f h %02.0f min", floor(s / 3600), floor(fmod(s, 3600) / 60));
}

static double percent(const nsamp_progress *now) {
    return now->total ? 100.0 * (double)now->done / (double)now->total : 0.0;
}

/* Adds to a line that must not overflow. */
__attribute__((format(printf, 3, 4))) static void add(char *line, size_t size, const char *format, ...) {
    size_t used = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + used, size - used, format, args);
    va_end(args);
}

static void compose(const cli_progress *p, const nsamp_progress *now, char *line, size_t size) {
    char left[48];
    line[0] = 0;
    if (*p->label) add(line, size, "%s: ", p->label);
    add(line, size, "%s %.1f %%", now->phase, percent(now));
    if (now->level) add(line, size, ", level %d/%d", now->level, now->levels);
    if (now->level && now->epochs > 0) add(line, size, ", epoch %.1f/%g", now->epoch, now->epochs);
    if (isfinite(now->loss)) add(line, size, ", loss %.4g", now->loss);
    add(line, size, ", %.3g %s", now->rate, p->rate_unit);
    if (now->seconds_left >= 0) {
        cli_duration(now->seconds_left, left, sizeof left);
        add(line, size, ", %s left", left);
    }
    if (now->diverged) add(line, size, ", %llu diverged", (unsigned long long)now->diverged);
}

static void show(cli_progress *p, const char *line) {
    if (!p->terminal) {
        fprintf(stderr, "%s\n", line);
        return;
    }
    struct winsize window;
    int columns = !ioctl(STDERR_FILENO, TIOCGWINSZ, &window) && window.ws_col > 1 ? window.ws_col - 1 : 79;
    fprintf(stderr, "\r%-*.*s", columns, columns, line);
    fflush(stderr);
    p->shown = true;
}

/* The whole file under a temporary name, then renamed: a reader never sees half of it. Only a plain file is replaced. */
static nsamp_status write_status(const cli_progress *p, const char *state, const nsamp_progress *now,
                                 nsamp_error *err) {
    nsamp_newfile file;
    nsamp_error why = {0};
    const nsamp_status begun = nsamp_newfile_begin(p->status_path, true, &file, &why);
    if (begun) return nsamp_fail(err, begun, "output.status: %s", why.text);
    file.quick = true;
    FILE *f = fopen(file.temp, "w");
    if (!f) {
        const int reason = errno;
        nsamp_newfile_abandon(&file);
        return nsamp_fail(err, NSAMP_EIO, "output.status: %s cannot be written: %s", p->status_path,
                          strerror(reason));
    }
    fprintf(f, "state = %s\npid = %ld\n", state, (long)getpid());
    if (*p->label) fprintf(f, "point = %s\n", p->label);
    if (now) {
        fprintf(f, "phase = %s\ndone = %llu\ntotal = %llu\npercent = %.2f\nseconds = %.1f\nrate = %.6g %s\n",
                now->phase, (unsigned long long)now->done, (unsigned long long)now->total, percent(now),
                now->seconds, now->rate, p->rate_unit);
        if (now->seconds_left >= 0) fprintf(f, "seconds_left = %.1f\n", now->seconds_left);
        if (now->level) fprintf(f, "level = %d/%d\n", now->level, now->levels);
        if (isfinite(now->loss)) fprintf(f, "loss = %.9g\n", now->loss);
        fprintf(f, "diverged = %llu\n", (unsigned long long)now->diverged);
    }
    const bool failed = ferror(f) != 0;
    if (fclose(f) || failed) {
        const int reason = errno;
        nsamp_newfile_abandon(&file);
        return nsamp_fail(err, NSAMP_EIO, "output.status: %s cannot be written: %s", p->status_path,
                          strerror(reason));
    }
    const nsamp_status status = nsamp_newfile_commit(&file, &why);
    return status ? nsamp_fail(err, status, "output.status: %s", why.text) : NSAMP_OK;
}

/* During a run a status that cannot be written is said once; the run is worth more than its status. */
static void follow(cli_progress *p, const char *state, const nsamp_progress *now) {
    nsamp_error err = {0};
    if (!*p->status_path || p->status_failed || !write_status(p, state, now, &err)) return;
    p->status_failed = true;
    fprintf(stderr, "nsamp: %s\n", err.text);
}

nsamp_status cli_progress_begin(cli_progress *p, const nsamp_job *job, const char *rate_unit,
                                const char *label, bool quiet, nsamp_error *err) {
    *p = (cli_progress){.status_path = nsamp_job_text(job, NSAMP_KEY_output_status),
                        .rate_unit = rate_unit,
                        .label = label,
                        .quiet = quiet,
                        .terminal = isatty(STDERR_FILENO) != 0};
    return *p->status_path ? write_status(p, "starting", NULL, err) : NSAMP_OK;
}

int cli_progress_report(const nsamp_progress *now, void *user) {
    cli_progress *p = user;
    double t = nsamp_clock();
    if (now->note && !p->quiet)
        fprintf(stderr, "nsamp: note: %s%s%s\n", p->label, *p->label ? ": " : "", now->note);
    if (!p->quiet && now->seconds >= SILENT_S && t - p->printed_s >= (p->terminal ? TERMINAL_S : PLAIN_S)) {
        char line[512];
        compose(p, now, line, sizeof line);
        show(p, line);
        p->printed_s = t;
    }
    if (t - p->status_s >= STATUS_S) {
        follow(p, "running", now);
        p->status_s = t;
    }
    return cli_stop_requested();
}

void cli_progress_end(cli_progress *p, nsamp_status status) {
    if (p->shown) {
        show(p, "");
        fprintf(stderr, "\r");
        fflush(stderr);
    }
    const char *state = !status                     ? "done"
                        : status == NSAMP_STOPPED   ? "stopped"
                        : status == NSAMP_EDIVERGED ? "diverged"
                                                    : "failed";
    follow(p, state, NULL);
}
