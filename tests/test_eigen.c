/* test_eigen.c: eigenvalues, eigenvectors and Cholesky factors of eigen.h and cholesky.h against matrices
 * whose own are known, against LAPACK, and bit by bit: any number of threads, each instruction set and
 * compiler, and sums in their order. */
#include <float.h>
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cholesky.h"
#include "eigen.h"

static uint64_t words = 1;

/* Between -1 and 1. */
static double number(void) {
    words = words * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (double)(int64_t)words / 9223372036854775808.0;
}

static double *numbers(size_t count) {
    double *const p = malloc((count + 1) * sizeof *p);
    assert_non_null(p);
    for (size_t i = 0; i < count; i++)
        p[i] = number();
    return p;
}

static double *copy_of(size_t count, const double *from) {
    double *const p = numbers(count);
    memcpy(p, from, count * sizeof *p);
    return p;
}

/* sum over t < terms of x[t][i] x[t][j]: of rank `terms`. */
static double *gram(size_t n, size_t terms) {
    double *const x = numbers(terms * n), *const a = numbers(n * n);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t t = 0; t < terms; t++)
                sum += x[t * n + i] * x[t * n + j];
            a[i * n + j] = sum;
        }
    free(x);
    return a;
}

static double largest_of(size_t count, const double *a) {
    double largest = 0;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(a[i]));
    return largest;
}

/* ---- eigenvectors
 * -------------------------------------------------------------------------------------------- */

/* Ascending values; A v = lambda v and orthonormal v to 4 n times the rounding of A's largest number; signs;
 * values of LAPACK. */
static void check(size_t n, size_t count, const double *a) {
    nsamp_error err = {0};
    double *const used = copy_of(n * n, a), *const values = numbers(n), *const v = numbers(n * count),
                  *const lapack = copy_of(n * n, a), *const theirs = numbers(n);
    /* and the smallest number */
    const double most =
        4 * (double)n * DBL_EPSILON * largest_of(n * n, a) * sqrt((double)n) + 4 * (double)n * 0x1p-1074;
    if (nsamp_eigen(n, used, count, values, v, &err)) fail_msg("%s", err.text);
    assert_int_equal(LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'N', 'L', (lapack_int)n, lapack, (lapack_int)n, theirs),
                     0);
    double residual = 0, skew = 0, apart = 0;
    for (size_t k = 0; k < n; k++) {
        assert_true(k == 0 || values[k] >= values[k - 1]);
        apart = fmax(apart, fabs(values[k] - theirs[k]));
    }
    for (size_t k = 0; k < count; k++) {
        const double *const x = v + k * n;
        size_t top = 0;
        for (size_t i = 0; i < n; i++) {
            double ax = 0;
            for (size_t j = 0; j < n; j++)
                ax += a[i * n + j] * x[j];
            residual = fmax(residual, fabs(ax - values[n - count + k] * x[i]));
            if (fabs(x[i]) > fabs(x[top])) top = i;
        }
        assert_true(x[top] > 0);
        for (size_t l = 0; l <= k; l++) {
            double product = 0;
            for (size_t i = 0; i < n; i++)
                product += x[i] * v[l * n + i];
            skew = fmax(skew, fabs(product - (k == l)));
        }
    }
    if (!(residual <= most) || !(apart <= most))
        fail_msg("n %zu: residual %g, values %g apart, most %g", n, residual, apart, most);
    if (!(skew <= 4 * (double)n * DBL_EPSILON)) fail_msg("n %zu: products of vectors off by %g", n, skew);
    free(used), free(values), free(v), free(lapack), free(theirs);
}

