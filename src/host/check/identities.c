/* identities.c: what runs must obey beside their laws. */
#include "check/identities.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check/grid.h"
#include "kernels/noise.h"
#include "systems/mh_spiking.h"

static nsamp_status make(nsamp_identity *q, const char *name, size_t count, nsamp_error *err) {
    q->value = calloc(4 * count, sizeof *q->value);
    if (!q->value) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu numbers to compare", count);
    q->se = q->value + count;
    q->expected = q->se + count;
    q->scale = q->expected + count;
    q->count = count;
    q->name = name;
    return NSAMP_OK;
}

/* x of all chains as they are now, [C][D]; NULL: no memory, or the device failed. Kernels see a target about its mean, which is
 * added here. */
static double *last_states(const nsamp_plan *p, nsamp_error *err) {
    const size_t D = p->model->dim, C = p->batch.chains;
    float *seen = malloc(C * D * sizeof *seen);
    double *x = malloc(C * D * sizeof *x);
    const nsamp_record record = {.chains = C, .x = seen, .stride = D};
    const bool room = seen && x;
    if (!room) nsamp_fail(err, NSAMP_ENOMEM, "no memory for the last states (%zu numbers)", C * D);
    if (!room || p->backend->ops->observe(p->backend, &record, err)) {
        free(seen);
        free(x);
        return NULL;
    }
    for (size_t k = 0; k < C * D; k++)
        x[k] = (double)seen[k] + (p->model->offset ? p->model->offset[k % D] : 0);
    free(seen);
    return x;
}

/* ---- a mean that relaxes ------------------------------------------------------------------------------- */

/* offset [D] <- F offset, n times: F = I - h Sigma^-1 by eigenvectors, or 1 - h. */
static nsamp_status relax(const nsamp_target *t, bool natural, double h, uint64_t n, double *offset,
                          nsamp_error *err) {
    const size_t D = t->dim;
    double *v = malloc((D * D + 2 * D) * sizeof *v), *lambda = v ? v + D * D : NULL;
    if (!v) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu eigenvectors", D);
    for (size_t i = 0; i < D; i++)
        for (size_t k = 0; k < D; k++)
            v[i * D + k] = t->cov ? t->cov[i * D + k] : t->variance * (i == k ? 1 : t->rho);
    const bool known =
        LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', (lapack_int)D, v, (lapack_int)D, lambda) == 0;
    double *y = lambda + D;
    for (size_t j = 0; j < D; j++) {
        y[j] = 0;
        for (size_t i = 0; i < D; i++)
            y[j] += v[i * D + j] * offset[i];
        y[j] *= pow(1 - h / (natural ? 1 : lambda[j]), (double)n);
    }
    for (size_t i = 0; i < D; i++) {
        offset[i] = 0;
        for (size_t j = 0; j < D; j++)
            offset[i] += v[i * D + j] * y[j];
    }
    free(v);
    return known ? NSAMP_OK : nsamp_fail(err, NSAMP_EINTERNAL, "LAPACK dsyevd gave up");
}

/* Compared as what is left of the way, a mean over coordinates, whose scale is what the slowest step of 1
 * % would change. */
static nsamp_status relaxation(const nsamp_plan *p, nsamp_identity *q, nsamp_error *err) {
    const nsamp_target *t = p->model->target;
    const size_t D = t->dim, C = p->batch.chains;
    const double h = nsamp_job_real(p->job, NSAMP_KEY_system_dt);
    double *offset = malloc(D * sizeof *offset), from = 0, left = 0, squares = 0, got = 0;
    if (!offset) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a mean");
    memcpy(offset, t->mean, D * sizeof *offset);
    nsamp_status status =
        relax(t, nsamp_job_is(p->job, NSAMP_KEY_system_geometry, "natural"), h, p->steps, offset, err);
    double *x = status ? NULL : last_states(p, err);
    if (!status && !x) status = NSAMP_EIO;
    if (!status) status = make(q, "mean on its way", 1, err);
    for (size_t i = 0; i < D && !status; i++) {
        from += t->mean[i] / (double)D;
        left += offset[i] / (double)D;
    }
    for (size_t c = 0; c < C && !status; c++) {
        double way = 0;
        for (size_t i = 0; i < D; i++)
            way += (t->mean[i] - x[c * D + i]) / (double)D;
        const double shift = way - got;
        got += shift / (double)(c + 1);
        squares += shift * (way - got);
    }
    if (!status) {
        /* left = from F^n: a fault of a share e in the logarithm of F changes it by e times this. */
        *q->scale = fabs(left * log(left / from));
        *q->value = got;
        *q->expected = left;
        *q->se = sqrt(squares / ((double)C - 1) / (double)C);
        /* c and the mean-field term, each below 1, move the factor by 2^-24 of themselves a step */
        q->rounding = 2 * 0x1p-24 * (double)p->steps * fabs(left) / *q->scale;
    }
    free(offset);
    free(x);
    return status;
}

/* ---- moments by a grid
 * ---------------------------------------------------------------------------------- */

