/* bench.h: how fast chains advance on this machine, against what the machine can do at all, measured in one process.
 *
 * Rates are of the run that a user gets: the engine, all threads, accumulators at the plan's interval, no recording. Correctness
 * first: the systems are checked against their laws (check.h) before anything is timed. Medians of NSAMP_BENCH_RUNS blocks of
 * steps after a warm-up. */
#ifndef NSAMP_HOST_BENCH_BENCH_H
#define NSAMP_HOST_BENCH_BENCH_H

#include "bench/training.h"
#include "nsamp.h"

enum { NSAMP_BENCH_RUNS = 5 };

typedef struct nsamp_bench_row {
    char system[32], job[160], kernel[512];
    double chain_steps, low, high; /* a second: median, slowest and fastest block */
    double dim_steps, normals;     /* a second, at the median */
    int threads;
    double flops; /* of the arithmetic beside the noise, a second */
    double share_noise, share_fma,
        share_product; /* of the ceilings; 0 where the work has none of that kind */
    const char *bound; /* which ceiling is nearest */
    char error[256];   /* not empty: the case could not run, and why */
} nsamp_bench_row;

typedef struct nsamp_bench_report {
    double fma;   /* F: float32 FMA rate of all threads, FLOP/s */
    double noise; /* normals a second, exact mode, all threads, nothing else done */
    double product_fp32,
        product_bf16; /* FLOP/s of the product library at m 300, n 20,000, 512 chains; bf16 0: none */
    nsamp_training_rate training; /* at m 300, n 20,000, batch 512 */
    int threads;
    char machine[192], isa[8], products[64];
    nsamp_bench_row *rows;
    size_t count;
} nsamp_bench_report;

/* Told before each measurement; non-zero stops with NSAMP_STOPPED. */
typedef int nsamp_bench_progress(const char *what, size_t index, size_t count, void *user);

/* systems: count names, 0 for all. NSAMP_ECHECK when a system fails its law: then nothing is timed. */
nsamp_status nsamp_bench_run(const char *const *systems, size_t count, const char *const *settings,
                             size_t nsettings, nsamp_bench_progress *progress, void *user,
                             nsamp_bench_report *report, nsamp_error *err);
void nsamp_bench_report_free(nsamp_bench_report *report);

#endif
