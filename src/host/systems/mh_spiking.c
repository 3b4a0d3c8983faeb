/* mh_spiking.c: builds the spiking Metropolis-Hastings network: Gamma, whitened tables, start. */
#include "systems/mh_spiking.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eigen.h"
#include "error.h"
#include "kernels/systems/mh_spiking.h"
#include "systems/range.h"
#include "systems/start.h"

/* ---- Sigma^(1/2) and its inverse ----------------------------------------------------------------------- */

typedef struct nsamp_roots {
    double a, b, inverse_a, inverse_b; /* a I + b 1 1^T */
    double *root, *inverse;            /* [p * p]; NULL when equicorrelated */
} nsamp_roots;

static void roots_equicorrelated(size_t p, double variance, double rho, nsamp_roots *r) {
    double small = sqrt(variance * (1.0 - rho)), large = sqrt(variance * (1.0 + ((double)p - 1.0) * rho));
    r->a = small;
    r->b = (large - small) / (double)p;
    r->inverse_a = 1.0 / small;
    r->inverse_b = (1.0 / large - 1.0 / small) / (double)p;
}

/* Symmetric roots by the eigenvectors of cov. */
static nsamp_status roots_general(size_t p, const double *cov, nsamp_roots *r, nsamp_error *err) {
    double *vectors = malloc(2 * p * p * sizeof(double)), *values = malloc(p * sizeof(double));
    double *const copy = vectors ? vectors + p * p : NULL;
    r->root = calloc(p * p, sizeof(double));
    r->inverse = calloc(p * p, sizeof(double));
    nsamp_status status = NSAMP_OK;
    if (!vectors || !values || !r->root || !r->inverse) {
        status = nsamp_fail(err, NSAMP_ENOMEM,
                            "mh-spiking: no memory for the square root of a %zu x %zu covariance", p, p);
    } else {
        memcpy(copy, cov, p * p * sizeof(double));
        status = nsamp_eigen(p, copy, p, values, vectors, err);
        if (!status && !(values[0] > 0.0))
            status = nsamp_fail(
                err, NSAMP_EUSAGE,
                "mh-spiking: the target's covariance is not positive definite (smallest eigenvalue %g)",
                values[0]);
        for (size_t k = 0; k < p && !status; k++) {
            double root = sqrt(values[k]);
            for (size_t i = 0; i < p; i++) {
                for (size_t j = 0; j < p; j++) {
                    double product = vectors[k * p + i] * vectors[k * p + j];
                    r->root[i * p + j] += root * product;
                    r->inverse[i * p + j] += product / root;
                }
            }
        }
    }
    free(vectors);
    free(values);
    return status;
}

/* y = (a I + b 1 1^T) x, or matrix x; y must not be x. */
static void apply_root(size_t p, double a, double b, const double *matrix, const double *x, double *y) {
    double sum = 0.0;
    for (size_t i = 0; i < p; i++)
        sum += x[i];
    for (size_t i = 0; i < p; i++) {
        y[i] = a * x[i] + b * sum;
        if (matrix) {
            y[i] = 0.0;
            for (size_t j = 0; j < p; j++)
                y[i] += matrix[i * p + j] * x[j];
        }
    }
}

/* ---- the parameter block ------------------------------------------------------------------------------- */

/* Column j of A [p]: normals of variance scale, a pure function of the weight seed. */
static void draw_column(const nsamp_mh_network *net, size_t j, double *a) {
    nsamp_noise_key key = nsamp_noise_key_of(net->weight_seed, 10);
    double sd = sqrt(net->scale);
    for (size_t i = 0; i < net->dim; i += 4) {
        float z[4];
        nsamp_normals4(key, NSAMP_PURPOSE_WEIGHTS, (uint32_t)j, 0, (uint32_t)(i / 4), z);
        for (size_t k = i; k < i + 4 && k < net->dim; k++)
            a[k] = sd * (double)z[k - i];
    }
}

