/* counts.c: the formulas. D dimensions, m outputs, n units, p readout, K components, L chains a tile. */
#include "bench/counts.h"

#include "systems/rsn.h"

const char *const nsamp_bound_names[NSAMP_BOUND_count] = {"noise", "F", "product", "copy"};

static double phi_flop(nsamp_activation phi) {
    return phi == NSAMP_TANH ? NSAMP_FLOP_TANH : phi == NSAMP_SOFTPLUS ? NSAMP_FLOP_SOFTPLUS : 0;
}

/* u <- c1 u + a z + c2 s: two multiply-adds; s: D - 1 additions, and c2 s. */
static nsamp_counts equi(double D) {
    return (nsamp_counts){.normals = D, .flop = 4 * D + (D - 1) + 1, .bytes = 8 * D};
}

/* y <- c y + a z: a multiply-add and a multiplication; c and a once a tile. */
static nsamp_counts gauss(double D, double L) {
    return (nsamp_counts){.normals = D, .flop = 3 * D, .bytes = 8 * D + 8 * D / L};
}

/* The drift of a mixture (kernels/targets/mixture.h). Round: mu - x squared and summed 3, mu - x again and its multiply-add 3, for each
 * coordinate. Full: mu - x, its square, what a share multiplies, and two products with the triangle W_k, of D (D + 1)/2 entries. Either: the
 * exponent 2 a component; shares by difference, exponential, sum and 2, and one division; of two components by one exponential. Step: the noise
 * and x + v; natural: both products with the triangle L. */
static nsamp_counts score(const nsamp_target *t, bool factor, double L) {
    const double D = (double)t->dim, K = (double)t->components, triangle = D * (D + 1) / 2;
    const double each = 2 + (t->chols ? 4 * D + 4 * triangle : 6 * D), shares = K == 2 ? 6 : 4 * K + 1,
                 exponentials = K == 2 ? 1 : K;
    nsamp_counts c = {.normals = D,
                      .flop = K * each + shares + (factor ? 2 * D + 4 * triangle : 3 * D),
                      .elementary = exponentials * NSAMP_FLOP_SHARE};
    const double tables = K * (D + 3) + (t->chols ? K * D * D : 0) + (factor ? D * D : 0);
    c.bytes = 8 * D + 4 * tables / L;
    return c;
}

/* y = W1 phi(W2 x + b): m n multiply-adds twice, once more for the noise of the reservoir; x + h (y - x) + a xi: 5 a number. The product
 * path writes the hidden units and reads them again. Fused kernels in less than float32 multiply on tensor cores or a matrix unit, so that products
 * bound them too; but not where a CPU does it by multiply-adds. */
static nsamp_counts rsn(const nsamp_job *job, const nsamp_model *model, double L) {
    const nsamp_rsn_extra *const extra = model->extra;
    const nsamp_network *net = extra->net;
    const bool reservoir = nsamp_job_is(job, NSAMP_KEY_system_level, "reservoir"),
               product = model->host_kernel && !extra->bf16 && !extra->panels,
               tensor = extra->bf16 ? extra->options.amx
                                    : ((const nsamp_rsn_params *)model->params)->precision != NSAMP_RSN_FP32;
    const double m = (double)net->m, n = (double)net->n;
    const bool narrow = nsamp_job_is(job, NSAMP_KEY_run_precision, "bf16") &&
                        (nsamp_job_is(job, NSAMP_KEY_run_backend, "cuda") || nsamp_matmul_bf16_is_native());
    const double weight = extra->bf16 ? 2.0 * extra->bf16->parts : narrow ? 2 : 4;
    const double products = (reservoir ? 6 : 4) * m * n, weights = weight * ((reservoir ? 3 : 2) * m * n + n);
    return (nsamp_counts){.normals = m,
                          .flop = products + (reservoir ? 3 * n : 5 * m),
                          .elementary = n * phi_flop(net->activation),
                          .product = product || tensor ? products : 0,
                          .bytes = 8 * m + weights / L + (reservoir ? 8 * n : 0) + (product ? 8 * n : 0),
                          .working_set = weights};
}

