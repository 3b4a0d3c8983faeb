/* moments.c: the accumulators of a run: sizes, adding a sample, checkpoint records. The summary that is made
 * from them: moments_finish.c. */
#include "stats/moments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "pages.h"
#include "isa.h"
#include "stats/moments_layout.h"

enum { BLOCK = NSAMP_MOMENTS_BLOCK, LANES = 64 /* at a time */, MIN_GROUPS = 16, MAX_GROUPS = 256 };

static const uint64_t PRODUCT_BYTES = 256ull << 20; /* more groups than MIN_GROUPS only within this */

static uint64_t gcd(uint64_t a, uint64_t b) {
    while (b) {
        uint64_t r = a % b;
        a = b;
        b = r;
    }
    return a;
}

/* Groups depend on C and D alone: the smallest power of two of chains that keeps their number within bounds.
 */
static void choose_groups(nsamp_moments *m) {
    uint64_t most = MAX_GROUPS;
    while (most > MIN_GROUPS && (double)most * (double)m->dim * (double)m->dim * 8.0 > (double)PRODUCT_BYTES)
        most /= 2;
    m->group_chains = 1;
    while ((m->chains + m->group_chains - 1) / m->group_chains > most)
        m->group_chains *= 2;
    m->group_halves = nsamp_moments_half_batches(m->chains) ? 2 : 1;
    m->groups = (m->chains + m->group_chains - 1) / m->group_chains * m->group_halves;
    m->tiles_per_unit = m->group_chains / gcd(m->group_chains, m->lanes);
}

static const nsamp_moments_loops *loops_of(const char *asked) {
#ifdef NSAMP_X86_64
    const char *const isa = asked ? asked : nsamp_isa_best();
    if (!strcmp(isa, "v4")) return nsamp_moments_loops_v4();
    if (!strcmp(isa, "v3")) return nsamp_moments_loops_v3();
#else
    (void)asked;
#endif
    return nsamp_moments_loops_base();
}

void nsamp_moments_set_interval(nsamp_moments *m, uint64_t every, uint64_t steps) {
    const uint64_t before = m->burn_in / every, last = steps / every;
    m->every = every;
    m->half_step = (before + (last > before ? (last - before) / 2 : 0)) * every;
}

nsamp_moments nsamp_moments_describe(const nsamp_moments_spec *spec) {
    nsamp_moments m = {.loops = loops_of(spec->isa),
                       .chains = spec->chains,
                       .lanes = spec->lanes,
                       .dim = spec->dim,
                       .rows = spec->dim + (spec->row_sum ? 1 : 0),
                       .full_cov = spec->full_cov,
                       .burn_in = spec->burn_in,
                       .tiles = (spec->chains + spec->lanes - 1) / spec->lanes,
                       .tiles_per_unit = 1,
                       .group_chains = 1,
                       .group_halves = 1};
    nsamp_moments_set_interval(&m, spec->every, spec->steps);
    if (m.full_cov) choose_groups(&m);
    return m;
}

/* Numbers of elements of each array. */
typedef struct sizes {
    uint64_t sums, products, extremes, results, scratch;
} sizes;

static sizes size_up(const nsamp_moments *m) {
    const uint64_t d2 = m->full_cov ? (uint64_t)m->dim * m->dim : 0;
    return (sizes){.sums = m->tiles * 4 * m->rows * m->lanes,
                   .products = m->groups * d2,
                   .extremes = m->tiles * m->dim * m->lanes,
                   .results = NSAMP_MOMENTS_VECTORS * (uint64_t)m->dim + 2 * d2,
                   .scratch = NSAMP_MOMENTS_CHAIN_SCRATCH * m->chains +
                              (m->full_cov ? (m->groups + 1) * (uint64_t)m->dim + m->groups : 0)};
}

static bool valid(const nsamp_moments_spec *s) {
    return s->chains && s->chains <= (1ull << 32) && s->dim && s->dim <= (1ull << 40) && s->every &&
           s->lanes && s->lanes % BLOCK == 0;
}

uint64_t nsamp_moments_bytes(const nsamp_moments_spec *spec) {
    if (!valid(spec)) return UINT64_MAX;
    const double chains = (double)spec->chains + spec->lanes, dim = (double)spec->dim + 1;
    if (64.0 * chains * dim > 1e18 || (spec->full_cov && 8.0 * (MAX_GROUPS + 2) * dim * dim > 1e18))
        return UINT64_MAX;
    const nsamp_moments m = nsamp_moments_describe(spec);
    const sizes n = size_up(&m);
    return 8 * (n.sums + n.products + n.results + n.scratch) + 2 * 4 * n.extremes + sizeof m;
}

