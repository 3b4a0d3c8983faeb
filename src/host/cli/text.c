/* text.c: text for people: wrapping, colour, usage of a verb, one key of the option table. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "cli/cli.h"
#include "error.h"

enum { WIDTH = 80 };

bool cli_colour(FILE *stream) {
    const char *none = getenv("NO_COLOR"), *term = getenv("TERM");
    return isatty(fileno(stream)) && !(none && *none) && term && *term && strcmp(term, "dumb") != 0;
}

void cli_heading(const char *text) {
    bool colour = cli_colour(stdout);
    printf("%s%s%s\n", colour ? "\033[1m" : "", text, colour ? "\033[0m" : "");
}

bool cli_word(const char **at, size_t *length, size_t *newlines) {
    *newlines = 0;
    for (; **at == ' ' || **at == '\n'; ++*at)
        *newlines += **at == '\n';
    *length = strcspn(*at, " \n");
    return *length > 0;
}

void cli_wrapped(const char *text, int indent) {
    int column = 0;
    size_t len, newlines;
    for (const char *s = text; cli_word(&s, &len, &newlines); s += len) {
        if (newlines > 1 || (column && column + 1 + (int)len > WIDTH)) {
            printf("%s", newlines > 1 ? "\n\n" : "\n");
            column = 0;
        }
        column += column ? printf(" %.*s", (int)len, s) : printf("%*s%.*s", indent, "", (int)len, s);
    }
    printf("\n");
}

static void print_flags(const cli_flag *flags) {
    for (const cli_flag *f = flags; f && f->name; f++) {
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s%s", f->brief ? f->brief : "", f->brief ? ", " : "", f->name,
                 f->value ? " " : "", f->value ? f->value : "");
        printf("  %-22s %s\n", left, f->help);
    }
}

void cli_usage(const cli_verb *verb) {
    printf("Usage: nsamp %s\n\n", verb->synopsis);
    cli_wrapped(verb->about, 0);
    printf("\n");
    cli_heading("Options");
    print_flags(verb->flags);
    print_flags(cli_common_flags);
    if (!verb->examples) return;
    printf("\n");
    cli_heading("Examples");
    for (const cli_example *e = verb->examples; e->command; e++) {
        printf("  %s\n", e->command);
        cli_wrapped(e->what, 6);
    }
}

void cli_overview(FILE *stream) {
    fprintf(stream, "nsamp samples with neural circuits, in batch.\n\n");
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        if (!(*v)->hidden) fprintf(stream, "  nsamp %-52s %s\n", (*v)->synopsis, (*v)->summary);
    fprintf(stream,
            "\n'nsamp VERB --help' explains a verb with examples; 'nsamp help KEY' explains a key.\n");
}

void cli_print_key(nsamp_key key) {
    const nsamp_option *o = &nsamp_options[key];
    char valid[256];
    nsamp_option_valid(key, valid, sizeof valid);
    printf("  %s.%s = %s  (%s%s%s)\n", o->section, o->key, o->text, o->unit, *o->unit ? "; " : "", valid);
    cli_wrapped(o->help, 6);
}
