/* row.c: one case of the bench: held to its reference, timed, counted, set against the ceilings. */
#include "bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "bench/reference.h"
#include "bench/training.h"
#include "error.h"
#include "systems/rsn.h"

/* A run this many times longer than tau measures it; a shorter one mostly sees its independent starts. */
static const double LONG_ENOUGH = 20;
enum { LARGE_SHAPE = 1000000 };

const char *nsamp_bound_text(const nsamp_bench_row *row) {
    if (row->binds == NSAMP_BOUND_count) return "nothing";
    return row->binds == NSAMP_BOUND_noise && row->counts.words > 0 ? "words" : nsamp_bound_names[row->binds];
}

static void fail(nsamp_bench_row *row, const nsamp_error *err) {
    row->failed = err->status == NSAMP_ECHECK || err->status == NSAMP_EDIVERGED;
    snprintf(row->error, sizeof row->error, "%.500s", err->text);
}

/* Which copy serves a working set: the first two caches are a core's own, the last is shared. */
static nsamp_ceiling copy_for(const nsamp_bench_report *r, double working_set) {
    const double bytes[] = {r->machine.l1_bytes, r->machine.l2_bytes,
                            r->machine.l3_bytes / r->machine.threads};
    for (int k = 0; k < 3; k++)
        if (working_set <= bytes[k] && r->ceilings.rate[NSAMP_CEILING_copy_l1 + k].median > 0)
            return (nsamp_ceiling)(NSAMP_CEILING_copy_l1 + k);
    return NSAMP_CEILING_copy_memory;
}

/* What a kernel of a GPU reads is in registers and shared memory from step to step, or its product library's affair, whose ceiling
 * has it: only a training, which goes through all its weights, is set against copies there. */
static void set_against_ceilings(const nsamp_bench_report *r, const nsamp_ceilings *beside, bool fast,
                                 nsamp_bench_row *row) {
    nsamp_ceilings c = *beside;
    const nsamp_ceiling copy = copy_for(r, row->counts.working_set);
    const bool copies = !strcmp(row->backend, "cpu") || !strcmp(row->system, "training");
    row->binds = NSAMP_BOUND_count;
    if (strcmp(row->backend, c.backend)) return;
    if (fast) c.rate[NSAMP_CEILING_noise] = c.rate[NSAMP_CEILING_noise_fast];
    snprintf(row->copy, sizeof row->copy, "%s", copies ? nsamp_ceiling_names[copy].name : "");
    nsamp_bounds_of(&row->counts, &c, row->product, copies ? c.rate[copy].median : 0, row->bound);
    row->binds = nsamp_bound_that_binds(row->bound);
}

/* Whether a plan multiplies by a CPU's matrix unit. */
static bool by_matrix_unit(const nsamp_plan *p) {
    if (p->model->kernel != NSAMP_KERNEL_rsn) return false;
    const nsamp_rsn_extra *const extra = p->model->extra;
    return extra->bf16 && extra->options.amx;
}

/* The ceilings of the CPU's loops as they are now; after: or as they were before, whichever is faster. */
static nsamp_status look_again(const nsamp_bench_report *r, const char *backend, bool matrix, bool after,
                               nsamp_ceilings *c, nsamp_error *err) {
    const nsamp_stopwatch watch = {r->watch.seconds / 8, r->watch.runs};
    if (!r->beside || strcmp(backend, "cpu")) return NSAMP_OK;
    return nsamp_ceilings_again(r->machine.isa, r->machine.threads, &watch, matrix, after, c, err);
}

nsamp_status nsamp_bench_advance(void *work, uint64_t steps, nsamp_error *err) {
    nsamp_plan *p = work;
    const nsamp_status status = p->backend->ops->advance(p->backend, p->step, p->step + steps, NULL, err);
    p->step += steps;
    return status;
}

