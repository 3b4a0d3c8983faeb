/* cuda_train_step.cu: see cuda_train_step.h. */
#include "kernels/cuda_train_step.h"

extern "C" {
#include "error.h"
}

enum { GROUP = 8, UNITS_GROUP = 128, CACHES = 8 /* of the second level, as large as dh */ };

/* ---- sizes --------------------------------------------------------------------------------------------- */

static uint64_t padded(uint64_t count, uint64_t group) {
    return (count + group - 1) / group * group;
}

/* Units of a chunk, in chunks of one size but for the last: as many as let dh be a few hundred megabytes, where h is no smaller. Chunks that the
 * cache holds save less than they cost: their launches, and gradients of some thousand units that do not fill the multiprocessors (an H200,
 * bench/LOG.md). */
static void choose_chunks(nsamp_cuda_step *s, size_t cache) {
    const nsamp_cuda_train *t = &s->t;
    const uint64_t bytes = (uint64_t)t->rows * (t->bf16 ? sizeof(nsamp_bf16) : sizeof(float));
    uint64_t units = cache * CACHES / bytes / UNITS_GROUP * UNITS_GROUP;
    if (!units) units = UNITS_GROUP;
    const uint64_t chunks = (t->row_n + units - 1) / units;
    units = padded((t->row_n + chunks - 1) / chunks, UNITS_GROUP);
    s->units = (uint32_t)(units < t->row_n ? units : t->row_n);
    s->chunks = (uint32_t)((t->row_n + s->units - 1) / s->units);
}

static uint32_t units_of(const nsamp_cuda_step *s, uint32_t chunk) {
    const uint64_t first = (uint64_t)chunk * s->units, left = s->t.row_n - first;
    return (uint32_t)(left < s->units ? left : s->units);
}

/* Gives every array its place; with no base only counts. */
static void lay_out(nsamp_cuda_step *s, bool amsgrad) {
    nsamp_cuda_train *t = &s->t;
    const size_t batch = t->batch * t->row_m, rows = t->rows * t->row_m, weights = 2 * t->row_n * t->row_m;
    const size_t in = t->bf16 ? sizeof(nsamp_bf16) : sizeof(float);
    nsamp_cuda_arena *a = &s->device;
    a->used = 0;
    nsamp_cuda_carve(a, (void **)&t->head, sizeof *t->head);
    nsamp_cuda_carve(a, (void **)&t->adam, NSAMP_BLOCK_STEPS * sizeof *t->adam);
    nsamp_cuda_carve(a, (void **)&t->losses, NSAMP_BLOCK_STEPS * sizeof *t->losses);
    nsamp_cuda_carve(a, (void **)&t->widen, t->batch * sizeof(float));
    nsamp_cuda_carve(a, (void **)&t->eps, batch * sizeof(float));
    nsamp_cuda_carve(a, (void **)&t->x, rows * sizeof(float));
    nsamp_cuda_carve(a, (void **)&t->loss, t->batch * sizeof *t->loss);
    nsamp_cuda_carve(a, (void **)&t->f, rows * sizeof(float));
    nsamp_cuda_carve(a, &t->x_in, t->bf16 ? rows * in : 0);
    nsamp_cuda_carve(a, &t->h, t->rows * t->row_n * in);
    nsamp_cuda_carve(a, &t->dh, (size_t)t->rows * s->units * in);
    nsamp_cuda_carve(a, &t->e, rows * in);
    nsamp_cuda_carve(a, &s->zero, t->row_n * in);
    nsamp_cuda_carve(a, (void **)&t->w, weights * sizeof(float));
    nsamp_cuda_carve(a, (void **)&t->mean, weights * sizeof(float));
    nsamp_cuda_carve(a, (void **)&t->square, weights * sizeof(float));
    nsamp_cuda_carve(a, (void **)&t->largest, amsgrad ? weights * sizeof(float) : 0);
    nsamp_cuda_carve(a, (void **)&t->w_in, t->bf16 ? weights * in : 0);
    nsamp_cuda_carve(a, (void **)&t->g, 2 * (size_t)s->units * t->row_m * sizeof(float));
    if (a->base && !t->bf16) t->x_in = t->x;
}

