/* test_cli.c: the program as somebody types it: verbs, help, lists, completion, the man page, colour, exit
 * codes. What needs a run is in test_cli_run.c. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "job/job.h"
#include "program.h"
#include "says.h"

/* Exit code, one line "nsamp: ..." on standard error with the parts in it, nothing on standard output. */
static void assert_refused(const program_result *r, int code, const char *part1, const char *part2) {
    assert_int_equal(r->code, code);
    assert_string_equal(r->out, "");
    assert_int_equal(strncmp(r->err, "nsamp: ", 7), 0);
    assert_ptr_equal(strchr(r->err, '\n'), r->err + strlen(r->err) - 1);
    assert_has(r->err, part1);
    assert_has(r->err, part2);
}

static void test_overview(void **state) {
    (void)state;
    const program_result *r = PROGRAM(NULL);
    assert_int_equal(r->code, NSAMP_EUSAGE);
    assert_string_equal(r->out, "");
    assert_has(r->err, "nsamp help");
    r = PROGRAM("--help");
    assert_int_equal(r->code, 0);
    assert_string_equal(r->err, "");
    assert_has(r->out, "nsamp list");
    r = PROGRAM("--version");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "nsamp " NSAMP_VERSION ", noise version 2");
    assert_has(r->out, "CUDA");
    assert_string_equal(PROGRAM("list", "--version")->out, PROGRAM("--version")->out);
}

static void test_refused_words(void **state) {
    (void)state;
    assert_refused(PROGRAM("lst"), 2, "unknown verb 'lst'", "nsamp list");
    assert_refused(PROGRAM("list", "--hlep"), 2, "unknown option --hlep", "--help");
    assert_refused(PROGRAM("list", "--quiet=3"), 2, "--quiet takes no value", "");
    assert_refused(PROGRAM("list", "key"), 2, "list key", "systems, targets, keys");
    assert_refused(PROGRAM("help", "run.chians"), 2, "run.chians", "nearest key: run.chains");
}

/* Every verb of the overview explains itself with an example. */
static void test_verb_help(void **state) {
    (void)state;
    static const char *const verbs[] = {"run", "train", "check", "stats", "plot", "bench", "list", "help"};
    char overview[PROGRAM_TEXT];
    strcpy(overview, PROGRAM("--help")->out);
    size_t found = 0;
    for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++) {
        char mark[64], usage[64];
        snprintf(mark, sizeof mark, "\n  nsamp %s ", verbs[i]);
        snprintf(usage, sizeof usage, "Usage: nsamp %s", verbs[i]);
        if (!strstr(overview, mark)) continue;
        found++;
        const program_result *r = PROGRAM(verbs[i], "--help");
        assert_int_equal(r->code, 0);
        assert_has(r->out, usage);
        assert_has(r->out, "Examples\n  nsamp ");
        assert_has(r->out, "--quiet");
        char text[PROGRAM_TEXT];
        strcpy(text, r->out);
        assert_string_equal(PROGRAM(verbs[i], "-h")->out, text);
    }
    assert_true(found >= 2);
    for (const char *s = overview; (s = strstr(s, "\n  nsamp ")); s++)
        found--;
    assert_int_equal(found, 0);
}

static void test_help_keys(void **state) {
    (void)state;
    const program_result *r = PROGRAM("help", "run.chains");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "run.chains = 1024  (a whole number from 1 to 2^32)");
    r = PROGRAM("help", "record");
    assert_has(r->out, "record.every");
    assert_has(r->out, "record.cov_dim");
    assert_null(strstr(r->out, "run.chains"));
    r = PROGRAM("help", "mh-spiking");
    assert_has(r->out, "system.tau_ms");
    assert_null(strstr(r->out, "system.model"));
    r = PROGRAM("help", "rsn");
    assert_has(r->out, "system.model");
    assert_has(r->out, "system.dt ");
    assert_null(strstr(r->out, "system.tau_ms"));
}

