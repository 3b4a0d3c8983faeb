/* test_cuda_fast.cpp: run.math = fast, with approximations as bad as they may be (approx.h): the error of one pair, the
 * law of what the kernel makes of them, and that its bits depend on nothing but chain and step. Also what both modes
 * take from cuda_noise.h: the words, and the square root. */
#include "kernels/cuda_noise.h"
#include "shim.h"

#include <stdio.h>
#include <algorithm>
#include <vector>

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "engine/plan.h"
#include "job/settings.h"
}

static uint64_t random_state = 20240607;

static uint32_t random_word(void) {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 32);
}

/* ---- noise --------------------------------------------------------------------------------------------- */

static void test_words_are_those_of_the_host(void **) {
    for (int i = 0; i < 100000; i++) {
        const nsamp_noise_key key =
            nsamp_noise_key_of((uint64_t)random_word() << 32 | random_word(), i % 2 ? 7 : 10);
        const uint64_t step = (uint64_t)(random_word() & 0xffffu) << 32 | random_word();
        const uint32_t chain = random_word(), block = random_word();
        const nsamp_keys keys = nsamp_keys_of(key);
        const nsamp_stream s = nsamp_stream_of(keys, NSAMP_PURPOSE_STEP, chain, step);
        const nsamp_words got = i % 2 ? nsamp_stream_words<7>(s, keys, (uint32_t)step, block)
                                      : nsamp_stream_words<10>(s, keys, (uint32_t)step, block),
                          want = nsamp_draw_words(key, NSAMP_PURPOSE_STEP, chain, step, block);
        assert_memory_equal(&got, &want, sizeof got);
    }
}

static void assert_root(float x) {
    const float got = nsamp_sqrt_mid(x), want = sqrtf(x);
    if (memcmp(&got, &want, sizeof got))
        fail_msg("root of %a: %a, not %a", (double)x, (double)got, (double)want);
}

static void test_square_root_is_rounded_correctly(void **) {
    for (uint32_t i = 0x3f800000u; i < 0x40800000u; i++) /* all significands, odd and even exponents */
        assert_root(nsamp_float_of(i));
    assert_root(0.0f);
    assert_root(-0.0f);
    for (uint32_t i = 0; i < 1u << 22; i++)
        assert_root(nsamp_radius2_of_word(i << 10));
    for (uint32_t i = 0; i < 1u << 12; i++) {
        assert_root(nsamp_radius2_of_word(i));
        assert_root(nsamp_radius2_of_word(0x7fffffffu - i));
    }
}

static void assert_quotient(float n, float q) {
    const float got = nsamp_div_mid(n, q), want = n / q;
    if (memcmp(&got, &want, sizeof got))
        fail_msg("%a / %a: %a, not %a", (double)n, (double)q, (double)got, (double)want);
}

/* With the largest errors of the reciprocal and others: all significands of either, and what a subnormal numerator meets in tanh. */
static void test_quotient_is_rounded_correctly(void **) {
    for (double share : {0.0, -1.0, 1.0, (double)NAN}) {
        nsamp_shim_approx = share;
        uint32_t mixed = 1;
        for (uint32_t i = 0; i < 1u << 23; i++) {
            mixed = mixed * 1664525u + 1013904223u;
            const float n = nsamp_float_of(0x34000000u + mixed % 0x10000000u); /* 2^-23 to 2^9 */
            assert_quotient(i % 2 ? n : -n, nsamp_float_of(0x3f800000u + i));
            assert_quotient(nsamp_float_of(0x3f800000u + i),
                            nsamp_float_of(0x3f800000u + mixed % 0x04800000u));
        }
        assert_quotient(0x1p-149f, 1.0f);
        assert_quotient(-0x1.234p-130f, 1.0f);
        assert_quotient(0.0f, 1.0f);
        assert_true(nsamp_div_mid(-0.0f, 1.0f) == 0 && isnan(nsamp_div_mid(NAN, 1.0f)));
        assert_true(isnan(nsamp_tanh(NAN)) && nsamp_tanh(-INFINITY) == -nsamp_tanh(INFINITY));
    }
    nsamp_shim_approx = NAN;
}

/* ---- one pair ------------------------------------------------------------------------------------------ */

typedef struct errors {
    double relative, square, direction; /* of r where u < 1/2, of r^2 elsewhere, of cosine and sine */
} errors;

static void add_error(uint32_t a, uint32_t b, errors *worst) {
    float r, c, s;
    nsamp_fast_pair(a, b, 1.0f, &r, &c, &s);
    const double u = ((double)a + 0.5) * 0x1p-32, r2 = -2 * log(u),
                 angle = (double)(int32_t)b * M_PI * 0x1p-31;
    assert_true(r >= 0 && r < 6.77f);
    if (u < 0.5)
        worst->relative = fmax(worst->relative, fabs((double)r / sqrt(r2) - 1));
    else
        worst->square = fmax(worst->square, fabs((double)r * (double)r - r2));
    worst->direction = fmax(worst->direction, fabs((double)c - cos(angle)));
    worst->direction = fmax(worst->direction, fabs((double)s - sin(angle)));
}

