/* laplace_copula.c: heavy tails in the plane: half each of two Gaussian copulas of correlation +rho and -rho,
 * with Laplace marginals of variance 1 [Chen, Jiang, Rao and Shea-Brown, NeurIPS 2023, public code].
 *
 *   z ~ N(0, [1 r; r 1]), r = +-rho;  x_i = sign(z_i) t_i / sqrt 2,  t_i = -log erfc(|z_i| / sqrt 2)
 *   log p(x) = -sqrt 2 (|x_1| + |x_2|) - log 2 - rho^2 (z_1^2 + z_2^2) / (2q) - log(q)/2 + log cosh(rho z_1
 * z_2 / q) with q = 1 - rho^2; dz/dx = sqrt 2 m(|z|), m the Mills ratio (1 - Phi) / phi. Marginal variance 1,
 * excess kurtosis 3, covariance 0. */
#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "targets/builders.h"

static const double SQRT2 = 1.4142135623730950488, SQRT_HALF_PI = 1.2533141373155002512;

/* Mills ratio (1 - Phi(z)) / phi(z), z >= 0: from erfc while that is normal, then its asymptotic series. */
static double mills(double z) {
    if (z < 26) return SQRT_HALF_PI * erfc(z / SQRT2) * exp(z * z / 2);
    const double y = 1 / (z * z);
    double sum = 1, term = 1;
    for (int k = 1; k <= 8; k++) {
        term *= -(2 * k - 1) * y;
        sum += term;
    }
    return sum / z;
}

/* |z| from t = sqrt 2 |x|: the root of z^2/2 - log(m(z) / m(0)) = t, increasing and convex with slope 1/m(z).
 */
static double copula_z(double t) {
    double z = t / sqrt(2 / acos(-1.0) + t / 2);
    for (int i = 0; i < 50; i++) {
        const double m = mills(z), step = (t - z * z / 2 + log(m / SQRT_HALF_PI)) * m;
        z = fmax(z + step, 0);
        if (fabs(step) <= 1e-15 * z) break;
    }
    return z;
}

static double log_density(const nsamp_target *t, const double *x) {
    const double r = t->copula_rho, q = 1 - r * r;
    double sum = -log(2) - log(q) / 2, product = 1;
    for (int i = 0; i < 2; i++) {
        const double a = SQRT2 * fabs(x[i]), z = copula_z(a);
        sum -= a + r * r * z * z / (2 * q);
        product *= z;
    }
    const double y = fabs(r) * product / q;
    return sum + y + log1p(exp(-2 * y)) - log(2);
}

/* At x_i = 0, where the density has an edge, the mean of the two one-sided derivatives. */
static void score(const nsamp_target *t, const double *x, double *s) {
    const double r = t->copula_rho, q = 1 - r * r;
    double z[2];
    for (int i = 0; i < 2; i++)
        z[i] = copysign(copula_z(SQRT2 * fabs(x[i])), x[i]);
    const double turn = tanh(r * z[0] * z[1] / q);
    for (int i = 0; i < 2; i++) {
        const double sign = (x[i] > 0) - (x[i] < 0);
        s[i] = -SQRT2 * sign + SQRT2 * mills(fabs(z[i])) * r * (z[1 - i] * turn - r * z[i]) / q;
    }
}

/* Normals from block 0, the sign of the correlation from block 1. */
static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    const nsamp_words w = nsamp_draw_words(key, purpose, (uint32_t)i, i >> 32, 1);
    const double r = w.w[0] >> 31 ? t->copula_rho : -t->copula_rho;
    double z[2];
    nsamp_target_normals(key, purpose, i, 0, 2, z);
    z[1] = r * z[0] + sqrt(1 - r * r) * z[1];
    for (int k = 0; k < 2; k++)
        x[k] = copysign(-log(erfc(fabs(z[k]) / SQRT2)) / SQRT2, z[k]);
}

nsamp_status nsamp_target_laplace_copula(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {log_density, score, draw, NULL};
    t->ops = &ops;
    t->log_norm = 0;
    t->copula_rho = nsamp_job_real(job, NSAMP_KEY_target_rho);
    if (!(fabs(t->copula_rho) < 1))
        return nsamp_job_fail(job, NSAMP_KEY_target_rho, err,
                              "valid for laplace-copula: above -1 and below 1");
    nsamp_status status = nsamp_target_check_dim(job, "laplace-copula", 2, err);
    if (status) return status;
    t->dim = 2;
    t->mean = calloc(2, sizeof *t->mean);
    t->var = malloc(2 * sizeof *t->var);
    if (!t->mean || !t->var) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    t->var[0] = t->var[1] = 1;
    return nsamp_target_diagonal(t, err);
}
