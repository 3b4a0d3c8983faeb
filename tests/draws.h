/* draws.h: random numbers for the tests of the statistics: a generator of their own, so that nothing that is
 * tested makes the draws it is tested with. */
#ifndef NSAMP_TESTS_DRAWS_H
#define NSAMP_TESTS_DRAWS_H

#include <math.h>
#include <stdint.h>

typedef struct rng {
    uint64_t state;
} rng;

/* splitmix64 [Steele, Lea and Flood 2014] -> (0, 1) */
static inline double uniform(rng *r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return ((double)((z ^ (z >> 31)) >> 11) + 0.5) * 0x1p-53;
}

static inline double normal(rng *r) {
    const double radius = sqrt(-2.0 * log(uniform(r)));
    return radius * cos(6.283185307179586 * uniform(r));
}

#endif