static nsamp_status by_grid(const nsamp_plan *p, nsamp_identity *list, nsamp_error *err) {
    const nsamp_target *t = p->model->target;
    const nsamp_summary *s = &p->summary;
    const size_t D = t->dim;
    double mean[2], cov[4];
    nsamp_status status = nsamp_grid_moments(t, nsamp_job_is(p->job, NSAMP_KEY_system_geometry, "natural"),
                                             nsamp_job_real(p->job, NSAMP_KEY_system_dt), mean, cov, err);
    if (!status) status = make(&list[0], "mean (grid)", D, err);
    if (!status) status = make(&list[1], "covariance (grid)", D * D, err);
    for (size_t i = 0; i < D && !status; i++) {
        list[0].value[i] = s->mean[i];
        list[0].se[i] = s->mean_se[i];
        list[0].expected[i] = mean[i];
        list[0].scale[i] = sqrt(cov[i * D + i]);
        for (size_t k = 0; k < D; k++) {
            list[1].value[i * D + k] = s->cov ? s->cov[i * D + k] : s->var[i];
            list[1].se[i * D + k] = s->cov ? s->cov_se[i * D + k] : s->var_se[i];
            list[1].expected[i * D + k] = cov[i * D + k];
            list[1].scale[i * D + k] = sqrt(cov[i * D + i] * cov[k * D + k]);
        }
    }
    return status;
}

/* ---- the leak
 * ------------------------------------------------------------------------------------------- */

/* Gamma_j [p] of A's half j < n/2. */
static void proposal(const nsamp_model *model, const nsamp_mh_network *net, size_t j, double *g) {
    const nsamp_noise_key key = nsamp_noise_key_of(net->weight_seed, 10);
    const size_t p = net->dim;
    double sum = 0;
    for (size_t i = 0; i < p; i++) {
        float z[4];
        nsamp_normals4(key, NSAMP_PURPOSE_WEIGHTS, (uint32_t)j, 0, (uint32_t)(i / 4), z);
        g[i] = sqrt(net->scale) * (double)z[i % 4];
        sum += g[i];
    }
    if (!net->natural) return;
    const double v = model->target->variance, rho = model->target->rho, a = sqrt(v * (1 - rho)),
                 b = (sqrt(v * (1 + ((double)p - 1) * rho)) - a) / (double)p;
    for (size_t i = 0; i < p; i++)
        g[i] = a * g[i] + b * sum;
}

/* z <- (1 - eta) z + Gamma s from z = 0, so that eta (z_0 + ... + z_(T-1)) = Gamma N - z_T: no error but
 * that of float32 sums. */
static nsamp_status leak_balance(const nsamp_plan *p, nsamp_identity *q, nsamp_error *err) {
    const nsamp_mh_network *net = &((const nsamp_mh_extra *)p->model->extra)->net;
    const size_t D = net->dim, n = net->neurons, C = p->batch.chains;
    const double eta = nsamp_job_real(p->job, NSAMP_KEY_system_dt_ms) /
                       nsamp_job_real(p->job, NSAMP_KEY_system_tau_ms),
                 T = (double)p->steps;
    nsamp_status status = make(q, "leak: eta sum z = Gamma spikes - z", D, err);
    double *x = status ? NULL : last_states(p, err);
    double *g = malloc(D * sizeof *g);
    if (!status && !x) status = NSAMP_EIO;
    if (!status && !g) status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a proposal");
    for (size_t j = 0; j < n / 2 && !status; j++) {
        proposal(p->model, net, j, g);
        const double net_spikes = p->statistics[0].value[j] - p->statistics[0].value[j + n / 2];
        for (size_t i = 0; i < D; i++)
            q->expected[i] += g[i] * net_spikes;
    }
    for (size_t i = 0; i < D && !status; i++) {
        double last = 0;
        for (size_t c = 0; c < C; c++)
            last += x[c * D + i] / (double)C;
        q->expected[i] -= last;
        q->value[i] = eta * (T * p->summary.mean[i] - last);
        q->se[i] = 1e-4 * fabs(q->expected[i]); /* not chance: float32 sums, some 1e-6 of eta z a step each */
        q->scale[i] = fabs(q->expected[i]);
    }
    q->rounding = 0x1p-24 / eta; /* of 1 - eta */
    free(g);
    free(x);
    return status;
}

bool nsamp_is_relaxation(const nsamp_plan *p) {
    return nsamp_job_is(p->job, NSAMP_KEY_system_name, "langevin") &&
           (p->model->target->gaussian || p->model->law.var) &&
           nsamp_job_is(p->job, NSAMP_KEY_run_start, "zero") && p->burn_in + 2 == p->steps;
}

nsamp_status nsamp_identities(const nsamp_plan *p, nsamp_identity *list, nsamp_error *err) {
    const nsamp_target *t = p->model->target;
    const bool langevin = nsamp_job_is(p->job, NSAMP_KEY_system_name, "langevin"),
               zero = nsamp_job_is(p->job, NSAMP_KEY_run_start, "zero");
    if (nsamp_is_relaxation(p)) return relaxation(p, &list[0], err);
    if (langevin && !t->gaussian && !p->model->law.var && t->dim <= 2 && t->ops->score && t->mean && t->var)
        return by_grid(p, list, err);
    if (nsamp_job_is(p->job, NSAMP_KEY_system_name, "mh-spiking") &&
        nsamp_job_bool(p->job, NSAMP_KEY_system_leak) && zero && !p->burn_in && p->accumulate_every == 1 &&
        p->nstatistics && !t->cov)
        return leak_balance(p, &list[0], err);
    return NSAMP_OK;
}
