/* moments_finish.c: from accumulated sums to the summary of a run. Formulas: moments.h. All sums over chains
 * are fixed trees over chain numbers, a chain that is left out counting as zero; loops over chains are shared by the threads of the caller
 * where there are many chains, and no number depends on that. */
#include "stats/moments.h"

#include <math.h>

#include "stats/moments_layout.h"

/* The work arrays of finish, carved from nsamp_moments.scratch. Batches b are chains, or half chains 2 c + h.
 */
typedef struct work {
    const nsamp_moments *m;
    double *keep;       /* [C] 1, or 0 for a chain that diverged */
    double *half_mean;  /* [2 C] at 2 c + h */
    double *half_var;   /* [2 C] 1/n variance */
    double *mean;       /* [B] of a batch */
    double *square;     /* [B] mean square about the overall mean */
    double *means;      /* [B] mean, summed over coordinates */
    double *squares;    /* [B] square, summed over coordinates */
    double *term;       /* [B] what is being summed */
    uint64_t chains;    /* that did not diverge */
    uint32_t per_chain; /* 1 or 2 */
    uint64_t batches;   /* per_chain * C: length of the arrays */
    double n;           /* samples of a batch */
    double used;        /* batches that count */
} work;

/* Numbers from which on a loop is shared: below, waking the threads takes longer. A power of two. PARTS: into how many pieces, at most, what has to
 * be put together in order is cut. */
enum { SHARED = 1 << 15, PARTS = 1024, LEAST_BATCHES = 8 };

#define PRAGMA(text) _Pragma(#text)
/* Before a loop over n chains or batches, each of which writes what is its own. */
#define SHARE(n) PRAGMA(omp parallel for schedule(static) if ((n) >= SHARED))

/* The length of such pieces. */
static uint64_t piece(uint64_t n) {
    uint64_t length = SHARED;
    while (n / length >= PARTS)
        length *= 2;
    return length;
}

/* Pairwise sum; every inner node covers an aligned range whose length is a power of two and a multiple of the leaf's, or the
 * rest of the array. leaf: numbers that are added one after the other, a power of two. */
static double tree_sum(const double *v, uint64_t n, uint64_t leaf) {
    if (n <= leaf) {
        double s = 0.0;
        for (uint64_t i = 0; i < n; i++)
            s += v[i];
        return s;
    }
    uint64_t h = leaf;
    while (2 * h < n)
        h *= 2;
    return tree_sum(v, h, leaf) + tree_sum(v + h, n - h, leaf);
}

/* tree_sum with leaves of 8. Pieces are nodes of that tree, and what is above them is a tree of theirs. */
static double sum(const double *v, uint64_t n) {
    const uint64_t length = piece(n), count = n / length + (n % length != 0);
    double sums[PARTS + 1];
    SHARE(n)
    for (uint64_t k = 0; k < count; k++)
        sums[k] = tree_sum(v + k * length, k + 1 < count ? length : n - k * length, 8);
    return tree_sum(sums, count, 1);
}

static bool kept(const work *w, uint64_t batch) {
    return w->keep[batch >> (w->per_chain - 1)] != 0.0;
}

static double batch_average(const work *w, const double *v) {
    return sum(v, w->batches) / w->used;
}

/* Sample variance over the batches of v, whose average is given. */
static double batch_variance(const work *w, const double *v, double average) {
    SHARE(w->batches)
    for (uint64_t b = 0; b < w->batches; b++) {
        const double d = v[b] - average;
        w->term[b] = kept(w, b) ? d * d : 0.0;
    }
    return w->used > 1.0 ? sum(w->term, w->batches) / (w->used - 1.0) : NAN;
}

static work begin(nsamp_moments *m, const uint64_t *first_bad, nsamp_summary *s) {
    double *at = m->scratch;
    const uint64_t C = m->chains;
    work w = {.m = m,
              .keep = at,
              .half_mean = at + C,
              .half_var = at + 3 * C,
              .mean = at + 5 * C,
              .square = at + 7 * C,
              .means = at + 9 * C,
              .squares = at + 11 * C,
              .term = at + 13 * C};
    s->first_bad_chain = s->first_bad_step = UINT64_MAX;
    for (uint64_t c = 0; c < C; c++) {
        w.keep[c] = first_bad[c] == UINT64_MAX;
        w.chains += first_bad[c] == UINT64_MAX;
        if (first_bad[c] < s->first_bad_step) {
            s->first_bad_step = first_bad[c];
            s->first_bad_chain = c;
        }
    }
    const uint64_t n = m->count[0] + m->count[1];
    w.per_chain = nsamp_moments_half_batches(w.chains) && n > 1 ? 2 : 1;
    w.batches = w.per_chain * C;
    w.used = (double)(w.per_chain * w.chains);
    w.n = (double)n / w.per_chain;
    for (uint64_t b = 0; b < w.batches; b++)
        w.means[b] = w.squares[b] = 0.0;
    return w;
}

