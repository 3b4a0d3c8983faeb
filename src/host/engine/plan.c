/* plan.c: from a job to something that can run: checked, sized, allocated, described. run.c runs it. */
#include "plan.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "memory.h"
#include "pages.h"
#include "threads.h"
#include "io/output.h"
#include "systems/range.h"

/* Costs in normals of the step (0.6 ns), measured on one AVX-512 core: a number observed and added to the moments while a tile's
 * accumulators stay in the second-level cache, and beyond it; a number's row of products of the covariance for chains that
 * are added 16 at a time, and what comes on top for a chain alone. A step of a chain costs its draws plus its arithmetic. */
static const double MOMENT_COST = 1.3, MOMENT_FAR_COST = 2.8, PRODUCT_ROW_COST = 3.0, PRODUCT_COST = 0.02,
                    PRODUCT_ALONE_COST = 12.0, FLOPS_PER_NORMAL = 100.0;
/* The same on a GPU, in normals of an H200 (8e11 a second, 4.1 TB/s, both measured): a number's 68 bytes through memory, those that end a
 * launch among them; an entry of the products for each chain (64 double multiply-adds a clock and multiprocessor, a model), no less than
 * the way of a group's chains one after the other; its 16 bytes for each group of chains. */
static const double CUDA_MOMENT_COST = 14.0, CUDA_PRODUCT_COST = 0.06, CUDA_GROUP_COST = 4.8,
                    CUDA_PRODUCTS_COST = 160.0;
/* What a GPU does in the time of a normal there, FLOP: networks in float32, tf32 and bf16 (39, 170 and 480e12 a second, measured); sums beside
 * the normals of a kernel that keeps its state in registers; the thread-a-chain kernels, from mixtures (4e12). */
static const double CUDA_FLOPS_FP32 = 45.0, CUDA_FLOPS_TF32 = 210.0, CUDA_FLOPS_BF16 = 600.0,
                    CUDA_FLOPS_FUSED = 40.0, CUDA_FLOPS_LANE = 5.0;
static const double ACCUMULATOR_BYTES = 24.0, CACHE_BYTES = 1 << 20;
/* Accumulating costs this share of the steps; the larger one where samples would otherwise lie further apart than half an autocorrelation
 * time. Samples k steps apart, each as dear as s steps, give 1 / ((k + s) coth(k / tau)) effective ones a step. */
static const double ACCUMULATE_SHARE = 0.04, ACCUMULATE_MOST = 0.1;

