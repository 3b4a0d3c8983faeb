/* completion.c: nsamp completion: bash completion from the tables of verbs and keys. For the build and for
 * people. */
#include <stdio.h>
#include <string.h>
#include "cli/cli.h"

static void print_verbs(void) {
    for (const cli_verb *const *v = cli_verbs; *v; v++)
        if (!(*v)->hidden) printf("%s ", (*v)->name);
}

static void print_keys(void) {
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        printf("%s.%s ", nsamp_options[k].section, nsamp_options[k].key);
}

static void print_flag_cases(void) {
    for (const cli_verb *const *v = cli_verbs; *v; v++) {
        if ((*v)->hidden) continue;
        printf("        %s) flags='", (*v)->name);
        for (const cli_flag *f = (*v)->flags; f && f->name; f++)
            printf("%s ", f->name);
        for (const cli_flag *f = cli_common_flags; f->name; f++)
            printf("%s ", f->name);
        printf("';;\n");
    }
}

/* "run.dry=yes run.dry=no": what can follow a key whose values are words. */
static void print_value_cases(void) {
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        const nsamp_option *o = &nsamp_options[k];
        if (o->type != NSAMP_CHOICE && o->type != NSAMP_BOOL) continue;
        printf("        %s.%s) values='", o->section, o->key);
        for (const char *c = o->type == NSAMP_BOOL ? "yes|no" : o->choices; *c; c++)
            putchar(*c == '|' ? ' ' : *c);
        printf("';;\n");
    }
}

static nsamp_status completion(const cli_args *args, nsamp_error *err) {
    (void)args;
    (void)err;
    printf("# bash completion for nsamp, made by 'nsamp completion'\n_nsamp() {\n"
           "    local cur=\"${COMP_WORDS[COMP_CWORD]}\" verb=\"${COMP_WORDS[1]}\" flags= values= key=\n"
           "    COMPREPLY=()\n    if [ \"$COMP_CWORD\" = 1 ]; then\n        COMPREPLY=($(compgen -W '");
    print_verbs();
    /* '=' is a word break for bash: after it, the key is two words back and the value so far is the last
     * word. */
    printf("--help --version' -- \"$cur\"))\n        return\n    fi\n"
           "    if [ \"$cur\" = = ]; then\n        key=\"${COMP_WORDS[COMP_CWORD - 1]}\"\n        cur=\n"
           "    elif [ \"${COMP_WORDS[COMP_CWORD - 1]}\" = = ]; then\n        key=\"${COMP_WORDS[COMP_CWORD "
           "- 2]}\"\n    fi\n"
           "    case \"$verb\" in\n");
    print_flag_cases();
    printf("    esac\n    case \"$key\" in\n");
    print_value_cases();
    printf("        ?*) COMPREPLY=($(compgen -f -- \"$cur\")); return;;\n    esac\n"
           "    if [ -n \"$key\" ]; then\n        COMPREPLY=($(compgen -W \"$values\" -- \"$cur\"))\n        "
           "return\n    fi\n"
           "    case \"$verb:$cur\" in\n        *:-*) COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"));;\n"
           "        list:*) COMPREPLY=($(compgen -W 'systems targets keys' -- \"$cur\"));;\n"
           "        check:*|bench:*|help:*) COMPREPLY=($(compgen -W '");
    for (const cli_topic *t = cli_topics; t->name; t++)
        printf("%s ", t->name);
    print_verbs();
    printf("' -- \"$cur\")); [ \"$verb\" = help ] && COMPREPLY+=($(compgen -W '");
    print_keys();
    printf("' -- \"$cur\"));;\n        run:*|train:*)\n            COMPREPLY=($(compgen -f -X '!*.ini' -- "
           "\"$cur\") "
           "$(compgen -d -- \"$cur\") $(compgen -S = -W '");
    print_keys();
    printf("' -- \"$cur\"))\n            compopt -o nospace 2>/dev/null;;\n"
           "        *) COMPREPLY=($(compgen -f -- \"$cur\"));;\n    esac\n}\ncomplete -F _nsamp nsamp\n");
    return NSAMP_OK;
}

const cli_verb cli_verb_completion = {
    .name = "completion",
    .synopsis = "completion",
    .summary = "bash completion",
    .about = "Prints completion for bash: eval \"$(nsamp completion)\".",
    .run = completion,
    .hidden = true,
};
