/* cuda_backend.cu: the chains of a plan on one GPU; the CUDA half of engine/engine.h. Owns the device memory,
 * all of it allocated before the run, and the order of launches; what they do is in the other .cu files.
 *
 * The state goes up at the first call that needs it, since a plan fills it after the backend is made, and
 * comes back with fetch. advance returns when the device has finished, so that the plan's clock and its stops
 * are honest. */
#include "kernels/cuda_device.h"
#include "kernels/cuda_product.h"
#include "kernels/cuda_rsn.h"
#include "kernels/cuda_kernels.h"
#include "kernels/cuda_transfer.h"
#include "kernels/systems/mh_spiking.h"
#include "kernels/systems/rsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" {
#include "engine/engine.h"
#include "error.h"
#include "stats/moments.h"
}

enum { L = NSAMP_CUDA_LANES, SCRATCH_LANES = 64 /* that model->scratch_bytes is for */ };

/* Steps a launch at most: seconds even for large systems, so that a display or a stop need not wait. */
static const uint64_t MOST_STEPS = 1u << 16;

typedef struct cuda_backend {
    nsamp_backend base;
    const nsamp_cuda_kernel *kernel;
    nsamp_cuda_view view;
    nsamp_cuda_moments moments;
    void *params;
    nsamp_cuda_arena device;
    float *x; /* [tiles][D][32] on the device: a sample */
    nsamp_cuda_transfer transfer;
    float *staging; /* [staging_tiles][D][32] on the host, page-locked: recorded draws */
    uint64_t staging_tiles;
    nsamp_cuda_rsn_cut cut; /* of the product path; rows 0: another */
    bool uploaded;
} cuda_backend;

/* ---- sizes --------------------------------------------------------------------------------------------- */

/* Gives every array its place; with no base only counts. The product path keeps weights and scratch of its own. */
static void lay_out(cuda_backend *b) {
    const nsamp_batch *batch = b->base.batch;
    const nsamp_model *model = batch->model;
    const nsamp_moments *m = batch->moments;
    const size_t lanes = (size_t)batch->tiles * L, D = model->dim;
    const bool products = model->host_kernel,
               scratch = !products && !nsamp_cuda_lane_in_shared(model->state_len, b->view.scratch_bytes);
    b->device.used = 0;
    nsamp_cuda_carve(&b->device, (void **)&b->params, products ? 0 : model->params_bytes);
    nsamp_cuda_carve(&b->device, (void **)&b->view.state, lanes * model->state_len * sizeof(float));
    nsamp_cuda_carve(&b->device, (void **)&b->view.first_bad, lanes * sizeof(uint64_t));
    nsamp_cuda_carve(&b->device, (void **)&b->view.scratch,
                     scratch ? (size_t)batch->tiles * b->view.scratch_bytes : 0);
    nsamp_cuda_carve(&b->device, (void **)&b->x, lanes * D * sizeof(float));
    nsamp_cuda_carve(&b->device, (void **)&b->moments.sums, lanes * 4 * m->rows * sizeof(double));
    nsamp_cuda_carve(&b->device, (void **)&b->moments.products,
                     m->full_cov ? m->groups * D * D * sizeof(double) : 0);
    nsamp_cuda_carve(&b->device, (void **)&b->moments.low, lanes * D * sizeof(float));
    nsamp_cuda_carve(&b->device, (void **)&b->moments.high, lanes * D * sizeof(float));
}

/* The backend of a batch, with nothing allocated but its sizes known. */
static nsamp_status describe(cuda_backend *b, nsamp_batch *batch, const nsamp_job *job, size_t *available,
                             nsamp_error *err) {
    size_t total = 0;
    b->base.batch = batch;
    b->view.scratch_bytes = batch->model->scratch_bytes / (SCRATCH_LANES / L);
    lay_out(b);
    NSAMP_CUDA_TRY(err, cudaMemGetInfo(available, &total));
    if (batch->model->host_kernel)
        b->cut = nsamp_cuda_rsn_choose(batch->model, batch->tiles,
                                       (uint32_t)nsamp_job_int(job, NSAMP_KEY_run_tile), total,
                                       *available > b->device.used ? *available - b->device.used : 0);
    return NSAMP_OK;
}

static size_t bytes_of(const cuda_backend *b) {
    return b->device.used + (b->cut.rows ? nsamp_cuda_rsn_bytes(b->base.batch->model, b->cut) : 0);
}

