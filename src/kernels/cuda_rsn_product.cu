/* cuda_rsn_product.cu: reservoir-sampler networks by matrix products: weights and blocks on the device, the products of a
 * step, and graphs of whole steps; see cuda_rsn.h.
 *
 * A step is three to five short pieces of work, and on its own each costs the host more than a small one costs the
 * GPU. So a step, and MANY of them, are captured once and launched as graphs; what differs between blocks and steps
 * they read from device memory. */
#include "kernels/cuda_device.h"
#include "kernels/cuda_product.h"
#include "kernels/cuda_rsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "error.h"
}

enum { L = NSAMP_CUDA_LANES, MANY = 16 };

static const uint64_t MOST_ROWS = 1 << 16, LEAST_ROWS = 512; /* chains of a block */

struct nsamp_cuda_rsn {
    nsamp_cuda_rsn_block block;
    nsamp_cuda_arena arena;
    void *w2, *w1; /* [n][row], [row][n], float32 or bf16 */
    void *bias;    /* [n], of the type of H */
    float *s;      /* [n][row], a S */
    nsamp_cuda_blas *blas;
    nsamp_cuda_product *hidden, *readout, *noise;
    cudaGraphExec_t one, many, look; /* a step, MANY steps, Y of X */
    nsamp_precision precision;
    bool jump;
    uint32_t state_len;
    char text[128];
};

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* ---- sizes --------------------------------------------------------------------------------------------- */

static nsamp_cuda_rsn describe(const nsamp_model *model, uint32_t rows) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)model->params;
    const nsamp_rsn_extra *const extra = (const nsamp_rsn_extra *)model->extra;
    nsamp_cuda_rsn q = {};
    q.precision = extra->options.precision;
    q.jump = p->jump;
    q.state_len = (uint32_t)model->state_len;
    q.block.m = p->dim;
    q.block.n = p->units;
    q.block.row = (uint32_t)round_up(p->dim, 8);
    q.block.chains = rows;
    q.block.phi = p->activation;
    q.block.reservoir = p->reservoir;
    q.block.bf16 = q.precision == NSAMP_BF16;
    q.block.h = p->h;
    q.block.a = p->noise;
    return q;
}

/* Where the product leaves H itself, in bf16. */
static bool narrow_hidden(const nsamp_cuda_rsn_block *b) {
    return b->bf16 && b->phi == NSAMP_RSN_RELU;
}

static void lay_out(nsamp_cuda_rsn *q) {
    nsamp_cuda_rsn_block *const b = &q->block;
    const size_t rows = b->chains, all = rows * b->n, outputs = rows * b->row * sizeof(float),
                 weights = (size_t)b->n * b->row, size = b->bf16 ? sizeof(nsamp_bf16) : sizeof(float);
    nsamp_cuda_arena *const a = &q->arena;
    a->used = 0;
    nsamp_cuda_carve(a, (void **)&b->place, sizeof *b->place);
    nsamp_cuda_carve(a, (void **)&b->x, outputs);
    nsamp_cuda_carve(a, (void **)&b->y, outputs);
    nsamp_cuda_carve(a, (void **)&b->x16, b->bf16 ? outputs / 2 : 0);
    nsamp_cuda_carve(a, (void **)&b->xi, b->reservoir ? outputs : 0);
    nsamp_cuda_carve(a, (void **)&b->z, narrow_hidden(b) ? 0 : all * sizeof(float));
    nsamp_cuda_carve(a, (void **)&b->h16, b->bf16 ? all * sizeof(nsamp_bf16) : 0);
    nsamp_cuda_carve(a, (void **)&b->r, b->reservoir ? all * sizeof(float) : 0);
    nsamp_cuda_carve(a, (void **)&q->w2, weights * size);
    nsamp_cuda_carve(a, (void **)&q->w1, weights * size);
    nsamp_cuda_carve(a, (void **)&q->s, b->reservoir ? weights * sizeof(float) : 0);
    nsamp_cuda_carve(a, (void **)&q->bias, b->n * (narrow_hidden(b) ? sizeof(nsamp_bf16) : sizeof(float)));
}

