/* device.c: the ceilings of the backend that a bench runs on. */
#include "bench/ceilings.h"

#include <string.h>

#include "error.h"

#ifndef NSAMP_HAVE_CUDA
static nsamp_status without_cuda(nsamp_error *err) {
    return nsamp_fail(err, NSAMP_EINTERNAL, "no ceilings of a GPU: this nsamp was built without CUDA");
}
#endif

nsamp_status nsamp_ceilings_measure(const char *backend, const char *isa, int threads,
                                    const nsamp_stopwatch *watch, nsamp_ceilings *ceilings, double *cache,
                                    nsamp_error *err) {
    if (!strcmp(backend, "cpu")) return nsamp_ceilings_cpu(isa, threads, watch, ceilings, err);
#ifdef NSAMP_HAVE_CUDA
    return nsamp_ceilings_cuda(NSAMP_CEILING_M, NSAMP_CEILING_N, NSAMP_CEILING_CUDA_ROWS, watch, ceilings,
                               cache, err);
#else
    (void)cache;
    return without_cuda(err);
#endif
}

nsamp_status nsamp_ceiling_product(const char *backend, size_t m, size_t n, size_t rows,
                                   nsamp_precision precision, int threads, const nsamp_stopwatch *watch,
                                   nsamp_rate *rate, nsamp_error *err) {
    if (!strcmp(backend, "cpu"))
        return nsamp_ceiling_product_cpu(m, n, rows, precision, threads, watch, rate, err);
#ifdef NSAMP_HAVE_CUDA
    return nsamp_ceiling_product_cuda(m, n, rows, precision, watch, rate, err);
#else
    return without_cuda(err);
#endif
}
