/* ceilings.h: the rates that bound every kernel on this machine, measured now, in this process: those of the CPU (ceilings.c) or of a GPU
 * (kernels/cuda_bench.cu); device.c asks the one that a bench runs on. A ceiling that a backend has not got stays 0 and bounds
 * nothing. */
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
    char backend[8];                      /* whose they are: "cpu", "cuda"; rows of another have no bounds */
    char left_out[320];                   /* what could not be measured, and why, in one line; or empty */
} nsamp_ceilings;

typedef struct nsamp_ceiling_name {
    const char *name, *unit, *what;
} nsamp_ceiling_name;
extern const nsamp_ceiling_name nsamp_ceiling_names[NSAMP_CEILING_count];

/* The usual shape of the ceilings of products. */
enum {
    NSAMP_CEILING_M = 300,
    NSAMP_CEILING_N = 20000,
    NSAMP_CEILING_ROWS = 512,
    NSAMP_CEILING_CUDA_ROWS = 4096
};

/* Of the backend, "cpu" or "cuda" (built with CUDA, a device there); isa as in isa.h and threads > 0 for the CPU. *cache: bytes of the
 * second-level cache of a GPU, left alone for the CPU. NSAMP_ENOMEM; NSAMP_EIO: the device failed. */
nsamp_status nsamp_ceilings_measure(const char *backend, const char *isa, int threads,
                                    const nsamp_stopwatch *watch, nsamp_ceilings *ceilings, double *cache,
                                    nsamp_error *err);
/* The CPU's loops that use no library and no memory (fma, noise, words; with matrix also matrix_unit), into a struct that has been
 * measured; keep: the faster of what was there and what is now. For rows on a machine whose neighbours come and go. */
nsamp_status nsamp_ceilings_again(const char *isa, int threads, const nsamp_stopwatch *watch, bool matrix,
                                  bool keep, nsamp_ceilings *ceilings, nsamp_error *err);
/* FLOP/s of the products of a network there: layers m to n (ReLU) and n to m, on `rows` rows, hidden units through memory between them.
 * Zero where the library is missing or has not got the precision. */
nsamp_status nsamp_ceiling_product(const char *backend, size_t m, size_t n, size_t rows,
                                   nsamp_precision precision, int threads, const nsamp_stopwatch *watch,
                                   nsamp_rate *rate, nsamp_error *err);

/* The same of each. m, n, rows: the usual shape. */
nsamp_status nsamp_ceilings_cpu(const char *isa, int threads, const nsamp_stopwatch *watch,
                                nsamp_ceilings *ceilings, nsamp_error *err);
nsamp_status nsamp_ceiling_product_cpu(size_t m, size_t n, size_t rows, nsamp_precision precision,
                                       int threads, const nsamp_stopwatch *watch, nsamp_rate *rate,
                                       nsamp_error *err);
nsamp_status nsamp_ceilings_cuda(size_t m, size_t n, size_t rows, const nsamp_stopwatch *watch,
                                 nsamp_ceilings *ceilings, double *cache, nsamp_error *err);
nsamp_status nsamp_ceiling_product_cuda(size_t m, size_t n, size_t rows, nsamp_precision precision,
                                        const nsamp_stopwatch *watch, nsamp_rate *rate, nsamp_error *err);

/* Bytes of the cache of level 1 to 3 of this machine; a guess where the system does not say. */
double nsamp_cache_bytes(int level);

#endif
