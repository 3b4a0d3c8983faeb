/* test_check_faults.c: faults put into the parameters of models that are built, one at a time, and run by
 * the cases of `nsamp check`, which must fail: coefficients times 1.01, signs, places off by one. The
 * table is printed with the quantity that saw each. All of them with NSAMP_SLOW=1; otherwise those marked
 * quick. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "check/check.h"
#include "kernels/systems/langevin_equi.h"
#include "kernels/systems/langevin_gauss.h"
#include "kernels/systems/langevin_score.h"
#include "kernels/systems/mh_spiking.h"
#include "kernels/systems/rsn.h"
#include "systems/model.h"

typedef enum change {
    GROW,      /* times 1.01 */
    GROW_RATE, /* 1 - x times 1.01: what a factor forgets */
    TURN,      /* the other sign */
    SHIFT      /* each number in its neighbour's place */
} change;

typedef struct numbers {
    float *at;
    size_t count;
} numbers;

static float *table(const nsamp_model *m, uint64_t offset) {
    return (float *)((char *)m->params + offset);
}

#define SCALAR(name, type, field)                                                                            \
    static numbers name(nsamp_model *m) {                                                                    \
        return (numbers){&((type *)m->params)->field, 1};                                                    \
    }
#define TABLE(name, type, field, n)                                                                          \
    static numbers name(nsamp_model *m) {                                                                    \
        const type *p = m->params;                                                                           \
        return (numbers){table(m, p->field), n};                                                             \
    }

SCALAR(equi_c1, nsamp_langevin_equi_params, c1)
SCALAR(equi_a, nsamp_langevin_equi_params, a)
SCALAR(equi_c2, nsamp_langevin_equi_params, c2)
SCALAR(equi_kappa, nsamp_langevin_equi_params, kappa)
/* Kernels see targets about their mean, which the host adds. */
static numbers model_mean(nsamp_model *m) {
    for (size_t i = 0; m->offset && i < m->dim; i++)
        ((double *)m->offset)[i] *= 1.01;
    return (numbers){NULL, 0};
}
TABLE(gauss_keep, nsamp_langevin_gauss_params, keep_offset, p->dim)
TABLE(gauss_slowest, nsamp_langevin_gauss_params, keep_offset + (p->dim - 1) * sizeof(float), 1)
TABLE(gauss_noise, nsamp_langevin_gauss_params, noise_offset, p->dim)
TABLE(gauss_row, nsamp_langevin_gauss_params, basis_offset, p->dim)
TABLE(gauss_entry, nsamp_langevin_gauss_params, basis_offset, 1)
TABLE(gauss_basis, nsamp_langevin_gauss_params, basis_offset, (size_t)p->dim * p->dim)
SCALAR(score_a, nsamp_langevin_score_params, a)
/* The table holds logarithms. */
static numbers score_one_weight(nsamp_model *m) {
    table(m, ((const nsamp_langevin_score_params *)m->params)->weight_offset)[0] += 0.00995f;
    return (numbers){NULL, 0};
}
TABLE(score_weight, nsamp_langevin_score_params, weight_offset, p->components)
TABLE(score_square, nsamp_langevin_score_params, square_offset, p->components)
TABLE(score_one_square, nsamp_langevin_score_params, square_offset, 1)
TABLE(score_pull, nsamp_langevin_score_params, pull_offset, p->components)
TABLE(score_mean, nsamp_langevin_score_params, mean_offset, (size_t)p->components * p->dim)
TABLE(score_inverse, nsamp_langevin_score_params, inverse_factor_offset, 4)
TABLE(score_inverse_off, nsamp_langevin_score_params, inverse_factor_offset + 2 * sizeof(float), 1)
TABLE(score_factor_off, nsamp_langevin_score_params, factor_offset + 2 * sizeof(float), 1)
TABLE(score_factor, nsamp_langevin_score_params, factor_offset, (size_t)p->dim * p->dim)
SCALAR(mh_cool, nsamp_mh_spiking_params, cool)
SCALAR(mh_root_a, nsamp_mh_spiking_params, root_a)
SCALAR(mh_root_b, nsamp_mh_spiking_params, root_b)
TABLE(mh_keep, nsamp_mh_spiking_params, keep_offset, p->dim)
TABLE(mh_shift, nsamp_mh_spiking_params, shift_offset, p->dim)
TABLE(mh_bar, nsamp_mh_spiking_params, row_offset + (p->stride + p->dim) * sizeof(float), 1)
TABLE(mh_row, nsamp_mh_spiking_params, row_offset + p->stride * sizeof(float), p->dim)
TABLE(mh_neurons, nsamp_mh_spiking_params, row_offset + p->stride * sizeof(float),
      (size_t)p->neurons * p->stride)
SCALAR(rsn_h, nsamp_rsn_params, h)
SCALAR(rsn_noise, nsamp_rsn_params, noise)

