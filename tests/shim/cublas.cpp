/* cublas.cpp: a cuBLASLt for the tests: the functions of cublasLt.h here by plain loops, sums in double, rounded once.
 * Stricter than the library: what it has not been seen to support is refused (types, alignment below what was promised,
 * leading dimensions too small or of odd bytes, an algorithm that was made for another product, reductions whose order
 * is not fixed), every reserved byte of the workspace is overwritten, and with beta = 0 the result is not read. */
#include "cublasLt.h"
#include "runtime.h"
#include "shim.h"

#include <stdio.h>
#include <vector>

struct nsamp_shim_cublas {
    int unused;
};
struct nsamp_shim_operation {
    cublasComputeType_t compute;
    cublasOperation_t op_a, op_b;
    cublasLtEpilogue_t epilogue;
    const void *bias;
};
struct nsamp_shim_layout {
    cudaDataType_t type;
    uint64_t rows, cols;
    int64_t ld;
};
struct nsamp_shim_preference {
    size_t workspace;
    uint32_t schemes, alignment[4];
};

static size_t version = 130100;
static int objects;
static uint64_t products;

void nsamp_shim_set_cublas(size_t wanted) {
    version = wanted;
}
int nsamp_shim_cublas_objects(void) {
    return objects;
}
uint64_t nsamp_shim_products(void) {
    return products;
}

/* ---- the dynamic linker -------------------------------------------------------------------------------- */

void *nsamp_shim_open(const char *name) {
    char soname[32];
    if (strstr(name, "curand")) return nsamp_shim_curand_open(name);
    snprintf(soname, sizeof soname, "libcublasLt.so.%zu", version / 10000);
    return version && (!strcmp(name, soname) || !strcmp(name, "libcublasLt.so")) ? &version : NULL;
}

void *nsamp_shim_symbol(void *library, const char *name) {
#define SYMBOL(function)                                                                                     \
    { #function, (void *)function }
    static const struct {
        const char *name;
        void *function;
    } table[] = {SYMBOL(cublasLtGetVersion),
                 SYMBOL(cublasLtGetStatusName),
                 SYMBOL(cublasLtCreate),
                 SYMBOL(cublasLtDestroy),
                 SYMBOL(cublasLtMatmul),
                 SYMBOL(cublasLtMatmulAlgoGetHeuristic),
                 SYMBOL(cublasLtMatmulDescCreate),
                 SYMBOL(cublasLtMatmulDescDestroy),
                 SYMBOL(cublasLtMatmulDescSetAttribute),
                 SYMBOL(cublasLtMatrixLayoutCreate),
                 SYMBOL(cublasLtMatrixLayoutDestroy),
                 SYMBOL(cublasLtMatmulPreferenceCreate),
                 SYMBOL(cublasLtMatmulPreferenceDestroy),
                 SYMBOL(cublasLtMatmulPreferenceSetAttribute)};
    for (size_t i = 0; library == &version && i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, name)) return table[i].function;
    return nsamp_shim_curand_symbol(library, name);
}

/* ---- descriptions -------------------------------------------------------------------------------------- */

template <class T> static cublasStatus_t make(T **at, T value) {
    *at = new T(value);
    objects++;
    return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t drop(T *at) {
    if (!at) return CUBLAS_STATUS_INVALID_VALUE;
    delete at;
    objects--;
    return CUBLAS_STATUS_SUCCESS;
}

template <class T> static cublasStatus_t assign(T *to, const void *value, size_t bytes) {
    if (!value || bytes != sizeof *to) return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void) {
    return version;
}

const char *cublasLtGetStatusName(cublasStatus_t status) {
    switch (status) {
    case CUBLAS_STATUS_SUCCESS:
        return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE:
        return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED:
        return "CUBLAS_STATUS_NOT_SUPPORTED";
    default:
        return "another status";
    }
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
    return make(handle, nsamp_shim_cublas{0});
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
    return drop(handle);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *operation, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
    if (scale != CUDA_R_32F || (compute != CUBLAS_COMPUTE_32F && compute != CUBLAS_COMPUTE_32F_FAST_TF32))
        return CUBLAS_STATUS_INVALID_VALUE;
    return make(operation,
                nsamp_shim_operation{compute, CUBLAS_OP_N, CUBLAS_OP_N, CUBLASLT_EPILOGUE_DEFAULT, NULL});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t operation) {
    return drop(operation);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t operation,
                                              cublasLtMatmulDescAttributes_t attribute, const void *value,
                                              size_t bytes) {
    switch (attribute) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
        return assign(&operation->op_a, value, bytes);
    case CUBLASLT_MATMUL_DESC_TRANSB:
        return assign(&operation->op_b, value, bytes);
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
        return assign(&operation->epilogue, value, bytes);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
        return assign(&operation->bias, value, bytes);
    }
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
    if (!rows || !cols || ld < (int64_t)rows) return CUBLAS_STATUS_INVALID_VALUE;
    return make(layout, nsamp_shim_layout{type, rows, cols, ld});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
    return drop(layout);
}

