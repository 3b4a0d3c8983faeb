/* test_normals.c: what words become. The maps from a word to a radius and to a direction are compared with
 * the exact ones and their laws computed by going through the words; normals are then tested as draws:
 * moments, Kolmogorov-Smirnov, Anderson-Darling, tails, and independence along every part of a draw's name.
 * 1e7 draws, or 1e9 and all words with NSAMP_SLOW=1. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernels/noise.h"

static const double PI = 3.14159265358979323846;

static int slow(void) {
    const char *s = getenv("NSAMP_SLOW");
    return s && *s == '1';
}

/* About 60 checks share a false-alarm budget of 1e-7: 1.7e-9 each, two-sided. */
static const double Z_LIMIT = 6.0;

static void check_z(const char *what, double value, double expected, double se) {
    const double z = (value - expected) / se;
    if (!(fabs(z) < Z_LIMIT))
        fail_msg("%s: %.9g, expected %.9g +- %.2g: z = %.2f", what, value, expected, se, z);
}

/* ---- the maps, without chance -----------------------------------------------------------------------------
 */

/* Relative error of the radius of the odd number n beyond that of rounding n to a float, which moves the
 * logarithm by 2^-24 and so r by 2^-24 / r. */
static double radius_error(int64_t n) {
    const double exact = sqrt(-2.0 * log((double)n * 0x1p-31)), r = nsamp_radius_of_word((uint32_t)n);
    return (fabs(r - exact) - 0x1p-24 / exact) / exact;
}

/* Against sqrt(-2 ln u), u = n 2^-31, n the low 31 bits made odd; and E r^2 = 2, E r^4 = 8 over the words, or
 * by a midpoint rule over every 257th of them, which is good to the first limits. */
static void test_radius(void **state) {
    (void)state;
    const int64_t stride = slow() ? 2 : 514;
    double worst = 0.0, second = 0.0, fourth = 0.0, count = 0.0;
#pragma omp parallel for reduction(max : worst) reduction(+ : second, fourth, count)
    for (int64_t n = stride / 2; n < 0x80000000ll; n += stride) {
        const double r = nsamp_radius_of_word((uint32_t)n);
        if (n < 0x7fffff00ll) worst = fmax(worst, radius_error(n));
        second += r * r;
        fourth += r * r * r * r;
        count += 1.0;
    }
    for (int64_t n = 1; n < 200000; n += 2)
        worst = fmax(worst, radius_error(n));
    print_message("radius: relative error %.3g, E r^2 - 2 = %.2g, E r^4 - 8 = %.2g\n", worst,
                  second / count - 2.0, fourth / count - 8.0);
    assert_true(worst < 1.6e-7);
    assert_true(fabs(second / count - 2.0) < (slow() ? 5e-8 : 2e-6));
    assert_true(fabs(fourth / count - 8.0) < (slow() ? 5e-7 : 5e-5));
    assert_true(nsamp_radius_of_word(0) == nsamp_radius_of_word(1) && nsamp_radius_of_word(0) > 6.5555f);
    assert_true(nsamp_radius_of_word(0) < 6.5557f && nsamp_radius_of_word(0x7fffffffu) == 0.0f);
    for (uint32_t w = 0; w < 1000; w++) /* the top bit and the lowest do not count */
        assert_true(nsamp_radius_of_word(w * 1234567u) == nsamp_radius_of_word((w * 1234567u) ^ 0x80000001u));
}

/* All 2^23 directions: accurate, on the unit circle, and with the moments of the circle; the mirror images
 * cancel exactly. */
static void test_direction(void **state) {
    (void)state;
    double error = 0.0, off = 0.0, cc = 0.0, c4 = 0.0, s4 = 0.0;
    for (uint32_t i = 0; i < 1u << 22; i++) {
        float c, s, mirrored, same, c_of_minus, minus;
        nsamp_direction_of_word(i << 1, &c, &s);
        nsamp_direction_of_word((i << 1) | 0xff800001u, &mirrored, &same);
        const double y = ((double)(2 * i + 1) * 0x1p-22 - 1.0) * PI / 2.0;
        error = fmax(error, fmax(fabs((double)c - cos(y)), fabs((double)s - sin(y))));
        off = fmax(off, fabs((double)c * c + (double)s * s - 1.0));
        nsamp_direction_of_word((0x3fffffu - i) << 1, &c_of_minus, &minus);
        if (mirrored != -c || same != s || c_of_minus != c || minus != -s)
            fail_msg("direction %u: not symmetric", i);
        cc += (double)c * c;
        c4 += pow(c, 4);
        s4 += pow(s, 4);
    }
    cc = cc / 0x1p22 - 0.5, c4 = c4 / 0x1p22 - 0.375, s4 = s4 / 0x1p22 - 0.375;
    print_message(
        "direction: absolute error %.3g, off the circle %.3g; E c^2 - 1/2 = %.2g, E c^4 - 3/8 = %.2g, "
        "E s^4 - 3/8 = %.2g\n",
        error, off, cc, c4, s4);
    assert_true(error < 1.7e-7 && off < 3.4e-7);
    assert_true(fabs(cc) < 1e-7 && fabs(c4) < 1e-7 && fabs(s4) < 1e-7);
}

