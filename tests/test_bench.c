/* test_bench.c: nsamp bench: a wrong sampler has no rate; the file of a bench is valid, comes back as it was and is refused when it is not one;
 * what is typed wrong is said in one line. No rate is judged here. */
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <jansson.h>
#include <math.h>
#include <string.h>

#include "bench/reference.h"
#include "bench/report.h"
#include "bench/roofline.h"
#include "bench/training.h"
#include "error.h"
#include "clock.h"
#include "job/settings.h"
#include "program.h"
#include "says.h"
#include "scratch.h"
#include "systems/rsn.h"

static nsamp_plan *plan_of(const char *settings) {
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    nsamp_error err = {0};
    if (nsamp_job_set_all(job, "run.steps=1000000 run.chains=64", &err) ||
        nsamp_job_set_all(job, settings, &err) || nsamp_plan_create(job, &plan, &err))
        fail_msg("%s", err.text);
    nsamp_job_destroy(job);
    return plan;
}

/* Settings of every kind of case that has a reference. */
static const char *const referenced[] = {
    "target.dim=7 target.rho=0.75",
    "target.dim=1000 target.rho=0.75 system.dt=0.01",
    "target.name=mixture target.dim=10 target.means=-1,1 target.sds=0.8",
    "system.name=rsn system.model=builtin:linear target.dim=2 train.hidden=1000",
    "system.name=rsn system.model=builtin:tanh target.dim=2 train.hidden=1000",
    "system.name=rsn system.model=builtin:tanh target.dim=64 train.hidden=512 run.path=product"};

static void test_reference(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof referenced / sizeof *referenced; i++) {
        nsamp_plan *p = plan_of(referenced[i]);
        double error = 0;
        nsamp_error err = {0};
        assert_int_equal(nsamp_plan_start(p, &err), NSAMP_OK);
        if (nsamp_reference_check(p, &error, &err)) fail_msg("%s: %s", referenced[i], err.text);
        assert_true(error > 0 && error < 2e-3); /* rounding, and not nothing at all */
        nsamp_plan_destroy(p);
    }
    nsamp_plan *p = plan_of("target.dim=7 system.geometry=natural");
    double error = 0;
    assert_int_equal(nsamp_reference_check(p, &error, NULL), NSAMP_OK);
    assert_true(error < 0);
    nsamp_plan_destroy(p);
}

/* A time step that is 1 % off in the parameters of the kernel and not in the job: a fault that must be seen, and then there is no rate. */
static void test_wrong_has_no_rate(void **state) {
    (void)state;
    nsamp_bench_report report = {.watch = {1e-3, 5}};
    report.machine.threads = 1;
    nsamp_bench_row row = {.reference = -1};
    nsamp_plan *p = plan_of("system.name=rsn system.model=builtin:linear target.dim=2 train.hidden=100");
    nsamp_bench_time_plan(&report, p, &row);
    assert_string_equal(row.error, "");
    assert_true(row.rate.median > 0 && row.rate.low <= row.rate.median && row.rate.median <= row.rate.high);
    nsamp_plan_destroy(p);
    p = plan_of("system.name=rsn system.model=builtin:linear target.dim=2 train.hidden=100");
    ((nsamp_rsn_params *)p->model->params)->h *= 1.01f;
    row = (nsamp_bench_row){.reference = -1};
    nsamp_bench_time_plan(&report, p, &row);
    assert_true(row.failed && row.rate.median == 0);
    assert_has(row.error, "differ from the equation");
    nsamp_plan_destroy(p);
    snprintf(row.system, sizeof row.system, "rsn");
    report.rows = &row;
    report.count = 1;
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    nsamp_bench_write(f, &report);
    fclose(f);
    assert_has(out, "\"failed\": true");
    assert_null(strstr(strstr(out, "\"rows\": ["), "\"rate\""));
    nsamp_error err = {0};
    assert_int_equal(nsamp_bench_plot(&report, scratch("none.png"), &err), NSAMP_EUSAGE);
    free(out);
}

