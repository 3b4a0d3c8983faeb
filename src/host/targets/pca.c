/* pca.c: see pca.h. */
#include "pca.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "eigen.h"
#include "error.h"

enum {
    BLOCK = 512,         /* points at a time: a block of MNIST digits is 3 MB of doubles */
    PARTS = 8,           /* shares of the points, for as many threads; a matrix of pixels x pixels each */
    PARTS_PIXELS = 2048, /* above this many pixels the matrices are too large to have several */
};

nsamp_pca *nsamp_pca_create(size_t height, size_t width, size_t m) {
    if (!height || !width || !m || width > SIZE_MAX / sizeof(double) / height ||
        m > SIZE_MAX / sizeof(double) / (height * width))
        return NULL;
    nsamp_pca *p = calloc(1, sizeof *p);
    if (!p) return NULL;
    *p = (nsamp_pca){.pixels = height * width, .m = m, .height = height, .width = width};
    p->mean = calloc(p->pixels, sizeof *p->mean);
    p->components = calloc(m * p->pixels, sizeof *p->components);
    p->variances = calloc(m, sizeof *p->variances);
    if (p->mean && p->components && p->variances) return p;
    nsamp_pca_destroy(p);
    return NULL;
}

nsamp_pca *nsamp_pca_copy(const nsamp_pca *from) {
    nsamp_pca *p = nsamp_pca_create(from->height, from->width, from->m);
    if (!p) return NULL;
    memcpy(p->mean, from->mean, p->pixels * sizeof *p->mean);
    memcpy(p->components, from->components, p->m * p->pixels * sizeof *p->components);
    memcpy(p->variances, from->variances, p->m * sizeof *p->variances);
    p->scale = from->scale;
    return p;
}

void nsamp_pca_destroy(nsamp_pca *p) {
    if (!p) return;
    free(p->mean);
    free(p->components);
    free(p->variances);
    free(p);
}

/* Points first .. first + n - 1, the mean taken off -> block [n][pixels]. */
static void centred(const nsamp_pca *p, size_t first, size_t n, nsamp_point_fn *point, const void *user,
                    double *block) {
    for (size_t i = 0; i < n; i++) {
        double *row = block + i * p->pixels;
        point(first + i, row, user);
        for (size_t j = 0; j < p->pixels; j++)
            row[j] -= p->mean[j];
    }
}

static size_t part_begin(size_t count, size_t parts, size_t k) {
    return k * (count / parts) + (k < count % parts ? k : count % parts);
}

/* to += from for n numbers. */
static void add(double *to, const double *from, size_t n) {
    for (size_t j = 0; j < n; j++)
        to[j] += from[j];
}

/* Mean and covariance -> cov [pixels][pixels]. The points are cut into parts whose
 * number does not depend on the number of threads, and the sums over the parts are added in order. scratch: a
 * block of points a part; sums: a matrix for each part but the first, whose matrix is cov. */
static void covariance(nsamp_pca *p, size_t count, size_t parts, nsamp_point_fn *point, const void *user,
                       double *scratch, double *sums, double *cov) {
    const size_t P = p->pixels;
#pragma omp parallel for schedule(static, 1)
    for (size_t k = 0; k < parts; k++) {
        double *block = scratch + k * BLOCK * P, *sum = block + P;
        memset(sum, 0, P * sizeof *sum);
        for (size_t i = part_begin(count, parts, k); i < part_begin(count, parts, k + 1); i++) {
            point(i, block, user);
            add(sum, block, P);
        }
    }
    memset(p->mean, 0, P * sizeof *p->mean);
    for (size_t k = 0; k < parts; k++)
        add(p->mean, scratch + (k * BLOCK + 1) * P, P);
    for (size_t j = 0; j < P; j++)
        p->mean[j] /= (double)count;
#pragma omp parallel for schedule(static, 1)
    for (size_t k = 0; k < parts; k++) {
        double *block = scratch + k * BLOCK * P, *mine = k ? sums + (k - 1) * P * P : cov;
        const size_t begin = part_begin(count, parts, k), end = part_begin(count, parts, k + 1);
        for (size_t first = begin; first < end; first += BLOCK) {
            const size_t n = end - first < BLOCK ? end - first : BLOCK;
            centred(p, first, n, point, user, block);
            if (first == begin) memset(mine, 0, P * P * sizeof *mine);
            nsamp_doubles()->products(n, P, P, block, P, block, P, true, mine, P);
        }
    }
    for (size_t i = 0; i < P; i++) { /* only the upper triangles are there */
        for (size_t k = 1; k < parts; k++)
            add(cov + i * P + i, sums + (k - 1) * P * P + i * P + i, P - i);
        for (size_t j = i; j < P; j++)
            cov[j * P + i] = cov[i * P + j] = cov[i * P + j] / (double)(count - 1);
    }
}