static void line(nsamp_plan *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(nsamp_plan *p, const char *format, ...) {
    const size_t used = strlen(p->text);
    va_list args;
    va_start(args, format);
    vsnprintf(p->text + used, sizeof p->text - used, format, args);
    va_end(args);
}

static bool full_cov(const nsamp_job *job, const nsamp_model *model) {
    return model->dim > 1 && (int64_t)model->dim <= nsamp_job_int(job, NSAMP_KEY_record_cov_dim);
}

/* Chains whose products of the covariance are summed together (moments.c). */
static double group_of(const nsamp_plan *p, double most) {
    return fmin(fmax((double)p->batch.chains / 256, 1), most);
}

/* FLOP in the time of a normal. */
static double flops_per_normal(const nsamp_plan *p) {
    if (p->kernel) return p->model->flops_a_normal > 0 ? p->model->flops_a_normal : FLOPS_PER_NORMAL;
    switch (p->model->kernel) {
    case NSAMP_KERNEL_rsn:
        return nsamp_job_is(p->job, NSAMP_KEY_run_precision, "bf16")   ? CUDA_FLOPS_BF16
               : nsamp_job_is(p->job, NSAMP_KEY_run_precision, "tf32") ? CUDA_FLOPS_TF32
                                                                       : CUDA_FLOPS_FP32;
    case NSAMP_KERNEL_langevin_equi:
    case NSAMP_KERNEL_mh_spiking:
        return CUDA_FLOPS_FUSED;
    default:
        return CUDA_FLOPS_LANE;
    }
}

/* Normals that one sample of a chain costs. */
static double sample_cost(const nsamp_plan *p) {
    const nsamp_model *m = p->model;
    const double D = (double)m->dim, tile = ACCUMULATOR_BYTES * D * (double)p->batch.lanes;
    const double observe = m->observe_flops / flops_per_normal(p);
    if (!p->kernel) {
        const double entries = full_cov(p->job, m) ? D * (D + 1) / 2 : 0;
        return CUDA_MOMENT_COST * D + observe +
               (entries > 0 ? fmax(entries * CUDA_PRODUCT_COST, CUDA_PRODUCTS_COST) : 0) +
               entries * CUDA_GROUP_COST / group_of(p, INFINITY);
    }
    double cost = (tile <= CACHE_BYTES ? MOMENT_COST : MOMENT_FAR_COST) * D + observe;
    if (full_cov(p->job, m))
        cost += D * (PRODUCT_ROW_COST + PRODUCT_COST * D + PRODUCT_ALONE_COST / group_of(p, 16));
    return cost;
}

/* The shortest autocorrelation time of a coordinate, steps; INFINITY where no law says it. */
static double shortest_tau(const nsamp_model *m) {
    double least = INFINITY;
    for (size_t i = 0; m->law.tau && i < m->dim; i++)
        least = fmin(least, m->law.tau[i]);
    return least;
}

/* The interval at which accumulating keeps to its share, and at least 20 samples are taken. */
static uint64_t choose_interval(const nsamp_plan *p) {
    const int64_t set = nsamp_job_int(p->job, NSAMP_KEY_run_accumulate_every);
    if (set > 0) return (uint64_t)set;
    const uint64_t span = p->steps - p->burn_in;
    const double step = (double)p->model->draws + p->model->flops / flops_per_normal(p);
    const double cost = sample_cost(p) / (step > 1 ? step : 1), tau = shortest_tau(p->model);
    const double every =
        fmin(ceil(cost / ACCUMULATE_SHARE), fmax(ceil(cost / ACCUMULATE_MOST), ceil(tau / 2)));
    const double most = span / 20 > 1 ? (double)(span / 20) : 1;
    return (uint64_t)(every < most ? every : most);
}

static nsamp_status read_run(nsamp_plan *p, nsamp_error *err) {
    const nsamp_job *job = p->job;
    p->steps = (uint64_t)nsamp_job_int(job, NSAMP_KEY_run_steps);
    p->burn_in = (uint64_t)nsamp_job_int(job, NSAMP_KEY_run_burn_in);
    p->record_every = (uint64_t)nsamp_job_int(job, NSAMP_KEY_record_every);
    p->batch.chains = (uint64_t)nsamp_job_int(job, NSAMP_KEY_run_chains);
    p->record_chains = (uint64_t)nsamp_job_int(job, NSAMP_KEY_record_chains);
    if (p->record_chains > p->batch.chains) p->record_chains = p->batch.chains;
    if (p->burn_in >= p->steps)
        return nsamp_job_fail(job, NSAMP_KEY_run_burn_in, err, "must be less than run.steps = %llu",
                              (unsigned long long)p->steps);
    const uint64_t span = p->steps - p->burn_in;
    if (p->record_every > span)
        return nsamp_job_fail(job, NSAMP_KEY_record_every, err,
                              "more than the %llu steps after burn-in, so nothing would be stored",
                              (unsigned long long)span);
    const uint64_t superchains = (uint64_t)nsamp_job_int(job, NSAMP_KEY_run_superchains);
    if (superchains &&
        (superchains < 2 || p->batch.chains % superchains || p->batch.chains / superchains < 2))
        return nsamp_job_fail(
            job, NSAMP_KEY_run_superchains, err,
            "does not make groups of equal size, 2 chains at least; valid: 0, or a divisor of "
            "run.chains = %llu from 2 to its half",
            (unsigned long long)p->batch.chains);
    const int64_t rounds = nsamp_job_int(job, NSAMP_KEY_run_noise_rounds);
    if (rounds != 7 && rounds != 10)
        return nsamp_job_fail(job, NSAMP_KEY_run_noise_rounds, err, "valid: 7 or 10");
    p->batch.noise = nsamp_noise_key_of((uint64_t)nsamp_job_int(job, NSAMP_KEY_run_seed), (uint32_t)rounds);
    p->records = p->record_every ? span / p->record_every : 0;
    const int64_t every = nsamp_job_int(job, NSAMP_KEY_run_accumulate_every);
    if (every > 0 && (uint64_t)every * 2 > span)
        return nsamp_job_fail(job, NSAMP_KEY_run_accumulate_every, err,
                              "fewer than two samples in the %llu steps after burn-in",
                              (unsigned long long)span);
    return NSAMP_OK;
}

static nsamp_status set_paths(nsamp_plan *p, nsamp_error *err) {
    const char *out = nsamp_job_text(p->job, NSAMP_KEY_output_file);
    const char *ckpt = nsamp_job_text(p->job, NSAMP_KEY_run_checkpoint);
    const size_t size = strlen(out) + strlen(ckpt) + 16;
    if (!*out && p->records)
        return nsamp_job_fail(p->job, NSAMP_KEY_record_every, err,
                              "draws are to be stored, but output.file is not set");
    if (!*out && !*ckpt) return NSAMP_OK;
    p->checkpoint_path = malloc(size);
    if (!p->checkpoint_path) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the name of the checkpoint");
    snprintf(p->checkpoint_path, size, *ckpt ? "%s" : "%s.ckpt", *ckpt ? ckpt : out);
    p->identity = nsamp_job_identity(p->job);
    return p->identity ? NSAMP_OK : nsamp_fail(err, NSAMP_ENOMEM, "no memory for the text of the job");
}

static nsamp_moments_spec moments_spec(const nsamp_plan *p, uint32_t lanes) {
    const nsamp_moments_spec spec = {.chains = p->batch.chains,
                                     .lanes = lanes,
                                     .dim = p->model->dim,
                                     .row_sum = p->model->sum_moments,
                                     .full_cov = full_cov(p->job, p->model),
                                     .every = p->accumulate_every,
                                     .burn_in = p->burn_in,
                                     .steps = p->steps,
                                     .isa = p->isa};
    return spec;
}

/* Bytes of the whole run, as a double so that no size overflows; with what only its end or a checkpoint takes. */
static double memory_needed(const nsamp_plan *p, uint64_t lanes, int threads) {
    const nsamp_model *m = p->model;
    const double given = (double)p->batch.chains, chains = ceil(given / (double)lanes) * (double)lanes;
    const double state = chains * (double)m->state_len * sizeof(float) + chains * sizeof(uint64_t);
    const nsamp_moments_spec spec = moments_spec(p, (uint32_t)lanes);
    const nsamp_moments described = nsamp_moments_describe(&spec);
    const double moments = (double)nsamp_moments_bytes(&spec);
    const double scratch = threads * (double)nsamp_cpu_thread_bytes(m, (size_t)lanes);
    const nsamp_recording what = {.chains = p->records ? p->record_chains : 0,
                                  .draws = p->records,
                                  .dim = m->dim,
                                  .burn_in = p->burn_in,
                                  .every = p->record_every};
    const double records = p->records ? nsamp_recorder_bytes((size_t)p->record_chains, m->dim, p->records) +
                                            nsamp_output_bytes(&what)
                                      : 0;
    /* A checkpoint is put together in memory of its own, after that the final states for the system's statistics. */
    const double saved = p->checkpoint_path
                             ? given * ((double)m->state_len * sizeof(float) + sizeof(uint64_t) +
                                        (double)nsamp_moments_record_len(&described) * sizeof(double))
                             : 0;
    const double states = m->statistics ? given * (double)m->state_len * sizeof(float) : 0;
    const double built = fmax(nsamp_model_bytes(p->job), (double)m->params_bytes + (double)m->packed_bytes);
    return state + moments + scratch + records + fmax(saved, states) + built;
}

static nsamp_status check_memory(const nsamp_plan *p, double bytes, nsamp_error *err) {
    char a[32], whose[160];
    const double most = 0.9 * nsamp_memory_limit(whose, sizeof whose);
    if (bytes <= most) return NSAMP_OK;
    return nsamp_job_fail(p->job, NSAMP_KEY_run_chains, err,
                          "%llu chains of dimension %zu need %s of memory and %s; fewer chains fit",
                          (unsigned long long)p->batch.chains, p->model->dim, nsamp_bytes_text(bytes, a),
                          whose);
}

/* Before anything is allocated: what the keys alone say that target and system take, and x of the chains with its sums at
 * least. */
static nsamp_status check_keys(const nsamp_plan *p, nsamp_error *err) {
    char a[32], whose[160];
    const double least = 16 * ceil((double)p->batch.chains / 16) * (sizeof(float) + 4 * sizeof(double)),
                 bytes = nsamp_model_bytes(p->job) + least * nsamp_model_dim(p->job),
                 most = 0.9 * nsamp_memory_limit(whose, sizeof whose);
    if (bytes <= most) return NSAMP_OK;
    return nsamp_job_fail(
        p->job, NSAMP_KEY_target_dim, err,
        "with %llu chains (run.chains) this takes %s of memory at least, and %s; fewer chains or a "
        "smaller dimension fit",
        (unsigned long long)p->batch.chains, nsamp_bytes_text(bytes, a), whose);
}

#ifdef NSAMP_HAVE_CUDA
static nsamp_status check_device(nsamp_plan *p, nsamp_error *err) {
    const nsamp_moments_spec spec = moments_spec(p, p->batch.lanes);
    nsamp_moments moments = nsamp_moments_describe(&spec);
    nsamp_batch batch = p->batch;
    uint64_t available;
    char a[32], b[32];
    batch.moments = &moments;
    nsamp_status status = nsamp_cuda_bytes(&batch, p->job, &p->device_bytes, &available, err);
    if (status || p->device_bytes <= available) return status;
    return nsamp_job_fail(
        p->job, NSAMP_KEY_run_chains, err,
        "%llu chains of dimension %zu need %s on the GPU and it has %s free; fewer chains fit",
        (unsigned long long)p->batch.chains, p->model->dim, nsamp_bytes_text((double)p->device_bytes, a),
        nsamp_bytes_text((double)available, b));
}
#endif

static nsamp_status choose_backend(nsamp_plan *p, const char **why, nsamp_error *err) {
    const char *wanted = nsamp_job_text(p->job, NSAMP_KEY_run_backend);
    *why = "run.backend = cpu";
#ifdef NSAMP_HAVE_CUDA
    const char *missing = p->model->no_gpu ? p->model->no_gpu : nsamp_cuda_missing(p->model);
    if (!strcmp(wanted, "cuda") && missing)
        return nsamp_job_fail(p->job, NSAMP_KEY_run_backend, err, "%s", missing);
    if (strcmp(wanted, "cpu") && !missing) {
        *why = strcmp(wanted, "cuda") ? "auto: a usable GPU is there" : "run.backend = cuda";
        p->batch.lanes = nsamp_cuda_lanes(p->model);
        return NSAMP_OK;
    }
    if (!strcmp(wanted, "auto")) *why = missing;
#else
    if (!strcmp(wanted, "cuda"))
        return nsamp_job_fail(p->job, NSAMP_KEY_run_backend, err,
                              "this nsamp was built without CUDA; valid here: auto, cpu");
    if (!strcmp(wanted, "auto")) *why = "auto: built without CUDA";
#endif
    nsamp_status status = p->model->prepare ? p->model->prepare(p->model, err) : NSAMP_OK;
    if (!status) status = nsamp_cpu_kernel_find(p->job, p->model, &p->kernel, &p->isa, err);
    if (status) return status;
    p->batch.lanes = p->kernel->lanes ? p->kernel->lanes : p->model->lanes;
    return NSAMP_OK;
}

/* The CPU has one arithmetic; which kernels of the GPU have two its backend says. */
static nsamp_status check_math(const nsamp_plan *p, const char *why, nsamp_error *err) {
    if (!p->kernel || nsamp_job_is(p->job, NSAMP_KEY_run_math, "exact")) return NSAMP_OK;
    return nsamp_job_fail(p->job, NSAMP_KEY_run_math, err, "only on a GPU, and this run is for the CPU (%s)",
                          why);
}

static nsamp_status allocate(nsamp_plan *p, nsamp_error *err) {
    nsamp_batch *b = &p->batch;
    const size_t lanes = (size_t)(b->tiles * b->lanes);
    b->state = nsamp_pages_floats(lanes * p->model->state_len, 0.0f);
    if (!b->state)
        return nsamp_fail(
            err, NSAMP_ENOMEM,
            "out of memory for the states of %llu chains (%zu bytes); fewer run.chains need less",
            (unsigned long long)b->chains, lanes * p->model->state_len * sizeof(float));
    b->first_bad = malloc(lanes * sizeof *b->first_bad);
    if (!b->first_bad)
        return nsamp_fail(err, NSAMP_ENOMEM,
                          "out of memory for %zu bytes, 8 a chain; fewer run.chains need less",
                          lanes * sizeof *b->first_bad);
    for (size_t i = 0; i < lanes; i++)
        b->first_bad[i] = UINT64_MAX;
    if (p->model->law.mode_tau) p->exact_tau = calloc(p->model->dim, sizeof *p->exact_tau);
    if (p->model->law.mode_tau && !p->exact_tau)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for %zu autocorrelation times", p->model->dim);
    const nsamp_moments_spec spec = moments_spec(p, b->lanes);
    nsamp_status status = nsamp_moments_create(&spec, &b->moments, err);
    if (status) return status;
#ifdef NSAMP_HAVE_CUDA
    if (!p->kernel) return nsamp_cuda_backend_create(b, p->job, &p->backend, err);
#endif
    return nsamp_cpu_backend_create(b, p->job, &p->backend, err);
}

/* What the backend would say of itself: a dry plan allocates nothing for its chains. */
static nsamp_status describe_backend(nsamp_plan *p, char *text, size_t size, nsamp_error *err) {
#ifdef NSAMP_HAVE_CUDA
    if (!p->kernel) {
        const nsamp_moments_spec spec = moments_spec(p, p->batch.lanes);
        nsamp_moments moments = nsamp_moments_describe(&spec);
        nsamp_batch batch = p->batch;
        batch.moments = &moments;
        return nsamp_cuda_backend_text(&batch, p->job, text, size, err);
    }
#endif
    return nsamp_cpu_backend_text(p->model, p->job, text, size, err);
}

/* The files that the job reads, and which of two where a name of the job file fits two. */
static void describe_inputs(nsamp_plan *p) {
    static const nsamp_key keys[] = {NSAMP_KEY_system_model, NSAMP_KEY_target_file, NSAMP_KEY_data_dir,
                                     NSAMP_KEY_data_images, NSAMP_KEY_data_labels};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *path, *text = nsamp_job_text(p->job, keys[i]);
        if (nsamp_job_input(p->job, keys[i], &path, NULL) || !*path) continue;
        const bool beside = path != text, both = beside && !access(text, F_OK);
        line(p, "input       %s.%s: %s%s%s%s\n", nsamp_options[keys[i]].section, nsamp_options[keys[i]].key,
             path, beside ? " (beside the job file)" : "", both ? "; not the one of that name here, " : "",
             both ? text : "");
    }
}

