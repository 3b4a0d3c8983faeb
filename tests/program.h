/* program.h: runs a program without a shell and keeps what it said. For tests of the command line. */
#ifndef NSAMP_TESTS_PROGRAM_H
#define NSAMP_TESTS_PROGRAM_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PROGRAM_WORDS = 32, PROGRAM_TEXT = 1 << 18 };

typedef struct program {
    const char *words[PROGRAM_WORDS]; /* after the program's name; NULL at the end */
    const char *folder;               /* where it runs; NULL: here */
    const char *environment[4];       /* "NAME=value", added; NULL at the end */
    const char *out_path;             /* standard output goes to this file instead */
    long file_limit;                  /* bytes that a file may grow to (a full disk); 0: no limit */
    int terminal;                     /* file descriptor for both outputs; 0: pipes */
    int ignored;                      /* a signal that it is started to ignore, as by nohup; 0: none */
    bool closed;                      /* it is started without standard input, output and error */
} program;

typedef struct program_result {
    int code; /* exit code; 128 + signal if it was killed */
    char out[PROGRAM_TEXT], err[PROGRAM_TEXT];
} program_result;

/* The path of the program: environment NSAMP_BIN or build/nsamp, made absolute. */
static const char *program_path(void) {
    static char path[4096];
    if (!path[0]) {
        const char *named = getenv("NSAMP_BIN");
        if (!realpath(named && *named ? named : "build/nsamp", path)) {
            fprintf(stderr, "no program to test: %s\n", named ? named : "build/nsamp");
            exit(1);
        }
    }
    return path;
}

static void program_exec(const program *p, const int out[2], const int err[2]) {
    char *argv[PROGRAM_WORDS + 1] = {(char *)"nsamp"};
    for (int i = 0; p->words[i]; i++)
        argv[i + 1] = (char *)p->words[i];
    int to = p->out_path   ? open(p->out_path, O_WRONLY | O_CREAT | O_TRUNC, 0644)
             : p->terminal ? p->terminal
                           : out[1];
    if (dup2(to, 1) < 0 || dup2(p->terminal ? p->terminal : err[1], 2) < 0) _exit(126);
    for (int i = 0; i < 2; i++) {
        close(out[i]);
        close(err[i]);
    }
    if (p->folder && chdir(p->folder)) _exit(126);
    if (p->ignored) signal(p->ignored, SIG_IGN);
    for (int fd = 0; p->closed && fd < 3; fd++)
        close(fd);
    for (int i = 0; i < 4 && p->environment[i]; i++)
        putenv((char *)p->environment[i]);
    if (p->file_limit) {
        struct rlimit limit = {(rlim_t)p->file_limit, (rlim_t)p->file_limit};
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    execv(program_path(), argv);
    _exit(127);
}

/* Reads both pipes to their ends. */
static void program_drain(int out, int err, program_result *r) {
    struct pollfd fds[2] = {{out, POLLIN, 0}, {err, POLLIN, 0}};
    char *texts[2] = {r->out, r->err};
    size_t used[2] = {0, 0};
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR) break;
        for (int i = 0; i < 2; i++) {
            if (fds[i].fd < 0 || !fds[i].revents) continue;
            ssize_t n = read(fds[i].fd, texts[i] + used[i], PROGRAM_TEXT - 1 - used[i]);
            if (n > 0)
                used[i] += (size_t)n;
            else
                fds[i].fd = -1;
        }
    }
    r->out[used[0]] = r->err[used[1]] = 0;
}

/* Starts the program; once the file wait_for is there (NULL: never) does something to it. The result is static: one at a
 * time, so `meddle` must not run another program by these functions. */
static const program_result *program_run_while(const program *p, const char *wait_for,
                                               void (*meddle)(pid_t pid, void *user), void *user) {
    static program_result r;
    int out[2], err[2], status = 0;
    const char *path = program_path();
    r.code = -1;
    if (!path || pipe(out) || pipe(err)) return &r;
    fflush(NULL);
    pid_t pid = fork();
    if (!pid) program_exec(p, out, err);
    close(out[1]);
    close(err[1]);
    for (int i = 0; wait_for && i < 12000; i++) {
        if (!access(wait_for, F_OK)) {
            meddle(pid, user);
            break;
        }
        usleep(5000);
    }
    program_drain(out[0], err[0], &r);
    close(out[0]);
    close(err[0]);
    waitpid(pid, &status, 0);
    r.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return &r;
}

static inline void program_signal(pid_t pid, void *number) {
    kill(pid, *(int *)number);
}

/* The same with a signal. */
static inline const program_result *program_run_signal(const program *p, const char *wait_for, int number) {
    return program_run_while(p, wait_for, program_signal, &number);
}

static const program_result *program_run(const program *p) {
    return program_run_while(p, NULL, NULL, NULL);
}

/* A shorthand: PROGRAM("list", "keys"). */
#define PROGRAM(...) program_run(&(program){.words = {__VA_ARGS__}})

#endif