static void test_errors_of_a_pair(void **) {
    static const double shares[] = {-1, 1, 0};
    errors worst = {0, 0, 0};
    for (double share : shares) {
        nsamp_shim_approx = share == 0 ? NAN : share;
        for (uint32_t i = 0; i < 1u << 20; i++)
            add_error(random_word(), random_word(), &worst);
        for (uint32_t i = 0; i < 1u << 14; i++) {
            add_error(i, i, &worst);
            add_error(~i, 0x7fffffffu - i, &worst);
            add_error(0x7fffffffu - i, 0x80000000u + i, &worst);
            add_error(0x80000000u + i, ~i, &worst);
        }
    }
    nsamp_shim_approx = NAN;
    /* the bounds of cuda_noise.h, and that they are not three times too wide */
    const double bound[] = {0x1p-21, exp2(-19.5), exp2(-19.6)},
                 error[] = {worst.relative, worst.square, worst.direction};
    for (int i = 0; i < 3; i++)
        if (error[i] > bound[i] || error[i] < bound[i] / 3)
            fail_msg("error %d is %g, not between a third and all of %g", i, error[i], bound[i]);
}

/* ---- the kernel ---------------------------------------------------------------------------------------- */

static nsamp_status plan_of(const char *settings, nsamp_plan **plan, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    nsamp_status status = nsamp_job_set_all(job, settings, err);
    if (!status) status = nsamp_plan_create(job, plan, err);
    nsamp_job_destroy(job);
    return status;
}

/* x [records][C][D] of a run observed after every `every` steps. */
static std::vector<float> draws_of(const char *settings, uint32_t records, uint32_t every) {
    nsamp_plan *p = NULL;
    nsamp_error err = {};
    if (plan_of(settings, &p, &err) || nsamp_plan_start(p, &err)) fail_msg("%s", err.text);
    const size_t len = (size_t)p->batch.chains * p->model->dim;
    std::vector<float> x(records * len);
    for (uint32_t i = 0; i < records; i++) {
        const nsamp_record record = {p->batch.chains, &x[i * len], p->model->dim};
        if (p->backend->ops->advance(p->backend, i * every, (i + 1) * every, NULL, &err) ||
            p->backend->ops->observe(p->backend, &record, &err))
            fail_msg("%s", err.text);
    }
    nsamp_plan_destroy(p);
    return x;
}

/* With h = 1 the natural geometry forgets the last state: x is a standard normal at every step, each by itself. */
static void test_law_through_the_kernel(void **) {
    static const double shares[] = {-1, 1, 0}, moment[] = {0, 1, 0, 3, 0, 15},
                        variance[] = {1, 2, 15, 96, 945, 10170};
    for (double share : shares) {
        nsamp_shim_approx = share == 0 ? NAN : share;
        std::vector<float> x =
            draws_of("system.geometry=natural system.dt=1 target.rho=0 target.variance=0.5 target.dim=16 "
                     "run.chains=2048 run.steps=64 run.backend=cuda run.math=fast run.seed=3",
                     32, 1);
        const double n = (double)x.size();
        for (int k = 1; k <= 6; k++) {
            double sum = 0;
            for (float v : x)
                sum += pow((double)v, k);
            const double z = (sum / n - moment[k - 1]) / sqrt(variance[k - 1] / n);
            if (!(fabs(z) < 5.5)) fail_msg("share %g: moment %d is off by %g standard errors", share, k, z);
        }
        std::sort(x.begin(), x.end());
        double distance = 0;
        for (size_t i = 0; i < x.size(); i++) {
            const double f = 0.5 * erfc(-(double)x[i] / M_SQRT2);
            distance = fmax(distance, fmax(f - (double)i / n, (double)(i + 1) / n - f));
        }
        /* Kolmogorov-Smirnov: beyond 3 with probability 3e-8 */
        if (!(distance * sqrt(n) < 3)) fail_msg("share %g: distance %g", share, distance * sqrt(n));
    }
    nsamp_shim_approx = NAN;
}

static void test_bits_of_any_shape(void **) {
    static const int dims[] = {1, 3, 10, 30, 50, 100, 200, 900, 1500};
    for (int dim : dims) {
        char settings[256];
        snprintf(settings, sizeof settings,
                 "target.dim=%d target.rho=0.3 run.chains=40 run.steps=6 run.backend=cuda run.math=fast",
                 dim);
        nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
        nsamp_shim_set_multiprocessors(0);
        const std::vector<float> narrow = draws_of(settings, 2, 3);
        nsamp_shim_set_order(NSAMP_SHIM_SHUFFLED, 5);
        nsamp_shim_set_multiprocessors(4096);
        assert_true(narrow == draws_of(settings, 2, 3));
        snprintf(settings, sizeof settings,
                 "target.dim=%d target.rho=0.3 run.chains=40 run.steps=6 run.backend=cuda run.math=exact",
                 dim);
        assert_false(narrow == draws_of(settings, 2, 3));
    }
    nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
}

static void test_refusals(void **) {
    nsamp_plan *p = NULL;
    nsamp_error err = {};
    assert_int_equal(plan_of("run.backend=cpu run.math=fast", &p, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "run.math"));
    assert_non_null(strstr(err.text, "only on a GPU"));
    assert_int_equal(plan_of("run.backend=cuda run.math=fast system.name=mh-spiking", &p, &err),
                     NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "equicorrelated"));
    assert_int_equal(nsamp_shim_allocated(), 0);
    if (plan_of("run.backend=cuda run.math=fast", &p, &err)) fail_msg("%s", err.text);
    assert_non_null(strstr(nsamp_plan_text(p), "run.math = fast"));
    nsamp_plan_destroy(p);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_are_those_of_the_host),
        cmocka_unit_test(test_square_root_is_rounded_correctly),
        cmocka_unit_test(test_quotient_is_rounded_correctly),
        cmocka_unit_test(test_errors_of_a_pair),
        cmocka_unit_test(test_law_through_the_kernel),
        cmocka_unit_test(test_bits_of_any_shape),
        cmocka_unit_test(test_refusals),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
