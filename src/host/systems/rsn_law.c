/* rsn_law.c: networks whose drift is linear, and the exact Gaussian law of their recursion. */
#include <lapacke.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "systems/rsn.h"
#include "systems/rsn_rounding.h"

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

/* x' = F x + h c + a xi, F = (1 - h) I + h W1 W2 over the first half, c = W1 b. The weights are data, as they are in float32; h is not.
 * Returns a bound of the Frobenius norm of what rounding moves F by: h, and each unit's product, that the kernel may have in two
 * rounded factors; the same of the shift -> *moved. */
static double recursion(const nsamp_network *net, double h, double *f, double *shift, double *moved) {
    const size_t m = net->m, n = net->n;
    double squares = 0.0, shifts = 0.0;
    for (size_t i = 0; i < m; i++) {
        shift[i] = 0.0;
        for (size_t k = 0; k < m; k++)
            f[i * m + k] = i == k ? 1.0 - h : 0.0;
        double size = 0.0, bias = 0.0;
        for (size_t j = 0; j < n / 2; j++) {
            const double w = h * (double)net->w1[i * n + j];
            double row = 0.0;
            shift[i] += w * (double)net->b[j];
            bias += fabs(w * (double)net->b[j]);
            for (size_t k = 0; k < m; k++)
                f[i * m + k] += w * (double)net->w2[j * m + k], row += fabs(w * (double)net->w2[j * m + k]);
            size += row;
        }
        squares += (h + size) * (h + size);
        shifts += bias * bias;
    }
    *moved = 0x1p-22 * sqrt(shifts);
    return 0x1p-22 * sqrt(squares);
}

static double norm(size_t count, const double *a) {
    double sum = 0.0;
    for (size_t i = 0; i < count; i++)
        sum += a[i] * a[i];
    return sqrt(sum);
}

/* df, dshift: what rounding moves F and the shift by; inverse: the norm of (I - F)^-1. To first order the covariance moves by sum_k F^k Q
 * (F^k)^T with |Q| <= 2 |dF| |F| |P|, and sum_k F^k (F^k)^T is P / a^2, so entry (i, k) moves by at most |Q| / a^2 of sd_i sd_k. */
static nsamp_law_rounding round_law(size_t m, double df, double dshift, double inverse, double f,
                                    double noise2, const double *cov, const double *mean) {
    double least = INFINITY;
    for (size_t i = 0; i < m; i++)
        least = fmin(least, cov[i * m + i]);
    const double size = norm(m * m, cov), all = 2 * df * f * size / noise2 + 0x1p-23;
    return (nsamp_law_rounding){.mean = inverse * (df * norm(m, mean) + dshift) / sqrt(least),
                                .var = all,
                                .cov = all,
                                .tau = 2 * inverse * inverse * df * size / least + 2 * all};
}

/* x [m][columns] <- (I - F)^-1 x. False where I - F is singular. work: [m * m], pivots: [m]. */
static bool solve(size_t m, size_t columns, const double *f, double *work, lapack_int *pivots, double *x) {
    for (size_t i = 0; i < m * m; i++)
        work[i] = (i % (m + 1) == 0) - f[i];
    const int info = (int)LAPACKE_dgesv(LAPACK_ROW_MAJOR, (lapack_int)m, (lapack_int)columns, work,
                                        (lapack_int)m, pivots, x, (lapack_int)columns);
    return info == 0;
}

/* The autocovariance at lag k >= 0 is F^k P, so its sum over all lags is 2 (I - F)^-1 P - P. */
static bool solve_tau(size_t m, const double *f, const double *cov, double *work, lapack_int *pivots,
                      double *sum, double *tau) {
    memcpy(sum, cov, m * m * sizeof *sum);
    if (!solve(m, m, f, work, pivots, sum)) return false;
    for (size_t i = 0; i < m; i++)
        tau[i] = 2.0 * sum[i * m + i] / cov[i * m + i] - 1.0;
    return true;
}