static void random_matrices_agree_with_lapack(void **state) {
    (void)state;
    static const size_t sizes[][2] = {{1, 1},   {2, 2},   {3, 1},     {7, 7},
                                      {64, 10}, {65, 65}, {130, 129}, {200, 64}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const size_t n = sizes[i][0];
        double *full = gram(n, 2 * n), *low = gram(n, n / 3), *any = numbers(n * n);
        for (size_t r = 0; r < n; r++)
            for (size_t c = 0; c < r; c++)
                any[r * n + c] = any[c * n + r];
        check(n, sizes[i][1], full);
        check(n, sizes[i][1], low); /* two thirds of the values are 0 */
        check(n, sizes[i][1], any);
        free(full), free(low), free(any);
    }
}

/* 2 on the diagonal and -1 beside it: values 2 - 2 cos(k pi / (n + 1)), vectors sqrt(2 / (n + 1)) sin(i k pi
 * / (n + 1)). */
static void the_second_difference_has_its_sines(void **state) {
    (void)state;
    enum { N = 100 };
    static double a[N * N], values[N], v[N * N];
    const double pi = acos(-1);
    nsamp_error err = {0};
    for (size_t i = 0; i < N; i++) {
        a[i * N + i] = 2;
        if (i) a[i * N + i - 1] = a[(i - 1) * N + i] = -1;
    }
    assert_int_equal(nsamp_eigen(N, a, N, values, v, &err), NSAMP_OK);
    for (size_t k = 1; k <= N; k++) {
        const double angle = (double)k * pi / (N + 1);
        assert_true(fabs(values[k - 1] - (2 - 2 * cos(angle))) < 1e-13);
        double product = 0;
        for (size_t i = 0; i < N; i++)
            product += v[(k - 1) * N + i] * sqrt(2.0 / (N + 1)) * sin((double)(i + 1) * angle);
        assert_true(fabs(fabs(product) - 1) < 1e-12);
    }
}

/* Equal values, zeros, blocks that fall apart, numbers near the ends of the range. */
static void odd_matrices_too(void **state) {
    (void)state;
    enum { N = 24 };
    static const double scales[] = {1, 1e-300, 1e300, 0x1p-1060};
    for (size_t s = 0; s < sizeof scales / sizeof *scales; s++) {
        double a[N * N] = {0};
        check(N, N, a);
        for (size_t i = 0; i < N; i++)
            a[i * N + i] = scales[s];
        check(N, N, a);
        for (size_t i = 0; i < N * N; i++)
            a[i] = scales[s];
        check(N, N, a);
        for (size_t i = 0; i < N; i++)
            for (size_t j = 0; j < N; j++)
                a[i * N + j] = i / 5 == j / 5 ? scales[s] * (i == j ? 1 : 0.5) : 0;
        check(N, N, a);
        for (size_t i = 0; i < N; i++) /* graded: from 1 down to 1e-69 */
            for (size_t j = 0; j < N; j++)
                a[i * N + j] = pow(10, -1.5 * (double)(i + j)) * (i == j ? 2 : 1);
        check(N, 3, a);
    }
    double bad[4] = {1, NAN, NAN, 1}, values[2], v[4];
    nsamp_error err = {0};
    assert_int_equal(nsamp_eigen(2, bad, 2, values, v, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "not finite"));
}

static void threads_do_not_matter(void **state) {
    (void)state;
    enum { N = 150, COUNT = 140 };
    static double values[3][N], v[3][COUNT * N];
    const int before = omp_get_max_threads();
    double *const a = gram(N, 60);
    for (int threads = 1; threads <= 3; threads++) {
        nsamp_error err = {0};
        double *const used = copy_of(N * N, a);
        omp_set_num_threads(threads);
        assert_int_equal(nsamp_eigen(N, used, COUNT, values[threads - 1], v[threads - 1], &err), NSAMP_OK);
        assert_memory_equal(values[threads - 1], values[0], sizeof values[0]);
        assert_memory_equal(v[threads - 1], v[0], sizeof v[0]);
        free(used);
    }
    omp_set_num_threads(before);
    free(a);
}

/* ---- the loops, from every compiler and instruction set
 * -------------------------------------------------------- */

