/* cuda_learner.cu: train/learner.h on one GPU: weights, moments and, where it fits, the data set stay on the device; a
 * block of steps is enqueued without a stop, its noise drawn in the kernels, its losses fetched at the end. */
#include "kernels/cuda_train_step.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

extern "C" {
#include "error.h"
}

typedef struct cuda_learner {
    nsamp_learner base;
    nsamp_cuda_step step;
    float *numbers;     /* on the host, as get gives them */
    float *data;        /* the data set on the device; NULL: none */
    float *x0;          /* on the device: rows that come from the host */
    size_t x0_rows;     /* that it has room for */
    uint32_t *named;    /* [NSAMP_BLOCK_STEPS][batch] on the device */
    nsamp_error failed; /* of the first call that failed */
} cuda_learner;

/* ---- numbers ------------------------------------------------------------------------------------------- */

/* Rows of `width` floats between the host's array without gaps and the device's with rows of row_m. */
static nsamp_status copy_rows(cuda_learner *l, float *device, float *host, size_t width, size_t rows, bool up,
                              nsamp_error *err) {
    const size_t bytes = width * sizeof(float), gap = l->step.t.row_m * sizeof(float);
    if (up)
        NSAMP_CUDA_TRY(err, cudaMemcpy2DAsync(device, gap, host, bytes, bytes, rows, cudaMemcpyHostToDevice,
                                              l->step.t.stream));
    else
        NSAMP_CUDA_TRY(err, cudaMemcpy2DAsync(host, bytes, device, gap, bytes, rows, cudaMemcpyDeviceToHost,
                                              l->step.t.stream));
    return NSAMP_OK;
}

/* All numbers, up or down: each of the weights and moments is W2, W1 and b on the host. */
static nsamp_status copy_numbers(cuda_learner *l, bool up, nsamp_error *err) {
    const nsamp_cuda_train *t = &l->step.t;
    const size_t m = t->m, n = t->n;
    float *const parts[] = {t->w, t->mean, t->square, t->largest};
    nsamp_status status = NSAMP_OK;
    for (int i = 0; i < 4 && parts[i] && !status; i++) {
        float *const host = l->numbers + i * nsamp_learner_weights(&l->base.shape);
        status = copy_rows(l, parts[i], host, m, n, up, err);
        if (!status) status = copy_rows(l, parts[i] + t->row_n * t->row_m, host + n * m, m, n, up, err);
        if (!status) status = copy_rows(l, parts[i] + m, host + 2 * n * m, 1, n, up, err);
    }
    if (!status && up && t->bf16) NSAMP_CUDA_TRY(err, nsamp_cuda_train_round(t));
    if (!status) NSAMP_CUDA_TRY(err, cudaStreamSynchronize(t->stream));
    return status;
}

/* Keeps the first failure; true if it is one. */
static bool fails(cuda_learner *l, nsamp_status status, const nsamp_error *err) {
    if (status && !l->failed.status) l->failed = *err;
    return status != NSAMP_OK;
}

static float *cuda_get(nsamp_learner *base) {
    cuda_learner *l = (cuda_learner *)base;
    nsamp_error err;
    fails(l, copy_numbers(l, false, &err), &err);
    return l->numbers;
}

static void cuda_put(nsamp_learner *base) {
    cuda_learner *l = (cuda_learner *)base;
    nsamp_error err;
    fails(l, copy_numbers(l, true, &err), &err);
}

static nsamp_status cuda_check(nsamp_learner *base, nsamp_error *err) {
    const cuda_learner *l = (const cuda_learner *)base;
    return l->failed.status ? nsamp_fail(err, l->failed.status, "%s", l->failed.text) : NSAMP_OK;
}

/* ---- what a step works on ------------------------------------------------------------------------------ */

static nsamp_status send(cuda_learner *l, void *to, const void *from, size_t bytes, nsamp_error *err) {
    NSAMP_CUDA_TRY(err, cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, l->step.t.stream));
    return NSAMP_OK;
}

/* Rows of the host -> x0. */
static nsamp_status send_x0(cuda_learner *l, const float *x0, size_t rows, nsamp_error *err) {
    const size_t row = l->step.t.m * sizeof(float);
    if (rows > l->x0_rows) {
        cudaFree(l->x0);
        l->x0 = NULL;
        l->x0_rows = 0;
        NSAMP_CUDA_TRY(err, cudaMalloc((void **)&l->x0, rows * row));
        l->x0_rows = rows;
    }
    return send(l, l->x0, x0, rows * row, err);
}

