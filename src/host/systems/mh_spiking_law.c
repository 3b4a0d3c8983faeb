/* mh_spiking_law.c: what the spiking Metropolis-Hastings network must obey, and its spike statistics. */
#include "systems/mh_spiking.h"

#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kernels/systems/mh_spiking.h"
#include "stats/spikes.h"

/* w_j [p] of neuron j < n/2 in whitened coordinates, from A and the target in double; that of neuron j + n/2 is its opposite. The kernel
 * has it in float32: that moves an acceptance by less than 1e-6 (2 x^2 + 1) of itself, x the argument of erfc. False: no memory. */
static bool weights(const nsamp_model *model, size_t j, double *w) {
    const nsamp_mh_extra *extra = model->extra;
    const nsamp_mh_network *net = &extra->net;
    const nsamp_noise_key key = nsamp_noise_key_of(net->weight_seed, 10);
    const size_t p = net->dim;
    double *a = malloc(p * sizeof *a), sum = 0.0;
    if (!a) return false;
    for (size_t i = 0; i < p; i++) {
        float z[4];
        nsamp_normals4(key, NSAMP_PURPOSE_WEIGHTS, (uint32_t)j, 0, (uint32_t)(i / 4), z);
        a[i] = sqrt(net->scale) * (double)z[i % 4];
        sum += a[i];
    }
    for (size_t i = 0; i < p; i++) {
        w[i] = net->natural ? a[i] : extra->inverse_a * a[i] + extra->inverse_b * sum;
        if (net->natural || !extra->inverse_root) continue;
        w[i] = 0.0;
        for (size_t k = 0; k < p; k++)
            w[i] += extra->inverse_root[i * p + k] * a[k];
    }
    free(a);
    return true;
}

void nsamp_mh_acceptance(const nsamp_model *model, double *acceptance) {
    const nsamp_mh_network *net = &((const nsamp_mh_extra *)model->extra)->net;
    double *w = malloc(net->dim * sizeof *w);
    for (size_t j = 0; j < net->neurons / 2; j++) {
        double square = 0.0;
        const bool there = w && weights(model, j, w);
        for (size_t i = 0; there && i < net->dim; i++)
            square += w[i] * w[i];
        acceptance[j] = there ? erfc(sqrt(net->gain * square / 8.0)) : NAN;
    }
    free(w);
}

/* (1 - eta) g J/2 + eta I -> a, g J/2 mu -> b, in whitened coordinates. */
static bool leak_equations(const nsamp_model *model, const double *acceptance, double eta, double *a,
                           double *b) {
    const nsamp_mh_extra *extra = model->extra;
    const size_t p = extra->net.dim, half = extra->net.neurons / 2;
    double *w = malloc(p * sizeof *w);
    bool there = w != NULL;
    memset(a, 0, p * p * sizeof(double));
    for (size_t j = 0; there && j < half; j++) {
        there = weights(model, j, w);
        const double strength = extra->net.gain / 2.0 * acceptance[j] / (double)half;
        for (size_t i = 0; there && i < p; i++)
            for (size_t k = 0; k < p; k++)
                a[i * p + k] += strength * w[i] * w[k];
    }
    for (size_t i = 0; i < p; i++) {
        b[i] = 0.0;
        for (size_t k = 0; k < p; k++)
            b[i] += a[i * p + k] * extra->inverse_mean[k];
    }
    for (size_t i = 0; i < p; i++)
        for (size_t k = 0; k < p; k++)
            a[i * p + k] = (1.0 - eta) * a[i * p + k] + (i == k ? eta : 0.0);
    free(w);
    return there;
}

nsamp_status nsamp_mh_leak_mean(const nsamp_model *model, double *mean, nsamp_error *err) {
    const nsamp_mh_extra *extra = model->extra;
    const nsamp_mh_spiking_params *params = model->params;
    const size_t p = extra->net.dim;
    const float *root = nsamp_mh_table(params, params->root_offset);
    double *a = malloc((p * p + p) * sizeof(double)),
           *acceptance = malloc(extra->net.neurons / 2 * sizeof(double));
    double sum = 0.0;
    int info = -1;
    if (a && acceptance) {
        double *b = a + p * p;
        nsamp_mh_acceptance(model, acceptance);
        if (leak_equations(model, acceptance, extra->net.leak ? extra->net.dt_ms / extra->net.tau_ms : 0.0, a,
                           b))
            info = (int)LAPACKE_dposv(LAPACK_ROW_MAJOR, 'L', (lapack_int)p, 1, a, (lapack_int)p, b, 1);
        for (size_t i = 0; i < p; i++)
            sum += b[i];
        for (size_t i = 0; i < p; i++) {
            mean[i] = params->root_a * b[i] + params->root_b * sum;
            if (params->equi) continue;
            mean[i] = 0.0;
            for (size_t k = 0; k < p; k++)
                mean[i] += root[i * p + k] * b[k];
        }
    }
    free(a);
    free(acceptance);
    if (info < 0) return nsamp_fail(err, NSAMP_ENOMEM, "mh-spiking: no memory for the leak formula");
    if (info > 0)
        return nsamp_fail(err, NSAMP_EUSAGE, "mh-spiking: the %zu neurons do not span the %zu dimensions",
                          extra->net.neurons, p);
    return NSAMP_OK;
}