/* Every key is listed and every system and target has its page. */
static void test_everything_is_listed(void **state) {
    (void)state;
    char list[PROGRAM_TEXT];
    strcpy(list, PROGRAM("list")->out);
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        char name[128];
        snprintf(name, sizeof name, "  %s.%s = ", nsamp_options[k].section, nsamp_options[k].key);
        assert_has(list, name);
    }
    static const nsamp_key names[] = {NSAMP_KEY_system_name, NSAMP_KEY_target_name};
    for (int i = 0; i < 2; i++)
        for (const char *c = nsamp_options[names[i]].choices; *c;) {
            char word[64], heading[128];
            int len = (int)strcspn(c, "|");
            snprintf(word, sizeof word, "%.*s", len, c);
            snprintf(heading, sizeof heading, "%s.name = %s: ", nsamp_options[names[i]].section, word);
            const program_result *r = PROGRAM("help", word);
            assert_int_equal(r->code, 0);
            assert_has(r->out, heading);
            snprintf(heading, sizeof heading, "\n  %s ", word);
            assert_has(list, heading);
            c += len + (c[len] == '|');
        }
}

/* No line of help is wider than a terminal, but for what cannot be broken: keys with their values. */
static void test_width(void **state) {
    (void)state;
    char list[PROGRAM_TEXT];
    strcpy(list, PROGRAM("help", "langevin", "rsn", "mh-spiking", "list", "help")->out);
    for (char *line = strtok(list, "\n"); line; line = strtok(NULL, "\n"))
        if (strlen(line) > 80 && !strstr(line, " = ")) assert_string_equal(line, "");
}

static void test_completion_and_man(void **state) {
    (void)state;
    const program_result *r = PROGRAM("completion");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "complete -F _nsamp nsamp");
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        char name[128];
        snprintf(name, sizeof name, "%s.%s ", nsamp_options[k].section, nsamp_options[k].key);
        assert_has(r->out, name);
    }
    assert_has(r->out, "system.geometry) values='naive natural'");
    r = PROGRAM("man");
    assert_int_equal(r->code, 0);
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        char name[128];
        snprintf(name, sizeof name, "\n.It Cm %s No = ", nsamp_options[k].key);
        assert_has(r->out, name);
    }
    static const char *const sections[] = {"NAME",        "SYNOPSIS",    "DESCRIPTION",
                                           "ENVIRONMENT", "EXIT STATUS", "EXAMPLES"};
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        char name[64];
        snprintf(name, sizeof name, ".Sh %s\n", sections[i]);
        assert_has(r->out, name);
    }
}

/* What bash offers after "nsamp help target.r". */
static void test_completion_of_help(void **state) {
    (void)state;
    char command[8192], line[256] = "";
    snprintf(command, sizeof command,
             "bash -c 'eval \"$(%s completion)\"; COMP_WORDS=(nsamp help target.r) COMP_CWORD=2; _nsamp; "
             "echo \"${COMPREPLY[@]}\"'",
             program_path());
    FILE *f = popen(command, "r");
    assert_non_null(f);
    assert_non_null(fgets(line, sizeof line, f));
    pclose(f);
    assert_string_equal(line, "target.rho\n");
}

static void test_output_fails(void **state) {
    (void)state;
    const program_result *r = program_run(&(program){.words = {"list"}, .out_path = "/dev/full"});
    assert_int_equal(r->code, NSAMP_EIO);
    assert_has(r->err, "standard output cannot be written: No space left on device");
}

/* What `nsamp list systems` sends to a terminal. */
static void on_terminal(const char *env1, const char *env2, char *text, size_t size) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    const program_result *r =
        program_run(&(program){.words = {"list", "systems"}, .environment = {env1, env2}, .terminal = slave});
    assert_int_equal(r->code, 0);
    ssize_t n = read(master, text, size - 1);
    assert_true(n > 0);
    text[n] = 0;
    close(slave);
    close(master);
}

static void test_colour(void **state) {
    (void)state;
    char text[8192];
    assert_null(strchr(PROGRAM("list")->out, '\033'));
    on_terminal("TERM=xterm", "NO_COLOR=", text, sizeof text);
    assert_non_null(strchr(text, '\033'));
    on_terminal("TERM=xterm", "NO_COLOR=1", text, sizeof text);
    assert_null(strchr(text, '\033'));
    on_terminal("TERM=dumb", "NO_COLOR=", text, sizeof text);
    assert_null(strchr(text, '\033'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overview),
        cmocka_unit_test(test_refused_words),
        cmocka_unit_test(test_verb_help),
        cmocka_unit_test(test_help_keys),
        cmocka_unit_test(test_everything_is_listed),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_completion_and_man),
        cmocka_unit_test(test_completion_of_help),
        cmocka_unit_test(test_output_fails),
        cmocka_unit_test(test_colour),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