static nsamp_learner *learner_of(const char *settings) {
    nsamp_job *job = nsamp_job_create();
    nsamp_learner *l = NULL;
    nsamp_error err = {0};
    if (nsamp_job_set_all(job, settings, &err) || nsamp_training_learner(job, 1, "base", &l, &err))
        fail_msg("%s", err.text);
    nsamp_job_destroy(job);
    return l;
}

static const nsamp_learner_ops *true_ops;
static uint64_t blocks, batches;

static nsamp_status counting_block(nsamp_learner *l, const nsamp_train_block *b, double *losses,
                                   nsamp_error *err) {
    blocks++;
    batches += b->steps;
    return true_ops->block(l, b, losses, err);
}

/* A block whose loss is 0.1 % off. */
static nsamp_status wrong_block(nsamp_learner *l, const nsamp_train_block *b, double *losses,
                                nsamp_error *err) {
    const nsamp_status status = true_ops->block(l, b, losses, err);
    losses[0] *= 1.001;
    return status;
}

/* Losses that are 0.1 % off, the block's as well. */
static void wrong_loss(nsamp_learner *l, const nsamp_level *level, size_t rows, const float *x0,
                       const float *eps, double *loss) {
    true_ops->loss(l, level, rows, x0, eps, loss);
    for (size_t r = 0; r < rows; r++)
        loss[r] *= 1.001;
}

/* What `nsamp train` runs is what is timed: whole blocks, of the repetitions that are counted. A fault of it has no rate. */
static void test_training_reference(void **state) {
    (void)state;
    const nsamp_stopwatch watch = {0, 5};
    nsamp_rate rate;
    double error = -1;
    nsamp_error err = {0};
    nsamp_learner *l = learner_of("run.backend=cpu target.dim=3 train.hidden=50 train.batch=32");
    true_ops = l->ops;
    nsamp_learner_ops ops = *true_ops;
    ops.block = counting_block;
    l->ops = &ops;
    if (nsamp_training_measure(l, "base", &watch, &rate, &error, &err)) fail_msg("%s", err.text);
    assert_true(error > 0 && error < 1e-4);
    assert_true(rate.low > 0 && rate.low <= rate.median && rate.median <= rate.high);
    assert_int_equal(batches, 1 + 2 + 5); /* the check, the calibration, the runs: of one repetition each */
    assert_int_equal(blocks, 8);
    ops.block = wrong_block;
    assert_int_equal(nsamp_training_measure(l, "base", &watch, &rate, &error, &err), NSAMP_ECHECK);
    assert_true(rate.median == 0 && error > 0.9e-3 && error < 1.1e-3);
    ops = *true_ops;
    ops.loss = wrong_loss;
    ops.block = counting_block;
    assert_int_equal(nsamp_training_measure(l, "base", &watch, &rate, &error, &err), NSAMP_ECHECK);
    assert_true(rate.median == 0 && error > 0.9e-3 && error < 1.1e-3);
    l->ops = true_ops;
    nsamp_learner_destroy(l);
}

static nsamp_status fails(void *work, uint64_t times, nsamp_error *err) {
    uint64_t *calls = work;
    (void)times;
    return ++*calls == 3 ? nsamp_fail(err, NSAMP_EIO, "broken") : NSAMP_OK;
}

