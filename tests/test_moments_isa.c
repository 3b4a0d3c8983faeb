/* test_moments_isa.c: the loops of the accumulators (kernels/moments.h): every instruction set gives, bit for bit, the sums of a
 * plain loop over steps, chains and coordinates. A chain of NaN stays within its own sums and its group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draws.h"
#include "isa.h"
#include "stats/moments.h"

enum { SAMPLES = 3 };

typedef struct shape {
    uint64_t chains;
    uint32_t lanes;
    size_t dim;
} shape;

/* Number i of a chain at a sample; one chain is NaN. */
static float value(const shape *s, uint64_t chain, int sample, size_t i) {
    if (chain == 7) return NAN;
    rng r = {chain * 1000003 + (uint64_t)sample * 7919 + i * 104729 + s->dim};
    return (float)(normal(&r) * 3.0 + 1.0);
}

static nsamp_moments *accumulate(const shape *s, const char *isa) {
    const nsamp_moments_spec spec = {.chains = s->chains,
                                     .lanes = s->lanes,
                                     .dim = s->dim,
                                     .row_sum = true,
                                     .full_cov = true,
                                     .every = 1,
                                     .steps = SAMPLES,
                                     .isa = isa};
    nsamp_moments *m;
    nsamp_error err;
    assert_int_equal(nsamp_moments_create(&spec, &m, &err), NSAMP_OK);
    float *x = malloc(s->dim * s->lanes * sizeof *x);
    for (int t = 0; t < SAMPLES; t++)
        for (uint64_t tile = 0; tile < m->tiles; tile++) {
            for (size_t i = 0; i < s->dim; i++)
                for (uint32_t l = 0; l < s->lanes; l++)
                    x[i * s->lanes + l] = value(s, tile * s->lanes + l, t, i);
            nsamp_moments_add_tile(m, tile, (uint64_t)t + 1, x);
        }
    free(x);
    return m;
}

static void same(double got, double want) {
    assert_true(memcmp(&got, &want, sizeof got) == 0 || (isnan(got) && isnan(want)));
}

/* Sums of one chain: index [half][power], all coordinates and their sum. */
static void expect_chain(const shape *s, const nsamp_moments *m, uint64_t chain, const double *record) {
    const size_t D = s->dim, rows = D + 1;
    double sums[2][2] = {{0}};
    for (size_t i = 0; i < rows; i++) {
        float low = INFINITY, high = -INFINITY;
        memset(sums, 0, sizeof sums);
        for (int t = 0; t < SAMPLES; t++) {
            const int half = (uint64_t)t + 1 > m->half_step;
            double v = 0;
            for (size_t j = i == D ? 0 : i; j < (i == D ? D : i + 1); j++)
                v += value(s, chain, t, j);
            sums[half][0] += v;
            sums[half][1] += v * v;
            low = (float)v < low ? (float)v : low;
            high = (float)v > high ? (float)v : high;
        }
        for (int k = 0; k < 4; k++)
            same(record[(size_t)k * rows + i], sums[k / 2][k % 2]);
        if (i == D) continue;
        assert_true(record[4 * rows + i] == (double)low);
        assert_true(record[4 * rows + D + i] == (double)high);
    }
}

static void expect_products(const shape *s, const nsamp_moments *m) {
    const size_t D = s->dim;
    double *want = calloc(m->groups * D * D, sizeof *want);
    for (int t = 0; t < SAMPLES; t++)
        for (uint64_t c = 0; c < s->chains; c++) {
            double *const acc = want + nsamp_moments_group(m, c, (uint64_t)t + 1 > m->half_step) * D * D;
            for (size_t i = 0; i < D; i++)
                for (size_t j = 0; j <= i; j++)
                    acc[i * D + j] += (double)value(s, c, t, i) * (double)value(s, c, t, j);
        }
    for (size_t k = 0; k < m->groups * D * D; k++)
        same(m->products[k], want[k]); /* above the diagonal: untouched, 0 */
    free(want);
}

static void test_bits(void **state) {
    static const char *const all[] = {"base", "v3", "v4"};
    static const shape shapes[] = {{1, 16, 1},   {20, 16, 3},  {300, 64, 8},  {5000, 64, 10}, {70, 32, 13},
                                   {40, 64, 64}, {33, 48, 65}, {600, 64, 20}, {9, 16, 130}};
    (void)state;
    const char *best = nsamp_isa_best();
    size_t sets = 1;
    while (strcmp(all[sets - 1], best))
        sets++;
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++)
        for (size_t i = 0; i < sets; i++) {
            const shape *s = &shapes[k];
            nsamp_moments *m = accumulate(s, all[i]);
            double *record = malloc(nsamp_moments_record_len(m) * sizeof *record);
            for (uint64_t c = 0; c < s->chains; c += 1 + s->chains / 50) {
                nsamp_moments_get(m, c, record);
                expect_chain(s, m, c, record);
            }
            expect_products(s, m);
            free(record);
            nsamp_moments_destroy(m);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
