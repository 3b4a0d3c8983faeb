/* test_moments.c: the accumulators against a plain two-pass reference that keeps every sample; the same bits
 * for any lanes, threads and cuts of a run. Against what is known of AR(1) chains: test_moments_law.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "moments_runs.h"

/* ---- a reference that keeps everything ---- */

static double mean_of(const double *v, size_t n) {
    long double s = 0;
    for (size_t i = 0; i < n; i++)
        s += v[i];
    return (double)(s / n);
}

/* Sum of squares about the mean, divided by `by`. */
static double spread_of(const double *v, size_t n, double by) {
    const double m = mean_of(v, n);
    long double s = 0;
    for (size_t i = 0; i < n; i++)
        s += (v[i] - m) * (v[i] - m);
    return (double)(s / by);
}

typedef struct expected {
    double mean, mean_se, var, var_se, ess, tau, rhat, nested, drift_mean[2], drift_var[2];
} expected;

/* Student's t of v [n]; NaN where there are too few. */
static double student(const double *v, size_t n) {
    return n > 2 ? mean_of(v, n) / sqrt(spread_of(v, n, (double)n - 1) / (double)n) : NAN;
}

/* Changes from half to half of chains x [M][n], each by itself (drift[0]) and in averages of the K superchains (drift[1]). */
static void reference_drift(const double *x, const uint64_t *id, size_t M, size_t n, size_t C, size_t K,
                            expected *e) {
    double *change = malloc(2 * M * sizeof *change), *super = malloc(2 * (K + 1) * sizeof *super);
    for (size_t c = 0; c < M; c++) {
        change[c] = change[M + c] = 0;
        for (size_t t = 0; t < n; t++) {
            const double v = x[c * n + t], sign = t < n / 2 ? -1 : 1;
            change[c] += sign * v / (double)(n / 2);
            change[M + c] += sign * (v - e->mean) * (v - e->mean) / (double)(n / 2);
        }
    }
    for (int of = 0; of < 2; of++) {
        double *const to = of ? e->drift_var : e->drift_mean, *const own = change + (size_t)of * M;
        size_t used = 0;
        to[0] = student(own, M);
        for (size_t k = 0; k < K; k++) {
            double sum = 0;
            size_t m = 0;
            for (size_t c = 0; c < M; c++)
                if (id[c] * K / C == k) sum += own[c], m++;
            if (m) super[used++] = sum / (double)m;
        }
        to[1] = student(super, used);
    }
    free(change);
    free(super);
}

/* One coordinate; series(c, t) of the chains listed in id [M]; batches of n / per samples. */
static expected reference(const float *data, const run *r, size_t i, const uint64_t *id, size_t M, size_t per,
                          size_t K) {
    const size_t n = r->n, B = M * per, nb = n / per;
    double *x = malloc(M * n * sizeof *x), *means = calloc(2 * M, sizeof *means),
           *sq = calloc(2 * M, sizeof *sq);
    for (size_t c = 0; c < M; c++)
        for (size_t t = 0; t < n; t++)
            x[c * n + t] = (double)data[(id[c] * n + t) * r->D + i];
    expected e;
    e.mean = mean_of(x, M * n);
    for (size_t b = 0; b < B; b++) {
        means[b] = mean_of(x + b * nb, nb);
        sq[b] = 0;
        for (size_t t = 0; t < nb; t++)
            sq[b] += (x[b * nb + t] - e.mean) * (x[b * nb + t] - e.mean) / (double)nb;
    }
    const double between = spread_of(means, B, (double)B - 1),
                 within_b = mean_of(sq, B) - spread_of(means, B, (double)B);
    e.var = within_b + between;
    e.mean_se = sqrt(between / (double)B);
    e.var_se = sqrt(spread_of(sq, B, (double)B - 1) / (double)B);
    e.ess = e.var / (e.mean_se * e.mean_se);
    e.tau = (double)(M * n * r->every) / e.ess;
    const size_t h = n / 2;
    for (size_t b = 0; b < 2 * M; b++) {
        means[b] = mean_of(x + b * h, h);
        sq[b] = spread_of(x + b * h, h, (double)h - 1);
    }
    const double W = mean_of(sq, 2 * M),
                 V = ((double)h - 1) / (double)h * W + spread_of(means, 2 * M, 2 * (double)M - 1);
    e.rhat = sqrt(V / W);
    double super[64], inside = 0;
    size_t used = 0;
    for (size_t k = 0; k < K; k++) {
        size_t m = 0;
        for (size_t c = 0; c < M; c++)
            if (id[c] * K / r->C == k) {
                means[m] = mean_of(x + c * n, n);
                sq[m++] = spread_of(x + c * n, n, (double)n - 1);
            }
        if (!m) continue;
        super[used++] = mean_of(means, m);
        inside += (m > 1 ? spread_of(means, m, (double)m - 1) : 0) + mean_of(sq, m);
    }
    reference_drift(x, id, M, n, r->C, K, &e);
    e.nested = sqrt(1 + spread_of(super, used, (double)used - 1) / (inside / (double)used));
    free(x);
    free(means);
    free(sq);
    return e;
}

