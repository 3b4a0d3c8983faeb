/* test_names.c: files of odd names. Each is made and read by run, train, stats and plot under exactly that
 * name, or is refused before anything runs, in one line; no name reaches a shell or an interpreter;
 * nothing else appears in the folder. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/pathname.h"
#include "nsamp.h"
#include "program.h"
#include "scratch.h"

/* LONG: 240 characters, too long with the ending of a temporary file. */
#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN

static const struct {
    const char *name;
    const char *refused; /* part of the line; NULL: taken */
} names[] = {
    {"plain.nc", NULL},
    {" blank.nc", NULL},
    {"blank.nc ", NULL},
    {"|touch PWNED;.nc", NULL},
    {"<touch PWNED;.nc", NULL},
    {"`touch PWNED`.nc", NULL},
    {"$(touch PWNED).nc", NULL},
    {"'; system 'touch PWNED'; '.nc", NULL},
    {"\"; system \"touch PWNED\"; \".nc", NULL},
    {"; touch PWNED #.nc", NULL},
    {"@x.nc", NULL},
    {"~", NULL},
    {"~root", NULL},
    {"%s%n%d.nc", NULL},
    {"a#mode=zarr.nc", NULL},
    {"a#b.nc", NULL},
    {"[mode=zarr]a.nc", NULL},
    {"http:a.nc", NULL},
    {"file:a.nc", NULL},
    {"s3:a", NULL},
    {"c:a.nc", NULL},
    {"a?b=c&d.nc", NULL},
    {"*.nc", NULL},
    {"{a,b}.nc", NULL},
    {"a%20b.nc", NULL},
    {"-a.nc", NULL},
    {"--help", NULL},
    {".hidden", NULL},
    {"\xc3\xa9\xe6\xbc\xa2.nc", NULL},
    {"\xff\xfe.nc", NULL}, /* not UTF-8 */
    {"a\\b.nc", "backslash"},
    {"\\", "backslash"},
    {"a\nb.nc", "control character"},
    {"\ta.nc", "control character"},
    {"\x01.nc", "control character"},
    {"a\x7f.nc", "control character"},
    {"http://a.nc", "address on the net"},
    {"s3://bucket/a.nc", "address on the net"},
    {"file://a.nc", "address on the net"},
    {LONG, "too long"},
    {LONG TEN TEN ".nc", "too long"},
    {"folder/", "name of a folder"},
    {"folder", "is a folder"},
    {"loose", "leads nowhere"},
    {"fifo", "not a plain file"},
};

enum { NAMES = sizeof names / sizeof *names };

/* A fresh folder with what the table needs. */
static void fresh(void) {
    char command[700];
    snprintf(command, sizeof command, "rm -rf '%s'/* '%s'/.h*", scratch_folder, scratch_folder);
    if (system(command)) abort();
    if (mkdir(scratch("folder"), 0777) || symlink("nowhere", scratch("loose")) ||
        mkfifo(scratch("fifo"), 0666))
        abort();
}

enum { FRESH = 3 }; /* entries of a fresh folder */

static void assert_count(size_t k, const char *verb, int expected) {
    char last[256] = "";
    const int n = scratch_count(last);
    if (n != expected)
        fail_msg("%s of '%s': %d files in the place of %d, among them '%s'", verb, names[k].name, n, expected,
                 last);
}

static void assert_refused(size_t k, const char *verb, const program_result *r) {
    const char *end = strchr(r->err, '\n');
    if (r->code != NSAMP_EUSAGE || !end || end[1] || !strstr(r->err, names[k].refused))
        fail_msg("%s of '%s' ended with %d, no \"%s\": %s%s", verb, names[k].name, r->code, names[k].refused,
                 r->err, r->out);
    assert_count(k, verb, FRESH);
}

static void assert_done(size_t k, const char *verb, const program_result *r) {
    if (r->code) fail_msg("%s of '%s' ended with %d: %s", verb, names[k].name, r->code, r->err);
}

static const char *word(const char *key, const char *value) {
    static char buffers[4][1024];
    static unsigned next;
    char *b = buffers[next++ % 4];
    snprintf(b, sizeof buffers[0], "%s=%s", key, value);
    return b;
}

#define IN_FOLDER(...) program_run(&(program){.folder = scratch_folder, .words = {__VA_ARGS__}})
#define SMALL          "target.dim=2", "target.rho=0.5", "run.chains=16", "run.steps=100", "run.threads=1"

static bool have_gnuplot(void) {
    return system("gnuplot --version >/dev/null 2>&1") == 0;
}

/* A run with draws, read by stats and plot. A relative name: an absolute one begins with a slash. */
static void outputs(void **state) {
    (void)state;
    const bool draws = have_gnuplot();
    for (size_t k = 0; k < NAMES; k++) {
        fresh();
        const program_result *r =
            IN_FOLDER("run", SMALL, "record.every=10", word("output.file", names[k].name));
        if (names[k].refused) {
            assert_refused(k, "run", r);
            continue;
        }
        assert_done(k, "run", r);
        assert_int_equal(access(scratch(names[k].name), F_OK), 0);
        assert_count(k, "run", FRESH + 1);
        assert_done(k, "stats", IN_FOLDER("stats", "--", names[k].name));
        if (!draws) continue;
        assert_done(k, "plot", IN_FOLDER("plot", "--kind", "moments", "--", names[k].name));
        char png[300];
        const size_t n = strlen(names[k].name), cut = n > 3 && !strcmp(names[k].name + n - 3, ".nc") ? 3 : 0;
        snprintf(png, sizeof png, "%.*s.png", (int)(n - cut), names[k].name);
        if (access(scratch(png), F_OK)) fail_msg("no '%s'", png);
        assert_count(k, "plot", FRESH + 2);
    }
}

