/* cuda_rsn.h: reservoir-sampler networks on the GPU by matrix products. Only .cu files include this.
 *
 * Chains are taken in blocks of B. A block lies on the device by chains, as products want it (x [B][row], H [B][n]),
 * while it is advanced, and goes back to the tiles of cuda_kernels.h afterwards. A step of a block:
 *     output      H = phi(X W2^T + b)     Y = H W1^T     X <- X + h (Y - X) + a Xi
 *     reservoir   H = phi(X W2^T + b)     R <- R + h (H - R) + Xi (a S)^T     Y = R W1^T     X <- Y
 * Blocks are dealt to workers, each with a stream and arrays of its own: what lies between the products of one, and the
 * gaps before and after each kernel, hide behind the products of another. cuda_rsn_product.cu has the memory and the
 * order of blocks, cuda_rsn_worker.cu products and graphs, cuda_rsn_step.cu the kernels between products. */
#ifndef NSAMP_KERNELS_CUDA_RSN_H
#define NSAMP_KERNELS_CUDA_RSN_H

#include "kernels/bf16.h"
#include "kernels/cuda_kernels.h"
#include "kernels/cuda_product.h"
extern "C" {
#include "host/systems/rsn.h"
}

/* Where the block is, in device memory, so that a graph that was captured once serves every block and step. */
typedef struct nsamp_cuda_rsn_place {
    uint64_t step;   /* of the next step */
    uint64_t chain0; /* the first chain */
    uint32_t chains; /* that exist: the rest of the B rows is computed and ignored */
} nsamp_cuda_rsn_place;

/* A block on the device. Rows are chains; columns beyond m have weights of zero and hold nothing that matters, but are
 * finite. */
typedef struct nsamp_cuda_rsn_block {
    uint32_t m, n;   /* outputs; units, a multiple of 8 */
    uint32_t row;    /* numbers from chain to chain in x, x16, y and xi: m rounded up to a multiple of 8 */
    uint32_t chains; /* B, a multiple of 32 */
    uint32_t phi;    /* NSAMP_RSN_* */
    bool reservoir, bf16;
    float h, a;
    nsamp_noise_key noise;
    nsamp_cuda_rsn_place *place;
    float *x, *y, *xi; /* [B][row]; xi: reservoir level only */
    nsamp_bf16 *x16;   /* x for a bf16 product, or NULL */
    float *z;          /* [B][n]: W2 x + b, or phi of it where the product has done that; float32. Or NULL */
    nsamp_bf16 *h16;   /* [B][n]: what a bf16 product reads; or NULL */
    float *r;          /* [B][n]: reservoir level only */
    unsigned long long *first_bad; /* of chain 0 of the run */
} nsamp_cuda_rsn_block;

/* ---- cuda_rsn_step.cu: each enqueues one kernel on the stream and returns the launch's error ------------ */

/* *place = {step, chain0, chains}. */
cudaError_t nsamp_cuda_rsn_begin(const nsamp_cuda_rsn_block *b, uint64_t step, uint64_t chain0,
                                 uint32_t chains, cudaStream_t stream);
/* place->step += steps. */
cudaError_t nsamp_cuda_rsn_end(const nsamp_cuda_rsn_block *b, uint32_t steps, cudaStream_t stream);

/* Rows first .. first + count - 1 of tiles [tiles][S][32] to columns 0 .. count - 1 of rows [tiles * 32][row]
 * (to16: the same in bf16, or NULL), and back. */
cudaError_t nsamp_cuda_rsn_load(const float *tiles_at, uint32_t tiles, uint32_t S, uint32_t first,
                                uint32_t count, float *to, nsamp_bf16 *to16, uint32_t row,
                                cudaStream_t stream);
cudaError_t nsamp_cuda_rsn_store(const float *from, uint32_t row, float *tiles_at, uint32_t tiles, uint32_t S,
                                 uint32_t first, uint32_t count, cudaStream_t stream);

/* phi of z, in place or into h16: for a phi that the product cannot fuse. */
cudaError_t nsamp_cuda_rsn_activate(const nsamp_cuda_rsn_block *b, cudaStream_t stream);
/* r += h phi, where r has become (1 - h) r + Xi (a S)^T: phi of z, or z (h16 for bf16) where that is phi already. h16 =
 * r for a bf16 product. */
