/* test_instructions.c: how many instructions the CPU kernels take for their units of work, on AVX2 and AVX-512, held to those kept in
 * bench/results/instructions-x86-64.txt, which docs/performance.md quotes: where a compiler gives up on a loop of lanes it runs one lane at a time,
 * with the same bits, no warning, and several times the instructions. `test_instructions --table` prints the table (make instructions).
 *
 * A count is what a call with the work has more than one without it. Sizes are small: an instruction takes a virtual machine 30 microseconds. */
#define _GNU_SOURCE /* for the registers of a signal */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#if defined(NSAMP_X86_64) && defined(__linux__) && !defined(__SANITIZE_ADDRESS__) &&                         \
    !defined(__SANITIZE_THREAD__)
#define CAN_COUNT 1
#else
#define CAN_COUNT 0
#endif

#if CAN_COUNT

#include "engine/plan.h"
#include "isa.h"
#include "job/settings.h"
#include "kernels/ceilings.h"
#include "kernels/moments.h"
#include "single_step.h"
#include "tiles.h"
#include "train/learner.h"

/* A unit of the table's counts. */
typedef struct result {
    char name[64];
    const char *isa, *unit;
    instructions each;
} result;

enum { MOST = 128, LANES = 64 };
static result results[MOST];
static size_t count;

static void add(const char *name, const char *isa, const char *unit, instructions without, instructions with,
                double units) {
    assert_true(count < MOST);
    result *r = &results[count++];
    snprintf(r->name, sizeof r->name, "%s", name);
    r->isa = isa;
    r->unit = unit;
    r->each = (instructions){(with.all - without.all) / units, (with.vector - without.vector) / units,
                             (with.scalar - without.scalar) / units};
}

/* ---- kernels of chains -------------------------------------------------------------------------------------- */

typedef struct advance {
    const tiles *t;
    nsamp_tile tile;
    uint32_t steps;
} advance;

static void do_advance(void *argument) {
    const advance *a = argument;
    a->t->kernel->advance(a->t->model->params, &a->tile, 0, a->steps);
}

/* units: of a step of a chain. steps: a multiple of what the noise of small systems needs to repeat, 4. */
static void chains(const char *name, const char *isa, const char *unit, double units, uint32_t steps,
                   const char *settings) {
    char text[512];
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan;
    snprintf(text, sizeof text,
             "%s run.isa=%s run.backend=cpu run.chains=64 run.threads=1 run.steps=10 output.file=", settings,
             isa);
    if (nsamp_job_set_all(job, text, &err) || nsamp_plan_create(job, &plan, &err))
        fail_msg("%s: %s", name, err.text);
    tiles t = tiles_create(plan->model, plan->kernel, 1, 0, LANES);
    void *scratch = aligned_alloc(64, tiles_scratch_bytes(&t));
    advance with = {&t, tiles_at(&t, 0, scratch), steps}, without = with;
    without.steps = 0;
    do_advance(&with); /* what is bound or opened at the first call */
    const instructions set_up = count_instructions(do_advance, &without),
                       all = count_instructions(do_advance, &with);
    add(name, isa, unit, set_up, all, units * steps * t.lanes);
    free(scratch);
    tiles_destroy(&t);
    nsamp_plan_destroy(plan);
    nsamp_job_destroy(job);
}