static void test_measure(void **state) {
    (void)state;
    const nsamp_stopwatch watch = {0, 5};
    uint64_t calls = 0;
    nsamp_rate rate = {1, 1, 1};
    assert_int_equal(nsamp_measure(&watch, fails, &calls, 1, &rate, NULL), NSAMP_EIO);
    assert_true(rate.median == 0 && calls == 3);
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static void fill(nsamp_bench_report *r, nsamp_bench_row *rows) {
    memset(r, 0, sizeof *r);
    memset(rows, 0, 3 * sizeof *rows);
    *r = (nsamp_bench_report){.watch = {0.2, 5}, .laws = 27, .rows = rows, .count = 3};
    r->machine = (nsamp_machine){.date = "2026-11-23T08:30Z",
                                 .program = "nsamp",
                                 .cpu = "a \"processor\" \\ of 2",
                                 .cores = 2,
                                 .threads = 2,
                                 .isa = "v4",
                                 .backend = "cpu, two threads",
                                 .l2_bytes = 2097152};
    snprintf(r->overrides, sizeof r->overrides, "run.threads=2");
    for (int k = 0; k < NSAMP_CEILING_count; k++)
        if (k != NSAMP_CEILING_curand)
            r->ceilings.rate[k] = (nsamp_rate){1e11 / (k + 3), 9e10 / (k + 3), 1.1e11 / (k + 3)};
    for (int i = 0; i < 3; i++) {
        nsamp_bench_row *row = &rows[i];
        *row = (nsamp_bench_row){.size = 1 << i,
                                 .chains = 4096,
                                 .dim = 7,
                                 .rate = {1e8 / 3, 3.1e7, 3.5e7},
                                 .tau = i ? NAN : 12.25,
                                 .reference = i ? -1 : 1.5e-6,
                                 .binds = NSAMP_BOUND_fma,
                                 .product = 5};
        row->counts = (nsamp_counts){7, 0, 35, 0, 0, 56, 1234};
        row->bound[NSAMP_BOUND_fma] = 1e9 / 7;
        row->bound[NSAMP_BOUND_copy] = 1e9;
        snprintf(row->system, sizeof row->system, "langevin");
        snprintf(row->title, sizeof row->title, "case %d", i);
        snprintf(row->unit, sizeof row->unit, "chain-step");
        snprintf(row->tau_source, sizeof row->tau_source, "%s", i ? "" : "run");
    }
    snprintf(rows[2].error, sizeof rows[2].error, "a \"reason\"");
    rows[2].failed = true;
}

static char *written(const nsamp_bench_report *r) {
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    nsamp_bench_write(f, r);
    fclose(f);
    return out;
}

static void test_round_trip(void **state) {
    (void)state;
    nsamp_bench_report first, second;
    nsamp_bench_row rows[3];
    nsamp_error err = {0};
    fill(&first, rows);
    assert_int_equal(nsamp_bench_save(scratch("b.json"), &first, &err), NSAMP_OK);
    if (nsamp_bench_load(scratch("b.json"), &second, &err)) fail_msg("%s", err.text);
    assert_int_equal(second.count, 3);
    assert_string_equal(second.machine.cpu, first.machine.cpu);
    assert_string_equal(second.overrides, "run.threads=2");
    assert_true(second.laws == 27 && second.machine.l2_bytes == 2097152);
    assert_true(second.ceilings.rate[NSAMP_CEILING_curand].median == 0);
    const nsamp_bench_row *row = &second.rows[0];
    assert_true(row->size == NSAMP_BENCH_SMALL && row->chains == 4096 && row->dim == 7 && row->tau == 12.25);
    assert_true(row->rate.median == rows[0].rate.median && row->binds == NSAMP_BOUND_fma);
    assert_true(row->counts.flop == 35 && row->counts.working_set == 1234 && row->reference == 1.5e-6);
    assert_true(isnan(second.rows[1].tau) && second.rows[1].reference < 0 &&
                second.rows[1].bound[NSAMP_BOUND_noise] == 0);
    assert_true(second.rows[2].failed && second.rows[2].rate.median == 0);
    assert_string_equal(second.rows[2].error, "a \"reason\"");
    char *a = written(&first), *b = written(&second);
    assert_string_equal(a, b);
    free(a);
    free(b);
    nsamp_bench_report_free(&second);
}

static void refused(const char *text, size_t size, const char *why) {
    nsamp_bench_report r;
    nsamp_error err = {0};
    scratch_write(scratch("bad.json"), text, size);
    assert_int_equal(nsamp_bench_load(scratch("bad.json"), &r, &err), NSAMP_EIO);
    assert_has(err.text, why);
    assert_true(r.count == 0);
    nsamp_bench_report_free(&r);
}

static void test_bad_files(void **state) {
    (void)state;
    nsamp_bench_report r;
    nsamp_bench_row rows[3];
    fill(&r, rows);
    char *text = written(&r);
    for (size_t n = 0; n + 1 < strlen(text); n += 37)
        refused(text, n, "bad.json");
    free(text);
#define REFUSED(text, why) refused(text, sizeof text - 1, why)
    REFUSED("{\"nsamp_bench\": 2, \"rows\": []}", "not written by nsamp bench");
    REFUSED("{\"nsamp_bench\": 1, \"rows\": {}}", "not written by nsamp bench");
    REFUSED("[1]", "not written by nsamp bench");
#undef REFUSED
    /* Rows of nothing, of the wrong types, of numbers out of range: read as rows without a rate. */
    nsamp_error err = {0};
    static const char odd[] = "{\"nsamp_bench\": 1, \"rows\": [1, {}, {\"system\": 3, \"rate\": \"x\", "
                              "\"chains\": -5, \"dim\": 1e300, "
                              "\"binds\": \"F\", \"title\": "
                              "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}]}";
    scratch_write(scratch("odd.json"), odd, sizeof odd - 1);
    assert_int_equal(nsamp_bench_load(scratch("odd.json"), &r, &err), NSAMP_OK);
    assert_true(r.count == 3 && r.rows[2].chains == 0 && r.rows[2].dim == 0 &&
                r.rows[2].binds == NSAMP_BOUND_count);
    assert_int_equal(strlen(r.rows[2].title), sizeof r.rows[2].title - 1);
    assert_int_equal(nsamp_bench_plot(&r, scratch("odd.png"), &err), NSAMP_EUSAGE);
    nsamp_bench_report_free(&r);
}

static void test_picture(void **state) {
    (void)state;
    nsamp_bench_report r;
    nsamp_bench_row rows[3];
    nsamp_error err = {0};
    size_t size;
    fill(&r, rows);
    if (nsamp_bench_plot(&r, scratch("roof.png"), &err)) fail_msg("%s", err.text);
    unsigned char *png = scratch_read(scratch("roof.png"), &size);
    assert_true(size > 10000 && !memcmp(png, "\x89PNG", 4));
    free(png);
    assert_int_equal(nsamp_bench_plot(&r, scratch("roof.gif"), &err), NSAMP_EUSAGE);
    memset(&r.ceilings, 0, sizeof r.ceilings); /* a machine whose ceilings nobody measured */
    assert_int_equal(nsamp_bench_plot(&r, scratch("roof.svg"), &err), NSAMP_OK);
}

/* ---- the command line ---------------------------------------------------------------------------------- */

static void assert_refused(const program_result *r, int code, const char *part) {
    assert_int_equal(r->code, code);
    assert_string_equal(r->out, "");
    assert_int_equal(strncmp(r->err, "nsamp: ", 7), 0);
    assert_ptr_equal(strchr(r->err, '\n'), r->err + strlen(r->err) - 1);
    assert_has(r->err, part);
}

/* Work that writes down its turns. */
typedef struct turn_taker {
    char *turns; /* of both */
    char name;
    int fails_at; /* the call that fails; 0: none */
    int calls;
} turn_taker;

static nsamp_status take_turn(void *work, uint64_t times, nsamp_error *err) {
    turn_taker *t = work;
    const double began = nsamp_clock();
    while (nsamp_clock() == began) /* a run has a length */
        ;
    t->turns[strlen(t->turns)] = t->name;
    assert_int_equal(times, 1);
    return ++t->calls == t->fails_at ? nsamp_fail(err, NSAMP_EIO, "broken") : NSAMP_OK;
}

/* Two runs of each to find their length, then the rounds, each beginning with the other one. */
static void test_turns(void **state) {
    (void)state;
    const nsamp_stopwatch watch = {0, 5};
    const double each[2] = {3, 5};
    nsamp_work_fn *const f[2] = {take_turn, take_turn};
    char turns[64] = "";
    turn_taker a = {turns, 'a', 0, 0}, b = {turns, 'b', 0, 0};
    void *const work[2] = {&a, &b};
    nsamp_rate rate[2], ratio;
    nsamp_error err = {0};
    if (nsamp_measure_turns(&watch, f, work, each, rate, &ratio, &err)) fail_msg("%s", err.text);
    assert_string_equal(turns, "aabb"
                               "abbaabbaabbaabbaabbaab");
    assert_true(ratio.low > 0 && ratio.low <= ratio.median && ratio.median <= ratio.high);
    for (int k = 0; k < 2; k++)
        assert_true(rate[k].low > 0 && rate[k].low <= rate[k].median && rate[k].median <= rate[k].high);
    memset(turns, 0, sizeof turns);
    b.fails_at = b.calls + 4;
    assert_int_equal(nsamp_measure_turns(&watch, f, work, each, rate, &ratio, &err), NSAMP_EIO);
    assert_string_equal(turns, "aabb"
                               "abb");
    assert_true(rate[0].median == 0 && rate[1].median == 0 && ratio.median == 0);
}

static void test_refused_words(void **state) {
    (void)state;
    assert_refused(PROGRAM("bench", "langevim"), 2,
                   "langevim: nothing to time has this name; nearest: langevin");
    assert_refused(PROGRAM("bench", "run.thread=1"), 2, "nearest: run.threads");
    assert_refused(PROGRAM("bench", "training", "train.precision=tf32", "run.backend=cpu"), 2,
                   "train.precision = tf32");
    assert_refused(PROGRAM("bench", "run.isa=v9"), 2, "run.isa = v9");
    assert_refused(PROGRAM("bench", "--size", "huge"), 2, "small, medium, large, all");
    assert_refused(PROGRAM("bench", "-o", "/nowhere/at/all.json"), 2, "/nowhere/at");
    assert_refused(PROGRAM("bench", "--read", "/nowhere.json"), 4, "/nowhere.json");
    assert_refused(PROGRAM("bench", "rsn", "--read", "x.json"), 2, "--read");
    assert_refused(PROGRAM("bench", "--read", "x.json", "--against", "run.isa=v3"), 2, "--against");
    assert_refused(PROGRAM("bench", "training", "--against", "run.treads=1"), 2, "nearest: run.threads");
    assert_refused(PROGRAM("bench", "training", "--against", ""), 2, "--against");
    assert_refused(PROGRAM("bench", "training", "--against", "run.isa=v3", "--markdown"), 2, "--markdown");
}

/* Chains that start off their law and are stopped before they reach it fail the check: exit code 6, and no number. */
static void test_failed_law(void **state) {
    (void)state;
    assert_refused(PROGRAM("bench", "rsn", "--quiet", "run.start=zero", "run.burn_in=0", "run.steps=60"), 6,
                   "nothing was timed");
}

/* Settings of size are for what is timed: with them the laws could not see a fault of 1 %, and nothing would be timed. */
static void test_sizes_are_not_the_laws(void **state) {
    (void)state;
    const program_result *r = PROGRAM("bench", "mh-spiking", "--quick", "--quiet", "run.chains=64",
                                      "target.dim=3", "run.threads=2");
    if (r->code) fail_msg("%s", r->err);
    assert_has(r->out, "\n  natural, p 2, n 20 ");
    assert_null(strstr(r->out, "not run"));
}

static void test_program(void **state) {
    (void)state;
    const char *file = scratch("t.json");
    json_error_t why;
    const program_result *r =
        PROGRAM("bench", "training", "--quick", "--quiet", "--json", "-o", file, "run.threads=1");
    assert_int_equal(r->code, 0);
    assert_string_equal(r->err, "");
    json_t *root = json_loads(r->out, JSON_REJECT_DUPLICATES, &why);
    if (!root) fail_msg("%s", why.text);
    assert_string_equal(json_string_value(json_object_get(root, "overrides")), "run.threads=1");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "machine"), "threads")), 1);
    const json_t *rows = json_object_get(root, "rows"), *row = json_array_get(rows, 0);
    assert_int_equal(json_array_size(rows), 1);
    assert_string_equal(json_string_value(json_object_get(row, "system")), "training");
    assert_true(json_number_value(json_object_get(row, "rate")) > 0);
    json_decref(root);
    size_t size;
    char *out = strdup(r->out);
    unsigned char *kept = scratch_read(file, &size);
    assert_int_equal(size, strlen(out));
    assert_memory_equal(kept, out, size);
    free(kept);
    free(out);
    r = PROGRAM("bench", "--read", file, "--markdown");
    assert_has(r->out, "| training, m 2, n 1000, batch 512 | ");
    r = PROGRAM("bench", "--read", file);
    assert_has(r->out, "settings of this bench: run.threads=1");
    assert_has(r->out, "m 2, n 1000, batch 512 ");
    assert_refused(PROGRAM("plot", file, "--kind", "trace"), 2, "a bench has a roofline");
    r = PROGRAM("plot", file);
    assert_int_equal(r->code, 0);
    assert_has(r->out, "t.png");
}

