/* man.c: nsamp man: the man page (mdoc) from the tables of verbs, keys and exit codes. For the build. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"

/* One word with what roff would take for its own escaped: backslashes, minus signs, a dot or quote at a
 * line's start. */
static int print_word(const char *word, size_t len, bool line_start) {
    int width = 0;
    if (line_start && (*word == '.' || *word == '\'')) width += printf("\\&");
    for (size_t i = 0; i < len; i++) {
        if (word[i] == '\\')
            width += printf("\\e");
        else if (word[i] == '-')
            width += printf("\\-");
        else
            width += printf("%c", word[i]);
    }
    return width;
}

/* Text in lines below 80 columns, each sentence on a new line as mdoc wants; "\n\n" parts paragraphs. Ends
 * its line. */
static void print_text(const char *text) {
    int column = 0;
    bool sentence_end = false;
    size_t len, newlines;
    for (const char *s = text; cli_word(&s, &len, &newlines); s += len) {
        if (newlines > 1) {
            printf("\n.Pp\n");
            column = 0;
        } else if (column && (sentence_end || column + (int)len > 68)) {
            printf("\n");
            column = 0;
        } else if (column) {
            column += printf(" ");
        }
        column += print_word(s, len, column == 0);
        sentence_end = strchr(".?!", s[len - 1]) != NULL;
    }
    printf("\n");
}

/* An argument of a macro: quoted, so that punctuation in it is text. */
static void print_argument(const char *text) {
    putchar('"');
    for (const char *s = text; *s; s++) {
        if (*s == '"')
            printf("\"\"");
        else if (*s == '\\')
            printf("\\e");
        else
            putchar(*s);
    }
    putchar('"');
}

static void print_flags(const cli_flag *flags) {
    for (; flags && flags->name; flags++) {
        printf(".It Fl %s", flags->name + 1);
        if (flags->brief) printf(" , Fl %s", flags->brief + 1);
        if (flags->value) printf(" Ar %s", flags->value);
        printf("\n");
        print_text(flags->help);
    }
}

static void print_verb(const cli_verb *verb) {
    printf(".Ss nsamp %s\n", verb->name);
    print_text(verb->about);
    if (verb->flags) {
        printf(".Bl -tag -width Ds\n");
        print_flags(verb->flags);
        printf(".El\n");
    }
}

static void print_examples(void) {
    bool first = true;
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        for (const cli_example *e = (*v)->examples; e && e->command; e++) {
            if (!first) printf(".Pp\n");
            first = false;
            print_text(e->what);
            printf(".Dl ");
            print_word(e->command, strlen(e->command), false);
            printf("\n");
        }
}

static void print_keys(void) {
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        const nsamp_option *o = &nsamp_options[k];
        char valid[256], text[1024];
        nsamp_option_valid(k, valid, sizeof valid);
        if (!k || strcmp(o->section, nsamp_options[k - 1].section) != 0)
            printf("%s.Ss Section %s\n.Bl -tag -width Ds\n", k ? ".El\n" : "", o->section);
        printf(".It Cm %s No = ", o->key);
        print_argument(*o->text ? o->text : "(not set)");
        printf("\n");
        snprintf(text, sizeof text, "%s (%s%s%s)", o->help, o->unit, *o->unit ? "; " : "", valid);
        print_text(text);
    }
    printf(".El\n");
}

static void print_topics(void) {
    printf(".Bl -tag -width Ds\n");
    for (const cli_topic *t = cli_topics; t->name; t++) {
        printf(".It %s Cm %s\n", t->kind, t->name);
        print_text(t->text);
    }
    printf(".El\n");
}

static void print_synopsis(void) {
    for (const cli_verb *const *v = cli_verbs; *v; v++) {
        if ((*v)->hidden) continue;
        const char *rest = strchr((*v)->synopsis, ' ');
        printf(".Nm\n.Cm %s\n", (*v)->name);
        if (!rest) continue;
        printf(".Op ");
        print_argument(rest + 1);
        printf("\n");
    }
}

static nsamp_status man(const cli_args *args, nsamp_error *err) {
    (void)args;
    (void)err;
    printf(".Dd November 23, 2026\n.Dt NSAMP 1\n.Os\n.Sh NAME\n.Nm nsamp\n.Nd sample with neural circuits, "
           "in batch\n"
           ".Sh SYNOPSIS\n");
    print_synopsis();
    printf(".Sh DESCRIPTION\n.Nm\n");
    print_text(
        "advances thousands of independent stochastic circuits in parallel on a GPU or a CPU, trains "
        "the ones that "
        "need training, and reports what they sampled. A job is a file of INI sections and keys, or "
        "section.key=value "
        "on the command line, or both; the command line wins. A value first:step:last or a list with "
        "commas is a "
        "sweep: one run for each value, and for each combination where several keys are swept. A file that a "
        "job file names to be read is looked up beside it, then in the current folder; files are written "
        "relative to the current folder.");
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        if (!(*v)->hidden) print_verb(*v);
    printf(".Ss Options of all verbs\n.Bl -tag -width Ds\n");
    print_flags(cli_common_flags);
    printf(".El\n.Sh SYSTEMS AND TARGETS\n");
    print_topics();
    printf(".Sh KEYS\n");
    print_keys();
    printf(".Sh ENVIRONMENT\n.Bl -tag -width Ds\n.It Ev NSAMP_DATA\nFolder of the built\\-in data, instead "
           "of the installed "
           "one.\n.It Ev NO_COLOR\nNo colour.\n.It Ev OMP_NUM_THREADS\nCPU threads where run.threads is "
           "0.\n.El\n"
           ".Sh EXIT STATUS\n.Bl -tag -width Ds\n");
#define CLI_ROW(name, value, text) printf(".It %d\n%s.\n", value, text);
    NSAMP_STATUS_TABLE(CLI_ROW)
#undef CLI_ROW
    printf(".El\n.Sh EXAMPLES\n");
    print_examples();
    return NSAMP_OK;
}

const cli_verb cli_verb_man = {
    .name = "man",
    .synopsis = "man",
    .summary = "the man page",
    .about = "Prints the man page (mdoc): nsamp man | man -l -.",
    .run = man,
    .hidden = true,
};
