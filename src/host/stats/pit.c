/* pit.c: the tabulated density and its transform. All integrals are exact for the piecewise linear table. */
#include "stats/pit.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"

enum { NODES_1D = 8193, NODES_2D = 1025 };

/* Integral of the linear interpolant from the first node to each. */
static void accumulate(const double *f, size_t nodes, double step, double *out) {
    out[0] = 0.0;
    for (size_t k = 1; k < nodes; k++)
        out[k] = out[k - 1] + 0.5 * step * (f[k - 1] + f[k]);
}

/* The cell that holds x, and the part of it below x, 0 to 1. */
static size_t locate(const nsamp_pit *p, size_t axis, double x, double *part) {
    const double at = (x - p->low[axis]) / p->step[axis];
    if (!(at > 0.0)) {
        *part = 0.0;
        return 0;
    }
    size_t k = at >= (double)(p->nodes - 1) ? p->nodes - 2 : (size_t)at;
    *part = at - (double)k < 1.0 ? at - (double)k : 1.0;
    return k;
}

static double integral_to(const double *f, const double *cumulative, size_t k, double part, double step) {
    return cumulative[k] + step * part * (f[k] + 0.5 * part * (f[k + 1] - f[k]));
}

/* Density at the nodes, up to a factor, its largest value 1. */
static nsamp_status tabulate(nsamp_pit *p, nsamp_log_density_fn *log_density, const void *context,
                             nsamp_error *err) {
    const size_t rows = p->nodes, columns = p->dim == 2 ? p->nodes : 1;
    double most = -INFINITY;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < columns; j++) {
            const double x[2] = {p->low[0] + (double)i * p->step[0], p->low[1] + (double)j * p->step[1]};
            const double f = log_density(context, x);
            if (isnan(f) || f == INFINITY)
                return nsamp_fail(err, NSAMP_EUSAGE, "log density is %g at x = %g%s", f, x[0],
                                  p->dim == 2 ? ", ..." : "");
            p->density[i * columns + j] = f;
            most = f > most ? f : most;
        }
    if (most == -INFINITY)
        return nsamp_fail(err, NSAMP_EUSAGE, "density is zero between %g and %g: no table", p->low[0],
                          p->high[0]);
    for (size_t i = 0; i < rows * columns; i++)
        p->density[i] = exp(p->density[i] - most);
    return NSAMP_OK;
}

static void integrate(nsamp_pit *p) {
    const size_t n = p->nodes;
    for (size_t i = 0; p->dim == 2 && i < n; i++) {
        accumulate(p->density + i * n, n, p->step[1], p->rows + i * n);
        p->marginal[i] = p->rows[i * n + n - 1];
    }
    accumulate(p->marginal, n, p->step[0], p->cumulative);
    const double total = p->cumulative[n - 1];
    for (size_t i = 0; i < (p->dim == 2 ? n * n : n); i++) {
        p->density[i] /= total;
        if (p->rows) p->rows[i] /= total;
    }
    for (size_t i = 0; i < n; i++) {
        if (p->dim == 2) p->marginal[i] /= total;
        p->cumulative[i] /= total;
    }
}

nsamp_status nsamp_pit_create(size_t dim, const double *low, const double *high,
                              nsamp_log_density_fn *log_density, const void *context, nsamp_pit **pit,
                              nsamp_error *err) {
    *pit = NULL;
    if (dim < 1 || dim > 2)
        return nsamp_fail(err, NSAMP_EUSAGE, "a density of %zu dimensions is not tabulated: 1 or 2", dim);
    for (size_t a = 0; a < dim; a++)
        if (!isfinite(low[a]) || !isfinite(high[a]) || !(low[a] < high[a]))
            return nsamp_fail(err, NSAMP_EUSAGE, "no box from %g to %g", low[a], high[a]);
    nsamp_pit *p = calloc(1, sizeof *p);
    if (p) {
        const size_t n = dim == 2 ? NODES_2D : NODES_1D;
        p->dim = dim;
        p->nodes = n;
        for (size_t a = 0; a < dim; a++) {
            p->low[a] = low[a];
            p->high[a] = high[a];
            p->step[a] = (high[a] - low[a]) / (double)(n - 1);
        }
        p->density = malloc((dim == 2 ? n * n : n) * sizeof *p->density);
        p->rows = dim == 2 ? malloc(n * n * sizeof *p->rows) : NULL;
        p->marginal = dim == 2 ? malloc(n * sizeof *p->marginal) : p->density;
        p->cumulative = malloc(n * sizeof *p->cumulative);
    }
    if (!p || !p->density || !p->marginal || !p->cumulative || (dim == 2 && !p->rows)) {
        nsamp_pit_destroy(p);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the table of a density");
    }
    const nsamp_status status = tabulate(p, log_density, context, err);
    if (status) {
        nsamp_pit_destroy(p);
        return status;
    }
    integrate(p);
    *pit = p;
    return NSAMP_OK;
}

void nsamp_pit_destroy(nsamp_pit *pit) {
    if (!pit) return;
    if (pit->dim == 2) free(pit->marginal);
    free(pit->density);
    free(pit->rows);
    free(pit->cumulative);
    free(pit);
}

double nsamp_pit_cdf(const nsamp_pit *pit, double x) {
    double part;
    if (isnan(x)) return NAN;
    const size_t k = locate(pit, 0, x, &part);
    return integral_to(pit->marginal, pit->cumulative, k, part, pit->step[0]);
}

void nsamp_pit_map(const nsamp_pit *pit, const double *x, double *u) {
    u[0] = nsamp_pit_cdf(pit, x[0]);
    if (pit->dim == 1) return;
    double across, along;
    const size_t n = pit->nodes, i = locate(pit, 0, x[0], &across), j = locate(pit, 1, x[1], &along);
    const double *f = pit->density + i * n, *c = pit->rows + i * n;
    const double below = (1.0 - across) * integral_to(f, c, j, along, pit->step[1]) +
                         across * integral_to(f + n, c + n, j, along, pit->step[1]);
    const double total = (1.0 - across) * c[n - 1] + across * c[2 * n - 1];
    u[1] = isnan(x[0]) || isnan(x[1]) ? NAN : total > 0.0 ? below / total : 0.5;
}