static void describe(nsamp_plan *p, const char *backend, const char *why, double memory) {
    const nsamp_model *m = p->model;
    const nsamp_batch *b = &p->batch;
    char t[32], u[32];
    line(p, "system      %s\n", m->system);
    line(p, "kernel      %s\n", m->why);
    describe_inputs(p);
    line(p, "chains      %llu in %llu tiles of %u\n", (unsigned long long)b->chains,
         (unsigned long long)b->tiles, b->lanes);
    line(p, "dimension   %zu, state %zu numbers a chain\n", m->dim, m->state_len);
    line(p, "start       %s%s\n", m->start_law,
         nsamp_job_is(p->job, NSAMP_KEY_run_start, "auto") ? " (run.start = auto)" : "");
    line(p, "steps       %llu, burn-in %llu\n", (unsigned long long)p->steps, (unsigned long long)p->burn_in);
    line(p, "moments     every %llu steps%s%s\n", (unsigned long long)p->accumulate_every,
         nsamp_job_int(p->job, NSAMP_KEY_run_accumulate_every) ? "" : " (chosen: 4 to 10 % of the run)",
         full_cov(p->job, m) ? ", full covariance"
         : m->sum_moments    ? ", off-diagonal from the variance of the sum"
                             : ", diagonal");
    line(p, "backend     %s (%s)\n", backend, why);
    line(p, "noise       Philox4x32-%u, layout %d, seed %lld%s\n", b->noise.rounds, NSAMP_NOISE_VERSION,
         (long long)nsamp_job_int(p->job, NSAMP_KEY_run_seed),
         nsamp_job_is(p->job, NSAMP_KEY_run_math, "fast")
             ? "; run.math = fast: normals by hardware approximations, not the bits of other machines"
             : "");
    line(p, "memory      %s%s%s\n", nsamp_bytes_text(memory, t), p->device_bytes ? ", on the GPU " : "",
         p->device_bytes ? nsamp_bytes_text((double)p->device_bytes, u) : "");
    if (p->records)
        line(p, "record      %llu draws of %llu chains: %s on disk\n", (unsigned long long)p->records,
             (unsigned long long)p->record_chains,
             nsamp_bytes_text((double)p->records * (double)p->record_chains * (double)m->dim * sizeof(float),
                              u));
    if (p->checkpoint_path) line(p, "checkpoint  %s\n", p->checkpoint_path);
}