/* The slow mode of a large target forgets 1 % more: its factor is c1 + D c2. */
static numbers equi_slow(nsamp_model *m) {
    nsamp_langevin_equi_params *p = m->params;
    const double n = p->dim, f = (double)p->c1 + n * (double)p->c2;
    p->c2 = (float)((1 - 1.01 * (1 - f) - (double)p->c1) / n);
    return (numbers){NULL, 0};
}

/* eta, of both tables, half as large. */
static numbers mh_half_leak(nsamp_model *m) {
    const nsamp_mh_spiking_params *p = m->params;
    float *keep = table(m, p->keep_offset), *shift = table(m, p->shift_offset);
    for (uint32_t i = 0; i < p->dim; i++) {
        keep[i] = 1 - (1 - keep[i]) / 2;
        shift[i] /= 2;
    }
    return (numbers){NULL, 0};
}

typedef struct fault {
    bool quick;
    const char *what, *system, *only;
    numbers (*place)(nsamp_model *m);
    change kind;
    size_t by; /* SHIFT: how many places */
} fault;

#define NAIVE         "dim=10 target.rho=0.75 system.dt=0.2 run.chains"
#define NATURAL       "target.rho=-0.3 system.dt=0.3 system.geometry=natural"
#define DECAY         "target.rho=0.7 target.mean=2"
#define DECAY_NATURAL "target.rho=-0.5"
#define PAIR          "builtin:pair target.dim=2 system.dt=0.1 run"
#define PAIR_NATURAL  "builtin:pair target.dim=2 system.dt=0.1 system.geometry=natural"
#define ROUND         "target.sds=0.6,0.9"
#define EXACT         "target.dim=4 target.rho=0.5 system.neurons=16 system.leak=no system.geometry=natural run"
#define LEAK          "system.tau_ms=1 "
#define LINEAR        "target.dim=3 train.hidden=64"

static const fault faults[] = {
    {true, "1 - c1 - D c2 (slow mode) x 1.01", "langevin", "target.dim=1000", equi_slow, GROW, 0},
    {true, "a x 1.01", "langevin", "target.rho=-0.01", equi_a, GROW, 0},
    {true, "c2 -> -c2", "langevin", "target.rho=-0.01", equi_c2, TURN, 0},
    {true, "mean x 1.01", "langevin", "target.rho=-0.01", model_mean, GROW, 0},
    {false, "c1 x 1.01", "langevin", NAIVE, equi_c1, GROW, 0},
    {false, "c1 -> -c1", "langevin", NAIVE, equi_c1, TURN, 0},
    {false, "c2 x 1.01", "langevin", NAIVE, equi_c2, GROW, 0},
    {false, "c1 x 1.01, natural", "langevin", NATURAL, equi_c1, GROW, 0},
    {false, "a x 1.01, natural", "langevin", NATURAL, equi_a, GROW, 0},
    {false, "kappa x 1.01", "langevin", "dim=10 target.rho=0.75 system.dt=0.2 system.geometry", equi_kappa,
     GROW, 0},
    {true, "kappa -> -kappa", "langevin", NATURAL, equi_kappa, TURN, 0},
    {true, "1 - c of the slowest mode x 1.01", "langevin", "target.rho=0.9 target.mean=200", gauss_slowest,
     GROW_RATE, 0},
    {false, "c x 1.01", "langevin", DECAY, gauss_keep, GROW, 0},
    {false, "1 - c x 1.01", "langevin", DECAY, gauss_keep, GROW_RATE, 0},
    {true, "c -> -c", "langevin", "target.rho=0.9 target.mean=200", gauss_keep, TURN, 0},
    {false, "c off by one mode", "langevin", DECAY, gauss_keep, SHIFT, 1},
    {false, "a x 1.01", "langevin", DECAY, gauss_noise, GROW, 0},
    {false, "mean x 1.01", "langevin", DECAY, model_mean, GROW, 0},
    {false, "one row of the basis x 1.01", "langevin", DECAY, gauss_row, GROW, 0},
    {false, "one row of the basis -> -", "langevin", DECAY, gauss_row, TURN, 0},
    {false, "basis off by one row", "langevin", DECAY, gauss_basis, SHIFT, 12},
    {false, "a x 1.01, natural", "langevin", DECAY_NATURAL, gauss_noise, GROW, 0},
    {false, "1 - c x 1.01, natural", "langevin", DECAY_NATURAL, gauss_keep, GROW_RATE, 0},
    {false, "one entry of the basis x 1.01, natural", "langevin", DECAY_NATURAL, gauss_entry, GROW, 0},
    {false, "a x 1.01", "langevin", ROUND, score_a, GROW, 0},
    {false, "weight of one component x 1.01", "langevin", ROUND, score_one_weight, GROW, 0},
    {false, "weights off by one component", "langevin", ROUND, score_weight, SHIFT, 1},
    {false, "-precision/2 of one component x 1.01", "langevin", ROUND, score_one_square, GROW, 0},
    {true, "-precision/2 off by one component", "langevin", ROUND, score_square, SHIFT, 1},
    {false, "h precision x 1.01", "langevin", ROUND, score_pull, GROW, 0},
    {false, "means x 1.01", "langevin", ROUND, score_mean, GROW, 0},
    {false, "means off by one component", "langevin", ROUND, score_mean, SHIFT, 1},
    {false, "a x 1.01", "langevin", PAIR, score_a, GROW, 0},
    {false, "h precision x 1.01", "langevin", PAIR, score_pull, GROW, 0},
    {false, "means x 1.01", "langevin", PAIR, score_mean, GROW, 0},
    {false, "means off by one coordinate", "langevin", PAIR, score_mean, SHIFT, 1},
    {false, "inverse factor x 1.01", "langevin", PAIR, score_inverse, GROW, 0},
    {true, "inverse factor: sign off the diagonal", "langevin", PAIR, score_inverse_off, TURN, 0},
    {false, "h precision x 1.01, natural", "langevin", "target.means=100,100", score_pull, GROW, 0},
    {false, "a x 1.01, natural", "langevin", PAIR_NATURAL, score_a, GROW, 0},
    {true, "factor x 1.01", "langevin", "target.means=100,100", score_factor, GROW, 0},
    {false, "factor: sign off the diagonal", "langevin", PAIR_NATURAL, score_factor_off, TURN, 0},
    {true, "eta / 2", "mh-spiking", LEAK, mh_half_leak, GROW, 0},
    {true, "eta x 1.01 of z", "mh-spiking", LEAK, mh_keep, GROW_RATE, 0},
    {true, "eta x 1.01 of the mean", "mh-spiking", LEAK, mh_shift, GROW, 0},
    {true, "eta -> -eta of the mean", "mh-spiking", LEAK, mh_shift, TURN, 0},
    {false, "-1/g x 1.01", "mh-spiking", EXACT, mh_cool, GROW, 0},
    {false, "root a x 1.01", "mh-spiking", EXACT, mh_root_a, GROW, 0},
    {false, "root b x 1.01", "mh-spiking", EXACT, mh_root_b, GROW, 0},
    {false, "root b -> -root b", "mh-spiking", EXACT, mh_root_b, TURN, 0},
    {false, "mean x 1.01", "mh-spiking", "target.mean=1 ", model_mean, GROW, 0},
    {false, "|w|^2/2 of a neuron x 1.01", "mh-spiking", EXACT, mh_bar, GROW, 0},
    {true, "w of a neuron -> -w", "mh-spiking", LEAK, mh_row, TURN, 0},
    {true, "neurons off by one", "mh-spiking", LEAK, mh_neurons, SHIFT, 16},
    {false, "h x 1.01", "rsn", LINEAR, rsn_h, GROW, 0},
    {false, "h -> -h", "rsn", LINEAR, rsn_h, TURN, 0},
    {true, "noise x 1.01", "rsn", LINEAR, rsn_noise, GROW, 0},
};