nsamp_status nsamp_mh_law(const nsamp_mh_network *net, nsamp_model *model, nsamp_error *err) {
    const size_t p = net->dim;
    nsamp_law *law = &model->law;
    law->offdiag = NAN;
    const int length =
        snprintf(model->why, sizeof model->why, "one kernel, 64 chains a tile; %zu numbers a chain%s",
                 model->state_len, net->counts ? ", spike counts among them" : "");
    if (net->leak) {
        snprintf(
            model->why + length, sizeof model->why - (size_t)length,
            "; with the leak the law is not known exactly (system.leak = no samples the target exactly)");
        snprintf(law->source, sizeof law->source, "none: the leak makes the sampler approximate");
        return NSAMP_OK;
    }
    law->mean = calloc(p, sizeof(double));
    law->var = calloc(p, sizeof(double));
    if (p <= net->cov_dim) law->cov = calloc(p * p, sizeof(double));
    if (!law->mean || !law->var || (p <= net->cov_dim && !law->cov))
        return nsamp_fail(err, NSAMP_ENOMEM, "mh-spiking: no memory for the law of %zu dimensions", p);
    double root = 1.0; /* how much larger than Sigma^(1/2) the terms are that make it in the kernel */
    for (size_t i = 0; i < p; i++) {
        law->mean[i] = net->mean ? net->mean[i] : 0.0;
        law->var[i] = (net->cov ? net->cov[i * p + i] : net->variance) / net->gain;
        for (size_t k = 0; law->cov && k < p; k++)
            law->cov[i * p + k] =
                (net->cov ? net->cov[i * p + k] : net->variance * (i == k ? 1.0 : net->rho)) / net->gain;
    }
    if (!net->cov) root = (2.0 * sqrt(1.0 - net->rho) + sqrt(1.0 + ((double)p - 1.0) * net->rho));
    for (size_t i = 0; i < p; i++)
        law->rounding.mean = fmax(law->rounding.mean, 0x1p-24 * fabs(law->mean[i]) / sqrt(law->var[i]));
    law->rounding.var = law->rounding.cov = 0x1p-23 * (1.0 + root); /* of the gain, and of the root twice */
    if (!net->cov && p > 1) law->offdiag = net->variance * net->rho / net->gain;
    snprintf(law->source, sizeof law->source,
             "Metropolis-Hastings without leak: N(mu, Sigma/gain) exactly, once the start is forgotten");
    return NSAMP_OK;
}

/* ---- statistics ---------------------------------------------------------------------------------------- */

/* list[0..5]: spikes, rate_hz and acceptance of each neuron; rate_hz and acceptance of the population; Fano factor
 * of each neuron's count, over the chains. */
enum { SPIKES, RATE, ACCEPTANCE, MEAN_RATE, MEAN_ACCEPTANCE, FANO, STATISTICS };

static bool make_list(size_t neurons, bool expected, nsamp_statistic *list) {
    static const char *const names[STATISTICS] = {"spikes",       "rate_hz",         "acceptance",
                                                  "rate_hz_mean", "acceptance_mean", "fano"};
    static const char *const units[STATISTICS] = {"1", "Hz", "1", "Hz", "1", "1"};
    for (size_t s = 0; s < STATISTICS; s++) {
        list[s].count = s < MEAN_RATE || s == FANO ? neurons : 1;
        snprintf(list[s].name, sizeof list[s].name, "%s", names[s]);
        snprintf(list[s].unit, sizeof list[s].unit, "%s", units[s]);
        list[s].value = calloc(list[s].count, sizeof(double));
        list[s].se = calloc(list[s].count, sizeof(double));
        const bool known = expected && s != FANO;
        if (known) list[s].expected = calloc(list[s].count, sizeof(double));
        if (!list[s].value || !list[s].se || (known && !list[s].expected)) return false;
    }
    return true;
}

