/* ceilings.h: the rates that bound every kernel on this machine, measured now, on all threads. */
#ifndef NSAMP_HOST_BENCH_CEILINGS_H
#define NSAMP_HOST_BENCH_CEILINGS_H

#include "nsamp.h"

typedef struct nsamp_ceilings {
    double fma;   /* F: float32 FMA, FLOP/s (two a multiply-add) */
    double noise; /* normals a second, exact mode */
    double product_fp32,
        product_bf16; /* FLOP/s of the two products of an RSN, m 300, n 20,000, 512 chains, as two plain
                                          layers; bf16 0 where the library has none */
    int threads;
    char isa[8], machine[192]; /* instruction set measured; processor */
} nsamp_ceilings;

/* Medians of five after a warm-up; about ten seconds. threads 0: all. */
nsamp_status nsamp_ceilings_measure(int threads, nsamp_ceilings *ceilings, nsamp_error *err);

#endif
