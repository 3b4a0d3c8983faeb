/* test_engine.c: what the engine promises: a chain's bits depend on its number, the seed and the step alone;
 * a stopped run goes on as if it had not stopped; a diverged chain harms no other. Kernels and laws are
 * tested elsewhere. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "engine/plan.h"
#include "stored_draws.h"

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/nsamp-engine-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    char command[96];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* A small equicorrelated job plus "key=value" settings, NULL-terminated. */
static nsamp_job *job_of(const char *const *settings) {
    static const char *const common[] = {"system.name=langevin",
                                         "target.name=equicorrelated",
                                         "target.dim=9",
                                         "target.rho=0.6",
                                         "run.steps=200",
                                         "run.burn_in=20",
                                         "run.chains=300",
                                         "run.seed=5",
                                         NULL};
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    assert_non_null(job);
    for (int pass = 0; pass < 2; pass++)
        for (const char *const *s = pass ? settings : common; *s; s++) {
            char key[128];
            const char *eq = strchr(*s, '=');
            snprintf(key, sizeof key, "%.*s", (int)(eq - *s), *s);
            if (nsamp_job_set(job, key, eq + 1, &err)) fail_msg("%s", err.text);
        }
    return job;
}

static nsamp_plan *plan_of(const char *const *settings) {
    nsamp_error err = {0};
    nsamp_job *job = job_of(settings);
    nsamp_plan *plan = NULL;
    if (nsamp_plan_create(job, &plan, &err)) fail_msg("%s", err.text);
    nsamp_job_destroy(job);
    return plan;
}

static nsamp_plan *run_of(const char *const *settings) {
    nsamp_error err = {0};
    nsamp_plan *plan = plan_of(settings);
    if (nsamp_plan_run(plan, NULL, NULL, &err)) fail_msg("%s", err.text);
    return plan;
}

static float state_at(const nsamp_plan *p, uint64_t chain, size_t i) {
    const size_t L = p->batch.lanes;
    return p->batch.state[((chain / L) * p->model->state_len + i) * L + chain % L];
}

static void assert_same_states(const nsamp_plan *a, const nsamp_plan *b, uint64_t chains) {
    assert_int_equal(a->model->state_len, b->model->state_len);
    for (uint64_t c = 0; c < chains; c++)
        for (size_t i = 0; i < a->model->state_len; i++) {
            const float x = state_at(a, c, i), y = state_at(b, c, i);
            if (memcmp(&x, &y, sizeof x))
                fail_msg("chain %llu, number %zu: %a against %a", (unsigned long long)c, i, x, y);
        }
}

static void assert_same_summary(const nsamp_plan *a, const nsamp_plan *b) {
    const nsamp_summary *s = nsamp_plan_summary(a), *t = nsamp_plan_summary(b);
    const size_t bytes = s->dim * sizeof(double);
    assert_int_equal(s->dim, t->dim);
    assert_memory_equal(s->mean, t->mean, bytes);
    assert_memory_equal(s->mean_se, t->mean_se, bytes);
    assert_memory_equal(s->var, t->var, bytes);
    assert_memory_equal(s->var_se, t->var_se, bytes);
    assert_memory_equal(s->rhat, t->rhat, bytes);
    assert_memory_equal(s->ess, t->ess, bytes);
    assert_memory_equal(s->min, t->min, bytes);
    assert_memory_equal(s->max, t->max, bytes);
    if (s->cov) assert_memory_equal(s->cov, t->cov, bytes * s->dim);
}

/* Runs both and requires the same bits of states and moments. */
static void assert_same_runs(const char *const *one, const char *const *two) {
    nsamp_plan *a = run_of(one), *b = run_of(two);
    assert_same_states(a, b, a->batch.chains);
    assert_same_summary(a, b);
    nsamp_plan_destroy(a);
    nsamp_plan_destroy(b);
}

#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_threads(void **state) {
    (void)state;
    static const char *const geometry[] = {"system.geometry=naive", "system.geometry=natural"};
    for (size_t g = 0; g < 2; g++) {
        assert_same_runs(SET(geometry[g], "run.threads=1"), SET(geometry[g], "run.threads=2"));
        assert_same_runs(SET(geometry[g], "run.threads=1"), SET(geometry[g], "run.threads=5"));
    }
}

