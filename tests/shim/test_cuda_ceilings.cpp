/* test_cuda_ceilings.cpp: the ceilings of a GPU (cuda_bench.cu) on the shim: each loop makes what its definition says, to the bit, and each
 * rate counts what was done. This program has a stopwatch of its own, by which a repetition takes one second, so that a rate is the work of
 * a repetition, exactly: no time is measured here. */
#include <stdio.h>
#include <math.h>
#include <string.h>
#include <vector>

#include "kernels/cuda_ceilings.h"
#include "shim.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include "bench/ceilings.h"
}

enum { REPETITIONS = 3, THREADS = NSAMP_CUDA_CEILING_THREADS };
static const nsamp_stopwatch once = {0.5, 5};

/* In the place of measure.c: a second a repetition. */
nsamp_status nsamp_measure(const nsamp_stopwatch *watch, nsamp_work_fn *f, void *work, double each,
                           nsamp_rate *rate, nsamp_error *err) {
    *rate = {0, 0, 0};
    assert_ptr_equal(watch, &once);
    const nsamp_status status = f(work, REPETITIONS, err);
    if (!status) *rate = {each, each, each};
    return status;
}

/* ---- the loops ----------------------------------------------------------------------------------------- */

typedef struct device {
    nsamp_cuda_loop loop;
    std::vector<uint32_t> out;
} device;

static device make(uint32_t blocks) {
    device d = {{blocks, NULL, NULL}, std::vector<uint32_t>((size_t)blocks * THREADS)};
    d.loop.out = d.out.data();
    assert_int_equal(cudaStreamCreateWithFlags(&d.loop.stream, cudaStreamNonBlocking), cudaSuccess);
    return d;
}

static float float_of(uint32_t bits) {
    return nsamp_float_of(bits);
}

static void test_multiply_adds(void **) {
    device d = make(2);
    const float factor = 0.75f;
    assert_int_equal(nsamp_cuda_ceiling_fma(&d.loop, factor, 37), cudaSuccess);
    float want = 0;
    for (int i = 0; i < NSAMP_CUDA_CEILING_FMAS; i++) {
        float a = (float)i;
        for (int r = 0; r < 37; r++)
            a = fmaf(a, factor, factor);
        want += a;
    }
    for (uint32_t bits : d.out)
        assert_true(float_of(bits) == want);
    cudaStreamDestroy(d.loop.stream);
}

enum { STEPS = 5 };
static const uint64_t SEED = UINT64_C(0x123456789abcdef);

/* Every word and every normal of noise.h, once, of each thread. */
static void test_exact_noise_and_words(void **) {
    device normals = make(2), words = make(2);
    const nsamp_noise_key key = nsamp_noise_key_of(SEED, 10);
    assert_int_equal(nsamp_cuda_ceiling_noise(&normals.loop, NSAMP_CUDA_EXACT_NORMALS, SEED, STEPS),
                     cudaSuccess);
    assert_int_equal(nsamp_cuda_ceiling_noise(&words.loop, NSAMP_CUDA_WORDS, SEED, STEPS), cudaSuccess);
    for (uint32_t chain = 0; chain < 2 * THREADS; chain++) {
        float sum[4] = {0, 0, 0, 0};
        uint32_t mix = 0;
        for (uint64_t n = 0; n < STEPS; n++)
            for (uint32_t b = 0; b < NSAMP_CUDA_CEILING_NORMALS / 4; b++) {
                float z[4];
                nsamp_normals4(key, NSAMP_PURPOSE_CHECK, chain, n, b, z);
                const nsamp_words w = nsamp_draw_words(key, NSAMP_PURPOSE_CHECK, chain, n, b);
                for (int k = 0; k < 4; k++) {
                    sum[k] += z[k];
                    mix ^= w.w[k];
                }
            }
        assert_true(float_of(normals.out[chain]) == sum[0] + sum[1] + sum[2] + sum[3]);
        assert_int_equal(words.out[chain], mix);
    }
    cudaStreamDestroy(normals.loop.stream);
    cudaStreamDestroy(words.loop.stream);
}

