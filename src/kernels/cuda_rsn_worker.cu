/* cuda_rsn_worker.cu: a worker of reservoir-sampler networks by matrix products: the products of a step of its block, and
 * graphs of whole steps; see cuda_rsn.h.
 *
 * A step is three to five short pieces of work, and on its own each costs the host more than a small one costs the
 * GPU. So a step, and MANY of them, are captured once and launched as graphs; what differs between blocks and steps
 * they read from device memory. */
#include "kernels/cuda_device.h"
#include "kernels/cuda_product.h"
#include "kernels/cuda_rsn.h"

enum { MANY = NSAMP_CUDA_RSN_MANY };

/* ---- products ------------------------------------------------------------------------------------------ */

/* c [B][n] = a [B][k] b^T, b [n][k]. */
static nsamp_cuda_product_shape shape_of(const nsamp_cuda_rsn_worker *w, size_t n, size_t k) {
    const nsamp_precision precision = w->weights->precision;
    nsamp_cuda_product_shape s = {};
    s.m = w->block.chains;
    s.n = n;
    s.k = k;
    s.transpose_b = true;
    s.arithmetic = precision == NSAMP_BF16   ? NSAMP_CUDA_BF16
                   : precision == NSAMP_TF32 ? NSAMP_CUDA_TF32
                                             : NSAMP_CUDA_FP32;
    s.alpha = 1;
    return s;
}

/* The noise of the reservoir is not rounded to bf16: tf32 costs little beside the other two products. */
static nsamp_status make_products(nsamp_cuda_rsn_worker *w, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &w->block;
    nsamp_cuda_product_shape hidden = shape_of(w, b->n, b->row), readout = shape_of(w, b->row, b->n),
                             noise = hidden;
    hidden.epilogue = b->phi == NSAMP_RSN_RELU ? NSAMP_CUDA_BIAS_RELU : NSAMP_CUDA_BIAS;
    hidden.c_bf16 = nsamp_cuda_rsn_narrow(b);
    noise.arithmetic = w->weights->precision == NSAMP_FP32 ? NSAMP_CUDA_FP32 : NSAMP_CUDA_TF32;
    noise.beta = 1.0f - b->h;
    nsamp_status status = nsamp_cuda_blas_create(&w->blas, err);
    if (!status) status = nsamp_cuda_product_create(w->blas, &hidden, &w->hidden, err);
    if (!status) status = nsamp_cuda_product_create(w->blas, &readout, &w->readout, err);
    if (!status && b->reservoir) status = nsamp_cuda_product_create(w->blas, &noise, &w->noise, err);
    return status;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

/* H of X: phi included at the output level. */
static nsamp_status enqueue_hidden(nsamp_cuda_rsn_worker *w, bool activated, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &w->block;
    const nsamp_status status =
        nsamp_cuda_product_run(w->hidden, w->stream, b->bf16 ? (const void *)b->x16 : b->x, w->weights->w2,
                               b->z ? (void *)b->z : b->h16, w->weights->bias, err);
    if (status) return status;
    if (activated && b->phi != NSAMP_RSN_RELU) NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_activate(b, w->stream));
    return NSAMP_OK;
}

static nsamp_status enqueue_readout(nsamp_cuda_rsn_worker *w, const float *wide, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &w->block;
    return nsamp_cuda_product_run(w->readout, w->stream, b->bf16 ? (const void *)b->h16 : wide,
                                  w->weights->w1, b->y, NULL, err);
}

static nsamp_status enqueue_step(nsamp_cuda_rsn_worker *w, uint32_t offset, nsamp_error *err) {
    const nsamp_cuda_rsn_block *const b = &w->block;
    nsamp_status status = NSAMP_OK;
    if (b->reservoir)
        status = nsamp_cuda_product_run(w->noise, w->stream, b->xi, w->weights->s, b->r, NULL, err);
    if (!status) status = enqueue_hidden(w, !b->reservoir, err);
    if (status) return status;
    if (b->reservoir) NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_relax(b, w->stream));
    status = enqueue_readout(w, b->reservoir ? b->r : b->z, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_move(b, offset, w->stream));
    return NSAMP_OK;
}

static nsamp_status enqueue_steps(nsamp_cuda_rsn_worker *w, uint32_t steps, nsamp_error *err) {
    nsamp_status status = NSAMP_OK;
    for (uint32_t i = 0; i < steps && !status; i++)
        status = enqueue_step(w, i, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_rsn_end(&w->block, steps, w->stream));
    return NSAMP_OK;
}

static nsamp_status enqueue_look(nsamp_cuda_rsn_worker *w, uint32_t, nsamp_error *err) {
    const nsamp_status status = enqueue_hidden(w, true, err);
    return status ? status : enqueue_readout(w, w->block.z, err);
}

/* ---- graphs -------------------------------------------------------------------------------------------- */

typedef nsamp_status enqueue_fn(nsamp_cuda_rsn_worker *w, uint32_t steps, nsamp_error *err);

static nsamp_status capture(nsamp_cuda_rsn_worker *w, enqueue_fn *enqueue, uint32_t steps,
                            cudaGraphExec_t *exec, nsamp_error *err) {
    cudaGraph_t graph = NULL;
    NSAMP_CUDA_TRY(err, cudaStreamBeginCapture(w->stream, cudaStreamCaptureModeRelaxed));
    nsamp_status status = enqueue(w, steps, err);
    cudaError_t error = cudaStreamEndCapture(w->stream, &graph);
    if (!status && error == cudaSuccess) error = cudaGraphInstantiate(exec, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    if (!status && error != cudaSuccess) status = nsamp_cuda_failed(err, error, "a graph of steps");
    return status;
}

/* Everything runs once without a graph, on no chain at all: libraries load their kernels at their first call, which a
 * capture may not allow. */
static nsamp_status make_graphs(nsamp_cuda_rsn_worker *w, bool look, nsamp_error *err) {
    nsamp_status status = enqueue_steps(w, 1, err);
    if (!status && look) status = enqueue_look(w, 0, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(w->stream));
    status = capture(w, enqueue_steps, 1, &w->one, err);
    if (!status) status = capture(w, enqueue_steps, MANY, &w->many, err);
    if (!status && look) status = capture(w, enqueue_look, 0, &w->look, err);
    return status;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

nsamp_status nsamp_cuda_rsn_hire(nsamp_cuda_rsn_worker *w, const nsamp_cuda_rsn_weights *weights, bool look,
                                 nsamp_error *err) {
    w->weights = weights;
    NSAMP_CUDA_TRY(err, cudaStreamCreateWithFlags(&w->stream, cudaStreamNonBlocking));
    NSAMP_CUDA_TRY(err, cudaEventCreateWithFlags(&w->done, cudaEventDisableTiming));
    const nsamp_status status = make_products(w, err);
    return status ? status : make_graphs(w, look, err);
}

void nsamp_cuda_rsn_dismiss(nsamp_cuda_rsn_worker *w) {
    for (cudaGraphExec_t graph : {w->one, w->many, w->look})
        if (graph) cudaGraphExecDestroy(graph);
    for (nsamp_cuda_product *product : {w->hidden, w->readout, w->noise})
        nsamp_cuda_product_destroy(product);
    nsamp_cuda_blas_destroy(w->blas);
    if (w->done) cudaEventDestroy(w->done);
    if (w->stream) cudaStreamDestroy(w->stream);
}