/* As the library: 256 bytes unless less is promised, every scheme allowed. */
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *preference) {
    return make(preference, nsamp_shim_preference{0, 7, {256, 256, 256, 256}});
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
    return drop(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void *value, size_t bytes) {
    switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
        return assign(&preference->workspace, value, bytes);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK:
        return assign(&preference->schemes, value, bytes);
    default:
        return attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
                       attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES
                   ? assign(&preference->alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES],
                            value, bytes)
                   : CUBLAS_STATUS_INVALID_VALUE;
    }
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* What an algorithm is made for; its workspace is a part of it. */
static cublasLtMatmulAlgo_t algorithm_of(const nsamp_shim_operation &o, const nsamp_shim_layout &a,
                                         const nsamp_shim_layout &b, const nsamp_shim_layout &d,
                                         size_t workspace, uint32_t alignment) {
    return {{(uint64_t)o.compute << 32 | (uint64_t)o.epilogue << 8 | (uint64_t)o.op_a << 4 | (uint64_t)o.op_b,
             (uint64_t)a.type << 16 | (uint64_t)b.type << 8 | (uint64_t)d.type, a.rows << 32 | a.cols,
             b.rows << 32 | b.cols, (uint64_t)a.ld << 32 | (uint64_t)b.ld, (uint64_t)d.ld, workspace,
             alignment}};
}

static bool fits(const nsamp_shim_operation &o, const nsamp_shim_layout &a, const nsamp_shim_layout &b,
                 const nsamp_shim_layout &c, const nsamp_shim_layout &d) {
    const bool ta = o.op_a == CUBLAS_OP_T, tb = o.op_b == CUBLAS_OP_T;
    return (ta ? a.cols : a.rows) == d.rows && (tb ? b.rows : b.cols) == d.cols &&
           (ta ? a.rows : a.cols) == (tb ? b.cols : b.rows) && c.rows == d.rows && c.cols == d.cols &&
           c.type == d.type && c.ld == d.ld;
}

/* Types: float32 throughout, or bf16 by bf16 to either. */
static bool supported(const nsamp_shim_operation &o, const nsamp_shim_layout &a, const nsamp_shim_layout &b,
                      const nsamp_shim_layout &d) {
    if (a.type != b.type) return false;
    if (a.type == CUDA_R_16BF) return o.compute == CUBLAS_COMPUTE_32F;
    return d.type == CUDA_R_32F;
}