cudaError_t nsamp_cuda_rsn_relax(const nsamp_cuda_rsn_block *b, cudaStream_t stream);
/* The normals of step place->step -> xi. */
cudaError_t nsamp_cuda_rsn_draw(const nsamp_cuda_rsn_block *b, cudaStream_t stream);
/* The end of step place->step + offset: x from y and, at the output level, its normals; first_bad; at the reservoir level
 * xi for the step after. */
cudaError_t nsamp_cuda_rsn_move(const nsamp_cuda_rsn_block *b, uint32_t offset, cudaStream_t stream);

/* ---- cuda_rsn_worker.cu --------------------------------------------------------------------------------- */

/* On the device, for all workers. */
typedef struct nsamp_cuda_rsn_weights {
    void *w2, *w1; /* [n][row], [row][n], float32 or bf16 */
    void *bias;    /* [n], of the type of H */
    float *s;      /* [n][row], a S; reservoir level only */
    nsamp_precision precision;
} nsamp_cuda_rsn_weights;

enum { NSAMP_CUDA_RSN_MANY = 16 /* steps of the longer graph */ };

typedef struct nsamp_cuda_rsn_worker {
    nsamp_cuda_rsn_block block;
    const nsamp_cuda_rsn_weights *weights;
    cudaStream_t stream;
    cudaEvent_t done;      /* with its part of a call */
    nsamp_cuda_blas *blas; /* whose workspace no other worker may use */
    nsamp_cuda_product *hidden, *readout, *noise;
    cudaGraphExec_t one, many, look; /* a step, MANY steps, Y of X */
} nsamp_cuda_rsn_worker;

/* Where the product leaves H itself, in bf16. */
static inline bool nsamp_cuda_rsn_narrow(const nsamp_cuda_rsn_block *b) {
    return b->bf16 && b->phi == NSAMP_RSN_RELU;
}

/* w->block is filled in and its arrays and the weights hold numbers, whichever; the rest of *w is zero. Steps that belong
 * to no chain are run. look: also the graph for Y of X. After a failure, too, *w must be dismissed. */
nsamp_status nsamp_cuda_rsn_hire(nsamp_cuda_rsn_worker *w, const nsamp_cuda_rsn_weights *weights, bool look,
                                 nsamp_error *err);
void nsamp_cuda_rsn_dismiss(nsamp_cuda_rsn_worker *w);

/* ---- cuda_rsn_product.cu -------------------------------------------------------------------------------- */

typedef struct nsamp_cuda_rsn nsamp_cuda_rsn;

/* How chains are cut: blocks of `rows`, `workers` of them at a time. */
typedef struct nsamp_cuda_rsn_cut {
    uint32_t rows, workers;
} nsamp_cuda_rsn_cut;

/* rows: run.tile where that is set, else as many as make blocks of one size for all workers, 8192 at most. Fewer where
 * they would take more than an eighth of the device's `total` bytes, or where `available` bytes do not hold more; one
 * worker for few chains. */
nsamp_cuda_rsn_cut nsamp_cuda_rsn_choose(const nsamp_model *model, uint64_t tiles, uint32_t tile,
                                         size_t total, size_t available);
/* Device memory of all that create allocates. */
size_t nsamp_cuda_rsn_bytes(const nsamp_model *model, nsamp_cuda_rsn_cut cut);

/* For view->own: weights on the device, workers. The model's params are read now and not kept. */
nsamp_status nsamp_cuda_rsn_create(const nsamp_cuda_view *view, const nsamp_model *model,
                                   nsamp_cuda_rsn_cut cut, nsamp_cuda_rsn **rsn, nsamp_error *err);
/* NULL: nothing. */
void nsamp_cuda_rsn_destroy(nsamp_cuda_rsn *rsn);
/* "cuBLASLt 13.1.0, fp32, blocks of 2048 chains, 2 at a time"; lives as long as rsn. */
const char *nsamp_cuda_rsn_text(const nsamp_cuda_rsn *rsn);
/* Takes view->own. */
const nsamp_cuda_kernel *nsamp_cuda_rsn_kernel(void);

#endif
