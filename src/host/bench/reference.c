/* reference.c: see reference.h. */
#include "bench/reference.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "systems/rsn.h"

enum { STEPS = 3, CHAINS = 4 };
static const double MOST_FP32 = 2e-3, MOST_BF16 = 3e-2;
static const double PI = 3.14159265358979323846;

static double phi(nsamp_activation activation, double a) {
    if (activation == NSAMP_TANH) return tanh(a);
    return activation == NSAMP_RELU ? fmax(a, 0) : log1p(exp(-fabs(a))) + fmax(a, 0);
}

/* -x + W1 phi(W2 x + b). */
static void network_drift(const nsamp_network *net, const double *x, double *drift) {
    const size_t m = net->m, n = net->n;
    for (size_t i = 0; i < m; i++)
        drift[i] = -x[i];
    for (size_t j = 0; j < n; j++) {
        double a = (double)net->b[j];
        for (size_t i = 0; i < m; i++)
            a += (double)net->w2[j * m + i] * x[i];
        a = phi(net->activation, a);
        for (size_t i = 0; i < m; i++)
            drift[i] += (double)net->w1[i * n + j] * a;
    }
}

/* The drift at x; false where there is no reference. drift NULL: only asks. */
static bool drift_of(const nsamp_plan *p, const double *x, double *drift) {
    const nsamp_model *m = p->model;
    if (m->kernel == NSAMP_KERNEL_rsn && nsamp_job_is(p->job, NSAMP_KEY_system_level, "output") &&
        !nsamp_job_bool(p->job, NSAMP_KEY_system_jump)) {
        if (drift) network_drift(((const nsamp_rsn_extra *)m->extra)->net, x, drift);
        return true;
    }
    if ((m->kernel != NSAMP_KERNEL_langevin_equi && m->kernel != NSAMP_KERNEL_langevin_score) ||
        !nsamp_job_is(p->job, NSAMP_KEY_system_geometry, "naive"))
        return false;
    if (drift) m->target->ops->score(m->target, x, drift);
    return true;
}

/* Size of the noise in a step: a network in denoiser form has it in units of sigma. */
static double noise_size(const nsamp_plan *p, double h) {
    if (p->model->kernel != NSAMP_KERNEL_rsn) return sqrt(2 * h);
    const nsamp_network *net = ((const nsamp_rsn_extra *)p->model->extra)->net;
    return sqrt(2 * h) * (net->denoiser ? net->sigma : 1);
}

/* Normals of block b of a step that is `back` before this one: those of noise.h, or what run.math = fast approximates from the same words (kernels/cuda_noise.h). */
static void normals(const nsamp_plan *p, uint32_t chain, uint32_t back, uint32_t b, double z[4]) {
    const uint64_t step = p->step - back;
    float exact[4];
    if (!nsamp_job_is(p->job, NSAMP_KEY_run_math, "fast")) {
        nsamp_normals4(p->batch.noise, NSAMP_PURPOSE_STEP, chain, step, b, exact);
        for (int k = 0; k < 4; k++)
            z[k] = (double)exact[k];
        return;
    }
    const nsamp_words w = nsamp_draw_words(p->batch.noise, NSAMP_PURPOSE_STEP, chain, step, b);
    for (int k = 0; k < 4; k += 2) {
        const double r = sqrt(-2 * log(((double)w.w[k] + 0.5) * 0x1p-32)),
                     angle = PI * 0x1p-31 * (double)(int32_t)w.w[k + 1];
        z[k] = r * cos(angle);
        z[k + 1] = r * sin(angle);
    }
}

/* Adds the squares of one chain's step. */
static void add_step(const nsamp_plan *p, uint32_t chain, const float *from, const float *to, double *work,
                     double *wrong, double *size) {
    const size_t D = p->model->dim;
    const double h = nsamp_job_real(p->job, NSAMP_KEY_system_dt), a = noise_size(p, h);
    /* Steps of Langevin systems share the last block (nsamp_tail_steps). */
    const uint32_t sharing = p->model->kernel == NSAMP_KERNEL_rsn ? 1 : nsamp_tail_steps((uint32_t)D),
                   at = (uint32_t)(p->step % sharing);
    double *const x = work, *const drift = work + D;
    double z[4] = {0};
    for (size_t i = 0; i < D; i++)
        x[i] = (double)from[i] + (p->model->offset ? p->model->offset[i] : 0);
    drift_of(p, x, drift);
    for (size_t i = 0; i < D; i++) {
        const uint32_t block = (uint32_t)(i / 4), number = (uint32_t)(i % 4);
        const bool last = block == D / 4;
        if (number == 0) normals(p, chain, last ? at : 0, block, z);
        const double moved = (double)to[i] - (double)from[i] -
                             a * z[last ? (uint32_t)(D % 4) * at + number : number],
                     want = h * drift[i];
        *wrong += (moved - want) * (moved - want);
        *size += want * want;
    }
}

static nsamp_status compare(nsamp_plan *p, float *x, double *work, double *error, nsamp_error *err) {
    const size_t D = p->model->dim, n = p->batch.chains < CHAINS ? (size_t)p->batch.chains : CHAINS;
    float *const from = x, *const to = x + n * D;
    double wrong = 0, size = 0;
    nsamp_status status = p->backend->ops->observe(p->backend, &(nsamp_record){n, from, D}, err);
    for (int k = 0; k < STEPS && !status; k++) {
        status = p->backend->ops->advance(p->backend, p->step, p->step + 1, NULL, err);
        if (!status) status = p->backend->ops->observe(p->backend, &(nsamp_record){n, to, D}, err);
        for (size_t c = 0; c < n && !status; c++)
            add_step(p, (uint32_t)c, from + c * D, to + c * D, work, &wrong, &size);
        memcpy(from, to, n * D * sizeof *x);
        p->step++;
    }
    if (status) return status;
    const double most = nsamp_job_is(p->job, NSAMP_KEY_run_precision, "bf16") ? MOST_BF16 : MOST_FP32;
    *error = sqrt(wrong / size);
    if (*error <= most) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ECHECK,
                      "its first steps differ from the equation in double precision by %.2g of the drift; at "
                      "most %.0e is rounding",
                      *error, most);
}

nsamp_status nsamp_reference_check(nsamp_plan *p, double *error, nsamp_error *err) {
    const size_t D = p->model->dim;
    *error = -1;
    if (!drift_of(p, NULL, NULL)) return NSAMP_OK;
    float *x = malloc(2 * CHAINS * D * sizeof *x);
    double *work = malloc(2 * D * sizeof *work);
    const nsamp_status status =
        x && work ? compare(p, x, work, error, err) : nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    free(x);
    free(work);
    return status;
}
