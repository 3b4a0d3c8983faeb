/* test_far.c: targets far from 0 and of any scale: what a run says is held to the law of its recursion,
 * computed here in double from the equation, or the run is refused with a line that says what is valid. No
 * third way: no wrong number with exit 0. And stored draws have the mean once, however often their block is
 * written. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "engine/plan.h"
#include "error.h"
#include "job/settings.h"
#include "scratch.h"
#include "stored_draws.h"
#include "systems/rsn.h"

static nsamp_status plan_of(const char *settings, nsamp_plan **plan, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    assert_non_null(job);
    *plan = NULL;
    nsamp_status status = nsamp_job_set_all(job, settings, err);
    if (status) fail_msg("%s", err->text);
    status = nsamp_plan_create(job, plan, err);
    nsamp_job_destroy(job);
    return status;
}

/* Largest |z| that is still chance: 1e-9 for each of some thousand numbers. */
static const double CHANCE = 6.1;

static void near_law(const char *settings, const char *what, double value, double se, double law,
                     double size) {
    if (!(fabs(value - law) <= CHANCE * se + 1e-3 * size) || !(CHANCE * se < 0.3 * size))
        fail_msg("%s: %s %.9g +- %.3g, law %.9g", settings, what, value, se, law);
}

/* Runs the job: refused (then it says what is valid), or each coordinate has the mean and the variance of the
 * law. */
static bool hold(const char *settings, double mean, double var) {
    nsamp_error err = {0};
    nsamp_plan *p;
    const nsamp_status status = plan_of(settings, &p, &err);
    if (status) {
        if (status != NSAMP_EUSAGE || !(strstr(err.text, "valid") || strstr(err.text, "needs dt below")))
            fail_msg("%s: status %d, '%s'", settings, status, err.text);
        return false;
    }
    if (nsamp_plan_run(p, NULL, NULL, &err)) fail_msg("%s: %s", settings, err.text);
    const nsamp_summary *s = nsamp_plan_summary(p);
    for (size_t i = 0; i < s->dim; i++) {
        near_law(settings, "mean", s->mean[i], s->mean_se[i], mean, sqrt(var));
        near_law(settings, "variance", s->var[i], s->var_se[i], var, var);
        assert_true(s->min[i] < mean && s->max[i] > mean);
    }
    nsamp_plan_destroy(p);
    return true;
}

static const double ratios[] = {0, 1, -1e3, 1e5, -1e7, 1e8, 9e9, 1e11, 1e16, 1e30},
                    scales[] = {1e-300, 1e-150, 1e-40, 1e-25, 1e-12, 1, 1e6, 1e14, 1e25, 1e40, 1e150, 1e250};
enum { RATIOS = sizeof ratios / sizeof *ratios, SCALES = sizeof scales / sizeof *scales };

#define RUN "run.chains=1024 run.steps=200 run.accumulate_every=10 run.threads=1 run.backend=cpu "

/* The largest ratio and the smallest and largest scale that were not refused -> reached. */
static void table(const char *system, double h, bool natural, bool exact, double reached[3]) {
    reached[0] = 0;
    reached[1] = INFINITY;
    reached[2] = 0;
    for (int r = 0; r < RATIOS; r++)
        for (int k = 0; k < SCALES; k++) {
            char settings[512];
            const double sd = scales[k], v = sd * sd, mean = ratios[r] * sd;
            if (!(v > 1e-300 && v < 1e300 && fabs(mean) < 1e300)) continue;
            snprintf(settings, sizeof settings,
                     RUN "%s system.dt=%g system.geometry=%s target.dim=3 target.rho=0 target.variance=%.17g "
                         "target.mean=%.17g",
                     system, h, natural ? "natural" : "naive", v, mean);
            /* The Euler recursion of one coordinate: x - mu is multiplied by 1 - h / v or 1 - h, noise 2h or
             * 2hv. */
            const double law = exact ? v : natural ? v / (1 - h / 2) : v / (1 - h / (2 * v));
            if (!hold(settings, mean, law)) continue;
            reached[0] = fmax(reached[0], fabs(ratios[r]));
            reached[1] = fmin(reached[1], sd);
            reached[2] = fmax(reached[2], sd);
        }
}

static void gaussians(void **state) {
    (void)state;
    static const char *const targets[] = {"target.name=equicorrelated",
                                          "target.name=gaussian target.file=builtin:decay"};
    double reached[3];
    for (int t = 0; t < 2; t++) {
        table(targets[t], 0.3, true, false, reached);
        assert_true(reached[0] == 9e9 && reached[1] == 1e-25 && reached[2] == 1e25);
        table(targets[t], 0.3, false, false, reached);
        assert_true(reached[0] == 9e9 && reached[1] == 1 && reached[2] == 1);
        /* h / variance = 3e-13, of which 1 minus it keeps nothing: refused; 3e-5: kept */
        table(targets[t], 3e7 / 1e2, false, false, reached);
    }
}

