/* cuda_product.cu: cuda_product.h over cuBLASLt: finding the library, and products as it wants them described.
 *
 * cuBLASLt counts by columns. A row-major c = a b is, read by columns, c^T = b^T a^T: so its first matrix is our b, its
 * second our a, and its bias, one number a row, is our bias, one number a column. */
#include "kernels/cuda_product.h"

#include <cublasLt.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "error.h"
}

/* ---- the library --------------------------------------------------------------------------------------- */

#define FUNCTIONS(X)                                                                                         \
    X(GetVersion)                                                                                            \
    X(GetStatusName)                                                                                         \
    X(Create)                                                                                                \
    X(Destroy)                                                                                               \
    X(Matmul)                                                                                                \
    X(MatmulAlgoGetHeuristic)                                                                                \
    X(MatmulDescCreate)                                                                                      \
    X(MatmulDescDestroy)                                                                                     \
    X(MatmulDescSetAttribute)                                                                                \
    X(MatrixLayoutCreate)                                                                                    \
    X(MatrixLayoutDestroy)                                                                                   \
    X(MatmulPreferenceCreate)                                                                                \
    X(MatmulPreferenceDestroy)                                                                               \
    X(MatmulPreferenceSetAttribute)

#define MEMBER(name) decltype(&cublasLt##name) name;
typedef struct library {
    void *handle; /* of the dynamic linker; kept until the program ends */
    size_t version;
    FUNCTIONS(MEMBER)
} library;

static library lib;

/* The library that belongs to the runtime that this was built with first. */
static void *open_library(void) {
    static const char *const names[] = {
        CUDART_VERSION / 1000 == 12 ? "libcublasLt.so.12" : "libcublasLt.so.13",
        CUDART_VERSION / 1000 == 12 ? "libcublasLt.so.13" : "libcublasLt.so.12",
        "libcublasLt.so",
        "/usr/local/cuda/lib64/libcublasLt.so",
    };
    void *handle = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !handle; i++)
        handle = NSAMP_LIBRARY_OPEN(names[i]);
    return handle;
}

const char *nsamp_cuda_blas_missing(void) {
    static char text[160];
    if (lib.handle) return NULL;
    void *const handle = open_library();
    if (!handle)
        return "matrix products on the GPU need cuBLASLt 12 or 13, and libcublasLt.so.13 and .12 are not "
               "found";
    bool all = true;
#define FIND(name)                                                                                           \
    all = (lib.name = (decltype(lib.name))NSAMP_LIBRARY_SYMBOL(handle, "cublasLt" #name)) != NULL && all;
    FUNCTIONS(FIND)
    lib.version = lib.GetVersion ? lib.GetVersion() : 0;
    if (all && lib.version >= 120000) {
        lib.handle = handle;
        return NULL;
    }
    NSAMP_LIBRARY_CLOSE(handle);
    snprintf(text, sizeof text,
             "matrix products on the GPU need cuBLASLt 12 or 13 (version 120000 on); the one found has %zu",
             lib.version);
    return text;
}

struct nsamp_cuda_blas {
    cublasLtHandle_t handle;
    void *workspace;
    char name[64];
};

static nsamp_status failed(nsamp_error *err, cublasStatus_t status, const char *what) {
    return nsamp_fail(err, status == CUBLAS_STATUS_ALLOC_FAILED ? NSAMP_ENOMEM : NSAMP_EIO,
                      "cuBLASLt: %s: %s", what, lib.GetStatusName(status));
}

nsamp_status nsamp_cuda_blas_create(nsamp_cuda_blas **blas, nsamp_error *err) {
    *blas = NULL;
    const char *const missing = nsamp_cuda_blas_missing();
    if (missing) return nsamp_fail(err, NSAMP_EIO, "%s", missing);
    nsamp_cuda_blas *b = (nsamp_cuda_blas *)calloc(1, sizeof *b);
    if (!b) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    const cublasStatus_t status = lib.Create(&b->handle);
    if (status != CUBLAS_STATUS_SUCCESS) {
        free(b);
        return failed(err, status, "cublasLtCreate");
    }
    if (cudaMalloc(&b->workspace, NSAMP_CUDA_WORKSPACE) != cudaSuccess) {
        b->workspace = NULL;
        nsamp_cuda_blas_destroy(b);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %d MiB of workspace on the GPU",
                          NSAMP_CUDA_WORKSPACE >> 20);
    }
    snprintf(b->name, sizeof b->name, "cuBLASLt %zu.%zu.%zu", lib.version / 10000, lib.version / 100 % 100,
             lib.version % 100);
    *blas = b;
    return NSAMP_OK;
}

void nsamp_cuda_blas_destroy(nsamp_cuda_blas *b) {
    if (!b) return;
    cudaFree(b->workspace);
    lib.Destroy(b->handle);
    free(b);
}

const char *nsamp_cuda_blas_name(const nsamp_cuda_blas *blas) {
    return blas->name;
}

/* ---- a product ----------------------------------------------------------------------------------------- */

struct nsamp_cuda_product {
    nsamp_cuda_blas *blas;
    nsamp_cuda_product_shape shape;
    cublasLtMatmulDesc_t operation;
    cublasLtMatrixLayout_t first, second, result; /* b^T, a^T, c^T by columns */
    cublasLtMatmulAlgo_t algorithm;
};

/* The matrix of a row-major rows x cols array. */
static cublasStatus_t make_layout(cublasLtMatrixLayout_t *layout, bool bf16, size_t rows, size_t cols,
                                  size_t row) {
    return lib.MatrixLayoutCreate(layout, bf16 ? CUDA_R_16BF : CUDA_R_32F, cols, rows,
                                  (int64_t)(row ? row : cols));
}

static cublasStatus_t set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                          const void *value, size_t bytes) {
    return lib.MatmulDescSetAttribute(operation, attribute, value, bytes);
}

