/* blocks.c: nsamp_gemm's partition of a product, and the rounding of its factors. */
#include "matmul/blocks.h"

#include <string.h>

#include "error.h"
#include "isa.h"

nsamp_status nsamp_layer_check(size_t in, size_t out, nsamp_precision precision, size_t max_rows,
                               nsamp_error *err) {
    if (precision == NSAMP_TF32)
        return nsamp_fail(err, NSAMP_EUSAGE, "tf32 products: only on a GPU; on a CPU fp32 or bf16");
    if (precision == NSAMP_BF16X3)
        return nsamp_fail(err, NSAMP_EUSAGE, "bf16x3: not by a library's products; here fp32 or bf16");
    if (in && out && max_rows) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EUSAGE, "layer of %zu inputs, %zu outputs, %zu rows: none may be 0", in, out,
                      max_rows);
}

void nsamp_round_to_bf16(size_t count, const float *x, float *y) {
#ifdef NSAMP_X86_64
    const char *const isa = nsamp_isa_best();
    if (!strcmp(isa, "v4")) {
        nsamp_round_to_bf16_v4(count, x, y);
        return;
    }
    if (!strcmp(isa, "v3")) {
        nsamp_round_to_bf16_v3(count, x, y);
        return;
    }
#endif
    nsamp_round_to_bf16_base(count, x, y);
}

/* Blocks of the longer side: at most 16, so that each does work enough, of a multiple of 64 rows or columns.
 */
static size_t block_length(size_t length) {
    size_t block = (length / 16 + 63) / 64 * 64;
    return block < 64 ? 64 : block;
}

void nsamp_gemm_in_blocks(nsamp_gemm_block_fn *block, bool ta, bool tb, size_t m, size_t n, size_t k,
                          float alpha, const float *a, const float *b, float beta, float *c) {
    const size_t lda = ta ? m : k, ldb = tb ? k : n;
    const bool by_rows = m > n;
    const size_t length = by_rows ? m : n, step = block_length(length);
#pragma omp parallel for schedule(dynamic, 1)
    for (size_t first = 0; first < length; first += step) {
        size_t count = length - first < step ? length - first : step;
        if (by_rows)
            block(ta, tb, count, n, k, alpha, ta ? a + first : a + first * k, lda, b, ldb, beta,
                  c + first * n, n);
        else
            block(ta, tb, m, count, k, alpha, a, lda, tb ? b + first * k : b + first, ldb, beta, c + first,
                  n);
    }
}
