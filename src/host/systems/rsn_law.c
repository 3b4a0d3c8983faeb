/* rsn_law.c: networks whose drift is linear, and the exact Gaussian law of their recursion. */
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "systems/rsn.h"

/* ---- the linear network -------------------------------------------------------------------------------- */

/* Entry (i, k) of K: symmetric part of eigenvalues between .3 and 1.2, skew part of size .2. */
static double drift_entry(size_t m, size_t i, size_t k) {
    const double spread = m > 1 ? (double)i / (double)(m - 1) : 0.0;
    if (i == k) return 0.5 + 0.5 * spread;
    if (i + 1 == k) return 0.1 + 0.2;
    return k + 1 == i ? 0.1 - 0.2 : 0.0;
}

/* Units j and j + n/2 mirror each other: relu(a) - relu(-a) = a. With W2 = [V; -V] and W1 = [U, -U] the drift
 * is -x + U (V x + b), and U = (I - K) (V^T V)^-1 V^T makes it -K x + U b. */
nsamp_status nsamp_rsn_linear(size_t m, size_t n, uint64_t seed, nsamp_network **out, nsamp_error *err) {
    const size_t half = n / 2;
    *out = NULL;
    if (n % 2 || half < m)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "a linear network of %zu outputs needs an even number of units, at least %zu", m,
                          2 * m);
    nsamp_network *net = nsamp_network_create(m, n);
    double *gram = calloc(m * m, sizeof(double)), *x = malloc(half * m * sizeof(double));
    if (!net || !gram || !x) {
        nsamp_network_destroy(net);
        free(gram);
        free(x);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a network of %zu x %zu", m, n);
    }
    const nsamp_noise_key key = nsamp_noise_key_of(seed, 10);
    net->activation = NSAMP_RELU;
    net->sigma = 1.0;
    for (size_t j = 0; j < half; j++) {
        float z[4] = {0};
        for (size_t i = 0; i <= m; i++) { /* the last one is the bias */
            if (i % 4 == 0) nsamp_normals4(key, NSAMP_PURPOSE_WEIGHTS, (uint32_t)j, 0, (uint32_t)(i / 4), z);
            float *to = i < m ? &net->w2[j * m + i] : &net->b[j];
            *to = z[i % 4] / (i < m ? sqrtf((float)m) : 1.0f);
            *(i < m ? &net->w2[(j + half) * m + i] : &net->b[j + half]) = -*to;
            if (i < m) x[j * m + i] = (double)*to;
        }
        for (size_t i = 0; i < m; i++)
            for (size_t k = 0; k < m; k++)
                gram[i * m + k] += x[j * m + i] * x[j * m + k];
    }
    const int info = (int)LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', (lapack_int)m, (lapack_int)half, gram,
                                        (lapack_int)m, x, (lapack_int)m);
    for (size_t i = 0; i < m; i++) {
        net->start_var[i] = 1.0;
        for (size_t j = 0; j < half; j++) {
            double u = 0.0;
            for (size_t k = 0; k < m; k++)
                u += ((i == k ? 1.0 : 0.0) - drift_entry(m, i, k)) * x[j * m + k];
            net->w1[i * n + j] = (float)u;
            net->w1[i * n + j + half] = -(float)u;
        }
    }
    free(gram);
    free(x);
    if (info) {
        nsamp_network_destroy(net);
        return nsamp_fail(err, NSAMP_EINTERNAL, "linear network: its random weights are degenerate");
    }
    *out = net;
    return NSAMP_OK;
}

/* ---- its law ------------------------------------------------------------------------------------------- */

static bool mirrored(const nsamp_network *net) {
    const size_t m = net->m, n = net->n, half = n / 2;
    if (n % 2 || net->activation != NSAMP_RELU) return false;
    for (size_t j = 0; j < half; j++) {
        if (net->b[j] != -net->b[j + half]) return false;
        for (size_t i = 0; i < m; i++)
            if (net->w2[j * m + i] != -net->w2[(j + half) * m + i] ||
                net->w1[i * n + j] != -net->w1[i * n + j + half])
                return false;
    }
    return true;
}

/* c = a b, [m][m]. */
static void multiply(size_t m, const double *a, const double *b, double *c) {
    for (size_t i = 0; i < m * m; i++)
        c[i] = 0.0;
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k < m; k++)
            for (size_t j = 0; j < m; j++)
                c[i * m + j] += a[i * m + k] * b[k * m + j];
}

/* P = sum_k F^k Q (F^k)^T by doubling: P <- P + F P F^T, F <- F F. f is used up. False where it does not
 * settle. */