size_t nsamp_cuda_rsn_bytes(const nsamp_model *model, uint32_t rows) {
    nsamp_cuda_rsn q = describe(model, rows);
    lay_out(&q);
    return q.arena.used + NSAMP_CUDA_WORKSPACE;
}

uint32_t nsamp_cuda_rsn_rows(const nsamp_model *model, uint64_t tiles, uint32_t tile, size_t cache,
                             size_t available) {
    const nsamp_cuda_rsn q = describe(model, L);
    const uint64_t all = tiles * L, held = cache / 2 / (q.block.n * (q.block.bf16 ? 2 : 4)) / L * L;
    uint64_t rows = tile ? round_up(tile, L) : held > LEAST_ROWS ? held : LEAST_ROWS;
    const uint64_t most = (uint64_t)1 << 31, room = most / q.block.row / L * L;
    rows = rows > MOST_ROWS ? MOST_ROWS : rows;
    rows = rows > room && room ? room : rows;
    const uint64_t blocks = (all + rows - 1) / rows;
    rows = round_up((all + blocks - 1) / blocks, L);
    while (rows > L && nsamp_cuda_rsn_bytes(model, (uint32_t)rows) > available)
        rows = round_up(rows / 2, L);
    return (uint32_t)rows;
}

/* ---- weights ------------------------------------------------------------------------------------------- */

/* count numbers to the device, in bf16 or as they are; narrow: room for count of them. */
static nsamp_status send(cudaStream_t stream, void *to, const float *from, size_t count, bool bf16,
                         nsamp_bf16 *narrow, nsamp_error *err) {
    for (size_t i = 0; i < count && bf16; i++)
        narrow[i] = nsamp_bf16_of(from[i]);
    NSAMP_CUDA_TRY(err, cudaMemcpyAsync(to, bf16 ? (const void *)narrow : from,
                                        count * (bf16 ? sizeof *narrow : sizeof *from),
                                        cudaMemcpyHostToDevice, stream));
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(stream));
    return NSAMP_OK;
}

/* w, narrow [n * row]: scratch, w zero. */
static nsamp_status send_all(nsamp_cuda_rsn *q, const nsamp_rsn_extra *extra, cudaStream_t stream, float *w,
                             nsamp_bf16 *narrow, nsamp_error *err) {
    const nsamp_network *const net = extra->net;
    const nsamp_cuda_rsn_block *const b = &q->block;
    const size_t m = net->m, n = net->n, count = (size_t)b->n * b->row;
    for (size_t j = 0; j < n; j++)
        memcpy(w + j * b->row, net->w2 + j * m, m * sizeof *w);
    nsamp_status status = send(stream, q->w2, w, count, b->bf16, narrow, err);
    for (size_t j = 0; j < n && b->reservoir; j++)
        for (size_t i = 0; i < m; i++)
            w[j * b->row + i] = (float)((double)b->a * extra->pinv[j * m + i]);
    if (!status && b->reservoir) status = send(stream, q->s, w, count, false, narrow, err);
    memset(w, 0, count * sizeof *w);
    for (size_t i = 0; i < m; i++)
        memcpy(w + i * b->n, net->w1 + i * n, n * sizeof *w);
    if (!status) status = send(stream, q->w1, w, count, b->bf16, narrow, err);
    memset(w, 0, b->n * sizeof *w);
    memcpy(w, net->b, n * sizeof *w);
    return status ? status : send(stream, q->bias, w, b->n, narrow_hidden(b), narrow, err);
}

static nsamp_status send_weights(nsamp_cuda_rsn *q, const nsamp_rsn_extra *extra, cudaStream_t stream,
                                 nsamp_error *err) {
    const size_t count = (size_t)q->block.n * q->block.row;
    float *const w = (float *)calloc(count, sizeof *w);
    nsamp_bf16 *const narrow = (nsamp_bf16 *)malloc(count * sizeof *narrow);
    nsamp_status status = w && narrow ? send_all(q, extra, stream, w, narrow, err)
                                      : nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu weights", count);
    free(w);
    free(narrow);
    return status;
}