static cublasStatus_t describe(nsamp_cuda_product *p) {
    const nsamp_cuda_product_shape *const s = &p->shape;
    const bool bf16 = s->arithmetic == NSAMP_CUDA_BF16;
    const cublasOperation_t op_first = s->transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N,
                            op_second = s->transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N;
    const cublasLtEpilogue_t epilogue = s->epilogue == NSAMP_CUDA_BIAS        ? CUBLASLT_EPILOGUE_BIAS
                                        : s->epilogue == NSAMP_CUDA_BIAS_RELU ? CUBLASLT_EPILOGUE_RELU_BIAS
                                                                              : CUBLASLT_EPILOGUE_DEFAULT;
    const void *const anywhere = (const void *)(uintptr_t)NSAMP_CUDA_ALIGNMENT; /* tells the alignment */
    cublasStatus_t t = lib.MatmulDescCreate(
        &p->operation, s->arithmetic == NSAMP_CUDA_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
        CUDA_R_32F);
    if (!t) t = set(p->operation, CUBLASLT_MATMUL_DESC_TRANSA, &op_first, sizeof op_first);
    if (!t) t = set(p->operation, CUBLASLT_MATMUL_DESC_TRANSB, &op_second, sizeof op_second);
    if (!t) t = set(p->operation, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
    if (!t && s->epilogue != NSAMP_CUDA_IDENTITY)
        t = set(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &anywhere, sizeof anywhere);
    if (!t)
        t = make_layout(&p->first, bf16, s->transpose_b ? s->n : s->k, s->transpose_b ? s->k : s->n,
                        s->row_b);
    if (!t)
        t = make_layout(&p->second, bf16, s->transpose_a ? s->k : s->m, s->transpose_a ? s->m : s->k,
                        s->row_a);
    if (!t) t = make_layout(&p->result, s->c_bf16, s->m, s->n, s->row_c);
    return t;
}

/* Sums in parts: only those of float32 in the workspace. In place, their order is not fixed; in the type of the result,
 * they lose bits. */
static cublasStatus_t choose(nsamp_cuda_product *p) {
    static const cublasLtMatmulPreferenceAttributes_t aligned[] = {
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES};
    const size_t workspace = NSAMP_CUDA_WORKSPACE;
    const uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, alignment = NSAMP_CUDA_ALIGNMENT;
    cublasLtMatmulPreference_t wish;
    cublasLtMatmulHeuristicResult_t found = {};
    int count = 0;
    cublasStatus_t t = lib.MatmulPreferenceCreate(&wish);
    if (t) return t;
    t = lib.MatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                                         sizeof workspace);
    if (!t)
        t = lib.MatmulPreferenceSetAttribute(wish, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &schemes,
                                             sizeof schemes);
    for (size_t i = 0; i < sizeof aligned / sizeof aligned[0] && !t; i++)
        t = lib.MatmulPreferenceSetAttribute(wish, aligned[i], &alignment, sizeof alignment);
    if (!t)
        t = lib.MatmulAlgoGetHeuristic(p->blas->handle, p->operation, p->first, p->second, p->result,
                                       p->result, wish, 1, &found, &count);
    lib.MatmulPreferenceDestroy(wish);
    if (!t) t = count ? found.state : CUBLAS_STATUS_NOT_SUPPORTED;
    p->algorithm = found.algo;
    return t;
}

