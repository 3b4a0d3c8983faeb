/* cuda_bench.cu: the ceilings of a GPU, measured on it: bench/ceilings.h over the loops of cuda_ceilings.h, copies of the runtime, cuRAND and
 * cuBLASLt. A repetition ends when the stream is idle; the host's clock is read then (measure.h). */
#include "kernels/cuda_ceilings.h"
#include "kernels/cuda_curand.h"
#include "kernels/cuda_device.h"
#include "kernels/cuda_product.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "bench/ceilings.h"
#include "error.h"
}

/* Of a launch, some tenths of a millisecond on a GPU of 2022. */
enum { FMA_ROUNDS = 1024, NOISE_STEPS = 32, COPY_ROUNDS = 16 };
static const size_t MOST_COPIED = (size_t)512 << 20; /* bytes of source and destination */

typedef struct bench {
    nsamp_cuda_loop loop;
    nsamp_cuda_arena device;
    char *buffer; /* source, then destination of copies; normals of cuRAND */
    size_t half;  /* bytes of each */
    size_t cached;
    nsamp_cuda_noise_kind kind;
    nsamp_curand *curand;
} bench;

static nsamp_status idle(const bench *b, nsamp_error *err) {
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(b->loop.stream));
    return NSAMP_OK;
}

static nsamp_status fma_work(void *work, uint64_t times, nsamp_error *err) {
    const bench *b = (const bench *)work;
    for (uint64_t i = 0; i < times; i++)
        NSAMP_CUDA_TRY(err, nsamp_cuda_ceiling_fma(&b->loop, 0.999f, FMA_ROUNDS));
    return idle(b, err);
}

static nsamp_status noise_work(void *work, uint64_t times, nsamp_error *err) {
    const bench *b = (const bench *)work;
    for (uint64_t i = 0; i < times; i++)
        NSAMP_CUDA_TRY(err, nsamp_cuda_ceiling_noise(&b->loop, b->kind, i, NOISE_STEPS));
    return idle(b, err);
}

static nsamp_status memory_work(void *work, uint64_t times, nsamp_error *err) {
    const bench *b = (const bench *)work;
    for (uint64_t i = 0; i < times; i++)
        NSAMP_CUDA_TRY(err, cudaMemcpyAsync(b->buffer + b->half, b->buffer, b->half, cudaMemcpyDeviceToDevice,
                                            b->loop.stream));
    return idle(b, err);
}

static nsamp_status cache_work(void *work, uint64_t times, nsamp_error *err) {
    const bench *b = (const bench *)work;
    for (uint64_t i = 0; i < times; i++)
        NSAMP_CUDA_TRY(err,
                       nsamp_cuda_ceiling_copy(&b->loop, (float4 *)(b->buffer + b->cached),
                                               (float4 *)b->buffer, b->cached / sizeof(float4), COPY_ROUNDS));
    return idle(b, err);
}

static nsamp_status curand_work(void *work, uint64_t times, nsamp_error *err) {
    const bench *b = (const bench *)work;
    nsamp_status status = NSAMP_OK;
    for (uint64_t i = 0; i < times && !status; i++)
        status = nsamp_curand_normals(b->curand, b->half / sizeof(float), (float *)b->buffer, err);
    return status ? status : idle(b, err);
}

/* ---- the loops ----------------------------------------------------------------------------------------- */

/* Copies beyond the second-level cache: eight times its size, and no more than a quarter of what is free. */
static nsamp_status allocate(bench *b, const cudaDeviceProp *device, nsamp_error *err) {
    const size_t cache = device->l2CacheSize > 0 ? (size_t)device->l2CacheSize : (size_t)1 << 20;
    size_t available = 0, total = 0;
    NSAMP_CUDA_TRY(err, cudaMemGetInfo(&available, &total));
    size_t bytes = 8 * cache < MOST_COPIED ? 8 * cache : MOST_COPIED;
    if (bytes > available / 4) bytes = available / 4;
    b->half = bytes / 2 / 4096 * 4096;
    b->cached = cache / 8 / 4096 * 4096; /* both together a quarter of the cache */
    b->loop.blocks = (uint32_t)(device->multiProcessorCount * NSAMP_CUDA_CEILING_BLOCKS);
    if (b->half < b->cached || !b->cached)
        return nsamp_fail(err, NSAMP_ENOMEM, "%zu MiB free on the GPU are too few to measure it",
                          available >> 20);
    const size_t threads = (size_t)b->loop.blocks * NSAMP_CUDA_CEILING_THREADS;
    for (int pass = 0; pass < 2; pass++) {
        b->device.used = 0;
        nsamp_cuda_carve(&b->device, (void **)&b->buffer, 2 * b->half);
        nsamp_cuda_carve(&b->device, &b->loop.out, threads * sizeof(float));
        if (!pass) NSAMP_CUDA_TRY(err, cudaMalloc((void **)&b->device.base, b->device.used));
    }
    NSAMP_CUDA_TRY(err, cudaStreamCreateWithFlags(&b->loop.stream, cudaStreamNonBlocking));
    NSAMP_CUDA_TRY(err, cudaMemsetAsync(b->buffer, 1, 2 * b->half, b->loop.stream));
    return NSAMP_OK;
}