nsamp_status nsamp_bench_summary(nsamp_plan *p, nsamp_summary *s, nsamp_error *err) {
    memset(s, 0, sizeof *s);
    const nsamp_status status = p->backend->ops->fetch(p->backend, err);
    if (status) return status;
    nsamp_moments_finish(p->batch.moments, p->batch.first_bad, 0, s);
    if (!s->diverged) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EDIVERGED, "%llu of its %llu chains diverged",
                      (unsigned long long)s->diverged, (unsigned long long)s->chains);
}

/* Steps for each effective sample, of the run that was timed. */
static nsamp_status effective(nsamp_plan *p, nsamp_bench_row *row, nsamp_error *err) {
    nsamp_summary s;
    const nsamp_law *law = &p->model->law;
    const nsamp_status status = nsamp_bench_summary(p, &s, err);
    if (status) return status;
    const double steps = p->step > p->burn_in ? (double)(p->step - p->burn_in) : 0;
    double least = INFINITY, exact = 0;
    for (size_t i = 0; i < s.dim; i++) {
        if (!(s.ess[i] >= least)) least = s.ess[i];
        if (law->tau && law->tau[i] > exact) exact = law->tau[i];
    }
    const double tau = (double)s.chains * steps / least;
    row->tau = NAN;
    if (tau > 0 && steps >= LONG_ENOUGH * fmax(tau, exact)) {
        row->tau = tau;
        snprintf(row->tau_source, sizeof row->tau_source, "run");
    } else if (exact > 0) {
        row->tau = exact;
        snprintf(row->tau_source, sizeof row->tau_source, "law");
    }
    return NSAMP_OK;
}

/* FLOP/s of the products on the usual shape; 0: not measured. */
static double product_ceiling(const nsamp_bench_report *r, nsamp_precision precision) {
    static const nsamp_ceiling of[] = {[NSAMP_FP32] = NSAMP_CEILING_product_fp32,
                                       [NSAMP_BF16] = NSAMP_CEILING_product_bf16,
                                       [NSAMP_TF32] = NSAMP_CEILING_product_tf32};
    return r->ceilings.rate[of[precision]].median;
}

/* FLOP/s of the product library of a backend on a shape. Small shapes say more of how it is called than of what it can do: there the
 * ceiling is that of the usual shape. */
static nsamp_status product_on(const nsamp_bench_report *r, const char *backend, size_t m, size_t n,
                               size_t rows, nsamp_precision precision, double *product, nsamp_error *err) {
    nsamp_rate rate = {.median = product_ceiling(r, precision)};
    const nsamp_status status = m * n < LARGE_SHAPE
                                    ? NSAMP_OK
                                    : nsamp_ceiling_product(backend, m, n, rows, precision,
                                                            r->machine.threads, &r->watch, &rate, err);
    *product = rate.median;
    return status;
}

/* The same for the network of a plan, on 512 of its chains, or 4,096 on a GPU; of a kernel that multiplies by a CPU's matrix unit the
 * ceiling is that unit's, beside the row, six products of bf16x3 counted as one. 0: no products. */
static nsamp_status product_of(const nsamp_bench_report *r, const nsamp_plan *p, const nsamp_ceilings *beside,
                               const nsamp_bench_row *row, double *product, nsamp_error *err) {
    const char *backend = p->backend->ops->name;
    const uint64_t most = !strcmp(backend, "cpu") ? NSAMP_CEILING_ROWS : NSAMP_CEILING_CUDA_ROWS;
    *product = 0;
    if (p->model->kernel != NSAMP_KERNEL_rsn || row->counts.product == 0) return NSAMP_OK;
    const nsamp_rsn_extra *const extra = p->model->extra;
    const nsamp_network *net = extra->net;
    if (by_matrix_unit(p)) {
        *product = beside->rate[NSAMP_CEILING_matrix_unit].median / (extra->bf16->parts == 1 ? 1 : 6);
        return NSAMP_OK;
    }
    const nsamp_precision precision = nsamp_job_is(p->job, NSAMP_KEY_run_precision, "bf16")   ? NSAMP_BF16
                                      : nsamp_job_is(p->job, NSAMP_KEY_run_precision, "tf32") ? NSAMP_TF32
                                                                                              : NSAMP_FP32;
    return product_on(r, backend, net->m, net->n, (size_t)(p->batch.chains < most ? p->batch.chains : most),
                      precision, product, err);
}

