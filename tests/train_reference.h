/* train_reference.h: the loss of score matching in double, written from the equations alone (train/learner.h has them), its
 * gradient by central differences, and how far a gradient of rounded numbers may be from it. For the tests of the
 * learners. */
#ifndef NSAMP_TESTS_TRAIN_REFERENCE_H
#define NSAMP_TESTS_TRAIN_REFERENCE_H

#include <math.h>
#include <stdlib.h>
#include "train/learner.h"

typedef struct {
    size_t m, n, batch;
    nsamp_activation activation;
    bool denoiser, control_variate;
    double sigma, weight, decay;
} problem;

static uint64_t random_state;
static double uniform(void) { /* in [-1, 1) */
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) * 0x1p-52 - 1;
}

/* ---- the reference ---- */

static double reference_phi(nsamp_activation a, double z) {
    switch (a) {
    case NSAMP_RELU:
        return z > 0 ? z : 0;
    case NSAMP_TANH:
        return tanh(z);
    case NSAMP_SOFTPLUS:
        return z > 0 ? z + log1p(exp(-z)) : log1p(exp(z));
    default:
        return z;
    }
}

/* w: W2 [n][m], W1 transposed [n][m], b [n]. The score s(x) of the form -> s [m]. */
static void reference_score(const problem *p, const double *w, const double *x, double *s) {
    const double *w2 = w, *w1 = w + p->n * p->m, *b = w + 2 * p->n * p->m;
    for (size_t k = 0; k < p->m; k++)
        s[k] = -x[k];
    for (size_t j = 0; j < p->n; j++) {
        double z = b[j];
        for (size_t k = 0; k < p->m; k++)
            z += w2[j * p->m + k] * x[k];
        double h = reference_phi(p->activation, z);
        for (size_t k = 0; k < p->m; k++)
            s[k] += w1[j * p->m + k] * h;
    }
    if (p->denoiser)
        for (size_t k = 0; k < p->m; k++)
            s[k] /= p->sigma * p->sigma;
}

static double reference_loss(const problem *p, const double *w, const float *x0, const float *eps) {
    double sum = 0, x[8], s[8], s0[8];
    assert_true(p->m <= 8);
    for (size_t r = 0; r < p->batch; r++) {
        const float *e = eps + r * p->m;
        for (size_t k = 0; k < p->m; k++)
            x[k] = x0[r * p->m + k] + p->sigma * e[k];
        reference_score(p, w, x, s);
        for (size_t k = 0; k < p->m; k++) {
            double q = s[k] + e[k] / p->sigma;
            sum += q * q / 2;
        }
        if (!p->control_variate) continue;
        for (size_t k = 0; k < p->m; k++)
            x[k] = x0[r * p->m + k];
        reference_score(p, w, x, s0);
        for (size_t k = 0; k < p->m; k++)
            sum -= s0[k] * e[k] / p->sigma + (e[k] * (double)e[k] - 1) / (2 * p->sigma * p->sigma);
    }
    return sum / (double)p->batch;
}

static double reference_gradient(const problem *p, double *w, size_t i, const float *x0, const float *eps) {
    const double kept = w[i], h = 1e-5;
    w[i] = kept + h;
    const double up = reference_loss(p, w, x0, eps);
    w[i] = kept - h;
    const double down = reference_loss(p, w, x0, eps);
    w[i] = kept;
    return p->weight * (up - down) / (2 * h) + p->decay * kept;
}

/* ---- how far rounding takes a gradient ----
 *
 * First-order error analysis of a learner that sums in more than float32. U covers the rounding of what goes into a
 * product or is stored in its type (unit roundoff u) and a few operations in float32. An error of z beyond z itself
 * may turn the slope of a relu round. */

typedef struct {
    double z, dz, h, dh; /* of a unit: value and bound of its error */
} reference_unit;

static double reference_slope(nsamp_activation a, double z) {
    switch (a) {
    case NSAMP_RELU:
        return z > 0 ? 1 : 0;
    case NSAMP_TANH:
        return 1 - tanh(z) * tanh(z);
    case NSAMP_SOFTPLUS:
        return 1 / (1 + exp(-z));
    default:
        return 1;
    }
}

