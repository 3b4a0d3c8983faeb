/* test_damaged.c: damaged outputs, as a disk or a cut transfer leaves them: whatever the netCDF library
 * makes of them, nsamp stats and nsamp plot end with a documented code and one line that names the file,
 * or read what is left; they never crash, never hang, and leave no file behind. NSAMP_SLOW=1: thousands. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/apart.h"
#include "program.h"
#include "sample_run.h"
#include "scratch.h"

typedef struct whole {
    unsigned char *bytes;
    size_t count;
} whole;

enum { KINDS = 3, DAMAGES = 6 };
static whole files[KINDS]; /* no draws; draws in 3 dimensions; draws in 2 */

static uint64_t number(rng *r, uint64_t below) {
    return (uint64_t)(uniform(r) * (double)below);
}

/* Damages bytes [n] in one of DAMAGES ways; how many are left. */
static size_t damage(rng *r, size_t kind, unsigned char *bytes, size_t n) {
    enum { PAGE = 512 };
    const size_t at = number(r, n), page = at / PAGE * PAGE, other = number(r, n) / PAGE * PAGE;
    const size_t room = n - (page > other ? page : other), length = room < PAGE ? room : PAGE;
    switch (kind) {
    case 0: /* one bit */
        bytes[at] ^= (unsigned char)(1u << number(r, 8));
        return n;
    case 1: /* some bytes of the first pages, where HDF5 keeps its own */
        for (int k = 0; k < 8; k++)
            bytes[number(r, n < 8192 ? n : 8192)] = (unsigned char)number(r, 256);
        return n;
    case 2: /* bits anywhere */
        for (int k = 0; k < 40; k++)
            bytes[number(r, n)] ^= (unsigned char)(1u << number(r, 8));
        return n;
    case 3: /* cut */
        return at;
    case 4: /* a page of zeros */
        memset(bytes + page, 0, n - page < PAGE ? n - page : PAGE);
        return n;
    default: /* two pages swapped */
        for (size_t i = 0; i < length; i++) {
            const unsigned char c = bytes[page + i];
            bytes[page + i] = bytes[other + i];
            bytes[other + i] = c;
        }
        return n;
    }
}

