/* moments_layout.h: how moments.c sizes what moments_finish.c fills. Nobody else includes it. */
#ifndef NSAMP_HOST_STATS_MOMENTS_LAYOUT_H
#define NSAMP_HOST_STATS_MOMENTS_LAYOUT_H

/* Vectors [D] at the head of nsamp_moments.results, in this order; then cov and cov_se [D * D]. */
#define NSAMP_MOMENTS_VECTOR_LIST(X)                                                                         \
    X(mean)                                                                                                  \
    X(mean_se)                                                                                               \
    X(var) X(var_se) X(rhat) X(rhat_nested) X(ess) X(tau) X(tau_se) X(drift_mean) X(drift_var) X(min) X(max)

enum {
#define NSAMP_ROW(name) NSAMP_MOMENTS_AT_##name,
    NSAMP_MOMENTS_VECTOR_LIST(NSAMP_ROW)
#undef NSAMP_ROW
        NSAMP_MOMENTS_VECTORS,
    /* Doubles of scratch a chain: seven arrays of two batches a chain, one flag. */
    NSAMP_MOMENTS_CHAIN_SCRATCH = 15
};

#endif
