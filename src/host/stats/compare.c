/* compare.c: distances of stored draws from their target. */
#include "stats/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "stats/distances.h"
#include "stats/held_out.h"
#include "stats/series.h"

enum {
    COORDINATES = 64, /* that get distances of their own */
    FRECHET_DIM = 512,
    BOX_DRAWS = 20000,
    DRAWS_MOST = 1 << 25, /* numbers read: the last draws of each chain */
    EXACT_MOST = 200000   /* exact draws to compare with */
};

static const uint64_t DRAWS_SEED = 0x6e73616d70; /* of exact draws: no run's own stream */

nsamp_status nsamp_result_target(const nsamp_result *r, nsamp_target **target, nsamp_error *err) {
    *target = NULL;
    /* Seen before it is built: a damaged file may say any dimension. */
    if (nsamp_job_is_set(r->job, NSAMP_KEY_target_dim) &&
        nsamp_job_int(r->job, NSAMP_KEY_target_dim) != (int64_t)r->dim)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: draws of dimension %zu, target.dim = %s", r->path, r->dim,
                          nsamp_job_text(r->job, NSAMP_KEY_target_dim));
    const nsamp_status status = nsamp_target_create(r->job, target, err);
    if (status) return status;
    const size_t dim = (*target)->dim;
    if (dim == r->dim) return NSAMP_OK;
    nsamp_target_destroy(*target);
    *target = NULL;
    return nsamp_fail(err, NSAMP_EUSAGE, "%s: draws of dimension %zu, target of %zu", r->path, r->dim, dim);
}

double *nsamp_target_draws(const nsamp_target *t, size_t n, uint64_t set) {
    double *const x = malloc((t->dim * n + t->dim) * sizeof *x), *const one = x ? x + t->dim * n : NULL;
    const nsamp_noise_key key = nsamp_noise_key_of(DRAWS_SEED + set, 10);
    for (size_t k = 0; x && k < n; k++) {
        t->ops->draw(t, key, NSAMP_PURPOSE_TARGET, k, one);
        for (size_t i = 0; i < t->dim; i++)
            x[i * n + k] = one[i];
    }
    return x;
}

static double log_density(const void *context, const double *x) {
    const nsamp_target *t = context;
    return t->ops->log_density(t, x);
}

nsamp_status nsamp_target_pit(const nsamp_target *t, nsamp_pit **pit, nsamp_error *err) {
    double low[2], high[2];
    *pit = NULL;
    if (t->dim > 2) return nsamp_fail(err, NSAMP_EUSAGE, "no table of a density of %zu dimensions", t->dim);
    double *const x = nsamp_target_draws(t, BOX_DRAWS, 0);
    if (!x) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %d draws", BOX_DRAWS);
    for (size_t i = 0; i < t->dim; i++) {
        low[i] = INFINITY;
        high[i] = -INFINITY;
        for (size_t k = 0; k < BOX_DRAWS; k++) {
            low[i] = fmin(low[i], x[i * BOX_DRAWS + k]);
            high[i] = fmax(high[i], x[i * BOX_DRAWS + k]);
        }
        const double room = 0.3 * (high[i] - low[i]);
        low[i] -= room;
        high[i] += room;
    }
    free(x);
    return nsamp_pit_create(t->dim, low, high, log_density, t, pit, err);
}

/* ---- the draws ---- */

/* Draws of the chains whose draws are all finite. */
typedef struct draws {
    float *x; /* [chains][draws][dim] */
    size_t chains, draws, dim;
} draws;

static nsamp_status read_draws(const nsamp_result *r, draws *d, nsamp_error *err) {
    const size_t row = r->chains * r->dim, fit = DRAWS_MOST / row, most = fit ? fit : 1;
    const size_t first = r->draws > most ? r->draws - most : 0;
    *d = (draws){.draws = r->draws - first, .dim = r->dim};
    const nsamp_status status = nsamp_result_draws(r, r->chains, first, &d->x, err);
    if (status) return status;
    const size_t length = d->draws * d->dim;
    for (size_t c = 0; c < r->chains; c++) {
        bool finite = true;
        for (size_t i = 0; i < length && finite; i++)
            finite = isfinite(d->x[c * length + i]);
        if (!finite) continue;
        if (d->chains != c) memcpy(d->x + d->chains * length, d->x + c * length, length * sizeof *d->x);
        d->chains++;
    }
    return NSAMP_OK;
}