static void release(bench *b) {
    nsamp_curand_destroy(b->curand);
    if (b->loop.stream) {
        cudaStreamSynchronize(b->loop.stream);
        cudaStreamDestroy(b->loop.stream);
    }
    cudaFree(b->device.base);
}

/* Adds to the line of what is left out. */
static void leave_out(nsamp_ceilings *c, const char *why) {
    const size_t used = strlen(c->left_out);
    snprintf(c->left_out + used, sizeof c->left_out - used, "%s%s", used ? "; " : "", why);
}

static nsamp_status measure_loops(bench *b, const nsamp_stopwatch *watch, nsamp_ceilings *c,
                                  nsamp_error *err) {
    static const nsamp_ceiling noise[] = {NSAMP_CEILING_noise, NSAMP_CEILING_noise_fast, NSAMP_CEILING_words};
    const double threads = (double)b->loop.blocks * NSAMP_CUDA_CEILING_THREADS;
    nsamp_status status =
        nsamp_measure(watch, fma_work, b, 2.0 * threads * FMA_ROUNDS * NSAMP_CUDA_CEILING_FMAS,
                      &c->rate[NSAMP_CEILING_fma], err);
    for (int kind = NSAMP_CUDA_EXACT_NORMALS; kind <= NSAMP_CUDA_WORDS && !status; kind++) {
        b->kind = (nsamp_cuda_noise_kind)kind;
        status = nsamp_measure(watch, noise_work, b, threads * NOISE_STEPS * NSAMP_CUDA_CEILING_NORMALS,
                               &c->rate[noise[kind]], err);
    }
    return status;
}

static nsamp_status measure_memory(bench *b, const nsamp_stopwatch *watch, nsamp_ceilings *c,
                                   nsamp_error *err) {
    nsamp_status status =
        nsamp_measure(watch, memory_work, b, 2.0 * (double)b->half, &c->rate[NSAMP_CEILING_copy_memory], err);
    if (!status)
        status = nsamp_measure(watch, cache_work, b, 2.0 * COPY_ROUNDS * (double)b->cached,
                               &c->rate[NSAMP_CEILING_copy_l2], err);
    const char *const missing = nsamp_curand_missing();
    if (missing) leave_out(c, missing);
    if (status || missing) return status;
    status = nsamp_curand_create(b->loop.stream, &b->curand, err);
    return status ? status
                  : nsamp_measure(watch, curand_work, b, (double)(b->half / sizeof(float)),
                                  &c->rate[NSAMP_CEILING_curand], err);
}

/* ---- products ------------------------------------------------------------------------------------------ */

typedef struct layers {
    nsamp_cuda_blas *blas;
    nsamp_cuda_product *up, *down;
    nsamp_cuda_arena device;
    void *x, *w, *bias, *h, *y; /* x and y [rows][m], w [n][m] or [m][n], bias [n], h [rows][n] */
    cudaStream_t stream;
} layers;

static nsamp_status product_work(void *work, uint64_t times, nsamp_error *err) {
    const layers *l = (const layers *)work;
    nsamp_status status = NSAMP_OK;
    for (uint64_t i = 0; i < times && !status; i++) {
        status = nsamp_cuda_product_run(l->up, l->stream, l->x, l->w, l->h, l->bias, err);
        if (!status) status = nsamp_cuda_product_run(l->down, l->stream, l->h, l->w, l->y, NULL, err);
    }
    if (!status) NSAMP_CUDA_TRY(err, cudaStreamSynchronize(l->stream));
    return status;
}

/* count numbers between -scale and scale, without a pattern, to the device in float32 or bf16: what GPUs compute decides how fast their clocks
 * let them, and numbers that repeat are computed faster than those of a network. */
static nsamp_status send(const layers *l, void *to, size_t count, float scale, bool bf16, nsamp_error *err) {
    float *const numbers = (float *)malloc(count * sizeof *numbers);
    if (!numbers) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory to time products");
    nsamp_bf16 *const narrow = (nsamp_bf16 *)numbers;
    for (size_t i = 0; i < count; i++) {
        uint32_t mixed = (uint32_t)i * 0x9E3779B9u;
        mixed = (mixed ^ mixed >> 15) * 0x846CA68Bu;
        const float value = (float)(int32_t)(mixed ^ mixed >> 16) * 0x1p-31f * scale;
        if (bf16)
            narrow[i] = nsamp_bf16_of(value);
        else
            numbers[i] = value;
    }
    cudaError_t error =
        cudaMemcpyAsync(to, numbers, count * (bf16 ? 2 : 4), cudaMemcpyHostToDevice, l->stream);
    if (!error) error = cudaStreamSynchronize(l->stream);
    free(numbers);
    return error ? nsamp_cuda_failed(err, error, "sending the factors of a product") : NSAMP_OK;
}

