/* test_memory.c: what a plan says a run will take is what it takes at most; a plan that is only looked at takes next to nothing;
 * what does not fit is refused before anything is allocated, by the machine's memory and by the limits of a process. */
#define _DEFAULT_SOURCE /* wait4 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "memory.h"
#include "nsamp.h"
#include "scratch.h"
#include "systems/model.h"

enum { WORDS = 12 };
static const double MIB = 1024 * 1024;

static nsamp_job *job_of(const char *const *settings) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    for (int i = 0; job && i < WORDS && settings[i]; i++) {
        char key[128];
        const char *equals = strchr(settings[i], '=');
        snprintf(key, sizeof key, "%.*s", (int)(equals - settings[i]), settings[i]);
        if (nsamp_job_set(job, key, equals + 1, &err)) fail_msg("%s", err.text);
    }
    return job;
}

/* "memory      12.5 MiB" in the text of a plan, in bytes. */
static double planned(const char *text) {
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    char unit[8];
    double value = 0;
    const char *at = strstr(text, "\nmemory");
    if (!at || sscanf(at, "\nmemory %lf %7s", &value, unit) != 2) return 0;
    for (int i = 0; i < 4; i++, value *= 1024)
        if (!strcmp(unit, units[i])) return value;
    return 0;
}

typedef enum what { MODEL, DRY, WHOLE, NOTHING } what;

/* Peak memory of a process that does so much of the job, bytes; in *plan what the plan said. */
static double peak(const char *const *settings, what how_much, double *plan) {
    int to[2];
    double said = 0;
    assert_true(!pipe(to));
    fflush(NULL);
    const pid_t pid = fork();
    if (!pid) {
        nsamp_error err = {0};
        nsamp_job *job = job_of(settings);
        nsamp_plan *p = NULL;
        nsamp_model *m = NULL;
        nsamp_status status = NSAMP_OK;
        if (how_much == DRY) status = nsamp_job_set(job, "run.dry", "yes", &err);
        if (!status && how_much == MODEL) status = nsamp_model_create(job, &m, &err);
        if (!status && how_much != MODEL && how_much != NOTHING) status = nsamp_plan_create(job, &p, &err);
        if (!status && p) said = planned(nsamp_plan_text(p));
        if (!status && how_much == WHOLE) status = nsamp_plan_run(p, NULL, NULL, &err);
        if (status && status != NSAMP_STOPPED) fprintf(stderr, "%s\n", err.text);
        (void)!write(to[1], &said, sizeof said);
        _exit(status && status != NSAMP_STOPPED);
    }
    struct rusage used;
    int status;
    assert_int_equal(wait4(pid, &status, 0, &used), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(to[0], &said, sizeof said), sizeof said);
    close(to[0]);
    close(to[1]);
    if (plan) *plan = said;
    return (double)used.ru_maxrss * 1024;
}

static void a_run_takes_what_is_planned(void **state) {
    (void)state;
    char output[600];
    snprintf(output, sizeof output, "output.file=%s", scratch("a.nc"));
#define HERE output, "output.overwrite=yes", "run.threads=2"
    const char *const jobs[][WORDS] = {
        {"target.dim=100", "run.chains=20000", "run.steps=40", HERE},
        {"target.dim=64", "run.chains=20000", "run.steps=40", "record.every=10", "record.chains=20000", HERE},
        {"target.dim=1", "run.chains=16", "run.steps=4000000", "record.every=1", "record.chains=16", HERE},
        {"target.name=gaussian", "target.file=builtin:decay", "target.dim=700", "run.chains=512",
         "run.steps=20", "record.cov_dim=700", HERE},
        {"system.name=mh-spiking", "target.dim=10", "system.neurons=1000", "run.chains=20000", "run.steps=40",
         HERE},
        {"system.name=rsn", "system.model=builtin:linear", "target.dim=100", "train.hidden=20000",
         "run.chains=256", "run.steps=5", HERE},
    };
    const char *const none[WORDS] = {"run.threads=2", NULL};
    const double base = peak(none, NOTHING, NULL) + 24 * MIB; /* libraries: netCDF, LAPACK, threads */
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++) {
        double plan = 0, dry_plan = 0;
        const double whole = peak(jobs[i], WHOLE, &plan), dry = peak(jobs[i], DRY, &dry_plan),
                     model = peak(jobs[i], MODEL, NULL);
        nsamp_job *job = job_of(jobs[i]);
        const double bound = nsamp_model_bytes(job);
        nsamp_job_destroy(job);
        print_message("job %zu: planned %.0f MiB, peak %.0f, dry %.0f, model %.0f of %.0f, base %.0f\n", i,
                      plan / MIB, whole / MIB, dry / MIB, model / MIB, bound / MIB, base / MIB);
        assert_true(plan > 0 && plan == dry_plan);
        assert_true(whole < plan + base);
        assert_true(plan < 3 * whole);
        assert_true(model < bound + base);
        assert_true(dry < bound + base);
    }
}

static void assert_refused(const char *const *settings, const char *words) {
    nsamp_error err = {0};
    nsamp_plan *plan = NULL;
    nsamp_job *job = job_of(settings);
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    assert_int_equal(nsamp_plan_create(job, &plan, &err), NSAMP_EUSAGE);
    getrusage(RUSAGE_SELF, &after);
    assert_null(plan);
    if (!strstr(err.text, words)) fail_msg("'%s' does not say '%s'", err.text, words);
    assert_true(after.ru_maxrss - before.ru_maxrss < 64 * 1024);
    nsamp_job_destroy(job);
}

static void what_does_not_fit(void **state) {
    (void)state;
    const char *const jobs[][WORDS] = {
        {"target.dim=1e8", "run.chains=4096"},
        {"target.dim=1e8", "run.chains=4096", "run.dry=yes"},
        {"target.dim=1000", "run.chains=4e9"},
        {"target.name=gaussian", "target.file=builtin:decay", "target.dim=1e7", "run.chains=1"},
        {"system.name=mh-spiking", "target.dim=1e8", "run.chains=1"},
        {"system.name=rsn", "system.model=builtin:linear", "target.dim=1e8", "run.chains=1"}};
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        assert_refused(jobs[i], "target.dim = ");
}

/* ulimit -v: the least of the limits counts, and is named. In a process of its own, since a limit cannot be raised again. */
static void the_limit_of_a_process(void **state) {
    (void)state;
    fflush(NULL);
    const pid_t pid = fork();
    if (!pid) {
        const struct rlimit little = {.rlim_cur = 1 << 30, .rlim_max = 1 << 30};
        char whose[160];
        if (setrlimit(RLIMIT_AS, &little)) _exit(1);
        const double most = nsamp_memory_limit(whose, sizeof whose);
        if (!(most < (1 << 30)) || !strstr(whose, "address space")) _exit(2);
        const char *const large[WORDS] = {"target.dim=1000", "run.chains=50000"};
        nsamp_error err = {0};
        nsamp_plan *plan = NULL;
        if (nsamp_plan_create(job_of(large), &plan, &err) != NSAMP_EUSAGE) _exit(3);
        _exit(strstr(err.text, "ulimit -v") ? 0 : 4);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_run_takes_what_is_planned),
                                       cmocka_unit_test(what_does_not_fit),
                                       cmocka_unit_test(the_limit_of_a_process)};
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