#define VARIANT(name, isa) extern const nsamp_doubles_kernels nsamp_doubles_##name;
#include "doubles.def"
#undef VARIANT

static const struct {
    const nsamp_doubles_kernels *k;
    const char *name, *isa;
} variants[] = {
#define VARIANT(name, isa) {&nsamp_doubles_##name, #name, isa},
#include "doubles.def"
#undef VARIANT
};

static int runs_here(const char *isa) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (!strcmp(isa, "v3")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !strcmp(isa, "base");
}

enum { TERMS = 131, ROWS = 39, COLUMNS = 77, LDA = 41, LDB = 80, LDC = 79 };

/* A product is rounded, then the sum: `volatile` keeps any compiler from doing both at once. */
static double after(double sum, double a, double b) {
    volatile double product = a * b;
    volatile double result = sum + product;
    return result;
}

static void sums_take_their_terms_in_order(void **state) {
    (void)state;
    double *const a = numbers(TERMS * LDA), *const b = numbers(TERMS * LDB), *const c = numbers(ROWS * LDC),
                  *const right = copy_of(ROWS * LDC, c);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < COLUMNS; k++)
            for (size_t t = 0; t < TERMS; t++)
                right[i * LDC + k] = after(right[i * LDC + k], a[t * LDA + i], b[t * LDB + k]);
    size_t skipped = 0;
    for (size_t v = 0; v < sizeof variants / sizeof *variants; v++) {
        if (!runs_here(variants[v].isa)) {
            skipped++;
            continue;
        }
        double *const all = copy_of(ROWS * LDC, c), *const upper = copy_of(ROWS * LDC, c);
        variants[v].k->products(TERMS, ROWS, COLUMNS, a, LDA, b, LDB, false, all, LDC);
        variants[v].k->products(TERMS, ROWS, COLUMNS, a, LDA, b, LDB, true, upper, LDC);
        assert_memory_equal(all, right, ROWS * LDC * sizeof *all);
        for (size_t i = 0; i < ROWS; i++)
            assert_memory_equal(upper + i * LDC + i, right + i * LDC + i, (COLUMNS - i) * sizeof *upper);
        free(all), free(upper);
    }
    if (skipped)
        print_message("%zu of %zu builds skipped: not for this processor\n", skipped,
                      sizeof variants / sizeof *variants);
    free(a), free(b), free(c), free(right);
}

static void passes_have_the_same_bits(void **state) {
    (void)state;
    enum { N = 45, LD = 51, WIDTH = 37 };
    double *const v = numbers(N), *const w = numbers(N), *const u = numbers(N), *const a = numbers(N * LD),
                  *const y = numbers(N), *const cs = numbers(2 * N), *const x = numbers(N * LD);
    double *const a1 = copy_of(N * LD, a), *const y1 = copy_of(N, y), *const x1 = copy_of(N * LD, x);
    for (size_t j = 0; j < N; j++)
        for (size_t i = 0; i < N; i++) {
            volatile double first = v[j] * w[i], second = w[j] * v[i], both = first + second;
            a1[j * LD + i] -= both;
            y1[i] = after(y1[i], u[j], a1[j * LD + i]);
        }
    for (size_t k = 0; k < N - 1; k++)
        for (size_t i = 0; i < WIDTH; i++) {
            const double c = cs[2 * (N - 2 - k)], s = cs[2 * (N - 2 - k) + 1];
            const double p = x1[k * LD + i], q = x1[(k + 1) * LD + i];
            volatile double cp = c * p, sq = s * q, cq = c * q, sp = s * p;
            x1[k * LD + i] = cp + sq;
            x1[(k + 1) * LD + i] = cq - sp;
        }
    for (size_t i = 0; i < WIDTH; i++) {
        double sum = 0;
        for (size_t j = 0; j < N; j++)
            sum = after(sum, v[j], x1[j * LD + i]);
        for (size_t j = 0; j < N; j++) {
            const double by = 0.37 * v[j];
            x1[j * LD + i] = after(x1[j * LD + i], -by, sum);
        }
    }
    for (size_t k = 0; k < sizeof variants / sizeof *variants; k++) {
        if (!runs_here(variants[k].isa)) continue;
        double *const a2 = copy_of(N * LD, a), *const y2 = copy_of(N, y), *const x2 = copy_of(N * LD, x),
                      t[WIDTH];
        const nsamp_rotations r = {0, N - 1, cs};
        variants[k].k->reflect(N, v, w, u, a2, LD, y2);
        variants[k].k->rotate(&r, WIDTH, x2, LD);
        variants[k].k->mirror(N, 0.37, v, WIDTH, x2, LD, t);
        assert_memory_equal(a2, a1, N * LD * sizeof *a1);
        assert_memory_equal(y2, y1, N * sizeof *y1);
        assert_memory_equal(x2, x1, N * LD * sizeof *x1);
        free(a2), free(y2), free(x2);
    }
    free(v), free(w), free(u), free(a), free(y), free(cs), free(x), free(a1), free(y1), free(x1);
}