/* What gather does for one chain, whose sums are at s. */
static void gather_chain(work *w, uint64_t c, const double *s, uint64_t power) {
    const nsamp_moments *m = w->m;
    double total[2] = {0};
    for (uint32_t h = 0; h < 2; h++, s += 2 * power) {
        const double n = (double)m->count[h], mean = s[0] / n;
        const bool any = w->keep[c] != 0.0 && m->count[h];
        w->half_mean[2 * c + h] = any ? mean : 0.0;
        w->half_var[2 * c + h] = any ? fmax(s[power] / n - mean * mean, 0.0) : 0.0;
        total[0] += any ? s[0] : 0.0;
        total[1] += any ? s[power] : 0.0;
    }
    if (w->per_chain == 2) {
        for (uint32_t h = 0; h < 2; h++) {
            w->mean[2 * c + h] = w->half_mean[2 * c + h];
            w->square[2 * c + h] = w->half_var[2 * c + h];
        }
    } else {
        w->mean[c] = total[0] / w->n;
        w->square[c] = fmax(total[1] / w->n - w->mean[c] * w->mean[c], 0.0);
    }
}

/* Means and variances of half chains and of batches of one row of the sums. */
static void gather(work *w, size_t row) {
    const nsamp_moments *m = w->m;
    const uint64_t L = m->lanes, power = m->rows * L;
    SHARE(m->chains)
    for (uint64_t first = 0; first < m->chains; first += L) {
        const double *const s = m->sums + first * 4 * m->rows + row * L;
        for (uint64_t l = 0; l < L && first + l < m->chains; l++)
            gather_chain(w, first + l, s + l, power);
    }
}

/* Two batches lie at the same distance from their average: their squares have a spread that says nothing. */
static bool few(const work *w) {
    return w->used < 3.0;
}

/* One row's estimates. */
typedef struct row_result {
    double mean, mean_se, var, var_se, ess, tau, tau_se;
} row_result;

/* On return w->square holds the batches' mean squares about the overall mean. */
static row_result estimate(work *w) {
    row_result r;
    r.mean = batch_average(w, w->mean);
    const double within = batch_average(w, w->square), between = batch_variance(w, w->mean, r.mean);
    r.var = within + between;
    r.mean_se = sqrt(between / w->used);
    SHARE(w->batches)
    for (uint64_t b = 0; b < w->batches; b++) {
        const double d = w->mean[b] - r.mean;
        w->square[b] = kept(w, b) ? w->square[b] + d * d : 0.0;
    }
    r.var_se = sqrt(batch_variance(w, w->square, batch_average(w, w->square)) / w->used);
    r.ess = w->used * r.var / between;
    r.tau = w->n * (double)w->m->every * between / r.var;
    SHARE(w->batches)
    for (uint64_t b = 0; b < w->batches; b++) {
        const double d = w->mean[b] - r.mean;
        w->term[b] = kept(w, b) ? d * d / between - w->square[b] / r.var : 0.0;
        w->term[b] *= w->term[b];
    }
    /* The influence of a batch on log tau has mean 0 but for the -1/B of a sample variance. */
    r.tau_se = r.tau * sqrt(sum(w->term, w->batches) / (w->used * (w->used - 1.0)));
    if (!(between > 0.0)) r.ess = r.tau = r.tau_se = NAN;
    /* The variance of a few means may be anything: the two halves of one chain gave an ESS of 16,152 for 22. */
    if (w->used < LEAST_BATCHES) r.ess = r.tau = r.tau_se = NAN;
    if (w->n < 2.0) r.tau = r.tau_se = NAN; /* one sample a batch says nothing of the time between two */
    if (few(w)) r.var_se = r.tau_se = NAN;
    return r;
}

/* In the place of estimate, of a row that is x in all samples: known exactly, without what rounding leaves of
 * the sums. Nor do half chains differ, so that there is no R-hat. One sample says nothing of a spread. */
