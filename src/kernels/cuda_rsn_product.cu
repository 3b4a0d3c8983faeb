/* cuda_rsn_product.cu: reservoir-sampler networks by matrix products: how chains are cut into blocks, weights and blocks on
 * the device, and the order of a call; see cuda_rsn.h. */
#include "kernels/cuda_device.h"
#include "kernels/cuda_rsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "error.h"
}

enum {
    L = NSAMP_CUDA_LANES,
    MANY = NSAMP_CUDA_RSN_MANY,
    WORKERS = 2,
    SHARE = 8 /* of the device's memory */
};

/* Chains of a block: at most, where run.tile asks for it and where not; as few as keep a GPU busy; what tensor cores take
 * at a time. */
static const uint64_t MOST_ROWS = 1 << 16, USUAL_ROWS = 8192, USUAL_HIDDEN = 1 << 25 /* numbers of H */,
                      LEAST_ROWS = 512, TENSOR_ROWS = 128;

struct nsamp_cuda_rsn {
    nsamp_cuda_rsn_worker worker[WORKERS];
    nsamp_cuda_rsn_weights weights;
    nsamp_cuda_rsn_cut cut;
    nsamp_cuda_arena arena;
    cudaEvent_t begun; /* the call, on the caller's stream */
    bool jump;
    char text[128];
};

static size_t round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* ---- sizes --------------------------------------------------------------------------------------------- */

static nsamp_cuda_rsn describe(const nsamp_model *model, nsamp_cuda_rsn_cut cut) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)model->params;
    const nsamp_rsn_extra *const extra = (const nsamp_rsn_extra *)model->extra;
    nsamp_cuda_rsn q = {};
    q.weights.precision = extra->options.precision;
    q.jump = p->jump;
    q.cut = cut;
    for (uint32_t k = 0; k < cut.workers; k++) {
        nsamp_cuda_rsn_block *const b = &q.worker[k].block;
        b->m = p->dim;
        b->n = p->units;
        b->row = (uint32_t)round_up(p->dim, 8);
        b->chains = cut.rows;
        b->phi = p->activation;
        b->reservoir = p->reservoir;
        b->bf16 = q.weights.precision == NSAMP_BF16;
        b->h = p->h;
        b->a = p->noise;
    }
    return q;
}

static void lay_out_block(nsamp_cuda_rsn_block *b, nsamp_cuda_arena *a) {
    const size_t rows = b->chains, all = rows * b->n, outputs = rows * b->row * sizeof(float);
    nsamp_cuda_carve(a, (void **)&b->place, sizeof *b->place);
    nsamp_cuda_carve(a, (void **)&b->x, outputs);
    nsamp_cuda_carve(a, (void **)&b->y, outputs);
    nsamp_cuda_carve(a, (void **)&b->x16, b->bf16 ? outputs / 2 : 0);
    nsamp_cuda_carve(a, (void **)&b->xi, b->reservoir ? outputs : 0);
    nsamp_cuda_carve(a, (void **)&b->z, nsamp_cuda_rsn_narrow(b) ? 0 : all * sizeof(float));
    nsamp_cuda_carve(a, (void **)&b->h16, b->bf16 ? all * sizeof(nsamp_bf16) : 0);
    nsamp_cuda_carve(a, (void **)&b->r, b->reservoir ? all * sizeof(float) : 0);
}

static void lay_out(nsamp_cuda_rsn *q) {
    const nsamp_cuda_rsn_block *const b = &q->worker[0].block;
    const size_t weights = (size_t)b->n * b->row, size = b->bf16 ? sizeof(nsamp_bf16) : sizeof(float);
    nsamp_cuda_arena *const a = &q->arena;
    a->used = 0;
    for (uint32_t k = 0; k < q->cut.workers; k++)
        lay_out_block(&q->worker[k].block, a);
    nsamp_cuda_carve(a, (void **)&q->weights.w2, weights * size);
    nsamp_cuda_carve(a, (void **)&q->weights.w1, weights * size);
    nsamp_cuda_carve(a, (void **)&q->weights.s, b->reservoir ? weights * sizeof(float) : 0);
    nsamp_cuda_carve(a, (void **)&q->weights.bias,
                     b->n * (nsamp_cuda_rsn_narrow(b) ? sizeof(nsamp_bf16) : sizeof(float)));
}