/* y = keep v + shift and the dot product, a multiply-add each for each of p; the update, an addition each; the energy, one. A
 * logarithm, a uniform, a multiplication. Bytes: v in and out, the row of the table, a counter. */
static nsamp_counts mh(const nsamp_job *job, const nsamp_model *model) {
    const double p = (double)model->dim;
    const bool counting = nsamp_job_bool(job, NSAMP_KEY_system_spike_counts);
    return (nsamp_counts){.words = 2,
                          .flop = 5 * p + 1,
                          .elementary = NSAMP_FLOP_LOG + 3,
                          .bytes = 12 * p + (counting ? 8 : 0)};
}

nsamp_counts nsamp_counts_of(const nsamp_job *job, const nsamp_model *model, uint32_t lanes) {
    const double L = (double)lanes, D = (double)model->dim;
    nsamp_counts c = {.normals = (double)model->draws, .flop = model->flops, .bytes = 8 * D};
    if (model->kernel == NSAMP_KERNEL_langevin_equi) c = equi(D);
    if (model->kernel == NSAMP_KERNEL_langevin_gauss) c = gauss(D, L);
    if (model->kernel == NSAMP_KERNEL_langevin_score && model->target->components)
        c = score(model->target, nsamp_job_is(job, NSAMP_KEY_system_geometry, "natural"), L);
    if (model->kernel == NSAMP_KERNEL_mh_spiking) c = mh(job, model);
    if (model->kernel == NSAMP_KERNEL_rsn) c = rsn(job, model, L);
    c.working_set += 4 * (double)model->state_len * L;
    return c;
}

/* Forward 4 m n, back 2 m n, gradients 4 m n. Adam, for each of 2 m n + n weights a batch: decay 2, two moments 2 + 1 and 2 + 1 + 1, weight:
 * root, multiply-add, division, multiply-add 6. Bytes of a weight and batch: read twice forward and once back (W1 only), its moments
 * and itself read and written 24; hidden units written once and read twice. */
nsamp_counts nsamp_counts_of_training(size_t outputs, size_t units, size_t rows, bool apart) {
    const double m = (double)outputs, n = (double)units, batch = (double)rows, weights = 2 * m * n + n;
    return (nsamp_counts){.normals = m,
                          .flop = 10 * m * n + 15 * weights / batch,
                          .product = apart ? 10 * m * n : 0,
                          .bytes = (4 * weights + 4 * m * n + 24 * weights) / batch + 12 * n,
                          .working_set = 12 * weights};
}

void nsamp_bounds_of(const nsamp_counts *c, const nsamp_ceilings *ceilings, double product, double copy,
                     double bound[NSAMP_BOUND_count]) {
    const bool words = c->normals == 0; /* a system takes either */
    const double rate[NSAMP_BOUND_count] = {
        ceilings->rate[words ? NSAMP_CEILING_words : NSAMP_CEILING_noise].median,
        ceilings->rate[NSAMP_CEILING_fma].median, product, copy};
    const double need[NSAMP_BOUND_count] = {c->normals + c->words, c->flop + c->elementary - c->product,
                                            c->product, c->bytes};
    for (int b = 0; b < NSAMP_BOUND_count; b++)
        bound[b] = need[b] > 0 && rate[b] > 0 ? rate[b] / need[b] : 0;
}

nsamp_bound nsamp_bound_that_binds(const double bound[NSAMP_BOUND_count]) {
    nsamp_bound least = NSAMP_BOUND_count;
    for (int b = 0; b < NSAMP_BOUND_count; b++)
        if (bound[b] > 0 && (least == NSAMP_BOUND_count || bound[b] < bound[least])) least = (nsamp_bound)b;
    return least;
}