extern "C" nsamp_status nsamp_cuda_bytes(nsamp_batch *batch, const nsamp_job *job, uint64_t *needed,
                                         uint64_t *available, nsamp_error *err) {
    cuda_backend b = {};
    size_t room = 0;
    const nsamp_status status = describe(&b, batch, job, &room, err);
    *needed = bytes_of(&b);
    *available = room;
    return status;
}

/* NULL: the network does not fit the kernel that its precision asks for. */
static const nsamp_cuda_kernel *kernel_of(const nsamp_model *model, const nsamp_cuda_view *v) {
    if (model->host_kernel) return nsamp_cuda_rsn_kernel();
    if (model->kernel == NSAMP_KERNEL_langevin_equi && model->dim <= nsamp_cuda_equi_most)
        return nsamp_cuda_equi_kernel();
    if (model->kernel == NSAMP_KERNEL_rsn) {
        const nsamp_rsn_params *const p = (const nsamp_rsn_params *)model->params;
        if (const nsamp_cuda_kernel *const wide = nsamp_cuda_rsn_wgmma(p, v)) return wide;
        if (p->precision != NSAMP_RSN_FP32) return nsamp_cuda_rsn_tensor(p, v);
        if (const nsamp_cuda_kernel *const few = nsamp_cuda_rsn_few(p, v)) return few;
    }
    if (model->kernel == NSAMP_KERNEL_mh_spiking)
        if (const nsamp_cuda_kernel *const mh =
                nsamp_cuda_mh_kernel((const nsamp_mh_spiking_params *)model->params, v))
            return mh;
    return nsamp_cuda_lane_kernel(model->kernel);
}

/* ---- between host and device --------------------------------------------------------------------------- */

typedef struct pair {
    void *host, *device;
    size_t bytes;
} pair;

enum { PAIRS = 6, MOMENTS = 2 };

/* What lives on both sides; from MOMENTS on the accumulators. */
static void list_pairs(const cuda_backend *b, pair list[PAIRS]) {
    const nsamp_batch *batch = b->base.batch;
    const nsamp_moments *m = batch->moments;
    const size_t lanes = (size_t)batch->tiles * L, D = batch->model->dim;
    list[0] = {batch->state, b->view.state, lanes * batch->model->state_len * sizeof(float)};
    list[1] = {batch->first_bad, b->view.first_bad, lanes * sizeof(uint64_t)};
    list[2] = {m->sums, b->moments.sums, lanes * 4 * m->rows * sizeof(double)};
    list[3] = {m->low, b->moments.low, lanes * D * sizeof(float)};
    list[4] = {m->high, b->moments.high, lanes * D * sizeof(float)};
    list[5] = {m->products, b->moments.products, m->products ? m->groups * D * D * sizeof(double) : 0};
}

static nsamp_status upload(cuda_backend *b, nsamp_error *err) {
    if (b->uploaded) return NSAMP_OK;
    const nsamp_model *model = b->base.batch->model;
    pair list[PAIRS];
    list_pairs(b, list);
    if (b->params)
        NSAMP_CUDA_TRY(err, cudaMemcpyAsync(b->params, model->params, model->params_bytes,
                                            cudaMemcpyHostToDevice, b->view.stream));
    const bool empty = nsamp_moments_empty(b->base.batch->moments);
    if (empty) NSAMP_CUDA_TRY(err, nsamp_cuda_moments_clear(&b->moments, b->view.stream));
    for (int i = 0; i < (empty ? MOMENTS : PAIRS); i++) {
        const nsamp_status status =
            nsamp_cuda_send(&b->transfer, list[i].device, list[i].host, list[i].bytes, b->view.stream, err);
        if (status) return status;
    }
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(b->view.stream));
    b->uploaded = true;
    return NSAMP_OK;
}

