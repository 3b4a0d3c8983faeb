/* cli.h: the parts of the command line. Only this folder prints or exits. A verb is a struct; the list is in
 * main.c, and usage, the man page and shell completion are made from it. */
#ifndef NSAMP_HOST_CLI_CLI_H
#define NSAMP_HOST_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>
#include "job/job.h"

/* ---- verbs and their arguments ---- */

typedef struct cli_flag {
    const char *name;  /* "--json" */
    const char *brief; /* "-j" or NULL */
    const char *value; /* what it takes ("FILE") or NULL */
    const char *help;
} cli_flag;

typedef struct cli_example {
    const char *command, *what;
} cli_example;

enum { CLI_FLAGS = 8 };

typedef struct cli_args {
    const char *flags[CLI_FLAGS]; /* parallel to the verb's flags: the value, "" for a flag without one, NULL:
                                     not given */
    bool quiet, help, version;
    int count; /* of words */
    char **words;
} cli_args;

typedef struct cli_verb {
    const char *name, *synopsis, *summary;
    const char *about;           /* paragraphs, separated by "\n\n" */
    const cli_flag *flags;       /* ends with a row of NULLs; may be NULL */
    const cli_example *examples; /* ends with a row of NULLs; may be NULL */
    nsamp_status (*run)(const cli_args *args, nsamp_error *err);
    bool hidden; /* for the build, not for people */
} cli_verb;

#define CLI_VERB(name) extern const cli_verb cli_verb_##name;
#include "cli/verbs.def"
#undef CLI_VERB

/* All verbs, in the order of verbs.def, NULL at the end; and the flags that every verb takes. */
extern const cli_verb *const cli_verbs[];
extern const cli_flag cli_common_flags[];
const cli_verb *cli_verb_find(const char *name);

/* Sorts argv (after the verb) into flags and words; words point into argv, whose order changes. */
nsamp_status cli_args_parse(const cli_verb *verb, int argc, char **argv, cli_args *args, nsamp_error *err);
/* The value of a flag of the verb, or NULL. */
const char *cli_flag_value(const cli_verb *verb, const cli_args *args, const char *name);
/* A job from the words "JOB.ini section.key=value ...". Caller destroys *job. */
nsamp_status cli_job_create(const cli_args *args, nsamp_job **job, nsamp_error *err);

/* ---- text ---- */

/* Whether this stream takes colour: a terminal, no NO_COLOR, TERM not dumb. */
bool cli_colour(FILE *stream);
void cli_heading(const char *text);
/* Moves *at over spaces and newlines to the next word, of *length bytes; *newlines: how many were passed. False at the end. */
bool cli_word(const char **at, size_t *length, size_t *newlines);
/* Words wrapped at 80 columns, every line after `indent` spaces; ends with a newline. "\n\n" parts
 * paragraphs. */
void cli_wrapped(const char *text, int indent);
void cli_usage(const cli_verb *verb);
void cli_overview(FILE *stream);
/* "section.key = default (unit; valid)" and its help. */
void cli_print_key(nsamp_key key);

/* ---- what systems and targets are ---- */

typedef struct cli_topic {
    const char *name;
    const char *kind; /* "system" or "target" */
    const char *line; /* one line */
    const char *text; /* equations, law, source: paragraphs */
} cli_topic;

/* Ends with a row of NULLs. */
extern const cli_topic cli_topics[];

#endif
