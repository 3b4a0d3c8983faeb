/* blocks.c: see blocks.h. */
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