static nsamp_status check_network(const nsamp_mh_network *net, nsamp_error *err) {
    if (net->neurons < 2 || net->neurons % 2 || net->neurons > UINT32_MAX)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "system.neurons = %zu: must be even and at least 2, for Gamma = [A, -A]",
                          net->neurons);
    if (((double)net->neurons + 1) * (double)NSAMP_MH_STRIDE(net->dim) > 0x1p30)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "system.neurons = %zu: with target.dim = %zu the table of proposals would exceed 2^30 numbers",
            net->neurons, net->dim);
    if (net->leak && !(net->dt_ms < net->tau_ms))
        return nsamp_fail(err, NSAMP_EUSAGE, "system.dt_ms = %g: must be below system.tau_ms = %g",
                          net->dt_ms, net->tau_ms);
    const double eta = net->leak ? net->dt_ms / net->tau_ms : 0.0;
    if (fabs(1.0 - (double)(float)(1.0 - eta) - eta) > NSAMP_RANGE_ROUNDING * eta)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "system.dt_ms = %g: of system.tau_ms = %g, so that a step leaks %.2g of a chain, which float32 "
            "has in 1 minus it to a few %% only; valid: from %.2g, or system.leak = no",
            net->dt_ms, net->tau_ms, eta, 0x1p-25 / NSAMP_RANGE_ROUNDING * net->tau_ms);
    if (!net->cov &&
        !(net->variance > 0.0 && net->rho < 1.0 && 1.0 + ((double)net->dim - 1.0) * net->rho > 0.0))
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "mh-spiking: target.rho = %g, target.variance = %g is not a covariance", net->rho,
                          net->variance);
    return NSAMP_OK;
}

static nsamp_status make_params(const nsamp_mh_network *net, const nsamp_roots *roots, nsamp_model *model,
                                nsamp_error *err) {
    const size_t p = net->dim, P = NSAMP_MH_STRIDE(p), half = net->neurons / 2, word = sizeof(float);
    const double eta = net->leak ? net->dt_ms / net->tau_ms : 0.0;
    nsamp_mh_spiking_params head = {.dim = (uint32_t)p,
                                    .stride = (uint32_t)P,
                                    .neurons = (uint32_t)net->neurons,
                                    .counts = net->counts,
                                    .leak = eta > 0,
                                    .equi = net->cov == NULL};
    head.cool = (float)(-1.0 / net->gain);
    head.root_a = (float)roots->a;
    head.root_b = (float)roots->b;
    head.burn_in = net->burn_in;
    head.row_offset = (sizeof head + 63) / 64 * 64;
    head.keep_offset = head.row_offset + (net->neurons + 1) * P * word;
    head.shift_offset = head.keep_offset + P * word;
    head.root_offset = head.shift_offset + P * word;
    const size_t bytes = head.root_offset + (net->cov ? p * p * word : 0);
    double *column = malloc(2 * p * sizeof(double));
    if (!column || posix_memalign(&model->params, 64, (bytes + 63) / 64 * 64)) {
        free(column);
        model->params = NULL;
        return nsamp_fail(err, NSAMP_ENOMEM, "mh-spiking: no memory for %zu bytes of weights", bytes);
    }
    model->params_bytes = (bytes + 63) / 64 * 64;
    memset(model->params, 0, model->params_bytes);
    memcpy(model->params, &head, sizeof head);
    char *base = model->params;
    float *rows = (float *)(base + head.row_offset), *keep = (float *)(base + head.keep_offset);
    float *shift = (float *)(base + head.shift_offset), *root = (float *)(base + head.root_offset);
    const nsamp_mh_extra *extra = model->extra;
    double largest = 0.0;
    for (size_t j = 0; j < half; j++) {
        double square = 0.0;
        draw_column(net, j, column);
        if (!net->natural)
            apply_root(p, roots->inverse_a, roots->inverse_b, roots->inverse, column, column + p);
        float *const row = rows + (1 + j) * P, *const opposite = row + half * P;
        for (size_t i = 0; i < p; i++) {
            row[i] = (float)column[net->natural ? i : p + i];
            opposite[i] = -row[i];
            square += (double)row[i] * row[i];
        }
        row[p] = opposite[p] = (float)(square / 2.0);
        largest = fmax(largest, isfinite(square) ? fmax(net->gain, 1.0) * square : INFINITY);
    }
    shift[p] = 1.0f;
    for (size_t i = 0; i < p; i++) {
        keep[i] = (float)(1.0 - eta);
        shift[i] = (float)(0.0 - eta * extra->inverse_mean[i]);
        /* A silent network decays to here and not into the subnormal numbers, where a step would take forty times as long; nor to -0. */
        if (eta > 0 && fabsf(shift[i]) < 0x1p-90f) shift[i] = 0x1p-90f;
        if (net->cov) nsamp_factor_row(roots->root + i * p, p, root + i * p);
    }
    free(column);
    if (largest > FLT_MAX)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "system.scale = %g: with this target and system.gain = %g, spikes are too large for float32",
            net->scale, net->gain);
    return NSAMP_OK;
}

