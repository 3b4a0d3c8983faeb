/* blas.c: matmul.h over plain CBLAS, for builds without oneDNN. Slower (nothing is packed, nothing is fused),
 * same contract. OpenBLAS is put on one thread for good at the first call: the threads are ours, so that the
 * order of its sums does not depend on how it would share the work. */
#include "matmul/plain.h"

#if !NSAMP_HAVE_DNNL

#include <cblas.h>

static void blas_on_one_thread(void) {
#ifdef OPENBLAS_VERSION
#pragma omp critical(nsamp_blas_threads)
    if (openblas_get_num_threads() != 1) openblas_set_num_threads(1);
#endif
}

void nsamp_matmul_set_bf16(nsamp_bf16_way way) {
    (void)way; /* BLAS has no bf16: factors are always rounded */
}

bool nsamp_matmul_bf16_is_native(void) {
    return false;
}

static void plain_product(size_t m, size_t n, size_t k, const float *a, const float *b, float *c) {
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1, a, (int)k, b, (int)k, 0,
                c, (int)n);
}

/* A layer is a plain one and nothing else. */
nsamp_status nsamp_layer_create(size_t in, size_t out, const float *w, const float *bias,
                                nsamp_activation act, nsamp_precision precision, size_t max_rows,
                                nsamp_layer **layer, nsamp_error *err) {
    *layer = NULL;
    const nsamp_status status = nsamp_layer_check(in, out, precision, max_rows, err);
    if (status) return status;
    blas_on_one_thread();
    nsamp_plain_layer *plain = NULL;
    const nsamp_status made =
        nsamp_plain_create(in, out, w, bias, act, precision, plain_product, &plain, err);
    *layer = (nsamp_layer *)plain;
    return made;
}

void nsamp_layer_destroy(nsamp_layer *l) {
    nsamp_plain_destroy((nsamp_plain_layer *)l);
}

void nsamp_layer_apply(const nsamp_layer *l, size_t rows, const float *x, float *y, bool accumulate) {
    nsamp_plain_apply((const nsamp_plain_layer *)l, rows, x, y, accumulate);
}

const char *nsamp_matmul_name(void) {
#ifdef OPENBLAS_VERSION
    static char name[128];
    size_t used = 0;
    for (const char *s = "OpenBLAS, core "; *s; s++)
        name[used++] = *s;
    for (const char *s = openblas_get_corename(); *s && used + 1 < sizeof name; s++)
        name[used++] = *s;
    name[used] = 0;
    return name;
#else
    return "BLAS";
#endif
}

#endif
