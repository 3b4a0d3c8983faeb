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
#include "check/check.h"
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

/* ---- ceilings ------------------------------------------------------------------------------------------ */

/* A report of a GPU whose ceilings are these whole numbers. */
static nsamp_bench_report report_of(const char *backend) {
    nsamp_bench_report r = {.watch = once};
    r.machine.threads = 1;
    r.machine.l2_bytes = 1 << 20;
    snprintf(r.machine.isa, sizeof r.machine.isa, "base");
    snprintf(r.ceilings.backend, sizeof r.ceilings.backend, "%s", backend);
    r.ceilings.rate[NSAMP_CEILING_noise].median = 3000;
    r.ceilings.rate[NSAMP_CEILING_noise_fast].median = 5000;
    r.ceilings.rate[NSAMP_CEILING_fma].median = 1e9;
    r.ceilings.rate[NSAMP_CEILING_product_fp32].median = 7e5;
    r.ceilings.rate[NSAMP_CEILING_product_bf16].median = 11e5;
    r.ceilings.rate[NSAMP_CEILING_copy_l2].median = 13e6;
    r.ceilings.rate[NSAMP_CEILING_copy_memory].median = 17e6;
    return r;
}

static nsamp_bench_row row_of(const nsamp_bench_report *report, const char *system, const char *settings) {
    nsamp_bench_row row = {.reference = -1};
    nsamp_job *job = nsamp_job_create();
    nsamp_error err;
    snprintf(row.system, sizeof row.system, "%s", system);
    if (strcmp(system, "training") && nsamp_job_set(job, "system.name", system, &err))
        fail_msg("%s", err.text);
    if (nsamp_job_set_all(job, "run.backend=cuda run.steps=1000000 run.chains=32", &err) ||
        nsamp_job_set_all(job, settings, &err))
        fail_msg("%s", err.text);
    nsamp_bench_time(report, job, &row);
    nsamp_job_destroy(job);
    if (*row.error) fail_msg("%s: %s", settings, row.error);
    return row;
}

/* Exact normals against the rate of exact ones, fast against that of fast ones; no copies where the state is in registers. */
static void test_bounds_of_langevin(void **state) {
    (void)state;
    const nsamp_bench_report r = report_of("cuda");
    nsamp_bench_row row = row_of(&r, "langevin", "target.dim=10");
    assert_true(row.bound[NSAMP_BOUND_noise] == 300 && row.binds == NSAMP_BOUND_noise);
    assert_true(row.bound[NSAMP_BOUND_copy] == 0 && row.bound[NSAMP_BOUND_product] == 0);
    assert_string_equal(row.copy, "");
    row = row_of(&r, "langevin", "target.dim=10 run.math=fast");
    assert_true(row.bound[NSAMP_BOUND_noise] == 500);
    assert_true(row.reference > 0 && row.reference < 2e-3); /* held to its own normals, in double */
}

/* A training goes through its weights: by the cache that holds them, or by memory. Its products are those of its precision. */
static void test_bounds_of_training(void **state) {
    (void)state;
    nsamp_bench_report r = report_of("cuda");
    const char *const settings = "target.dim=5 train.hidden=40 train.batch=24";
    nsamp_bench_row row = row_of(&r, "training", settings);
    assert_string_equal(row.copy, "copy_l2");
    assert_true(row.bound[NSAMP_BOUND_copy] == 13e6 / row.counts.bytes);
    assert_true(row.bound[NSAMP_BOUND_product] == 7e5 / (10 * 5 * 40));
    r.machine.l2_bytes = 1000;
    row = row_of(&r, "training", "target.dim=5 train.hidden=40 train.batch=24 train.precision=bf16");
    assert_string_equal(row.copy, "copy_memory");
    assert_true(row.bound[NSAMP_BOUND_product] == 11e5 / (10 * 5 * 40));
    const nsamp_bench_report other = report_of("cpu"); /* ceilings of another device bound nothing */
    row = row_of(&other, "training", settings);
    assert_true(row.rate.median > 0 && row.binds == NSAMP_BOUND_count);
    for (int b = 0; b < NSAMP_BOUND_count; b++)
        assert_true(row.bound[b] == 0);
}

