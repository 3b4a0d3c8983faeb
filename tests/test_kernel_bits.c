/* test_kernel_bits.c: every CPU kernel gives the same bits from gcc and clang, at -O0 and -O3, plain, with AVX2 and with
 * AVX-512 (mk/variants.mk makes the objects), for 10 and 7 rounds; and a chain's path does not depend on its tile.
 * Another processor family is out of reach here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "job/job.h"
#include "kernels/systems/rsn.h"
#include "tiles.h"

#define VARIANT(name, isa) const nsamp_cpu_kernel *nsamp_cpu_kernels_##name(void);
#include "cpu.def"
#undef VARIANT

typedef struct variant {
    const char *name, *isa;
    const nsamp_cpu_kernel *(*table)(void);
} variant;

static const variant variants[] = {
#define VARIANT(name, isa) {#name, isa, nsamp_cpu_kernels_##name},
#include "cpu.def"
#undef VARIANT
};

enum { VARIANTS = sizeof variants / sizeof *variants };

/* Settings that reach every kernel: whole and broken blocks of four, more partial sums than one round of them, both
 * geometries, levels and leaks; components far apart, in blocks of four, two and one. */
static const char *const jobs[] = {
    "system.name=langevin target.name=equicorrelated target.dim=10 target.rho=0.75 system.dt=0.2",
    "system.name=langevin target.name=equicorrelated target.dim=1037 target.rho=0.5 system.dt=0.1 "
    "system.geometry=natural",
    "system.name=langevin target.name=equicorrelated target.dim=3 target.rho=-0.3 target.mean=2 "
    "system.dt=0.3",
    "system.name=langevin target.name=equicorrelated target.dim=1 system.dt=0.3",
    "system.name=langevin target.name=heart system.dt=0.05",
    "system.name=langevin target.name=heart system.dt=0.02 system.geometry=natural",
    "system.name=langevin target.name=laplace-copula target.rho=0.5 system.dt=0.05",
    "system.name=langevin target.name=mixture target.dim=1 target.means=-1,1 target.sds=0.5,0.7 "
    "system.dt=0.05",
    "system.name=langevin target.name=mixture target.dim=10 target.means=-5,5 target.sds=0.1 system.dt=0.001",
    "system.name=langevin target.name=mixture target.dim=6 target.weights=1,2,3 target.means=-1,0,1 "
    "target.sds=0.5 "
    "system.dt=0.05 system.geometry=natural",
    "system.name=langevin target.name=mixture target.dim=4 target.weights=1,2,3,4,5,6,7 "
    "target.means=-3,-2,-1,0,1,2,3 "
    "target.sds=0.3,0.4,0.5,0.6,0.7,0.8,0.9 system.dt=0.02",
    "system.name=langevin target.name=mixture target.dim=3 target.weights=1 target.means=1 target.sds=2 "
    "system.dt=0.1",
    "system.name=langevin target.name=mixture target.file=tests/data/mixture7.txt system.dt=0.05",
    "system.name=langevin target.name=mixture target.file=tests/data/mixture7.txt system.dt=0.05 "
    "system.geometry=natural",
    "system.name=langevin target.name=gaussian target.file=tests/data/gauss5.txt system.dt=0.02",
    "system.name=langevin target.name=gaussian target.file=tests/data/gauss5.txt system.dt=0.02 "
    "system.geometry=natural",
    "system.name=mh-spiking target.dim=10 target.rho=0.75 target.mean=1 system.neurons=100 system.leak=no",
    "system.name=mh-spiking target.dim=4 target.rho=0.5 system.neurons=16 system.geometry=naive "
    "system.scale=0.3",
    "system.name=mh-spiking target.dim=37 target.rho=0.5 target.mean=1 system.neurons=60 system.scale=0.1",
    "system.name=rsn system.model=builtin:linear target.dim=3 train.hidden=64 system.dt=0.3",
    "system.name=rsn system.model=builtin:linear target.dim=2 train.hidden=40 system.dt=0.3 "
    "system.level=reservoir",
};

enum { JOBS = sizeof jobs / sizeof *jobs, CHAINS = 70, STEPS = 12 };

static nsamp_model *model_of(const char *settings) {
    char text[512], *rest = text;
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_model *model = NULL;
    snprintf(text, sizeof text, "%s", settings);
    for (char *word; (word = strtok_r(rest, " ", &rest));) {
        char *equals = strchr(word, '=');
        *equals = '\0';
        if (nsamp_job_set(job, word, equals + 1, &err)) fail_msg("%s: %s", settings, err.text);
    }
    if (nsamp_model_create(job, &model, &err)) fail_msg("%s: %s", settings, err.text);
    nsamp_job_destroy(job);
    return model;
}

/* FNV-1a over the bytes. */
static uint64_t digest(uint64_t hash, const void *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ ((const unsigned char *)data)[i]) * 0x100000001b3u;
    return hash;
}

