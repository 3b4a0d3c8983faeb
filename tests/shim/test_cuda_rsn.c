/* test_cuda_rsn.c: reservoir-sampler networks by matrix products on the GPU, against the CPU's product path, with the
 * .cu files on fibres and a cuBLASLt of plain loops (tests/shim). How far the paths may be apart is derived (see
 * `bound`), not chosen. What it cannot show: the algorithms of the real library, and with them its bits. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rsn_models.h"
#include "runs.h"

enum { CHAINS = 70, STEPS = 40 };

typedef struct net_case {
    size_t m, n;
    nsamp_activation phi;
    bool reservoir;
    const char *precision;
} net_case;

/* The row sums of |W1| |W2|, at most: the Lipschitz constant of W1 phi(W2 x + b) in the largest norm. */
static double lipschitz(const nsamp_network *net) {
    double most = 0;
    for (size_t i = 0; i < net->m; i++) {
        double sum = 0;
        for (size_t j = 0; j < net->n; j++)
            for (size_t k = 0; k < net->m; k++)
                sum += fabs((double)net->w1[i * net->n + j] * (double)net->w2[j * net->m + k]);
        most = fmax(most, sum);
    }
    return most;
}

/* A network whose W1 phi(W2 x + b) contracts, so that errors of different steps add up and no more. */
static nsamp_network *contracting(const net_case *c) {
    nsamp_network *net = network(c->m, c->n, c->phi, true);
    const float scale = (float)(0.99 / lipschitz(net));
    for (size_t i = 0; i < c->m * c->n; i++)
        net->w1[i] *= scale;
    return net;
}

/* How far two paths of x with the same draws can be apart after T steps, to first order in the rounding errors. u: of
 * float32; v: of the factors of products on one of the two. With |x| <= X, |xi| <= 6.6 (noise.h) and |r| <= R:
 *     z = W2 x + b, m + 1 terms, and H = phi(z), slope at most 1, to p:
 *         dH_j <= ((m + 2) u + 2 v) A_j + p, where A_j = |b_j| + sum_k |W2_jk| X >= |z_j|, and |H_j| <= A_j + ln 2
 *     output: x moves by h (W1 H - x) + a xi, which contracts:
 *         dx <= T (h dy + 4 u X), dy = max_i sum_j |W1_ij| (dH_j + ((n + 1) u + 2 v) (A_j + ln 2))
 *     reservoir: dr_j <= T (h dH_j + e_j), e_j = ((m + 4) u + 2 w) sum_k |a S_jk| 6.6 + 4 u R, where w = 2^-11 if
 *         factors are rounded at all; and x = W1 r: dx <= max_i sum_j |W1_ij| (dr_j + ((n + 1) u + 2 v) R)
 *         What of v is in dx goes back into z with the slope of `lipschitz`, under 1: another T h v in dr.
 */
typedef struct limits {
    double h, X, R, p, v;
} limits;

static double bound(const nsamp_network *net, const double *s, const limits *l) {
    const double u = 0x1p-24, m = (double)net->m, n = (double)net->n, w = l->v > 0 ? 0x1p-11 : 0;
    const double a = sqrt(2.0 * l->h) * net->sigma;
    double most = 0;
    for (size_t i = 0; i < net->m; i++) {
        double sum = 0;
        for (size_t j = 0; j < net->n; j++) {
            double A = fabs((double)net->b[j]), noise = 0;
            for (size_t k = 0; k < net->m; k++) {
                A += fabs((double)net->w2[j * net->m + k]) * l->X;
                if (s) noise += fabs(a * s[j * net->m + k]) * 6.6;
            }
            const double dH = ((m + 2) * u + 2 * l->v) * A + l->p, H = A + log(2.0);
            const double once = ((n + 1) * u + 2 * l->v);
            const double dr = STEPS * (l->h * dH + ((m + 4) * u + 2 * w) * noise + 4 * u * l->R);
            sum += fabs((double)net->w1[i * net->n + j]) *
                   (s ? dr + (1 + STEPS * l->h) * once * l->R : STEPS * l->h * (dH + once * H));
        }
        most = fmax(most, sum + (s ? 0 : STEPS * 4 * u * l->X));
    }
    return most;
}

typedef struct settings {
    char model[700], tile[32], chains[32], steps[32], precision[32];
    const char *list[12];
} settings;