nsamp_status nsamp_moments_create(const nsamp_moments_spec *spec, nsamp_moments **out, nsamp_error *err) {
    *out = NULL;
    if (!valid(spec))
        return nsamp_fail(err, NSAMP_EINTERNAL,
                          "moments: chains %llu, lanes %u, dim %zu, every %llu: need chains, dim, every >= 1 "
                          "and lanes a multiple of %d",
                          (unsigned long long)spec->chains, spec->lanes, spec->dim,
                          (unsigned long long)spec->every, BLOCK);
    const uint64_t bytes = nsamp_moments_bytes(spec);
    nsamp_moments *m = bytes < SIZE_MAX ? malloc(sizeof *m) : NULL;
    if (m) {
        *m = nsamp_moments_describe(spec);
        const sizes n = size_up(m);
        m->sums = nsamp_pages_doubles(n.sums, 0.0);
        m->low = nsamp_pages_floats(n.extremes, INFINITY);
        m->high = nsamp_pages_floats(n.extremes, -INFINITY);
        m->results = malloc(n.results * sizeof *m->results);
        m->scratch = malloc(n.scratch * sizeof *m->scratch);
        if (n.products) m->products = nsamp_pages_doubles(n.products, 0.0);
        if (m->sums && m->low && m->high && m->results && m->scratch && (m->products || !n.products)) {
            *out = m;
            return NSAMP_OK;
        }
        nsamp_moments_destroy(m);
    }
    return nsamp_fail(err, NSAMP_ENOMEM,
                      "moments of %llu chains of dimension %zu need %.3g GB: not available",
                      (unsigned long long)spec->chains, spec->dim, (double)bytes * 1e-9);
}

void nsamp_moments_destroy(nsamp_moments *m) {
    if (!m) return;
    free(m->sums);
    free(m->products);
    free(m->low);
    free(m->high);
    free(m->results);
    free(m->scratch);
    free(m);
}

uint64_t nsamp_moments_next(const nsamp_moments *m, uint64_t step) {
    const uint64_t k = (step > m->burn_in ? step : m->burn_in) / m->every;
    return k >= UINT64_MAX / m->every ? UINT64_MAX : (k + 1) * m->every;
}

void nsamp_moments_set_step(nsamp_moments *m, uint64_t step) {
    const uint64_t before = m->burn_in / m->every, half = m->half_step / m->every, now = step / m->every;
    m->count[0] = (now < half ? now : half) > before ? (now < half ? now : half) - before : 0;
    m->count[1] = now > half ? now - half : 0;
}

void nsamp_moments_add_tile(nsamp_moments *m, uint64_t tile, uint64_t step, const float *x) {
    const size_t L = m->lanes, D = m->dim;
    const uint32_t half = step > m->half_step;
    double *const sum1 = m->sums + (tile * 2 + half) * 2 * m->rows * L, *const sum2 = sum1 + m->rows * L;
    float *const low = m->low + tile * D * L, *const high = m->high + tile * D * L;
    for (size_t b = 0; b < L; b += LANES) {
        const size_t lanes = L - b < LANES ? L - b : LANES;
        double total[LANES] = {0};
        m->loops->rows(D, L, lanes, x + b, sum1 + b, sum2 + b, low + b, high + b, total);
        if (m->rows == D) continue;
        for (size_t l = 0; l < lanes; l++) {
            sum1[D * L + b + l] += total[l];
            sum2[D * L + b + l] += total[l] * total[l];
        }
    }
    if (!m->products) return;
    const uint64_t chain0 = tile * L;
    const size_t lanes = m->chains - chain0 < L ? (size_t)(m->chains - chain0) : L;
    const size_t most = m->group_chains < BLOCK ? (size_t)m->group_chains : BLOCK;
    for (size_t l = 0; l < lanes;) {
        size_t end =
            l + most - (size_t)((chain0 + l) % most); /* an aligned run of chains, within one group */
        if (end > lanes) end = lanes;
        m->loops->products(D, L, end - l, x + l,
                           m->products + nsamp_moments_group(m, chain0 + l, half) * D * D);
        l = end;
    }
}

size_t nsamp_moments_record_len(const nsamp_moments *m) {
    return 4 * m->rows + 2 * m->dim;
}

void nsamp_moments_get(const nsamp_moments *m, uint64_t chain, double *record) {
    const uint64_t tile = chain / m->lanes, lane = chain % m->lanes;
    const double *sums = m->sums + tile * 4 * m->rows * m->lanes + lane;
    for (size_t i = 0; i < 4 * m->rows; i++)
        *record++ = sums[i * m->lanes];
    for (size_t i = 0; i < m->dim; i++)
        *record++ = (double)m->low[(tile * m->dim + i) * m->lanes + lane];
    for (size_t i = 0; i < m->dim; i++)
        *record++ = (double)m->high[(tile * m->dim + i) * m->lanes + lane];
}

void nsamp_moments_put(nsamp_moments *m, uint64_t chain, const double *record) {
    const uint64_t tile = chain / m->lanes, lane = chain % m->lanes;
    double *sums = m->sums + tile * 4 * m->rows * m->lanes + lane;
    for (size_t i = 0; i < 4 * m->rows; i++)
        sums[i * m->lanes] = *record++;
    for (size_t i = 0; i < m->dim; i++)
        m->low[(tile * m->dim + i) * m->lanes + lane] = (float)*record++;
    for (size_t i = 0; i < m->dim; i++)
        m->high[(tile * m->dim + i) * m->lanes + lane] = (float)*record++;
}
