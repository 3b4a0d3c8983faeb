/* rsn_rounding.c: networks and their drift with numbers rounded to bf16, by plain loops in double. */
#include "systems/rsn_rounding.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "kernels/bf16.h"
#include "kernels/noise.h"

nsamp_status nsamp_rsn_round(const nsamp_network *net, bool bias, nsamp_network **rounded, nsamp_error *err) {
    nsamp_network *const to = nsamp_network_create(net->m, net->n);
    *rounded = to;
    if (!to) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a network of %zu x %zu", net->m, net->n);
    to->activation = net->activation;
    for (size_t i = 0; i < net->m * net->n; i++) {
        to->w1[i] = nsamp_bf16_round(net->w1[i]);
        to->w2[i] = nsamp_bf16_round(net->w2[i]);
    }
    for (size_t j = 0; j < net->n; j++)
        to->b[j] = bias ? nsamp_bf16_round(net->b[j]) : net->b[j];
    return NSAMP_OK;
}

/* d = W1 relu(W2 x + b) - x; rounding: factors of the products to bf16. */
static void drift(const nsamp_network *net, bool rounding, const double *x, double *hidden, double *d) {
    const size_t m = net->m, n = net->n;
    for (size_t j = 0; j < n; j++) {
        double sum = (double)net->b[j];
        for (size_t i = 0; i < m; i++)
            sum += (double)net->w2[j * m + i] * (rounding ? (double)nsamp_bf16_round((float)x[i]) : x[i]);
        const double h = sum > 0.0 ? sum : 0.0;
        hidden[j] = rounding ? (double)nsamp_bf16_round((float)h) : h;
    }
    for (size_t i = 0; i < m; i++) {
        d[i] = -x[i];
        for (size_t j = 0; j < n; j++)
            d[i] += (double)net->w1[i * n + j] * hidden[j];
    }
}

/* x = mean + chol z, chol [m * m] the lower factor by columns. */
static void draw(size_t m, uint32_t number, const double *mean, const double *chol, double *x) {
    const nsamp_noise_key key = nsamp_noise_key_of(1, 10);
    float z[4] = {0};
    memcpy(x, mean, m * sizeof *x);
    for (size_t k = 0; k < m; k++) {
        if (k % 4 == 0) nsamp_normals4(key, NSAMP_PURPOSE_WEIGHTS, number, 1, (uint32_t)(k / 4), z);
        for (size_t i = k; i < m; i++)
            x[i] += chol[k * m + i] * (double)z[k % 4];
    }
}

double nsamp_rsn_drift_error(const nsamp_network *net, const nsamp_network *rounded, const double *mean,
                             const double *cov) {
    const size_t m = net->m, n = net->n;
    const double work = 1e8 / (8.0 * (double)m * (double)n);
    const uint32_t draws = work < 8.0 ? 8 : work > 1024.0 ? 1024 : (uint32_t)work;
    double *const chol = malloc((m * m + 3 * m + n) * sizeof *chol);
    if (!chol) return NAN;
    double *const x = chol + m * m, *const exact = x + m, *const other = exact + m, *const hidden = other + m;
    memcpy(chol, cov, m * m * sizeof *chol);
    double error = 0.0, size = 0.0;
    if (LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'L', (lapack_int)m, chol, (lapack_int)m)) size = NAN;
    for (uint32_t k = 0; k < draws && !isnan(size); k++) {
        draw(m, k, mean, chol, x);
        drift(net, false, x, hidden, exact);
        drift(rounded, true, x, hidden, other);
        for (size_t i = 0; i < m; i++) {
            error += (other[i] - exact[i]) * (other[i] - exact[i]);
            size += exact[i] * exact[i];
        }
    }
    free(chol);
    return sqrt(error / size);
}
