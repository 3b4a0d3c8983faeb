/* test_diagnose.c: the verdict under a table. Each finding from a run that has the fault and not from one that has none, by the
 * program and by the judgement alone; superchains, whose chains share a start. */
#define _DEFAULT_SOURCE
#define _XOPEN_SOURCE 700
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "program.h"
#include "scratch.h"
#include "stats/diagnose.h"
#include "stats/moments.h"

#define IN_FOLDER(...) program_run(&(program){.words = {__VA_ARGS__}, .folder = scratch_folder})
#define GOOD           "target.dim=2", "run.chains=400", "run.steps=4000", "run.threads=1"

static void assert_says(const char *text, const char *words) {
    if (!strstr(text, words)) fail_msg("'%s' is not in:\n%s", words, text);
}

/* ---- the judgement ---- */

typedef struct run {
    nsamp_evidence e;
    double mean[3], var[3], rhat[3], nested[3], ess[3], tau[3], drift_mean[3], drift_var[3];
} run;

static void good(run *r) {
    *r = (run){.mean = {0, 1, 2},
               .var = {1, 1, 1},
               .rhat = {1, 1.005, 1.002},
               .nested = {1, 1.001, 1},
               .ess = {500, 400, 900},
               .tau = {3, 4, 5},
               .drift_mean = {0.5, -2, 1},
               .drift_var = {1, 2, -2.5}};
    r->e = (nsamp_evidence){.dim = 3,
                            .chains = 100,
                            .steps = 1000,
                            .samples = 100,
                            .every = 10,
                            .mean = r->mean,
                            .var = r->var,
                            .rhat = r->rhat,
                            .rhat_nested = r->nested,
                            .ess = r->ess,
                            .tau = r->tau,
                            .drift_mean = r->drift_mean,
                            .drift_var = r->drift_var,
                            .drift_units = 100};
}

/* The run has this finding, and no other. */
static void only(const run *r, const char *name, const char *words) {
    nsamp_finding list[NSAMP_FINDINGS];
    const size_t count = nsamp_diagnose(&r->e, list);
    if (count != 1 || strcmp(list[0].name, name) != 0)
        fail_msg("%zu findings, the first %s, and not %s alone", count, count ? list[0].name : "none", name);
    assert_says(list[0].text, words);
    assert_int_equal(nsamp_any_bad(list, count), strcmp(name, "cold_start") != 0);
}

static void each_fault_alone(void **state) {
    (void)state;
    run r;
    char text[300];
    nsamp_finding list[NSAMP_FINDINGS];
    good(&r);
    assert_int_equal(nsamp_diagnose(&r.e, list), 0);
    nsamp_all_is_well(&r.e, text, sizeof text);
    assert_says(text, "R-hat up to 1.0050, ESS at least 400, no drift between halves (|t| up to 2.5)");
#define FAULT(change, name, words) good(&r), change, only(&r, name, words)
    FAULT(r.e.diverged = 3, "diverged", "3 of 100 chains diverged");
    FAULT(r.e.stuck = 98, "stuck", "98 of 100 chains never moved");
    FAULT(r.mean[1] = NAN, "unknown", "the first is x[1]");
    FAULT(r.var[2] = 0, "constant", "the first is x[2]");
    FAULT(r.rhat[1] = 1.02, "rhat", "R-hat of x[1] is 1.0200");
    FAULT((r.rhat[0] = NAN, r.rhat[2] = 1.03), "rhat", "R-hat of x[2]");
    FAULT(r.nested[0] = 1.011, "rhat_nested", "nested R-hat of x[0]");
    FAULT(r.drift_mean[2] = -6, "drift_mean", "mean of x[2]");
    FAULT((r.drift_var[0] = 6, r.drift_var[1] = NAN), "drift_var", "variance of x[0]");
    FAULT(r.ess[1] = 99, "ess", "x[1] is 99");
    FAULT((r.ess[0] = NAN, r.ess[2] = 3), "ess", "x[2] is 3");
    FAULT(r.tau[0] = 300, "tau", "x[0] is 300");
    FAULT(r.e.chains = 15, "few_chains", "15 chains are few");
    FAULT(r.e.cold_start = true, "cold_start", "run.burn_in");
    /* levels that pass */
    good(&r);
    r.rhat[0] = 1.00999;
    r.ess[0] = 100;
    r.e.chains = 16;
    assert_int_equal(nsamp_diagnose(&r.e, list), 0);
    /* the drift threshold grows with the coordinates and shrinks with the chains */
    r.drift_mean[0] = 4.3;
    assert_int_equal(nsamp_diagnose(&r.e, list), 1);
    r.e.drift_units = 5;
    assert_int_equal(nsamp_diagnose(&r.e, list), 0);
}

/* ---- runs ---- */