static void compare(const nsamp_summary *s, size_t i, const expected *e) {
    assert_near(s->mean[i], e->mean, 1e-9);
    assert_near(s->mean_se[i], e->mean_se, 1e-9);
    assert_near(s->var[i], e->var, 1e-9);
    assert_near(s->var_se[i], e->var_se, 1e-8);
    /* the few means of few batches say nothing of their variance */
    const bool enough = (s->chains - s->diverged) * (s->half_batches ? 2 : 1) >= 8;
    if (enough) assert_near(s->ess[i], e->ess, 1e-8);
    if (enough) assert_near(s->tau[i], e->tau, 1e-8);
    if (!enough) assert_true(isnan(s->ess[i]) && isnan(s->tau[i]));
    assert_near(s->rhat[i], e->rhat, 1e-9);
}

static void assert_same(double a, double b) {
    if (isnan(b))
        assert_true(isnan(a));
    else
        assert_near(a, b, 1e-7);
}

/* What depends on superchains: 0 without, 1 with. */
static void compare_superchains(const nsamp_summary *s, size_t i, const expected *e, int with) {
    assert_same(s->drift_mean[i], e->drift_mean[with]);
    assert_same(s->drift_var[i], e->drift_var[with]);
    if (with)
        assert_near(s->rhat_nested[i], e->nested, 1e-9);
    else
        assert_null(s->rhat_nested);
}

/* Averages over the coordinates, and their errors from each batch's own average. */
static void compare_averages(const nsamp_summary *s, const float *data, const run *r, const uint64_t *id,
                             size_t M, size_t per) {
    const size_t D = r->D, B = M * per, nb = r->n / per;
    double *mean = calloc(B, sizeof *mean), *square = calloc(B, sizeof *square), all_mean = 0, all_var = 0;
    for (size_t i = 0; i < D; i++) {
        for (size_t b = 0; b < B; b++)
            for (size_t t = b % per * nb; t < (b % per + 1) * nb; t++) {
                const double x = (double)data[(id[b / per] * r->n + t) * D + i], d = x - s->mean[i];
                mean[b] += x / (double)(nb * D);
                square[b] += d * d / (double)(nb * D);
            }
        all_mean += s->mean[i] / (double)D;
        all_var += s->var[i] / (double)D;
    }
    assert_near(s->mean_average, all_mean, 1e-12);
    assert_near(s->var_average, all_var, 1e-12);
    assert_near(s->mean_average_se, sqrt(spread_of(mean, B, (double)B - 1) / (double)B), 1e-8);
    assert_near(s->var_average_se, sqrt(spread_of(square, B, (double)B - 1) / (double)B), 1e-8);
    free(mean);
    free(square);
}

/* Every chain for which bad is UINT64_MAX, listed in id; returns how many. */
static size_t survivors(const uint64_t *bad, uint64_t C, uint64_t *id) {
    size_t M = 0;
    for (uint64_t c = 0; c < C; c++)
        if (bad[c] == UINT64_MAX) id[M++] = c;
    return M;
}

