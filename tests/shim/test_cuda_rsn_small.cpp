/* test_cuda_rsn_small.cpp: the kernels for small rsn networks through the shim. In float32 the bits of the CPU; in bf16 and
 * tf32 one step against double arithmetic with the same roundings of weights, x and hidden units. */
#include <stdio.h>
#include <stdlib.h>
#include <math.h>
#include <unistd.h>
#include <vector>

#include "shim.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "engine/plan.h"
#include "job/settings.h"
#include "scratch.h"
#include "systems/rsn.h"
#include "train/network.h"
}

static uint64_t random_state = 20240607;

static float small_number(void) {
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (float)((double)(int32_t)(random_state >> 32) * 0x1p-31);
}

typedef struct network {
    char path[600];
    std::vector<float> w1, w2, b; /* [m][n], [n][m], [n] */
    size_t m, n;
    nsamp_activation phi;
} network;

/* Random weights, saved under a new name; w1 0: outputs that do not meet. */
static network make(size_t m, size_t n, nsamp_activation phi, float w1 = 1) {
    static unsigned count;
    network net = {{}, {}, {}, {}, m, n, phi};
    nsamp_error err = {};
    char name[32];
    snprintf(name, sizeof name, "net%u", count++);
    snprintf(net.path, sizeof net.path, "%s", scratch(name));
    nsamp_network *const out = nsamp_network_create(m, n);
    assert_non_null(out);
    out->activation = phi;
    out->sigma = 1;
    for (size_t i = 0; i < m; i++)
        out->start_var[i] = 1;
    for (size_t i = 0; i < m * n; i++) {
        out->w1[i] = w1 * small_number() * 2 / sqrtf((float)n);
        out->w2[i] = small_number() * 2 / sqrtf((float)m);
    }
    for (size_t i = 0; i < n; i++)
        out->b[i] = small_number();
    net.w1.assign(out->w1, out->w1 + m * n);
    net.w2.assign(out->w2, out->w2 + m * n);
    net.b.assign(out->b, out->b + n);
    if (nsamp_network_save(net.path, true, out, &err)) fail_msg("%s", err.text);
    nsamp_network_destroy(out);
    return net;
}

static nsamp_plan *plan_of(const char *settings, const char *more, nsamp_status expected, nsamp_error *err) {
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *p = NULL;
    if (nsamp_job_set_all(job, settings, err) || nsamp_job_set_all(job, more, err)) fail_msg("%s", err->text);
    const nsamp_status status = nsamp_plan_create(job, &p, err);
    nsamp_job_destroy(job);
    if (status != expected) fail_msg("status %d: %s", (int)status, err->text);
    return p;
}

static void start(nsamp_plan *p) {
    nsamp_error err = {};
    if (nsamp_plan_start(p, &err)) fail_msg("%s", err.text);
}

static void advance(nsamp_plan *p, uint64_t from, uint64_t to) {
    nsamp_error err = {};
    if (p->backend->ops->advance(p->backend, from, to, NULL, &err) ||
        p->backend->ops->fetch(p->backend, &err))
        fail_msg("%s", err.text);
}

static float state_of(const nsamp_plan *p, uint64_t chain, size_t i) {
    const size_t lanes = p->batch.lanes;
    return p->batch.state[(chain / lanes * p->model->state_len + i) * lanes + chain % lanes];
}

/* ---- float32: the CPU's bits --------------------------------------------------------------------------- */