void nsamp_bench_time_plan(const nsamp_bench_report *r, nsamp_plan *p, nsamp_bench_row *row) {
    nsamp_error err = {0};
    nsamp_ceilings beside = r->ceilings;
    nsamp_rate rate;
    const bool matrix = by_matrix_unit(p);
    snprintf(row->unit, sizeof row->unit, "chain-step");
    snprintf(row->kernel, sizeof row->kernel, "%s", p->model->why);
    snprintf(row->backend, sizeof row->backend, "%s", p->backend->ops->name);
    row->chains = p->batch.chains;
    row->dim = p->model->dim;
    row->counts = nsamp_counts_of(p->job, p->model, p->batch.lanes);
    nsamp_status status = nsamp_plan_start(p, &err);
    if (!status) status = nsamp_reference_check(p, &row->reference, &err);
    if (!status) status = look_again(r, row->backend, matrix, false, &beside, &err);
    if (!status)
        status = nsamp_measure(&r->watch, nsamp_bench_advance, p, (double)p->batch.chains, &rate, &err);
    if (!status) status = look_again(r, row->backend, matrix, true, &beside, &err);
    if (!status) status = effective(p, row, &err);
    if (!status) status = product_of(r, p, &beside, row, &row->product, &err);
    if (status) {
        fail(row, &err);
        return;
    }
    row->rate = rate;
    set_against_ceilings(r, &beside, nsamp_job_is(p->job, NSAMP_KEY_run_math, "fast"), row);
}

static void time_training(const nsamp_bench_report *r, const nsamp_job *job, nsamp_bench_row *row) {
    nsamp_error err = {0};
    nsamp_ceilings beside = r->ceilings;
    nsamp_rate rate;
    nsamp_learner *l;
    if (nsamp_training_learner(job, r->machine.threads, r->machine.isa, &l, &err)) {
        fail(row, &err);
        return;
    }
    snprintf(row->unit, sizeof row->unit, "sample");
    snprintf(row->kernel, sizeof row->kernel, "five products and Adam: %s", l->text);
    snprintf(row->backend, sizeof row->backend, "%s", l->ops->name);
    row->chains = l->shape.batch;
    row->dim = l->shape.m;
    row->tau = NAN;
    row->counts =
        nsamp_counts_of_training(l->shape.m, l->shape.n, l->shape.batch, l->matrix_unit || l->library);
    nsamp_status status = look_again(r, row->backend, l->matrix_unit, false, &beside, &err);
    if (!status) status = nsamp_training_measure(l, r->machine.isa, &r->watch, &rate, &row->reference, &err);
    if (!status) status = look_again(r, row->backend, l->matrix_unit, true, &beside, &err);
    if (l->matrix_unit)
        row->product = beside.rate[NSAMP_CEILING_matrix_unit].median;
    else if (!status && l->library)
        status = product_on(r, row->backend, l->shape.m, l->shape.n, l->shape.batch, l->shape.precision,
                            &row->product, &err);
    nsamp_learner_destroy(l);
    if (status) {
        fail(row, &err);
        return;
    }
    row->rate = rate;
    set_against_ceilings(r, &beside, false, row);
}

void nsamp_bench_time(const nsamp_bench_report *report, const nsamp_job *job, nsamp_bench_row *row) {
    nsamp_error err = {0};
    nsamp_plan *plan = NULL;
    if (!strcmp(row->system, "training")) {
        time_training(report, job, row);
        return;
    }
    if (nsamp_plan_create(job, &plan, &err))
        fail(row, &err);
    else
        nsamp_bench_time_plan(report, plan, row);
    nsamp_plan_destroy(plan);
}
