/* test_cuda_shim.c: the CUDA backend against the CPU backend, bit for bit, with the .cu files running on
 * fibres (tests/shim). Every test runs in three thread orders. What it cannot show: speed, and faults of the
 * GPU's compiler. */
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

#include "kernels/systems/langevin_equi.h"
#include "kernels/systems/mh_spiking.h"
#include "runs.h"
#include "stored_draws.h"
#include "systems/rsn.h"

static void assert_same_bits(const char *what, const void *a, const void *b, size_t count, size_t size) {
    for (size_t i = 0; i < count; i++)
        if (memcmp((const char *)a + i * size, (const char *)b + i * size, size))
            fail_msg("%s differs at entry %zu of %zu", what, i, count);
}

/* Every bit, but for NaNs, whose payload is nobody's promise. */
static void assert_same_states(const nsamp_plan *a, const nsamp_plan *b) {
    const size_t S = a->model->state_len, La = a->batch.lanes, Lb = b->batch.lanes;
    for (uint64_t c = 0; c < a->batch.chains; c++)
        for (size_t i = 0; i < S; i++) {
            const float *x = &a->batch.state[(c / La * S + i) * La + c % La];
            const float *y = &b->batch.state[(c / Lb * S + i) * Lb + c % Lb];
            if (!isnan(*x) || !isnan(*y)) assert_same_bits("state", x, y, 1, sizeof *x);
        }
}

static void assert_same_runs(const nsamp_plan *a, const nsamp_plan *b) {
    const nsamp_moments *ma = a->batch.moments, *mb = b->batch.moments;
    const size_t len = nsamp_moments_record_len(ma);
    double *ra = malloc(len * sizeof *ra), *rb = malloc(len * sizeof *rb);
    assert_true(ra && rb && len == nsamp_moments_record_len(mb));
    assert_int_equal(ma->count[0], mb->count[0]);
    assert_int_equal(ma->count[1], mb->count[1]);
    assert_true(ma->count[0] > 0 && ma->count[1] > 0);
    assert_same_states(a, b);
    uint64_t bad = 0;
    for (uint64_t c = 0; c < a->batch.chains; c++) {
        if (a->batch.first_bad[c] != b->batch.first_bad[c])
            fail_msg("chain %llu: first bad step %lld and %lld", (unsigned long long)c,
                     (long long)a->batch.first_bad[c], (long long)b->batch.first_bad[c]);
        nsamp_moments_get(ma, c, ra);
        nsamp_moments_get(mb, c, rb);
        if (a->batch.first_bad[c] == UINT64_MAX)
            assert_same_bits("moments", ra, rb, len, sizeof *ra);
        else
            bad++;
    }
    if (ma->products && !bad)
        assert_same_bits("products", ma->products, mb->products, ma->groups * ma->dim * ma->dim,
                         sizeof(double));
    free(ra);
    free(rb);
}

/* A device that chains fill, and one that they do not. */
static int multiprocessors[] = {0, 4096};

/* The job on the CPU, then through the shim in each order and on each device. fails: whether chains are flagged. */
static void compare_runs(const char *const *settings, tamper_fn *tamper, bool fails) {
    float *x_cpu;
    nsamp_plan *cpu = run_on("cpu", settings, tamper, &x_cpu);
    const size_t numbers = 2 * (size_t)cpu->batch.chains * cpu->model->dim;
    uint64_t bad = 0;
    for (uint64_t c = 0; c < cpu->batch.chains; c++)
        bad += cpu->batch.first_bad[c] != UINT64_MAX;
    assert_true(fails == (bad > 0));
    for (size_t o = 0; o < sizeof orders / sizeof orders[0]; o++)
        for (size_t m = 0; m < 2; m++) {
            float *x;
            const size_t before = nsamp_shim_allocated();
            const uint64_t launches = nsamp_shim_launches();
            nsamp_shim_set_order(orders[o].order, 7 + o);
            nsamp_shim_set_multiprocessors(multiprocessors[m]);
            nsamp_plan *shim = run_on("cuda", settings, tamper, &x);
            assert_true(nsamp_shim_launches() > launches);
            assert_same_runs(cpu, shim);
            if (!bad) assert_same_bits("observed x", x_cpu, x, numbers, sizeof *x);
            nsamp_plan_destroy(shim);
            free(x);
            assert_int_equal(nsamp_shim_allocated(), before);
        }
    nsamp_plan_destroy(cpu);
    free(x_cpu);
}