static nsamp_status build(nsamp_plan *p, nsamp_error *err) {
    const char *why = "";
    nsamp_status status = nsamp_job_require_plain(p->job, err);
    if (!status) status = read_run(p, err);
    if (!status) status = set_paths(p, err);
    if (!status && *nsamp_job_text(p->job, NSAMP_KEY_output_file)) status = nsamp_output_check(p->job, err);
    if (!status) status = check_keys(p, err);
    if (!status) status = nsamp_model_create(p->job, &p->model, err);
    if (!status && p->records) status = nsamp_range_record(p->job, p->model, err);
    if (!status) status = choose_backend(p, &why, err);
    if (!status) status = check_math(p, why, err);
    if (status) return status;
    p->batch.model = p->model;
    p->batch.tiles = (p->batch.chains + p->batch.lanes - 1) / p->batch.lanes;
    p->accumulate_every = choose_interval(p);
    const double memory = memory_needed(p, p->batch.lanes, (int)sysconf(_SC_NPROCESSORS_ONLN));
    status = check_memory(p, memory, err);
#ifdef NSAMP_HAVE_CUDA
    if (!status && !p->kernel) status = check_device(p, err);
#endif
    char backend[sizeof p->backend->text] = "";
    if (!status && nsamp_job_bool(p->job, NSAMP_KEY_run_dry)) {
        status = describe_backend(p, backend, sizeof backend, err);
    } else if (!status) {
        status = allocate(p, err);
        if (!status) snprintf(backend, sizeof backend, "%s", p->backend->text);
    }
    if (!status) describe(p, backend, why, memory);
    return status;
}

