/* test_cuda_train.c: training on the GPU with the .cu files on fibres (tests/shim) and products in double: gradients
 * against central differences within what rounding can do in each precision, noise and Adam to the bit of the CPU's,
 * blocks, thread orders, and nsamp_train from a job to a model. What it cannot show: speed, and faults of the GPU's compiler
 * or library. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <unistd.h>
#include "job/settings.h"
#include "scratch.h"
#include "shim.h"
#include "train/network.h"
#include "train_reference.h"

static nsamp_learner *learner_of(const problem *p, bool amsgrad, nsamp_precision precision) {
    const nsamp_learner_shape shape = {
        p->m, p->n, p->batch, p->activation, p->denoiser, p->control_variate, amsgrad, 1, precision};
    nsamp_learner *l;
    nsamp_error err;
    if (nsamp_cuda_learner_create(&shape, &l, &err)) fail_msg("%s", err.text);
    float *w = l->ops->get(l);
    for (size_t i = 0; i < nsamp_learner_weights(&shape); i++)
        w[i] = (float)(0.7 * uniform());
    l->ops->put(l);
    return l;
}

static void must_be_well(nsamp_learner *l) {
    nsamp_error err;
    if (l->ops->check(l, &err)) fail_msg("%s", err.text);
}

/* ---- gradients ----------------------------------------------------------------------------------------- */

static void check_gradient(problem p, nsamp_precision precision) {
    random_state = 88172645463325252u + p.n;
    reference_check_gradient(p, learner_of(&p, false, precision));
}

static void gradient_matches_central_differences(void **state) {
    (void)state;
    const nsamp_precision precisions[] = {NSAMP_FP32, NSAMP_TF32, NSAMP_BF16};
    for (int i = 0; i < 3; i++)
        for (int activation = NSAMP_RELU; activation <= NSAMP_SOFTPLUS; activation++)
            for (int form = 0; form < 2; form++)
                for (int cv = 0; cv < 2; cv++) {
                    const nsamp_activation a = (nsamp_activation)activation;
                    check_gradient((problem){3, 7, 5, a, form, cv, 0.4, 1.0, 0.0}, precisions[i]);
                    check_gradient((problem){7, 40, 33, a, form, cv, 0.7, 0.49, 0.05}, precisions[i]);
                }
    /* several chunks of units, the last one smaller */
    nsamp_shim_set_cache(1 << 15);
    check_gradient((problem){2, 1100, 70, NSAMP_TANH, true, true, 0.9, 1.0, 0.002}, NSAMP_FP32);
    check_gradient((problem){2, 2100, 70, NSAMP_RELU, false, true, 0.9, 1.0, 0.002}, NSAMP_BF16);
    nsamp_shim_set_cache(1 << 20);
}

static void losses_of_rows_match_and_change_nothing(void **state) {
    (void)state;
    for (int form = 0; form < 2; form++)
        for (int cv = 0; cv < 2; cv++) {
            problem p = {3, 60, 40, NSAMP_TANH, form, cv, 0.5, 1.0, 0.0};
            random_state = 5;
            nsamp_learner *l = learner_of(&p, false, NSAMP_FP32);
            const size_t numbers = nsamp_learner_numbers(&l->shape),
                         weights = nsamp_learner_weights(&l->shape);
            float *x0 = rows_of(&p), *eps = rows_of(&p), *before = malloc(numbers * sizeof *before);
            double *w = as_double(l->ops->get(l), weights), *bound = malloc(weights * sizeof *bound),
                   loss[40], most;
            memcpy(before, l->ops->get(l), numbers * sizeof *before);
            const nsamp_level level = {p.sigma, p.weight};
            l->ops->loss(l, &level, 11, x0, eps, loss);
            float f[11 * 3];
            l->ops->forward(l, 11, x0, f);
            assert_memory_equal(before, l->ops->get(l), numbers * sizeof *before);
            must_be_well(l);
            for (size_t r = 0; r < 11; r++) {
                problem one = p;
                one.batch = 1;
                const double expected = reference_loss(&one, w, x0 + r * p.m, eps + r * p.m);
                reference_bounds(&one, w, x0 + r * p.m, eps + r * p.m, 0x1p-24, bound, &most);
                if (!(fabs(loss[r] - expected) <= most))
                    fail_msg("row %zu: loss %.9g, expected %.9g to %.2g", r, loss[r], expected, most);
                double s[8], x[8];
                for (size_t k = 0; k < p.m; k++)
                    x[k] = x0[r * p.m + k];
                reference_score(&p, w, x, s);
                for (size_t k = 0; k < p.m; k++) {
                    const double value = x[k] + s[k] * (form ? p.sigma * p.sigma : 1);
                    assert_true(fabs(f[r * p.m + k] - value) <= 1e-5 * (1 + fabs(value)));
                }
            }
            nsamp_learner_destroy(l);
            free(x0), free(eps), free(w), free(before), free(bound);
        }
}