/* A case by turns with itself under other settings, those that do not work here too; a law that fails with them stops all. */
static void test_against(void **state) {
    (void)state;
    const char *file = scratch("against.json");
    json_error_t why;
    const program_result *r = PROGRAM("bench", "training", "--quick", "--quiet", "-o", file, "run.threads=1",
                                      "run.backend=cpu", "--against", "train.batch=64 run.isa=base");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "by turns against train.batch=64 run.isa=base (11 rounds");
    size_t size;
    char *out = strdup(strstr(r->out, "by turns")), *kept = (char *)scratch_read(file, &size);
    json_t *root = json_loadb(kept, size, JSON_REJECT_DUPLICATES, &why);
    if (!root) fail_msg("%s", why.text);
    assert_string_equal(json_string_value(json_object_get(root, "against")), "train.batch=64 run.isa=base");
    const json_t *against = json_object_get(json_array_get(json_object_get(root, "rows"), 0), "against");
    const double ratio = json_number_value(json_object_get(against, "ratio")),
                 own = json_number_value(json_object_get(against, "own")),
                 rate = json_number_value(json_object_get(against, "rate"));
    assert_true(ratio > 0 && own > 0 && rate > 0); /* which is the faster no test asks */
    assert_true(json_number_value(json_object_get(against, "ratio_low")) <= ratio);
    assert_true(json_number_value(json_object_get(against, "ratio_high")) >= ratio);
    json_decref(root);
    r = PROGRAM("bench", "--read", file);
    assert_has(r->out, out);
    free(kept);
    free(out);
    r = PROGRAM("bench", "training", "--quick", "--quiet", "run.backend=cpu", "--against",
                "train.precision=tf32");
    assert_int_equal(r->code, 0);
    assert_has(r->out, "not run: ");
    assert_has(r->out, "train.precision = tf32");
    assert_refused(PROGRAM("bench", "rsn", "--quick", "--quiet", "--against",
                           "run.start=zero run.burn_in=0 run.steps=60"),
                   6, "nothing was timed");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_wrong_has_no_rate),
        cmocka_unit_test(test_training_reference),
        cmocka_unit_test(test_measure),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_picture),
        cmocka_unit_test(test_refused_words),
        cmocka_unit_test(test_failed_law),
        cmocka_unit_test(test_sizes_are_not_the_laws),
        cmocka_unit_test(test_program),
        cmocka_unit_test(test_against),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