static nsamp_status fetch(nsamp_backend *base, nsamp_error *err) {
    cuda_backend *b = (cuda_backend *)base;
    pair list[PAIRS];
    if (!b->uploaded) return NSAMP_OK;
    list_pairs(b, list);
    for (int i = 0; i < PAIRS; i++) {
        const nsamp_status status = nsamp_cuda_receive(&b->transfer, list[i].host, list[i].device,
                                                       list[i].bytes, b->view.stream, err);
        if (status) return status;
    }
    return NSAMP_OK;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static nsamp_status sample(cuda_backend *b, uint64_t step, nsamp_error *err) {
    const nsamp_batch *batch = b->base.batch;
    NSAMP_CUDA_TRY(err, b->kernel->observe(&b->view, batch->tiles, b->x));
    NSAMP_CUDA_TRY(
        err, nsamp_cuda_moments_add(&b->moments, step > batch->moments->half_step, b->x, b->view.stream));
    return NSAMP_OK;
}

static nsamp_status observe(nsamp_backend *base, const nsamp_record *record, nsamp_error *err) {
    cuda_backend *b = (cuda_backend *)base;
    const size_t D = base->batch->model->dim;
    const uint64_t n = record->chains, tiles = (n + L - 1) / L;
    nsamp_status status = upload(b, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, b->kernel->observe(&b->view, tiles, b->x));
    for (uint64_t first = 0; first < tiles; first += b->staging_tiles) {
        const uint64_t part = tiles - first < b->staging_tiles ? tiles - first : b->staging_tiles;
        NSAMP_CUDA_TRY(err, cudaMemcpyAsync(b->staging, b->x + first * D * L, part * D * L * sizeof(float),
                                            cudaMemcpyDeviceToHost, b->view.stream));
        NSAMP_CUDA_TRY(err, cudaStreamSynchronize(b->view.stream));
        for (uint64_t c = first * L; c < (first + part) * L && c < n; c++)
            for (size_t d = 0; d < D; d++)
                record->x[c * record->stride + d] = b->staging[((c / L - first) * D + d) * L + c % L];
    }
    return NSAMP_OK;
}

static nsamp_status put(cuda_backend *b, nsamp_recorder *recorder, uint64_t step, nsamp_error *err) {
    const nsamp_record record = nsamp_recorder_place(recorder, step);
    const nsamp_status status = observe(&b->base, &record, err);
    if (!status) nsamp_recorder_done(recorder, step, record.chains);
    return status;
}

static nsamp_status advance(nsamp_backend *base, uint64_t step0, uint64_t step1, nsamp_recorder *recorder,
                            nsamp_error *err) {
    cuda_backend *b = (cuda_backend *)base;
    const nsamp_batch *batch = base->batch;
    nsamp_status status = upload(b, err);
    for (uint64_t t = step0; t < step1 && !status;) {
        const uint64_t due = nsamp_moments_next(batch->moments, t);
        const uint64_t recorded = recorder ? nsamp_recorder_due(recorder, t) : UINT64_MAX;
        uint64_t end = due < step1 ? due : step1;
        if (end > recorded) end = recorded;
        if (end - t > MOST_STEPS) end = t + MOST_STEPS;
        NSAMP_CUDA_TRY(err, b->kernel->advance(&b->view, batch->model->params, t, (uint32_t)(end - t)));
        if (end == due) status = sample(b, end, err);
        if (end == recorded && !status) status = put(b, recorder, end, err);
        t = end;
    }
    if (status) return status;
    nsamp_moments_set_step(batch->moments, step1);
    const size_t bytes = (size_t)batch->tiles * L * sizeof(uint64_t);
    NSAMP_CUDA_TRY(err, cudaMemcpyAsync(batch->first_bad, b->view.first_bad, bytes, cudaMemcpyDeviceToHost,
                                        b->view.stream));
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(b->view.stream));
    return NSAMP_OK;
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void destroy(nsamp_backend *base) {
    cuda_backend *b = (cuda_backend *)base;
    nsamp_cuda_rsn_destroy((nsamp_cuda_rsn *)b->view.own);
    cudaFree(b->device.base);
    cudaFreeHost(b->staging);
    nsamp_cuda_transfer_destroy(&b->transfer);
    if (b->view.stream) cudaStreamDestroy(b->view.stream);
    free(b);
}

static nsamp_status allocate(cuda_backend *b, const nsamp_job *job, nsamp_error *err) {
    const nsamp_batch *batch = b->base.batch;
    NSAMP_CUDA_TRY(err, cudaStreamCreateWithFlags(&b->view.stream, cudaStreamNonBlocking));
    NSAMP_CUDA_TRY(err, cudaMalloc((void **)&b->device.base, b->device.used));
    lay_out(b);
    const uint64_t recorded = ((uint64_t)nsamp_job_int(job, NSAMP_KEY_record_chains) + L - 1) / L;
    const uint64_t most =
        ((uint64_t)1 << 26) / (batch->model->dim * L * sizeof(float)) + 1; /* about 64 MiB */
    b->staging_tiles = recorded < most ? recorded : most;
    if (b->staging_tiles > batch->tiles) b->staging_tiles = batch->tiles;
    NSAMP_CUDA_TRY(
        err, cudaMallocHost((void **)&b->staging, b->staging_tiles * batch->model->dim * L * sizeof(float)));
    const size_t largest = b->device.used < NSAMP_CUDA_BUFFER ? b->device.used : NSAMP_CUDA_BUFFER;
    nsamp_status status = nsamp_cuda_transfer_create(&b->transfer, largest, err);
    if (status || !b->cut.rows) return status;
    nsamp_cuda_rsn *own;
    status = nsamp_cuda_rsn_create(&b->view, batch->model, b->cut, &own, err);
    b->view.own = own;
    return status;
}

/* What kernels are told about the batch; the arrays come later. */
static void fill_views(cuda_backend *b, const cudaDeviceProp *device) {
    const nsamp_batch *batch = b->base.batch;
    const nsamp_moments *m = batch->moments;
    b->view.multiprocessors = (uint32_t)device->multiProcessorCount;
    b->view.shared_most = device->sharedMemPerBlockOptin;
    b->view.sm_90a = device->major == 9 && device->minor == 0;
    b->kernel = kernel_of(batch->model, &b->view);
    b->view.tiles = batch->tiles;
    b->view.state_len = (uint32_t)batch->model->state_len;
    b->view.dim = (uint32_t)batch->model->dim;
    b->view.noise = batch->noise;
    b->moments.chains = batch->chains;
    b->moments.tiles = batch->tiles;
    b->moments.dim = (uint32_t)m->dim;
    b->moments.rows = (uint32_t)m->rows;
    b->moments.groups = m->groups;
    b->moments.group_chains = m->group_chains;
    b->moments.group_halves = m->group_halves;
}

/* Everything but memory: kernel, sizes, and the text as far as it is known then. */
static nsamp_status choose(cuda_backend *b, nsamp_batch *batch, const nsamp_job *job, nsamp_error *err) {
    cudaDeviceProp device;
    size_t available;
    NSAMP_CUDA_TRY(err, cudaGetDeviceProperties(&device, 0));
    const nsamp_status status = describe(b, batch, job, &available, err);
    if (status) return status;
    fill_views(b, &device);
    if (!b->kernel)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "these weights do not fit the %zu KiB of shared memory that a block of this GPU has; valid: "
            "run.path = product",
            (size_t)device.sharedMemPerBlockOptin / 1024);
    b->view.fast = nsamp_job_is(job, NSAMP_KEY_run_math, "fast");
    if (b->view.fast && !b->kernel->fast)
        return nsamp_job_fail(job, NSAMP_KEY_run_math, err,
                              "only for langevin on an equicorrelated target, dim to %d",
                              nsamp_cuda_equi_most);
    snprintf(b->base.text, sizeof b->base.text, "cuda, %.80s (compute capability %d.%d)", device.name,
             device.major, device.minor);
    return NSAMP_OK;
}