static void equals_reference(void **state) {
    (void)state;
    const struct {
        uint64_t C, n;
        size_t D;
        int bad;
    } cases[] = {{300, 10, 5, 0}, {300, 10, 5, 1}, {64, 8, 3, 1},   {9, 40, 2, 0}, {9, 40, 2, 1},
                 {2, 12, 1, 0},   {17, 6, 70, 0},  {70001, 6, 2, 1}}; /* the last: loops shared by threads */
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const run r = plain_run(cases[k].C, cases[k].n, cases[k].D);
        float *data = ar1(r.C, r.n, r.D, 0.7, 0.4, 2.0, k + 1);
        uint64_t *bad = all_good(r.C), *id = malloc(r.C * sizeof *id);
        for (uint64_t c = 3; cases[k].bad && c < r.C; c += 11) {
            bad[c] = 20 + c % 5;
            for (size_t i = 0; i < r.n * r.D; i++)
                data[c * r.n * r.D + i] = i % 3 ? NAN : 1e30f;
        }
        const size_t M = survivors(bad, r.C, id), K = r.C / 16 < 2 ? 2 : r.C / 16 > 64 ? 64 : r.C / 16;
        nsamp_moments *m = accumulate(&r, data);
        nsamp_summary s = {0};
        nsamp_moments_finish(m, bad, 0, &s);
        assert_int_equal(s.diverged, r.C - M);
        assert_int_equal(s.samples_per_chain, r.n);
        assert_int_equal(s.half_batches, M < 16);
        uint64_t first = UINT64_MAX;
        for (uint64_t c = 0; c < r.C; c++)
            first = bad[c] < first ? bad[c] : first;
        assert_true(s.first_bad_step == first &&
                    (cases[k].bad ? bad[s.first_bad_chain] == first : first == UINT64_MAX));
        for (size_t i = 0; i < r.D; i++) {
            const expected e = reference(data, &r, i, id, M, M < 16 ? 2 : 1, K);
            compare(&s, i, &e);
            compare_superchains(&s, i, &e, 0);
            if (i < 2) { /* all is made anew, so not for all of 70 coordinates */
                nsamp_moments_finish(m, bad, K, &s);
                compare(&s, i, &e);
                compare_superchains(&s, i, &e, 1);
                nsamp_moments_finish(m, bad, 0, &s);
            }
            float low = INFINITY, high = -INFINITY;
            for (size_t c = 0; c < M; c++)
                for (size_t t = 0; t < r.n; t++) {
                    low = fminf(low, data[(id[c] * r.n + t) * r.D + i]);
                    high = fmaxf(high, data[(id[c] * r.n + t) * r.D + i]);
                }
            assert_true(s.min[i] == (double)low && s.max[i] == (double)high);
        }
        compare_averages(&s, data, &r, id, M, M < 16 ? 2 : 1);
        nsamp_moments_destroy(m);
        free(data);
        free(bad);
        free(id);
    }
}

/* C <= 256: a group is a chain, so the covariance leaves out exactly the diverged ones; diagonal = var. */
static void covariance_equals_reference(void **state) {
    (void)state;
    const run r = plain_run(200, 12, 67);
    float *data = ar1(r.C, r.n, r.D, 0.5, 0.3, -1.0, 5);
    uint64_t *bad = all_good(r.C), *id = malloc(r.C * sizeof *id);
    bad[17] = bad[160] = 3;
    data[17 * r.n * r.D] = NAN;
    const size_t M = survivors(bad, r.C, id), D = r.D, n = r.n;
    nsamp_moments *m = accumulate(&r, data);
    nsamp_summary s = {0};
    nsamp_moments_finish(m, bad, 0, &s);
    double *per_chain = malloc(M * sizeof *per_chain), offdiag = 0;
    for (size_t i = 0; i < D; i++)
        for (size_t j = 0; j < D; j++) {
            double between = 0;
            for (size_t c = 0; c < M; c++) {
                double mi = 0, mj = 0;
                per_chain[c] = 0;
                for (size_t t = 0; t < n; t++) {
                    const double di = (double)data[(id[c] * n + t) * D + i] - s.mean[i];
                    const double dj = (double)data[(id[c] * n + t) * D + j] - s.mean[j];
                    per_chain[c] += di * dj / (double)n;
                    mi += di / (double)n;
                    mj += dj / (double)n;
                }
                between += mi * mj / (double)(M * (M - 1));
            }
            const double cov = mean_of(per_chain, M) + between;
            assert_true(fabs(s.cov[i * D + j] - cov) < 1e-10);
            assert_near(s.cov_se[i * D + j], sqrt(spread_of(per_chain, M, (double)M - 1) / (double)M), 1e-8);
            if (i == j) {
                assert_near(s.cov[i * D + i], s.var[i], 1e-9);
                assert_near(s.cov_se[i * D + i], s.var_se[i], 1e-8);
            } else {
                offdiag += cov / (double)(D * (D - 1));
            }
        }
    assert_near(s.offdiag, offdiag, 1e-9);
    assert_true(s.offdiag_se > 0 && fabs(s.offdiag - 0.3) < 5.5 * s.offdiag_se);
    free(per_chain);
    free(data);
    free(bad);
    free(id);
    nsamp_moments_destroy(m);
}

/* ---- the same bits ---- */

