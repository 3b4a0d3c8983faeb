/* rsn.c: makes a network ready to be sampled: parameter block, level, start, and the choice of path. */
#include "systems/rsn.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cholesky.h"
#include "error.h"
#include "systems/range.h"
#include "systems/rsn_rounding.h"
#include "systems/start.h"

nsamp_status nsamp_rsn_pinv(const nsamp_network *net, double **s, nsamp_error *err) {
    const size_t m = net->m, n = net->n;
    *s = NULL;
    if (n < m)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "the reservoir level needs at least as many units as outputs: n = %zu, m = %zu", n,
                          m);
    double *gram = calloc(m * m, sizeof(double)), *x = malloc(n * m * sizeof(double));
    double *room = malloc(m * NSAMP_CHOLESKY_LANES * sizeof(double));
    if (!gram || !x || !room) {
        free(room);
        free(gram);
        free(x);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the noise matrix of %zu x %zu", n, m);
    }
    double largest = 0.0;
    for (size_t i = 0; i < m; i++)
        for (size_t k = 0; k <= i; k++) {
            double sum = 0.0;
            for (size_t j = 0; j < n; j++)
                sum += (double)net->w1[i * n + j] * (double)net->w1[k * n + j];
            gram[i * m + k] = sum;
            if (i == k) largest = fmax(largest, sum);
        }
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i < m; i++)
            x[j * m + i] = (double)net->w1[i * n + j];
    double pivot = 0;
    size_t failed = nsamp_cholesky(m, gram, gram, &pivot);
    for (size_t i = 0; i < m && !failed; i++)
        if (!(gram[i * m + i] > 1e-7 * sqrt(largest))) failed = i + 1;
    if (!failed) nsamp_cholesky_solve(m, gram, n, x, room);
    free(room);
    free(gram);
    if (failed) {
        free(x);
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "the reservoir level needs W1 of full row rank: row %zu depends on the rows before it", failed);
    }
    *s = x;
    return NSAMP_OK;
}

/* ---- start --------------------------------------------------------------------------------------------- */

static void start(const nsamp_model *model, nsamp_noise_key key, uint32_t chain, double *x, float *state) {
    const nsamp_rsn_extra *extra = model->extra;
    const size_t m = model->dim, n = extra->net->n;
    nsamp_start_point(model, key, chain, x);
    for (size_t i = 0; i < m; i++) {
        if (extra->start_sd) x[i] *= extra->start_sd[i];
        state[i] = (float)x[i];
    }
    for (size_t j = 0; j < model->state_len - m; j++) {
        double r = 0.0; /* the smallest r with W1 r = x */
        for (size_t i = 0; i < m && j < n; i++)
            r += extra->pinv[j * m + i] * x[i];
        state[m + j] = (float)r;
    }
}

/* Data variances, blurred by the noise level, as far as the network knows them. */
static nsamp_status choose_start(const nsamp_network *net, const nsamp_rsn_options *o, nsamp_model *model,
                                 nsamp_error *err) {
    nsamp_rsn_extra *extra = model->extra;
    bool known = o->auto_start && net->denoiser && net->start_var;
    for (size_t i = 0; i < net->m && known; i++)
        known = net->start_var[i] > 0.0;
    if (!known) return NSAMP_OK;
    extra->start_sd = malloc(net->m * sizeof(double));
    if (!extra->start_sd)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the start of %zu outputs", net->m);
    for (size_t i = 0; i < net->m; i++)
        extra->start_sd[i] = sqrt(net->start_var[i] + net->sigma * net->sigma);
    model->start_kind = NSAMP_START_NORMAL;
    model->start_scale = 1.0;
    snprintf(model->start_law, sizeof model->start_law,
             "normal, variances of the training data plus sigma^2");
    return NSAMP_OK;
}

/* ---- paths --------------------------------------------------------------------------------------------- */

