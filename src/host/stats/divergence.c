/* divergence.c: the Kullback-Leibler divergence of draws from a density, by a partition that half of the
 * draws choose and the other half fill. */
#include "stats/distances.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "error.h"
#include "stats/blocks.h"

enum { DEPTH_AN_AXIS = 30 };

/* A cell that is cut in two, or a leaf. Children lie next to each other. */
typedef struct node {
    double cut; /* u of the axis below it goes to the first child */
    double log_volume;
    size_t axis;
    size_t child, leaf; /* child 0: a leaf, with its number */
} node;

typedef struct tree {
    node *nodes;
    size_t count, room, leaves, dim, few;
} tree;

/* What is still to be cut: points [first, first + n) of u, in the box of a node. */
typedef struct box {
    double low[2], high[2];
} box;

/* Moves points with u[axis] < cut to the front; returns how many. u [n][dim]. */
static size_t partition(double *u, size_t n, size_t dim, size_t axis, double cut) {
    size_t below = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(u[i * dim + axis] < cut)) continue;
        for (size_t a = 0; a < dim; a++) {
            const double t = u[below * dim + a];
            u[below * dim + a] = u[i * dim + a];
            u[i * dim + a] = t;
        }
        below++;
    }
    return below;
}

static bool grow(tree *t) {
    if (t->count + 2 <= t->room) return true;
    node *const more = realloc(t->nodes, 2 * t->room * sizeof *more);
    if (!more) return false;
    t->nodes = more;
    t->room *= 2;
    return true;
}

/* Cuts node `at`, which holds u [n][dim]; false: out of memory. */
static bool cut(tree *t, size_t at, box b, double *u, size_t n, size_t depth) {
    if (n <= t->few || depth >= DEPTH_AN_AXIS * t->dim) {
        t->nodes[at].leaf = t->leaves++;
        return true;
    }
    if (!grow(t)) return false;
    const size_t axis = depth % t->dim, child = t->count;
    const double middle = 0.5 * (b.low[axis] + b.high[axis]), log_volume = t->nodes[at].log_volume - log(2.0);
    t->nodes[at].axis = axis;
    t->nodes[at].cut = middle;
    t->nodes[at].child = child;
    t->nodes[child] = t->nodes[child + 1] = (node){.log_volume = log_volume};
    t->count += 2;
    const size_t below = partition(u, n, t->dim, axis, middle);
    box lower = b, upper = b;
    lower.high[axis] = upper.low[axis] = middle;
    return cut(t, child, lower, u, below, depth + 1) &&
           cut(t, child + 1, upper, u + below * t->dim, n - below, depth + 1);
}

static const node *find(const tree *t, const double *u) {
    const node *at = t->nodes;
    while (at->child)
        at = t->nodes + at->child + !(u[at->axis] < at->cut);
    return at;
}

/* Estimate from counts of `total` draws; counts minus `left_out` unless NULL. */
static double plug_in(const double *counts, const double *left_out, const double *log_volume, size_t cells,
                      double total) {
    double sum = 0.0;
    for (size_t k = 0; k < cells; k++) {
        const double p = (counts[k] - (left_out ? left_out[k] : 0.0)) / total;
        if (p > 0.0) sum += p * (log(p) - log_volume[k]);
    }
    return sum;
}

/* Plug-in estimate with its jackknife, from the blocks of one parity. u [count * length][dim]. */
static bool estimate(const tree *t, const double *u, nsamp_blocks b, size_t parity, nsamp_estimate *e) {
    const size_t cells = t->leaves, G = (b.count + 1 - parity) / 2;
    double *const all = calloc(cells * (G + 2) + G, sizeof *all);
    if (!all) return false;
    double *const log_volume = all + cells, *const block = log_volume + cells,
                  *const without = block + cells * G;
    for (size_t k = 0; k < t->count; k++)
        if (!t->nodes[k].child) log_volume[t->nodes[k].leaf] = t->nodes[k].log_volume;
    for (size_t g = 0; g < G; g++)
        for (size_t i = 0; i < b.length; i++) {
            const size_t leaf = find(t, u + ((2 * g + parity) * b.length + i) * t->dim)->leaf;
            all[leaf] += 1.0;
            block[g * cells + leaf] += 1.0;
        }
    const double groups = (double)G, n = groups * (double)b.length;
    double average = 0.0, spread = 0.0;
    for (size_t g = 0; g < G; g++) {
        without[g] = plug_in(all, block + g * cells, log_volume, cells, n - (double)b.length);
        average += without[g] / groups;
    }
    for (size_t g = 0; g < G; g++)
        spread += (without[g] - average) * (without[g] - average);
    e->value = groups * plug_in(all, NULL, log_volume, cells, n) - (groups - 1.0) * average;
    e->se = sqrt((groups - 1.0) / groups * spread);
    free(all);
    return true;
}

/* The tree of the blocks of one parity; few: about 2 n^0.4 draws a cell, so that both a cell's size and the
 * error of its count go to zero. copy: room for those draws. */
static bool build(tree *t, const double *u, nsamp_blocks b, size_t parity, double *copy) {
    size_t n = 0;
    for (size_t g = parity; g < b.count; g += 2)
        for (size_t i = 0; i < b.length * t->dim; i++)
            copy[n++] = u[g * b.length * t->dim + i];
    n /= t->dim;
    t->few = (size_t)(2.0 * pow((double)n, 0.4));
    t->room = 64;
    t->nodes = calloc(t->room, sizeof *t->nodes);
    if (!t->nodes) return false;
    t->count = 1;
    return cut(t, 0, (box){{0.0, 0.0}, {1.0, 1.0}}, copy, n, 0);
}

static nsamp_status transform(const nsamp_pit *pit, const double *x, size_t n, double *u, nsamp_error *err) {
    for (size_t i = 0; i < n; i++) {
        nsamp_pit_map(pit, x + i * pit->dim, u + i * pit->dim);
        if (!isfinite(u[i * pit->dim]) || !isfinite(u[i * pit->dim + pit->dim - 1]))
            return nsamp_fail(err, NSAMP_EUSAGE, "draw %zu is not a number: no distance to a density", i);
    }
    return NSAMP_OK;
}

nsamp_status nsamp_kl_density(const nsamp_pit *pit, const double *x, size_t chains, size_t draws,
                              nsamp_estimate *kl, nsamp_error *err) {
    const nsamp_blocks b = nsamp_blocks_of(chains, draws);
    const size_t n = b.count * b.length;
    kl->value = kl->se = NAN;
    if (n < 100)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "%zu chains of %zu draws are too few for a KL divergence: need 100 draws", chains,
                          draws);
    double *const u = malloc(2 * n * pit->dim * sizeof *u);
    nsamp_status status = u ? transform(pit, x, n, u, err) : NSAMP_ENOMEM;
    nsamp_estimate half[2];
    for (size_t parity = 0; parity < 2 && status == NSAMP_OK; parity++) {
        tree t = {.dim = pit->dim};
        if (!build(&t, u, b, parity, u + n * pit->dim) || !estimate(&t, u, b, 1 - parity, &half[parity]))
            status = NSAMP_ENOMEM;
        free(t.nodes);
    }
    free(u);
    if (status == NSAMP_ENOMEM)
        return nsamp_fail(err, status, "no memory for the KL divergence of %zu draws", n);
    if (status == NSAMP_OK) {
        kl->value = 0.5 * (half[0].value + half[1].value);
        kl->se = 0.5 * sqrt(half[0].se * half[0].se + half[1].se * half[1].se);
    }
    return status;
}