/* Launches of several steps: a launch ends where a sample is due. -> chains that were flagged. */
static uint64_t compare(const char *settings) {
    uint64_t failed = 0;
    nsamp_error err = {};
    nsamp_plan *cpu =
        plan_of(settings, "run.backend=cpu run.threads=1 run.accumulate_every=3", NSAMP_OK, &err);
    start(cpu);
    advance(cpu, 0, 3);
    advance(cpu, 3, 7);
    for (int many = 0; many < 2; many++) {
        nsamp_shim_set_order(many ? NSAMP_SHIM_SHUFFLED : NSAMP_SHIM_REVERSED, 9);
        nsamp_shim_set_multiprocessors(many ? 4096 : 0);
        nsamp_plan *gpu = plan_of(settings, "run.backend=cuda run.accumulate_every=3", NSAMP_OK, &err);
        start(gpu);
        advance(gpu, 0, 3);
        advance(gpu, 3, 7);
        for (uint64_t c = 0; c < cpu->batch.chains; c++) {
            if (cpu->batch.first_bad[c] != gpu->batch.first_bad[c])
                fail_msg("%s: chain %d fails at another step", settings, (int)c);
            for (size_t i = 0; i < cpu->model->dim; i++) {
                const float a = state_of(cpu, c, i), b = state_of(gpu, c, i);
                if (memcmp(&a, &b, sizeof a) && !(isnan(a) && isnan(b)))
                    fail_msg("%s: chain %d, output %d: %a and %a", settings, (int)c, (int)i, (double)a,
                             (double)b);
            }
        }
        nsamp_plan_destroy(gpu);
    }
    nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
    for (uint64_t c = 0; c < cpu->batch.chains; c++)
        failed += cpu->batch.first_bad[c] != UINT64_MAX;
    nsamp_plan_destroy(cpu);
    return failed;
}

static void test_few_outputs_have_the_bits_of_the_cpu(void **) {
    static const size_t dims[] = {1, 2, 3, 4, 8};
    static const nsamp_activation phis[] = {NSAMP_RELU, NSAMP_TANH, NSAMP_SOFTPLUS};
    for (size_t m : dims)
        for (nsamp_activation phi : phis) {
            network net = make(m, 37, phi);
            char settings[1024];
            snprintf(settings, sizeof settings,
                     "system.name=rsn system.model=%s run.path=fused run.chains=150 run.steps=7 run.seed=5 "
                     "run.noise_rounds=%d",
                     net.path, m % 2 ? 10 : 7);
            assert_int_equal(compare(settings), 0);
        }
}

/* A step far too long: chains leave, at the same step on both. */
static void test_few_outputs_that_diverge(void **) {
    network net = make(2, 24, NSAMP_RELU);
    char settings[1024];
    snprintf(settings, sizeof settings,
             "system.name=rsn system.model=%s run.path=fused run.chains=40 run.steps=7 system.dt=1e6 "
             "run.start_scale=1e12 "
             "run.start=normal",
             net.path);
    assert_true(compare(settings) > 20);
}

/* ---- bf16, tf32 ---------------------------------------------------------------------------------------- */

/* x to `digits` bits after the leading one; ties to even, or away from zero. By arithmetic on the value alone. */
static double rounded(double x, int digits, bool away) {
    if (x == 0) return 0;
    int exponent;
    frexp(x, &exponent);
    const double unit = ldexp(1, exponent - 1 - digits), q = x / unit;
    return unit * (away ? copysign(floor(fabs(q) + 0.5), q) : nearbyint(q));
}

static double phi_of(nsamp_activation phi, double a) {
    return phi == NSAMP_RELU ? fmax(a, 0) : phi == NSAMP_TANH ? tanh(a) : fmax(a, 0) + log1p(exp(-fabs(a)));
}

/* One step of every chain: within what float32 sums and one other rounding of a hidden unit can do; nearly always without
 * the second. */
