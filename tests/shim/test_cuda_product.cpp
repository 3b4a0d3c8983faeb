/* test_cuda_product.cpp: products on the GPU (cuda_product.h) against sums by the row-major definition, over the shim's
 * cuBLASLt; its refusals; products in a captured graph. Matrices of small whole numbers, so every expected value is
 * exact in float32, tf32 and, before its one rounding, bf16. */
#include "kernels/cuda_product.h"
#include "shim.h"

#include <vector>

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
}

static uint32_t seed = 12345;

static float small_integer(void) {
    seed = seed * 1664525u + 1013904223u;
    return (float)((int)(seed >> 24) % 17 - 8);
}

/* A matrix on the device and what it holds. */
typedef struct matrix {
    size_t count;
    bool bf16;
    std::vector<float> value;
    void *device;
} matrix;

static matrix make(size_t count, bool bf16) {
    matrix x = {count, bf16, std::vector<float>(count), NULL};
    assert_int_equal(cudaMalloc(&x.device, count * (bf16 ? 2 : 4)), cudaSuccess);
    for (size_t i = 0; i < count; i++) {
        x.value[i] = small_integer();
        if (bf16)
            ((nsamp_bf16 *)x.device)[i] = nsamp_bf16_of(x.value[i]);
        else
            ((float *)x.device)[i] = x.value[i];
    }
    return x;
}

static float at(const matrix *x, size_t i) {
    return x->bf16 ? nsamp_bf16_value(((const nsamp_bf16 *)x->device)[i]) : ((const float *)x->device)[i];
}

static nsamp_cuda_blas *blas_or_fail(void) {
    nsamp_cuda_blas *blas = NULL;
    nsamp_error err = {};
    if (nsamp_cuda_blas_create(&blas, &err)) fail_msg("%s", err.text);
    return blas;
}

/* What c [i][j] must be, before it is rounded to its type. */
static float expected(const nsamp_cuda_product_shape *s, const matrix *a, const matrix *b, const matrix *c,
                      const matrix *bias, size_t i, size_t j) {
    const size_t row_a = s->row_a         ? s->row_a
                         : s->transpose_a ? s->m
                                          : s->k,
                 row_b = s->row_b         ? s->row_b
                         : s->transpose_b ? s->k
                                          : s->n,
                 row_c = s->row_c ? s->row_c : s->n;
    double sum = 0;
    for (size_t p = 0; p < s->k; p++)
        sum += (double)a->value[s->transpose_a ? p * row_a + i : i * row_a + p] *
               (double)b->value[s->transpose_b ? j * row_b + p : p * row_b + j];
    sum *= s->alpha;
    if (s->beta != 0) sum += s->beta * c->value[i * row_c + j];
    if (s->epilogue != NSAMP_CUDA_IDENTITY) sum += bias->value[j];
    return s->epilogue == NSAMP_CUDA_BIAS_RELU && sum < 0 ? 0 : (float)sum;
}