/* Long sums into a small result are shared among blocks, which takes workspace. */
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t *results, int *count) {
    *count = 0;
    if (!handle || wanted < 1 || !fits(*operation, *a, *b, *c, *d)) return CUBLAS_STATUS_INVALID_VALUE;
    const bool biased = operation->epilogue != CUBLASLT_EPILOGUE_DEFAULT;
    const uint32_t alignment = preference->alignment[0];
    const uint64_t k = operation->op_a == CUBLAS_OP_T ? a->rows : a->cols, parts = k > 64 ? 4 : 1;
    const size_t workspace = parts > 1 ? parts * d->rows * d->cols * sizeof(float) : 0;
    for (uint32_t promised : preference->alignment)
        if (promised != alignment) return CUBLAS_STATUS_NOT_SUPPORTED;
    if (!supported(*operation, *a, *b, *d) || biased != (operation->bias != NULL) ||
        (uintptr_t)operation->bias % alignment ||
        preference->schemes != CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE || workspace > preference->workspace)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    results[0] = {};
    results[0].algo = algorithm_of(*operation, *a, *b, *d, workspace, alignment);
    results[0].workspaceSize = workspace;
    *count = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static double value_of(const void *at, cudaDataType_t type, size_t i) {
    if (type == CUDA_R_32F) return ((const float *)at)[i];
    return nsamp_shim_float((uint32_t)((const uint16_t *)at)[i] << 16);
}

/* To the nearest with `lost` bits fewer, ties to even; NaN and infinity stay. */
static float rounded(float value, int lost) {
    uint32_t bits = nsamp_shim_bits(value);
    if ((bits & 0x7f800000u) == 0x7f800000u) return value;
    bits += (1u << (lost - 1)) - 1 + (bits >> lost & 1u);
    return nsamp_shim_float(bits >> lost << lost);
}

static void store(void *at, cudaDataType_t type, size_t i, double value) {
    if (type == CUDA_R_32F)
        ((float *)at)[i] = (float)value;
    else
        ((uint16_t *)at)[i] = (uint16_t)(nsamp_shim_bits(rounded((float)value, 16)) >> 16);
}

static void multiply(const nsamp_shim_operation &o, float alpha, const void *A, const nsamp_shim_layout &a,
                     const void *B, const nsamp_shim_layout &b, float beta, void *D,
                     const nsamp_shim_layout &d) {
    const bool ta = o.op_a == CUBLAS_OP_T, tb = o.op_b == CUBLAS_OP_T,
               tf32 = o.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
    const uint64_t k = ta ? a.rows : a.cols;
    const size_t step_a = ta ? 1 : a.ld, step_b = tb ? b.ld : 1;
    std::vector<double> row(k);
    products++;
    for (uint64_t i = 0; i < d.rows; i++) {
        for (uint64_t p = 0; p < k; p++) {
            row[p] = value_of(A, a.type, (ta ? i * a.ld : i) + p * step_a);
            if (tf32) row[p] = rounded((float)row[p], 13);
        }
        for (uint64_t j = 0; j < d.cols; j++) {
            double sum = 0;
            for (uint64_t p = 0; p < k; p++) {
                const double v = value_of(B, b.type, (tb ? j : j * b.ld) + p * step_b);
                sum += row[p] * (tf32 ? rounded((float)v, 13) : v);
            }
            sum *= alpha;
            const size_t at = i + j * d.ld;
            if (beta != 0) sum += beta * value_of(D, d.type, at);
            if (o.epilogue != CUBLASLT_EPILOGUE_DEFAULT) sum += value_of(o.bias, d.type, i);
            if (o.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS && sum < 0) sum = 0;
            store(D, d.type, at, sum);
        }
    }
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t operation, const void *alpha,
                              const void *A, cublasLtMatrixLayout_t a, const void *B,
                              cublasLtMatrixLayout_t b, const void *beta, const void *C,
                              cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *algorithm, void *workspace, size_t bytes,
                              cudaStream_t stream) {
    if (!handle || !alpha || !beta || !A || !B || !C || C != D || !algorithm ||
        !fits(*operation, *a, *b, *c, *d))
        return CUBLAS_STATUS_INVALID_VALUE;
    const bool biased = operation->epilogue != CUBLASLT_EPILOGUE_DEFAULT;
    const size_t needed = algorithm->data[6];
    const uint32_t alignment = (uint32_t)algorithm->data[7];
    const cublasLtMatmulAlgo_t own = algorithm_of(*operation, *a, *b, *d, needed, alignment);
    if (memcmp(&own, algorithm, sizeof own) || bytes < needed ||
        (needed && (!workspace || (uintptr_t)workspace % 16)) || biased != (operation->bias != NULL) ||
        ((uintptr_t)A | (uintptr_t)B | (uintptr_t)D | (uintptr_t)operation->bias) % alignment)
        return CUBLAS_STATUS_INVALID_VALUE;
    const nsamp_shim_operation o = *operation;
    const nsamp_shim_layout la = *a, lb = *b, ld = *d;
    const float by = *(const float *)alpha, keep = *(const float *)beta;
    nsamp_shim_enqueue(stream, [=]() {
        memset(workspace, 0xff, needed);
        multiply(o, by, A, la, B, lb, keep, D, ld);
    });
    return CUBLAS_STATUS_SUCCESS;
}
