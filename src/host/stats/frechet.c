/* frechet.c: the Frechet distance of two Gaussians, through LAPACK, and the sample moments that it takes. */
#include "stats/distances.h"

#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>

#include "error.h"

static const size_t block_rows = 256; /* centred at a time */

nsamp_status nsamp_sample_moments(const float *x, size_t n, size_t m, double *mean, double *cov,
                                  nsamp_error *err) {
    double *const block = malloc(block_rows * m * sizeof *block);
    if (!block) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the covariance of %zu coordinates", m);
    for (size_t i = 0; i < m; i++)
        mean[i] = 0.0;
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < m; i++)
            mean[i] += (double)x[r * m + i] / (double)n;
    for (size_t r = 0; r < n; r += block_rows) {
        size_t rows = block_rows;
        if (n - r < rows) rows = n - r;
        for (size_t k = 0; k < rows; k++)
            for (size_t i = 0; i < m; i++)
                block[k * m + i] = (double)x[(r + k) * m + i] - mean[i];
        cblas_dsyrk(CblasRowMajor, CblasLower, CblasTrans, (int)m, (int)rows, 1.0 / ((double)n - 1.0), block,
                    (int)m, r ? 1.0 : 0.0, cov, (int)m);
    }
    for (size_t i = 0; i < m; i++)
        for (size_t j = i + 1; j < m; j++)
            cov[i * m + j] = cov[j * m + i];
    free(block);
    return NSAMP_OK;
}

/* tr (A B)^(1/2) = sum of sqrt(eigenvalues of S B S), S = A^(1/2), for symmetric positive semidefinite A, B.
 * With A = Q diag(w) Q^T the eigenvalues are those of R^T B R, R = Q diag(sqrt w). work [3 m m], w [m]. */
static int trace_root(size_t m, const double *a, const double *b, double *work, double *w, double *trace) {
    double *const r = work, *const br = work + m * m, *const rbr = work + 2 * m * m;
    const int M = (int)m;
    for (size_t i = 0; i < m * m; i++)
        r[i] = a[i];
    int info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'V', 'L', M, r, M, w);
    if (info) return info;
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < m; j++)
            r[i * m + j] *= sqrt(fmax(w[j], 0.0));
    cblas_dsymm(CblasRowMajor, CblasLeft, CblasLower, M, M, 1.0, b, M, r, M, 0.0, br, M);
    cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, M, M, M, 1.0, r, M, br, M, 0.0, rbr, M);
    info = LAPACKE_dsyevd(LAPACK_ROW_MAJOR, 'N', 'L', M, rbr, M, w);
    *trace = 0.0;
    for (size_t i = 0; info == 0 && i < m; i++)
        *trace += sqrt(fmax(w[i], 0.0));
    return info;
}

nsamp_status nsamp_frechet(size_t m, const double *mean_a, const double *cov_a, const double *mean_b,
                           const double *cov_b, double *distance, nsamp_error *err) {
    *distance = NAN;
    for (size_t i = 0; i < m * m; i++)
        if (!isfinite(cov_a[i]) || !isfinite(cov_b[i]) || !isfinite(mean_a[i / m]) ||
            !isfinite(mean_b[i / m]))
            return nsamp_fail(err, NSAMP_EUSAGE, "a mean or covariance is not finite: no Frechet distance");
    double *const work = m < 30000 ? malloc((3 * m * m + m) * sizeof *work) : NULL;
    if (!work)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the Frechet distance of %zu coordinates", m);
    double root;
    const int info = trace_root(m, cov_a, cov_b, work, work + 3 * m * m, &root);
    free(work);
    if (info) return nsamp_fail(err, NSAMP_EINTERNAL, "LAPACK dsyevd failed with %d", info);
    double sum = -2.0 * root;
    for (size_t i = 0; i < m; i++)
        sum += (mean_a[i] - mean_b[i]) * (mean_a[i] - mean_b[i]) + cov_a[i * m + i] + cov_b[i * m + i];
    *distance = sum;
    return NSAMP_OK;
}