/* Whether the fused bf16 and tf32 kernels of a GPU with 227 KiB of shared memory (cuda_rsn_tensor.cu, which decides in
 * the end) take the network; below 9 outputs they would compute more zeros than products. */
static bool fits_tensor_kernel(const nsamp_network *net, const nsamp_rsn_options *o) {
    const size_t m = net->m <= 16 ? 16 : net->m <= 32 ? 32 : 64, size = o->precision == NSAMP_BF16 ? 2 : 4;
    const size_t state = m == 64 && o->precision == NSAMP_BF16 ? 64 * 1024 : 0;
    return !o->reservoir && net->m > 8 && net->m <= 64 &&
           nsamp_rsn_round_up(net->n, 16) * (2 * m * size + 4) + state <= 227 * 1024;
}

/* Float32 on a GPU. Where cuda_rsn_few.cu does not take the network, a thread for each chain loads two numbers for each
 * multiply-add and adds them up one after another: a tenth of F (H200, m 64, n 512). Products come near F, but fill m up to
 * 8, write and read 8 n bytes of hidden units, and take nanoseconds a chain whatever the size. Counted so, they lose up to 4 outputs,
 * and at 8 while 20 numbers a unit fit that kernel's shared memory; below 4096 weights a layer; and at the reservoir level,
 * where they touch 28 n bytes and the thread 8 n, up to 8 outputs. */
static nsamp_rsn_path choose_on_gpu(const nsamp_network *net, const nsamp_rsn_options *o, const char **why) {
    const size_t m = net->m, n = nsamp_rsn_round_up(net->n, NSAMP_RSN_BLOCK);
    const bool in_shared = m == 8 && sizeof(float) * (NSAMP_RSN_LINEAR + 20 * n) <= 227 * 1024,
               few = m <= (o->reservoir ? 8 : 4) || in_shared, small = m * n <= 4096;
    *why = few ? "few outputs" : small ? "a small network" : "many outputs";
    return few || small ? NSAMP_RSN_FUSED : NSAMP_RSN_PRODUCT;
}

/* Float32 on a CPU: weights that the fused kernel of the table, which reads all of them for each 64 chains, would take from beyond the
 * second-level cache, and that are worth packing once more. */
static bool has_large_weights(const nsamp_network *net) {
    return net->m > 8 && sizeof(float) * (double)net->n * (2.0 * (double)net->m + 1.0) > 512.0 * 1024.0;
}

/* What auto takes for large weights on a CPU the CPU decides (prepare): panels, or products where there are no vectors. */
static nsamp_rsn_path choose_path(const nsamp_network *net, const nsamp_rsn_options *o, const char **why) {
    if (o->precision == NSAMP_BF16X3) {
        *why = "run.precision";
        return NSAMP_RSN_FUSED;
    }
    if (o->path != NSAMP_RSN_AUTO) {
        *why = "run.path";
        return o->path;
    }
    if (o->precision != NSAMP_FP32 && o->cuda && fits_tensor_kernel(net, o)) {
        *why = o->precision == NSAMP_BF16 ? "bf16 weights in shared memory" : "tf32 weights in shared memory";
        return NSAMP_RSN_FUSED;
    }
    if (o->precision != NSAMP_FP32) {
        *why = o->precision == NSAMP_BF16 ? "bf16 weights" : "tf32 products";
        return NSAMP_RSN_PRODUCT;
    }
    if (o->cuda) return choose_on_gpu(net, o, why);
    if (net->m <= 8) {
        *why = "few outputs";
        return NSAMP_RSN_FUSED;
    }
    *why = has_large_weights(net) ? "large weights" : "the weights stay in cache";
    return has_large_weights(net) ? NSAMP_RSN_PRODUCT : NSAMP_RSN_FUSED;
}