static void test_uniform(void **state) {
    (void)state;
    assert_true(nsamp_uniform(0) == 0x1p-32f && nsamp_uniform(1) == 0x1p-32f);
    assert_true(nsamp_uniform(0xffffffffu) == 1.0f && nsamp_uniform(0x80000000u) == 0.5f);
    for (uint64_t w = 0; w < 0x100000000u; w += 99991) {
        const double exact = ((double)(w >> 1) + 0.5) * 0x1p-31;
        assert_true(fabs((double)nsamp_uniform((uint32_t)w) - exact) <= exact * 0x1p-23);
    }
}

/* ---- normals as draws -----------------------------------------------------------------------------------
 */

/* Counts of floats by their upper bits, in the order of the numbers: bins of relative width 2^-15. */
enum { BIN_BITS = 24, BINS = 1 << BIN_BITS };

static uint32_t bin_of(float z) {
    const uint32_t b = nsamp_bits_of(z);
    return ((b & 0x80000000u) ? ~b : b | 0x80000000u) >> (32 - BIN_BITS);
}

/* The lower edge of a bin. */
static double edge_of(uint32_t bin) {
    const uint32_t key = bin << (32 - BIN_BITS);
    return nsamp_float_of((key & 0x80000000u) ? key & 0x7fffffffu : ~key);
}

typedef struct draws_of {
    double n, power[9]; /* sums of z^k */
    double beyond[5];   /* |z| > 4, 4.5, 5, 5.5, 6 */
    uint32_t *bins;
} draws_of;

static const double TAILS[5] = {4.0, 4.5, 5.0, 5.5, 6.0};

static void add_draw(draws_of *d, float value) {
    const double z = value;
    double p = 1.0;
    for (int k = 0; k <= 8; k++, p *= z)
        d->power[k] += p;
    for (int k = 0; k < 5; k++)
        d->beyond[k] += fabs(z) > TAILS[k];
    d->bins[bin_of(value)]++;
}

/* Chains, steps and blocks all vary. */
static draws_of draw_all(uint64_t n, uint32_t rounds) {
    draws_of d = {.n = (double)n, .bins = calloc(BINS, sizeof(uint32_t))};
    assert_non_null(d.bins);
    const nsamp_noise_key key = nsamp_noise_key_of(20240229, rounds);
    for (uint64_t i = 0; i < n / 4; i++) {
        float z[4];
        nsamp_normals4(key, NSAMP_PURPOSE_CHECK, (uint32_t)(i % 1000), i / 25000, (uint32_t)(i / 1000 % 25),
                       z);
        for (int k = 0; k < 4; k++)
            add_draw(&d, z[k]);
    }
    return d;
}

/* Var z^k = (2k - 1)!! - ((k - 1)!!)^2 (the second term for even k). */
static void check_moments(const draws_of *d) {
    static const double mean[9] = {1, 0, 1, 0, 3, 0, 15, 0, 105};
    static const double square[9] = {1, 1, 3, 15, 105, 945, 10395, 135135, 2027025};
    for (int k = 1; k <= 8; k++) {
        char what[32];
        snprintf(what, sizeof what, "moment %d", k);
        check_z(what, d->power[k] / d->n, mean[k], sqrt((square[k] - mean[k] * mean[k]) / d->n));
    }
}

static double poisson_below(double mean, double count) {
    double term = exp(-mean), sum = 0.0;
    for (double i = 0.0; i <= count; i += 1.0, term *= mean / i)
        sum += term;
    return sum;
}

static void check_tails(const draws_of *d) {
    for (int k = 0; k < 5; k++) {
        const double p = erfc(TAILS[k] / sqrt(2.0)), mean = d->n * p, count = d->beyond[k];
        if (mean > 400.0) {
            check_z("tail", count, mean, sqrt(mean));
        } else {
            const double low = poisson_below(mean, count), high = 1.0 - poisson_below(mean, count - 1.0);
            if (low < 1e-9 || high < 1e-9)
                fail_msg("%.0f draws beyond %.1f, expected %.3f", count, TAILS[k], mean);
        }
    }
}

/* Kolmogorov's D sqrt(n): above 3.25 with probability 1.3e-9, below 0.24 with 2e-8 / 10. Anderson-Darling's
 * A^2: mean 1, tail near 1.7 exp(-z); below 0.05 never. Both at the edges of the bins, with both tails of the
 * exact law. */
static void check_law(const draws_of *d) {
    double below = 0.0, kolmogorov = 0.0, anderson = 0.0, last = 0.0;
    for (uint32_t b = 0; b + 1 < BINS; b++) {
        if (!d->bins[b]) continue;
        below += d->bins[b];
        const double edge = edge_of(b + 1), F = 0.5 * erfc(-edge / sqrt(2.0)),
                     G = 0.5 * erfc(edge / sqrt(2.0));
        const double gap = below / d->n - F;
        kolmogorov = fmax(kolmogorov, fabs(gap));
        if (F > 0.0 && G > 0.0) anderson += gap * gap / (F * G) * (F - last);
        last = F;
    }
    assert_true(below == d->n);
    kolmogorov *= sqrt(d->n);
    anderson *= d->n;
    print_message("D sqrt(n) = %.3f, A^2 = %.3f\n", kolmogorov, anderson);
    assert_true(kolmogorov > 0.24 && kolmogorov < 3.25);
    assert_true(anderson > 0.05 && anderson < 22.0);
}