size_t nsamp_cuda_rsn_bytes(const nsamp_model *model, nsamp_cuda_rsn_cut cut) {
    nsamp_cuda_rsn q = describe(model, cut);
    lay_out(&q);
    return q.arena.used + (size_t)cut.workers * NSAMP_CUDA_WORKSPACE;
}

static uint64_t least(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Of `all` chains, `most` a block. Unless that is forced, every worker gets as many blocks as another, all of one size. */
static nsamp_cuda_rsn_cut cut(uint64_t all, uint64_t most, uint32_t workers, bool forced) {
    const uint64_t blocks = (all + most * workers - 1) / (most * workers) * workers,
                   rows = forced ? least(most, all) : (all + blocks - 1) / blocks;
    return {(uint32_t)round_up(rows, rows > LEAST_ROWS && !forced ? TENSOR_ROWS : (uint64_t)L), workers};
}

/* Memory that others have taken decides only where it must: another size of blocks may bring other bits from the
 * library. */
nsamp_cuda_rsn_cut nsamp_cuda_rsn_choose(const nsamp_model *model, uint64_t tiles, uint32_t tile,
                                         size_t total, size_t available) {
    const uint64_t all = tiles * L, row = round_up(model->dim, 8),
                   room = ((uint64_t)1 << 31) / row / L * L; /* numbers of x are counted in 32 bits */
    /* few units are little work for a row: more rows, or what lies between products is dear beside them */
    const uint64_t units = ((const nsamp_rsn_params *)model->params)->units,
                   many = USUAL_HIDDEN / units / L * L, usual = many > USUAL_ROWS ? many : USUAL_ROWS;
    uint64_t most = least(tile ? round_up(tile, L) : usual, least(MOST_ROWS, room));
    uint32_t workers = all > (tile ? most : 2 * LEAST_ROWS - 1) ? WORKERS : 1;
    for (;;) {
        const nsamp_cuda_rsn_cut c = cut(all, most, workers, tile);
        const size_t bytes = nsamp_cuda_rsn_bytes(model, c);
        const bool large = c.rows > LEAST_ROWS;
        if (bytes <= available && (tile || !large || bytes <= total / SHARE)) return c;
        if (c.rows == L && workers == 1) return c;
        if (large || workers == 1)
            most = round_up(c.rows / 2, L);
        else
            workers = 1;
    }
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
    const nsamp_cuda_rsn_block *const b = &q->worker[0].block;
    const size_t m = net->m, n = net->n, count = (size_t)b->n * b->row;
    for (size_t j = 0; j < n; j++)
        memcpy(w + j * b->row, net->w2 + j * m, m * sizeof *w);
    nsamp_status status = send(stream, q->weights.w2, w, count, b->bf16, narrow, err);
    for (size_t j = 0; j < n && b->reservoir; j++)
        for (size_t i = 0; i < m; i++)
            w[j * b->row + i] = (float)((double)b->a * extra->pinv[j * m + i]);
    if (!status && b->reservoir) status = send(stream, q->weights.s, w, count, false, narrow, err);
    memset(w, 0, count * sizeof *w);
    for (size_t i = 0; i < m; i++)
        memcpy(w + i * b->n, net->w1 + i * n, n * sizeof *w);
    if (!status) status = send(stream, q->weights.w1, w, count, b->bf16, narrow, err);
    memset(w, 0, b->n * sizeof *w);
    memcpy(w, net->b, n * sizeof *w);
    return status ? status : send(stream, q->weights.bias, w, b->n, nsamp_cuda_rsn_narrow(b), narrow, err);
}

static nsamp_status send_weights(nsamp_cuda_rsn *q, const nsamp_rsn_extra *extra, cudaStream_t stream,
                                 nsamp_error *err) {
    const size_t count = (size_t)q->worker[0].block.n * q->worker[0].block.row;
    float *const w = (float *)calloc(count, sizeof *w);
    nsamp_bf16 *const narrow = (nsamp_bf16 *)malloc(count * sizeof *narrow);
    nsamp_status status = w && narrow ? send_all(q, extra, stream, w, narrow, err)
                                      : nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu weights", count);
    free(w);
    free(narrow);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static nsamp_status make_all(nsamp_cuda_rsn *q, const nsamp_cuda_view *view, const nsamp_model *model,
                             nsamp_error *err) {
    static const char *const precisions[] = {"fp32", "bf16", "tf32"}; /* nsamp_precision */
    lay_out(q);
    NSAMP_CUDA_TRY(err, cudaMalloc((void **)&q->arena.base, q->arena.used));
    lay_out(q);
    NSAMP_CUDA_TRY(err, cudaEventCreateWithFlags(&q->begun, cudaEventDisableTiming));
    NSAMP_CUDA_TRY(err, cudaMemsetAsync(q->arena.base, 0, q->arena.used, view->stream));
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(view->stream));
    nsamp_status status = NSAMP_OK;
    for (uint32_t k = 0; k < q->cut.workers && !status; k++) {
        nsamp_cuda_rsn_worker *const w = &q->worker[k];
        w->block.noise = view->noise;
        w->block.first_bad = view->first_bad;
        status = nsamp_cuda_rsn_hire(w, &q->weights, q->jump, err);
    }
    if (!status) status = send_weights(q, (const nsamp_rsn_extra *)model->extra, view->stream, err);
    if (status) return status;
    const int used =
        snprintf(q->text, sizeof q->text, "%s, %s, blocks of %u chains",
                 nsamp_cuda_blas_name(q->worker[0].blas), precisions[q->weights.precision], q->cut.rows);
    if (q->cut.workers > 1)
        snprintf(q->text + used, sizeof q->text - (size_t)used, ", %u at a time", q->cut.workers);
    return NSAMP_OK;
}

nsamp_status nsamp_cuda_rsn_create(const nsamp_cuda_view *view, const nsamp_model *model,
                                   nsamp_cuda_rsn_cut cut, nsamp_cuda_rsn **rsn, nsamp_error *err) {
    *rsn = NULL;
    nsamp_cuda_rsn *q = (nsamp_cuda_rsn *)calloc(1, sizeof *q);
    if (!q) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    *q = describe(model, cut);
    const nsamp_status status = make_all(q, view, model, err);
    if (status)
        nsamp_cuda_rsn_destroy(q);
    else
        *rsn = q;
    return status;
}

void nsamp_cuda_rsn_destroy(nsamp_cuda_rsn *q) {
    if (!q) return;
    for (uint32_t k = 0; k < q->cut.workers; k++)
        nsamp_cuda_rsn_dismiss(&q->worker[k]);
    if (q->begun) cudaEventDestroy(q->begun);
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

/* Tiles [first, first + tiles) into the worker's block, where the next step is step0. */
static cudaError_t enter(const nsamp_cuda_rsn_worker *w, const nsamp_cuda_view *v, uint64_t first,
                         uint32_t tiles, uint64_t step0) {
    const nsamp_cuda_rsn_block *const b = &w->block;
    const float *const state = v->state + first * v->state_len * L;
    CHECK(nsamp_cuda_rsn_begin(b, step0, first * L, tiles * L, w->stream));
    CHECK(nsamp_cuda_rsn_load(state, tiles, v->state_len, 0, b->m, b->x, b->x16, b->row, w->stream));
    if (!b->reservoir) return cudaSuccess;
    CHECK(nsamp_cuda_rsn_load(state, tiles, v->state_len, b->m, b->n, b->r, NULL, b->n, w->stream));
    return nsamp_cuda_rsn_draw(b, w->stream);
}

static cudaError_t leave(const nsamp_cuda_rsn_worker *w, const nsamp_cuda_view *v, uint64_t first,
                         uint32_t tiles) {
    const nsamp_cuda_rsn_block *const b = &w->block;
    float *const state = v->state + first * v->state_len * L;
    CHECK(nsamp_cuda_rsn_store(b->x, b->row, state, tiles, v->state_len, 0, b->m, w->stream));
    if (!b->reservoir) return cudaSuccess;
    return nsamp_cuda_rsn_store(b->r, b->n, state, tiles, v->state_len, b->m, b->n, w->stream);
}

/* Tiles of the block that begins at tile `first`. */
static uint32_t tiles_from(const nsamp_cuda_rsn *q, uint64_t first, uint64_t tiles) {
    return (uint32_t)least(tiles - first, q->cut.rows / L);
}

/* A block for each worker, as far as there are any, from tile `first` on. Steps are launched in turn: a stream takes only
 * so many launches before the host has to wait, and another must not be idle meanwhile. */
static cudaError_t advance_blocks(const nsamp_cuda_rsn *q, const nsamp_cuda_view *v, uint64_t first,
                                  uint64_t step0, uint32_t nsteps) {
    const nsamp_cuda_rsn_worker *const w = q->worker;
    uint64_t at[WORKERS];
    uint32_t busy = 0;
    for (; busy < q->cut.workers && first < v->tiles; busy++) {
        at[busy] = first;
        CHECK(enter(&w[busy], v, first, tiles_from(q, first, v->tiles), step0));
        first += q->cut.rows / L;
    }
    for (uint32_t left = nsteps; left;) {
        const bool many = left >= MANY;
        for (uint32_t k = 0; k < busy; k++)
            CHECK(cudaGraphLaunch(many ? w[k].many : w[k].one, w[k].stream));
        left -= many ? MANY : 1;
    }
    for (uint32_t k = 0; k < busy; k++)
        CHECK(leave(&w[k], v, at[k], tiles_from(q, at[k], v->tiles)));
    return cudaSuccess;
}

/* The workers follow what is on the caller's stream, and what comes after on it follows them. */
static cudaError_t advance(const nsamp_cuda_view *v, const void *, uint64_t step0, uint32_t nsteps) {
    const nsamp_cuda_rsn *const q = (const nsamp_cuda_rsn *)v->own;
    CHECK(cudaEventRecord(q->begun, v->stream));
    for (uint32_t k = 0; k < q->cut.workers; k++)
        CHECK(cudaStreamWaitEvent(q->worker[k].stream, q->begun, 0));
    for (uint64_t first = 0; first < v->tiles; first += (uint64_t)q->cut.workers * (q->cut.rows / L))
        CHECK(advance_blocks(q, v, first, step0, nsteps));
    for (uint32_t k = 0; k < q->cut.workers; k++) {
        CHECK(cudaEventRecord(q->worker[k].done, q->worker[k].stream));
        CHECK(cudaStreamWaitEvent(v->stream, q->worker[k].done, 0));
    }
    return cudaSuccess;
}

/* In the first worker's block, which is at rest: between calls the caller's stream may use it. */
static cudaError_t observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    const nsamp_cuda_rsn *const q = (const nsamp_cuda_rsn *)v->own;
    const nsamp_cuda_rsn_block *const b = &q->worker[0].block;
    const size_t bytes = (size_t)b->m * L * sizeof(float);
    if (!q->jump)
        return cudaMemcpy2DAsync(x, bytes, v->state, (size_t)v->state_len * L * sizeof(float), bytes, tiles,
                                 cudaMemcpyDeviceToDevice, v->stream);
    for (uint64_t first = 0; first < tiles;) {
        const uint32_t count = tiles_from(q, first, tiles);
        const float *const state = v->state + first * v->state_len * L;
        CHECK(nsamp_cuda_rsn_load(state, count, v->state_len, 0, b->m, b->x, b->x16, b->row, v->stream));
        CHECK(cudaGraphLaunch(q->worker[0].look, v->stream));
        CHECK(nsamp_cuda_rsn_store(b->y, b->row, x + first * b->m * L, count, b->m, 0, b->m, v->stream));
        first += count;
    }
    return cudaSuccess;
}

const nsamp_cuda_kernel *nsamp_cuda_rsn_kernel(void) {
    static const nsamp_cuda_kernel kernel = {advance, observe, false};
    return &kernel;
}