static void check_product(nsamp_cuda_product_shape s) {
    const bool bf16 = s.arithmetic == NSAMP_CUDA_BF16;
    const size_t row_c = s.row_c ? s.row_c : s.n;
    matrix a = make((s.transpose_a ? s.k : s.m) * (s.row_a ? s.row_a : s.transpose_a ? s.m : s.k), bf16);
    matrix b = make((s.transpose_b ? s.n : s.k) * (s.row_b ? s.row_b : s.transpose_b ? s.k : s.n), bf16);
    matrix c = make(s.m * row_c, s.c_bf16), bias = make(s.n, s.c_bf16);
    nsamp_cuda_blas *blas = blas_or_fail();
    nsamp_cuda_product *product = NULL;
    nsamp_error err = {};
    cudaStream_t stream;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
    if (s.beta == 0) memset(c.device, 0xff, c.count * (s.c_bf16 ? 2 : 4)); /* must not be read */
    if (nsamp_cuda_product_create(blas, &s, &product, &err)) fail_msg("%s", err.text);
    if (nsamp_cuda_product_run(product, stream, a.device, b.device, c.device,
                               s.epilogue == NSAMP_CUDA_IDENTITY ? NULL : bias.device, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < s.m; i++)
        for (size_t j = 0; j < row_c; j++) {
            const float want = j < s.n ? expected(&s, &a, &b, &c, &bias, i, j) : c.value[i * row_c + j];
            const float rounded = s.c_bf16 ? nsamp_bf16_value(nsamp_bf16_of(want)) : want;
            const float got = at(&c, i * row_c + j);
            if (j < s.n ? got != rounded : s.beta != 0 && got != want)
                fail_msg("c[%zu][%zu] is %g, not %g", i, j, (double)got, (double)rounded);
        }
    nsamp_cuda_product_destroy(product);
    nsamp_cuda_blas_destroy(blas);
    assert_int_equal(cudaStreamDestroy(stream), cudaSuccess);
    for (matrix *x : {&a, &b, &c, &bias})
        cudaFree(x->device);
    assert_int_equal(nsamp_shim_cublas_objects(), 0);
    assert_int_equal(nsamp_shim_allocated(), 0);
}

static nsamp_cuda_product_shape shape(size_t m, size_t n, size_t k) {
    nsamp_cuda_product_shape s = {};
    s.m = m;
    s.n = n;
    s.k = k;
    s.alpha = 1;
    return s;
}

/* ---- the library is opened when it is needed, and looked at ------------------------------------------- */

static void test_missing(void **) {
    nsamp_cuda_blas *blas;
    nsamp_error err = {};
    nsamp_shim_set_cublas(0);
    assert_non_null(strstr(nsamp_cuda_blas_missing(), "not found"));
    assert_int_equal(nsamp_cuda_blas_create(&blas, &err), NSAMP_EIO);
    assert_null(blas);
    assert_non_null(strstr(err.text, "libcublasLt.so.13"));
    nsamp_shim_set_cublas(111104);
    assert_non_null(strstr(nsamp_cuda_blas_missing(), "the one found has 111104"));
    nsamp_shim_set_cublas(120401);
    assert_null(nsamp_cuda_blas_missing());
    blas = blas_or_fail();
    assert_string_equal(nsamp_cuda_blas_name(blas), "cuBLASLt 12.4.1");
    nsamp_cuda_blas_destroy(blas);
    nsamp_cuda_blas_destroy(NULL);
}

/* ---- values -------------------------------------------------------------------------------------------- */

static void test_every_kind(void **) {
    for (int kind = 0; kind < 4 * 4 * 3; kind++) {
        nsamp_cuda_product_shape s = shape(13, 24, 90);
        s.transpose_a = kind & 1;
        s.transpose_b = kind & 2;
        s.arithmetic = kind / 4 % 4 < 2 ? (nsamp_cuda_arithmetic)(kind / 4 % 4) : NSAMP_CUDA_BF16;
        s.c_bf16 = kind / 4 % 4 == 3;
        s.epilogue = (nsamp_cuda_epilogue)(kind / 16);
        check_product(s);
    }
}

static void test_rows_with_gaps(void **) {
    for (int kind = 0; kind < 4; kind++) {
        nsamp_cuda_product_shape s = shape(5, 7, 11);
        s.transpose_a = kind & 1;
        s.transpose_b = kind & 2;
        s.row_a = 16;
        s.row_b = 12;
        s.row_c = 8;
        s.beta = 0.5f;
        check_product(s);
    }
}

static void test_scales(void **) {
    nsamp_cuda_product_shape s = shape(8, 16, 70);
    s.alpha = -0.5f;
    s.beta = 2;
    s.transpose_a = true; /* a gradient: A^T B added to what is there */
    check_product(s);
    s.arithmetic = NSAMP_CUDA_BF16;
    check_product(s);
    s.epilogue = NSAMP_CUDA_BIAS;
    check_product(s);
    check_product(shape(1, 1, 1));
}

/* tf32 keeps 10 bits of the significand, fp32 all of them. */
static void test_tf32_rounds(void **) {
    nsamp_error err = {};
    nsamp_cuda_blas *blas = blas_or_fail();
    for (int tf32 = 0; tf32 < 2; tf32++) {
        matrix a = make(1, false), b = make(1, false), c = make(1, false);
        nsamp_cuda_product_shape s = shape(1, 1, 1);
        nsamp_cuda_product *product;
        s.arithmetic = tf32 ? NSAMP_CUDA_TF32 : NSAMP_CUDA_FP32;
        *(float *)a.device = 1 + 0x1p-10f + 0x1p-12f;
        *(float *)b.device = 3;
        assert_int_equal(nsamp_cuda_product_create(blas, &s, &product, &err), NSAMP_OK);
        assert_int_equal(nsamp_cuda_product_run(product, NULL, a.device, b.device, c.device, NULL, &err),
                         NSAMP_OK);
        assert_true(at(&c, 0) == 3 * (tf32 ? 1 + 0x1p-10f : 1 + 0x1p-10f + 0x1p-12f));
        nsamp_cuda_product_destroy(product);
        for (matrix *x : {&a, &b, &c})
            cudaFree(x->device);
    }
    nsamp_cuda_blas_destroy(blas);
}

static void test_bf16_rounding(void **) {
    static const struct {
        float from, to;
    } cases[] = {{1, 1},
                 {1 + 0x1p-8f, 1},                /* a tie goes to even */
                 {1 + 0x3p-8f, 1 + 0x1p-6f},      /* here upwards */
                 {1 + 0x1.01p-8f, 1 + 0x1p-7f},   /* just above a tie */
                 {-0x1.ffp+127f, -0x1p+127f * 2}, /* rounds to infinity */
                 {0x1p-133f, 0x1p-133f},          /* the smallest */
                 {-0x1.8p-134f, -0x1p-133f}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(nsamp_bf16_value(nsamp_bf16_of(cases[i].from)) == cases[i].to);
    const float nan = nsamp_bf16_value(nsamp_bf16_of(nsamp_float_of(0x7f800001u)));
    assert_true(nan != nan);
}

/* ---- refusals ------------------------------------------------------------------------------------------ */

static void refuse_shape(nsamp_cuda_blas *blas, nsamp_cuda_product_shape s) {
    nsamp_cuda_product *product;
    nsamp_error err = {};
    assert_int_equal(nsamp_cuda_product_create(blas, &s, &product, &err), NSAMP_EINTERNAL);
    assert_null(product);
    assert_non_null(strstr(err.text, "not a product"));
}

static void test_bad_shapes(void **) {
    nsamp_cuda_blas *blas = blas_or_fail();
    nsamp_cuda_product_shape s = shape(0, 3, 4);
    refuse_shape(blas, s);
    s = shape(2, 3, 4);
    s.row_a = 3;
    refuse_shape(blas, s);
    s = shape(2, 3, 4);
    s.row_c = 2;
    refuse_shape(blas, s);
    s = shape(2, 3, 4);
    s.transpose_b = true;
    s.row_b = 3;
    refuse_shape(blas, s);
    s = shape(2, 3, 4);
    s.c_bf16 = true;
    refuse_shape(blas, s);
    nsamp_cuda_blas_destroy(blas);
    assert_int_equal(nsamp_shim_cublas_objects(), 0);
}

static void test_bad_pointers(void **) {
    nsamp_cuda_blas *blas = blas_or_fail();
    nsamp_cuda_product *product;
    nsamp_error err = {};
    nsamp_cuda_product_shape s = shape(4, 4, 4);
    s.epilogue = NSAMP_CUDA_BIAS;
    matrix x = make(64, false);
    float *const p = (float *)x.device;
    assert_int_equal(nsamp_cuda_product_create(blas, &s, &product, &err), NSAMP_OK);
    assert_int_equal(nsamp_cuda_product_run(product, NULL, p, p + 16, p + 32, NULL, &err), NSAMP_EINTERNAL);
    assert_int_equal(nsamp_cuda_product_run(product, NULL, p, p + 17, p + 32, p, &err), NSAMP_EINTERNAL);
    assert_int_equal(nsamp_cuda_product_run(product, NULL, p, NULL, p + 32, p, &err), NSAMP_EINTERNAL);
    assert_int_equal(nsamp_cuda_product_run(product, NULL, p, p + 16, p + 32, p + 48, &err), NSAMP_OK);
    nsamp_cuda_product_destroy(product);
    nsamp_cuda_product_destroy(NULL);
    nsamp_cuda_blas_destroy(blas);
    cudaFree(x.device);
}

static void test_no_memory_for_the_workspace(void **) {
    nsamp_cuda_blas *blas;
    nsamp_error err = {};
    nsamp_shim_set_memory(1 << 20);
    assert_int_equal(nsamp_cuda_blas_create(&blas, &err), NSAMP_ENOMEM);
    assert_non_null(strstr(err.text, "32 MiB"));
    nsamp_shim_set_memory((size_t)4 << 30);
    assert_int_equal(nsamp_shim_cublas_objects(), 0);
}

/* ---- graphs -------------------------------------------------------------------------------------------- */

/* c = a a captured once; each replay works on what a holds then, and capturing computes nothing. */
static void test_captured(void **) {
    nsamp_cuda_blas *blas = blas_or_fail();
    nsamp_cuda_product *product;
    nsamp_error err = {};
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    nsamp_cuda_product_shape s = shape(4, 4, 4);
    matrix a = make(16, false), c = make(16, false);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    assert_int_equal(nsamp_cuda_product_create(blas, &s, &product, &err), NSAMP_OK);
    const uint64_t before = nsamp_shim_products();
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed), cudaSuccess);
    assert_int_equal(nsamp_cuda_product_run(product, stream, a.device, a.device, c.device, NULL, &err),
                     NSAMP_OK);
    assert_int_equal(cudaStreamSynchronize(stream), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(stream, &graph), cudaSuccess);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    assert_int_equal(cudaGraphDestroy(graph), cudaSuccess);
    assert_true(nsamp_shim_products() == before && at(&c, 3) == c.value[3]);
    for (int replay = 1; replay <= 2; replay++) {
        for (size_t i = 0; i < 16; i++)
            ((float *)a.device)[i] = (float)replay;
        assert_int_equal(cudaGraphLaunch(exec, stream), cudaSuccess);
        for (size_t i = 0; i < 16; i++)
            assert_true(at(&c, i) == 4.0f * (float)(replay * replay));
    }
    assert_int_equal(cudaGraphExecDestroy(exec), cudaSuccess);
    cudaStreamDestroy(stream);
    nsamp_cuda_product_destroy(product);
    nsamp_cuda_blas_destroy(blas);
    cudaFree(a.device);
    cudaFree(c.device);
    assert_int_equal(nsamp_shim_graphs(), 0);
    assert_int_equal(nsamp_shim_streams(), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing), /* first: what is found stays open */
        cmocka_unit_test(test_every_kind),    cmocka_unit_test(test_rows_with_gaps),
        cmocka_unit_test(test_scales),        cmocka_unit_test(test_tf32_rounds),
        cmocka_unit_test(test_bf16_rounding), cmocka_unit_test(test_bad_shapes),
        cmocka_unit_test(test_bad_pointers),  cmocka_unit_test(test_no_memory_for_the_workspace),
        cmocka_unit_test(test_captured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