static void compare(const char *const *settings, tamper_fn *tamper) {
    compare_runs(settings, tamper, tamper != NULL);
}

/* ---- langevin_equi: every shape of the kernel ---------------------------------------------------------- */

static void langevin(int dim, const char *geometry, const char *extra) {
    char d[64], g[64];
    snprintf(d, sizeof d, "target.dim=%d", dim);
    snprintf(g, sizeof g, "system.geometry=%s", geometry);
    const char *const settings[] = {"target.name=equicorrelated", "target.rho=0.4", d, g, extra, NULL};
    compare(settings, NULL);
}

static void test_langevin_thread_a_chain(void **state) {
    (void)state;
    static const int dims[] = {1, 2, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 16, 19, 20, 31, 32};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        langevin(dims[i], "naive", "run.noise_rounds=10");
        langevin(dims[i], "natural", i % 2 ? "run.noise_rounds=7" : "run.noise_rounds=10");
    }
}

static void test_langevin_part_of_a_warp(void **state) {
    (void)state;
    static const int dims[] = {24, 33, 45, 48, 64, 67, 91, 92, 130, 253, 256};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        langevin(dims[i], "naive", i % 2 ? "run.noise_rounds=7" : "run.noise_rounds=10");
        langevin(dims[i], "natural", "run.noise_rounds=10");
    }
}

/* Shapes for devices that are filled in part. */
static void test_langevin_few_chains(void **state) {
    (void)state;
    multiprocessors[1] = 1;
    langevin(36, "naive", "run.chains=90");
    langevin(39, "natural", "run.chains=90");
    langevin(132, "natural", "run.noise_rounds=7");
    langevin(135, "naive", "run.noise_rounds=10");
    multiprocessors[1] = 4096;
}

static void test_langevin_warp_a_chain(void **state) {
    (void)state;
    langevin(500, "naive", "run.noise_rounds=10");
    langevin(499, "natural", "run.noise_rounds=7");
    langevin(699, "natural", "run.steps=9");
    langevin(700, "naive", "run.steps=9");
    langevin(1000, "natural", "run.steps=9");
    langevin(257, "naive", "run.noise_rounds=10");
    langevin(600, "natural", "run.noise_rounds=7");
    langevin(1024, "naive", "run.steps=9");
    langevin(1023, "natural", "run.steps=9");
}

static void test_langevin_block_a_chain(void **state) {
    (void)state;
    langevin(1025, "naive", "run.steps=8");
    langevin(2050, "natural", "run.steps=8");
    langevin(4097, "natural", "run.noise_rounds=7");
    langevin(16384, "naive", "run.steps=7");
}

/* Products of the covariance: one square of 16, 32 or 64 coordinates and several, groups of one chain, of a few and of more than a warp. */
static void test_products(void **state) {
    (void)state;
    static const struct {
        const char *dim, *chains;
    } runs[] = {{"target.dim=5", "run.chains=600"},  {"target.dim=20", "run.chains=600"},
                {"target.dim=70", "run.chains=300"}, {"target.dim=130", "run.chains=29"},
                {"target.dim=3", "run.chains=9001"}, {"target.dim=129", "run.chains=530"}};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const char *const settings[] = {"target.name=equicorrelated",
                                        "record.cov_dim=200",
                                        runs[i].dim,
                                        runs[i].chains,
                                        "run.steps=7",
                                        NULL};
        compare(settings, NULL);
    }
}

static void test_langevin_mean_and_start(void **state) {
    (void)state;
    static const char *const settings[] = {
        "target.name=equicorrelated", "target.dim=3",      "target.rho=-0.3", "target.mean=1.5 -2 0.25",
        "run.start=normal",           "run.start_scale=2", "run.chains=300",  NULL};
    compare(settings, NULL);
}

