/* main.c: nsamp VERB ...: finds the verb, runs it, turns its status into one line and the exit code. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "error.h"
#include "job/nearest.h"

const cli_verb *const cli_verbs[] = {
#define CLI_VERB(name) &cli_verb_##name,
#include "cli/verbs.def"
#undef CLI_VERB
    NULL};

const cli_verb *cli_verb_find(const char *name) {
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        if (!strcmp((*v)->name, name)) return *v;
    return NULL;
}

static void print_version(void) {
    printf("nsamp %s, noise version %d\n", NSAMP_VERSION, NSAMP_NOISE_VERSION);
#ifdef NSAMP_X86_64
    printf("CPU kernels      plain C, x86-64-v3 (AVX2), x86-64-v4 (AVX-512)\n");
#else
    printf("CPU kernels      plain C\n");
#endif
#ifdef NSAMP_HAVE_CUDA
    printf("CUDA             yes\n");
#else
    printf("CUDA             no\n");
#endif
    printf("matrix products  %s\n", NSAMP_HAVE_DNNL ? "oneDNN" : "BLAS");
    printf("host compiler    %s\n", __VERSION__);
}

static nsamp_status unknown_verb(const char *name, nsamp_error *err) {
    const char *best = "help";
    unsigned least = ~0u;
    for (const cli_verb *const *v = cli_verbs; *v; v++) {
        unsigned cost = (*v)->hidden ? ~0u : nsamp_edit_distance(name, (*v)->name);
        if (cost < least) {
            least = cost;
            best = (*v)->name;
        }
    }
    return nsamp_fail(err, NSAMP_EUSAGE, "unknown verb '%s'; nearest: nsamp %s (nsamp help lists them)", name,
                      best);
}

static nsamp_status dispatch(int argc, char **argv, nsamp_error *err) {
    const char *name = argv[1];
    if (!strcmp(name, "--version")) {
        print_version();
        return NSAMP_OK;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        cli_overview(stdout);
        return NSAMP_OK;
    }
    const cli_verb *verb = cli_verb_find(name);
    if (!verb) return unknown_verb(name, err);
    cli_args args;
    nsamp_status status = cli_args_parse(verb, argc - 2, argv + 2, &args, err);
    if (status) return status;
    if (args.help)
        cli_usage(verb);
    else if (args.version)
        print_version();
    else
        status = verb->run(&args, err);
    return status;
}

/* A program that was started with a standard stream closed would give its number to the next file that it opens, and print
 * into that file. Standard output becomes one that cannot be written, so that a lost result is seen as one. */
static void open_standard_streams(void) {
    static const int how[] = {O_RDONLY, O_RDONLY, O_WRONLY};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", how[fd]) != fd) _exit(NSAMP_EIO);
}

int main(int argc, char **argv) {
    nsamp_error err = {0};
    open_standard_streams();
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow is an error of write, with its name */
    if (argc < 2) {
        cli_overview(stderr);
        return NSAMP_EUSAGE;
    }
    nsamp_status status = dispatch(argc, argv, &err);
    /* A result that could not be printed is a failure, as a full disk behind `nsamp list > file` is. */
    if ((fflush(stdout) || ferror(stdout)) && !status)
        status = nsamp_fail(&err, NSAMP_EIO, "standard output cannot be written: %s", strerror(errno));
    if (status) fprintf(stderr, "nsamp: %s\n", err.text[0] ? err.text : nsamp_status_text(status));
    return status;
}
