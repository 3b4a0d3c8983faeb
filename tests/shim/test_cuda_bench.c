/* test_cuda_bench.c: nsamp bench with run.backend=cuda, the .cu files on fibres (tests/shim): the right work is done as often as it is
 * counted. The rates are those of the shim, say nothing of a GPU and are never shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>
#include "bench/bench.h"
#include "bench/training.h"
#include "job/settings.h"
#include "shim.h"

static const nsamp_stopwatch once = {0, 5}; /* 2 + 5 repetitions */

static nsamp_job *job_of(const char *settings) {
    nsamp_job *job = nsamp_job_create();
    nsamp_error err;
    if (nsamp_job_set_all(job, settings, &err)) fail_msg("%s", err.text);
    return job;
}

static void assert_rate(const nsamp_rate *rate) {
    assert_true(rate->low > 0 && rate->low <= rate->median && rate->median <= rate->high &&
                isfinite(rate->high));
}

/* ---- training ------------------------------------------------------------------------------------------ */

static void test_training_runs_blocks_on_the_device(void **state) {
    (void)state;
    static const struct {
        const char *precision;
        double least, most;
    } cases[] = {{"fp32", 0, 1e-4}, {"tf32", 1e-7, 4e-3}, {"bf16", 1e-6, 3e-2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char settings[160];
        snprintf(settings, sizeof settings,
                 "run.backend=cuda target.dim=5 train.hidden=40 train.batch=24 train.precision=%s",
                 cases[i].precision);
        nsamp_job *job = job_of(settings);
        nsamp_bench_report report = {.watch = once};
        nsamp_bench_row row = {.system = "training", .reference = -1};
        report.machine.threads = 1;
        snprintf(report.machine.isa, sizeof report.machine.isa, "base");
        const uint64_t replays = nsamp_shim_replays();
        nsamp_bench_time(&report, job, &row);
        if (*row.error) fail_msg("%s", row.error);
        assert_int_equal(nsamp_shim_replays() - replays, 1 + 2 + 5);
        assert_rate(&row.rate);
        assert_string_equal(row.backend, "cuda");
        assert_non_null(strstr(row.kernel, cases[i].precision));
        assert_true(row.chains == 24 && row.dim == 5);
        assert_true(row.reference >= cases[i].least && row.reference <= cases[i].most);
        nsamp_job_destroy(job);
        assert_int_equal(nsamp_shim_allocated(), 0);
    }
}

/* A device that has no room has no rate, and says so. */
static void test_training_without_room(void **state) {
    (void)state;
    nsamp_job *job = job_of("run.backend=cuda target.dim=5 train.hidden=40 train.batch=24");
    nsamp_bench_report report = {.watch = once};
    nsamp_bench_row row = {.system = "training", .reference = -1};
    snprintf(report.machine.isa, sizeof report.machine.isa, "base");
    nsamp_shim_set_memory(1000);
    nsamp_bench_time(&report, job, &row);
    nsamp_shim_set_memory((size_t)4 << 30);
    assert_true(*row.error && !row.failed && row.rate.median == 0);
    assert_int_equal(nsamp_shim_allocated(), 0);
    nsamp_job_destroy(job);
}

/* ---- cases --------------------------------------------------------------------------------------------- */

static int stop_and_count(const char *what, size_t index, size_t count, void *user) {
    (void)what;
    (void)index;
    *(size_t *)user = count;
    return 1;
}

/* Measurements of a bench of the large trainings: laws, ceilings, cases. */
static size_t measurements(const char *backend) {
    static const char *const training[] = {"training"};
    const char *const settings[] = {backend, "train.hidden=16", "target.dim=2"};
    const nsamp_bench_options o = {training, 1, settings, 3, NSAMP_BENCH_LARGE, once};
    nsamp_bench_report report = {.count = 0};
    nsamp_error err;
    size_t count = 0;
    assert_int_equal(nsamp_bench_run(&o, stop_and_count, &count, &report, &err), NSAMP_STOPPED);
    assert_int_equal(strncmp(report.machine.backend, strchr(backend, '=') + 1, 3), 0);
    nsamp_bench_report_free(&report);
    return count;
}

static void test_a_batch_of_4096_is_for_gpus(void **state) {
    (void)state;
    assert_int_equal(measurements("run.backend=cpu"), 2 + 2);
    assert_int_equal(measurements("run.backend=cuda"), 2 + 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_runs_blocks_on_the_device),
        cmocka_unit_test(test_training_without_room),
        cmocka_unit_test(test_a_batch_of_4096_is_for_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
