/* test_noise.c: the words. Philox against Random123's published answers and header and against cuRAND's host
 * generator; the counter layout; rows against single draws. What words become is in test_normals.c. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <Random123/philox.h>

#include "draws.h"
#include "kernels/noise_row.h"
#include "reference_noise.h"

static uint32_t word(rng *r) {
    return (uint32_t)(uniform(r) * 0x1p32);
}

static void test_known_answers(void **state) {
    (void)state;
    FILE *file = fopen("tests/data/philox_kat.txt", "r");
    assert_non_null(file);
    char line[256];
    int seen[2] = {0, 0};
    while (fgets(line, sizeof line, file)) {
        uint32_t rounds, c[4], k[2], w[4];
        if (line[0] == '#') continue;
        assert_int_equal(sscanf(line, "%u %x %x %x %x %x %x %x %x %x %x", &rounds, &c[0], &c[1], &c[2], &c[3],
                                &k[0], &k[1], &w[0], &w[1], &w[2], &w[3]),
                         11);
        nsamp_noise_key key = nsamp_noise_key_of((uint64_t)k[1] << 32 | k[0], rounds);
        nsamp_words r = nsamp_philox(c[0], c[1], c[2], c[3], key);
        assert_memory_equal(r.w, w, sizeof w);
        seen[rounds == 10]++;
    }
    fclose(file);
    assert_int_equal(seen[0], 3);
    assert_int_equal(seen[1], 3);
}

static void test_random123(void **state) {
    (void)state;
    rng r = {1};
    for (int i = 0; i < 200000; i++) {
        const unsigned rounds = i % 2 ? 7 : 10;
        philox4x32_ctr_t c = {{word(&r), word(&r), word(&r), word(&r)}};
        philox4x32_key_t k = {{word(&r), word(&r)}};
        philox4x32_ctr_t expected = philox4x32_R(rounds, c, k);
        nsamp_noise_key key = nsamp_noise_key_of((uint64_t)k.v[1] << 32 | k.v[0], rounds);
        nsamp_words got = nsamp_philox(c.v[0], c.v[1], c.v[2], c.v[3], key);
        assert_memory_equal(got.w, expected.v, sizeof got.w);
    }
}

/* Every part of a draw's name has its place, up to the largest value. */
static void test_layout(void **state) {
    (void)state;
    rng r = {2};
    for (int i = 0; i < 100000; i++) {
        const uint32_t chain = word(&r), block = word(&r), purpose = i % 8;
        const uint64_t step = i == 0 ? 0xffffffffffffu : ((uint64_t)word(&r) << 16) ^ word(&r);
        const uint64_t seed = (uint64_t)word(&r) << 32 | word(&r);
        philox4x32_ctr_t c = {{chain, (uint32_t)step, block, purpose << 16 | (uint32_t)(step >> 32)}};
        philox4x32_key_t k = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
        philox4x32_ctr_t expected = philox4x32_R(10, c, k);
        nsamp_words got = nsamp_draw_words(nsamp_noise_key_of(seed, 10), purpose, chain, step, block);
        assert_memory_equal(got.w, expected.v, sizeof got.w);
    }
}

static void check_row(uint32_t rounds, uint32_t purpose, uint32_t chain0, uint64_t step, uint32_t block,
                      uint32_t L) {
    uint32_t w[4 * NSAMP_ROW_LANES] __attribute__((aligned(64)));
    float z[4 * NSAMP_ROW_LANES] __attribute__((aligned(64)));
    const nsamp_noise_key key = nsamp_noise_key_of(0x123456789abcdef0u + step, rounds);
    nsamp_row row;
    nsamp_row_begin(&row, key, purpose, chain0, step, L);
    nsamp_row_words(&row, key, block, L, w);
    nsamp_row_normals(&row, key, block, L, z);
    for (uint32_t l = 0; l < L; l++) {
        const nsamp_words one = nsamp_draw_words(key, purpose, chain0 + l, step, block);
        float normals[4];
        nsamp_normals4(key, purpose, chain0 + l, step, block, normals);
        for (uint32_t k = 0; k < 4; k++) {
            assert_int_equal(w[k * L + l], one.w[k]);
            assert_memory_equal(&z[k * L + l], &normals[k], sizeof(float));
        }
    }
}