static void all_chains(const char *isa) {
#define EQUI "system.name=langevin target.name=equicorrelated target.rho=0.5 system.dt=0.1 "
#define GAUSS                                                                                                \
    "system.name=langevin target.name=gaussian target.file=builtin:decay target.rho=0.5 system.dt=0.1 "
#define MIX                                                                                                  \
    "system.name=langevin target.name=mixture target.weights=0.5,0.5 target.means=-1,1 target.sds=1 "        \
    "system.dt=0.1 "
#define RSN    "system.name=rsn system.dt=0.1 run.path=fused "
#define TANH   "system.model=builtin:tanh "
#define LINEAR "system.model=builtin:linear "
#define SPIKE  "system.name=mh-spiking target.rho=0.5 "
#define NAT    "system.geometry=natural "
    chains("langevin, equicorrelated, d 10", isa, "normal", 10, 2, EQUI "target.dim=10");
    chains("langevin, equicorrelated, d 32", isa, "normal", 32, 1, EQUI "target.dim=32");
    chains("langevin, equicorrelated, d 10, natural", isa, "normal", 10, 2, EQUI NAT "target.dim=10");
    chains("langevin, equicorrelated, d 32, natural", isa, "normal", 32, 1, EQUI NAT "target.dim=32");
    chains("langevin, gaussian, d 32", isa, "normal", 32, 1, GAUSS "target.dim=32");
    chains("langevin, gaussian, d 32, natural", isa, "normal", 32, 1, GAUSS NAT "target.dim=32");
    chains("langevin, mixture of 2, d 10", isa, "normal", 10, 2, MIX "target.dim=10");
    chains("langevin, mixture of 2, d 10, natural", isa, "normal", 10, 2, MIX NAT "target.dim=10");
    chains(
        "langevin, mixture of 8, d 2", isa, "normal", 2, 2,
        "system.name=langevin target.name=mixture target.weights=1,1,1,1,1,1,1,1 target.sds=1 target.dim=2 "
        "target.means=4,0,3,3,0,4,-3,3,-4,0,-3,-3,0,-4,3,-3 system.dt=0.1");
    chains("langevin, mixture of 3, full, d 7", isa, "normal", 7, 1,
           "system.name=langevin target.name=mixture target.file=tests/data/mixture7.txt system.dt=0.1");
    chains("langevin, heart", isa, "normal", 2, 2, "system.name=langevin target.name=heart system.dt=0.01");
    chains("langevin, laplace-copula", isa, "normal", 2, 2,
           "system.name=langevin target.name=laplace-copula target.rho=0.5 system.dt=0.01");
    chains("rsn, m 2, n 64, tanh", isa, "unit", 64, 1, RSN TANH "target.dim=2 train.hidden=64");
    chains("rsn, m 2, n 64, relu", isa, "unit", 64, 1, RSN LINEAR "target.dim=2 train.hidden=64");
    chains("rsn, m 2, n 64, relu, reservoir", isa, "unit", 64, 1,
           RSN LINEAR "system.level=reservoir target.dim=2 train.hidden=64");
    chains("rsn, m 12, n 64, relu", isa, "unit and output", 12 * 64, 1,
           RSN LINEAR "target.dim=12 train.hidden=64");
    chains("rsn, m 12, n 64, tanh", isa, "unit and output", 12 * 64, 1,
           RSN TANH "target.dim=12 train.hidden=64");
    chains("mh-spiking, p 10, n 100", isa, "proposal", 1, 16, SPIKE "target.dim=10 system.neurons=100");
    chains("mh-spiking, p 40, n 100", isa, "proposal", 1, 8, SPIKE "target.dim=40 system.neurons=100");
}

/* ---- loops beside them -------------------------------------------------------------------------------------- */

/* Work that is done `times` times; by its steps: by one call. */
typedef struct loop {
    void (*body)(const struct loop *);
    int times;
    bool by_steps;
    const char *isa;
    float *x, *y;
    double *sums;
    nsamp_train_cpu train;
} loop;

static void do_loop(void *argument) {
    const loop *l = argument;
    for (int i = 0; i < (l->by_steps ? 1 : l->times); i++)
        l->body(l);
}

enum { M = 64, UNITS = 6, BATCH = 64, NUMBERS = 64 * 128 };
static const nsamp_train_fp32 shape = {M, BATCH, NSAMP_TRAIN_RELU};
static const nsamp_train_fp32_ahead nothing;
static const nsamp_adam adam_step = {1e-3f, 1.0f, 0.9f, 0.999f, 1e-8f, 0.0f};

static void noise(const loop *l) {
    (!strcmp(l->isa, "v4") ? nsamp_ceiling_noise_v4 : nsamp_ceiling_noise_v3)(1, 0, (uint64_t)l->times, 4,
                                                                              l->x);
}

static void words(const loop *l) {
    (!strcmp(l->isa, "v4") ? nsamp_ceiling_words_v4 : nsamp_ceiling_words_v3)(1, 0, (uint64_t)l->times, 4,
                                                                              (uint32_t *)(void *)l->x);
}

static void moments(const loop *l) {
    const nsamp_moments_loops *m =
        !strcmp(l->isa, "v4") ? nsamp_moments_loops_v4() : nsamp_moments_loops_v3();
    m->rows(16, LANES, LANES, l->x, l->sums, l->sums + 1024, l->y, l->y + 1024, l->sums + 2048);
}

static void products(const loop *l) {
    const nsamp_moments_loops *m =
        !strcmp(l->isa, "v4") ? nsamp_moments_loops_v4() : nsamp_moments_loops_v3();
    m->products(24, LANES, NSAMP_MOMENTS_BLOCK, l->x, l->sums);
}

