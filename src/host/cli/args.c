/* args.c: the words after a verb: flags, a job file, section.key=value. */
#include <string.h>
#include "cli/cli.h"
#include "error.h"
#include "job/nearest.h"

const cli_flag cli_common_flags[] = {
    {"--quiet", "-q", NULL, "print errors only"},
    {"--help", "-h", NULL, "this text"},
    {"--version", NULL, NULL, "version, and what is compiled in"},
    {NULL, NULL, NULL, NULL},
};

/* Index of the flag that arg names, up to an '=', or -1. */
static int find_flag(const cli_flag *flags, const char *arg) {
    size_t len = strcspn(arg, "=");
    for (int i = 0; flags && flags[i].name; i++) {
        if (strlen(flags[i].name) == len && !memcmp(flags[i].name, arg, len)) return i;
        if (flags[i].brief && !strcmp(flags[i].brief, arg)) return i;
    }
    return -1;
}

static void consider(const cli_flag *flags, const char *arg, const char **best, unsigned *cost) {
    for (; flags && flags->name; flags++) {
        unsigned c = nsamp_edit_distance(arg, flags->name);
        if (c < *cost) {
            *cost = c;
            *best = flags->name;
        }
    }
}

static nsamp_status unknown_flag(const cli_verb *verb, const char *arg, nsamp_error *err) {
    const char *best = "--help";
    unsigned cost = ~0u;
    consider(verb->flags, arg, &best, &cost);
    consider(cli_common_flags, arg, &best, &cost);
    return nsamp_fail(err, NSAMP_EUSAGE, "unknown option %s; nearest: %s (nsamp %s --help lists them)", arg,
                      best, verb->name);
}

nsamp_status cli_args_parse(const cli_verb *verb, int argc, char **argv, cli_args *args, nsamp_error *err) {
    *args = (cli_args){.words = argv};
    bool words_only = false;
    for (int i = 0; i < argc; i++) {
        char *arg = argv[i];
        if (words_only || arg[0] != '-' || !arg[1]) {
            args->words[args->count++] = arg;
            continue;
        }
        if (!strcmp(arg, "--")) {
            words_only = true;
            continue;
        }
        const cli_flag *flags = verb->flags;
        int f = find_flag(flags, arg);
        bool common = f < 0;
        if (common) {
            flags = cli_common_flags;
            f = find_flag(flags, arg);
        }
        if (f < 0) return unknown_flag(verb, arg, err);
        const char *equals = arg[1] == '-' ? strchr(arg, '=') : NULL, *value = equals ? equals + 1 : "";
        if (!flags[f].value && equals)
            return nsamp_fail(err, NSAMP_EUSAGE, "%s takes no value", flags[f].name);
        if (flags[f].value && !equals) {
            if (i + 1 == argc)
                return nsamp_fail(err, NSAMP_EUSAGE, "%s needs a value: %s %s", arg, arg, flags[f].value);
            value = argv[++i];
        }
        if (common) {
            args->quiet |= !strcmp(flags[f].name, "--quiet");
            args->help |= !strcmp(flags[f].name, "--help");
            args->version |= !strcmp(flags[f].name, "--version");
        } else {
            args->flags[f] = value;
        }
    }
    return NSAMP_OK;
}

const char *cli_flag_value(const cli_verb *verb, const cli_args *args, const char *name) {
    int f = find_flag(verb->flags, name);
    return f < 0 ? NULL : args->flags[f];
}

/* section.key=value: an '=' with no '/' before it; anything else is a file. */
static bool is_assignment(const char *word) {
    size_t len = strcspn(word, "=/");
    return word[len] == '=';
}

static nsamp_status assign(nsamp_job *job, char *word, nsamp_error *err) {
    char *equals = strchr(word, '=');
    *equals = 0;
    nsamp_status status = nsamp_job_set_from(job, word, equals + 1, "command line", err);
    *equals = '=';
    return status;
}

nsamp_status cli_job_create(const cli_args *args, nsamp_job **job, nsamp_error *err) {
    const char *file = NULL;
    nsamp_status status = NSAMP_OK;
    *job = nsamp_job_create();
    if (!*job) return nsamp_fail(err, NSAMP_ENOMEM, "not enough memory for a job");
    for (int i = 0; !status && i < args->count; i++) {
        if (is_assignment(args->words[i])) {
            status = assign(*job, args->words[i], err);
        } else if (file) {
            status = nsamp_fail(err, NSAMP_EUSAGE,
                                "two job files, %s and %s: one is taken (keys are section.key=value)", file,
                                args->words[i]);
        } else {
            file = args->words[i];
            status = nsamp_job_read(*job, file, err);
        }
    }
    if (status) {
        nsamp_job_destroy(*job);
        *job = NULL;
    }
    return status;
}