/* As this compiler builds the rows; test_kernel_bits.c covers the other compilers and instruction sets. */
static void test_rows(void **state) {
    (void)state;
    rng r = {3};
    for (int i = 0; i < 2000; i++) {
        const uint64_t step = i % 3 ? word(&r) : ((uint64_t)word(&r) << 16) ^ word(&r);
        const uint32_t chain0 = i % 5 ? word(&r) & ~63u : 0xffffffc0u,
                       block = i % 4 ? word(&r) % 300 : word(&r);
        check_row(i % 2 ? 7 : 10, (uint32_t)i % 8, chain0, step, block, 16u << i % 3);
    }
}

/* Steps that share a last block: from any first step on, every draw is the one that noise.h names, and none serves twice. */
static void test_shared_blocks(void **state) {
    (void)state;
    enum { L = 32, STEPS = 9, CHAIN0 = 70 };
    const nsamp_noise_key key = nsamp_noise_key_of(77, 10);
    for (uint32_t n = 1; n <= 22; n++)
        for (uint64_t first = (1ULL << 32) - 5; first < (1ULL << 32) + 2; first++) {
            float z[4 * L], one[4], seen[STEPS * 3];
            const uint32_t each = n % 4;
            size_t count = 0;
            nsamp_row row;
            nsamp_row_begin(&row, key, NSAMP_PURPOSE_STEP, CHAIN0, first, L);
            for (uint64_t step = first; each && step < first + STEPS; step++) {
                if (step > first) nsamp_row_next(&row, key, NSAMP_PURPOSE_STEP, CHAIN0, step, L);
                nsamp_row_tail(&row, key, n, step == first, L, z);
                for (uint32_t k = 0; k < each; k++) {
                    const ref_draw d = ref_shared(step, n - each + k, n);
                    for (uint32_t l = 0; l < L; l++) {
                        nsamp_normals4(key, NSAMP_PURPOSE_STEP, CHAIN0 + l, d.step, d.number / 4, one);
                        assert_true(z[k * L + l] == one[d.number % 4]);
                    }
                    for (size_t i = 0; i < count; i++)
                        assert_true(seen[i] != z[k * L]);
                    seen[count++] = z[k * L];
                }
            }
        }
}

/* ---- cuRAND ----------------------------------------------------------------------------------------------
 */

/* cuRAND's host generator, loaded at run time; it needs no GPU. Returns 0 if it is not on this machine. */
static int curand_words(uint64_t seed, uint32_t *w, size_t n) {
    enum { PHILOX4_32_10 = 161, LEGACY_ORDER = 103 };
    static const char *const names[] = {"libcurand.so.10", "/usr/local/cuda/lib64/libcurand.so.10",
                                        "libcurand.so"};
    void *library = NULL, *generator = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names && !library; i++)
        library = dlopen(names[i], RTLD_NOW);
    if (!library) return 0;
    int (*create)(void **, int), (*seed_of)(void *, unsigned long long), (*order)(void *, int);
    int (*generate)(void *, uint32_t *, size_t), (*destroy)(void *);
    *(void **)&create = dlsym(library, "curandCreateGeneratorHost");
    *(void **)&seed_of = dlsym(library, "curandSetPseudoRandomGeneratorSeed");
    *(void **)&order = dlsym(library, "curandSetGeneratorOrdering");
    *(void **)&generate = dlsym(library, "curandGenerate");
    *(void **)&destroy = dlsym(library, "curandDestroyGenerator");
    assert_true(create && seed_of && order && generate && destroy);
    assert_int_equal(create(&generator, PHILOX4_32_10), 0);
    assert_int_equal(seed_of(generator, seed), 0);
    assert_int_equal(order(generator, LEGACY_ORDER), 0);
    assert_int_equal(generate(generator, w, n), 0);
    assert_int_equal(destroy(generator), 0);
    dlclose(library);
    return 1;
}

/* The seed is the key and the subsequence the third counter word, so word 4 b + k of the legacy order is word
 * k of block b of chain 0, step 0, purpose 0. */
static void test_curand(void **state) {
    (void)state;
    enum { BLOCKS = 16384 };
    static uint32_t w[4 * BLOCKS];
    const uint64_t seed = 0x0123456789abcdefu;
    if (!curand_words(seed, w, 4 * BLOCKS)) {
        print_message("cuRAND is not on this machine: its words were not compared\n");
        skip();
    }
    for (uint32_t b = 0; b < BLOCKS; b++) {
        nsamp_words r = nsamp_draw_words(nsamp_noise_key_of(seed, 10), 0, 0, 0, b);
        assert_memory_equal(r.w, w + 4 * b, sizeof r.w);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_answers), cmocka_unit_test(test_random123),
        cmocka_unit_test(test_layout),        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_shared_blocks), cmocka_unit_test(test_curand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