/* A model: trained, sampled, plotted. */
static void models(void **state) {
    (void)state;
    for (size_t k = 0; k < NAMES; k++) {
        fresh();
        const program_result *r =
            IN_FOLDER("train", "target.dim=2", "target.rho=0.5", "train.draws=1000", "train.hidden=4",
                      "train.batch=100", "train.epochs=1", "train.sigmas=0.5", "run.threads=1",
                      word("model.file", names[k].name));
        if (names[k].refused) {
            assert_refused(k, "train", r);
            continue;
        }
        assert_done(k, "train", r);
        assert_count(k, "train", FRESH + 1);
        assert_done(k, "run",
                    IN_FOLDER("run", "system.name=rsn", word("system.model", names[k].name), "run.chains=16",
                              "run.steps=10", "run.threads=1"));
    }
}

/* What is only read, and pictures. */
static void others(void **state) {
    (void)state;
    for (size_t k = 0; k < NAMES; k++) {
        if (!names[k].refused || !strcmp(names[k].name, "fifo") || !strcmp(names[k].name, "loose")) continue;
        fresh();
        const program_result *r = IN_FOLDER("stats", "--", names[k].name);
        if (r->code != NSAMP_EUSAGE && r->code != NSAMP_EIO)
            fail_msg("stats of '%s' ended with %d: %s", names[k].name, r->code, r->err);
        assert_count(k, "stats", FRESH);
    }
    fresh();
    assert_int_equal(IN_FOLDER("run", SMALL, "output.file=a.nc", "--quiet")->code, 0);
    /* A pipe is not waited for. */
    assert_int_equal(IN_FOLDER("stats", "fifo")->code, NSAMP_EIO);
    assert_int_equal(IN_FOLDER("plot", "fifo", "-o", "x.png")->code, NSAMP_EIO);
    assert_int_equal(IN_FOLDER("run", "target.name=gaussian", "target.file=fifo")->code, NSAMP_EIO);
    assert_int_equal(IN_FOLDER("run", "target.name=mixture", "target.file=fifo")->code, NSAMP_EIO);
    assert_int_equal(IN_FOLDER("run", "system.name=rsn", "system.model=fifo")->code, NSAMP_EIO);
    assert_int_equal(IN_FOLDER("plot", "a.nc", "-o", "folder/")->code, NSAMP_EUSAGE);
    assert_int_equal(IN_FOLDER("plot", "a.nc", "-o", "loose")->code, NSAMP_EUSAGE);
    assert_int_equal(IN_FOLDER("run", SMALL, "output.file=")->code, 0); /* none: nothing is written */
    assert_count(0, "plot", FRESH + 1);
}

/* gnuplot takes "<command" in the place of its script, and "-" for an option: TMPDIR is not to reach it. */
static void temporary_folders(void **state) {
    (void)state;
    if (!have_gnuplot()) {
        print_message("gnuplot is not installed: figures are not tested\n");
        skip();
    }
    static const char *const odd[] = {"<touch PWNED;", "-persist", "|touch PWNED"};
    for (size_t k = 0; k < sizeof odd / sizeof *odd; k++) {
        fresh();
        char tmp[64];
        snprintf(tmp, sizeof tmp, "TMPDIR=%s", odd[k]);
        if (mkdir(scratch(odd[k]), 0777)) abort();
        assert_int_equal(IN_FOLDER("run", SMALL, "output.file=a.nc", "--quiet")->code, 0);
        const program_result *r = program_run(&(program){
            .folder = scratch_folder, .words = {"plot", "--kind", "moments", "a.nc"}, .environment = {tmp}});
        if (r->code) fail_msg("TMPDIR=%s: %s", odd[k], r->err);
        assert_count(0, odd[k], FRESH + 3);
        rmdir(scratch(odd[k]));
    }
}

static void library_names(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"/a/b", "/a/b"}, {"./a", "./a"}, {"../a", "../a"},
                                           {" a", "./ a"},   {"~", "./~"},   {"a/b", "./a/b"}};
    for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
        char *name = nsamp_pathname_library(pairs[k][0]);
        assert_string_equal(name, pairs[k][1]);
        free(name);
    }
    nsamp_error err;
    assert_int_equal(nsamp_pathname_check("", &err), NSAMP_EUSAGE);
    assert_int_equal(nsamp_pathname_check("./http://a", &err), NSAMP_OK);
    assert_int_equal(nsamp_pathname_check("://a", &err), NSAMP_OK);
}

static int end(void **state) {
    fresh();
    rmdir(scratch("folder"));
    return scratch_close(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(library_names), cmocka_unit_test(outputs),           cmocka_unit_test(models),
        cmocka_unit_test(others),        cmocka_unit_test(temporary_folders),
    };
    return cmocka_run_group_tests(tests, scratch_open, end);
}