static void one_step(const network &net, bool bf16) {
    char settings[1024];
    nsamp_error err = {};
    const double dt = 0.125;
    const int digits = bf16 ? 7 : 10;
    /* bf16 takes the tanh of the hardware, with what that may be off */
    const double off = bf16 && net.phi == NSAMP_TANH && nsamp_shim_approx != 0 ? 0x1p-11 : 0;
    snprintf(settings, sizeof settings,
             "system.name=rsn system.model=%s run.path=fused run.precision=%s system.dt=%g run.chains=75 "
             "run.steps=9 run.seed=3 "
             "run.start=normal run.backend=cuda",
             net.path, bf16 ? "bf16" : "tf32", dt);
    nsamp_plan *p = plan_of(settings, "run.accumulate_every=3", NSAMP_OK, &err);
    start(p);
    const uint64_t step = 5, chains = p->batch.chains;
    advance(p, 0, step);
    std::vector<double> x(chains * net.m);
    for (uint64_t c = 0; c < chains; c++)
        for (size_t i = 0; i < net.m; i++)
            x[c * net.m + i] = state_of(p, c, i);
    advance(p, step, step + 1);
    size_t near = 0;
    for (uint64_t c = 0; c < chains; c++) {
        std::vector<double> hidden(net.n), slack(net.n);
        for (size_t u = 0; u < net.n; u++) {
            double sum = net.b[u], size = fabs(sum);
            for (size_t k = 0; k < net.m; k++) {
                const double term =
                    rounded(net.w2[u * net.m + k], digits, !bf16) * rounded(x[c * net.m + k], digits, !bf16);
                sum += term;
                size += fabs(term);
            }
            const double a = phi_of(net.phi, sum),
                         error = size * (double)(net.m + 4) * 0x1p-24 + fabs(a) * (0x1p-21 + off);
            hidden[u] = rounded(a, digits, !bf16);
            slack[u] = error + ldexp(fabs(a), -digits);
        }
        for (size_t k = 0; k < net.m; k++) {
            double y = 0, worst = 0, usual = 0;
            for (size_t u = 0; u < net.n; u++) {
                const double w = rounded(net.w1[k * net.n + u], digits, !bf16);
                y += w * hidden[u];
                worst += fabs(w) * slack[u];
                usual += fabs(w * hidden[u]);
            }
            float z[4];
            nsamp_normals4(p->batch.noise, NSAMP_PURPOSE_STEP, (uint32_t)c, step, (uint32_t)k / 4, z);
            const double old = x[c * net.m + k], got = state_of(p, c, k),
                         want = old + dt * (y - old) + sqrt(2 * dt) * (double)z[k % 4],
                         scale = (fabs(old) + fabs(want) + 1 + usual * (double)(net.n + 4)) * 0x1p-22;
            if (!(fabs(got - want) <= dt * worst + scale))
                fail_msg("m %d n %d %s: chain %d, output %d: %.9g, not %.9g within %g", (int)net.m,
                         (int)net.n, bf16 ? "bf16" : "tf32", (int)c, (int)k, got, want, dt * worst + scale);
            near += fabs(got - want) <= scale / 4;
        }
    }
    if (off == 0 && (double)near < 0.95 * (double)(chains * net.m))
        fail_msg("m %d n %d %s: only %d of %d outputs without another rounding", (int)net.m, (int)net.n,
                 bf16 ? "bf16" : "tf32", (int)near, (int)(chains * net.m));
    nsamp_plan_destroy(p);
}

static void test_tensor_step(void **) {
    static const struct {
        size_t m, n;
        nsamp_activation phi;
    } nets[] = {{3, 24, NSAMP_RELU},  {16, 48, NSAMP_RELU},  {9, 40, NSAMP_TANH},
                {20, 24, NSAMP_RELU}, {32, 33, NSAMP_RELU},  {33, 24, NSAMP_SOFTPLUS},
                {64, 40, NSAMP_RELU}, {10, 150, NSAMP_RELU}, {64, 200, NSAMP_TANH}};
    for (const auto &each : nets) {
        network net = make(each.m, each.n, each.phi);
        for (double share : {0.0, -1.0, 1.0, (double)NAN}) {
            nsamp_shim_approx = share;
            if (share != 0 && each.phi != NSAMP_TANH) continue;
            one_step(net, true);
            nsamp_shim_set_capability(80);
            one_step(net, true);
            nsamp_shim_set_capability(90);
        }
        one_step(net, false);
    }
}

