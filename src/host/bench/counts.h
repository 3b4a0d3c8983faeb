/* counts.h: what a chain-step needs, counted from its equation: normals, floating-point operations, bytes; and what that bounds. The
 * formulas are in counts.c and nowhere else. Not here: measured rates. */
#ifndef NSAMP_HOST_BENCH_COUNTS_H
#define NSAMP_HOST_BENCH_COUNTS_H

#include <stdbool.h>
#include "bench/ceilings.h"
#include "systems/model.h"

/* FLOP inside one normal, and inside one elementary function (kernels/noise.h, elementary.h): a multiply-add is 2, an addition, a
 * multiplication, a division and a square root 1; selects, conversions and operations on bits are 0. */
#define NSAMP_FLOP_NORMAL   20.5
#define NSAMP_FLOP_SHARE    19.0
#define NSAMP_FLOP_LOG      20.0
#define NSAMP_FLOP_TANH     19.0
#define NSAMP_FLOP_SOFTPLUS 39.0

typedef struct nsamp_counts {
    double normals;    /* of the step */
    double words;      /* random words that no normal is made of */
    double flop;       /* of the dynamics, elementary functions and noise not counted */
    double elementary; /* FLOP inside elementary functions */
    double product; /* the part of flop with a ceiling of its own: of a product library, or a matrix unit */
    double bytes;   /* loaded and stored: the state once in and once out, weights once a tile */
    double working_set; /* bytes that a thread goes through at each step: decides which memory serves it */
} nsamp_counts;

/* Of one step of one chain, for tiles of `lanes` chains. */
nsamp_counts nsamp_counts_of(const nsamp_job *job, const nsamp_model *model, uint32_t lanes);

/* Of one row of a batch of the training of an m, n network, Adam included. apart: its products have a ceiling of their own, the rate of a library or of a
 * matrix unit. */
nsamp_counts nsamp_counts_of_training(size_t m, size_t n, size_t batch, bool apart);

/* What can bound a rate. */
typedef enum nsamp_bound {
    NSAMP_BOUND_noise,
    NSAMP_BOUND_fma,
    NSAMP_BOUND_product,
    NSAMP_BOUND_copy,
    NSAMP_BOUND_count
} nsamp_bound;
extern const char *const nsamp_bound_names[NSAMP_BOUND_count];

/* Largest rate, in chain-steps a second, that each ceiling allows; 0 where the work has none of that kind or the ceiling was not
 * measured. product: FLOP/s of the products on this shape. copy: bytes a second of the memory that serves the working set. */
void nsamp_bounds_of(const nsamp_counts *counts, const nsamp_ceilings *ceilings, double product, double copy,
                     double bound[NSAMP_BOUND_count]);
/* The smallest of them; NSAMP_BOUND_count: none. */
nsamp_bound nsamp_bound_that_binds(const double bound[NSAMP_BOUND_count]);

#endif