static void blow_up(nsamp_model *model) {
    ((nsamp_langevin_equi_params *)model->params)->c1 = -9;
}

static void test_langevin_divergence(void **state) {
    (void)state;
    static const char *const naive[] = {"target.name=equicorrelated", "target.dim=40", "run.steps=50", NULL};
    static const char *const natural[] = {"target.name=equicorrelated", "target.dim=40",
                                          "system.geometry=natural", "run.steps=50", NULL};
    compare(naive, blow_up);
    compare(natural, blow_up);
}

static void test_late_steps(void **state) {
    (void)state;
    nsamp_error err = {0};
    static const char *const settings[] = {"target.name=equicorrelated", "target.dim=6",
                                           "run.steps=8589934700", "run.accumulate_every=4294967296", NULL};
    nsamp_plan *p[2] = {plan_on("cpu", settings), plan_on("cuda", settings)};
    for (int i = 0; i < 2; i++) {
        if (nsamp_plan_start(p[i], &err)) fail_msg("%s", err.text);
        if (p[i]->backend->ops->advance(p[i]->backend, 4294967290u, 4294967300u, NULL, &err))
            fail_msg("%s", err.text);
        if (p[i]->backend->ops->fetch(p[i]->backend, &err)) fail_msg("%s", err.text);
    }
    assert_same_states(p[0], p[1]);
    nsamp_plan_destroy(p[0]);
    nsamp_plan_destroy(p[1]);
}

/* ---- recorded draws ---------------------------------------------------------------------------------- */

/* A whole run on one backend; x of its file, [*n]. */
static float *recorded_on(const char *backend, const char *const *settings, size_t *n) {
    char file[700];
    const char *const path = scratch("recorded.nc");
    const char *all[16] = {"output.overwrite=yes", file};
    nsamp_error err = {0};
    for (size_t i = 0; i < 13 && settings[i]; i++)
        all[i + 2] = settings[i];
    snprintf(file, sizeof file, "output.file=%s", path);
    nsamp_plan *p = plan_on(backend, all);
    if (nsamp_plan_run(p, NULL, NULL, &err)) fail_msg("%s", err.text);
    nsamp_plan_destroy(p);
    return stored_draws(path, n);
}

/* Records fall between samples, on them, and not on the last step. */
static void test_recorded_draws(void **state) {
    (void)state;
    const char *const settings[] = {
        "target.name=equicorrelated", "target.dim=5",   "run.chains=310",    "run.steps=62",
        "run.accumulate_every=3",     "record.every=2", "record.chains=300", NULL};
    size_t n[2];
    float *const cpu = recorded_on("cpu", settings, &n[0]), *const cuda =
                                                                recorded_on("cuda", settings, &n[1]);
    assert_int_equal(n[0], 300 * 29 * 5);
    assert_int_equal(n[1], n[0]);
    assert_memory_equal(cpu, cuda, n[0] * sizeof *cpu);
    free(cpu);
    free(cuda);
}

/* ---- mh_spiking ---------------------------------------------------------------------------------------- */

static void mh(int dim, int neurons, const char *extra, const char *more) {
    char d[64], n[64];
    snprintf(d, sizeof d, "target.dim=%d", dim);
    snprintf(n, sizeof n, "system.neurons=%d", neurons);
    const char *const settings[] = {"system.name=mh-spiking", d,     n,    "run.chains=70",
                                    "run.steps=26",           extra, more, NULL};
    compare(settings, NULL);
}

/* Every shape of the kernel with the table in shared memory: first and last dimension of each, with and without a leak. */
static void test_mh_shared(void **state) {
    (void)state;
    static const int dims[] = {1, 3, 4, 7, 8, 10, 11, 12, 15, 16, 23, 24, 31, 32, 47, 48, 63};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        const int neurons = 2 * dims[i] + 6;
        mh(dims[i], neurons, "system.leak=no", i % 2 ? "run.noise_rounds=7" : "system.geometry=natural");
        mh(dims[i], neurons, "system.leak=yes", i % 2 ? "system.geometry=natural" : "run.noise_rounds=7");
    }
    mh(10, 100, "system.leak=no", "run.burn_in=12");
    mh(10, 100, "system.leak=no", "system.spike_counts=no");
    mh(10, 3000, "system.leak=no", "run.burn_in=0"); /* leaves room for one block */
    mh(50, 1000, "system.geometry=natural", "run.burn_in=0");
    mh(5, 20, "target.mean=1.5 -2 0.25 0 0", "run.start=zero");
}

