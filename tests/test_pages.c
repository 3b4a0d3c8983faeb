/* test_pages.c: large arrays are filled to the last number, aligned, and refused where they cannot be. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include "pages.h"

static void every_number_is_set(void **state) {
    (void)state;
    static const size_t counts[] = {1, 15, 1000, (4u << 20) / 8, (4u << 20) / 8 + 1, 3000001};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        double *d = nsamp_pages_doubles(counts[c], -3.5);
        float *f = nsamp_pages_floats(counts[c], INFINITY);
        assert_non_null(d);
        assert_non_null(f);
        assert_int_equal((uintptr_t)d % 64, 0);
        assert_int_equal((uintptr_t)f % 64, 0);
        size_t right = 0;
        for (size_t i = 0; i < counts[c]; i++)
            right += d[i] == -3.5 && f[i] == INFINITY;
        assert_int_equal(right, counts[c]);
        free(d);
        free(f);
    }
}

static void no_numbers_are_an_array_too(void **state) {
    (void)state;
    double *d = nsamp_pages_doubles(0, 1);
    assert_non_null(d);
    free(d);
}

static void too_many_are_refused(void **state) {
    (void)state;
    assert_null(nsamp_pages_doubles(SIZE_MAX / 4, 0)); /* times 8: more than an address */
    assert_null(nsamp_pages_floats(SIZE_MAX / 2, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_is_set),
        cmocka_unit_test(no_numbers_are_an_array_too),
        cmocka_unit_test(too_many_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