/* Chains a tile: a thread's share, cut in as few equal tiles as are at most `most` long, up to a multiple of `least`. */
static uint32_t choose_tile(const nsamp_rsn_options *o, size_t least, size_t most) {
    const uint64_t threads = o->threads > 0 ? (uint64_t)o->threads : 1,
                   share = (o->chains + threads - 1) / threads, tiles = (share + most - 1) / most;
    if (o->tile) return o->tile;
    return share ? (uint32_t)nsamp_rsn_round_up((size_t)((share + tiles - 1) / tiles), least)
                 : (uint32_t)least;
}

/* More gains nothing: the weights are then read from memory rarely enough. */
enum { MOST_LANES = 256 };

/* What rsn.h's noise and update, which count the numbers of a tile in 32 bits, can take. */
static nsamp_status check_tile(const nsamp_rsn_options *o, const nsamp_network *net, nsamp_error *err) {
    const uint64_t lanes = o->tile ? o->tile : MOST_LANES;
    if (lanes * net->m <= UINT32_MAX) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EUSAGE, "run.tile = %u: too large for %zu outputs; at most %llu", o->tile,
                      net->m, (unsigned long long)(UINT32_MAX / net->m / 64 * 64));
}

/* What the plan prints of the path. */
static void say_why(nsamp_model *model, bool products, const char *why) {
    const nsamp_rsn_extra *extra = model->extra;
    snprintf(model->why, sizeof model->why, "%s (%s): m %zu, n %zu, %s level, %.3g flops a chain-step",
             products ? "matrix products" : "one fused kernel", why, extra->net->m, extra->net->n,
             extra->options.reservoir ? "reservoir" : "output", model->flops);
}

static void add_why(nsamp_model *model, const char *text) {
    const size_t used = strlen(model->why);
    snprintf(model->why + used, sizeof model->why - used, "; %s", text);
}

static nsamp_status prepare_product(nsamp_model *model, nsamp_error *err) {
    nsamp_rsn_extra *extra = model->extra;
    nsamp_rsn_options o = extra->options;
    nsamp_rsn_params *params = model->params;
    nsamp_status status = check_tile(&o, extra->net, err);
    if (status) return status;
    o.tile = choose_tile(&o, 16, MOST_LANES);
    status = nsamp_rsn_product_create(extra->net, &o, extra->pinv, params, &extra->product, err);
    if (status) return status;
    params->product = extra->product;
    model->lanes = o.tile;
    model->packed_bytes = nsamp_rsn_product_weights(extra->product);
    model->scratch_bytes = nsamp_rsn_product_scratch(extra->product);
    add_why(model, nsamp_matmul_name());
    if (o.precision == NSAMP_BF16)
        add_why(model, nsamp_matmul_bf16_is_native() ? "bf16 products" : "float32 products of bf16 numbers");
    return NSAMP_OK;
}

/* The matrix unit multiplies some five times as fast as the vector ports, and six times for a product of float32. Counted so wherever
 * the kernel runs, so that samples lie at the same steps with the unit and without. */
static const double BF16_FLOPS_A_NORMAL = 500.0, BF16X3_FLOPS_A_NORMAL = 150.0;

/* What a tile may take of a second-level cache of 2 MiB beside the weights of a panel. */
enum { BF16_TILE_BYTES = 1792 << 10 };