/* The normals of run.math = fast, within what their approximations may be off: radius and direction, docs/noise.md. */
static void test_fast_noise(void **) {
    device d = make(1);
    const nsamp_noise_key key = nsamp_noise_key_of(SEED, 10);
    const double most = STEPS * NSAMP_CUDA_CEILING_NORMALS * 6.77 * 0x1p-18;
    assert_int_equal(nsamp_cuda_ceiling_noise(&d.loop, NSAMP_CUDA_FAST_NORMALS, SEED, STEPS), cudaSuccess);
    for (uint32_t chain = 0; chain < THREADS; chain++) {
        double sum = 0;
        for (uint64_t n = 0; n < STEPS; n++)
            for (uint32_t b = 0; b < NSAMP_CUDA_CEILING_NORMALS / 4; b++) {
                const nsamp_words w = nsamp_draw_words(key, NSAMP_PURPOSE_CHECK, chain, n, b);
                for (int k = 0; k < 4; k += 2) {
                    const double r = sqrt(-2 * log((w.w[k] + 0.5) * 0x1p-32)),
                                 angle = acos(-1.0) * (double)(int32_t)w.w[k + 1] * 0x1p-31;
                    sum += r * cos(angle) + r * sin(angle);
                }
            }
        assert_true(fabs(float_of(d.out[chain]) - sum) < most);
    }
    cudaStreamDestroy(d.loop.stream);
}

/* Sizes below, at and beyond what the threads take at once; an odd round leaves the copy, the next brings it back. */
static void test_copy(void **) {
    device d = make(1);
    for (size_t count : {(size_t)7, (size_t)THREADS, (size_t)5 * THREADS + 3})
        for (uint32_t rounds = 1; rounds <= 3; rounds++) {
            std::vector<float4> a(count + 1), b(count + 1);
            for (size_t i = 0; i <= count; i++) {
                a[i] = make_float4((float)i, 1, 2, 3);
                b[i] = make_float4(-1, -1, -1, -1);
            }
            assert_int_equal(nsamp_cuda_ceiling_copy(&d.loop, b.data(), a.data(), count, rounds),
                             cudaSuccess);
            for (size_t i = 0; i <= count; i++) {
                assert_true(a[i].x == (float)i);
                assert_true(b[i].x == (i < count ? (float)i : -1) && b[i].w == (i < count ? 3 : -1));
            }
        }
    cudaStreamDestroy(d.loop.stream);
}

/* ---- the rates ----------------------------------------------------------------------------------------- */

static void assert_rate(const nsamp_ceilings *c, nsamp_ceiling k, double work) {
    const nsamp_rate *r = &c->rate[k];
    if (r->median != work || r->low != work || r->high != work)
        fail_msg("%s: %.17g (%.17g to %.17g) where %.17g was done", nsamp_ceiling_names[k].name, r->median,
                 r->low, r->high, work);
}

static void assert_nothing_is_left(void) {
    assert_int_equal(nsamp_shim_allocated(), 0);
    assert_int_equal(nsamp_shim_streams() + nsamp_shim_curand_generators() + nsamp_shim_cublas_objects(), 0);
}

/* A device without the two libraries has the other ceilings, and one line that says so. First: a library that was found is kept. */
static void test_what_is_missing_is_left_out(void **) {
    nsamp_ceilings c;
    nsamp_error err;
    nsamp_rate rate = {1, 1, 1};
    double cache = 0;
    nsamp_shim_set_curand(0);
    nsamp_shim_set_cublas(0);
    if (nsamp_ceilings_cuda(13, 70, 9, &once, &c, &cache, &err)) fail_msg("%s", err.text);
    assert_non_null(strstr(c.left_out, "libcurand.so.10"));
    assert_non_null(strstr(c.left_out, "; matrix products on the GPU need cuBLASLt"));
    assert_null(strchr(c.left_out, '\n'));
    for (int k = 0; k < NSAMP_CEILING_count; k++) {
        const bool missing = k == NSAMP_CEILING_curand || k == NSAMP_CEILING_product_fp32 ||
                             k == NSAMP_CEILING_product_bf16 || k == NSAMP_CEILING_product_tf32 ||
                             k == NSAMP_CEILING_copy_l1 || k == NSAMP_CEILING_copy_l3 ||
                             k == NSAMP_CEILING_matrix_unit;
        if ((c.rate[k].median > 0) == missing) fail_msg("%s", nsamp_ceiling_names[k].name);
    }
    assert_int_equal(nsamp_ceiling_product_cuda(8, 8, 8, NSAMP_FP32, &once, &rate, &err), NSAMP_OK);
    assert_true(rate.median == 0);
    nsamp_shim_set_curand(1);
    nsamp_shim_set_cublas(131000);
    assert_nothing_is_left();
}