/* The same bits in any order of threads, with any number of warpgroups a block, and in one call or several. */
static void repeats(void) {
    network net = make(17, 32, NSAMP_RELU);
    char settings[1024];
    nsamp_error err = {};
    snprintf(settings, sizeof settings,
             "system.name=rsn system.model=%s run.precision=bf16 run.chains=330 run.steps=9 run.backend=cuda "
             "run.noise_rounds=7",
             net.path);
    nsamp_plan *a = plan_of(settings, "run.seed=4", NSAMP_OK, &err);
    assert_non_null(strstr(nsamp_plan_text(a), "one fused kernel (bf16 weights in shared memory)"));
    start(a);
    advance(a, 0, 6);
    nsamp_shim_set_order(NSAMP_SHIM_SHUFFLED, 11);
    nsamp_shim_set_multiprocessors(2);
    nsamp_plan *b = plan_of(settings, "run.seed=4", NSAMP_OK, &err);
    start(b);
    advance(b, 0, 1);
    advance(b, 1, 6);
    nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
    nsamp_shim_set_multiprocessors(4);
    for (uint64_t c = 0; c < a->batch.chains; c++)
        for (size_t i = 0; i < net.m; i++)
            assert_true(state_of(a, c, i) == state_of(b, c, i));
    nsamp_plan_destroy(a);
    nsamp_plan_destroy(b);
}

static void test_tensor_repeats(void **) {
    repeats();
    nsamp_shim_set_capability(80);
    repeats();
    nsamp_shim_set_capability(90);
}

/* A chain that leaves is flagged, at its first step, whichever lane has the output. */
static void flags(const char *precision) {
    network net = make(13, 16, NSAMP_RELU, 0);
    char settings[1024];
    nsamp_error err = {};
    snprintf(settings, sizeof settings,
             "system.name=rsn system.model=%s run.precision=%s run.chains=33 run.steps=9 run.backend=cuda",
             net.path, precision);
    nsamp_plan *p = plan_of(settings, "run.start=normal", NSAMP_OK, &err);
    start(p);
    for (uint64_t c = 0; c < 13; c++) /* output c of chain 2 c is beyond 2^101 */
        p->batch.state[(2 * c / 32 * 13 + c) * 32 + 2 * c % 32] = 0x1p110f;
    advance(p, 0, 1);
    advance(p, 1, 2);
    for (uint64_t c = 0; c < 33; c++)
        if ((p->batch.first_bad[c] == 0) != (c % 2 == 0 && c < 26))
            fail_msg("chain %d: %lld", (int)c, (long long)p->batch.first_bad[c]);
    nsamp_plan_destroy(p);
}

static void test_tensor_flags(void **) {
    flags("tf32");
    flags("bf16");
    nsamp_shim_set_capability(80);
    flags("bf16");
    nsamp_shim_set_capability(90);
}

static void test_refusals(void **) {
    network net = make(12, 16, NSAMP_RELU), wide = make(65, 72, NSAMP_RELU),
            deep = make(64, 1200, NSAMP_RELU);
    char settings[1024];
    nsamp_error err = {};
    snprintf(settings, sizeof settings, "system.name=rsn run.path=fused run.precision=tf32 system.model=%s",
             net.path);
    assert_null(plan_of(settings, "run.backend=cpu", NSAMP_EUSAGE, &err));
    assert_non_null(strstr(err.text, "on a GPU"));
    snprintf(settings, sizeof settings, "system.name=rsn run.path=fused run.precision=bf16 system.model=%s",
             net.path);
    assert_null(plan_of(settings, "run.backend=cuda system.level=reservoir", NSAMP_EUSAGE, &err));
    assert_non_null(strstr(err.text, "output level"));
    snprintf(settings, sizeof settings, "system.name=rsn run.path=fused run.precision=bf16 system.model=%s",
             wide.path);
    assert_null(plan_of(settings, "run.backend=cuda", NSAMP_EUSAGE, &err));
    assert_non_null(strstr(err.text, "m = 64"));
    snprintf(settings, sizeof settings, "system.name=rsn run.path=fused run.precision=tf32 system.model=%s",
             deep.path);
    assert_null(plan_of(settings, "run.backend=cuda", NSAMP_EUSAGE, &err));
    assert_non_null(strstr(err.text, "shared memory"));
    assert_int_equal(nsamp_shim_allocated(), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_outputs_have_the_bits_of_the_cpu),
        cmocka_unit_test(test_few_outputs_that_diverge),
        cmocka_unit_test(test_tensor_step),
        cmocka_unit_test(test_tensor_repeats),
        cmocka_unit_test(test_tensor_flags),
        cmocka_unit_test(test_refusals),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