static void check_draws(uint32_t rounds) {
    draws_of d = draw_all(slow() ? 1000000000u : 10000000u, rounds);
    check_moments(&d);
    check_tails(&d);
    check_law(&d);
    free(d.bins);
}

static void test_draws(void **state) {
    (void)state;
    check_draws(10);
}

static void test_draws_7_rounds(void **state) {
    (void)state;
    check_draws(7);
}

/* ---- independence ------------------------------------------------------------------------------------- */

/* The name of a block of four draws. */
typedef struct block_name {
    uint64_t seed, step;
    uint32_t purpose, chain, block;
} block_name;

/* Sums of products of normals a and b. */
typedef struct products {
    double n, ab, aabb, aab, abb;
} products;

static void add_products(products *p, const float *a, const float *b, int pairs) {
    for (int k = 0; k < pairs; k++) {
        const double x = a[k], y = b[k], xx = x * x - 1.0, yy = y * y - 1.0;
        p->n += 1.0;
        p->ab += x * y;
        p->aabb += xx * yy;
        p->aab += xx * y;
        p->abb += x * yy;
    }
}

/* Under independence: Var ab = 1, Var (a^2 - 1)(b^2 - 1) = 4, Var (a^2 - 1) b = 2. The pairs overlap (a block
 * is the second of one pair and the first of the next), which leaves the products uncorrelated. */
static void check_products(const char *axis, const products *p) {
    char what[64];
    const struct {
        const char *name;
        double sum, var;
    } list[] = {{"a b", p->ab, 1}, {"a^2 b^2", p->aabb, 4}, {"a^2 b", p->aab, 2}, {"a b^2", p->abb, 2}};
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        snprintf(what, sizeof what, "%s along %s", list[i].name, axis);
        check_z(what, list[i].sum / p->n, 0.0, sqrt(list[i].var / p->n));
    }
}

static void normals_of(const block_name *b, float z[4]) {
    nsamp_normals4(nsamp_noise_key_of(b->seed, 10), b->purpose, b->chain, b->step, b->block, z);
}

/* Blocks and their neighbours at `by` (every part added, modulo its range). */
static void check_axis(const char *axis, block_name by) {
    const uint64_t n = (slow() ? 25000000u : 250000u);
    products p = {0};
    for (uint64_t i = 0; i < n; i++) {
        block_name a = {
            .seed = 77 + i / 100000, .step = i / 300 % 300, .purpose = 7, .chain = (uint32_t)(i % 300)};
        a.block = (uint32_t)(i / 90000 % 8);
        block_name b = a;
        b.seed += by.seed;
        b.step += by.step;
        b.purpose -= by.purpose;
        b.chain += by.chain;
        b.block += by.block;
        float za[4], zb[4];
        normals_of(&a, za);
        normals_of(&b, zb);
        add_products(&p, za, zb, 4);
    }
    check_products(axis, &p);
}

static void test_independence(void **state) {
    (void)state;
    check_axis("chain + 1", (block_name){.chain = 1});
    check_axis("chain + 64", (block_name){.chain = 64});
    check_axis("chain + 2^31", (block_name){.chain = 0x80000000u});
    check_axis("step + 1", (block_name){.step = 1});
    check_axis("step + 2^32", (block_name){.step = 1ull << 32});
    check_axis("block + 1", (block_name){.block = 1});
    check_axis("block + 2^31", (block_name){.block = 0x80000000u});
    check_axis("purpose - 1", (block_name){.purpose = 1});
    check_axis("purpose - 7", (block_name){.purpose = 7});
    check_axis("seed + 1", (block_name){.seed = 1});
    check_axis("seed + 2^32", (block_name){.seed = 1ull << 32});
    check_axis("chain + 1, step - 1", (block_name){.chain = 1, .step = (uint64_t)-1});
}

/* The four normals of a block with each other: the two of a pair share a radius. */
static void test_within_block(void **state) {
    (void)state;
    const uint64_t n = (slow() ? 250000000u : 2500000u);
    products turned = {0}, across = {0};
    for (uint64_t i = 0; i < n; i++) {
        block_name b = {.seed = 5, .step = i / 1000, .purpose = 7, .chain = (uint32_t)(i % 1000)};
        float z[4];
        normals_of(&b, z);
        add_products(&turned, z, (float[4]){z[1], z[2], z[3], z[0]}, 4);
        add_products(&across, z, z + 2, 2);
    }
    check_products("draw + 1 in a block", &turned);
    check_products("draw + 2 in a block", &across);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_radius),         cmocka_unit_test(test_direction),
        cmocka_unit_test(test_uniform),        cmocka_unit_test(test_draws),
        cmocka_unit_test(test_draws_7_rounds), cmocka_unit_test(test_independence),
        cmocka_unit_test(test_within_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