static row_result still(work *w, double x) {
    const double spread = w->used * w->n > 1.0 ? 0.0 : NAN;
    SHARE(w->batches)
    for (uint64_t b = 0; b < w->batches; b++)
        w->square[b] = 0.0;
    for (uint64_t c = 0; c < 2 * w->m->chains; c++)
        w->half_mean[c] = w->half_var[c] = 0.0;
    return (row_result){x, spread, spread, spread, NAN, NAN, NAN};
}

/* Split R-hat from the half chains of the row that gather read. */
static double split_rhat(work *w) {
    const nsamp_moments *m = w->m;
    const uint64_t n0 = m->count[0], n1 = m->count[1], len = 2 * m->chains;
    if (n0 < 2 || n1 < 2 || w->chains < 1) return NAN;
    const double halves = 2.0 * (double)w->chains, average = sum(w->half_mean, len) / halves;
    const double biased = sum(w->half_var, len) / halves;
    SHARE(len)
    for (uint64_t i = 0; i < len; i++) {
        const double d = w->half_mean[i] - average, n = (double)m->count[i % 2];
        const bool any = w->keep[i / 2] != 0.0;
        w->term[i] = any ? d * d : 0.0;
        w->half_mean[i] = any ? w->half_var[i] * n / (n - 1.0) : 0.0;
    }
    const double within = sum(w->half_mean, len) / halves;
    return within > 0.0 ? sqrt((biased + sum(w->term, len) / (halves - 1.0)) / within) : NAN;
}

/* Nested R-hat: sqrt(1 + B / W), B the variance of the superchains' means, W the average over superchains of
 * the variance of their chains' means plus the average of their chains' variances. Chains of superchain k:
 * floor(c K / C) = k. */
static double nested_rhat(work *w, uint64_t K) {
    const nsamp_moments *m = w->m;
    const double n0 = (double)m->count[0], n1 = (double)m->count[1], n = n0 + n1;
    const uint64_t C = m->chains;
    double *const means = w->square, *const vars = w->term, *const super_mean = w->mean;
    SHARE(C)
    for (uint64_t c = 0; c < C; c++) {
        const double a = w->half_mean[2 * c], b = w->half_mean[2 * c + 1];
        const double within =
            (n0 * w->half_var[2 * c] + n1 * w->half_var[2 * c + 1] + n0 * n1 / n * (a - b) * (a - b)) / n;
        means[c] = (n0 * a + n1 * b) / n;
        vars[c] = n > 1.0 ? within * n / (n - 1.0) : 0.0;
    }
    double within = 0.0, total = 0.0;
    uint64_t used = 0;
    for (uint64_t k = 0, c0 = 0; k < K; k++) {
        const uint64_t c1 = ((k + 1) * C + K - 1) / K; /* the first chain of the next; C at the end */
        uint64_t chains = 0;
        for (uint64_t c = c0; c < c1; c++)
            chains += w->keep[c] != 0.0;
        if (chains) {
            const double M = (double)chains, mean = sum(means + c0, c1 - c0) / M;
            double between = 0.0;
            for (uint64_t c = c0; c < c1; c++)
                between += w->keep[c] * (means[c] - mean) * (means[c] - mean);
            within += (chains > 1 ? between / (M - 1.0) : 0.0) + sum(vars + c0, c1 - c0) / M;
            super_mean[used++] = mean;
            total += mean;
        }
        c0 = c1;
    }
    if (used < 2) return NAN;
    const double supers = (double)used;
    double between = 0.0;
    for (uint64_t k = 0; k < used; k++)
        between += (super_mean[k] - total / supers) * (super_mean[k] - total / supers);
    return within > 0.0 ? sqrt(1.0 + between / (supers - 1.0) / (within / supers)) : NAN;
}

/* ---- drift ---- */

/* Student's t of the change of a number of each chain from its first half to its second, which are at change [C]; superchains
 * (K of them; 0: none) share a start, and count as one. */