static nsamp_status prepare_bf16(nsamp_model *model, nsamp_error *err) {
    nsamp_rsn_extra *extra = model->extra;
    const nsamp_rsn_options *o = &extra->options;
    const bool three = o->precision == NSAMP_BF16X3;
    nsamp_rsn_params *params = model->params;
    nsamp_rsn_bf16_parts parts;
    static float none;
    nsamp_status status = check_tile(o, extra->net, err);
    if (status) return status;
    if (o->tile % 64)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "run.tile = %u: must be a multiple of 64 for bf16 in one kernel (of 16 with run.path = product)",
            o->tile);
    status = nsamp_rsn_bf16_create(extra->net, three ? 3 : 1, &extra->bf16, err);
    if (status) return status;
    params->product = extra->bf16;
    model->packed_bytes = nsamp_rsn_bf16_bytes(extra->bf16);
    model->host_kernel = nsamp_rsn_bf16_kernel(o->isa, o->amx);
    const size_t most = BF16_TILE_BYTES / (16 * extra->net->m) / 64 * 64; /* x, y, xi and y in tiles */
    model->lanes = choose_tile(o, 64, most > MOST_LANES ? MOST_LANES : most < 64 ? 64 : most);
    model->scratch_bytes = nsamp_rsn_bf16_carve(extra->bf16, params->dim, model->lanes, &none, &parts);
    model->flops_a_normal = three ? BF16X3_FLOPS_A_NORMAL : BF16_FLOPS_A_NORMAL;
    say_why(model, false, three ? "run.precision" : o->path == NSAMP_RSN_FUSED ? "run.path" : "bf16 weights");
    add_why(model, three ? "float32 factors in three bf16 parts" : "bf16");
    add_why(model,
            o->amx ? "by the matrix unit (AMX)" : "by float32 multiply-adds, in the order of a matrix unit");
    return NSAMP_OK;
}

/* Whether panels (kernels/rsn_panels.h) take the network: auto leaves it to a library of products where the text has no vectors, and in bf16 where
 * that multiplies such numbers faster. run.path = fused means the order of a matrix unit's sums there. */
static bool takes_panels(const nsamp_network *net, const nsamp_rsn_options *o) {
    const bool chosen = o->path == NSAMP_RSN_AUTO && strcmp(o->isa, "base");
    if (o->precision == NSAMP_BF16) return chosen && !nsamp_matmul_bf16_is_native();
    return o->precision == NSAMP_FP32 && has_large_weights(net) && (o->path == NSAMP_RSN_FUSED || chosen);
}

/* Weights, or the reservoirs of 64 chains, that stay in a second-level cache from one step to the next. */
enum { RESIDENT_BYTES = 1 << 20 };

/* The parameters without the blocks, which are packed elsewhere. Where there is no memory for that they stay. */
static void drop_blocks(nsamp_model *model) {
    const size_t bytes = nsamp_rsn_round_up(sizeof(nsamp_rsn_params), 64);
    void *head;
    if (posix_memalign(&head, 64, bytes)) return;
    memcpy(head, model->params, bytes);
    free(model->params);
    model->params = head;
    model->params_bytes = bytes;
}

static nsamp_status prepare_panels(nsamp_model *model, nsamp_error *err) {
    nsamp_rsn_extra *extra = model->extra;
    const nsamp_rsn_options *o = &extra->options;
    nsamp_rsn_params *const params = model->params;
    nsamp_rsn_panels_parts parts;
    static float none;
    if (o->tile % 16)
        return nsamp_fail(err, NSAMP_EUSAGE, "run.tile = %u: must be a multiple of 16 here", o->tile);
    nsamp_status status = check_tile(o, extra->net, err);
    if (status) return status;
    const bool rounded = o->precision == NSAMP_BF16;
    status = nsamp_rsn_panels_create(extra->net, extra->pinv, params, rounded, &extra->panels, err);
    if (status) return status;
    params->product = extra->panels;
    model->host_kernel = nsamp_rsn_panels_kernel(o->isa);
    model->packed_bytes = nsamp_rsn_panels_bytes(extra->panels, params->dim, params->reservoir);
    const bool resident = model->packed_bytes <= RESIDENT_BYTES ||
                          (o->reservoir && (size_t)params->units * 64 * sizeof(float) <= RESIDENT_BYTES);
    /* A group of fewer than 64 chains fills fewer registers. */
    const bool few = o->chains < 64 * (uint64_t)(o->threads > 0 ? o->threads : 1);
    model->lanes = choose_tile(o, few ? 16 : 64, resident ? 64 : MOST_LANES);
    model->scratch_bytes =
        nsamp_rsn_panels_carve(params->dim, params->reservoir, rounded, model->lanes, &none, &parts);
    say_why(model, false,
            o->path == NSAMP_RSN_FUSED ? "run.path"
            : rounded                  ? "bf16 weights"
                                       : "large weights");
    add_why(model, "in panels");
    if (rounded) add_why(model, "float32 products of bf16 numbers");
    drop_blocks(model);
    return NSAMP_OK;
}

