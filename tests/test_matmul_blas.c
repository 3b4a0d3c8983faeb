/* test_matmul_blas.c: the tests of test_matmul.c over the BLAS fallback. Its functions, compiled here, take
 * the place of the library's. */
#undef NSAMP_HAVE_DNNL
#define NSAMP_HAVE_DNNL 0
#include "matmul/blas.c"
#include "test_matmul.c"