/* A large network is set against the products of its own shape, made on the device. */
static void test_products_on_their_own_shape(void **state) {
    (void)state;
    const nsamp_bench_report r = report_of("cuda");
    const uint64_t products = nsamp_shim_products();
    nsamp_bench_row row =
        row_of(&r, "rsn", "system.model=builtin:linear target.dim=10 train.hidden=100000 record.cov_dim=0");
    assert_true(row.product > 0 && row.product != 7e5);
    assert_true(row.bound[NSAMP_BOUND_product] == row.product / (4 * 10 * 100000.0));
    /* Two a step and two a repetition of the ceiling: a step before the graphs are made, three that are checked, then 2 + 5 of each. */
    assert_int_equal(nsamp_shim_products() - products, 2 * (1 + 3 + 7) + 2 * 7);
    assert_int_equal(nsamp_shim_allocated(), 0);
    row = row_of(&r, "rsn", "system.model=builtin:linear target.dim=10 train.hidden=100 run.path=product");
    assert_true(row.product == 7e5); /* a small one against the usual shape */
    row = row_of(&r, "rsn", "system.model=builtin:linear target.dim=10 train.hidden=100 run.precision=bf16");
    assert_non_null(strstr(row.kernel, "one fused kernel")); /* on the tensor cores all the same */
    assert_true(row.bound[NSAMP_BOUND_product] == 11e5 / (4 * 10 * 100.0));
}

/* ---- laws ---------------------------------------------------------------------------------------------- */

/* Before run.math = fast is timed its law is checked, and no case that has no such mode stands in the way. Runs far too short to judge:
 * here only that the right ones run. */
static void test_laws_of_the_fast_mode(void **state) {
    (void)state;
    const char *const settings[] = {"run.backend=cuda", "run.math=fast",          "run.chains=64",
                                    "run.steps=40",     "run.accumulate_every=1", "run.burn_in=0"};
    static const char *const langevin[] = {"langevin"}, *const rsn[] = {"rsn"};
    nsamp_check_report report;
    nsamp_error err;
    size_t cases_there = 0;
    nsamp_check_run(langevin, 1, settings, 6, NULL, NULL, &report, &err);
    for (size_t i = 0; i < report.count; i++) {
        assert_false(report.rows[i].error);
        assert_non_null(strstr(report.rows[i].job, "target.name=equicorrelated"));
        cases_there += *report.rows[i].text != 0;
    }
    assert_int_equal(cases_there, 5);
    nsamp_check_report_free(&report);
    assert_int_equal(nsamp_check_run(rsn, 1, settings, 6, NULL, NULL, &report, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "run.math = fast"));
    nsamp_check_report_free(&report);
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
    const nsamp_bench_options o = {.systems = training,
                                   .nsystems = 1,
                                   .settings = settings,
                                   .nsettings = 3,
                                   .sizes = NSAMP_BENCH_LARGE,
                                   .watch = once};
    nsamp_bench_report report = {.count = 0};
    nsamp_error err;
    size_t count = 0;
    assert_int_equal(nsamp_bench_run(&o, stop_and_count, &count, &report, &err), NSAMP_STOPPED);
    assert_int_equal(strncmp(report.machine.backend, strchr(backend, '=') + 1, 3), 0);
    nsamp_bench_report_free(&report);
    return count;
}

/* So are two batches in bf16 for CPUs. */
static void test_a_batch_of_4096_is_for_gpus(void **state) {
    (void)state;
    assert_int_equal(measurements("run.backend=cpu"), 2 + 4);
    assert_int_equal(measurements("run.backend=cuda"), 2 + 3);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_training_runs_blocks_on_the_device),
        cmocka_unit_test(test_training_without_room),
        cmocka_unit_test(test_bounds_of_langevin),
        cmocka_unit_test(test_bounds_of_training),
        cmocka_unit_test(test_products_on_their_own_shape),
        cmocka_unit_test(test_laws_of_the_fast_mode),
        cmocka_unit_test(test_a_batch_of_4096_is_for_gpus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