/* Coordinate i -> v [chains][draws]. */
static void coordinate(const draws *d, size_t i, double *v) {
    for (size_t k = 0; k < d->chains * d->draws; k++)
        v[k] = (double)d->x[k * d->dim + i];
}

static size_t coordinates(const draws *d) {
    return d->dim < COORDINATES ? d->dim : COORDINATES;
}

/* v: room for a number of each draw, and one of each chain. */
static nsamp_status describe(nsamp_result *r, const draws *d, double *v, nsamp_error *err) {
    double tau[COORDINATES], kurtosis[COORDINATES], kurtosis_se[COORDINATES];
    const double every = (double)nsamp_job_int(r->job, NSAMP_KEY_record_every);
    const double chains = (double)d->chains, length = (double)d->draws;
    const size_t n = coordinates(d);
    for (size_t i = 0; i < n; i++) {
        coordinate(d, i, v);
        const nsamp_estimate k = nsamp_excess_kurtosis(v, d->chains, d->draws);
        tau[i] = every * nsamp_series_tau(v, d->chains, d->draws, v + d->chains * d->draws);
        kurtosis[i] = k.value;
        kurtosis_se[i] = k.se;
    }
    nsamp_status status = nsamp_result_add(r, "draws", "chains", &chains, 1, 0, err);
    if (!status) status = nsamp_result_add(r, "draws", "draws", &length, 1, 0, err);
    if (!status) status = nsamp_result_add(r, "draws", "tau_steps", tau, n, 1, err);
    if (!status) status = nsamp_result_add(r, "draws", "excess_kurtosis", kurtosis, n, 1, err);
    if (!status) status = nsamp_result_add(r, "draws", "excess_kurtosis_se", kurtosis_se, n, 1, err);
    return status;
}

/* ---- distances ---- */

/* KL and KS against the tabulated density; v: room for all numbers of d. */
static nsamp_status density_distances(nsamp_result *r, const draws *d, const nsamp_target *t, double *v,
                                      nsamp_error *err) {
    nsamp_pit *pit;
    nsamp_estimate kl;
    const size_t n = d->chains * d->draws;
    nsamp_status status = nsamp_target_pit(t, &pit, err);
    if (status) return status;
    for (size_t k = 0; k < n * d->dim; k++)
        v[k] = (double)d->x[k];
    status = nsamp_kl_density(pit, v, d->chains, d->draws, &kl, err);
    if (!status) status = nsamp_result_add(r, "distances", "kl", &kl.value, 1, 0, err);
    if (!status) status = nsamp_result_add(r, "distances", "kl_se", &kl.se, 1, 0, err);
    if (!status && d->dim == 1) {
        nsamp_sort(v, n);
        const double ks = nsamp_ks_density(pit, v, n);
        status = nsamp_result_add(r, "distances", "ks", &ks, 1, 1, err);
    }
    nsamp_pit_destroy(pit);
    return status;
}

/* W1 of each coordinate to exact draws, and between two sets of exact draws: what remains of a perfect
 * sampler. */
static nsamp_status marginal_distances(nsamp_result *r, const draws *d, const nsamp_target *t, double *v,
                                       nsamp_error *err) {
    const size_t n = d->chains * d->draws, m = n < EXACT_MOST ? n : EXACT_MOST;
    double w1[COORDINATES], noise[COORDINATES];
    double *const exact = nsamp_target_draws(t, m, 1), *const other = nsamp_target_draws(t, m, 2);
    for (size_t i = 0; exact && other && i < coordinates(d); i++) {
        coordinate(d, i, v);
        nsamp_sort(v, n);
        nsamp_sort(exact + i * m, m);
        nsamp_sort(other + i * m, m);
        w1[i] = nsamp_w1(v, n, exact + i * m, m);
        noise[i] = nsamp_w1(other + i * m, m, exact + i * m, m);
    }
    const bool done = exact && other;
    free(exact);
    free(other);
    if (!done) return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for %zu exact draws", r->path, m);
    const nsamp_status status = nsamp_result_add(r, "distances", "w1", w1, coordinates(d), 1, err);
    return status ? status : nsamp_result_add(r, "distances", "w1_floor", noise, coordinates(d), 1, err);
}