static nsamp_status make(cuda_backend *b, nsamp_batch *batch, const nsamp_job *job, nsamp_error *err) {
    nsamp_status status = choose(b, batch, job, err);
    if (!status) status = allocate(b, job, err);
    if (status) return status;
    b->view.params = b->params;
    const size_t used = strlen(b->base.text);
    if (b->cut.rows)
        snprintf(b->base.text + used, sizeof b->base.text - used, "; %.100s",
                 nsamp_cuda_rsn_text((const nsamp_cuda_rsn *)b->view.own));
    return NSAMP_OK;
}

extern "C" nsamp_status nsamp_cuda_backend_text(nsamp_batch *batch, const nsamp_job *job, char *text,
                                                size_t size, nsamp_error *err) {
    cuda_backend *b = (cuda_backend *)calloc(1, sizeof *b);
    if (!b) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a backend (%zu bytes)", sizeof *b);
    b->base.batch = batch;
    const nsamp_status status = choose(b, batch, job, err);
    if (!status) snprintf(text, size, "%s", b->base.text);
    free(b);
    return status;
}

extern "C" nsamp_status nsamp_cuda_backend_create(nsamp_batch *batch, const nsamp_job *job,
                                                  nsamp_backend **backend, nsamp_error *err) {
    static const nsamp_backend_ops ops = {"cuda", advance, observe, fetch, destroy};
    *backend = NULL;
    cuda_backend *b = (cuda_backend *)calloc(1, sizeof *b);
    if (!b) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    b->base.ops = &ops;
    const nsamp_status status = make(b, batch, job, err);
    if (status)
        destroy(&b->base);
    else
        *backend = &b->base;
    return status;
}

extern "C" const char *nsamp_cuda_missing(const nsamp_model *model) {
    const char *const missing = nsamp_cuda_device_missing();
    return missing || !model->host_kernel ? missing : nsamp_cuda_blas_missing();
}

extern "C" uint32_t nsamp_cuda_lanes(const nsamp_model *) {
    return L;
}