/* The lane kernel, in shared and in global memory: too many dimensions, or rows, for a table in shared memory. */
static void test_mh_lane(void **state) {
    (void)state;
    mh(64, 200, "system.geometry=natural", "system.spike_counts=no");
    mh(70, 160, "system.leak=no", "run.noise_rounds=7");
    mh(12, 3000, "system.leak=no", "run.burn_in=0");
}

/* Two numbers of a chain are 1 at each step, and their products of 2^22 and more cancel in the end: what the others add is rounded before
 * that, so that each order of the sum decides otherwise. */
static void cancel(nsamp_model *model) {
    nsamp_mh_spiking_params *p = model->params;
    float *keep = (float *)((char *)p + p->keep_offset), *shift = (float *)((char *)p + p->shift_offset),
          *row = (float *)((char *)p + p->row_offset);
    keep[0] = keep[1] = 0;
    shift[0] = shift[1] = 1;
    for (uint32_t j = 1; j <= p->neurons; j++) {
        row[j * p->stride] = 0x1p22f + (float)j;
        row[j * p->stride + 1] = -row[j * p->stride];
    }
}

/* The common text of the lanes, one thread each, for systems without a kernel of their own. */
static void test_langevin_lanes(void **state) {
    (void)state;
    static const char *const heart[] = {"target.name=heart", "system.dt=0.002", "run.steps=50", NULL},
                             *const line[] = {"target.name=mixture", "target.dim=1",   "target.means=-1,1",
                                              "target.sds=0.8",      "system.dt=0.05", NULL},
                             *const full[] = {"target.name=gaussian", "target.file=builtin:decay",
                                              "target.rho=0.5",       "target.dim=5",
                                              "system.dt=0.1",        NULL},
                             *const plane[] = {"target.name=gaussian", "target.file=builtin:decay",
                                               "target.rho=0.5",       "target.dim=6",
                                               "system.dt=0.1",        NULL};
    static const char *const seven[] = {"target.name=mixture",
                                        "target.dim=6",
                                        "target.weights=1,2,3,4,5,6,7",
                                        "target.means=-6,-2,-1,0,1,2,3",
                                        "target.sds=0.3,0.4,0.5,0.6,0.7,0.8,0.9",
                                        "system.dt=0.02",
                                        NULL},
                             *const turned[] = {"target.name=mixture", "target.file=tests/data/mixture7.txt",
                                                "system.dt=0.05", "system.geometry=natural", NULL},
                             *const large[] = {"target.name=mixture", "target.dim=101",
                                               "target.means=-1,1",   "target.sds=0.8",
                                               "system.dt=0.02",      "system.geometry=natural",
                                               "run.steps=20",        NULL}, /* in global memory */
                                 *const plain[] = {"target.name=mixture",
                                                   "target.file=tests/data/mixture7.txt", "system.dt=0.05",
                                                   NULL};
    compare(heart, NULL);
    compare(line, NULL);
    compare(seven, NULL);
    compare(turned, NULL);
    compare(large, NULL);
    compare(plain, NULL);
    compare(full, NULL);
    compare(plane, NULL);
}

static void test_mh_order_of_sums(void **state) {
    (void)state;
    static const char *const dims[] = {"target.dim=7", "target.dim=10", "target.dim=15", "target.dim=40"};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        const char *const settings[] = {"system.name=mh-spiking", dims[i],         "system.neurons=100",
                                        "system.leak=yes",        "run.steps=200", NULL};
        compare_runs(settings, cancel, false);
    }
}

