/* list.c: nsamp list: systems, targets and keys. */
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"
#include "error.h"

static void list_topics(const char *kind) {
    for (const cli_topic *t = cli_topics; t->name; t++)
        if (!strcmp(t->kind, kind)) printf("  %-16s %s\n", t->name, t->line);
}

static void list_keys(void) {
    const char *section = "";
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        if (strcmp(section, nsamp_options[k].section) != 0) {
            section = nsamp_options[k].section;
            char heading[80];
            snprintf(heading, sizeof heading, "%sKeys of [%s]: default, unit, valid values", k ? "\n" : "",
                     section);
            cli_heading(heading);
        }
        cli_print_key(k);
    }
}

static nsamp_status list(const cli_args *args, nsamp_error *err) {
    static const char *const parts[] = {"systems", "targets", "keys"};
    bool wanted[3] = {args->count == 0, args->count == 0, args->count == 0};
    for (int i = 0; i < args->count; i++) {
        int found = -1;
        for (int k = 0; k < 3; k++)
            if (!strcmp(args->words[i], parts[k])) found = k;
        if (found < 0)
            return nsamp_fail(err, NSAMP_EUSAGE, "nsamp list %s: valid: systems, targets, keys",
                              args->words[i]);
        wanted[found] = true;
    }
    if (wanted[0]) {
        cli_heading("Systems: system.name");
        list_topics("system");
        printf("\n");
    }
    if (wanted[1]) {
        cli_heading("Targets: target.name");
        list_topics("target");
        printf("\n");
    }
    if (wanted[2]) list_keys();
    return NSAMP_OK;
}

static const cli_example examples[] = {
    {"nsamp list systems", "the circuits that sample, a line each"},
    {"nsamp list keys | less", "every key with default, unit, range and meaning"},
    {NULL, NULL},
};

const cli_verb cli_verb_list = {
    .name = "list",
    .synopsis = "list [systems] [targets] [keys]",
    .summary = "what there is",
    .about = "Lists the systems, the targets and the keys of a job with their defaults, units and ranges; "
             "without words, all.",
    .examples = examples,
    .run = list,
};