/* From the gradient that the first step leaves, the text of train.h on the host must give the same weights. Its beta2 of -1 leaves
 * twice the squares, more than the second step finds, so that the largest counts. */
static void adam_has_the_bits_of_the_cpu(void **state) {
    (void)state;
    for (int amsgrad = 0; amsgrad < 2; amsgrad++) {
        const problem p = {3, 21, 9, NSAMP_SOFTPLUS, true, false, 0.8, 1.0, 0};
        random_state = 77;
        nsamp_learner *l = learner_of(&p, amsgrad, NSAMP_FP32);
        const size_t weights = nsamp_learner_weights(&l->shape), count = (size_t)(amsgrad ? 4 : 3) * weights;
        float *x0 = rows_of(&p), *eps = rows_of(&p), *first = malloc(count * sizeof *first);
        const nsamp_level level = {p.sigma, p.weight};
        const nsamp_adam still = {0, 1, 0, -1.0f, 1e-4f, 0}, adam = {0.02f, 1.25f, 0.8f, 0.25f, 1e-3f, 0};
        l->ops->step(l, &level, &still, x0, eps); /* leaves the weights and, as the mean, the gradient */
        memcpy(first, l->ops->get(l), count * sizeof *first);
        l->ops->step(l, &level, &adam, x0, eps); /* the same gradient again */
        const float *now = l->ops->get(l);
        for (size_t i = 0; i < weights; i++) {
            float w = first[i], g = first[weights + i], mean = g, v = first[2 * weights + i];
            float seen = nsamp_adam_moments(&adam, w, g, &mean, &v);
            if (amsgrad && !(seen > first[3 * weights + i])) seen = first[3 * weights + i];
            w = nsamp_adam_weight(&adam, w, mean, seen);
            const float expected[] = {w, mean, v, seen};
            for (size_t k = 0; k < (amsgrad ? 4u : 3u); k++)
                if (memcmp(&expected[k], &now[k * weights + i], sizeof w))
                    fail_msg("number %zu of weight %zu is %.9g, expected %.9g", k, i, now[k * weights + i],
                             expected[k]);
        }
        nsamp_learner_destroy(l);
        free(x0), free(eps), free(first);
    }
}

/* ---- blocks -------------------------------------------------------------------------------------------- */

enum { STEPS = 5, BATCH = 20, M = 6, N = 150, ROWS = 37 };

typedef struct {
    float data[ROWS * M], x0[STEPS * BATCH * M], widen[BATCH];
    uint32_t named[STEPS * BATCH];
    nsamp_adam adam[STEPS];
    nsamp_train_block block;
} work;