static void same_bits(void **state) {
    (void)state;
    const uint64_t C = 2500; /* 16 chains a group */
    const size_t D = 7, vectors = 11 * D + 2 * D * D;
    run r = plain_run(C, 9, D);
    float *data = ar1(C, r.n, D, 0.6, 0.2, 0.5, 8);
    uint64_t *bad = all_good(C);
    bad[1234] = 30;
    nsamp_moments *first = accumulate(&r, data);
    nsamp_summary a = {0}, b = {0};
    nsamp_moments_finish(first, bad, 0, &a);
    const struct {
        uint32_t lanes;
        int threads;
        uint64_t cut;
    } ways[] = {{16, 1, 1000}, {32, 2, 5}, {64, 5, 1}, {48, 3, 4}, {512, 2, 11}, {4096, 1, 1000}};
    for (size_t k = 0; k < sizeof ways / sizeof *ways; k++) {
        r.lanes = ways[k].lanes;
        r.threads = ways[k].threads;
        r.cut = ways[k].cut;
        nsamp_moments *m = accumulate(&r, data);
        nsamp_moments_finish(m, bad, 0, &b);
        assert_memory_equal(m->results, first->results, vectors * sizeof(double));
        assert_memory_equal(m->products, first->products, m->groups * D * D * sizeof(double));
        assert_true(a.offdiag == b.offdiag && a.offdiag_se == b.offdiag_se);
        nsamp_moments_destroy(m);
    }
    nsamp_moments_destroy(first);
    free(data);
    free(bad);
}

/* A checkpoint: chain by chain into an accumulator of other lanes, half way; then on to the same bits. */
static void moves_between_lanes(void **state) {
    (void)state;
    run r = plain_run(100, 8, 4);
    float *data = ar1(r.C, r.n, r.D, 0.6, 0.2, 0.5, 3);
    uint64_t *bad = all_good(r.C);
    nsamp_moments *whole = accumulate(&r, data);
    const uint64_t steps = (r.burn_in / r.every + r.n) * r.every, cut = 19;
    nsamp_moments *part[2];
    for (int k = 0; k < 2; k++) {
        r.lanes = k ? 64 : 16;
        const nsamp_moments_spec spec = {r.C, r.lanes, r.D, true, true, r.every, r.burn_in, steps, NULL};
        nsamp_error err;
        assert_int_equal(nsamp_moments_create(&spec, &part[k], &err), NSAMP_OK);
        if (k) {
            double *record = malloc(nsamp_moments_record_len(part[0]) * sizeof *record);
            for (uint64_t c = 0; c < r.C; c++) {
                nsamp_moments_get(part[0], c, record);
                nsamp_moments_put(part[1], c, record);
            }
            memcpy(part[1]->products, part[0]->products, part[0]->groups * r.D * r.D * sizeof(double));
            free(record);
        }
        const uint64_t units = (part[k]->tiles + part[k]->tiles_per_unit - 1) / part[k]->tiles_per_unit;
        for (uint64_t u = 0; u < units; u++)
            feed(part[k], &r, u, k ? cut : 0, k ? steps : cut, data);
        nsamp_moments_set_step(part[k], k ? steps : cut);
    }
    nsamp_summary a = {0}, b = {0};
    nsamp_moments_finish(whole, bad, 0, &a);
    nsamp_moments_finish(part[1], bad, 0, &b);
    assert_memory_equal(whole->results, part[1]->results, (11 * r.D + 2 * r.D * r.D) * sizeof(double));
    nsamp_moments_destroy(whole);
    for (int k = 0; k < 2; k++)
        nsamp_moments_destroy(part[k]);
    free(data);
    free(bad);
}

/* ---- the statistics mean what they say ---- */

/* mean 1000, sd 1: double sums keep the variance. */
static void large_mean(void **state) {
    (void)state;
    run r = plain_run(64, 100, 1);
    float *data = ar1(r.C, r.n, 1, 0.0, 0.0, 1000.0, 9);
    uint64_t *bad = all_good(r.C), *id = malloc(r.C * sizeof *id);
    const size_t M = survivors(bad, r.C, id);
    nsamp_moments *m = accumulate(&r, data);
    nsamp_summary s = {0};
    nsamp_moments_finish(m, bad, 0, &s);
    const expected e = reference(data, &r, 0, id, M, 1, 4);
    assert_near(s.var[0], e.var, 1e-8);
    nsamp_moments_destroy(m);
    free(data);
    free(bad);
    free(id);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equals_reference), cmocka_unit_test(covariance_equals_reference),
        cmocka_unit_test(same_bits),        cmocka_unit_test(moves_between_lanes),
        cmocka_unit_test(large_mean),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