static bool stationary(size_t m, double *f, double *p, double *work) {
    double *fp = work, *ft = work + m * m, *next = work + 2 * m * m;
    for (int it = 0; it < 60; it++) {
        double change = 0.0, size = 0.0;
        for (size_t i = 0; i < m; i++)
            for (size_t j = 0; j < m; j++)
                ft[j * m + i] = f[i * m + j];
        multiply(m, f, p, fp);
        multiply(m, fp, ft, next);
        for (size_t i = 0; i < m * m; i++) {
            p[i] += next[i];
            change = fmax(change, fabs(next[i]));
            size = fmax(size, fabs(p[i]));
        }
        if (!isfinite(size)) return false;
        if (change < 1e-15 * size) return true;
        multiply(m, f, f, next);
        memcpy(f, next, m * m * sizeof(double));
    }
    return false;
}

/* x' = F x + h c + a xi, F = (1 - h) I + h W1 W2 over the first half, c = W1 b. From the float weights the
 * kernel has. */
static void recursion(const nsamp_network *net, const nsamp_rsn_params *p, double *f, double *shift) {
    const size_t m = net->m, n = net->n;
    for (size_t i = 0; i < m; i++) {
        shift[i] = 0.0;
        for (size_t k = 0; k < m; k++)
            f[i * m + k] = i == k ? 1.0 - (double)p->h : 0.0;
        for (size_t j = 0; j < n / 2; j++) {
            const double w = (double)p->h * (double)net->w1[i * n + j];
            shift[i] += w * (double)net->b[j];
            for (size_t k = 0; k < m; k++)
                f[i * m + k] += w * (double)net->w2[j * m + k];
        }
    }
}

/* x [m][columns] <- (I - F)^-1 x. False where I - F is singular. */
static bool solve(size_t m, size_t columns, const double *f, double *work, double *x) {
    lapack_int *pivots = malloc(m * sizeof *pivots);
    if (!pivots) return false;
    for (size_t i = 0; i < m * m; i++)
        work[i] = (i % (m + 1) == 0) - f[i];
    const int info = (int)LAPACKE_dgesv(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)columns, work,
                                        (lapack_int)m, pivots, x, (lapack_int)columns);
    free(pivots);
    return info == 0;
}

/* The autocovariance at lag k >= 0 is F^k P, so its sum over all lags is 2 (I - F)^-1 P - P. */
static bool solve_tau(size_t m, const double *f, const double *cov, double *work, double *sum, double *tau) {
    memcpy(sum, cov, m * m * sizeof *sum);
    if (!solve(m, m, f, work, sum)) return false;
    for (size_t i = 0; i < m; i++)
        tau[i] = 2.0 * sum[i * m + i] / cov[i * m + i] - 1.0;
    return true;
}

nsamp_status nsamp_rsn_law(const nsamp_network *net, const nsamp_rsn_options *o, nsamp_model *model,
                           nsamp_error *err) {
    const size_t m = net->m;
    const nsamp_rsn_params *p = model->params;
    nsamp_law *law = &model->law;
    law->offdiag = NAN;
    snprintf(law->source, sizeof law->source, "none: the law of a trained network is not known exactly");
    if (o->jump || m > 512 || o->precision != NSAMP_FP32 || !mirrored(net)) return NSAMP_OK;
    double *f = malloc(6 * m * m * sizeof(double)), *cov = f ? f + m * m : NULL,
           *work = f ? f + 2 * m * m : NULL, *powers = f ? f + 5 * m * m : NULL;
    law->mean = malloc(m * sizeof(double));
    law->var = malloc(m * sizeof(double));
    law->tau = malloc(m * sizeof(double));
    if (m <= o->cov_dim) law->cov = malloc(m * m * sizeof(double));
    if (!f || !law->mean || !law->var || !law->tau || (m <= o->cov_dim && !law->cov)) {
        free(f);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the law of %zu outputs", m);
    }
    recursion(net, p, f, law->mean);
    for (size_t i = 0; i < m * m; i++)
        cov[i] = i % (m + 1) == 0 ? (double)p->noise * (double)p->noise : 0.0;
    memcpy(powers, f, m * m * sizeof(double));
    const bool known = solve(m, 1, f, work, law->mean) && stationary(m, powers, cov, work) &&
                       solve_tau(m, f, cov, work, work + m * m, law->tau);
    for (size_t i = 0; i < m; i++)
        law->var[i] = cov[i * m + i];
    if (law->cov) memcpy(law->cov, cov, m * m * sizeof(double));
    free(f);
    if (!known)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "system.dt = %g: the recursion of this linear network is unstable", o->h);
    snprintf(law->source, sizeof law->source,
             "exact stationary moments of the Euler recursion of a network with linear drift");
    return NSAMP_OK;
}
