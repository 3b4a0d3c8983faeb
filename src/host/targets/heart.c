/* heart.c: the heart-shaped density of the plane in the talk to Chen, Jiang, Rao and Shea-Brown (NeurIPS
 * 2023).
 *
 * The slide's brackets are ambiguous; the reading taken is
 *   p(x) proportional to exp(-(Q/4)^2),  Q = 0.8 x_1^2 + y^2,  y = x_2 - (x_1^2)^(1/3):
 * the square is of the whole of Q/4. (x_1, x_2) -> (sqrt(0.8) x_1, y) has a constant Jacobian and makes the
 * density exp(-rho^4/16), round: so w = rho^2 = |N(0, 8)|, the angle is uniform, draws are exact, and the
 * integral, 2 pi^(3/2) / sqrt(0.8), and the moments are closed forms. The score has a pole at x_1 = 0, of
 * order 1/3, which is square-integrable under p; at x_1 = 0 itself the part that jumps is taken as 0. */
#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "targets/builders.h"

static double log_density(const nsamp_target *t, const double *x) {
    (void)t;
    const double y = x[1] - cbrt(x[0] * x[0]), q = 0.8 * x[0] * x[0] + y * y;
    return -q * q / 16;
}

/* d log p = -(Q/8) dQ; d (x^2)^(1/3) / dx = (2/3) x^(-1/3) */
static void score(const nsamp_target *t, const double *x, double *s) {
    (void)t;
    const double y = x[1] - cbrt(x[0] * x[0]), q = 0.8 * x[0] * x[0] + y * y;
    const double slope = x[0] == 0 ? 0 : 2 / (3 * cbrt(x[0]));
    s[0] = -q / 8 * (1.6 * x[0] - 2 * y * slope);
    s[1] = -q / 8 * 2 * y;
}

static void draw(const nsamp_target *t, nsamp_noise_key key, uint32_t purpose, uint64_t i, double *x) {
    (void)t;
    const nsamp_words words = nsamp_draw_words(key, purpose, (uint32_t)i, i >> 32, 1);
    const double angle = 2 * acos(-1.0) * nsamp_target_uniform(words.w[0], words.w[1]);
    double z;
    nsamp_target_normals(key, purpose, i, 0, 1, &z);
    const double rho = sqrt(sqrt(8) * fabs(z));
    x[0] = rho * cos(angle) / sqrt(0.8);
    x[1] = rho * sin(angle) + cbrt(x[0] * x[0]);
}

/* E |x_1|^a = 0.8^(-a/2) E[w^(a/2)] E|cos|^a, with w half-normal of scale sqrt 8 and a uniform angle. */
static double absolute_moment(double a) {
    const double root_pi = sqrt(acos(-1.0));
    const double radial = pow(16, a / 4) * tgamma((a / 2 + 1) / 2) / root_pi;
    const double angular = tgamma((a + 1) / 2) / (root_pi * tgamma(a / 2 + 1));
    return pow(0.8, -a / 2) * radial * angular;
}

nsamp_status nsamp_target_heart(const nsamp_job *job, nsamp_target *t, nsamp_error *err) {
    static const nsamp_target_ops ops = {log_density, score, draw, NULL};
    t->ops = &ops;
    nsamp_status status = nsamp_target_check_dim(job, "heart", 2, err);
    if (status) return status;
    t->dim = 2;
    t->log_norm = log(2) + 1.5 * log(acos(-1.0)) - 0.5 * log(0.8);
    t->mean = calloc(2, sizeof *t->mean);
    t->var = malloc(2 * sizeof *t->var);
    if (!t->mean || !t->var) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    const double lift = absolute_moment(2.0 / 3); /* E (x_1^2)^(1/3); y has mean 0 given x_1 */
    t->mean[1] = lift;
    t->var[0] = absolute_moment(2);
    t->var[1] = 0.8 * t->var[0] + absolute_moment(4.0 / 3) - lift * lift;
    return nsamp_target_diagonal(t, err);
}
