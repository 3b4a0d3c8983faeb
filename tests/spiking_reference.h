/* spiking_reference.h: the spiking Metropolis-Hastings network in double precision, written from the voltage
 * equation (n voltages, n rates), with Random123's Philox and libm: shares no code with what it checks. */
#ifndef NSAMP_TESTS_SPIKING_REFERENCE_H
#define NSAMP_TESTS_SPIKING_REFERENCE_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "reference_noise.h"

/* y = a x, a [n][m]. */
static void ref_product(size_t n, size_t m, const double *a, const double *x, double *y) {
    for (size_t i = 0; i < n; i++) {
        y[i] = 0.0;
        for (size_t k = 0; k < m; k++)
            y[i] += a[i * m + k] * x[k];
    }
}

typedef struct ref_spiking {
    size_t p, n;
    double eta, gain;
    double *gamma;     /* [p][n] */
    double *precision; /* [p][p] Sigma^-1 */
    double *mean;      /* [p] */
    double *drive;     /* [n][p] Gamma^T Sigma^-1 */
    double *omega;     /* [n][n] */
} ref_spiking;

/* Inverse of a [p][p], by Gauss and Jordan with pivots on the diagonal (a is positive definite). */
static void ref_inverse(size_t p, const double *a, double *inverse) {
    double *w = malloc(p * p * sizeof(double));
    memcpy(w, a, p * p * sizeof(double));
    for (size_t i = 0; i < p * p; i++)
        inverse[i] = i % (p + 1) == 0;
    for (size_t k = 0; k < p; k++) {
        double pivot = w[k * p + k];
        for (size_t j = 0; j < p; j++)
            w[k * p + j] /= pivot, inverse[k * p + j] /= pivot;
        for (size_t i = 0; i < p; i++) {
            double factor = w[i * p + k];
            if (i == k) continue;
            for (size_t j = 0; j < p; j++) {
                w[i * p + j] -= factor * w[k * p + j];
                inverse[i * p + j] -= factor * inverse[k * p + j];
            }
        }
    }
    free(w);
}

/* Symmetric square root of a [p][p], positive definite, by the Denman-Beavers iteration. */
static void ref_root(size_t p, const double *a, double *root) {
    double *y = malloc(4 * p * p * sizeof(double)), *z = y + p * p, *yi = z + p * p, *zi = yi + p * p;
    memcpy(y, a, p * p * sizeof(double));
    for (size_t i = 0; i < p * p; i++)
        z[i] = i % (p + 1) == 0;
    for (int it = 0; it < 40; it++) {
        ref_inverse(p, y, yi);
        ref_inverse(p, z, zi);
        for (size_t i = 0; i < p * p; i++)
            y[i] = (y[i] + zi[i]) / 2.0, z[i] = (z[i] + yi[i]) / 2.0;
    }
    memcpy(root, y, p * p * sizeof(double));
    free(y);
}

/* Gamma = [A, -A] or Sigma^(1/2) [A, -A]; A [p][n/2] of variance scale. */
static ref_spiking ref_spiking_create(size_t p, size_t n, const double *sigma, const double *mean,
                                      int natural, double scale, double eta, double gain,
                                      uint64_t weight_seed) {
    ref_spiking r = {.p = p, .n = n, .eta = eta, .gain = gain};
    double *a = malloc(2 * p * sizeof(double)), *root = malloc(p * p * sizeof(double));
    r.gamma = malloc(p * n * sizeof(double));
    r.precision = malloc(p * p * sizeof(double));
    r.mean = malloc(p * sizeof(double));
    r.drive = calloc(n * p, sizeof(double));
    r.omega = calloc(n * n, sizeof(double));
    memcpy(r.mean, mean, p * sizeof(double));
    ref_inverse(p, sigma, r.precision);
    ref_root(p, sigma, root);
    for (size_t j = 0; j < n; j++) {
        for (size_t i = 0; i < p; i++)
            a[i] = sqrt(scale) *
                   ref_normal(weight_seed, REF_PURPOSE_WEIGHTS, (uint32_t)(j % (n / 2)), 0, (uint32_t)i);
        ref_product(p, p, root, a, a + p);
        for (size_t i = 0; i < p; i++)
            r.gamma[i * n + j] = (j < n / 2 ? 1.0 : -1.0) * a[natural ? p + i : i];
    }
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < p; k++)
            for (size_t i = 0; i < p; i++)
                r.drive[j * p + k] += r.gamma[i * n + j] * r.precision[i * p + k];
    for (size_t j = 0; j < n; j++)
        for (size_t k = 0; k < n; k++)
            for (size_t i = 0; i < p; i++)
                r.omega[j * n + k] += r.drive[j * p + i] * r.gamma[i * n + k];
    free(a);
    free(root);
    return r;
}

static void ref_spiking_free(ref_spiking *r) {
    free(r->gamma);
    free(r->precision);
    free(r->mean);
    free(r->drive);
    free(r->omega);
}

/* Steps 0 .. steps - 1 of one chain from readout z [p] (in and out); spikes [n] are added to. The readout is
 * kept beside the voltages, for a start that no rates r stand for. */
static void ref_spiking_run(const ref_spiking *r, uint64_t seed, uint32_t chain, uint64_t steps, double *z,
                            double *spikes) {
    double *v = malloc((r->n + 2 * r->p) * sizeof(double)), *x = v + r->n;
    for (size_t i = 0; i < r->p; i++)
        x[i] = r->mean[i] - (1.0 - r->eta) * z[i];
    ref_product(r->n, r->p, r->drive, x, v);
    for (uint64_t t = 0; t < steps; t++) {
        philox4x32_ctr_t w = ref_words(seed, REF_PURPOSE_STEP, chain, t / 2, 0);
        size_t j = (size_t)((double)w.v[2 * (t % 2)] * (double)r->n / 4294967296.0);
        double probability = exp(r->gain * (v[j] - r->omega[j * r->n + j] / 2.0));
        double s = ref_uniform(w.v[2 * (t % 2) + 1]) < probability;
        for (size_t k = 0; k < r->n; k++) {
            double input = 0.0;
            for (size_t i = 0; i < r->p; i++)
                input += r->drive[k * r->p + i] * r->eta * r->mean[i];
            v[k] = (1.0 - r->eta) * (v[k] - r->omega[k * r->n + j] * s) + input;
        }
        for (size_t i = 0; i < r->p; i++)
            z[i] = (1.0 - r->eta) * z[i] + r->gamma[i * r->n + j] * s;
        spikes[j] += s;
    }
    free(v);
}

#endif