/* A chain that is not finite from the start, which no job can ask for: flagged at the same step, and the others go on. */
static void test_mh_bad_start(void **state) {
    (void)state;
    nsamp_error err = {0};
    static const char *const settings[] = {"system.name=mh-spiking", "target.dim=5", "system.neurons=20",
                                           "run.steps=40", NULL};
    nsamp_plan *p[2] = {plan_on("cpu", settings), plan_on("cuda", settings)};
    for (int i = 0; i < 2; i++) {
        nsamp_batch *b = &p[i]->batch;
        if (nsamp_plan_start(p[i], &err)) fail_msg("%s", err.text);
        b->state[3 % b->lanes] = INFINITY;
        if (p[i]->backend->ops->advance(p[i]->backend, 0, 40, NULL, &err)) fail_msg("%s", err.text);
        if (p[i]->backend->ops->fetch(p[i]->backend, &err)) fail_msg("%s", err.text);
        assert_true(b->first_bad[3] < 40 && b->first_bad[2] == UINT64_MAX);
    }
    assert_int_equal(p[0]->batch.first_bad[3], p[1]->batch.first_bad[3]);
    for (int i = 0; i < 2; i++) /* what becomes of a number that is none need not be the same */
        for (size_t k = 0; k < p[i]->model->state_len; k++)
            p[i]->batch.state[k * p[i]->batch.lanes + 3] = 0;
    assert_same_states(p[0], p[1]);
    nsamp_plan_destroy(p[0]);
    nsamp_plan_destroy(p[1]);
}

/* Over the step at which the upper bits of the noise's counter change. */
static void test_mh_late_steps(void **state) {
    (void)state;
    nsamp_error err = {0};
    static const char *const settings[] = {"system.name=mh-spiking", "target.dim=6", "run.steps=8589934700",
                                           "run.accumulate_every=4294967290", NULL};
    nsamp_plan *p[2] = {plan_on("cpu", settings), plan_on("cuda", settings)};
    for (int i = 0; i < 2; i++) {
        if (nsamp_plan_start(p[i], &err)) fail_msg("%s", err.text);
        if (p[i]->backend->ops->advance(p[i]->backend, 8589934593u - 8, 8589934593u + 11, NULL, &err))
            fail_msg("%s", err.text);
        if (p[i]->backend->ops->fetch(p[i]->backend, &err)) fail_msg("%s", err.text);
    }
    assert_same_states(p[0], p[1]);
    nsamp_plan_destroy(p[0]);
    nsamp_plan_destroy(p[1]);
}

/* ---- the interval of samples ---------------------------------------------------------------------------- */

/* Naive, so that tau is long; by the constants of plan.c 4 % of a run of d = 100 is a sample every 14/0.04 steps (and what the
 * arithmetic of a step adds) without a full covariance; on a CPU it is a tenth of that. */