static void alter(nsamp_model *m, void *user) {
    const fault *f = user;
    const numbers n = f->place(m);
    float *old = calloc(n.count + 1, sizeof *old);
    assert_non_null(old);
    for (size_t i = 0; i < n.count; i++)
        old[i] = n.at[i];
    for (size_t i = 0; i < n.count; i++)
        n.at[i] = f->kind == GROW        ? 1.01f * old[i]
                  : f->kind == GROW_RATE ? 1 - 1.01f * (1 - old[i])
                  : f->kind == TURN      ? -old[i]
                                         : old[(i + f->by) % n.count];
    free(old);
}

static void test_faults(void **state) {
    (void)state;
    const bool all = getenv("NSAMP_SLOW") != NULL;
    /* That of a whole `nsamp check`, of some 5,000 numbers; a case on its own would have a lower one. */
    const double threshold = nsamp_threshold(1e-6, 10000, INFINITY);
    size_t missed = 0;
    for (size_t k = 0; k < sizeof faults / sizeof *faults; k++) {
        fault f = faults[k];
        if (!all && !f.quick) continue;
        nsamp_error err = {0};
        nsamp_check_report report;
        const nsamp_check_fault hook = {f.only, alter, &f};
        const char *settings = "run.backend=cpu";
        nsamp_check_run_faulty(&f.system, 1, &settings, 1, &hook, NULL, NULL, &report, &err);
        const nsamp_check_row *worst = NULL;
        for (size_t i = 0; i < report.count; i++)
            if ((report.rows[i].error || !(fabs(report.rows[i].z) <= threshold)) &&
                (!worst || fabs(report.rows[i].z) > fabs(worst->z)))
                worst = &report.rows[i];
        print_message("%-10s %-40s %-7s %s, z %.1f%s\n", f.system, f.what, worst ? "caught" : "MISSED",
                      worst          ? worst->quantity
                      : report.count ? "-"
                                     : err.text,
                      worst ? worst->z : 0.0, worst && worst->error ? " (the run failed)" : "");
        missed += !worst;
        nsamp_check_report_free(&report);
    }
    if (missed) fail_msg("%zu faults are not seen", missed);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