/* ---- products ------------------------------------------------------------------------------------------ */

/* c [B][n] = a [B][k] b^T, b [n][k]. */
static nsamp_cuda_product_shape shape_of(const nsamp_cuda_rsn *q, size_t n, size_t k) {
    nsamp_cuda_product_shape s = {};
    s.m = q->block.chains;
    s.n = n;
    s.k = k;
    s.transpose_b = true;
    s.arithmetic = q->precision == NSAMP_BF16   ? NSAMP_CUDA_BF16
                   : q->precision == NSAMP_TF32 ? NSAMP_CUDA_TF32
                                                : NSAMP_CUDA_FP32;
    s.alpha = 1;
    return s;
}

/* The noise of the reservoir is not rounded to bf16: tf32 costs little beside the other two products. */
static nsamp_status make_products(nsamp_cuda_rsn *q, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &q->block;
    nsamp_cuda_product_shape hidden = shape_of(q, b->n, b->row), readout = shape_of(q, b->row, b->n),
                             noise = hidden;
    hidden.epilogue = b->phi == NSAMP_RSN_RELU ? NSAMP_CUDA_BIAS_RELU : NSAMP_CUDA_BIAS;
    hidden.c_bf16 = narrow_hidden(b);
    noise.arithmetic = q->precision == NSAMP_FP32 ? NSAMP_CUDA_FP32 : NSAMP_CUDA_TF32;
    noise.beta = 1.0f - b->h;
    nsamp_status status = nsamp_cuda_blas_create(&q->blas, err);
    if (!status) status = nsamp_cuda_product_create(q->blas, &hidden, &q->hidden, err);
    if (!status) status = nsamp_cuda_product_create(q->blas, &readout, &q->readout, err);
    if (!status && b->reservoir) status = nsamp_cuda_product_create(q->blas, &noise, &q->noise, err);
    return status;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* H of X: phi included at the output level. */
static nsamp_status enqueue_hidden(nsamp_cuda_rsn *q, bool activated, cudaStream_t stream, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &q->block;
    const nsamp_status status =
        nsamp_cuda_product_run(q->hidden, stream, b->bf16 ? (const void *)b->x16 : b->x, q->w2,
                               b->z ? (void *)b->z : b->h16, q->bias, err);
    if (status) return status;
    if (activated && b->phi != NSAMP_RSN_RELU) NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_activate(b, stream));
    return NSAMP_OK;
}

static nsamp_status enqueue_readout(nsamp_cuda_rsn *q, const float *wide, cudaStream_t stream,
                                    nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &q->block;
    return nsamp_cuda_product_run(q->readout, stream, b->bf16 ? (const void *)b->h16 : wide, q->w1, b->y,
                                  NULL, err);
}

static nsamp_status enqueue_step(nsamp_cuda_rsn *q, uint32_t offset, cudaStream_t stream, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &q->block;
    nsamp_status status = NSAMP_OK;
    if (b->reservoir) status = nsamp_cuda_product_run(q->noise, stream, b->xi, q->s, b->r, NULL, err);
    if (!status) status = enqueue_hidden(q, !b->reservoir, stream, err);
    if (status) return status;
    if (b->reservoir) NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_relax(b, stream));
    status = enqueue_readout(q, b->reservoir ? b->r : b->z, stream, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_move(b, offset, stream));
    return NSAMP_OK;
}

static nsamp_status enqueue_steps(nsamp_cuda_rsn *q, uint32_t steps, cudaStream_t stream, nsamp_error *err) {
    nsamp_status status = NSAMP_OK;
    for (uint32_t i = 0; i < steps && !status; i++)
        status = enqueue_step(q, i, stream, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_end(&q->block, steps, stream));
    return NSAMP_OK;
}