static void test_interval(void **state) {
    (void)state;
    static const char *const settings[] = {
        "target.dim=100",         "target.rho=0.75", "system.dt=0.001",       "run.steps=100000",
        "run.accumulate_every=0", "run.burn_in=0",   "system.geometry=naive", NULL};
    nsamp_plan *cpu = plan_on("cpu", settings), *cuda = plan_on("cuda", settings);
    assert_in_range(cuda->accumulate_every, 300, 350);
    assert_in_range(cpu->accumulate_every, 25, 35);
    nsamp_plan_destroy(cpu);
    nsamp_plan_destroy(cuda);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void test_rsn(void **state) {
    (void)state;
    static const size_t dims[] = {1, 2, 3, 4, 6, 8};
    for (size_t i = 0; i < sizeof dims / sizeof dims[0]; i++) {
        char model[700];
        nsamp_network *net = NULL;
        nsamp_error err = {0};
        if (nsamp_rsn_linear(dims[i], 40, 3, &net, &err)) fail_msg("%s", err.text);
        save_network(model, sizeof model, net);
        const char *const output[] = {"system.name=rsn", model, "run.path=fused", NULL};
        const char *const reservoir[] = {
            "system.name=rsn", model, "run.path=fused", "system.level=reservoir", "run.noise_rounds=7", NULL};
        compare(output, NULL);
        if (i % 2) compare(reservoir, NULL);
    }
}

static void test_device_memory(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    static const char *const settings[] = {"target.dim=1000", "run.chains=4096", "run.backend=cuda", NULL};
    set_all(job, settings);
    nsamp_shim_set_memory(1000000);
    assert_int_equal(nsamp_plan_create(job, &plan, &err), NSAMP_EUSAGE);
    assert_null(plan);
    assert_non_null(strstr(err.text, "on the GPU"));
    assert_non_null(strstr(err.text, "4096 chains of dimension 1000"));
    assert_int_equal(nsamp_shim_allocated(), 0);
    nsamp_shim_set_memory((size_t)4 << 30);
    nsamp_job_destroy(job);
}

/* A run that another plan takes over, before the first sample and after it: what is on the host goes to the device, or is
 * known to be empty. */
static void test_taken_over(void **state) {
    (void)state;
    static const char *const settings[] = {"target.name=gaussian", "target.file=builtin:decay",
                                           "target.dim=5", NULL};
    float *x;
    nsamp_plan *whole = run_on("cuda", settings, NULL, &x);
    assert_non_null(whole->batch.moments->products);
    for (uint64_t cut = 2; cut <= 6; cut += 4) {
        nsamp_plan *p[2] = {plan_on("cuda", settings), plan_on("cuda", settings)};
        nsamp_batch *const a = &p[0]->batch, *const b = &p[1]->batch;
        nsamp_moments *const ma = a->moments, *const mb = b->moments;
        nsamp_error err = {0};
        double record[64];
        assert_true(nsamp_moments_record_len(ma) <= 64);
        assert_int_equal(nsamp_plan_start(p[0], &err), NSAMP_OK);
        assert_int_equal(p[0]->backend->ops->advance(p[0]->backend, 0, cut, NULL, &err), NSAMP_OK);
        assert_int_equal(p[0]->backend->ops->fetch(p[0]->backend, &err), NSAMP_OK);
        assert_true(nsamp_moments_empty(ma) == (cut == 2));
        memcpy(b->state, a->state, a->tiles * a->lanes * p[0]->model->state_len * sizeof *a->state);
        for (uint64_t c = 0; c < a->chains; c++) {
            nsamp_moments_get(ma, c, record);
            nsamp_moments_put(mb, c, record);
        }
        memcpy(mb->products, ma->products, ma->groups * ma->dim * ma->dim * sizeof *ma->products);
        nsamp_moments_set_step(mb, cut);
        assert_int_equal(p[1]->backend->ops->advance(p[1]->backend, cut, p[1]->steps, NULL, &err), NSAMP_OK);
        assert_int_equal(p[1]->backend->ops->fetch(p[1]->backend, &err), NSAMP_OK);
        assert_same_runs(whole, p[1]);
        nsamp_plan_destroy(p[0]), nsamp_plan_destroy(p[1]);
    }
    nsamp_plan_destroy(whole);
    free(x);
}

/* Argument: a pattern of test names, all if none. */
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_langevin_thread_a_chain),
        cmocka_unit_test(test_langevin_part_of_a_warp),
        cmocka_unit_test(test_langevin_few_chains),
        cmocka_unit_test(test_langevin_lanes),
        cmocka_unit_test(test_langevin_warp_a_chain),
        cmocka_unit_test(test_langevin_block_a_chain),
        cmocka_unit_test(test_products),
        cmocka_unit_test(test_langevin_mean_and_start),
        cmocka_unit_test(test_langevin_divergence),
        cmocka_unit_test(test_late_steps),
        cmocka_unit_test(test_recorded_draws),
        cmocka_unit_test(test_mh_shared),
        cmocka_unit_test(test_mh_lane),
        cmocka_unit_test(test_mh_order_of_sums),
        cmocka_unit_test(test_mh_bad_start),
        cmocka_unit_test(test_mh_late_steps),
        cmocka_unit_test(test_rsn),
        cmocka_unit_test(test_interval),
        cmocka_unit_test(test_device_memory),
        cmocka_unit_test(test_taken_over),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
