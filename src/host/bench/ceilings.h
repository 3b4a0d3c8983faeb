/* ceilings.h: the rates that bound every kernel on this machine, measured now, in this process. One function for each backend; a ceiling
 * that a backend has not got stays 0 and bounds nothing. Another backend fills in the same struct, with `copy_memory` as its memory, and is called
 * from measure_ceilings in bench.c; nothing else in the bench depends on where the rates come from. */
#ifndef NSAMP_HOST_BENCH_CEILINGS_H
#define NSAMP_HOST_BENCH_CEILINGS_H

#include "bench/measure.h"
#include "matmul.h"

typedef enum nsamp_ceiling {
#define NSAMP_CEILING(name, unit, what) NSAMP_CEILING_##name,
#include "bench/ceilings.def"
#undef NSAMP_CEILING
    NSAMP_CEILING_count
} nsamp_ceiling;

typedef struct nsamp_ceilings {
    nsamp_rate rate[NSAMP_CEILING_count]; /* in the unit of ceilings.def */
} nsamp_ceilings;

typedef struct nsamp_ceiling_name {
    const char *name, *unit, *what;
} nsamp_ceiling_name;
extern const nsamp_ceiling_name nsamp_ceiling_names[NSAMP_CEILING_count];

/* Of the CPU: isa as in isa.h, threads > 0. NSAMP_ENOMEM. */
nsamp_status nsamp_ceilings_cpu(const char *isa, int threads, const nsamp_stopwatch *watch,
                                nsamp_ceilings *ceilings, nsamp_error *err);

/* FLOP/s of the products of a network on the CPU: layers m to n (ReLU) and n to m, on `rows` rows, hidden units through memory between
 * them. Zero where the library has not got the precision. */
nsamp_status nsamp_ceiling_product(size_t m, size_t n, size_t rows, nsamp_precision precision, int threads,
                                   const nsamp_stopwatch *watch, nsamp_rate *rate, nsamp_error *err);

/* Bytes of the cache of level 1 to 3 of this machine; a guess where the system does not say. */
double nsamp_cache_bytes(int level);

#endif