/* ---- start --------------------------------------------------------------------------------------------- */

static void start(const nsamp_model *model, nsamp_noise_key key, uint32_t chain, double *z, float *state) {
    const nsamp_mh_extra *extra = model->extra;
    const nsamp_mh_network *net = &extra->net;
    const size_t p = net->dim;
    const double scale = net->start == NSAMP_MH_TARGET ? 1.0 / sqrt(net->gain) : net->start_scale;
    double sum = 0.0;
    for (size_t i = 0; i < p; i += 4) {
        float normal[4];
        nsamp_words w = nsamp_draw_words(key, NSAMP_PURPOSE_START, chain, 0, (uint32_t)(i / 4));
        nsamp_normals4(key, NSAMP_PURPOSE_START, chain, 0, (uint32_t)(i / 4), normal);
        for (size_t k = i; k < i + 4 && k < p; k++) {
            double uniform = 2.0 * (double)nsamp_uniform(w.w[k - i]) - 1.0;
            z[k] = net->start == NSAMP_MH_ZERO
                       ? 0.0
                       : scale * (net->start == NSAMP_MH_UNIFORM ? uniform : (double)normal[k - i]);
            sum += z[k];
        }
    }
    for (size_t i = 0; i < p; i++) {
        double v = extra->inverse_a * z[i] + extra->inverse_b * sum;
        if (extra->inverse_root) {
            v = 0.0;
            for (size_t j = 0; j < p; j++)
                v += extra->inverse_root[i * p + j] * z[j];
        }
        state[i] = 0.0f + (float)(net->start == NSAMP_MH_TARGET ? z[i] : v - extra->inverse_mean[i]);
    }
    for (size_t i = p; i < model->state_len; i++)
        state[i] = 0.0f;
}

/* How far a chain may be from mu, in whitened coordinates: where it begins, or where a leak that spikes
 * cannot hold takes it. */
static double farthest(const nsamp_mh_network *net, const nsamp_mh_extra *extra) {
    const size_t p = net->dim;
    double most = 0.0;
    const bool from_zero = net->leak || net->start != NSAMP_MH_TARGET;
    const double scale =
        net->start == NSAMP_MH_ZERO || net->start == NSAMP_MH_TARGET ? 0.0 : net->start_scale;
    for (size_t i = 0; i < p; i++) {
        double root = fabs(extra->inverse_a) + (double)p * fabs(extra->inverse_b);
        for (size_t j = 0; extra->inverse_root && j < p; j++)
            root = (j ? root : 0.0) + fabs(extra->inverse_root[i * p + j]);
        most = fmax(most, (from_zero ? fabs(extra->inverse_mean[i]) : 0.0) + 2.0 * scale * root);
    }
    return most + 2.0 / sqrt(net->gain);
}