/* Moments and autocorrelation times of the recursion with noise of variance noise2 -> law; its covariance -> cov [m * m]. */
static nsamp_status solve_law(const nsamp_network *net, const nsamp_rsn_options *o, double noise2,
                              double *cov, nsamp_law *law, nsamp_error *err) {
    const size_t m = net->m;
    double *f = malloc((5 * m * m + m) * sizeof(double)), *work = f ? f + m * m : NULL,
           *powers = f ? f + 4 * m * m : NULL;
    if (!f) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the law of %zu outputs", m);
    lapack_int *const pivots = (lapack_int *)(f + 5 * m * m); /* no wider than doubles */
    double dshift, inverse = INFINITY;
    const double df = recursion(net, o->h, f, law->mean, &dshift), size = norm(m * m, f);
    for (size_t i = 0; i < m * m; i++)
        cov[i] = i % (m + 1) == 0 ? 1.0 : 0.0;
    if (solve(m, m, f, work, pivots, cov)) inverse = norm(m * m, cov);
    for (size_t i = 0; i < m * m; i++)
        cov[i] = i % (m + 1) == 0 ? noise2 : 0.0;
    memcpy(powers, f, m * m * sizeof(double));
    const bool known = solve(m, 1, f, work, pivots, law->mean) && stationary(m, powers, cov, work) &&
                       solve_tau(m, f, cov, work, pivots, work + m * m, law->tau);
    free(f);
    law->rounding = round_law(m, df, dshift, inverse, size, noise2, cov, law->mean);
    for (size_t i = 0; i < m; i++)
        law->var[i] = cov[i * m + i];
    if (known) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EUSAGE, "system.dt = %g: the recursion of this linear network is unstable",
                      o->h);
}

static double noise2_of(const nsamp_network *net, const nsamp_rsn_options *o) {
    return 2.0 * o->h * (net->denoiser ? net->sigma * net->sigma : 1.0);
}

static nsamp_status law_arrays(size_t m, bool cov, nsamp_law *law, nsamp_error *err) {
    law->mean = malloc(m * sizeof(double));
    law->var = malloc(m * sizeof(double));
    law->tau = malloc(m * sizeof(double));
    if (cov) law->cov = malloc(m * m * sizeof(double));
    if (law->mean && law->var && law->tau && (!cov || law->cov)) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the law of %zu outputs", m);
}

/* The law of the rounded weights -> model->law and cov; and how far it is from that of the network. What the rounding of x and of
 * the hidden units adds, errors of 2^-9 of each with no mean of their own, is not in the law. */
static nsamp_status rounded_law(const nsamp_network *net, const nsamp_rsn_options *o, double *cov,
                                nsamp_model *model, nsamp_error *err) {
    const size_t m = net->m;
    const double noise2 = noise2_of(net, o);
    nsamp_law *law = &model->law, plain = {0};
    nsamp_network *rounded = NULL;
    double *plain_cov = malloc(m * m * sizeof *plain_cov);
    nsamp_status status = plain_cov
                              ? law_arrays(m, false, &plain, err)
                              : nsamp_fail(err, NSAMP_ENOMEM, "no memory for the law of %zu outputs", m);
    if (!status)
        status = nsamp_rsn_round(net, o->cuda, &rounded, err); /* a GPU's products take b in bf16 too */
    if (!status) status = solve_law(net, o, noise2, plain_cov, &plain, err);
    if (!status) status = solve_law(rounded, o, noise2, cov, law, err);
    double mean = 0.0, var = 0.0;
    for (size_t i = 0; !status && i < m; i++) {
        mean = fmax(mean, fabs(law->mean[i] - plain.mean[i]) / sqrt(plain.var[i]));
        var = fmax(var, fabs(law->var[i] / plain.var[i] - 1.0));
    }
    if (!status)
        snprintf(law->source, sizeof law->source,
                 "exact stationary moments of the Euler recursion of a network with linear drift, its "
                 "weights in bf16: that moves means by up "
                 "to %.2g sd, variances by up to %.2g %%; error of the drift %.2g %%",
                 mean, 100 * var, 100 * nsamp_rsn_drift_error(net, rounded, plain.mean, plain_cov));
    nsamp_network_destroy(rounded);
    free(plain.mean);
    free(plain.var);
    free(plain.tau);
    free(plain_cov);
    return status;
}

nsamp_status nsamp_rsn_law(const nsamp_network *net, const nsamp_rsn_options *o, nsamp_model *model,
                           nsamp_error *err) {
    const size_t m = net->m;
    nsamp_law *law = &model->law;
    law->offdiag = NAN;
    snprintf(law->source, sizeof law->source, "none: the law of a trained network is not known exactly");
    if (o->jump || m > 512 || o->precision == NSAMP_TF32 || !mirrored(net)) return NSAMP_OK;
    double *cov = malloc(m * m * sizeof *cov);
    if (!cov) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the law of %zu outputs", m);
    nsamp_status status = law_arrays(m, m <= o->cov_dim, law, err);
    if (!status && o->precision == NSAMP_BF16) {
        status = rounded_law(net, o, cov, model, err);
    } else if (!status) {
        status = solve_law(net, o, noise2_of(net, o), cov, law, err);
        snprintf(law->source, sizeof law->source,
                 "exact stationary moments of the Euler recursion of a network with linear drift");
    }
    if (!status && law->cov) memcpy(law->cov, cov, m * m * sizeof *cov);
    free(cov);
    return status;
}