/* The m largest eigenvalues and their eigenvectors, descending. cov is destroyed. */
static nsamp_status components(nsamp_pca *p, double *cov, nsamp_error *err) {
    const size_t P = p->pixels, m = p->m;
    double *values = malloc(P * sizeof *values), *vectors = malloc(m * P * sizeof *vectors);
    nsamp_status status =
        values && vectors
            ? nsamp_eigen(P, cov, m, values, vectors, err)
            : nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the principal components of %zu pixels", P);
    for (size_t k = 0; !status && k < m; k++) {
        p->variances[k] = fmax(values[P - 1 - k], 0);
        memcpy(p->components + k * P, vectors + (m - 1 - k) * P, P * sizeof *vectors);
    }
    free(values);
    free(vectors);
    return status;
}

nsamp_status nsamp_pca_fit(nsamp_pca *p, size_t count, nsamp_point_fn *point, const void *user,
                           nsamp_error *err) {
    const size_t P = p->pixels;
    if (P > 65536 || count < 2)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "principal components of %zu points of %zu numbers; valid: at least 2, at most 65536", count, P);
    const size_t parts = P <= PARTS_PIXELS && count >= PARTS ? PARTS : 1;
    double *cov = malloc(P * P * sizeof *cov), *sums = malloc(((parts - 1) * P * P + 1) * sizeof *sums);
    double *scratch = malloc(parts * BLOCK * P * sizeof *scratch);
    nsamp_status status = NSAMP_OK;
    if (!cov || !sums || !scratch) {
        status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the covariance of %zu pixels", P);
    } else {
        covariance(p, count, parts, point, user, scratch, sums, cov);
        status = components(p, cov, err);
    }
    double sum = 0;
    for (size_t k = 0; k < p->m; k++)
        sum += p->variances[k];
    if (!status && !(sum > 0))
        status = nsamp_fail(err, NSAMP_EUSAGE, "all %zu points are equal: no principal components", count);
    if (!status) p->scale = sqrt((double)p->m / sum);
    free(cov);
    free(sums);
    free(scratch);
    return status;
}

/* from [rows][cols] -> to [cols][rows], in squares that fit the cache's lines. */
static void transpose(size_t rows, size_t cols, const double *from, double *to) {
    enum { SIDE = 8 };
    for (size_t i = 0; i < rows; i += SIDE)
        for (size_t j = 0; j < cols; j += SIDE)
            for (size_t a = i; a < i + SIDE && a < rows; a++)
                for (size_t b = j; b < j + SIDE && b < cols; b++)
                    to[b * rows + a] = from[a * cols + b];
}

nsamp_status nsamp_pca_project(const nsamp_pca *p, size_t first, size_t count, nsamp_point_fn *point,
                               const void *user, float *x, nsamp_error *err) {
    enum { POINTS = 128 };
    const size_t P = p->pixels, m = p->m;
    double *const across = malloc(m * P * sizeof *across); /* components^T */
    int failed = !across;
    if (across) transpose(m, P, p->components, across);
#pragma omp parallel reduction(+ : failed) if (across)
    {
        double *block = malloc(2 * POINTS * P * sizeof *block), *y = malloc(POINTS * m * sizeof *y);
        const bool room = across && block && y;
        failed += !room;
#pragma omp for schedule(static)
        for (size_t i = 0; i < count; i += POINTS) {
            const size_t n = count - i < POINTS ? count - i : POINTS;
            if (!room) continue;
            centred(p, first + i, n, point, user, block);
            transpose(n, P, block, block + POINTS * P);
            memset(y, 0, n * m * sizeof *y);
            nsamp_doubles()->products(P, n, m, block + POINTS * P, n, across, m, false, y, m);
            for (size_t k = 0; k < n * m; k++)
                x[i * m + k] = (float)(p->scale * y[k]);
        }
        free(block);
        free(y);
    }
    free(across);
    return failed ? nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the projection on principal components")
                  : NSAMP_OK;
}

void nsamp_pca_inverse(const nsamp_pca *p, size_t count, const float *x, float *points) {
    enum { STRIP = 64 }; /* pixels at a time: their sums stay in registers or the nearest cache */
    for (size_t i = 0; i < count; i++)
        for (size_t j0 = 0; j0 < p->pixels; j0 += STRIP) {
            const size_t n = p->pixels - j0 < STRIP ? p->pixels - j0 : STRIP;
            double sum[STRIP] = {0};
            for (size_t k = 0; k < p->m; k++)
                for (size_t j = 0; j < n; j++)
                    sum[j] += (double)x[i * p->m + k] * p->components[k * p->pixels + j0 + j];
            for (size_t j = 0; j < n; j++)
                points[i * p->pixels + j0 + j] = (float)(p->mean[j0 + j] + sum[j] / p->scale);
        }
}