/* State and x of the chains after some steps, across a change of the upper bits of the step. */
static uint64_t run(const nsamp_model *model, const nsamp_cpu_kernel *kernel, uint32_t rounds,
                    uint32_t chain0) {
    tiles t = tiles_create(model, kernel, 11, chain0, CHAINS);
    t.key.rounds = rounds;
    float *states = malloc(CHAINS * model->state_len * sizeof(float)),
          *x = malloc(CHAINS * model->dim * sizeof(float));
    tiles_advance(&t, 0xfffffff8u, STEPS);
    tiles_states(&t, states);
    tiles_observe(&t, x);
    uint64_t hash = digest(0xcbf29ce484222325u, states, CHAINS * model->state_len * sizeof(float));
    hash = digest(hash, x, CHAINS * model->dim * sizeof(float));
    for (size_t i = 0; i < CHAINS * model->dim; i++)
        if (!(x[i] - x[i] == 0.0f)) fail_msg("chain %zu is not finite", i / model->dim);
    free(states);
    free(x);
    tiles_destroy(&t);
    return hash;
}

/* The two parts of an rsn step that the product path calls, on the y of nowhere. */
static uint64_t run_parts(const nsamp_model *model, const nsamp_cpu_kernel *table, uint32_t rounds) {
    enum { LANES = 48 };
    const size_t m = model->dim;
    float *state = aligned_alloc(64, m * LANES * sizeof(float)),
          *scratch = aligned_alloc(64, 2 * m * LANES * sizeof(float));
    uint32_t bad[LANES] = {0};
    nsamp_tile tile = {.state = state, .bad = bad, .scratch = scratch, .lanes = LANES};
    tile.noise = nsamp_noise_key_of(3, rounds);
    for (size_t i = 0; i < m * LANES; i++) {
        state[i] = (float)i * 0.01f;
        scratch[i] = (float)i * -0.02f;
    }
    table[NSAMP_KERNEL_rsn_noise].advance(model->params, &tile, 9, 1);
    table[NSAMP_KERNEL_rsn_move].advance(model->params, &tile, 9, 1);
    const uint64_t hash = digest(0xcbf29ce484222325u, state, m * LANES * sizeof(float));
    free(state);
    free(scratch);
    return hash;
}

static void test_variants(void **state) {
    (void)state;
    int covered[NSAMP_KERNEL_count] = {[NSAMP_KERNEL_rsn_noise] = 1, [NSAMP_KERNEL_rsn_move] = 1},
        compared = 0;
    for (size_t j = 0; j < JOBS; j++) {
        nsamp_model *model = model_of(jobs[j]);
        assert_null(model->host_kernel);
        covered[model->kernel] = 1;
        for (uint32_t rounds = 7; rounds <= 10; rounds += 3) {
            const uint64_t expected = run(model, &nsamp_cpu_kernels_base()[model->kernel], rounds, 5);
            for (size_t v = 0; v < VARIANTS; v++) {
                if (!tiles_table(variants[v].isa)) continue;
                if (run(model, &variants[v].table()[model->kernel], rounds, 5) != expected)
                    fail_msg("%s differs with %u rounds: %s", variants[v].name, rounds, jobs[j]);
                compared++;
            }
        }
        nsamp_model_destroy(model);
    }
    print_message("%d runs compared over %d builds of the kernels\n", compared, VARIANTS);
    for (int k = 0; k < NSAMP_KERNEL_count; k++)
        if (!covered[k]) fail_msg("kernel %s is in no job of this test", nsamp_cpu_kernels_base()[k].name);
}

static void test_parts(void **state) {
    (void)state;
    nsamp_model *model = model_of(jobs[JOBS - 2]);
    for (uint32_t rounds = 7; rounds <= 10; rounds += 3) {
        const uint64_t expected = run_parts(model, nsamp_cpu_kernels_base(), rounds);
        for (size_t v = 0; v < VARIANTS; v++)
            if (tiles_table(variants[v].isa) && run_parts(model, variants[v].table(), rounds) != expected)
                fail_msg("%s differs with %u rounds", variants[v].name, rounds);
    }
    nsamp_model_destroy(model);
}

/* A test that cannot fail proves nothing: another seed, another first chain and another number of rounds give other bits. */
static void test_sees_a_difference(void **state) {
    (void)state;
    for (size_t j = 0; j < JOBS; j++) {
        nsamp_model *model = model_of(jobs[j]);
        const nsamp_cpu_kernel *kernel = &nsamp_cpu_kernels_base()[model->kernel];
        const uint64_t hash = run(model, kernel, 10, 5);
        assert_true(hash == run(model, kernel, 10, 5));
        assert_true(hash != run(model, kernel, 7, 5) && hash != run(model, kernel, 10, 6));
        nsamp_model_destroy(model);
    }
}

static void test_instruction_sets(void **state) {
    (void)state;
    int missing = 0;
    for (size_t v = 0; v < VARIANTS; v++)
        missing += !tiles_table(variants[v].isa);
    if (missing) {
        print_message("%d of %d builds need instructions that this processor lacks: not run\n", missing,
                      VARIANTS);
        skip();
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_sees_a_difference),
        cmocka_unit_test(test_instruction_sets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