static double drift(work *w, double *change, uint64_t K, double *units) {
    const uint64_t C = w->m->chains;
    uint64_t used = w->chains;
    for (uint64_t k = 0, c0 = 0; k < K; k++) { /* averages of superchains to the front */
        const uint64_t c1 = ((k + 1) * C + K - 1) / K;
        double all = 0.0, chains = 0.0;
        for (uint64_t c = c0; c < c1; c++) {
            all += w->keep[c] * change[c];
            chains += w->keep[c];
        }
        if (k == 0) used = 0;
        if (chains > 0.0) change[used++] = all / chains;
        c0 = c1;
    }
    const uint64_t length = K ? used : C; /* without superchains chains that are left out count as 0 */
    const double n = (double)used, average = sum(change, length) / n;
    *units = n;
    SHARE(length)
    for (uint64_t i = 0; i < length; i++) {
        const double d = change[i] - average;
        change[i] = K || w->keep[i] != 0.0 ? d * d : 0.0;
    }
    const double variance = sum(change, length) / (n - 1.0);
    return used > 2 && variance > 0.0 ? average / sqrt(variance / n) : NAN;
}

/* Of the mean, or of the mean square about `mean`. Uses w->term. */
static double drift_of(work *w, bool of_squares, double mean, uint64_t K, double *units) {
    const nsamp_moments *m = w->m;
    *units = 0.0;
    if (!m->count[0] || !m->count[1]) return NAN;
    SHARE(m->chains)
    for (uint64_t c = 0; c < m->chains; c++) {
        double half[2];
        for (uint64_t h = 0; h < 2; h++) {
            const double at = w->half_mean[2 * c + h], d = at - mean;
            half[h] = of_squares ? w->half_var[2 * c + h] + d * d : at;
        }
        w->term[c] = w->keep[c] != 0.0 ? half[1] - half[0] : 0.0;
    }
    return drift(w, w->term, K, units);
}

/* Chains that were not left out and have one x in all samples. */
static uint64_t count_stuck(const work *w) {
    const nsamp_moments *m = w->m;
    const uint64_t L = m->lanes;
    uint64_t stuck = 0;
    if (m->count[0] + m->count[1] < 2) return 0;
    for (uint64_t c = 0; c < m->chains; c++) {
        const uint64_t at = c / L * m->dim * L + c % L;
        bool moved = w->keep[c] == 0.0;
        for (size_t i = 0; i < m->dim && !moved; i++)
            moved = m->low[at + i * L] < m->high[at + i * L];
        stuck += !moved;
    }
    return stuck;
}

/* Of coordinate i over chains [begin, end); begin is a multiple of the lanes. */
static void extremes_of(const work *w, size_t i, uint64_t begin, uint64_t end, double *min, double *max) {
    const nsamp_moments *m = w->m;
    const uint64_t L = m->lanes;
    *min = INFINITY;
    *max = -INFINITY;
    for (uint64_t first = begin; first < end; first += L) {
        const uint64_t at = first * m->dim + i * L;
        for (uint64_t l = 0; l < L && first + l < end; l++) {
            if (w->keep[first + l] == 0.0) continue;
            *min = fmin(*min, (double)m->low[at + l]);
            *max = fmax(*max, (double)m->high[at + l]);
        }
    }
}

static void extremes(const work *w, size_t i, double *min, double *max) {
    const uint64_t C = w->m->chains, L = w->m->lanes, length = (piece(C) + L - 1) / L * L,
                   count = (C + length - 1) / length;
    double low[PARTS + 1] = {0}, high[PARTS + 1] = {0};
    SHARE(C)
    for (uint64_t k = 0; k < count; k++)
        extremes_of(w, i, k * length, k + 1 < count ? (k + 1) * length : C, &low[k], &high[k]);
    *min = low[0];
    *max = high[0];
    for (uint64_t k = 1; k < count; k++) {
        *min = fmin(*min, low[k]);
        *max = fmax(*max, high[k]);
    }
}

/* ---- covariance ---- */

/* Samples of each clean group -> size [groups] (0: a chain of it diverged), its means -> mean [groups][D],
 * the overall mean of the clean groups -> all [D]. Returns how many groups are clean. */