static nsamp_status make_layers(layers *l, size_t m, size_t n, size_t rows, nsamp_precision precision,
                                nsamp_error *err) {
    const bool bf16 = precision == NSAMP_BF16;
    const size_t each = bf16 ? 2 : 4;
    nsamp_cuda_product_shape up = {}, down;
    up.m = rows, up.n = n, up.k = m;
    up.transpose_b = true;
    up.arithmetic = bf16 ? NSAMP_CUDA_BF16 : precision == NSAMP_TF32 ? NSAMP_CUDA_TF32 : NSAMP_CUDA_FP32;
    up.alpha = 1;
    down = up;
    up.c_bf16 = bf16;
    up.epilogue = NSAMP_CUDA_BIAS_RELU;
    down.n = m, down.k = n;
    nsamp_status status = nsamp_cuda_blas_create(&l->blas, err);
    if (!status) status = nsamp_cuda_product_create(l->blas, &up, &l->up, err);
    if (!status) status = nsamp_cuda_product_create(l->blas, &down, &l->down, err);
    if (status) return status;
    for (int pass = 0; pass < 2; pass++) {
        l->device.used = 0;
        nsamp_cuda_carve(&l->device, &l->x, rows * m * each);
        nsamp_cuda_carve(&l->device, &l->w, m * n * each);
        nsamp_cuda_carve(&l->device, &l->bias, n * each);
        nsamp_cuda_carve(&l->device, &l->h, rows * n * each);
        nsamp_cuda_carve(&l->device, &l->y, rows * m * sizeof(float));
        if (!pass) NSAMP_CUDA_TRY(err, cudaMalloc((void **)&l->device.base, l->device.used));
    }
    NSAMP_CUDA_TRY(err, cudaStreamCreateWithFlags(&l->stream, cudaStreamNonBlocking));
    NSAMP_CUDA_TRY(err, cudaMemsetAsync(l->bias, 0, n * each, l->stream));
    status = send(l, l->x, rows * m, 1.0f, bf16, err);
    return status ? status : send(l, l->w, m * n, 1e-1f, bf16, err);
}

extern "C" nsamp_status nsamp_ceiling_product_cuda(size_t m, size_t n, size_t rows, nsamp_precision precision,
                                                   const nsamp_stopwatch *watch, nsamp_rate *rate,
                                                   nsamp_error *err) {
    enum { GROUP = 8 }; /* rows of whole 16 bytes, as networks have them on the device */
    layers l = {};
    memset(rate, 0, sizeof *rate);
    if (nsamp_cuda_blas_missing()) return NSAMP_OK;
    nsamp_status status = make_layers(&l, (m + GROUP - 1) / GROUP * GROUP, (n + GROUP - 1) / GROUP * GROUP,
                                      rows, precision, err);
    if (!status)
        status =
            nsamp_measure(watch, product_work, &l, 4.0 * (double)m * (double)n * (double)rows, rate, err);
    nsamp_cuda_product_destroy(l.up);
    nsamp_cuda_product_destroy(l.down);
    nsamp_cuda_blas_destroy(l.blas);
    if (l.stream) cudaStreamDestroy(l.stream);
    cudaFree(l.device.base);
    return status;
}

extern "C" nsamp_status nsamp_ceilings_cuda(size_t m, size_t n, size_t rows, const nsamp_stopwatch *watch,
                                            nsamp_ceilings *c, double *cache, nsamp_error *err) {
    static const nsamp_ceiling products[] = {NSAMP_CEILING_product_fp32, NSAMP_CEILING_product_bf16,
                                             NSAMP_CEILING_product_tf32};
    bench b = {};
    cudaDeviceProp device;
    memset(c, 0, sizeof *c);
    snprintf(c->backend, sizeof c->backend, "cuda");
    NSAMP_CUDA_TRY(err, cudaGetDeviceProperties(&device, 0));
    *cache = device.l2CacheSize;
    nsamp_status status = allocate(&b, &device, err);
    if (!status) status = measure_loops(&b, watch, c, err);
    if (!status) status = measure_memory(&b, watch, c, err);
    release(&b);
    const char *const missing = nsamp_cuda_blas_missing();
    if (missing) leave_out(c, missing);
    for (int p = NSAMP_FP32; p <= NSAMP_TF32 && !status; p++)
        status =
            nsamp_ceiling_product_cuda(m, n, rows, (nsamp_precision)p, watch, &c->rate[products[p]], err);
    return status;
}