nsamp_status nsamp_plan_create(const nsamp_job *job, nsamp_plan **plan, nsamp_error *err) {
    *plan = NULL;
    nsamp_plan *p = calloc(1, sizeof *p);
    if (p) p->job = nsamp_job_copy(job);
    if (!p || !p->job) {
        free(p);
        return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    }
    const int before = nsamp_threads_set(nsamp_job_int(job, NSAMP_KEY_run_threads));
    const nsamp_status status = build(p, err);
    nsamp_threads_restore(before);
    if (status) {
        nsamp_plan_destroy(p);
        return status;
    }
    *plan = p;
    return NSAMP_OK;
}

const char *nsamp_plan_text(const nsamp_plan *plan) {
    return plan->text;
}

const nsamp_summary *nsamp_plan_summary(const nsamp_plan *plan) {
    return &plan->summary;
}

const nsamp_statistic *nsamp_plan_statistics(const nsamp_plan *plan, size_t *count) {
    *count = plan->nstatistics;
    return plan->statistics;
}

void nsamp_plan_destroy(nsamp_plan *p) {
    if (!p) return;
    if (p->backend) p->backend->ops->destroy(p->backend);
    nsamp_moments_destroy(p->batch.moments);
    nsamp_statistics_free(p->statistics, p->nstatistics);
    nsamp_model_destroy(p->model);
    nsamp_job_destroy(p->job);
    free(p->batch.state);
    free(p->batch.first_bad);
    free(p->exact_tau);
    free(p->checkpoint_path);
    free(p->identity);
    nsamp_lock_release(p->output_lock);
    nsamp_lock_release(p->checkpoint_lock);
    nsamp_output_abandon(p->out);
    free(p->frame.at);
    free(p->frame.data);
    free(p);
}