static bool is_shape(const nsamp_cuda_product_shape *s) {
    return s->m && s->n && s->k && (!s->row_a || s->row_a >= (s->transpose_a ? s->m : s->k)) &&
           (!s->row_b || s->row_b >= (s->transpose_b ? s->k : s->n)) && (!s->row_c || s->row_c >= s->n) &&
           (!s->c_bf16 || s->arithmetic == NSAMP_CUDA_BF16);
}

nsamp_status nsamp_cuda_product_create(nsamp_cuda_blas *blas, const nsamp_cuda_product_shape *shape,
                                       nsamp_cuda_product **product, nsamp_error *err) {
    static const char *const names[] = {"fp32", "tf32", "bf16"};
    *product = NULL;
    if (!is_shape(shape))
        return nsamp_fail(err, NSAMP_EINTERNAL,
                          "not a product: m %zu, n %zu, k %zu, rows of %zu, %zu, %zu numbers", shape->m,
                          shape->n, shape->k, shape->row_a, shape->row_b, shape->row_c);
    nsamp_cuda_product *p = (nsamp_cuda_product *)calloc(1, sizeof *p);
    if (!p) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    p->blas = blas;
    p->shape = *shape;
    cublasStatus_t status = describe(p);
    if (!status) status = choose(p);
    if (status) {
        char what[128];
        snprintf(what, sizeof what, "no %s product for m %zu, n %zu, k %zu", names[shape->arithmetic],
                 shape->m, shape->n, shape->k);
        nsamp_cuda_product_destroy(p);
        return failed(err, status, what);
    }
    *product = p;
    return NSAMP_OK;
}

nsamp_status nsamp_cuda_product_run(nsamp_cuda_product *p, cudaStream_t stream, const void *a, const void *b,
                                    void *c, const void *bias, nsamp_error *err) {
    const bool biased = p->shape.epilogue != NSAMP_CUDA_IDENTITY;
    const uintptr_t all = (uintptr_t)a | (uintptr_t)b | (uintptr_t)c | (uintptr_t)bias;
    if (!a || !b || !c || biased != (bias != NULL) || all % NSAMP_CUDA_ALIGNMENT)
        return nsamp_fail(err, NSAMP_EINTERNAL, "a product with a bad pointer: a %p, b %p, c %p, bias %p", a,
                          b, c, bias);
    cublasStatus_t t = CUBLAS_STATUS_SUCCESS;
    if (biased) t = set(p->operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
    if (!t)
        t = lib.Matmul(p->blas->handle, p->operation, &p->shape.alpha, b, p->first, a, p->second,
                       &p->shape.beta, c, p->result, c, p->result, &p->algorithm, p->blas->workspace,
                       NSAMP_CUDA_WORKSPACE, stream);
    return t ? failed(err, t, "cublasLtMatmul") : NSAMP_OK;
}

void nsamp_cuda_product_destroy(nsamp_cuda_product *p) {
    if (!p) return;
    if (p->operation) lib.MatmulDescDestroy(p->operation);
    if (p->first) lib.MatrixLayoutDestroy(p->first);
    if (p->second) lib.MatrixLayoutDestroy(p->second);
    if (p->result) lib.MatrixLayoutDestroy(p->result);
    free(p);
}