/* So many that the threads share the loops of the summary too. */
static void test_many_chains(void **state) {
    (void)state;
    static const char *const threads[] = {"run.threads=2", "run.threads=3", "run.threads=5"};
    for (size_t i = 0; i < 3; i++)
        assert_same_runs(SET("run.chains=100003", "run.steps=60", "run.threads=1"),
                         SET("run.chains=100003", "run.steps=60", threads[i]));
}

static void test_instruction_sets(void **state) {
    (void)state;
    static const char *const isa[] = {"run.isa=v3", "run.isa=v4"};
    size_t compared = 0;
    for (size_t i = 0; i < 2; i++) {
        nsamp_error err = {0};
        nsamp_plan *probe = NULL;
        nsamp_job *job = job_of(SET(isa[i]));
        nsamp_status status = nsamp_plan_create(job, &probe, &err);
        nsamp_plan_destroy(probe);
        nsamp_job_destroy(job);
        if (status) {
            assert_non_null(strstr(err.text, "this processor does not have it"));
            print_message("%s: not on this processor\n", isa[i]);
            continue;
        }
        assert_same_runs(SET("run.isa=base"), SET(isa[i]));
        compared++;
    }
    if (!compared) skip();
}

static void test_chain_is_its_number(void **state) {
    (void)state;
    nsamp_plan *few = run_of(SET("run.chains=8")), *many = run_of(SET("run.chains=300"));
    assert_same_states(few, many, 8);
    const float a = state_at(few, 6, 0), b = state_at(few, 7, 0);
    assert_true(a != b);
    nsamp_plan_destroy(few);
    nsamp_plan_destroy(many);
}

static void test_seed_matters(void **state) {
    (void)state;
    nsamp_plan *a = run_of(SET("run.seed=1")), *b = run_of(SET("run.seed=2"));
    size_t same = 0;
    for (uint64_t c = 0; c < 300; c++)
        same += state_at(a, c, 0) == state_at(b, c, 0);
    assert_true(same < 3);
    nsamp_plan_destroy(a);
    nsamp_plan_destroy(b);
}

/* What is recorded must not matter. */
static void test_record_interval(void **state) {
    (void)state;
    char one[128], two[128];
    snprintf(one, sizeof one, "output.file=%s/every7.nc", folder);
    snprintf(two, sizeof two, "output.file=%s/every50.nc", folder);
    assert_same_runs(SET("run.threads=2"), SET(one, "record.every=7", "record.chains=5"));
    assert_same_runs(SET("run.threads=2"), SET(two, "record.every=50", "record.chains=300"));
}

/* Every draw is x after its step, however many threads and buffers it came through: 2480 draws of 300 chains, 7
 * blocks. Beside a path taken a step at a time. */
static void test_draws_are_the_path(void **state) {
    (void)state;
    enum { C = 300, D = 9, DRAWS = 2480, PART = 61 };
    static const char *const threads[] = {"run.threads=1", "run.threads=2", "run.threads=5"};
    nsamp_error err = {0};
    float *const path = malloc(sizeof(float) * C * DRAWS * D);
    assert_non_null(path);
    nsamp_plan *p = plan_of(SET("run.steps=2500"));
    assert_int_equal(nsamp_plan_start(p, &err), NSAMP_OK);
    assert_int_equal(p->backend->ops->advance(p->backend, 0, 20, NULL, &err), NSAMP_OK);
    for (size_t k = 0; k < DRAWS; k++) {
        const nsamp_record record = {.chains = C, .x = path + k * D, .stride = (size_t)DRAWS * D};
        assert_int_equal(p->backend->ops->advance(p->backend, 20 + k, 21 + k, NULL, &err), NSAMP_OK);
        assert_int_equal(p->backend->ops->observe(p->backend, &record, &err), NSAMP_OK);
    }
    nsamp_plan_destroy(p);
    for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
        char file[128];
        const char *const name = file + strlen("output.file=");
        size_t n;
        snprintf(file, sizeof file, "output.file=%s/path%zu.nc", folder, i);
        nsamp_plan_destroy(
            run_of(SET("run.steps=2500", threads[i], file, "record.every=1", "record.chains=300")));
        float *const all = stored_draws(name, &n);
        assert_int_equal(n, C * DRAWS * D);
        assert_memory_equal(all, path, n * sizeof *all);
        free(all);
        /* some chains, not a whole number of tiles, every 61st step: the last of them is not the run's last step */
        snprintf(file, sizeof file, "output.file=%s/part%zu.nc", folder, i);
        nsamp_plan_destroy(
            run_of(SET("run.steps=2500", threads[i], file, "record.every=61", "record.chains=70")));
        float *const part = stored_draws(name, &n);
        assert_int_equal(n, 70 * (DRAWS / PART) * D);
        for (size_t c = 0; c < 70; c++)
            for (size_t k = 0; k < DRAWS / PART; k++)
                assert_memory_equal(part + (c * (DRAWS / PART) + k) * D,
                                    path + (c * DRAWS + (k + 1) * PART - 1) * D, D * sizeof(float));
        free(part);
    }
    free(path);
}

