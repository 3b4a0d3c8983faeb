/* rsn.h: the reservoir-sampler network as the host sees it: what a model is built from, its paths and its
 * law. The fused step is in kernels/systems/rsn.h. */
#ifndef NSAMP_HOST_SYSTEMS_RSN_H
#define NSAMP_HOST_SYSTEMS_RSN_H

#include <stdbool.h>
#include "kernels/rsn_bf16.h"
#include "kernels/rsn_panels.h"
#include "kernels/systems/rsn.h"
#include "systems/model.h"
#include "train/network.h"

typedef enum nsamp_rsn_path { NSAMP_RSN_AUTO, NSAMP_RSN_FUSED, NSAMP_RSN_PRODUCT } nsamp_rsn_path;

/* What nsamp_build_rsn reads from the job beside the network. */
typedef struct nsamp_rsn_options {
    double h;             /* step; denoiser form: in units of sigma^2 */
    bool reservoir, jump; /* level; observe D(x) */
    nsamp_rsn_path path;
    nsamp_precision precision; /* of the products; fused: fp32, bf16 at the output level, or tf32 on a GPU */
    bool cuda;       /* the job asks for the GPU, which has fused kernels of its own for bf16 and tf32 */
    bool has_amx;    /* there is a matrix unit, so that one kernel is the choice for bf16 */
    bool amx;        /* and that kernel may use it (run.isa) */
    const char *isa; /* of the CPU's kernels: "base", "v3", "v4" */
    uint64_t chains; /* for the choice of the tile */
    int threads;
    uint32_t
        tile; /* chains a tile of the product path and of panels, a multiple of 16, or of bf16 in one kernel, of 64; 0: chosen here */
    size_t cov_dim;  /* the law's covariance is filled up to this dimension */
    bool auto_start; /* start from the data's variances where the network has them */
    const nsamp_cpu_kernel *noise,
        *move; /* NSAMP_KERNEL_rsn_noise and _move of the instruction set that runs */
} nsamp_rsn_options;

/* What the model keeps beside the kernel's parameters; model->extra. */
typedef struct nsamp_rsn_extra {
    nsamp_network *net; /* owned */
    double *start_sd;   /* [m] or NULL: start as model->start_kind says */
    double *pinv;       /* [n * m] S = W1^T (W1 W1^T)^-1 at the reservoir level; or NULL */
    nsamp_rsn_options options;
    struct nsamp_rsn_product *product; /* product path on the CPU, or NULL */
    nsamp_rsn_bf16 *bf16;              /* bf16 in one kernel on the CPU, or NULL */
    nsamp_rsn_panels *panels;          /* many outputs in one kernel of multiply-adds on the CPU, or NULL */
} nsamp_rsn_extra;

/* Fills a zeroed model. Takes net, also on failure (model->destroy frees it). On the product path the CPU's
 * layers are packed by model->prepare alone, so that a run on a GPU does without. NSAMP_EUSAGE with the value
 * and what is valid. */
nsamp_status nsamp_rsn_model(nsamp_network *net, const nsamp_rsn_options *options, nsamp_model *model,
                             nsamp_error *err);

static inline size_t nsamp_rsn_round_up(size_t n, size_t to) {
    return (n + to - 1) / to * to;
}

/* The kernel's parameters and weights -> model->params; s [n * m] is the noise matrix of the reservoir level, or NULL; precision:
 * NSAMP_RSN_FP32, or another of the fused kernels
 * that are not float32. NSAMP_ENOMEM. */
nsamp_status nsamp_rsn_pack(const nsamp_network *net, const nsamp_rsn_options *options, const double *s,
                            uint32_t precision, nsamp_model *model, nsamp_error *err);

/* S [n * m] = W1^T (W1 W1^T)^-1, by Cholesky. NSAMP_EUSAGE when W1 has not full row rank (n < m, or a pivot
 * vanishes). *s is malloc'ed, the caller frees. */
nsamp_status nsamp_rsn_pinv(const nsamp_network *net, double **s, nsamp_error *err);

/* The exact Gaussian law of the recursion where the network is linear, that is where the second half of its
 * units mirrors the first, phi is relu and relu(a) - relu(-a) = a -> model->law; otherwise the law is left
 * unknown. */
nsamp_status nsamp_rsn_law(const nsamp_network *net, const nsamp_rsn_options *options, nsamp_model *model,
                           nsamp_error *err);

/* A network of n (even) units with linear drift and known law, for checks and benchmarks: drift(x) = -K (x -
 * c), K with eigenvalues about 0.3 to 1.2 and a skew part. NSAMP_EUSAGE unless n >= 2 m. */
nsamp_status nsamp_rsn_linear(size_t m, size_t n, uint64_t seed, nsamp_network **net, nsamp_error *err);

/* ---- bf16 in one kernel on a CPU (rsn_bf16.c) ---------------------------------------------------------- */

/* The weights in tiles, each in 1 or 3 parts; *packed also on failure, for nsamp_rsn_bf16_destroy. NSAMP_ENOMEM. */
nsamp_status nsamp_rsn_bf16_create(const nsamp_network *net, uint32_t parts, nsamp_rsn_bf16 **packed,
                                   nsamp_error *err);
/* NULL: nothing. */
void nsamp_rsn_bf16_destroy(nsamp_rsn_bf16 *packed);
size_t nsamp_rsn_bf16_bytes(const nsamp_rsn_bf16 *packed);
/* The kernel of an instruction set, or the one that uses the matrix unit. */
const nsamp_cpu_kernel *nsamp_rsn_bf16_kernel(const char *isa, bool amx);

/* ---- many outputs in one kernel of float32 multiply-adds on a CPU (rsn_panels.c) ------------------------ */

/* The network of p in panels, for bf16 with W1 and W2 rounded; noise: S [n][m] of a reservoir. *packed also on failure, for
 * nsamp_rsn_panels_destroy. NSAMP_ENOMEM. */
nsamp_status nsamp_rsn_panels_create(const nsamp_network *net, const double *noise, const nsamp_rsn_params *p,
                                     bool rounded, nsamp_rsn_panels **packed, nsamp_error *err);
/* NULL: nothing. */
void nsamp_rsn_panels_destroy(nsamp_rsn_panels *packed);
size_t nsamp_rsn_panels_bytes(const nsamp_rsn_panels *packed, uint32_t m, uint32_t reservoir);
/* The kernel of an instruction set. */
const nsamp_cpu_kernel *nsamp_rsn_panels_kernel(const char *isa);

/* ---- product path (rsn_product.c) ---------------------------------------------------------------------- */

typedef struct nsamp_rsn_product nsamp_rsn_product;

/* Packs the network's layers in panels; s [n * m] times a is the noise of the reservoir level (NULL at the
 * output level). options->tile must be set. params: of the model, kept by reference. */
nsamp_status nsamp_rsn_product_create(const nsamp_network *net, const nsamp_rsn_options *options,
                                      const double *s, const nsamp_rsn_params *params,
                                      nsamp_rsn_product **product, nsamp_error *err);
void nsamp_rsn_product_destroy(nsamp_rsn_product *product);
/* Bytes of its weights, some more where a library fills up its blocks. */
size_t nsamp_rsn_product_weights(const nsamp_rsn_product *product);
/* Bytes of scratch of a thread. */
size_t nsamp_rsn_product_scratch(const nsamp_rsn_product *product);
extern const nsamp_cpu_kernel nsamp_rsn_product_kernel;

#endif