static void test_rates_count_what_is_done(void **) {
    nsamp_ceilings c;
    nsamp_error err;
    double cache = 0;
    const uint64_t launches = nsamp_shim_launches(), products = nsamp_shim_products(),
                   normals = nsamp_shim_curand_normals();
    if (nsamp_ceilings_cuda(13, 70, 9, &once, &c, &cache, &err)) fail_msg("%s", err.text);
    assert_string_equal(c.backend, "cuda");
    assert_string_equal(c.left_out, "");
    assert_true(
        cache ==
        1 << 20); /* of the shim's device, which has one multiprocessor here: six blocks of 256 threads */
    assert_rate(&c, NSAMP_CEILING_fma, 2.0 * 6 * 256 * 1024 * 8);
    assert_rate(&c, NSAMP_CEILING_noise, 6.0 * 256 * 32 * 16);
    assert_rate(&c, NSAMP_CEILING_noise_fast, 6.0 * 256 * 32 * 16);
    assert_rate(&c, NSAMP_CEILING_words, 6.0 * 256 * 32 * 16);
    assert_rate(&c, NSAMP_CEILING_copy_memory, 8 << 20);    /* read and written: eight times the cache */
    assert_rate(&c, NSAMP_CEILING_copy_l2, 16 * (1 << 18)); /* a quarter of the cache, sixteen times */
    assert_rate(&c, NSAMP_CEILING_curand, 1 << 20);
    assert_rate(&c, NSAMP_CEILING_product_fp32,
                4.0 * 13 * 70 * 9); /* not of the columns that fill 13 up to 16 */
    assert_rate(&c, NSAMP_CEILING_product_tf32, 4.0 * 13 * 70 * 9);
    assert_rate(&c, NSAMP_CEILING_product_bf16, 4.0 * 13 * 70 * 9);
    assert_rate(&c, NSAMP_CEILING_copy_l1, 0);
    assert_rate(&c, NSAMP_CEILING_copy_l3, 0);
    assert_int_equal(nsamp_shim_launches() - launches, 5 * REPETITIONS);     /* F, three of noise, one copy */
    assert_int_equal(nsamp_shim_products() - products, 3 * 2 * REPETITIONS); /* precisions, layers */
    assert_int_equal(nsamp_shim_curand_normals() - normals, REPETITIONS * (1 << 20));
    assert_nothing_is_left();
}

/* Less and less memory, down to none: every allocation that fails is said, and nothing stays behind. */
static void test_no_room(void **) {
    nsamp_ceilings c;
    nsamp_error err;
    double cache = 0;
    int refused = 0;
    for (size_t room = (size_t)64 << 20; room; room /= 4) {
        nsamp_shim_set_memory(room);
        const nsamp_status status = nsamp_ceilings_cuda(13, 70, 9, &once, &c, &cache, &err);
        if (status) {
            assert_int_equal(status, NSAMP_ENOMEM);
            assert_true(*err.text && !strchr(err.text, '\n'));
        }
        refused += status != NSAMP_OK;
        assert_nothing_is_left();
    }
    assert_in_range(refused, 10, 13);
    nsamp_shim_set_memory((size_t)4 << 30);
}

int main(void) {
    nsamp_shim_set_multiprocessors(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_missing_is_left_out),
        cmocka_unit_test(test_multiply_adds),
        cmocka_unit_test(test_exact_noise_and_words),
        cmocka_unit_test(test_fast_noise),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_rates_count_what_is_done),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