static nsamp_status send_head(cuda_learner *l, const nsamp_level *level, nsamp_cuda_head head,
                              nsamp_error *err) {
    head.residual = nsamp_residual_of(&l->base.shape, level);
    head.sigma = (float)level->sigma;
    head.data = l->data;
    head.x0 = l->x0;
    return send(l, l->step.t.head, &head, sizeof head, err);
}

/* x0 and eps [rows][m] of the host (eps NULL: none) for what follows; other rows of the batch are rows of x0 again. */
static nsamp_status send_given(cuda_learner *l, const nsamp_level *level, size_t rows, const float *x0,
                               const float *eps, nsamp_error *err) {
    nsamp_cuda_head head = {};
    head.noise = eps ? NSAMP_CUDA_NOISE_GIVEN : NSAMP_CUDA_NO_NOISE;
    nsamp_status status = send_x0(l, x0, rows, err);
    if (!status && eps) status = copy_rows(l, l->step.t.eps, (float *)eps, l->step.t.m, rows, true, err);
    return status ? status : send_head(l, level, head, err);
}

static nsamp_status finish(cuda_learner *l, void *to, const void *from, size_t bytes, nsamp_error *err) {
    NSAMP_CUDA_TRY(err, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, l->step.t.stream));
    NSAMP_CUDA_TRY(err, cudaStreamSynchronize(l->step.t.stream));
    return NSAMP_OK;
}

/* ---- steps --------------------------------------------------------------------------------------------- */

static nsamp_status cuda_block(nsamp_learner *base, const nsamp_train_block *b, double *losses,
                               nsamp_error *err) {
    cuda_learner *l = (cuda_learner *)base;
    const nsamp_cuda_train *t = &l->step.t;
    nsamp_cuda_head head = {};
    head.noise = NSAMP_CUDA_NOISE_DRAWN;
    head.key = b->key;
    head.first = b->first;
    head.named = b->named ? l->named : NULL;
    nsamp_status status = b->named ? send(l, l->named, b->named, b->steps * t->batch * sizeof *b->named, err)
                                   : send_x0(l, b->x0, b->steps * t->batch, err);
    if (!status) status = send_head(l, &b->level, head, err);
    if (!status) status = send(l, t->adam, b->adam, b->steps * sizeof *b->adam, err);
    if (!status) status = send(l, t->widen, b->widen, t->batch * sizeof *b->widen, err);
    if (!status) status = nsamp_cuda_step_run(&l->step, b->steps, err);
    return status ? status : finish(l, losses, t->losses, b->steps * sizeof *losses, err);
}

static double cuda_one_step(nsamp_learner *base, const nsamp_level *level, const nsamp_adam *adam,
                            const float *x0, const float *eps) {
    cuda_learner *l = (cuda_learner *)base;
    double loss = NAN;
    nsamp_error err;
    nsamp_status status = send_given(l, level, base->shape.batch, x0, eps, &err);
    if (!status) status = send(l, l->step.t.adam, adam, sizeof *adam, &err);
    if (!status) status = nsamp_cuda_step_run(&l->step, 1, &err);
    if (!status) status = finish(l, &loss, l->step.t.losses, sizeof loss, &err);
    return fails(l, status, &err) ? NAN : loss;
}

static nsamp_status take_loss(cuda_learner *l, const nsamp_level *level, size_t rows, const float *x0,
                              const float *eps, double *loss, nsamp_error *err) {
    nsamp_status status = send_given(l, level, rows, x0, eps, err);
    if (!status) status = nsamp_cuda_step_forward(&l->step, err);
    if (status) return status;
    NSAMP_CUDA_TRY(err, nsamp_cuda_train_residual(&l->step.t));
    return finish(l, loss, l->step.t.loss, rows * sizeof *loss, err);
}

static void cuda_loss(nsamp_learner *base, const nsamp_level *level, size_t rows, const float *x0,
                      const float *eps, double *loss) {
    cuda_learner *l = (cuda_learner *)base;
    nsamp_error err;
    if (!fails(l, take_loss(l, level, rows, x0, eps, loss, &err), &err)) return;
    for (size_t r = 0; r < rows; r++)
        loss[r] = NAN;
}