/* ---- Cholesky
 * -------------------------------------------------------------------------------------------------- */

static void factors_are_those_of_plain_sums(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 2, 5, 63, 64, 65, 150};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s];
        double *const a = gram(n, 3 * n), *const l = numbers(n * n), *const right = copy_of(n * n, a);
        double pivot = -1;
        for (size_t j = 0; j < n; j++)
            for (size_t i = 0; i < n; i++) {
                if (i < j) {
                    right[i * n + j] = 0;
                    continue;
                }
                for (size_t t = 0; t < j; t++)
                    right[i * n + j] = after(right[i * n + j], -right[i * n + t], right[j * n + t]);
                right[i * n + j] = i == j ? sqrt(right[i * n + j]) : right[i * n + j] / right[j * n + j];
            }
        assert_int_equal(nsamp_cholesky(n, a, l, &pivot), 0);
        assert_memory_equal(l, right, n * n * sizeof *l);
        double *const x = numbers(19 * n), *const b = numbers(19 * n),
                      *const room = numbers(n * NSAMP_CHOLESKY_LANES);
        for (size_t k = 0; k < 19; k++)
            for (size_t i = 0; i < n; i++) {
                b[k * n + i] = 0;
                for (size_t j = 0; j < n; j++)
                    b[k * n + i] += a[i * n + j] * x[k * n + j];
            }
        nsamp_cholesky_solve(n, l, 19, b, room);
        for (size_t i = 0; i < 19 * n; i++)
            assert_true(fabs(b[i] - x[i]) < 1e-10);
        assert_int_equal(nsamp_cholesky(n, a, a, &pivot), 0);
        assert_memory_equal(a, right, n * n * sizeof *a);
        free(a), free(l), free(right), free(x), free(b), free(room);
    }
}

static void a_pivot_that_is_not_positive_is_named(void **state) {
    (void)state;
    enum { N = 100 };
    double *const a = gram(N, 2 * N), *const l = numbers(N * N);
    double pivot = 1;
    a[90 * N + 90] = -3;
    assert_int_equal(nsamp_cholesky(N, a, l, &pivot), 91);
    assert_true(pivot < -3);
    a[70 * N + 12] = NAN;
    assert_int_equal(nsamp_cholesky(N, a, l, &pivot), 71);
    assert_true(isnan(pivot));
    free(a), free(l);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_matrices_agree_with_lapack),
        cmocka_unit_test(the_second_difference_has_its_sines),
        cmocka_unit_test(odd_matrices_too),
        cmocka_unit_test(threads_do_not_matter),
        cmocka_unit_test(sums_take_their_terms_in_order),
        cmocka_unit_test(passes_have_the_same_bits),
        cmocka_unit_test(factors_are_those_of_plain_sums),
        cmocka_unit_test(a_pivot_that_is_not_positive_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
