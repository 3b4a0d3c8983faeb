/* cuda_kernels.h: what the kernels' launchers and the CUDA backend agree on. Only .cu files include this.
 *
 * Layout on the device as kernel.h has it, with L = 32: state [tiles][S][32], so a warp reads one number of
 * 32 chains at once. All launchers only enqueue, on view->stream, and return the launch's error. Nothing here
 * is atomic, so the order in which threads and blocks run changes no bit. */
#ifndef NSAMP_KERNELS_CUDA_KERNELS_H
#define NSAMP_KERNELS_CUDA_KERNELS_H

#include "kernels/cuda_launch.h"
#include "kernels/kernel.h"

enum { NSAMP_CUDA_LANES = 32 };

typedef struct nsamp_cuda_view {
    const void *params;            /* device copy of the model's block */
    float *state;                  /* [tiles][S][32] */
    unsigned long long *first_bad; /* [tiles * 32]: first non-finite step, all ones if none */
    void *scratch; /* [tiles][scratch_bytes], only for lane kernels whose tiles do not fit shared memory */
    size_t scratch_bytes; /* of one tile of 32 lanes */
    uint64_t tiles;
    uint32_t state_len, dim; /* S, D */
    nsamp_noise_key noise;
    bool fast; /* run.math = fast */
    void *own; /* what a kernel made for itself: nsamp_cuda_rsn; or NULL */
    uint32_t multiprocessors;
    size_t shared_most; /* bytes of shared memory that a block may have */
    bool sm_90a;        /* the device has what code for sm_90a needs */
    cudaStream_t stream;
} nsamp_cuda_view;

typedef struct nsamp_cuda_kernel {
    /* All chains by nsteps steps, the first numbered step0; host_params is the model's block. */
    cudaError_t (*advance)(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                           uint32_t nsteps);
    /* x [tiles][D][32] of the first `tiles` tiles. */
    cudaError_t (*observe)(const nsamp_cuda_view *v, uint64_t tiles, float *x);
    bool fast; /* heeds view->fast */
} nsamp_cuda_kernel;

/* Thread-a-chain kernels made from the text of each system, by nsamp_kernel_id; cuda_lane.cu. */
const nsamp_cuda_kernel *nsamp_cuda_lane_kernel(nsamp_kernel_id id);
/* True if a tile of such a kernel works in shared memory, so that view->scratch is not needed. */
bool nsamp_cuda_lane_in_shared(size_t state_len, size_t scratch_bytes);

/* langevin_equi with a chain spread over threads; cuda_langevin_equi.cu. Dimensions above
 * nsamp_cuda_equi_most take the lane kernel. */
enum { nsamp_cuda_equi_most = 16384 };
const nsamp_cuda_kernel *nsamp_cuda_equi_kernel(void);

/* rsn at the output level with all weights in shared memory: few outputs, float32 (cuda_rsn_few.cu); bf16 on sm_90a
 * (cuda_rsn_wgmma.cu); bf16 or tf32 anywhere (cuda_rsn_tensor.cu). NULL where the network does not fit view->shared_most or is not of
 * that kind. params: on the host. */
struct nsamp_rsn_params;
const nsamp_cuda_kernel *nsamp_cuda_rsn_few(const struct nsamp_rsn_params *params, const nsamp_cuda_view *v);
const nsamp_cuda_kernel *nsamp_cuda_rsn_wgmma(const struct nsamp_rsn_params *params,
                                              const nsamp_cuda_view *v);
const nsamp_cuda_kernel *nsamp_cuda_rsn_tensor(const struct nsamp_rsn_params *params,
                                               const nsamp_cuda_view *v);

/* mh-spiking with its table in shared memory; cuda_mh_spiking.cu. NULL where the table does not fit view->shared_most, or p is above 63.
 * params: on the host. */
struct nsamp_mh_spiking_params;
const nsamp_cuda_kernel *nsamp_cuda_mh_kernel(const struct nsamp_mh_spiking_params *params,
                                              const nsamp_cuda_view *v);

/* More than 48 KiB of shared memory a block need permission. */
template <class Kernel> static inline cudaError_t nsamp_cuda_permit(Kernel *kernel, size_t shared) {
    return shared <= 48 * 1024
               ? cudaSuccess
               : cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared);
}

/* Accumulators on the device, laid out as in stats/moments.h with L = 32; cuda_moments.cu. */
typedef struct nsamp_cuda_moments {
    double *sums;      /* [tiles][2 halves][2 powers][rows][32] */
    double *products;  /* [groups][D * D] or NULL */
    float *low, *high; /* [tiles][D][32] */
    uint64_t chains, tiles, groups, group_chains;
    uint32_t dim, rows, group_halves;
} nsamp_cuda_moments;

/* Without a sample. */
cudaError_t nsamp_cuda_moments_clear(const nsamp_cuda_moments *m, cudaStream_t stream);

/* Adds the sample x [tiles][D][32] to half 0 or 1. */
cudaError_t nsamp_cuda_moments_add(const nsamp_cuda_moments *m, uint32_t half, const float *x,
                                   cudaStream_t stream);

/* Success if this program has code for the device; cuda_moments.cu. */
cudaError_t nsamp_cuda_image(void);

#endif