/* Largest change of the slope between z - dz and z + dz. */
static double reference_slope_error(nsamp_activation a, const reference_unit *v) {
    if (a == NSAMP_RELU) return fabs(v->z) <= v->dz ? 1 : 0;
    return a == NSAMP_TANH ? 0.77 * v->dz + 2 * fabs(v->h) * v->dh : v->dz + v->dh;
}

/* f and its error of a row x, units as by-product. */
static void reference_forward(const problem *p, const double *w, const double *x, double U,
                              reference_unit *unit, double *f, double *df) {
    const double *w2 = w, *w1 = w + p->n * p->m, *b = w + 2 * p->n * p->m;
    for (size_t k = 0; k < p->m; k++)
        f[k] = df[k] = 0;
    for (size_t j = 0; j < p->n; j++) {
        reference_unit *v = unit + j;
        double size = fabs(b[j]);
        v->z = b[j];
        for (size_t k = 0; k < p->m; k++) {
            v->z += w2[j * p->m + k] * x[k];
            size += fabs(w2[j * p->m + k] * x[k]);
        }
        v->h = reference_phi(p->activation, v->z);
        v->dz = 3 * U * size;
        v->dh = v->dz + 2 * U * fabs(v->h);
        for (size_t k = 0; k < p->m; k++) {
            f[k] += w1[j * p->m + k] * v->h;
            df[k] += fabs(w1[j * p->m + k]) * (v->dh + 2 * U * fabs(v->h));
        }
    }
}

/* Adds what one row of e (error de) through units may do to the gradient -> bound [n (2 m + 1)]. */
static void reference_backward(const problem *p, const double *w, const double *x, const reference_unit *unit,
                               const double *e, const double *de, double U, double *bound) {
    const size_t n = p->n, m = p->m;
    for (size_t j = 0; j < n; j++) {
        const reference_unit *v = unit + j;
        double d = 0, dd = 0;
        for (size_t k = 0; k < m; k++) {
            const double w1 = w[(n + j) * m + k];
            d += w1 * e[k];
            dd += fabs(w1) * (de[k] + 4 * U * fabs(e[k]));
        }
        const double s = reference_slope(p->activation, v->z), ds = reference_slope_error(p->activation, v);
        dd = dd * (s + ds) + fabs(d) * ds + 2 * U * fabs(d * s);
        d *= s;
        for (size_t k = 0; k < m; k++) {
            bound[j * m + k] += dd * fabs(x[k]) + 3 * U * fabs(d * x[k]);
            bound[(n + j) * m + k] +=
                v->dh * (fabs(e[k]) + de[k]) + fabs(v->h) * de[k] + 3 * U * fabs(v->h * e[k]);
        }
        bound[2 * n * m + j] += dd + U * fabs(d);
    }
}

/* Bound of the error of each entry of the gradient, and of the loss; u: unit roundoff of what goes into the
 * products. */
__attribute__((unused)) static void reference_bounds(const problem *p, const double *w, const float *x0,
                                                     const float *eps, double u, double *bound,
                                                     double *loss) {
    const double U = u + 0x1p-22, a = p->denoiser ? 1 / (p->sigma * p->sigma) : 1, rows = (double)p->batch;
    const double noise = p->denoiser ? p->sigma : 1 / p->sigma;
    reference_unit *unit = malloc(p->n * sizeof *unit);
    double x[8], f[8], df[8], e[8], de[8];
    *loss = 0;
    for (size_t i = 0; i < p->n * (2 * p->m + 1); i++)
        bound[i] = U * p->decay * fabs(w[i]) + 1e-8;
    for (size_t r = 0; r < p->batch; r++)
        for (int clean = 0; clean <= (p->control_variate ? 1 : 0); clean++) {
            for (size_t k = 0; k < p->m; k++)
                x[k] = x0[r * p->m + k] + (clean ? 0 : p->sigma * eps[r * p->m + k]);
            reference_forward(p, w, x, U, unit, f, df);
            for (size_t k = 0; k < p->m; k++) {
                const double z = eps[r * p->m + k], q = f[k] - x[k] + noise * z;
                const double dq = df[k] + 0x1p-21 * (fabs(f[k]) + fabs(x[k]) + fabs(noise * z));
                const double gain = p->weight * a / rows * (clean ? 1 / p->sigma : a);
                e[k] = gain * (clean ? -z : q);
                de[k] = (clean ? 0 : gain * dq) + 2 * U * fabs(e[k]);
                *loss += (clean ? a / p->sigma * fabs(z) * dq : a * a * (fabs(q) * dq + dq * dq / 2)) / rows;
            }
            reference_backward(p, w, x, unit, e, de, U, bound);
        }
    for (size_t i = 0; i < p->n * (2 * p->m + 1); i++)
        bound[i] *= 1.1; /* what is of second order */
    *loss = 1.1 * *loss + 1e-8;
    free(unit);
}