/* Spikes from the bits of a state; NaN where the counter is at its end. */
static double spikes_of(float bits) {
    const uint32_t count = nsamp_bits_of(bits);
    return count == UINT32_MAX ? NAN : count;
}

/* One more value of chain c (0-based) into a running mean and sum of squared deviations. */
static void welford(double value, uint64_t c, double *mean, double *squares) {
    double shift = value - *mean;
    *mean += shift / (double)(c + 1);
    *squares += shift * (value - *mean);
}

/* Spikes of neuron j, its mean over chains with standard error, scaled, with the expected value. */
static void scale(const nsamp_statistic *spikes, size_t j, double factor, double expected,
                  nsamp_statistic *s) {
    s->value[j] = spikes->value[j] * factor;
    s->se[j] = spikes->se[j] * factor;
    if (s->expected) s->expected[j] = expected * factor;
}

static void fill(const nsamp_model *model, const float *states, uint64_t chains, double counted,
                 const double *acceptance, nsamp_statistic *list) {
    const nsamp_mh_network *net = &((const nsamp_mh_extra *)model->extra)->net;
    const size_t n = net->neurons, p = net->dim;
    const double seconds = counted * net->dt_ms * 1e-3, proposals = counted / (double)n;
    double total_mean = 0.0, total_squares = 0.0, all = 0.0;
    nsamp_statistic *spikes = &list[SPIKES];
    for (uint64_t c = 0; c < chains; c++) {
        const float *count = states + c * model->state_len + p;
        double total = 0.0;
        for (size_t j = 0; j < n; j++) {
            welford(spikes_of(count[j]), c, &spikes->value[j], &spikes->se[j]);
            total += spikes_of(count[j]);
        }
        welford(total, c, &total_mean, &total_squares);
    }
    const double over = chains > 1 ? 1.0 / (double)(chains - 1) / (double)chains : NAN;
    for (size_t j = 0; j < n; j++) {
        const double expected = acceptance[j % (n / 2)] * proposals;
        spikes->se[j] = sqrt(spikes->se[j] * over);
        if (spikes->expected) spikes->expected[j] = expected;
        scale(spikes, j, 1.0 / seconds, expected, &list[RATE]);
        scale(spikes, j, 1.0 / proposals, expected, &list[ACCEPTANCE]);
        all += expected;
    }
    double se = sqrt(total_squares * over);
    const nsamp_statistic population = {.count = 1, .value = &total_mean, .se = &se};
    scale(&population, 0, 1.0 / (double)n / seconds, all, &list[MEAN_RATE]);
    scale(&population, 0, 1.0 / counted, all, &list[MEAN_ACCEPTANCE]);
}

/* Fano factor of each neuron. counts [chains]: scratch. */
static void fill_fano(const nsamp_model *model, const float *states, uint64_t chains, double *counts,
                      nsamp_statistic *fano) {
    for (size_t j = 0; j < fano->count; j++) {
        for (uint64_t c = 0; c < chains; c++)
            counts[c] = spikes_of(states[c * model->state_len + model->dim + j]);
        const nsamp_estimate f = nsamp_fano(counts, chains);
        fano->value[j] = f.value;
        fano->se[j] = f.se;
    }
}

nsamp_status nsamp_mh_statistics(const nsamp_model *model, const float *states, uint64_t chains,
                                 uint64_t steps, nsamp_statistic **out, size_t *count, nsamp_error *err) {
    const nsamp_mh_network *net = &((const nsamp_mh_extra *)model->extra)->net;
    *out = NULL;
    *count = 0;
    if (steps <= net->burn_in || !chains) return NSAMP_OK;
    nsamp_statistic *list = calloc(STATISTICS, sizeof *list);
    double *acceptance = malloc((net->neurons / 2 + chains) * sizeof(double));
    if (!list || !acceptance || !make_list(net->neurons, !net->leak, list)) {
        if (list) nsamp_statistics_free(list, STATISTICS);
        free(acceptance);
        return nsamp_fail(err, NSAMP_ENOMEM, "mh-spiking: no memory for the statistics of %zu neurons",
                          net->neurons);
    }
    nsamp_mh_acceptance(model, acceptance);
    fill(model, states, chains, (double)(steps - net->burn_in), acceptance, list);
    fill_fano(model, states, chains, acceptance + net->neurons / 2, &list[FANO]);
    free(acceptance);
    *out = list;
    *count = STATISTICS;
    return NSAMP_OK;
}