static void spiking(void **state) {
    (void)state;
    double reached[3];
    table("system.name=mh-spiking system.leak=no system.neurons=20 system.scale=0.5", 0.05, true, true,
          reached);
    assert_true(reached[0] == 9e9 && reached[1] == 1e-25 && reached[2] == 1e25);
}

/* Chains of a mixture of two that lie this far from its mean, one on each side, vary about their component as
 * the law says. */
static void vary_within(const char *settings, double apart) {
    nsamp_error err = {0};
    nsamp_plan *p;
    double sum = 0, squares = 0, n = 0;
    if (plan_of(settings, &p, &err) || nsamp_plan_run(p, NULL, NULL, &err)) fail_msg("%s", err.text);
    for (uint64_t c = 0; c < p->batch.chains; c++, n++) {
        const double d =
            fabs((double)p->batch.state[c]) - apart; /* one number a chain: tiles follow one another */
        sum += d;
        squares += d * d;
    }
    const double var = squares / n - sum / n * (sum / n);
    near_law(settings, "mean within", sum / n, sqrt(var / n), 0, 1);
    near_law(settings, "variance within", var, var * sqrt(2 / n), 1 / (1 - 0.15), 1 / (1 - 0.15));
    nsamp_plan_destroy(p);
}

/* One component is a Gaussian; two, at mu +- distance, of which each chain stays in one, have the mean's and
 * the squares' law of half each. */
static void mixtures(void **state) {
    (void)state;
    char settings[512];
    int ran = 0;
    for (int r = 0; r < RATIOS; r++)
        for (int k = 0; k < SCALES; k++) {
            const double sd = scales[k], mean = ratios[r] * sd;
            if (!(fabs(mean) < 1e300)) continue;
            snprintf(settings, sizeof settings,
                     RUN
                     "target.name=mixture target.dim=2 target.weights=1 target.means=%.17g target.sds=%.17g "
                     "system.geometry=natural system.dt=0.3",
                     mean, sd);
            ran += hold(settings, mean, sd * sd / (1 - 0.15));
        }
    assert_int_equal(ran, 7 * 4);
    for (double apart = 10; apart < 1e9; apart *= 10) {
        snprintf(
            settings, sizeof settings,
            RUN "target.name=mixture target.dim=1 target.weights=1,1 target.means=%#.17g,%#.17g target.sds=1 "
                "system.dt=0.3",
            1e6 - apart, 1e6 + apart);
        ran = hold(settings, 1e6, 1 / (1 - 0.15) + apart * apart);
        assert_true(apart < 2e5 ? ran : apart > 4e5 ? !ran : true);
        if (ran) vary_within(settings, apart);
    }
}

/* Networks state x itself. One with linear drift, whose biases take its mean away from 0, and one whose noise is small
 * against its data: the exact law, or a refusal. */
static void networks(void **state) {
    (void)state;
    bool kept = true;
    for (double far = 1; far < 1e12; far *= 100) {
        nsamp_error err = {0};
        nsamp_network *net;
        nsamp_plan *p;
        char settings[512];
        assert_int_equal(nsamp_rsn_linear(2, 32, 3, &net, &err), NSAMP_OK);
        for (size_t j = 0; j < net->n; j++)
            net->b[j] *= (float)far;
        if (nsamp_network_save(scratch("far.model"), true, net, &err)) fail_msg("%s", err.text);
        nsamp_network_destroy(net);
        snprintf(settings, sizeof settings,
                 RUN "system.name=rsn system.dt=0.3 run.burn_in=100 system.model=%s", scratch("far.model"));
        const nsamp_status status = plan_of(settings, &p, &err);
        if (status) {
            if (status != NSAMP_EUSAGE || !strstr(err.text, "valid: up to")) fail_msg("%s", err.text);
            kept = false;
            continue;
        }
        assert_true(kept && far < 1e6);
        if (nsamp_plan_run(p, NULL, NULL, &err)) fail_msg("%s", err.text);
        const nsamp_summary *s = nsamp_plan_summary(p);
        for (size_t i = 0; i < s->dim; i++) {
            near_law(settings, "mean", s->mean[i], s->mean_se[i], s->exact_mean[i],
                     3 * sqrt(s->exact_var[i]));
            near_law(settings, "variance", s->var[i], s->var_se[i], s->exact_var[i], s->exact_var[i]);
        }
        nsamp_plan_destroy(p);
    }
    assert_false(kept);
    nsamp_error err = {0};
    nsamp_network *net;
    nsamp_model model = {.law = {.offdiag = NAN}};
    assert_int_equal(nsamp_rsn_linear(2, 32, 3, &net, &err), NSAMP_OK);
    net->denoiser = true;
    net->sigma = 1e-8;
    net->b[0] += 1; /* no longer linear: only the data's variance, 1, is known */
    const nsamp_rsn_options options = {.h = 0.1, .isa = "base"};
    assert_int_equal(nsamp_rsn_model(net, &options, &model, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "the noise of a step is"));
    model.destroy(&model);
    free(model.params);
}