static void a_good_run(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("run", GOOD, "output.file=good.nc");
    assert_int_equal(r->code, 0);
    assert_says(r->out, "verdict: converged");
    assert_null(strstr(r->out, "nested"));
    assert_null(strstr(r->out, "note:"));
    assert_says(r->out, "target     |z|");
    assert_int_equal(IN_FOLDER("stats", "--strict", "good.nc")->code, 0);
    r = IN_FOLDER("stats", "good.nc");
    assert_says(r->out, "verdict: converged");
    assert_null(strstr(r->out, "nested"));
    json_t *root = json_loads(IN_FOLDER("stats", "--json", "good.nc")->out, 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "findings")), 0);
    const json_t *job = json_object_get(root, "job");
    assert_true(json_is_integer(json_object_get(job, "run.chains")));
    assert_true(json_is_real(json_object_get(job, "system.dt")));
    assert_true(json_is_array(json_object_get(job, "target.mean")));
    assert_true(json_is_false(json_object_get(job, "run.resume")));
    assert_true(json_is_string(json_object_get(job, "target.name")));
    json_decref(root);
}

/* A transient: far from the target at the start, and no burn-in. Standard errors know nothing of it. */
static void a_transient(void **state) {
    (void)state;
    static const char *const starts[] = {"run.start=zero", "run.start=target"};
    for (int i = 0; i < 2; i++) {
        const program_result *r = IN_FOLDER("run", GOOD, "target.mean=5", "run.steps=1000", starts[i],
                                            "output.overwrite=yes", "output.file=way.nc");
        assert_int_equal(r->code, 0);
        assert_int_equal(strstr(r->out, "has not forgotten its start") != NULL, i == 0);
        assert_int_equal(strstr(r->out, "note: chains do not start from the target") != NULL, i == 0);
        r = IN_FOLDER("stats", "--strict", "way.nc");
        if (i == 0) {
            assert_int_equal(r->code, NSAMP_ECHECK);
            assert_says(r->err, "--strict");
        }
        assert_int_equal(strstr(r->out, "has not forgotten its start") != NULL, i == 0);
    }
}

/* Naive mh-spiking at rho .95 is silent: most chains never move, and R-hat alone saw little. */
static void chains_that_never_move(void **state) {
    (void)state;
    const program_result *r =
        IN_FOLDER("run", "system.name=mh-spiking", "system.geometry=naive", "target.dim=10",
                  "target.rho=0.95", "system.leak=no", "run.chains=200", "run.steps=200", "run.threads=1");
    assert_int_equal(r->code, 0);
    assert_says(r->out, "of 200 chains never moved");
}

static void one_chain(void **state) {
    (void)state;
    const program_result *r = IN_FOLDER("run", "target.dim=1", "run.chains=1", "run.steps=20000");
    assert_says(r->out, "ESS - (smallest)");
    assert_says(r->out, "1 chains are few");
}

/* Two modes that never mix: chains of a superchain share a mode, so that nested R-hat is large; where every chain has a start of
 * its own there is none, and R-hat says it. */
static void modes_that_never_mix(void **state) {
    (void)state;
#define MODES                                                                                                \
    "run", "target.name=mixture", "target.dim=1", "target.weights=0.5,0.5", "target.means=-8,8",             \
        "target.sds=1,1", "run.chains=128", "run.steps=2000", "run.threads=1"
    const program_result *r = IN_FOLDER(MODES);
    assert_int_equal(r->code, 0);
    assert_null(strstr(r->out, "nested"));
    r = IN_FOLDER(MODES, "run.superchains=16");
    assert_int_equal(r->code, 0);
    assert_says(r->out, "verdict: nested R-hat of x[0]");
    r = IN_FOLDER("run", GOOD, "run.superchains=40"); /* forgets its starts */
    assert_says(r->out, ", nested 1.00");
    assert_null(strstr(r->out, "verdict: nested"));
    r = IN_FOLDER("run", GOOD, "run.superchains=7");
    assert_int_equal(r->code, NSAMP_EUSAGE);
    assert_says(r->err, "run.superchains = 7");
    assert_int_equal(IN_FOLDER("run", GOOD, "run.superchains=400")->code, NSAMP_EUSAGE);
}

/* Chains of one superchain start at one point, that of its first chain. */
static void starts_are_shared(void **state) {
    (void)state;
    assert_int_equal(nsamp_superchain_start(0, 12, 3), 0);
    assert_int_equal(nsamp_superchain_start(3, 12, 3), 0);
    assert_int_equal(nsamp_superchain_start(4, 12, 3), 4);
    assert_int_equal(nsamp_superchain_start(11, 12, 3), 8);
    assert_int_equal(nsamp_superchain_start(11, 12, 0), 11);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_alone), cmocka_unit_test(a_good_run),
        cmocka_unit_test(a_transient),      cmocka_unit_test(chains_that_never_move),
        cmocka_unit_test(one_chain),        cmocka_unit_test(modes_that_never_mix),
        cmocka_unit_test(starts_are_shared)};
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
