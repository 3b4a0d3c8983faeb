/* stored_draws.h: x of an output file, read by netCDF itself. Include cmocka.h first. */
#ifndef NSAMP_TESTS_STORED_DRAWS_H
#define NSAMP_TESTS_STORED_DRAWS_H

#include <netcdf.h>
#include <stdlib.h>

/* x [chain][draw][dim] of a file with draws, whether its run is over or not; *n numbers, malloc'ed. */
static inline float *stored_draws(const char *path, size_t *n) {
    int file, group, x, dims[3];
    *n = 1;
    assert_int_equal(nc_open(path, NC_NOWRITE, &file), 0);
    assert_int_equal(nc_inq_ncid(file, "posterior", &group), 0);
    assert_int_equal(nc_inq_varid(group, "x", &x), 0);
    assert_int_equal(nc_inq_vardimid(group, x, dims), 0);
    for (int i = 0; i < 3; i++) {
        size_t length;
        assert_int_equal(nc_inq_dimlen(group, dims[i], &length), 0);
        *n *= length;
    }
    float *values = malloc(*n * sizeof *values);
    assert_non_null(values);
    assert_int_equal(nc_get_var_float(group, x, values), 0);
    assert_int_equal(nc_close(file), 0);
    return values;
}

#endif
