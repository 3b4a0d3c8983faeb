/* model.h: a system made ready for the engine: kernel, parameter block, start, law. One file here for each
 * system reads the job and the target and fills this in; the step itself is in src/kernels/systems/. */
#ifndef NSAMP_HOST_MODEL_H
#define NSAMP_HOST_MODEL_H

#include "job/job.h"
#include "kernels/kernel.h"
#include "targets/target.h"

typedef struct nsamp_model nsamp_model;

/* How far the kernel's float32 coefficients, each off by 2^-24 of itself at most, may take what it samples from a law; the
 * rounding of its sums, which has no sign, is not in it. 0: nothing, or not known. Added up in docs/statistics.md. */
typedef struct nsamp_law_rounding {
    double mean; /* as a share of the standard deviation */
    double var;  /* of the variance */
    double cov;  /* of the product of two standard deviations */
    double tau;  /* of the autocorrelation time */
} nsamp_law_rounding;

/* What an AR(1) mode x <- f x + a z has: relative changes of its variance a^2 / (1 - f^2) and autocorrelation time (1 + f) / (1 - f) where
 * f moves by up to df and a by up to 2^-24 of itself; INFINITY where that could make it unstable. */
typedef struct nsamp_mode_rounding {
    double var, tau;
} nsamp_mode_rounding;
nsamp_mode_rounding nsamp_round_mode(double f, double df);

/* What the kernel's output must obey, exactly, at stationarity of the *discretised* dynamics, from target, time step and
 * equation in double precision, never from the kernel's parameters: a wrong one of those must not make its own law. NULL or NaN
 * where no exact value is known. Arrays are malloc'ed, owned by the model. */
typedef struct nsamp_law {
    double *mean, *var; /* [D] */
    double *cov;        /* [D * D] */
    double offdiag;     /* covariance of two coordinates where it is the same for all pairs; else NaN */
    double *tau;        /* [D] integrated autocorrelation time, steps, of an endless run */
    /* The autocorrelation of coordinate i is the sum over modes j of share[i * modes + j] times an
     * exponential of integrated time mode_tau[j]: what a run of finite length measures follows from it. NULL
     * where unknown. */
    size_t modes;
    double *mode_tau, *mode_share; /* [modes], [D * modes] */
    nsamp_law_rounding rounding;
    char source[256]; /* one line: what these are ("exact Euler covariance, spiking.md...": in words a reader
                         knows) */
} nsamp_law;

struct nsamp_model {
    const char *system; /* "langevin" */
    nsamp_kernel_id kernel;
    const nsamp_cpu_kernel *
        host_kernel; /* of matrix products, host code, or chosen by prepare: used instead of the table; or NULL */
    /* Packs what host_kernel works with and sets lanes and scratch_bytes; called once, when the chains are to run on the
     * CPU. NULL: nothing to do. NSAMP_EUSAGE where this CPU cannot. */
    nsamp_status (*prepare)(nsamp_model *model, nsamp_error *err);
    /* [D], owned: what is added, in double, to x as the kernel observes it wherever numbers leave (moments,
     * draws); NULL: nothing. It is the mean of the target: far from 0 a float32 has no digits left for x. */
    double *offset;
    const char *no_gpu;    /* why this model does not run on a GPU, a constant string; NULL: it may */
    size_t dim;            /* D */
    size_t state_len;      /* S */
    size_t draws;          /* normals (or words) a chain-step, for the plan's estimate */
    double flops;          /* floating-point operations a chain-step, noise not counted */
    double flops_a_normal; /* how many take the time of a normal on the CPU; 0: as usual (plan.c) */
    double observe_flops;  /* of looking at a chain, beyond copying its state */
    void *params;          /* flat block, 64-byte aligned (posix_memalign) */
    size_t params_bytes;
    size_t packed_bytes;  /* what prepare packed beside params, for the plan's memory */
    size_t scratch_bytes; /* a thread, for lanes lanes */
    uint32_t lanes;       /* for product kernels and panels: the plan's tile; otherwise the kernel's */
    bool sum_moments;     /* accumulate the variance of the sum over coordinates: off-diagonal in O(D) */
    char why[512];        /* which kernel or path, and why: printed by the plan */
    nsamp_law law;
    int start_kind; /* systems/start.h */
    double start_scale;
    char start_law[96]; /* the law of the starts in words, for the plan */
    /* Initial state of one chain -> state [S], stride 1, from noise of NSAMP_PURPOSE_START. x [D]: scratch.
     */
    void (*start)(const nsamp_model *model, nsamp_noise_key key, uint32_t chain, double *x, float *state);
    /* Statistics of the system from final states; fills *list (caller frees through nsamp_statistics_free).
     * NULL: none. states: [C][S], one chain after the other. */
    nsamp_status (*statistics)(const nsamp_model *model, const float *states, uint64_t chains, uint64_t steps,
                               nsamp_statistic **list, size_t *count, nsamp_error *err);
    nsamp_target *target;                /* owned; may be NULL */
    void *extra;                         /* the system's own, freed by destroy */
    void (*destroy)(nsamp_model *model); /* frees extra; NULL: nothing to free */
};

/* Builds the model of the job (its target too). On failure *model is NULL. */
nsamp_status nsamp_model_create(const nsamp_job *job, nsamp_model **model, nsamp_error *err);
void nsamp_model_destroy(nsamp_model *model);
/* Coordinates of x where the keys alone say them (no file does); otherwise 0. */
double nsamp_model_dim(const nsamp_job *job);
/* Bytes that nsamp_model_create takes at most, target and law included, from the keys alone; sizes that a file says are not
 * counted. Allocates nothing. */
double nsamp_model_bytes(const nsamp_job *job);
/* offset <- mean [D], or NULL where mean is NULL or 0. Entries below 2^-40 of their standard deviation,
 * sqrt(var) (var NULL: none), are the rounding of a sum, and 0. NSAMP_ENOMEM. */
nsamp_status nsamp_model_centre(nsamp_model *model, size_t dim, const double *mean, const double *var,
                                nsamp_error *err);
/* An entry of a matrix as kernels take it: the nearest float, and 0 in the place of a subnormal one, with which each operation would take
 * a processor a hundred cycles and more. */
float nsamp_matrix_entry(double x);
/* A row [n] of a factor of a matrix, from [n] -> to [n]: entries below 2^-64 of the row's largest are 0. They lie beneath the
 * rounding of a factorisation in double precision, and their products would be subnormal. */
void nsamp_factor_row(const double *from, size_t n, float *to);
void nsamp_statistics_free(nsamp_statistic *list, size_t count);

/* One builder a system, listed in kernels/systems.def. The model is zeroed, with law.offdiag NaN. */
#define NSAMP_SYSTEM(name)                                                                                   \
    nsamp_status nsamp_build_##name(const nsamp_job *job, nsamp_model *model, nsamp_error *err);
#include "kernels/systems.def"
#undef NSAMP_SYSTEM

#endif