static size_t lines(const char *text) {
    size_t n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* Judges what a verb made of the damaged file. */
static void judge(const program_result *p, const char *verb, size_t seed) {
    const bool known = p->code == 0 || p->code == NSAMP_EUSAGE || p->code == NSAMP_EIO;
    if (!known) fail_msg("%s of damage %zu ended with %d: %s", verb, seed, p->code, p->err);
    if (p->code && (lines(p->err) != 1 || !strstr(p->err, "bad.nc")))
        fail_msg("%s of damage %zu: no one line of bad.nc: %s", verb, seed, p->err);
    if (p->code && *p->out) fail_msg("%s of damage %zu failed after it printed: %s", verb, seed, p->out);
}

static void damaged_outputs(void **state) {
    (void)state;
    /* Found among 6,000: HDF5 1.10.8 crashes on them. */
    enum { FATAL = 2 };
    static const size_t fatal[FATAL] = {2412, 5904};
    const bool slow = getenv("NSAMP_SLOW") && *getenv("NSAMP_SLOW");
    const size_t all = slow ? 6000 : 72;
    char path[600], png[600];
    snprintf(path, sizeof path, "%s", scratch("bad.nc"));
    snprintf(png, sizeof png, "%s", scratch("bad.png"));
    size_t refused = 0, crashed = 0;
    for (size_t k = 0; k < all; k++) {
        const size_t seed = slow || k + FATAL < all ? k : fatal[all - 1 - k];
        rng r = {seed + 1};
        const whole *w = &files[seed % KINDS];
        unsigned char *bytes = malloc(w->count);
        if (!bytes) abort();
        memcpy(bytes, w->bytes, w->count);
        scratch_write(path, bytes, damage(&r, seed / KINDS % DAMAGES, bytes, w->count));
        free(bytes);
        const program_result *p = seed % 2 ? PROGRAM("stats", path) : PROGRAM("stats", "--json", path);
        judge(p, "stats", seed);
        refused += p->code != 0;
        if (strstr(p->err, "the netCDF library fails on it") || strstr(p->err, "not read after")) {
            print_message("# damage %zu: %s", seed, p->err);
            crashed++;
        }
        if (seed % 8 == 0) {
            p = PROGRAM("plot", path, "-o", png);
            if (strstr(p->err, "gnuplot")) continue; /* not installed, or it cannot draw such numbers */
            judge(p, "plot", seed);
            if (p->code && !access(png, F_OK)) fail_msg("plot of damage %zu left a picture", seed);
            unlink(png);
        }
    }
    print_message("# %zu damaged outputs: %zu refused, %zu of them since the netCDF library failed\n", all,
                  refused, crashed);
    assert_true(refused > all / 4 && refused < all);
    assert_int_equal(scratch_count(NULL), 1); /* bad.nc */
}

/* ---- the reader in its own process ---- */

static nsamp_status misbehave(void *context, FILE *to, nsamp_error *err) {
    struct rlimit cpu;
    switch (*(const int *)context) {
    case 0:
        fputs("read", to);
        return NSAMP_OK;
    case 1:
        fputs("half", to);
        fflush(to);
        raise(SIGSEGV);
        return NSAMP_OK;
    case 2:
        abort();
    case 3: /* the limit is there; not all of it is waited for */
        if (getrlimit(RLIMIT_CPU, &cpu) || cpu.rlim_cur != 5 || cpu.rlim_max <= cpu.rlim_cur) return NSAMP_OK;
        cpu.rlim_cur = 1;
        setrlimit(RLIMIT_CPU, &cpu);
        for (volatile int forever = 1; forever;) {
        }
        return NSAMP_OK;
    case 4: {
        char *much = malloc((size_t)1 << 40);
        if (much) return NSAMP_OK;
        err->status = NSAMP_ENOMEM;
        return NSAMP_ENOMEM;
    }
    case 5:
        exit(0);
    default:
        for (;;)
            if (fwrite("........", 8, 1, to) != 1) return NSAMP_OK;
    }
}

static void a_reader_cannot_harm(void **state) {
    (void)state;
    static const char *const said[] = {"",       "Segmentation fault", "Aborted",  "computing for 5 s",
                                       "memory", "fails on it",        "more than"};
    const char *path = scratch("some.nc");
    scratch_write(path, "1234", 4);
    for (int kind = 0; kind < 7; kind++) {
        char *data;
        size_t bytes;
        nsamp_error err = {0};
        const nsamp_status status = nsamp_apart(path, misbehave, &kind, &data, &bytes, &err);
        if (!kind) {
            assert_int_equal(status, NSAMP_OK);
            assert_int_equal(bytes, 4);
            assert_memory_equal(data, "read", 4);
            free(data);
            continue;
        }
        assert_int_equal(status, NSAMP_EIO);
        assert_null(data);
        if (!strstr(err.text, said[kind]) || !strstr(err.text, "some.nc"))
            fail_msg("case %d: no \"%s\" in: %s", kind, said[kind], err.text);
    }
    unlink(path);
}

/* ---- pictures ---- */

/* gnuplot ends well where the disk is full: what it wrote is looked at. */
static void a_picture_that_was_cut_short(void **state) {
    (void)state;
    if (system("gnuplot --version >/dev/null 2>&1")) {
        print_message("gnuplot is not installed: figures are not tested\n");
        skip();
    }
    static const char *const names[] = {"cut.png", "cut.svg", "cut.pdf"};
    scratch_clear();
    scratch_write(scratch("good.nc"), files[0].bytes, files[0].count);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        const program_result *r =
            program_run(&(program){.folder = scratch_folder,
                                   .words = {"plot", "--kind", "moments", "good.nc", "-o", names[k]},
                                   .file_limit = 6000});
        if (r->code != NSAMP_EIO || lines(r->err) != 1 || !strstr(r->err, names[k]))
            fail_msg("%s: ended with %d: %s", names[k], r->code, r->err);
        assert_int_equal(scratch_count(NULL), 1);
    }
    unlink(scratch("good.nc"));
}

static int begin(void **state) {
    if (scratch_open(state)) return -1;
    const sample_run kinds[KINDS] = {
        {3, 0.5, 0.25, UINT64_MAX, 0, 4}, {3, 0.5, 0.25, 7, 1, 5}, {2, 0.5, 0.25, UINT64_MAX, 1, 6}};
    for (int k = 0; k < KINDS; k++) {
        run_make(scratch("whole.nc"), &kinds[k], "0.25");
        files[k].bytes = scratch_read(scratch("whole.nc"), &files[k].count);
    }
    unlink(scratch("whole.nc"));
    return setenv("TMPDIR", scratch_folder, 1);
}

static int end(void **state) {
    for (int k = 0; k < KINDS; k++)
        free(files[k].bytes);
    return scratch_close(state);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damaged_outputs),
        cmocka_unit_test(a_reader_cannot_harm),
        cmocka_unit_test(a_picture_that_was_cut_short),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