static void make_work(work *k) {
    random_state = 11;
    for (size_t i = 0; i < ROWS * M; i++)
        k->data[i] = (float)(1.5 * uniform());
    for (size_t i = 0; i < STEPS * BATCH; i++) {
        k->named[i] = (uint32_t)((uniform() + 1) / 2 * ROWS);
        memcpy(k->x0 + i * M, k->data + k->named[i] * M, M * sizeof(float));
    }
    for (size_t r = 0; r < BATCH; r++)
        k->widen[r] = r < 4 ? 1.5f + (float)r : 1.0f;
    for (int i = 0; i < STEPS; i++)
        k->adam[i] = (nsamp_adam){0.01f / (float)(i + 1), 1.1f, 0.9f, 0.99f, 1e-6f, 0.02f};
    const nsamp_train_block b = {
        {0.6, 0.7}, STEPS, UINT64_C(0x100000007), nsamp_noise_key_of(9, 10), k->adam, k->widen,
        k->named,   k->x0};
    k->block = b;
}

static const problem block_problem = {M, N, BATCH, NSAMP_TANH, true, false, 0.6, 0.7, 0};

/* All numbers of a learner, which ends here; free them. */
static float *numbers_at_end(nsamp_learner *l) {
    const size_t count = nsamp_learner_numbers(&l->shape);
    float *numbers = malloc(count * sizeof *numbers);
    memcpy(numbers, l->ops->get(l), count * sizeof *numbers);
    must_be_well(l);
    nsamp_learner_destroy(l);
    return numbers;
}

/* The numbers after the work in blocks of `steps`, by row number or from the host; free them. */
static float *train_in_blocks(const work *k, bool amsgrad, nsamp_precision precision, size_t steps,
                              bool named, double *losses) {
    random_state = 5;
    nsamp_learner *l = learner_of(&block_problem, amsgrad, precision);
    if (named) assert_true(l->ops->keep(l, ROWS, k->data));
    const uint64_t replays = nsamp_shim_replays();
    for (size_t i = 0; i < STEPS; i += steps) {
        nsamp_train_block b = k->block;
        nsamp_error err;
        b.steps = STEPS - i < steps ? STEPS - i : steps;
        b.first += i;
        b.adam += i;
        b.named = named ? b.named + i * BATCH : NULL;
        b.x0 = named ? NULL : b.x0 + i * BATCH * M;
        if (l->ops->block(l, &b, losses + i, &err)) fail_msg("%s", err.text);
    }
    assert_int_equal(nsamp_shim_replays() - replays, STEPS);
    return numbers_at_end(l);
}

/* The same steps one by one, with noise of the CPU's loops. */
static float *train_by_hand(const work *k, bool amsgrad, nsamp_precision precision, double *losses) {
    float eps[BATCH * M];
    random_state = 5;
    nsamp_learner *l = learner_of(&block_problem, amsgrad, precision);
    for (size_t i = 0; i < STEPS; i++) {
        nsamp_batch_noise(nsamp_train_kernels_base(), 1, k->block.key, k->block.first + i, BATCH, M, eps);
        for (size_t j = 0; j < BATCH * M; j++)
            eps[j] *= k->widen[j / M];
        losses[i] = l->ops->step(l, &k->block.level, &k->adam[i], k->x0 + i * BATCH * M, eps);
    }
    return numbers_at_end(l);
}

static void blocks_have_the_bits_of_single_steps(void **state) {
    (void)state;
    const nsamp_shim_order orders[] = {NSAMP_SHIM_FORWARD, NSAMP_SHIM_REVERSED, NSAMP_SHIM_SHUFFLED};
    static work k;
    make_work(&k);
    for (int precision = NSAMP_FP32; precision <= NSAMP_TF32; precision++) {
        double expected[STEPS], losses[STEPS];
        const size_t bytes = (size_t)4 * N * (2 * M + 1) * sizeof(float);
        float *by_hand = train_by_hand(&k, true, (nsamp_precision)precision, expected);
        for (int i = 0; i < 3; i++) {
            nsamp_shim_set_order(orders[i], 3);
            float *numbers = train_in_blocks(&k, true, (nsamp_precision)precision,
                                             (size_t)(i == 0 ? STEPS : i), i != 1, losses);
            assert_memory_equal(by_hand, numbers, bytes);
            assert_memory_equal(expected, losses, sizeof expected);
            free(numbers);
        }
        nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
        free(by_hand);
    }
}

