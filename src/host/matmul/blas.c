/* blas.c: matmul.h over plain CBLAS, for builds without oneDNN. Slower (nothing is packed, nothing is fused),
 * same contract. OpenBLAS is put on one thread for good at the first call: the threads are ours, so that the
 * order of its sums does not depend on how it would share the work. */
#include "matmul/blocks.h"

#if !NSAMP_HAVE_DNNL

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"

enum { BLOCK_ROWS = 64 }; /* rows of every product; a shorter rest is padded, so that its bits are the same */

struct nsamp_layer {
    size_t in, out;
    nsamp_activation act;
    nsamp_precision precision;
    float *w, *bias; /* [out * in], rounded where the precision is bf16; [out], zeros where there is none */
};

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

nsamp_status nsamp_layer_create(size_t in, size_t out, const float *w, const float *bias,
                                nsamp_activation act, nsamp_precision precision, size_t max_rows,
                                nsamp_layer **layer, nsamp_error *err) {
    *layer = NULL;
    const nsamp_status status = nsamp_layer_check(in, out, precision, max_rows, err);
    if (status) return status;
    nsamp_layer *l = calloc(1, sizeof *l);
    float *copy = malloc(in * out * sizeof *copy), *b = calloc(out, sizeof *b);
    if (!l || !copy || !b) {
        free(l);
        free(copy);
        free(b);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a layer of %zu x %zu weights", out, in);
    }
    *l = (nsamp_layer){in, out, act, precision, copy, b};
    if (precision == NSAMP_BF16)
        nsamp_round_to_bf16(in * out, w, copy);
    else
        memcpy(copy, w, in * out * sizeof *copy);
    if (bias) memcpy(b, bias, out * sizeof *b);
    blas_on_one_thread();
    *layer = l;
    return NSAMP_OK;
}

void nsamp_layer_destroy(nsamp_layer *l) {
    if (!l) return;
    free(l->w);
    free(l->bias);
    free(l);
}

static float activated(nsamp_activation act, float z) {
    switch (act) {
    case NSAMP_RELU:
        return z > 0 ? z : z < 0 ? 0 : z; /* a NaN stays one */
    case NSAMP_TANH:
        return tanhf(z);
    case NSAMP_SOFTPLUS:
        return fmaxf(z, 0) + log1pf(expf(-fabsf(z))) + (z - z); /* fmaxf alone would drop a NaN */
    case NSAMP_IDENTITY:
        break;
    }
    return z;
}

/* Rows first .. first + count - 1, count at most BLOCK_ROWS; xs and ys hold one padded block. */
static void apply_block(const nsamp_layer *l, size_t count, const float *x, float *y, bool accumulate,
                        float *xs, float *ys) {
    memset(xs + count * l->in, 0, (BLOCK_ROWS - count) * l->in * sizeof *xs);
    if (l->precision == NSAMP_BF16)
        nsamp_round_to_bf16(count * l->in, x, xs);
    else
        memcpy(xs, x, count * l->in * sizeof *xs);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, BLOCK_ROWS, (int)l->out, (int)l->in, 1, xs,
                (int)l->in, l->w, (int)l->in, 0, ys, (int)l->out);
    for (size_t r = 0; r < count; r++)
        for (size_t j = 0; j < l->out; j++) {
            float z = activated(l->act, ys[r * l->out + j] + l->bias[j]);
            y[r * l->out + j] = accumulate ? y[r * l->out + j] + z : z;
        }
}

void nsamp_layer_apply(const nsamp_layer *l, size_t rows, const float *x, float *y, bool accumulate) {
#pragma omp parallel
    {
        float *xs = malloc(BLOCK_ROWS * (l->in + l->out) * sizeof *xs);
        if (!xs)
            abort(); /* a block of rows beside the weights already held: nothing sensible is left to do */
#pragma omp for schedule(dynamic, 1)
        for (size_t first = 0; first < rows; first += BLOCK_ROWS) {
            size_t count = rows - first < BLOCK_ROWS ? rows - first : BLOCK_ROWS;
            apply_block(l, count, x + first * l->in, y + first * l->out, accumulate, xs,
                        xs + BLOCK_ROWS * l->in);
        }
        free(xs);
    }
}

static void gemm_block(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a,
                       size_t lda, const float *b, size_t ldb, float beta, float *c, size_t ldc) {
    cblas_sgemm(CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, (int)m, (int)n,
                (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void nsamp_gemm(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a, const float *b,
                float beta, float *c) {
    blas_on_one_thread();
    nsamp_gemm_in_blocks(gemm_block, ta, tb, m, n, k, alpha, a, b, beta, c);
}

void nsamp_gemm_here(bool ta, bool tb, size_t m, size_t n, size_t k, float alpha, const float *a,
                     const float *b, float beta, float *c) {
    blas_on_one_thread();
    gemm_block(ta, tb, m, n, k, alpha, a, ta ? m : k, b, tb ? k : n, beta, c, n);
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