/* Mean and covariance of `m` exact draws. work [m * dim] floats. */
static nsamp_status exact_moments(const nsamp_target *t, size_t m, uint64_t set, double *mean, double *cov,
                                  nsamp_error *err) {
    double *const x = nsamp_target_draws(t, m, set);
    float *const rows = malloc(m * t->dim * sizeof *rows);
    nsamp_status status = NSAMP_ENOMEM;
    if (x && rows) {
        for (size_t k = 0; k < m; k++)
            for (size_t i = 0; i < t->dim; i++)
                rows[k * t->dim + i] = (float)x[i * m + k];
        status = nsamp_sample_moments(rows, m, t->dim, mean, cov, err);
    }
    free(x);
    free(rows);
    return status == NSAMP_ENOMEM ? nsamp_fail(err, status, "no memory for %zu exact draws", m) : status;
}

static nsamp_status frechet_distances(nsamp_result *r, const draws *d, const nsamp_target *t,
                                      nsamp_error *err) {
    const size_t D = d->dim, n = d->chains * d->draws, m = n < EXACT_MOST ? n : EXACT_MOST, part = D + D * D;
    if (n < 2 || (double)m * (double)D > 2.0 * DRAWS_MOST) return NSAMP_OK;
    double *const mean = malloc(3 * part * sizeof *mean), value, noise;
    if (!mean) return nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for the Frechet distance", r->path);
    nsamp_status status = nsamp_sample_moments(d->x, n, D, mean, mean + D, err);
    for (uint64_t set = 1; set <= 2 && !status; set++)
        status = exact_moments(t, m, set, mean + set * part, mean + set * part + D, err);
    if (!status) status = nsamp_frechet(D, mean, mean + D, mean + part, mean + part + D, &value, err);
    if (!status)
        status =
            nsamp_frechet(D, mean + 2 * part, mean + 2 * part + D, mean + part, mean + part + D, &noise, err);
    free(mean);
    if (!status) status = nsamp_result_add(r, "distances", "frechet", &value, 1, 0, err);
    return status ? status : nsamp_result_add(r, "distances", "frechet_floor", &noise, 1, 0, err);
}

static nsamp_status held_out_distances(nsamp_result *r, const draws *d, const nsamp_images *images,
                                       nsamp_error *err) {
    double distance, noise;
    nsamp_status status = nsamp_held_out_frechet(images, d->x, d->chains * d->draws, &distance, &noise, err);
    if (status || !isfinite(distance)) return status;
    status = nsamp_result_add(r, "distances", "frechet_held_out", &distance, 1, 0, err);
    return status ? status : nsamp_result_add(r, "distances", "frechet_held_out_floor", &noise, 1, 0, err);
}

nsamp_status nsamp_compare(nsamp_result *r, nsamp_error *err) {
    draws d;
    nsamp_target *t = NULL;
    if (!r->chains || !r->draws) return NSAMP_OK;
    nsamp_status status = read_draws(r, &d, err);
    if (status || !d.chains) {
        free(d.x);
        return status;
    }
    const size_t most = d.chains * d.draws * (d.dim <= 2 ? d.dim : 1) + d.chains;
    double *const v = malloc(most * sizeof *v);
    status =
        v ? describe(r, &d, v, err) : nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its draws", r->path);
    if (!status) status = nsamp_result_target(r, &t, err);
    if (!status && d.dim <= 2 && d.chains * d.draws >= 100) status = density_distances(r, &d, t, v, err);
    if (!status) status = marginal_distances(r, &d, t, v, err);
    if (!status && d.dim <= FRECHET_DIM) status = frechet_distances(r, &d, t, err);
    if (!status && d.dim <= FRECHET_DIM && !strcmp(t->name, "images"))
        status = held_out_distances(r, &d, t->data, err);
    nsamp_target_destroy(t);
    free(v);
    free(d.x);
    return status;
}