/* The CPU's block of the same work: the same batches, so weights that differ by rounding alone. epsilon of Adam is so large
 * that a step is at most rate / epsilon times as far off as its gradient. */
static void the_cpu_goes_the_same_way(void **state) {
    (void)state;
    static work k;
    make_work(&k);
    for (int i = 0; i < STEPS; i++)
        k.adam[i].epsilon = 1.0f;
    double losses[STEPS], cpu_losses[STEPS];
    float *numbers = train_in_blocks(&k, true, NSAMP_FP32, STEPS, true, losses);
    const nsamp_learner_shape shape = {M, N, BATCH, NSAMP_TANH, true, false, true, 1, NSAMP_FP32};
    const nsamp_train_cpu kernels = nsamp_train_cpu_of("base", false);
    nsamp_learner *l, *gpu;
    assert_int_equal(nsamp_cpu_learner_create(&shape, &kernels, &l, NULL), NSAMP_OK);
    random_state = 5;
    gpu = learner_of(&block_problem, true, NSAMP_FP32);
    const size_t weights = nsamp_learner_weights(&shape);
    float *start = malloc(weights * sizeof *start);
    memcpy(start, gpu->ops->get(gpu), weights * sizeof *start);
    nsamp_learner_destroy(gpu);
    memcpy(l->ops->get(l), start, weights * sizeof *start);
    assert_true(l->ops->keep(l, ROWS, k.data));
    nsamp_train_block b = k.block;
    b.x0 = NULL;
    assert_int_equal(l->ops->block(l, &b, cpu_losses, NULL), NSAMP_OK);
    double moved = 0, apart = 0;
    for (size_t i = 0; i < weights; i++) {
        moved = fmax(moved, fabs(l->ops->get(l)[i] - start[i]));
        apart = fmax(apart, fabs(l->ops->get(l)[i] - numbers[i]));
    }
    if (!(moved > 1e-3 && apart < 2e-4 * moved))
        fail_msg("weights moved by %g and are %g apart", moved, apart);
    for (int i = 0; i < STEPS; i++)
        assert_true(fabs(losses[i] - cpu_losses[i]) <= 1e-5 * cpu_losses[i]);
    nsamp_learner_destroy(l);
    free(numbers), free(start);
}

/* ---- memory and errors --------------------------------------------------------------------------------- */

static void what_does_not_fit_is_said(void **state) {
    (void)state;
    const nsamp_learner_shape shape = {6, 150, 20, NSAMP_RELU, true, false, false, 1, NSAMP_FP32};
    const size_t before = nsamp_shim_allocated();
    nsamp_learner *l = NULL;
    nsamp_error err;
    static float data[1000];
    nsamp_shim_set_memory(before + ((size_t)33 << 20));
    assert_int_equal(nsamp_cuda_learner_create(&shape, &l, &err), NSAMP_OK);
    assert_true(l->ops->keep(l, 100, data));
    assert_false(l->ops->keep(l, (size_t)1 << 20, data));
    nsamp_learner_destroy(l);
    nsamp_shim_set_memory(before + ((size_t)32 << 20) + 1000);
    assert_int_equal(nsamp_cuda_learner_create(&shape, &l, &err), NSAMP_ENOMEM);
    assert_null(l);
    assert_non_null(strstr(err.text, "train.batch"));
    nsamp_shim_set_memory((size_t)4 << 30);
    nsamp_shim_set_cublas(0);
    assert_int_equal(nsamp_shim_allocated(), before);
    nsamp_shim_set_cublas(131000);
}

/* ---- a whole training ---------------------------------------------------------------------------------- */

#define JOB                                                                                                  \
    "target.name=equicorrelated target.dim=3 target.rho=0.5 target.variance=1.5 train.draws=512 "            \
    "train.hidden=40 "                                                                                       \
    "train.batch=64 train.lr=1e-2 train.warmup=5 train.seed=4 train.sigmas=0.8,0.5 train.epochs=2 "          \
    "train.amsgrad=yes "

