/* grid.c: the stationary law of an Euler chain as the fixed point of its transition matrix on a grid. */
#include "check/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 3000, ROUNDS = 20000 };

typedef struct grid {
    size_t dim, side, points; /* points = side^dim */
    double step, centre[2], root[4];
} grid;

static void point_of(const grid *g, size_t k, double *q) {
    for (size_t d = 0; d < g->dim; d++, k /= g->side)
        q[d] = g->centre[d] + g->step * ((double)(k % g->side) - 0.5 * (double)(g->side - 1));
}

static void apply(const grid *g, bool transposed, const double *from, double *to) {
    const size_t n = g->dim;
    for (size_t i = 0; i < n; i++) {
        to[i] = 0;
        for (size_t k = 0; k < n; k++)
            to[i] += g->root[transposed ? k * n + i : i * n + k] * from[k];
    }
}

/* Column k of the matrix: where chains at point k go. */
static void column(const grid *g, const nsamp_target *t, double h, size_t k, double *to) {
    double q[2], x[2], s[2], pull[2], total = 0, at[2];
    point_of(g, k, q);
    apply(g, false, q, x);
    t->ops->score(t, x, s);
    apply(g, true, s, pull);
    for (size_t i = 0; i < g->points; i++) {
        double square = 0;
        point_of(g, i, at);
        for (size_t d = 0; d < g->dim; d++)
            square += pow(at[d] - q[d] - h * pull[d], 2);
        to[i] = exp(-square / (4 * h));
        total += to[i];
    }
    for (size_t i = 0; i < g->points; i++)
        to[i] /= total;
}

static void moments(const grid *g, const double *p, double *mean, double *cov) {
    const size_t n = g->dim;
    memset(mean, 0, n * sizeof *mean);
    memset(cov, 0, n * n * sizeof *cov);
    for (int pass = 0; pass < 2; pass++)
        for (size_t k = 0; k < g->points; k++) {
            double q[2], x[2];
            point_of(g, k, q);
            apply(g, false, q, x);
            for (size_t i = 0; i < n; i++) {
                if (!pass) mean[i] += p[k] * x[i];
                for (size_t j = 0; pass && j < n; j++)
                    cov[i * n + j] += p[k] * (x[i] - mean[i]) * (x[j] - mean[j]);
            }
        }
}

/* The grid covers 6 deviations of the target each way, in coordinates q. */
static void lay(const nsamp_target *t, bool natural, double h, grid *g) {
    const size_t n = t->dim;
    double width = 0;
    g->dim = n;
    for (size_t i = 0; i < n * n; i++)
        g->root[i] = natural ? t->chol[i] : i % (n + 1) == 0;
    for (size_t i = 0; i < n; i++) {
        double at = t->mean[i];
        for (size_t k = 0; natural && k < i; k++)
            at -= t->chol[i * n + k] * g->centre[k];
        g->centre[i] = natural ? at / t->chol[i * n + i] : at;
        width = fmax(width, natural ? 1 : sqrt(t->var[i]));
    }
    g->step = 0.8 * sqrt(2 * h);
    g->side = (size_t)ceil(2 * 6 * width / g->step) + 1;
    g->points = n == 1 ? g->side : g->side * g->side;
}

nsamp_status nsamp_grid_moments(const nsamp_target *t, bool natural, double h, double *mean, double *cov,
                                nsamp_error *err) {
    grid g = {0};
    lay(t, natural, h, &g);
    if (g.points > MOST)
        return nsamp_fail(err, NSAMP_EUSAGE, "system.dt = %g: a grid for it has more than %d points", h,
                          MOST);
    const size_t n = g.points;
    double *matrix = malloc((n * n + 2 * n) * sizeof *matrix), change = INFINITY;
    if (!matrix) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a grid of %zu points", n);
    double *p = matrix + n * n, *next = p + n;
    for (size_t k = 0; k < n; k++) {
        column(&g, t, h, k, matrix + k * n);
        p[k] = 1 / (double)n;
    }
    for (int round = 0; round < ROUNDS && change > 1e-12; round++) {
        memset(next, 0, n * sizeof *next);
        for (size_t k = 0; k < n; k++)
            for (size_t i = 0; i < n; i++)
                next[i] += p[k] * matrix[k * n + i];
        change = 0;
        for (size_t i = 0; i < n; i++) {
            change += fabs(next[i] - p[i]);
            p[i] = next[i];
        }
    }
    moments(&g, p, mean, cov);
    free(matrix);
    if (change > 1e-12) return nsamp_fail(err, NSAMP_EINTERNAL, "the law on a grid did not settle");
    return NSAMP_OK;
}