/* Advancing in pieces by the backend interface equals advancing at once. */
static void test_two_runs_are_one(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_plan *whole = run_of(SET("run.start=normal")),
               *parts = run_of(SET("run.start=normal", "run.steps=100", "run.burn_in=0"));
    assert_int_equal(parts->backend->ops->advance(parts->backend, 100, 133, NULL, &err), NSAMP_OK);
    assert_int_equal(parts->backend->ops->advance(parts->backend, 133, 200, NULL, &err), NSAMP_OK);
    assert_int_equal(parts->backend->ops->fetch(parts->backend, &err), NSAMP_OK);
    assert_same_states(whole, parts, 300);
    nsamp_plan_destroy(whole);
    nsamp_plan_destroy(parts);
}

static int stop_at_once(const nsamp_progress *progress, void *user) {
    (void)user;
    return progress->done < progress->total;
}

/* Stops again and again, resuming each time, until the run is through. */
static void test_resume(void **state) {
    (void)state;
    char file[128], other[128];
    snprintf(file, sizeof file, "output.file=%s/broken.nc", folder);
    snprintf(other, sizeof other, "output.file=%s/whole.nc", folder);
    const char *const settings[] = {
        file, "run.resume=yes", "run.chains=4000", "target.dim=64", "run.steps=15000", "record.every=500",
        NULL};
    nsamp_plan *whole = run_of(
                   SET(other, "run.chains=4000", "target.dim=64", "run.steps=15000", "record.every=500")),
               *broken = NULL;
    int stops = 0;
    for (;;) {
        nsamp_error err = {0};
        broken = plan_of(settings);
        nsamp_status status = nsamp_plan_run(broken, stop_at_once, NULL, &err);
        if (status == NSAMP_OK) break;
        /* how often it stops depends on how fast it is: under a sanitizer more than 100 times */
        if (status != NSAMP_STOPPED || ++stops > 100000) fail_msg("%s", err.text);
        nsamp_plan_destroy(broken);
    }
    assert_true(stops > 0);
    assert_same_states(whole, broken, 4000);
    assert_same_summary(whole, broken);
    nsamp_plan_destroy(whole);
    nsamp_plan_destroy(broken);
    char left[128];
    snprintf(left, sizeof left, "%s/broken.nc.ckpt", folder);
    assert_int_not_equal(access(left, F_OK), 0);
    snprintf(left, sizeof left, "%s/broken.nc.draws", folder);
    assert_int_not_equal(access(left, F_OK), 0);
}

/* Stops at once. user: a file, whose name is emptied when it is seen. */
static int look_for(const nsamp_progress *progress, void *user) {
    char *const file = user;
    if (progress->done < progress->total && !access(file, F_OK)) *file = 0;
    return progress->done < progress->total;
}

/* A run that begins anew makes a new file of draws: the checkpoint that counts on the old one must be gone before, or a later
 * resume would take draws that are not there. */
