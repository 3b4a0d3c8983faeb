/* machine.h: what a table of rates must say of the machine and the program that gave them. */
#ifndef NSAMP_HOST_BENCH_MACHINE_H
#define NSAMP_HOST_BENCH_MACHINE_H

#include "job/job.h"

typedef struct nsamp_machine {
    char date[24];    /* UTC, 2026-11-23T08:30Z */
    char program[48]; /* "nsamp 0.1.0, noise version 1" */
    char cpu[128];    /* as the system names it, with family and model where it has them */
    int cores, threads;
    char isa[8];                         /* of the CPU kernels that were timed */
    char kernel_compiler[96];            /* of those kernels */
    char products[96], blas[128];        /* libraries, with version and core */
    char openblas_coretype[32];          /* OPENBLAS_CORETYPE of the environment; empty: not set */
    double l1_bytes, l2_bytes, l3_bytes; /* caches */
    char backend[256];                   /* what the first plan says of its backend: device, threads */
} nsamp_machine;

/* All but backend. job: for run.isa and run.threads. NSAMP_EUSAGE: an instruction set that is not there. */
nsamp_status nsamp_machine_describe(const nsamp_job *job, nsamp_machine *machine, nsamp_error *err);

#endif