/* With a file of net's, which is destroyed. */
static const char *const *set(settings *s, nsamp_network *net, bool reservoir, const char *precision,
                              uint32_t tile, uint32_t chains, const char *extra) {
    save_network(s->model, sizeof s->model, net);
    snprintf(s->tile, sizeof s->tile, "run.tile=%u", tile);
    snprintf(s->chains, sizeof s->chains, "run.chains=%u", chains);
    snprintf(s->steps, sizeof s->steps, "run.steps=%d", STEPS);
    snprintf(s->precision, sizeof s->precision, "run.precision=%s", precision);
    const char *const list[] = {"system.name=rsn",
                                "run.path=product",
                                reservoir ? "system.level=reservoir" : "system.level=output",
                                "run.start=normal",
                                s->model,
                                s->tile,
                                s->chains,
                                s->steps,
                                s->precision,
                                extra,
                                NULL};
    memcpy(s->list, list, sizeof list);
    return s->list;
}

static double largest(const float *x, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

static double apart(const float *a, const float *b, size_t n) {
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

/* Sums, sums of squares and extremes of every chain agree as far as x does. */
static void check_moments(const nsamp_plan *a, const nsamp_plan *b, double X, double dx) {
    const nsamp_moments *ma = a->batch.moments, *mb = b->batch.moments;
    const size_t len = nsamp_moments_record_len(ma), D = ma->dim;
    double *ra = malloc(len * sizeof *ra), *rb = malloc(len * sizeof *rb);
    assert_true(ra && rb && len == nsamp_moments_record_len(mb) && len == 6 * D);
    assert_true(ma->count[0] == mb->count[0] && ma->count[1] == mb->count[1] && ma->count[1] > 2);
    const double samples = (double)(ma->count[0] + ma->count[1]);
    for (uint64_t c = 0; c < a->batch.chains; c++) {
        nsamp_moments_get(ma, c, ra);
        nsamp_moments_get(mb, c, rb);
        for (size_t i = 0; i < len; i++) {
            const bool square = i < 4 * D && i / D % 2, extreme = i >= 4 * D;
            const double most = extreme ? dx : samples * (square ? 2.1 * X * dx : dx);
            if (!(fabs(ra[i] - rb[i]) <= most))
                fail_msg("chain %llu, number %zu of the moments: %g and %g", (unsigned long long)c, i, ra[i],
                         rb[i]);
        }
    }
    free(ra);
    free(rb);
}

/* On the CPU in float32 and over the shim; x after 5 steps and after all. */
static void compare(net_case c) {
    static const char *const extra = "run.noise_rounds=7";
    nsamp_network *net = contracting(&c), *again = contracting(&c);
    settings s, t;
    float *x_cpu, *x;
    const char *const *cpu_set = set(&s, net, c.reservoir, "fp32", 64, CHAINS, extra);
    nsamp_plan *cpu = run_on("cpu", cpu_set, NULL, &x_cpu);
    nsamp_plan *shim = run_on("cuda", set(&t, again, c.reservoir, c.precision, 32, CHAINS, extra), NULL, &x);
    const nsamp_rsn_extra *own = cpu->model->extra;
    const size_t count = 2 * CHAINS * c.m;
    const double v = !strcmp(c.precision, "bf16") ? 0x1p-8 : !strcmp(c.precision, "tf32") ? 0x1p-11 : 0;
    limits l = {0.05, fmax(largest(x, count), largest(x_cpu, count)), 0, c.phi == NSAMP_RELU ? 0 : 4e-6, 0};
    l.X *=
        2; /* between the two times of looking, too: a path does not leave and come back within a factor of 2 */
    l.R = 2 * largest(cpu->batch.state, cpu->batch.tiles * cpu->batch.lanes * cpu->model->state_len);
    const double plain = bound(own->net, own->pinv, &l);
    l.v = v;
    const double most = bound(own->net, own->pinv, &l), got = apart(x, x_cpu, count);
    if (!(got <= most && most < 0.5 * l.X))
        fail_msg("m %zu n %zu phi %d level %d %s: apart by %g, at most %g", c.m, c.n, c.phi, c.reservoir,
                 c.precision, got, most);
    if (v > 0 && !(got > 1e-6)) fail_msg("%s: apart by %g only", c.precision, got);
    if (v == 0 && !(plain < 2e-3)) fail_msg("a bound of %g sees nothing", plain);
    check_moments(cpu, shim, l.X, most);
    for (uint64_t i = 0; i < CHAINS; i++)
        assert_true(cpu->batch.first_bad[i] == UINT64_MAX && shim->batch.first_bad[i] == UINT64_MAX);
    nsamp_plan_destroy(cpu);
    nsamp_plan_destroy(shim);
    free(x_cpu);
    free(x);
}

static void test_fp32(void **state) {
    (void)state;
    static const size_t outputs[] = {1, 3, 8, 13};
    for (int reservoir = 0; reservoir < 2; reservoir++)
        for (size_t i = 0; i < sizeof outputs / sizeof outputs[0]; i++)
            for (int phi = NSAMP_RELU; phi <= NSAMP_SOFTPLUS; phi++) {
                nsamp_shim_set_order(orders[i % 3].order, 11 + i);
                compare((net_case){outputs[i], 45, (nsamp_activation)phi, reservoir, "fp32"});
            }
    nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
    compare((net_case){6, 200, NSAMP_RELU, false, "fp32"});
    compare((net_case){6, 200, NSAMP_RELU, true, "fp32"});
}

static void test_tf32_and_bf16(void **state) {
    (void)state;
    for (int reservoir = 0; reservoir < 2; reservoir++)
        for (int phi = NSAMP_RELU; phi <= NSAMP_SOFTPLUS; phi++) {
            compare((net_case){5, 45, (nsamp_activation)phi, reservoir, "tf32"});
            compare((net_case){5, 45, (nsamp_activation)phi, reservoir, "bf16"});
        }
}

/* ---- bits: as far as they are ours and not the library's ----------------------------------------------- */

/* What is accumulated of the first `chains` chains; p must have been fetched. */
static double *records_of(const nsamp_plan *p, uint64_t chains) {
    const size_t len = nsamp_moments_record_len(p->batch.moments);
    double *const all = malloc(chains * len * sizeof *all);
    assert_non_null(all);
    for (uint64_t c = 0; c < chains; c++)
        nsamp_moments_get(p->batch.moments, c, all + c * len);
    return all;
}

/* Chains of one run against chains of another of other blocks, one or two at a time, lengths of calls, and orders of
 * threads and of streams. */
static void same_bits(bool reservoir, nsamp_activation phi, const char *precision) {
    const net_case c = {5, 45, phi, reservoir, precision};
    static const char *const often = "run.accumulate_every=2", *const rarely = "run.accumulate_every=18";
    static const struct {
        uint32_t tile, chains;
        size_t order;
        nsamp_shim_streaming when;
    } runs[] = {{0, CHAINS, 0, NSAMP_SHIM_AT_ONCE}, {32, CHAINS, 1, NSAMP_SHIM_AT_ONCE},
                {48, CHAINS, 2, NSAMP_SHIM_LATE},   {0, 29, 2, NSAMP_SHIM_AHEAD},
                {32, 33, 0, NSAMP_SHIM_AHEAD},      {32, CHAINS, 0, NSAMP_SHIM_LATE},
                {32, CHAINS, 0, NSAMP_SHIM_AHEAD}};
    float *first = NULL;
    double *moments = NULL; /* of the first run that looks rarely */
    for (size_t k = 0; k < sizeof runs / sizeof runs[0]; k++) {
        settings s;
        float *x;
        nsamp_error err = {0};
        const char *const *list =
            set(&s, contracting(&c), reservoir, precision, runs[k].tile, runs[k].chains, k ? rarely : often);
        nsamp_shim_set_order(orders[runs[k].order].order, 3 + k);
        nsamp_shim_set_streams(runs[k].when);
        nsamp_plan *p = plan_on("cuda", list);
        assert_int_equal(nsamp_plan_start(p, &err), NSAMP_OK);
        x = malloc(runs[k].chains * c.m * sizeof *x);
        assert_non_null(x);
        static const uint64_t cuts[][4] = {{0, 40, 40, 40}, {0, 1, 19, 40}, {0, 2, 3, 40}};
        for (int i = 0; i < 3; i++)
            if (p->backend->ops->advance(p->backend, cuts[k % 3][i], cuts[k % 3][i + 1], NULL, &err))
                fail_msg("%s", err.text);
        if (p->backend->ops->observe(p->backend, &(nsamp_record){runs[k].chains, x, p->model->dim}, &err))
            fail_msg("%s", err.text);
        assert_int_equal(p->backend->ops->fetch(p->backend, &err), NSAMP_OK);
        double *const records = records_of(p, runs[k].chains);
        if (k) assert_memory_equal(x, first, runs[k].chains * c.m * sizeof *x);
        if (k > 1)
            assert_memory_equal(records, moments,
                                runs[k].chains * nsamp_moments_record_len(p->batch.moments) *
                                    sizeof *records);
        if (k != 1)
            free(records);
        else
            moments = records;
        if (k)
            free(x);
        else
            first = x;
        nsamp_plan_destroy(p);
    }
    nsamp_shim_set_order(NSAMP_SHIM_FORWARD, 1);
    nsamp_shim_set_streams(NSAMP_SHIM_AT_ONCE);
    free(first);
    free(moments);
}

static void test_bits(void **state) {
    (void)state;
    same_bits(false, NSAMP_RELU, "fp32");
    same_bits(true, NSAMP_RELU, "fp32");
    same_bits(false, NSAMP_TANH, "bf16");
    same_bits(true, NSAMP_SOFTPLUS, "bf16");
}

/* ---- jump, divergence ---------------------------------------------------------------------------------- */

static void test_jump(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        const net_case c = {5, 45, k < 2 ? NSAMP_RELU : NSAMP_TANH, k % 2, "fp32"};
        settings s, t;
        float *d_cpu, *d, *x;
        nsamp_plan *cpu =
            run_on("cpu", set(&s, contracting(&c), c.reservoir, "fp32", 32, CHAINS, "system.jump=yes"), NULL,
                   &d_cpu);
        nsamp_plan *shim = run_on(
            "cuda", set(&t, contracting(&c), c.reservoir, "fp32", 32, CHAINS, "system.jump=yes"), NULL, &d);
        nsamp_plan *plain =
            run_on("cuda", set(&t, contracting(&c), c.reservoir, "fp32", 32, CHAINS, NULL), NULL, &x);
        assert_true(apart(d, d_cpu, 2 * CHAINS * c.m) < 2e-5);
        assert_true(apart(d, x, 2 * CHAINS * c.m) > 0.1); /* and that is not x */
        nsamp_plan_destroy(cpu), nsamp_plan_destroy(shim), nsamp_plan_destroy(plain);
        free(d_cpu), free(d), free(x);
    }
}

/* A drift of 8e5 x: each chain is flagged at the step at which the CPU flags it. Chain by chain they differ. */
static void test_divergence(void **state) {
    (void)state;
    for (int k = 0; k < 4; k++) {
        nsamp_plan *p[2];
        for (int side = 0; side < 2; side++) {
            nsamp_network *net = nsamp_network_create(3, 16);
            float *x;
            settings s;
            net->activation = NSAMP_RELU;
            net->sigma = 1;
            for (size_t j = 0; j < 16; j++) {
                net->w2[3 * j + j / 2 % 3] = j % 2 ? -1.0f : 1.0f;
                net->w1[j / 2 % 3 * 16 + j] = net->w2[3 * j + j / 2 % 3] * (j / 2 % 3 == 2 ? 1e5f : 1.0f);
            }
            const char *const precision = side && k > 1 ? "tf32" : "fp32";
            const char *const *list = set(&s, net, k % 2, precision, 32, CHAINS, "run.start_scale=300");
            p[side] = run_on(side ? "cuda" : "cpu", list, NULL, &x);
            free(x);
        }
        uint64_t earliest = UINT64_MAX, latest = 0;
        for (uint64_t c = 0; c < CHAINS; c++) {
            const uint64_t bad = p[0]->batch.first_bad[c];
            assert_true(bad < STEPS && bad == p[1]->batch.first_bad[c]);
            earliest = bad < earliest ? bad : earliest;
            latest = bad > latest ? bad : latest;
        }
        assert_true(latest > earliest);
        nsamp_plan_destroy(p[0]);
        nsamp_plan_destroy(p[1]);
    }
}

/* ---- the plan ------------------------------------------------------------------------------------------ */

/* Without the library: cuda is refused and says why, auto takes the CPU and says why. Must run first. */
static void test_without_the_library(void **state) {
    (void)state;
    const net_case c = {5, 45, NSAMP_RELU, false, "fp32"};
    settings s;
    nsamp_error err = {0};
    nsamp_plan *plan = NULL;
    nsamp_job *job = nsamp_job_create();
    nsamp_shim_set_cublas(0);
    set_all(job, set(&s, contracting(&c), false, "fp32", 0, CHAINS, "run.backend=cuda"));
    assert_int_equal(nsamp_plan_create(job, &plan, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "libcublasLt.so.13"));
    assert_int_equal(nsamp_job_set(job, "run.backend", "auto", &err), NSAMP_OK);
    assert_int_equal(nsamp_plan_create(job, &plan, &err), NSAMP_OK);
    assert_string_equal(plan->backend->ops->name, "cpu");
    assert_non_null(strstr(nsamp_plan_text(plan), "libcublasLt.so.13"));
    nsamp_plan_destroy(plan);
    nsamp_job_destroy(job);
    nsamp_shim_set_cublas(130100);
}

/* Blocks, graphs and bytes are what the plan says, and everything is given back. */
static void test_plan(void **state) {
    (void)state;
    const net_case c = {5, 45, NSAMP_TANH, true, "bf16"};
    settings s;
    nsamp_error err = {0};
    const char *const *list = set(&s, contracting(&c), true, "bf16", 32, CHAINS, "run.accumulate_every=18");
    const uint64_t replays = nsamp_shim_replays();
    nsamp_plan *p = plan_on("cuda", list);
    const char *const text = nsamp_plan_text(p);
    assert_non_null(strstr(text, "cuBLASLt 13.1.0, bf16, blocks of 32 chains, 2 at a time"));
    assert_non_null(strstr(text, "on the GPU"));
    assert_null(strstr(text, "oneDNN"));
    assert_true(p->device_bytes == nsamp_shim_allocated());
    assert_int_equal(nsamp_plan_start(p, &err), NSAMP_OK);
    assert_int_equal(p->backend->ops->advance(p->backend, 0, 24, NULL, &err), NSAMP_OK);
    assert_true(nsamp_shim_replays() - replays == 3 * (3 + 6)); /* blocks; 18 = 16 + 1 + 1 steps, 6 steps */
    nsamp_plan_destroy(p);
    assert_int_equal(nsamp_shim_allocated(), 0);
    assert_int_equal(nsamp_shim_streams(), 0);
    assert_int_equal(nsamp_shim_events(), 0);
    assert_int_equal(nsamp_shim_graphs(), 0);
    assert_int_equal(nsamp_shim_cublas_objects(), 0);
}

/* Blocks of one size for two workers, in what tensor cores take at a time; one worker for few chains or little memory; a
 * share of the device's memory, and no plan where there is none. */
static void test_blocks(void **state) {
    (void)state;
    static const struct {
        size_t n, mib;
        uint32_t tile, chains;
        const char *text;
    } runs[] = {{45, 4096, 0, 900, "blocks of 1024 chains"},
                {45, 4096, 0, 1000, "blocks of 512 chains, 2 at a time"},
                {45, 4096, 0, 20000, "blocks of 10112 chains, 2 at a time"},
                {4000, 4096, 0, 20000, "blocks of 5120 chains, 2 at a time"},
                {45, 4096, 1488, 2000, "blocks of 1504 chains, 2 at a time"},
                {45, 4096, 4096, 2000, "blocks of 2016 chains"},
                {4000, 1024, 0, 20000, "blocks of 1280 chains, 2 at a time"},
                {4000, 128, 0, 1000, "blocks of 512 chains, 2 at a time"},
                {4000, 64, 0, 1000, "blocks of 512 chains"},
                {4000, 40, 0, 1000, "blocks of 256 chains"},
                {4000, 34, 0, 1000, "blocks of 64 chains"},
                {4000, 33, 0, 1000, NULL}};
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        const net_case c = {5, runs[i].n, NSAMP_RELU, false, "fp32"};
        settings s;
        nsamp_error err = {0};
        nsamp_plan *plan = NULL;
        nsamp_job *job = nsamp_job_create();
        set_all(job,
                set(&s, contracting(&c), false, "fp32", runs[i].tile, runs[i].chains, "run.backend=cuda"));
        nsamp_shim_set_memory(runs[i].mib << 20);
        const nsamp_status status = nsamp_plan_create(job, &plan, &err);
        const char *const text = status ? err.text : nsamp_plan_text(plan);
        char line[96];
        snprintf(line, sizeof line, runs[i].text ? "%s (" : "fewer chains fit", runs[i].text);
        if (status != (runs[i].text ? NSAMP_OK : NSAMP_EUSAGE) || !strstr(text, line))
            fail_msg("run %zu: status %d, %s", i, status, text);
        nsamp_plan_destroy(plan);
        nsamp_job_destroy(job);
        assert_int_equal(nsamp_shim_allocated(), 0);
    }
    nsamp_shim_set_memory((size_t)4 << 30);
}

/* Argument: a pattern of test names, all if none. */
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_the_library),
        cmocka_unit_test(test_fp32),
        cmocka_unit_test(test_tf32_and_bf16),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_jump),
        cmocka_unit_test(test_divergence),
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_blocks),
    };
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