/* Draws of a run with a mean are those of one without, moved: each rounded once. Also over checkpoints, which
 * write blocks half full, and stops, which leave them so. */
static int stop_at_once(const nsamp_progress *progress, void *user) {
    (void)user;
    return progress->done < progress->total;
}

static void stored_draws_have_the_mean_once(void **state) {
    (void)state;
    char settings[512];
    size_t n[2];
    float *x[2];
    int stops = 0;
    for (int far = 0; far < 2; far++) {
        snprintf(
            settings, sizeof settings,
            "run.chains=512 target.dim=40 run.steps=120000 record.every=500 record.chains=512 run.resume=yes "
            "run.threads=1 run.checkpoint_every_s=0.001 run.backend=cpu target.mean=%g output.file=%s",
            far ? 1000.3 : 0, scratch(far ? "far.nc" : "near.nc"));
        for (nsamp_status status = NSAMP_STOPPED; status == NSAMP_STOPPED;) {
            nsamp_error err = {0};
            nsamp_plan *p;
            if (plan_of(settings, &p, &err)) fail_msg("%s", err.text);
            status = nsamp_plan_run(p, far ? stop_at_once : NULL, NULL, &err);
            if (status && status != NSAMP_STOPPED) fail_msg("%s", err.text);
            stops += status == NSAMP_STOPPED;
            nsamp_plan_destroy(p);
        }
        x[far] = stored_draws(scratch(far ? "far.nc" : "near.nc"), &n[far]);
    }
    assert_true(stops > 0 && n[0] == n[1] && n[0] == 512 * 240 * 40);
    for (size_t i = 0; i < n[0]; i++)
        if (x[1][i] != (float)((double)x[0][i] + 1000.3))
            fail_msg("number %zu: %.9g, without the mean %.9g", i, (double)x[1][i], (double)x[0][i]);
    free(x[0]);
    free(x[1]);
}

/* A target far from 0 runs, but its float32 draws would not hold its spread. */
static void draws_too_far_are_refused(void **state) {
    (void)state;
    static const char *const mean[] = {"target.mean=60000", "target.mean=70000"};
    for (int i = 0; i < 2; i++) {
        char settings[512];
        nsamp_error err = {0};
        nsamp_plan *p;
        snprintf(settings, sizeof settings, RUN "%s record.every=10 output.file=%s", mean[i],
                 scratch("x.nc"));
        assert_int_equal(plan_of(settings, &p, &err), i ? NSAMP_EUSAGE : NSAMP_OK);
        if (i) assert_non_null(strstr(err.text, "record.every = 10"));
        nsamp_plan_destroy(p);
    }
}

/* One coordinate, whose factor is 1 - dt: below 0 at 1.9, 0 at 1. No number of the law is NaN, and tau is
 * measured. */
static void one_coordinate(void **state) {
    (void)state;
    static const double dt[] = {1.9, 1, 0.5};
    for (int i = 0; i < 3; i++) {
        char settings[512];
        nsamp_error err = {0};
        nsamp_plan *p;
        snprintf(
            settings, sizeof settings,
            "target.dim=1 system.dt=%g run.chains=4096 run.steps=500 run.burn_in=200 run.accumulate_every=1 "
            "run.backend=cpu",
            dt[i]);
        if (plan_of(settings, &p, &err) || nsamp_plan_run(p, NULL, NULL, &err)) fail_msg("%s", err.text);
        const nsamp_summary *s = nsamp_plan_summary(p);
        const double f = 1 - dt[i], tau = (1 + f) / (1 - f), law = 1 / (1 - dt[i] / 2);
        assert_true(fabs(s->exact_var[0] / law - 1) < 1e-5 && fabs(s->exact_tau[0] / tau - 1) < 0.05);
        near_law(settings, "variance", s->var[0], s->var_se[0], law, law);
        near_law(settings, "tau", s->tau[0], s->tau[0] * sqrt(2.0 / 4096), s->exact_tau[0], tau);
        nsamp_plan_destroy(p);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gaussians),
        cmocka_unit_test(spiking),
        cmocka_unit_test(mixtures),
        cmocka_unit_test(networks),
        cmocka_unit_test(stored_draws_have_the_mean_once),
        cmocka_unit_test(draws_too_far_are_refused),
        cmocka_unit_test(one_coordinate),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