/* Where a chain may be, float32 moves it by whole multiples of its spacing there: 1 % of a spike at most, or
 * spikes, and the leak that they hold against, are off by more. */
static nsamp_status check_spikes(const nsamp_model *model, nsamp_error *err) {
    const nsamp_mh_extra *extra = model->extra;
    const nsamp_mh_network *net = &extra->net;
    const nsamp_mh_spiking_params *params = model->params;
    const size_t p = net->dim, half = net->neurons / 2;
    const double far = farthest(net, extra);
    double sum = 0.0;
    for (size_t j = 0; j < half; j++) {
        const float *const row = nsamp_mh_table(params, params->row_offset) + (1 + j) * params->stride;
        for (size_t i = 0; i < p; i++)
            sum += (double)row[i] * (double)row[i];
    }
    const double square = sum / (double)(half * p);
    if (0x1p-23 * far <= NSAMP_RANGE_ROUNDING * sqrt(square)) return NSAMP_OK;
    return nsamp_fail(
        err, NSAMP_EUSAGE,
        "system.scale = %g: spikes move a chain by %.3g standard deviations of the target, and it may be "
        "%.3g of them from the mean (target.mean, run.start), where float32 has steps of %.2g; valid: "
        "larger spikes, a mean nearer to 0%s",
        net->scale, sqrt(square), far, 0x1p-23 * far,
        net->leak ? ", or system.leak = no" : ", or run.start = target");
}

/* ---- the model ----------------------------------------------------------------------------------------- */

static void destroy(nsamp_model *model) {
    nsamp_mh_extra *extra = model->extra;
    if (!extra) return;
    free(extra->inverse_mean);
    free(extra->inverse_root);
    free(extra);
    model->extra = NULL;
}

nsamp_status nsamp_mh_model(const nsamp_mh_network *net, nsamp_model *model, nsamp_error *err) {
    nsamp_roots roots = {0};
    nsamp_status status = check_network(net, err);
    if (status) return status;
    const size_t p = net->dim;
    nsamp_mh_extra *extra = calloc(1, sizeof *extra);
    model->extra = extra;
    model->destroy = destroy;
    if (!extra || !(extra->inverse_mean = calloc(p, sizeof(double))))
        return nsamp_fail(err, NSAMP_ENOMEM, "mh-spiking: no memory for dimension %zu", p);
    extra->net = *net;
    extra->net.mean = extra->net.cov = NULL;
    if (net->cov)
        status = roots_general(p, net->cov, &roots, err);
    else
        roots_equicorrelated(p, net->variance, net->rho, &roots);
    if (!status) status = nsamp_model_centre(model, p, net->mean, NULL, err);
    if (!status) {
        extra->inverse_a = roots.inverse_a;
        extra->inverse_b = roots.inverse_b;
        if (net->mean)
            apply_root(p, roots.inverse_a, roots.inverse_b, roots.inverse, net->mean, extra->inverse_mean);
        status = make_params(net, &roots, model, err);
    }
    extra->inverse_root = roots.inverse;
    free(roots.root);
    if (!status) status = check_spikes(model, err);
    if (status) return status;
    model->system = "mh-spiking";
    model->kernel = NSAMP_KERNEL_mh_spiking;
    model->dim = p;
    model->state_len = p + (net->counts ? net->neurons : 0);
    model->scratch_bytes = NSAMP_MH_SPIKING_SCRATCH(64, p);
    model->draws = 2;
    model->flops = 5.0 * (double)p;
    model->sum_moments = !net->cov;
    model->start = start;
    static const int kinds[] = {NSAMP_START_ZERO, NSAMP_START_NORMAL, NSAMP_START_UNIFORM,
                                NSAMP_START_TARGET};
    nsamp_start_describe(model, kinds[net->start], net->start_scale);
    model->statistics = net->counts ? nsamp_mh_statistics : NULL;
    return nsamp_mh_law(net, model, err);
}