static uint64_t clean_groups(const work *w, double *size, double *mean, double *all) {
    const nsamp_moments *m = w->m;
    const uint64_t L = m->lanes, D = m->dim, power = m->rows * L;
    uint64_t clean = 0;
    double total = 0.0;
    for (uint64_t i = 0; i < D; i++)
        all[i] = 0.0;
    for (uint64_t g = 0; g < m->groups; g++) {
        const uint64_t c0 = g / m->group_halves * m->group_chains;
        const uint64_t c1 = c0 + m->group_chains < m->chains ? c0 + m->group_chains : m->chains;
        const uint32_t h0 = m->group_halves == 2 ? g % 2 : 0, h1 = m->group_halves == 2 ? h0 : 1;
        double *const mg = mean + g * D;
        double n = 0.0;
        for (uint64_t i = 0; i < D; i++)
            mg[i] = 0.0;
        for (uint64_t c = c0; c < c1; c++)
            for (uint32_t h = h0; h <= h1; h++) {
                const double *s = m->sums + (c / L) * 4 * power + h * 2 * power + c % L;
                n += (double)m->count[h];
                for (uint64_t i = 0; i < D; i++)
                    mg[i] += s[i * L];
            }
        for (uint64_t c = c0; c < c1; c++)
            if (w->keep[c] == 0.0) n = 0.0;
        size[g] = n;
        if (n == 0.0) continue;
        clean++;
        total += n;
        for (uint64_t i = 0; i < D; i++) {
            all[i] += mg[i];
            mg[i] /= n;
        }
    }
    for (uint64_t i = 0; i < D; i++)
        all[i] /= total;
    return clean;
}

/* Mean product of coordinates i and j in group g about the overall mean; *between: the part of the group's own means. */
static double group_product(const nsamp_moments *m, const double *mean, const double *all, const double *size,
                            uint64_t g, uint64_t i, uint64_t j, double *between) {
    const uint64_t D = m->dim;
    const double mi = mean[g * D + i], mj = mean[g * D + j];
    *between = (mi - all[i]) * (mj - all[j]);
    return m->products[(g * D + i) * D + j] / size[g] - mi * mj + *between;
}

/* Weighted average over the clean groups of their mean products about the overall mean, plus what the overall
 * mean's own error takes away, estimated from the spread of the group means. */
static void covariance(work *w, nsamp_moments *m, double *cov, double *se) {
    const uint64_t D = m->dim, G = m->groups;
    double *const mean = m->scratch + NSAMP_MOMENTS_CHAIN_SCRATCH * m->chains;
    double *const all = mean + G * D, *const size = all + D;
    const double clean = (double)clean_groups(w, size, mean, all);
    double total = 0.0;
    for (uint64_t g = 0; g < G; g++)
        total += size[g];
    for (uint64_t i = 0; i < D; i++)
        for (uint64_t j = 0; j <= i; j++) {
            double sum = 0.0, between = 0.0, spread = 0.0;
            for (uint64_t g = 0; g < G; g++) {
                if (size[g] == 0.0) continue;
                double own;
                const double share = size[g] / total;
                sum += share * group_product(m, mean, all, size, g, i, j, &own);
                between += share * share * own;
            }
            for (uint64_t g = 0; g < G; g++) {
                if (size[g] == 0.0) continue;
                double own;
                const double share = size[g] / total,
                             d = group_product(m, mean, all, size, g, i, j, &own) - sum;
                spread += share * share * d * d;
            }
            const double correct = clean > 1.0 ? clean / (clean - 1.0) : NAN;
            cov[i * D + j] = cov[j * D + i] =
                clean > 0.0 ? sum + (clean > 1.0 ? between * correct : 0.0) : NAN;
            se[i * D + j] = se[j * D + i] = clean > 2.0 ? sqrt(spread * correct) : NAN; /* see few */
        }
}

/* ---- the summary ---- */

/* Averages over the coordinates, with the spread over batches of each batch's own average: coordinates of one chain may be
 * correlated in any way. */
static void averages(work *w, double sum_of_means, double sum_of_vars, nsamp_summary *s) {
    const double D = (double)w->m->dim;
    s->mean_average = sum_of_means / D;
    s->mean_average_se = sqrt(batch_variance(w, w->means, batch_average(w, w->means)) / w->used) / D;
    s->var_average = sum_of_vars / D;
    s->var_average_se =
        few(w) ? NAN : sqrt(batch_variance(w, w->squares, batch_average(w, w->squares)) / w->used) / D;
}

/* Var(sum of x) = sum of variances + D (D - 1) offdiag, batch by batch. Reads the last row of the sums. */
static void off_diagonal(work *w, double sum_of_vars, nsamp_summary *s) {
    const double D = (double)w->m->dim, pairs = D * (D - 1.0);
    gather(w, w->m->dim);
    const double var = estimate(w).var;
    for (uint64_t b = 0; b < w->batches; b++)
        w->squares[b] = (w->square[b] - w->squares[b]) / pairs;
    s->offdiag = (var - sum_of_vars) / pairs;
    s->offdiag_se =
        few(w) ? NAN : sqrt(batch_variance(w, w->squares, batch_average(w, w->squares)) / w->used);
}