/* For the CPU, once it is known that the chains run there. */
static nsamp_status prepare(nsamp_model *model, nsamp_error *err) {
    const nsamp_rsn_options *o = &((nsamp_rsn_extra *)model->extra)->options;
    if (o->precision == NSAMP_TF32)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "run.precision = tf32: only on a GPU (run.backend = cuda); on a CPU fp32 or bf16");
    const bool chosen = o->path == NSAMP_RSN_FUSED || (o->path == NSAMP_RSN_AUTO && o->has_amx);
    if (o->precision == NSAMP_BF16X3 || (o->precision == NSAMP_BF16 && !o->reservoir && chosen))
        return prepare_bf16(model, err);
    if (takes_panels(((nsamp_rsn_extra *)model->extra)->net, o)) return prepare_panels(model, err);
    return prepare_product(model, err);
}

static void destroy(nsamp_model *model) {
    nsamp_rsn_extra *extra = model->extra;
    if (!extra) return;
    nsamp_rsn_product_destroy(extra->product);
    nsamp_rsn_bf16_destroy(extra->bf16);
    nsamp_rsn_panels_destroy(extra->panels);
    nsamp_network_destroy(extra->net);
    free(extra->start_sd);
    free(extra->pinv);
    free(extra);
    model->extra = NULL;
}

static nsamp_status check(const nsamp_network *net, const nsamp_rsn_options *o, nsamp_error *err) {
    if (net->activation == NSAMP_IDENTITY)
        return nsamp_fail(err, NSAMP_EUSAGE, "rsn: the activation must be relu, tanh or softplus");
    if (net->m > UINT32_MAX / 64 || net->n > UINT32_MAX - 256)
        return nsamp_fail(err, NSAMP_EUSAGE, "rsn: m = %zu, n = %zu: too large", net->m, net->n);
    if (o->jump && !net->denoiser)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "system.jump = yes: needs a network in denoiser form, this one is a score");
    if (o->path == NSAMP_RSN_FUSED && o->precision == NSAMP_BF16 &&
        (o->reservoir || (o->cuda && net->m > 64)))
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "run.precision = bf16: run.path = fused has it at the output level, on a GPU to m = 64; "
            "else run.path = product");
    if (o->precision == NSAMP_BF16X3 && (o->reservoir || o->cuda || o->path == NSAMP_RSN_PRODUCT))
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "run.precision = bf16x3: on a CPU, at the output level, run.path = fused or auto; else fp32");
    if (o->path == NSAMP_RSN_FUSED && o->precision == NSAMP_TF32 && (o->reservoir || net->m > 64))
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "run.precision = tf32: run.path = fused has it at the output level to m = 64, on a GPU; "
            "else run.path = product");
    return NSAMP_OK;
}

/* S for the W1 that the products have, so that W1 S = I for it: with that of the unrounded W1 the noise of x would be correlated wherever W1 W1^T has
 * small eigenvalues. */
static nsamp_status noise_matrix(const nsamp_network *net, const nsamp_rsn_options *o, double **s,
                                 nsamp_error *err) {
    if (o->precision != NSAMP_BF16) return nsamp_rsn_pinv(net, s, err);
    nsamp_network *rounded = NULL;
    nsamp_status status = nsamp_rsn_round(net, false, &rounded, err);
    if (!status) status = nsamp_rsn_pinv(rounded, s, err);
    nsamp_network_destroy(rounded);
    return status;
}

/* Where x may be, as far as the law or the data's variances say, against the noise of a step and the scale of
 * what is sampled: noise that float32 loses there would leave chains where they are. */