static nsamp_status train(const char *more, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    nsamp_status status = nsamp_job_set_all(job, JOB, err);
    if (!status) status = nsamp_job_set_all(job, more, err);
    if (!status) status = nsamp_train(job, NULL, NULL, err);
    nsamp_job_destroy(job);
    return status;
}

static nsamp_network *trained(const char *more, const char *path) {
    nsamp_error err;
    nsamp_network *net = NULL;
    if (train(more, &err)) fail_msg("%s", err.text);
    if (nsamp_network_load(path, &net, &err)) fail_msg("%s", err.text);
    return net;
}

static size_t bytes_of(const char *path, char *to, size_t most) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    const size_t count = fread(to, 1, most, file);
    assert_true(count > 0 && count < most);
    fclose(file);
    return count;
}

static void a_training_stops_and_goes_on_with_the_same_bytes(void **state) {
    (void)state;
    nsamp_error err;
    static char whole[1 << 20], resumed[1 << 20];
    nsamp_network *gpu = trained("run.backend=cuda model.file=gpu.nc", "gpu.nc");
    nsamp_network *cpu = trained("run.backend=cpu model.file=cpu.nc", "cpu.nc");
    assert_int_equal(train("run.backend=cuda model.file=stop.nc train.max_batches=7", &err), NSAMP_STOPPED);
    assert_int_equal(train("run.backend=cuda model.file=stop.nc train.max_batches=14 train.resume=yes", &err),
                     NSAMP_STOPPED);
    if (train("run.backend=auto model.file=stop.nc train.resume=yes", &err)) fail_msg("%s", err.text);
    const size_t count = bytes_of("gpu.nc", whole, sizeof whole);
    assert_int_equal(bytes_of("stop.nc", resumed, sizeof resumed), count);
    assert_memory_equal(whole, resumed, count);
    /* The other machine learns the same from the same batches. */
    assert_int_equal(gpu->losses, cpu->losses);
    for (size_t i = 0; i < gpu->losses; i++) {
        assert_true(fabs(gpu->loss_train[i] - cpu->loss_train[i]) < 1e-3 * cpu->loss_train[i]);
        assert_true(fabs(gpu->loss_held_out[i] - cpu->loss_held_out[i]) < 1e-3 * cpu->loss_held_out[i]);
    }
    assert_true(fabs(gpu->score_error - cpu->score_error) < 1e-2 * cpu->score_error);
    nsamp_network_destroy(gpu);
    nsamp_network_destroy(cpu);
}

static void the_backend_is_what_the_job_says(void **state) {
    (void)state;
    nsamp_error err;
    nsamp_network_destroy(trained("run.backend=auto train.precision=bf16 model.file=bf16.nc", "bf16.nc"));
    assert_int_equal(train("run.backend=cpu train.precision=tf32 model.file=no.nc", &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "train.precision"));
    nsamp_shim_set_memory(1000);
    assert_int_equal(train("run.backend=cuda model.file=no.nc", &err), NSAMP_ENOMEM);
    nsamp_shim_set_memory((size_t)4 << 30);
    assert_int_equal(access("no.nc", F_OK), -1);
}

static int enter_folder(void **state) {
    return scratch_open(state) || chdir(scratch_folder);
}

static int leave_folder(void **state) {
    return chdir("/") || scratch_close(state);
}

int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradient_matches_central_differences),
        cmocka_unit_test(losses_of_rows_match_and_change_nothing),
        cmocka_unit_test(adam_has_the_bits_of_the_cpu),
        cmocka_unit_test(blocks_have_the_bits_of_single_steps),
        cmocka_unit_test(the_cpu_goes_the_same_way),
        cmocka_unit_test(what_does_not_fit_is_said),
        cmocka_unit_test(a_training_stops_and_goes_on_with_the_same_bytes),
        cmocka_unit_test(the_backend_is_what_the_job_says),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
