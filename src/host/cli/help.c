/* help.c: nsamp help [WORD ...]: a verb, a key, a section, a system or a target. */
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "error.h"
#include "job/nearest.h"

/* Whether the help names a system or target as the one a key is for: "langevin, rsn: time step". */
static bool help_names(const char *help, const char *name) {
    for (const char *s = help; (s = strstr(s, name)); s++)
        if (strchr(":,", s[strlen(name)]) && s[strlen(name)] && (s == help || s[-1] == ' ')) return true;
    return false;
}

/* The keys that a system or target reads: those that name it, and those that name none of its kind. */
static bool concerns(nsamp_key key, const cli_topic *topic) {
    const nsamp_option *o = &nsamp_options[key];
    if (strcmp(o->section, topic->kind) != 0 || !strcmp(o->key, "name")) return false;
    bool names_any = false;
    for (const cli_topic *t = cli_topics; t->name; t++)
        names_any |= !strcmp(t->kind, topic->kind) && help_names(o->help, t->name);
    return !names_any || help_names(o->help, topic->name);
}

static bool help_topic(const char *word) {
    for (const cli_topic *t = cli_topics; t->name; t++) {
        if (strcmp(t->name, word) != 0) continue;
        char heading[160];
        snprintf(heading, sizeof heading, "%s.name = %s: %s", t->kind, t->name, t->line);
        cli_heading(heading);
        printf("\n");
        cli_wrapped(t->text, 0);
        printf("\n");
        cli_heading("Its keys");
        for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
            if (concerns(k, t)) cli_print_key(k);
        return true;
    }
    return false;
}

static bool is_section(const char *word) {
    return !strcmp(nsamp_nearest_section(word), word);
}

static bool help_keys(const char *word) {
    bool found = false;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        char full[128];
        snprintf(full, sizeof full, "%s.%s", nsamp_options[k].section, nsamp_options[k].key);
        if (strcmp(word, full) != 0 && strcmp(word, nsamp_options[k].key) != 0 &&
            strcmp(word, nsamp_options[k].section) != 0)
            continue;
        cli_print_key(k);
        found = true;
    }
    return found;
}

static bool help_word(const char *word) {
    const cli_verb *verb = cli_verb_find(word);
    if (verb) cli_usage(verb);
    bool topic = help_topic(word);
    if (!topic && is_section(word)) {
        char heading[80];
        snprintf(heading, sizeof heading, "%sKeys of [%s]", verb ? "\n" : "", word);
        cli_heading(heading);
    }
    bool keys = !topic && help_keys(word);
    return verb || topic || keys;
}

static nsamp_status help(const cli_args *args, nsamp_error *err) {
    if (!args->count) cli_overview(stdout);
    for (int i = 0; i < args->count; i++) {
        const char *word = args->words[i];
        const nsamp_option *near = &nsamp_options[nsamp_nearest_key(word)];
        if (i) printf("\n");
        if (!help_word(word))
            return nsamp_fail(err, NSAMP_EUSAGE,
                              "no verb, system, target, section or key is called '%s'; nearest key: %s.%s",
                              word, near->section, near->key);
    }
    return NSAMP_OK;
}

static const cli_example examples[] = {
    {"nsamp help langevin", "a system: its equation, its law, its keys"},
    {"nsamp help run.chains", "one key"},
    {"nsamp help record", "all keys of a section"},
    {"nsamp help run", "the verb, and the keys of [run]"},
    {NULL, NULL},
};

const cli_verb cli_verb_help = {
    .name = "help",
    .synopsis = "help [VERB|SYSTEM|TARGET|SECTION|KEY ...]",
    .summary = "what a name means",
    .about = "Explains verbs, systems, targets, sections and keys.",
    .examples = examples,
    .run = help,
};