static nsamp_status check_scale(const nsamp_network *net, const nsamp_model *model, nsamp_error *err) {
    static const double FAR = 2e4; /* products of x, in float32, are off by 2^-24 of it, .001 of the scale */
    const double noise = (double)((const nsamp_rsn_params *)model->params)->noise;
    const nsamp_law *law = &model->law;
    for (size_t i = 0; i < net->m; i++) {
        const double sd = sqrt(law->var ? law->var[i] : net->start_var[i]),
                     x = 2 * sd + (law->mean ? fabs(law->mean[i]) : 0),
                     scale = law->var        ? sd
                             : net->denoiser ? net->sigma
                                             : x;
        if (nsamp_range_rounding(x, noise * noise) <= NSAMP_RANGE_ROUNDING && x <= FAR * scale) continue;
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "system.model: output %zu reaches to %.3g, where float32 has steps of %.2g; the noise of a "
            "step is %.3g, and what is sampled has the scale %.3g; valid: up to %.3g",
            i + 1, x, 0x1p-23 * x, noise, scale,
            fmin(FAR * scale, x * sqrt(NSAMP_RANGE_ROUNDING / nsamp_range_rounding(x, noise * noise))));
    }
    return NSAMP_OK;
}

static nsamp_status fill(const nsamp_network *net, const nsamp_rsn_options *o, nsamp_model *model,
                         nsamp_error *err) {
    nsamp_rsn_extra *extra = model->extra;
    const char *why;
    nsamp_status status = check(net, o, err);
    if (status) return status;
    const nsamp_rsn_path path = choose_path(net, o, &why);
    const uint32_t precision = path == NSAMP_RSN_PRODUCT || o->precision == NSAMP_FP32 ? NSAMP_RSN_FP32
                               : o->precision == NSAMP_TF32                            ? NSAMP_RSN_TF32
                                                                                       : NSAMP_RSN_BF16;
    if (o->reservoir) status = noise_matrix(net, o, &extra->pinv, err);
    if (!status) status = nsamp_rsn_pack(net, o, extra->pinv, precision, model, err);
    if (!status) status = choose_start(net, o, model, err);
    if (status) return status;
    nsamp_rsn_params *params = model->params;
    model->system = "rsn";
    model->kernel = NSAMP_KERNEL_rsn;
    model->dim = net->m;
    model->state_len = net->m + (o->reservoir ? params->units : 0);
    model->draws = net->m;
    model->flops = (o->reservoir ? 6.0 : 4.0) * (double)net->m * (double)net->n;
    model->scratch_bytes = NSAMP_RSN_SCRATCH(64, net->m);
    model->start = start;
    if (o->precision == NSAMP_BF16X3) model->no_gpu = "run.precision = bf16x3 is for a CPU";
    if (path == NSAMP_RSN_PRODUCT || o->precision != NSAMP_FP32 || takes_panels(net, o)) {
        if (o->tile % 16 && path == NSAMP_RSN_PRODUCT)
            return nsamp_fail(err, NSAMP_EUSAGE, "run.tile = %u: must be a multiple of 16 here", o->tile);
        if (path == NSAMP_RSN_PRODUCT) model->host_kernel = &nsamp_rsn_product_kernel;
        model->prepare = prepare;
    }
    say_why(model, path == NSAMP_RSN_PRODUCT, why);
    status = nsamp_rsn_law(net, o, model, err);
    return status ? status : check_scale(net, model, err);
}

nsamp_status nsamp_rsn_model(nsamp_network *net, const nsamp_rsn_options *o, nsamp_model *model,
                             nsamp_error *err) {
    nsamp_rsn_extra *extra = calloc(1, sizeof *extra);
    if (!extra) {
        nsamp_network_destroy(net);
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a network");
    }
    extra->net = net;
    extra->options = *o;
    model->extra = extra;
    model->destroy = destroy;
    return fill(net, o, model, err);
}