static float *rows_of(const problem *p) {
    float *x = malloc(p->batch * p->m * sizeof *x);
    for (size_t i = 0; i < p->batch * p->m; i++)
        x[i] = (float)(1.5 * uniform());
    return x;
}

static double *as_double(const float *x, size_t count) {
    double *d = malloc(count * sizeof *d);
    for (size_t i = 0; i < count; i++)
        d[i] = x[i];
    return d;
}

/* With beta1 = 0 the first moment after a step is the gradient, decay included. Each entry is within what rounding
 * can do at worst, which for coarse factors says little. At most eight roundings follow one another, and those of different terms
 * are as if random, so the whole is within eight of them in any precision. The learner ends here. */
__attribute__((unused)) static void reference_check_gradient(problem p, nsamp_learner *l) {
    static const double roundoff[] = {[NSAMP_FP32] = 0x1p-24, [NSAMP_BF16] = 0x1p-8, [NSAMP_TF32] = 0x1p-11};
    const nsamp_precision precision = l->shape.precision;
    const size_t weights = nsamp_learner_weights(&l->shape), most = 60;
    float *x0 = rows_of(&p), *eps = rows_of(&p);
    double *w = as_double(l->ops->get(l), weights), *bound = calloc(weights, sizeof *bound), loss_bound;
    const nsamp_level level = {p.sigma, p.weight};
    const nsamp_adam adam = {0.01f, 1, 0, 0.5f, 1e-8f, (float)p.decay};
    const double loss = l->ops->step(l, &level, &adam, x0, eps), expected = reference_loss(&p, w, x0, eps);
    nsamp_error err;
    if (l->ops->check(l, &err)) fail_msg("%s", err.text);
    reference_bounds(&p, w, x0, eps, roundoff[precision], bound, &loss_bound);
    if (!(fabs(loss - expected) <= loss_bound))
        fail_msg("loss %.9g, expected %.9g to %.2g", loss, expected, loss_bound);
    const float *g = l->ops->get(l) + weights;
    double squares = 0, bounds = 0, errors = 0;
    for (size_t c = 0; c < (weights < most ? weights : most); c++) {
        const size_t i = weights < most ? c : (size_t)((uniform() + 1) / 2 * (double)weights);
        const double fd = reference_gradient(&p, w, i, x0, eps);
        squares += fd * fd;
        bounds += bound[i] * bound[i];
        errors += (g[i] - fd) * (g[i] - fd);
        if (!(fabs(g[i] - fd) <= bound[i] + 1e-7 * fabs(fd)))
            fail_msg(
                "precision %d n %zu activation %d denoiser %d control variate %d: gradient %zu of %zu is "
                "%.7g, expected %.7g to %.2g",
                precision, p.n, p.activation, p.denoiser, p.control_variate, i, weights, g[i], fd, bound[i]);
    }
    if (precision == NSAMP_FP32) assert_true(bounds < 1e-6 * squares); /* so that a fault of 0.1 % is seen */
    if (!(sqrt(errors / squares) < 8 * roundoff[precision]))
        fail_msg("precision %d n %zu activation %d denoiser %d control variate %d: the gradient is off by "
                 "%.2g of itself",
                 precision, p.n, p.activation, p.denoiser, p.control_variate, sqrt(errors / squares));
    nsamp_learner_destroy(l);
    free(x0), free(eps), free(w), free(bound);
}

#endif