static void forward(const loop *l) {
    const nsamp_train_fp32_batch x = {l->x, l->x};
    l->train.fp32->forward(&shape, UNITS, l->x, l->x, l->x, &x, true, &nothing, l->y, l->y + UNITS * BATCH);
}

static void back(const loop *l) {
    const nsamp_train_fp32_batch e = {l->x, l->x};
    float gb[UNITS];
    l->train.fp32->back(&shape, UNITS, l->x, &e, l->x, &nothing, l->y, gb);
}

static void step(const loop *l) {
    const nsamp_train_fp32_batch x = {l->x, l->x};
    const nsamp_train_fp32_weights to = {l->y, l->y + UNITS * M, l->y + 2 * UNITS * M, NULL};
    l->train.fp32->step(&shape, UNITS, l->x, &x, &adam_step, &nothing, l->y + 3 * UNITS * M, &to);
}

static void adam(const loop *l) {
    l->train.loops->adam(&adam_step, 256, l->x, l->y, l->y + 256, l->y + 512, NULL);
}

static void normals(const loop *l) {
    l->train.loops->normals(nsamp_noise_key_of(1, 10), NSAMP_PURPOSE_TRAIN, 0, 16, 0, 16, l->y);
}

static void loops(const char *isa) {
    static const struct {
        const char *name, *unit;
        void (*body)(const loop *);
        double units;
    } all[] = {
        {"normals alone", "normal", noise, 4 * 4 * LANES},
        {"random words alone", "word", words, 4 * 4 * LANES},
        {"moments", "number", moments, 16 * LANES},
        {"covariance, d 24", "product", products, 24 * 25 / 2 * NSAMP_MOMENTS_BLOCK},
        {"training, forward, m 64", "unit, input and row", forward, 2.0 * M * UNITS * BATCH},
        {"training, back, m 64", "unit, input and row", back, 1.0 * M * UNITS * BATCH},
        {"training, gradient and Adam, m 64, batch 64", "unit, input and row", step, 1.0 * M * UNITS * BATCH},
        {"training, Adam alone", "weight", adam, 256},
        {"training, normals", "normal", normals, 16 * 16},
    };
    loop l = {.times = 1, .isa = isa, .train = nsamp_train_cpu_of(isa, false)};
    l.x = aligned_alloc(64, NUMBERS * sizeof *l.x);
    l.y = aligned_alloc(64, NUMBERS * sizeof *l.y);
    l.sums = aligned_alloc(64, NUMBERS * sizeof *l.sums);
    for (int i = 0; i < NUMBERS; i++)
        l.x[i] = 0.01f * (float)(i % 17 - 8), l.y[i] = 1.0f, l.sums[i] = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        loop with = l;
        with.body = all[i].body;
        with.by_steps = with.body == noise || with.body == words;
        loop without = with;
        with.times = 2;
        without.times = 1;
        do_loop(&with);
        add(all[i].name, isa, all[i].unit, count_instructions(do_loop, &without),
            count_instructions(do_loop, &with), all[i].units);
    }
    free(l.x), free(l.y), free(l.sums);
}

static void count_all(void) {
    static const char *const isas[] = {"v3", "v4"};
    if (count) return;
    for (int i = 0; i < 2; i++)
        if (tiles_table(isas[i])) {
            all_chains(isas[i]);
            loops(isas[i]);
        }
}

/* ---- the table ---------------------------------------------------------------------------------------------- */

static void print_table(void) {
    printf("# Instructions of the CPU kernels for a unit of their work, for one chain, by make instructions "
           "(tests/single_step.h). Counts, not times.\n"
           "# vector: of vector registers; scalar: floating-point arithmetic with one number.\n"
           "compiler %s\n%-46s %-4s %-20s %12s %9s %9s\n",
           nsamp_ceiling_compiler_v3(), "kernel", "isa", "unit", "instructions", "vector", "scalar");
    for (size_t i = 0; i < count; i++)
        printf("%-46s %-4s %-20s %12.4f %9.4f %9.4f\n", results[i].name, results[i].isa, results[i].unit,
               results[i].each.all, results[i].each.vector, results[i].each.scalar);
}