static void test_a_new_run_forgets(void **state) {
    (void)state;
    char file[128], checkpoint[128];
    snprintf(file, sizeof file, "output.file=%s/anew.nc", folder);
    snprintf(checkpoint, sizeof checkpoint, "%s/anew.nc.ckpt", folder);
    const char *settings[] = {
        file, "run.chains=4000", "target.dim=64", "run.steps=100000", "record.every=10000", NULL, NULL};
    nsamp_error err = {0};
    nsamp_plan *plan = plan_of(settings);
    assert_int_equal(nsamp_plan_run(plan, stop_at_once, NULL, &err), NSAMP_STOPPED);
    nsamp_plan_destroy(plan);
    assert_int_equal(access(checkpoint, F_OK), 0);
    plan = plan_of(settings); /* not asked to: refused, and all stays */
    assert_int_equal(nsamp_plan_run(plan, NULL, NULL, &err), NSAMP_EUSAGE);
    nsamp_plan_destroy(plan);
    assert_int_equal(access(checkpoint, F_OK), 0);
    settings[5] = "output.overwrite=yes";
    plan = plan_of(settings);
    assert_int_equal(nsamp_plan_run(plan, look_for, checkpoint, &err), NSAMP_STOPPED);
    assert_int_equal(*checkpoint, '/');
    nsamp_plan_destroy(plan);
}

/* A run goes on with the interval that it began with, whatever the program would choose now. */
static void test_resume_keeps_the_interval(void **state) {
    (void)state;
    char file[128];
    snprintf(file, sizeof file, "output.file=%s/interval.nc", folder);
    nsamp_error err = {0};
    nsamp_plan *whole =
        run_of(SET("run.chains=2000", "target.dim=64", "run.steps=3000", "run.accumulate_every=13"));
    nsamp_plan *plan = plan_of(SET(file, "run.chains=2000", "target.dim=64", "run.steps=3000"));
    assert_true(plan->accumulate_every != 13);
    plan->accumulate_every = 13; /* as a program with other costs might have chosen */
    nsamp_moments_set_interval(plan->batch.moments, 13, 3000);
    assert_int_equal(nsamp_plan_start(plan, &err), NSAMP_OK);
    assert_int_equal(plan->backend->ops->advance(plan->backend, 0, 1500, NULL, &err), NSAMP_OK);
    assert_int_equal(plan->backend->ops->fetch(plan->backend, &err), NSAMP_OK);
    plan->step = 1500;
    assert_int_equal(nsamp_plan_save(plan, &err), NSAMP_OK);
    nsamp_plan_destroy(plan);
    plan = run_of(SET(file, "run.resume=yes", "run.chains=2000", "target.dim=64", "run.steps=3000"));
    assert_int_equal(plan->summary.accumulate_every, 13);
    assert_same_summary(whole, plan);
    nsamp_plan_destroy(whole);
    nsamp_plan_destroy(plan);
}

/* A checkpoint of another job is refused. */
static void test_resume_of_another_job(void **state) {
    (void)state;
    char file[128];
    snprintf(file, sizeof file, "output.file=%s/other.nc", folder);
    nsamp_error err = {0};
    nsamp_plan *plan = plan_of(SET(file, "run.chains=4000", "target.dim=64", "run.steps=100000"));
    assert_int_equal(nsamp_plan_run(plan, stop_at_once, NULL, &err), NSAMP_STOPPED);
    nsamp_plan_destroy(plan);
    plan = plan_of(
        SET(file, "run.resume=yes", "run.chains=4000", "target.dim=64", "run.steps=100000", "run.seed=6"));
    assert_int_equal(nsamp_plan_run(plan, NULL, NULL, &err), NSAMP_EUSAGE);
    nsamp_plan_destroy(plan);
}

/* One chain blows up: it is named, with its step, and the others keep their bits and their moments. */
static uint64_t interval_of(const char *const *settings) {
    nsamp_plan *plan = plan_of(settings);
    const uint64_t every = plan->accumulate_every;
    nsamp_plan_destroy(plan);
    return every;
}

/* Two jobs whose steps and samples cost the same: where samples at the usual interval would lie further apart than half an
 * autocorrelation time they come sooner, at two and a half times the cost at most. A short run still gets 20. */
static void test_interval(void **state) {
    (void)state;
#define LARGE "target.dim=1000", "run.steps=100000", "run.chains=16", "system.dt=0.05"
    const uint64_t slow = interval_of(SET(LARGE, "system.geometry=naive")),
                   fast = interval_of(SET(LARGE, "system.geometry=natural")); /* tau 39 */
    assert_true(slow > 40 && fast >= 20 && fast < slow && 5 * fast >= 2 * slow - 5);
    assert_int_equal(interval_of(SET(LARGE, "system.geometry=natural", "system.dt=0.001")), slow);
    assert_int_equal(interval_of(SET(LARGE, "run.steps=220")), 10);
#undef LARGE
}