static nsamp_status take_forward(cuda_learner *l, size_t rows, const float *x, float *f, nsamp_error *err) {
    const nsamp_level none = {1.0, 1.0};
    nsamp_status status = send_given(l, &none, rows, x, NULL, err);
    if (!status) status = nsamp_cuda_step_forward(&l->step, err);
    if (!status) status = copy_rows(l, l->step.t.f, f, l->step.t.m, rows, false, err);
    if (!status) NSAMP_CUDA_TRY(err, cudaStreamSynchronize(l->step.t.stream));
    return status;
}

static void cuda_forward(nsamp_learner *base, size_t rows, const float *x, float *f) {
    cuda_learner *l = (cuda_learner *)base;
    nsamp_error err;
    if (!fails(l, take_forward(l, rows, x, f, &err), &err)) return;
    for (size_t i = 0; i < rows * base->shape.m; i++)
        f[i] = NAN;
}

/* Half of what is free is left for x0 and for others. */
static bool cuda_keep(nsamp_learner *base, size_t rows, const float *data) {
    cuda_learner *l = (cuda_learner *)base;
    const size_t bytes = rows * base->shape.m * sizeof(float);
    size_t available = 0, total = 0;
    nsamp_error err;
    if (cudaMemGetInfo(&available, &total) != cudaSuccess || bytes > available / 2) return false;
    if (cudaMalloc((void **)&l->data, bytes) != cudaSuccess) {
        l->data = NULL;
        return false;
    }
    return !fails(l, send(l, l->data, data, bytes, &err), &err);
}

/* ---- life ---------------------------------------------------------------------------------------------- */

static void cuda_destroy(nsamp_learner *base) {
    cuda_learner *l = (cuda_learner *)base;
    if (l->step.t.stream) cudaStreamSynchronize(l->step.t.stream);
    nsamp_cuda_step_destroy(&l->step);
    cudaFree(l->data);
    cudaFree(l->x0);
    cudaFree(l->named);
    free(l->numbers);
    free(l);
}

static nsamp_status allocate(cuda_learner *l, nsamp_error *err) {
    const size_t batch = l->base.shape.batch, named = NSAMP_BLOCK_STEPS * batch * sizeof *l->named;
    l->numbers = (float *)calloc(nsamp_learner_numbers(&l->base.shape), sizeof *l->numbers);
    l->x0_rows = batch;
    if (!l->numbers) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the weights of a training");
    NSAMP_CUDA_TRY(err, cudaMalloc((void **)&l->named, named));
    NSAMP_CUDA_TRY(err, cudaMalloc((void **)&l->x0, batch * l->base.shape.m * sizeof *l->x0));
    NSAMP_CUDA_TRY(err, cudaMemsetAsync(l->x0, 0, batch * l->base.shape.m * sizeof *l->x0, l->step.t.stream));
    return NSAMP_OK;
}

extern "C" nsamp_status nsamp_cuda_learner_create(const nsamp_learner_shape *shape, nsamp_learner **learner,
                                                  nsamp_error *err) {
    static const nsamp_learner_ops ops = {"cuda",       cuda_block, cuda_keep, cuda_one_step, cuda_loss,
                                          cuda_forward, cuda_get,   cuda_put,  cuda_check,    cuda_destroy};
    static const char *const names[] = {"fp32", "bf16", "tf32"};
    *learner = NULL;
    cuda_learner *l = (cuda_learner *)calloc(1, sizeof *l);
    if (!l) return nsamp_fail(err, NSAMP_ENOMEM, "no memory to train");
    l->base.ops = &ops;
    l->base.shape = *shape;
    l->base.library = true;
    nsamp_status status = nsamp_cuda_step_create(&l->step, shape, err);
    if (!status) status = allocate(l, err);
    if (status) {
        cuda_destroy(&l->base);
        return status;
    }
    cudaDeviceProp device;
    if (cudaGetDeviceProperties(&device, 0) != cudaSuccess) device.name[0] = 0;
    snprintf(l->base.text, sizeof l->base.text,
             "cuda, %.120s, %s, %s, %.3g GB on the device, chunks of %u units", device.name,
             names[shape->precision], nsamp_cuda_blas_name(l->step.blas), (double)l->step.device.used * 1e-9,
             l->step.units);
    *learner = &l->base;
    return NSAMP_OK;
}

extern "C" const char *nsamp_cuda_learner_missing(void) {
    const char *const missing = nsamp_cuda_device_missing();
    return missing ? missing : nsamp_cuda_blas_missing();
}