static void point_summary(nsamp_moments *m, nsamp_summary *s) {
    const size_t D = m->dim;
    s->dim = D;
    s->chains = m->chains;
    s->samples_per_chain = m->count[0] + m->count[1];
    s->accumulate_every = m->every;
#define NSAMP_ROW(name) s->name = m->results + NSAMP_MOMENTS_AT_##name * D;
    NSAMP_MOMENTS_VECTOR_LIST(NSAMP_ROW)
#undef NSAMP_ROW
    s->cov = m->full_cov ? m->results + (size_t)NSAMP_MOMENTS_VECTORS * D : NULL;
    s->cov_se = m->full_cov ? s->cov + D * D : NULL;
    s->offdiag = s->offdiag_se = NAN;
    s->mean_average = s->mean_average_se = s->var_average = s->var_average_se = NAN;
}

void nsamp_moments_finish(nsamp_moments *m, const uint64_t *first_bad, uint64_t K, nsamp_summary *s) {
    const size_t D = m->dim;
    work w = begin(m, first_bad, s);
    point_summary(m, s);
    s->diverged = m->chains - w.chains;
    s->half_batches = w.per_chain == 2;
    s->stuck = count_stuck(&w);
    s->drift_units = 0.0;
    if (!K) s->rhat_nested = NULL;
    if (!w.chains || !s->samples_per_chain) {
        const size_t all = NSAMP_MOMENTS_VECTORS * D + (m->full_cov ? 2 * D * D : 0);
        for (size_t i = 0; i < all; i++)
            m->results[i] = NAN;
        return;
    }
    double *const out = m->results;
    double sum_of_means = 0.0, sum_of_vars = 0.0;
    for (size_t i = 0; i < D; i++) {
        double *const low = out + NSAMP_MOMENTS_AT_min * D + i, *const high =
                                                                    out + NSAMP_MOMENTS_AT_max * D + i;
        extremes(&w, i, low, high);
        gather(&w, i);
        const row_result r = *low < *high ? estimate(&w) : still(&w, *low);
        SHARE(w.batches)
        for (uint64_t b = 0; b < w.batches; b++) {
            w.means[b] += w.mean[b];
            w.squares[b] += w.square[b];
        }
        sum_of_means += r.mean;
        sum_of_vars += r.var;
        out[NSAMP_MOMENTS_AT_mean * D + i] = r.mean;
        out[NSAMP_MOMENTS_AT_mean_se * D + i] = r.mean_se;
        out[NSAMP_MOMENTS_AT_var * D + i] = r.var;
        out[NSAMP_MOMENTS_AT_var_se * D + i] = r.var_se;
        out[NSAMP_MOMENTS_AT_ess * D + i] = r.ess;
        out[NSAMP_MOMENTS_AT_tau * D + i] = r.tau;
        out[NSAMP_MOMENTS_AT_tau_se * D + i] = r.tau_se;
        out[NSAMP_MOMENTS_AT_drift_mean * D + i] = drift_of(&w, false, r.mean, K, &s->drift_units);
        out[NSAMP_MOMENTS_AT_drift_var * D + i] = drift_of(&w, true, r.mean, K, &s->drift_units);
        /* before split_rhat, which reuses half_mean */
        out[NSAMP_MOMENTS_AT_rhat_nested * D + i] = K ? nested_rhat(&w, K) : NAN;
        out[NSAMP_MOMENTS_AT_rhat * D + i] = split_rhat(&w);
    }
    averages(&w, sum_of_means, sum_of_vars, s);
    if (m->rows > D && D > 1) off_diagonal(&w, sum_of_vars, s);
    if (m->full_cov)
        covariance(&w, m, out + NSAMP_MOMENTS_VECTORS * D, out + (NSAMP_MOMENTS_VECTORS + D) * D);
}

void nsamp_moments_shift(nsamp_moments *m, const double *offset, nsamp_summary *s) {
    static const int moved[] = {NSAMP_MOMENTS_AT_mean, NSAMP_MOMENTS_AT_min, NSAMP_MOMENTS_AT_max};
    const size_t D = m->dim;
    double sum = 0.0;
    for (size_t i = 0; i < D; i++) {
        for (size_t k = 0; k < sizeof moved / sizeof *moved; k++)
            m->results[(size_t)moved[k] * D + i] += offset[i];
        sum += m->results[NSAMP_MOMENTS_AT_mean * D + i];
    }
    s->mean_average = sum / (double)D;
}