static void test_divergence(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_plan *good = run_of(SET("run.chains=64")), *bad = plan_of(SET("run.chains=64"));
    nsamp_model *model = bad->model;
    assert_int_equal(nsamp_plan_run(bad, NULL, NULL, &err), NSAMP_OK);
    const size_t L = bad->batch.lanes, S = model->state_len;
    for (size_t i = 0; i < S; i++)
        bad->batch.state[(5 / L * S + i) * L + 5 % L] = 3e38f;
    bad->batch.state[(5 / L * S) * L + 5 % L] = INFINITY;
    assert_int_equal(bad->backend->ops->advance(bad->backend, 200, 230, NULL, &err), NSAMP_OK);
    assert_int_equal(bad->backend->ops->fetch(bad->backend, &err), NSAMP_OK);
    assert_int_equal(good->backend->ops->advance(good->backend, 200, 230, NULL, &err), NSAMP_OK);
    assert_int_equal(good->backend->ops->fetch(good->backend, &err), NSAMP_OK);
    for (uint64_t c = 0; c < 64; c++) {
        assert_int_equal(bad->batch.first_bad[c], c == 5 ? 200 : UINT64_MAX);
        for (size_t i = 0; i < S && c != 5; i++)
            assert_true(state_at(good, c, i) == state_at(bad, c, i));
    }
    nsamp_plan_destroy(good);
    nsamp_plan_destroy(bad);
}

static void assert_refused(const char *const *settings, nsamp_status expected, const char *word) {
    nsamp_error err = {0};
    nsamp_plan *plan = NULL;
    nsamp_job *job = job_of(settings);
    assert_int_equal(nsamp_plan_create(job, &plan, &err), expected);
    assert_null(plan);
    if (!strstr(err.text, word)) fail_msg("'%s' does not name %s", err.text, word);
    nsamp_job_destroy(job);
}

static void test_refusals(void **state) {
    (void)state;
    assert_refused(SET("run.burn_in=200"), NSAMP_EUSAGE, "run.burn_in");
    assert_refused(SET("record.every=10"), NSAMP_EUSAGE, "output.file");
    assert_refused(SET("record.every=10", "run.checkpoint=/tmp/x.ckpt"), NSAMP_EUSAGE, "output.file");
    assert_refused(SET("record.every=181", "output.file=/tmp/x.nc"), NSAMP_EUSAGE, "record.every");
    assert_refused(SET("run.noise_rounds=8"), NSAMP_EUSAGE, "7 or 10");
    assert_refused(SET("run.chains=4000000000", "target.dim=1000000"), NSAMP_EUSAGE, "memory");
    assert_refused(SET("run.accumulate_every=100"), NSAMP_EUSAGE, "accumulate_every");
    assert_refused(SET("output.file=/nowhere/at/all/x.nc"), NSAMP_EUSAGE, "/nowhere/at/all");
}

static void test_walltime(void **state) {
    (void)state;
    char file[128];
    snprintf(file, sizeof file, "output.file=%s/walltime.nc", folder);
    nsamp_error err = {0};
    nsamp_plan *plan = plan_of(SET(file, "run.max_walltime_s=0.3", "run.steps=100000000"));
    assert_int_equal(nsamp_plan_run(plan, NULL, NULL, &err), NSAMP_STOPPED);
    assert_true(plan->step > 0 && plan->step < plan->steps);
    nsamp_plan_destroy(plan);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_instruction_sets),
        cmocka_unit_test(test_chain_is_its_number),
        cmocka_unit_test(test_seed_matters),
        cmocka_unit_test(test_many_chains),
        cmocka_unit_test(test_record_interval),
        cmocka_unit_test(test_draws_are_the_path),
        cmocka_unit_test(test_two_runs_are_one),
        cmocka_unit_test(test_resume),
        cmocka_unit_test(test_a_new_run_forgets),
        cmocka_unit_test(test_resume_keeps_the_interval),
        cmocka_unit_test(test_resume_of_another_job),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_walltime),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