/* The row of the kept table -> *each; false: it has none. *same: by the compiler of this build. */
static bool kept(const result *r, instructions *each, bool *same) {
    FILE *file = fopen(TABLE, "r");
    char line[256], compiler[128] = "";
    bool found = false;
    if (!file) fail_msg("%s is missing: make instructions", TABLE);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (!strncmp(line, "compiler ", 9)) snprintf(compiler, sizeof compiler, "%.100s", line + 9);
        if (strlen(line) < 72 || strncmp(line, r->name, strlen(r->name)) || line[strlen(r->name)] != ' ' ||
            strncmp(line + 47, r->isa, 2))
            continue;
        found = sscanf(line + 72, "%lf %lf %lf", &each->all, &each->vector, &each->scalar) == 3;
    }
    fclose(file);
    *same = !strcmp(compiler, nsamp_ceiling_compiler_v3());
    return found;
}

/* By the compiler that the table is of a tenth more or less is a change that belongs into it; by another, lanes one at a time would be
 * several times as many. */
static void test_as_kept(void **state) {
    (void)state;
    int failed = 0;
    count_all();
    if (!count) skip();
    for (size_t i = 0; i < count; i++) {
        const result *const r = &results[i];
        instructions want = {0, 0, 0};
        bool same;
        if (!kept(r, &want, &same)) {
            print_error("%s, %s: not in %s\n", r->name, r->isa, TABLE);
            failed++;
        } else if (r->each.all > (same ? 1.1 : 1.8) * want.all || (same && r->each.all < 0.9 * want.all)) {
            print_error("%s, %s: %.4f instructions a %s, %.4f in %s\n", r->name, r->isa, r->each.all, r->unit,
                        want.all, TABLE);
            failed++;
        }
    }
    if (failed) fail_msg("%d of %zu kernels; after a change that is meant: make instructions", failed, count);
}

/* What a lane does is done for all lanes at once; loops over components, rows and blocks are not of vectors. */
static void test_in_vectors(void **state) {
    (void)state;
    int failed = 0;
    count_all();
    if (!count) skip();
    for (size_t i = 0; i < count; i++)
        if (!(results[i].each.scalar <= 0.05 * results[i].each.vector &&
              results[i].each.vector >= 0.35 * results[i].each.all)) {
            print_error("%s, %s: of %.4f instructions a %s %.4f are of vectors, %.4f work on one number\n",
                        results[i].name, results[i].isa, results[i].each.all, results[i].unit,
                        results[i].each.vector, results[i].each.scalar);
            failed++;
        }
    if (failed) fail_msg("%d of %zu kernels", failed, count);
}

/* A test of its own, so that what was not counted is a skip that is printed. */
static void test_instruction_sets(void **state) {
    (void)state;
    const bool v3 = tiles_table("v3"), v4 = tiles_table("v4");
    if (v3 && v4) return;
    print_message("this processor lacks %s: not counted\n", v3 ? "AVX-512" : "AVX2 and AVX-512");
    skip();
}

/* The counter itself, on a loop whose instructions are known. */
static void hundred(void *argument) {
    (void)argument;
    __asm__ volatile("mov $100, %%ecx\n1: vaddps %%ymm0, %%ymm0, %%ymm0\n vaddss %%xmm1, %%xmm1, %%xmm1\n"
                     "vfmadd231ss %%xmm1, %%xmm1, %%xmm1\n sqrtss %%xmm1, %%xmm1\n movss %%xmm1, %%xmm2\n "
                     "dec %%ecx\n jnz 1b\n vzeroupper" ::
                         : "ecx", "xmm0", "xmm1", "xmm2", "cc");
}
static void none(void *argument) {
    (void)argument;
}

static void test_counter(void **state) {
    (void)state;
    if (!tiles_table("v3")) skip();
    const instructions with = count_instructions(hundred, NULL), without = count_instructions(none, NULL);
    assert_true(with.all - without.all == 100 * 7 + 2);
    assert_true(with.scalar - without.scalar == 300);
    assert_true(with.vector - without.vector == 100 + 1); /* and vzeroupper */
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--table")) {
        count_all();
        print_table();
        return tiles_table("v3") && tiles_table("v4") ? 0 : 1; /* not the whole table */
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_counter), cmocka_unit_test(test_as_kept),
                                       cmocka_unit_test(test_in_vectors),
                                       cmocka_unit_test(test_instruction_sets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void test_not_here(void **state) {
    (void)state;
    print_message("instructions are counted on x86-64 with Linux, without sanitizers: not run\n");
    skip();
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_not_here)};
    if (argc == 2 && !strcmp(argv[1], "--table")) return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
