/* train.h: the elementwise part of training a reservoir-sampler network: activation and its slope, the
 * residual of score matching, Adam: one text for the CPU and the GPU (cuda_train.cu); and the table of loops over them that
 * the CPU compiles for each instruction set. The products between these are train_fp32.h, train_bf16.h or a library's; what the numbers mean is in
 * src/host/train/learner.h. */
#ifndef NSAMP_KERNELS_TRAIN_H
#define NSAMP_KERNELS_TRAIN_H

#include "kernels/noise.h"

/* The values of nsamp_activation (matmul.h), for code that cannot include host headers. */
enum { NSAMP_TRAIN_IDENTITY, NSAMP_TRAIN_RELU, NSAMP_TRAIN_TANH, NSAMP_TRAIN_SOFTPLUS };

NSAMP_HD float nsamp_activate(int activation, float z) {
    if (activation == NSAMP_TRAIN_RELU) return z < 0.0f ? 0.0f : z;
    if (activation == NSAMP_TRAIN_TANH) return nsamp_tanh(z);
    if (activation == NSAMP_TRAIN_SOFTPLUS) return nsamp_softplus(z);
    return z;
}

/* The slope phi'(z) from h = phi(z): all of these are one to one where the slope is not 0. */
NSAMP_HD float nsamp_slope(int activation, float h) {
    if (activation == NSAMP_TRAIN_RELU) return h > 0.0f ? 1.0f : 0.0f;
    if (activation == NSAMP_TRAIN_TANH) return nsamp_fma(-h, h, 1.0f);
    if (activation == NSAMP_TRAIN_SOFTPLUS) return 1.0f - nsamp_exp(-h);
    return 1.0f;
}

/* Adam (Kingma and Ba, ICLR 2015; amsgrad: Reddi, Kale and Kumar, ICLR 2018), with an L2 term added to the
 * gradient: g += decay w; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; w -= rate m / (sqrt(v)
 * unbias + epsilon). */
typedef struct nsamp_adam {
    float rate;   /* learning rate / (1 - beta1^t), t = 1, 2, ... */
    float unbias; /* 1 / sqrt(1 - beta2^t) */
    float beta1, beta2, epsilon, decay;
} nsamp_adam;

/* The moments of a weight without gradient, a dead relu unit's, decay into the subnormals and, rounded to nearest, stay there for good, where
 * each operation on them takes a processor a hundred cycles and more: hence zero in their place. */
/* seen: the largest v so far (amsgrad), or v itself. */
NSAMP_HD float nsamp_adam_moments(const nsamp_adam *a, float w, float g, float *m, float *v) {
    g = nsamp_fma(a->decay, w, g);
    *m = nsamp_normal_or_zero(nsamp_fma(a->beta1, *m, (1.0f - a->beta1) * g));
    *v = nsamp_normal_or_zero(nsamp_fma(a->beta2, *v, (1.0f - a->beta2) * (g * g)));
    return *v;
}

NSAMP_HD float nsamp_adam_weight(const nsamp_adam *a, float w, float m, float seen) {
    return nsamp_fma(-a->rate, nsamp_div(m, nsamp_fma(nsamp_sqrt(seen), a->unbias, a->epsilon)), w);
}

/* What the residual of one noise level needs; see learner.h. */
typedef struct nsamp_residual {
    float noise;    /* coefficient of eps in the residual f - x + noise eps: 1 / sigma, or sigma (denoiser) */
    float gradient; /* d objective / d f is gradient times the residual */
    float clean;    /* control variate: d objective / d f(x0) is clean times eps */
    double square;  /* loss of a row = square |residual|^2 ... */
    double cross;   /* ... + cross (f(x0) - x0) . eps - 1/2 |eps|^2 / sigma^2 + m / (2 sigma^2) */
    double inverse_variance; /* 1 / sigma^2 */
    int control_variate;
} nsamp_residual;

/* One coordinate of a noisy row: adds its part to the loss of the row, returns d objective / d f. */
NSAMP_HD float nsamp_residual_noisy(const nsamp_residual *p, float f, float x, float eps, double *loss) {
    const float q = nsamp_fma(p->noise, eps, f - x);
    *loss += p->square * (double)q * (double)q;
    if (p->control_variate) *loss += 0.5 * p->inverse_variance * (1.0 - (double)eps * (double)eps);
    return p->gradient * q;
}

/* The same of the row x0 behind it, for the control variate. */
NSAMP_HD float nsamp_residual_clean(const nsamp_residual *p, float f, float x0, float eps, double *loss) {
    *loss += p->cross * (double)(f - x0) * (double)eps;
    return p->clean * eps;
}

typedef struct nsamp_train_kernels {
    /* Standard normals of rows row0 .. row0 + rows - 1 -> z [rows][m]: draws of chain `row` at step `step`.
     */
    void (*normals)(nsamp_noise_key key, uint32_t purpose, uint32_t row0, size_t rows, uint64_t step,
                    size_t m, float *z);
    /* f, x [rows][m]; eps those of the noisy rows. e [rows][m]: d objective / d f. loss [rows]: of the noisy rows. clean: these are
     * rows x0 of the control variate, and what they add to the loss goes to loss. */
    void (*residual)(const nsamp_residual *r, int clean, size_t rows, size_t m, const float *f,
                     const float *x, const float *eps, float *e, double *loss);
    /* One step for count weights; seen NULL: without amsgrad. */
    void (*adam)(const nsamp_adam *a, size_t count, const float *g, float *w, float *m, float *v,
                 float *seen);
} nsamp_train_kernels;

/* As nsamp_cpu_kernels_* of kernel.h; all give the same bits. */
const nsamp_train_kernels *nsamp_train_kernels_base(void);
const nsamp_train_kernels *nsamp_train_kernels_v3(void);
const nsamp_train_kernels *nsamp_train_kernels_v4(void);

#endif