static nsamp_status allocate(nsamp_cuda_step *s, const nsamp_learner_shape *shape, nsamp_error *err) {
    size_t available = 0, total = 0;
    lay_out(s, shape->amsgrad);
    NSAMP_CUDA_TRY(err, cudaMemGetInfo(&available, &total));
    if (s->device.used > available)
        return nsamp_fail(
            err, NSAMP_ENOMEM,
            "training m = %zu, n = %zu in batches of %zu needs %.3g GB on the GPU, and it has %.3g GB free; "
            "smaller train.batch or train.hidden fit",
            shape->m, shape->n, shape->batch, (double)s->device.used * 1e-9, (double)available * 1e-9);
    NSAMP_CUDA_TRY(err, cudaStreamCreateWithFlags(&s->t.stream, cudaStreamNonBlocking));
    NSAMP_CUDA_TRY(err, cudaMalloc((void **)&s->device.base, s->device.used));
    lay_out(s, shape->amsgrad);
    NSAMP_CUDA_TRY(err, cudaMemsetAsync(s->device.base, 0, s->device.used, s->t.stream));
    return NSAMP_OK;
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* c [m][n] = op(a) op(b). */
typedef struct sides {
    size_t m, n, k, row_a;
    bool transpose_a, transpose_b, c_narrow; /* c in the type of a and b */
    nsamp_cuda_epilogue epilogue;
} sides;

static nsamp_status make_product(nsamp_cuda_step *s, nsamp_precision precision, sides d,
                                 nsamp_cuda_product **product, nsamp_error *err) {
    nsamp_cuda_product_shape shape = {};
    shape.m = d.m;
    shape.n = d.n;
    shape.k = d.k;
    shape.row_a = d.row_a;
    shape.transpose_a = d.transpose_a;
    shape.transpose_b = d.transpose_b;
    shape.arithmetic = precision == NSAMP_BF16   ? NSAMP_CUDA_BF16
                       : precision == NSAMP_TF32 ? NSAMP_CUDA_TF32
                                                 : NSAMP_CUDA_FP32;
    shape.c_bf16 = d.c_narrow && precision == NSAMP_BF16;
    shape.epilogue = d.epilogue;
    shape.alpha = 1;
    return nsamp_cuda_product_create(s->blas, &shape, product, err);
}

static nsamp_status make_products(nsamp_cuda_step *s, const nsamp_learner_shape *shape, nsamp_error *err) {
    const nsamp_cuda_train *t = &s->t;
    const nsamp_precision p = shape->precision;
    const size_t R = t->rows, m = t->row_m, n = t->row_n;
    const nsamp_cuda_epilogue relu =
        shape->activation == NSAMP_RELU ? NSAMP_CUDA_BIAS_RELU : NSAMP_CUDA_IDENTITY;
    nsamp_status status = make_product(s, p, {R, n, m, 0, false, true, true, relu}, &s->up, err);
    if (!status)
        status = make_product(s, p, {R, m, n, 0, false, false, false, NSAMP_CUDA_IDENTITY}, &s->down, err);
    for (uint32_t last = 0; last < 2 && !status; last++) {
        const size_t units = units_of(s, last ? s->chunks - 1 : 0);
        status =
            make_product(s, p, {R, units, m, 0, false, true, true, NSAMP_CUDA_IDENTITY}, &s->back[last], err);
        if (!status)
            status = make_product(s, p, {units, m, R, n, true, false, false, NSAMP_CUDA_IDENTITY},
                                  &s->gradient_w1[last], err);
        if (!status)
            status = make_product(s, p, {units, m, R, 0, true, false, false, NSAMP_CUDA_IDENTITY},
                                  &s->gradient_w2[last], err);
    }
    return status;
}

/* Number i of an array of the products' type. */
static void *at(const nsamp_cuda_step *s, void *array, uint64_t i) {
    return (char *)array + i * (s->t.bf16 ? sizeof(nsamp_bf16) : sizeof(float));
}

/* ---- the step ------------------------------------------------------------------------------------------ */

nsamp_status nsamp_cuda_step_forward(nsamp_cuda_step *s, nsamp_error *err) {
    const nsamp_cuda_train *t = &s->t;
    void *const w = t->bf16 ? (void *)t->w_in : t->w;
    const bool fused = t->activation == NSAMP_TRAIN_RELU;
    NSAMP_CUDA_TRY(err, nsamp_cuda_train_rows(t));
    nsamp_status status =
        nsamp_cuda_product_run(s->up, t->stream, t->x_in, w, t->h, fused ? s->zero : NULL, err);
    if (status) return status;
    if (!fused) NSAMP_CUDA_TRY(err, nsamp_cuda_train_activate(t));
    return nsamp_cuda_product_run(s->down, t->stream, t->h, at(s, w, t->row_n * t->row_m), t->f, NULL, err);
}

static nsamp_status chunk_back(nsamp_cuda_step *s, uint32_t chunk, nsamp_error *err) {
    const nsamp_cuda_train *t = &s->t;
    const uint64_t first = (uint64_t)chunk * s->units;
    const uint32_t units = units_of(s, chunk), last = chunk + 1 == s->chunks;
    void *const w = t->bf16 ? (void *)t->w_in : t->w, *const w1 = at(s, w, (t->row_n + first) * t->row_m);
    float *const g1 = t->g + (size_t)units * t->row_m;
    nsamp_status status = nsamp_cuda_product_run(s->back[last], t->stream, t->e, w1, t->dh, NULL, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_train_slope(t, first, units));
    status = nsamp_cuda_product_run(s->gradient_w1[last], t->stream, at(s, t->h, first), t->e, g1, NULL, err);
    if (!status)
        status = nsamp_cuda_product_run(s->gradient_w2[last], t->stream, t->dh, t->x_in, t->g, NULL, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_train_adam(t, first, units));
    return NSAMP_OK;
}

static nsamp_status enqueue_step(nsamp_cuda_step *s, nsamp_error *err) {
    nsamp_status status = nsamp_cuda_step_forward(s, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_train_residual(&s->t));
    for (uint32_t chunk = 0; chunk < s->chunks && !status; chunk++)
        status = chunk_back(s, chunk, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_train_finish(&s->t));
    return NSAMP_OK;
}

static nsamp_status capture(nsamp_cuda_step *s, nsamp_error *err) {
    cudaGraph_t graph = NULL;
    NSAMP_CUDA_TRY(err, cudaStreamBeginCapture(s->t.stream, cudaStreamCaptureModeThreadLocal));
    const nsamp_status status = enqueue_step(s, err);
    cudaError_t error = cudaStreamEndCapture(s->t.stream, &graph);
    if (!status && error == cudaSuccess) error = cudaGraphInstantiate(&s->graph, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (status) return status;
    NSAMP_CUDA_TRY(err, error);
    return NSAMP_OK;
}

nsamp_status nsamp_cuda_step_run(nsamp_cuda_step *s, size_t steps, nsamp_error *err) {
    if (!s->graph) {
        const nsamp_status status = capture(s, err);
        if (status) return status;
    }
    for (size_t i = 0; i < steps; i++)
        NSAMP_CUDA_TRY(err, cudaGraphLaunch(s->graph, s->t.stream));
    return NSAMP_OK;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

/* Every product once, on zeros, so that the library has loaded its kernels before a graph is captured. */
static nsamp_status warm_up(nsamp_cuda_step *s, nsamp_error *err) {
    const nsamp_cuda_train *t = &s->t;
    void *const w = t->bf16 ? (void *)t->w_in : t->w;
    nsamp_status status = nsamp_cuda_product_run(s->up, t->stream, t->x_in, w, t->h,
                                                 t->activation == NSAMP_TRAIN_RELU ? s->zero : NULL, err);
    if (!status) status = nsamp_cuda_product_run(s->down, t->stream, t->h, w, t->f, NULL, err);
    for (int last = 0; last < 2 && !status; last++) {
        status = nsamp_cuda_product_run(s->back[last], t->stream, t->e, w, t->dh, NULL, err);
        if (!status)
            status = nsamp_cuda_product_run(s->gradient_w1[last], t->stream, t->h, t->e, t->g, NULL, err);
        if (!status)
            status = nsamp_cuda_product_run(s->gradient_w2[last], t->stream, t->dh, t->x_in, t->g, NULL, err);
    }
    if (!status) NSAMP_CUDA_TRY(err, cudaStreamSynchronize(t->stream));
    return status;
}

nsamp_status nsamp_cuda_step_create(nsamp_cuda_step *s, const nsamp_learner_shape *shape, nsamp_error *err) {
    nsamp_cuda_train *t = &s->t;
    cudaDeviceProp device;
    NSAMP_CUDA_TRY(err, cudaGetDeviceProperties(&device, 0));
    t->activation = (int)shape->activation;
    t->control_variate = shape->control_variate;
    t->bf16 = shape->precision == NSAMP_BF16;
    t->m = (uint32_t)shape->m;
    t->n = shape->n;
    t->batch = (uint32_t)shape->batch;
    t->rows = (shape->control_variate ? 2u : 1u) * t->batch;
    t->row_m = (uint32_t)padded(shape->m + 1, GROUP);
    t->row_n = padded(shape->n, GROUP);
    choose_chunks(s, (size_t)device.l2CacheSize);
    nsamp_status status = nsamp_cuda_blas_create(&s->blas, err);
    if (!status) status = allocate(s, shape, err);
    if (!status) status = make_products(s, shape, err);
    if (!status) status = warm_up(s, err);
    return status;
}

void nsamp_cuda_step_destroy(nsamp_cuda_step *s) {
    if (s->graph) cudaGraphExecDestroy(s->graph);
    nsamp_cuda_product_destroy(s->up);
    nsamp_cuda_product_destroy(s->down);
    for (int last = 0; last < 2; last++) {
        nsamp_cuda_product_destroy(s->back[last]);
        nsamp_cuda_product_destroy(s->gradient_w1[last]);
        nsamp_cuda_product_destroy(s->gradient_w2[last]);
    }
    nsamp_cuda_blas_destroy(s->blas);
    cudaFree(s->device.base);
    if (s->t.stream) cudaStreamDestroy(s->t.stream);
}