static nsamp_status enqueue_look(nsamp_cuda_rsn *q, uint32_t, cudaStream_t stream, nsamp_error *err) {
    const nsamp_status status = enqueue_hidden(q, true, stream, err);
    return status ? status : enqueue_readout(q, q->block.z, stream, err);
}

/* ---- graphs -------------------------------------------------------------------------------------------- */

typedef nsamp_status enqueue_fn(nsamp_cuda_rsn *q, uint32_t steps, cudaStream_t stream, nsamp_error *err);

static nsamp_status capture(nsamp_cuda_rsn *q, enqueue_fn *enqueue, uint32_t steps, cudaStream_t stream,
                            cudaGraphExec_t *exec, nsamp_error *err) {
    cudaGraph_t graph = NULL;
    NSAMP_CUDA_TRY(err, cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed));
    nsamp_status status = enqueue(q, steps, stream, err);
    cudaError_t error = cudaStreamEndCapture(stream, &graph);
    if (!status && error == cudaSuccess) error = cudaGraphInstantiate(exec, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (!status && error != cudaSuccess) status = nsamp_cuda_failed(err, error, "a graph of steps");
    return status;
}

/* Everything runs once without a graph, on no chain at all: libraries load their kernels at their first call, which a
 * capture may not allow. */
static nsamp_status make_graphs(nsamp_cuda_rsn *q, cudaStream_t stream, nsamp_error *err) {
    NSAMP_CUDA_TRY(err, cudaMemsetAsync(q->arena.base, 0, q->arena.used, stream));
    nsamp_status status = enqueue_steps(q, 1, stream, err);
    if (!status && q->jump) status = enqueue_look(q, 0, stream, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(stream));
    status = capture(q, enqueue_steps, 1, stream, &q->one, err);
    if (!status) status = capture(q, enqueue_steps, MANY, stream, &q->many, err);
    if (!status && q->jump) status = capture(q, enqueue_look, 0, stream, &q->look, err);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static nsamp_status make_all(nsamp_cuda_rsn *q, const nsamp_cuda_view *view, const nsamp_model *model,
                             nsamp_error *err) {
    static const char *const precisions[] = {"fp32", "bf16", "tf32"}; /* nsamp_precision */
    lay_out(q);
    NSAMP_CUDA_TRY(err, cudaMalloc((void **)&q->arena.base, q->arena.used));
    lay_out(q);
    q->block.noise = view->noise;
    q->block.first_bad = view->first_bad;
    nsamp_status status = make_products(q, err);
    if (!status) status = make_graphs(q, view->stream, err);
    if (!status) status = send_weights(q, (const nsamp_rsn_extra *)model->extra, view->stream, err);
    if (!status)
        snprintf(q->text, sizeof q->text, "%s, %s, blocks of %u chains", nsamp_cuda_blas_name(q->blas),
                 precisions[q->precision], q->block.chains);
    return status;
}

nsamp_status nsamp_cuda_rsn_create(const nsamp_cuda_view *view, const nsamp_model *model, uint32_t rows,
                                   nsamp_cuda_rsn **rsn, nsamp_error *err) {
    *rsn = NULL;
    nsamp_cuda_rsn *q = (nsamp_cuda_rsn *)calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    *q = describe(model, rows);
    const nsamp_status status = make_all(q, view, model, err);
    if (status)
        nsamp_cuda_rsn_destroy(q);
    else
        *rsn = q;
    return status;
}

void nsamp_cuda_rsn_destroy(nsamp_cuda_rsn *q) {
    if (!q) return;
    for (cudaGraphExec_t graph : {q->one, q->many, q->look})
        if (graph) cudaGraphExecDestroy(graph);
    for (nsamp_cuda_product *product : {q->hidden, q->readout, q->noise})
        nsamp_cuda_product_destroy(product);
    nsamp_cuda_blas_destroy(q->blas);
    cudaFree(q->arena.base);
    free(q);
}

const char *nsamp_cuda_rsn_text(const nsamp_cuda_rsn *rsn) {
    return rsn->text;
}

/* ---- what the backend calls ---------------------------------------------------------------------------- */

#define CHECK(call)                                                                                          \
    do {                                                                                                     \
        const cudaError_t check_error = (call);                                                              \
        if (check_error != cudaSuccess) return check_error;                                                  \
    } while (0)

/* Tiles [first, first + tiles) into the block, where the next step is step0. */
static cudaError_t enter(const nsamp_cuda_rsn *q, const nsamp_cuda_view *v, uint64_t first, uint32_t tiles,
                         uint64_t step0) {
    const nsamp_cuda_rsn_block *const b = &q->block;
    const float *const state = v->state + first * q->state_len * L;
    CHECK(nsamp_cuda_rsn_begin(b, step0, first * L, tiles * L, v->stream));
    CHECK(nsamp_cuda_rsn_load(state, tiles, q->state_len, 0, b->m, b->x, b->x16, b->row, v->stream));
    if (!b->reservoir) return cudaSuccess;
    CHECK(nsamp_cuda_rsn_load(state, tiles, q->state_len, b->m, b->n, b->r, NULL, b->n, v->stream));
    return nsamp_cuda_rsn_draw(b, v->stream);
}

static cudaError_t leave(const nsamp_cuda_rsn *q, const nsamp_cuda_view *v, uint64_t first, uint32_t tiles) {
    const nsamp_cuda_rsn_block *const b = &q->block;
    float *const state = v->state + first * q->state_len * L;
    CHECK(nsamp_cuda_rsn_store(b->x, b->row, state, tiles, q->state_len, 0, b->m, v->stream));
    if (!b->reservoir) return cudaSuccess;
    return nsamp_cuda_rsn_store(b->r, b->n, state, tiles, q->state_len, b->m, b->n, v->stream);
}

/* Tiles of the block that begins at tile `first`. */
static uint32_t tiles_from(const nsamp_cuda_rsn *q, uint64_t first, uint64_t tiles) {
    const uint32_t most = q->block.chains / L;
    return tiles - first < most ? (uint32_t)(tiles - first) : most;
}

static cudaError_t advance(const nsamp_cuda_view *v, const void *, uint64_t step0, uint32_t nsteps) {
    const nsamp_cuda_rsn *const q = (const nsamp_cuda_rsn *)v->own;
    for (uint64_t first = 0; first < v->tiles;) {
        const uint32_t tiles = tiles_from(q, first, v->tiles);
        CHECK(enter(q, v, first, tiles, step0));
        for (uint32_t left = nsteps; left;) {
            const bool many = left >= MANY;
            CHECK(cudaGraphLaunch(many ? q->many : q->one, v->stream));
            left -= many ? MANY : 1;
        }
        CHECK(leave(q, v, first, tiles));
        first += tiles;
    }
    return cudaSuccess;
}

static cudaError_t observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    const nsamp_cuda_rsn *const q = (const nsamp_cuda_rsn *)v->own;
    const nsamp_cuda_rsn_block *const b = &q->block;
    const size_t bytes = (size_t)b->m * L * sizeof(float);
    if (!q->jump)
        return cudaMemcpy2DAsync(x, bytes, v->state, (size_t)q->state_len * L * sizeof(float), bytes, tiles,
                                 cudaMemcpyDeviceToDevice, v->stream);
    for (uint64_t first = 0; first < tiles;) {
        const uint32_t count = tiles_from(q, first, tiles);
        const float *const state = v->state + first * q->state_len * L;
        CHECK(nsamp_cuda_rsn_load(state, count, q->state_len, 0, b->m, b->x, b->x16, b->row, v->stream));
        CHECK(cudaGraphLaunch(q->look, v->stream));
        CHECK(nsamp_cuda_rsn_store(b->y, b->row, x + first * b->m * L, count, b->m, 0, b->m, v->stream));
        first += count;
    }
    return cudaSuccess;
}

const nsamp_cuda_kernel *nsamp_cuda_rsn_kernel(void) {
    static const nsamp_cuda_kernel kernel = {advance, observe, false};
    return &kernel;
}
