/* dnnl.c: matmul.h over oneDNN, C API of version 2 (2.4 to 2.7) and of version 3. The only file that knows
 * oneDNN.
 *
 * A layer's weights are packed once in the format that its widest product asks for. Its primitives have fixed
 * numbers of rows and are made for one thread; nsamp_layer_apply shares blocks of rows among threads itself.
 * So oneDNN never splits a sum over k between threads, which is what would make bits depend on their number.
 *
 * That is so where oneDNN has its batched kernels, which take rows one by one: with AVX-512. Below, its products treat rows by their
 * place, and a layer is one of plain.h. */
#include "matmul/plain.h"

#if NSAMP_HAVE_DNNL

#include <oneapi/dnnl/dnnl.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "error.h"
#include "team.h"

/* ---- what differs between the two versions of the API: descriptors are structs in one, handles in the other ---- */

#if DNNL_VERSION_MAJOR >= 3
typedef const_dnnl_memory_desc_t md_ref;
#define MD_REF(d)  (d)
#define MD_FREE(d) dnnl_memory_desc_destroy(d)
#else
typedef const dnnl_memory_desc_t *md_ref;
#define MD_REF(d)  (&(d))
#define MD_FREE(d) ((void)(d))
#endif

static dnnl_status_t md_create(dnnl_memory_desc_t *d, size_t rows, size_t cols, size_t row_stride,
                               size_t col_stride, dnnl_data_type_t type) {
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
    dnnl_dims_t strides = {(dnnl_dim_t)row_stride, (dnnl_dim_t)col_stride};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_strides(d, 2, dims, type, strides);
#else
    return dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
#endif
}

static dnnl_status_t md_create_any(dnnl_memory_desc_t *d, size_t rows, size_t cols, dnnl_data_type_t type) {
    dnnl_dims_t dims = {(dnnl_dim_t)rows, (dnnl_dim_t)cols};
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_memory_desc_create_with_tag(d, 2, dims, type, dnnl_format_tag_any);
#else
    return dnnl_memory_desc_init_by_tag(d, 2, dims, type, dnnl_format_tag_any);
#endif
}

static dnnl_status_t append_eltwise(dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_eltwise(ops, kind, alpha, 0.0f);
#else
    return dnnl_post_ops_append_eltwise(ops, 1.0f, kind, alpha, 0.0f);
#endif
}

static dnnl_status_t append_sum(dnnl_post_ops_t ops) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_post_ops_append_sum(ops, 1.0f, 0, dnnl_data_type_undef);
#else
    return dnnl_post_ops_append_sum(ops, 1.0f);
#endif
}

static dnnl_status_t matmul_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref src, md_ref weights,
                               md_ref bias, md_ref dst, const_dnnl_primitive_attr_t attr) {
#if DNNL_VERSION_MAJOR >= 3
    return dnnl_matmul_primitive_desc_create(pd, engine, src, weights, bias, dst, attr);
#else
    dnnl_matmul_desc_t desc;
    dnnl_status_t s = dnnl_matmul_desc_init(&desc, src, weights, bias, dst);
    return s != dnnl_success ? s : dnnl_primitive_desc_create(pd, &desc, attr, engine, NULL);
#endif
}

static dnnl_status_t reorder_pd(dnnl_primitive_desc_t *pd, dnnl_engine_t engine, md_ref from, md_ref to) {
    return dnnl_reorder_primitive_desc_create(pd, from, engine, to, engine, NULL);
}

/* ---- a layer ---- */

static const size_t block_rows[] = {128, 32, 16}; /* descending; a rest below the last is padded to it */
enum { BLOCK_SIZES = 3 };

typedef struct product {
    size_t rows;               /* 0: not made, max_rows is below it */
    dnnl_primitive_t run, add; /* y = ..., y += ... (NULL unless the layer is linear) */
    dnnl_memory_desc_t src, dst;
    size_t workspace; /* bytes of oneDNN scratch */
} product;

struct nsamp_layer {
    nsamp_plain_layer *plain; /* NULL: what follows */
    size_t in, out;
    nsamp_activation act;
    bool rounds, narrow; /* bf16: factors are rounded to it; they are stored and multiplied as such */
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_memory_desc_t bias_md;
    dnnl_memory_t weights, bias; /* bias NULL where there is none */
    product products[BLOCK_SIZES];
    size_t slots, slot_bytes; /* scratch of each thread: oneDNN's, then one padded block of x, of y */
    size_t x_at, y_at;
    char *scratch;
};

static dnnl_status_t make_attr(dnnl_primitive_attr_t *attr, nsamp_activation act, bool add) {
    dnnl_post_ops_t ops = NULL;
    dnnl_status_t s = dnnl_primitive_attr_create(attr);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_scratchpad_mode(*attr, dnnl_scratchpad_mode_user);
    if (s == dnnl_success) s = dnnl_post_ops_create(&ops);
    if (s == dnnl_success && add) s = append_sum(ops);
    if (s == dnnl_success && act == NSAMP_RELU) s = append_eltwise(ops, dnnl_eltwise_relu, 0.0f);
    if (s == dnnl_success && act == NSAMP_TANH) s = append_eltwise(ops, dnnl_eltwise_tanh, 0.0f);
    if (s == dnnl_success && act == NSAMP_SOFTPLUS) s = append_eltwise(ops, dnnl_eltwise_soft_relu, 1.0f);
    if (s == dnnl_success) s = dnnl_primitive_attr_set_post_ops(*attr, ops);
    if (ops) dnnl_post_ops_destroy(ops);
    return s;
}

/* ---- bf16 ---- */

/* Whether oneDNN's bf16 products are the faster way: with a matrix unit (AMX), or on a processor of AMD, whose dot product of
 * bf16 does twice the work of a float32 multiply-add. On Intel's without AMX it does half of it (bench/LOG.md). */
static bool native_is_faster(void) {
#ifdef NSAMP_X86_64
    const dnnl_cpu_isa_t isa = dnnl_get_effective_cpu_isa();
    return isa == dnnl_cpu_isa_avx512_core_bf16
               ? __builtin_cpu_is("amd") != 0
               : (isa & dnnl_cpu_isa_avx512_core_amx) == dnnl_cpu_isa_avx512_core_amx;
#else
    return false;
#endif
}

static nsamp_bf16_way bf16_way; /* NSAMP_BF16_AUTO */

void nsamp_matmul_set_bf16(nsamp_bf16_way way) {
    bf16_way = way;
}

bool nsamp_matmul_bf16_is_native(void) {
    return bf16_way == NSAMP_BF16_AUTO ? native_is_faster() : bf16_way == NSAMP_BF16_NATIVE;
}

/* Packs w into the format that the first primitive asked for. */
static dnnl_status_t pack_weights(nsamp_layer *l, md_ref packed, const float *w) {
    dnnl_memory_desc_t plain;
    dnnl_status_t s = md_create(&plain, l->in, l->out, 1, l->in, dnnl_f32);
    if (s != dnnl_success) return s;
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    s = dnnl_memory_create(&from, MD_REF(plain), l->engine, (void *)w);
    if (s == dnnl_success) s = dnnl_memory_create(&l->weights, packed, l->engine, DNNL_MEMORY_ALLOCATE);
    if (s == dnnl_success) s = reorder_pd(&pd, l->engine, MD_REF(plain), packed);
    if (s == dnnl_success) s = dnnl_primitive_create(&reorder, pd);
    if (s == dnnl_success) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, l->weights}};
        s = dnnl_primitive_execute(reorder, l->stream, 2, args);
    }
    if (s == dnnl_success) s = dnnl_stream_wait(l->stream);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
    dnnl_memory_destroy(from);
    MD_FREE(plain);
    return s;
}

/* One primitive of p. The first of a layer chooses the format of the weights, the others take it. */
static dnnl_status_t make_primitive(nsamp_layer *l, product *p, bool add, const float *w,
                                    dnnl_primitive_t *out) {
    dnnl_memory_desc_t any;
    dnnl_status_t s = md_create_any(&any, l->in, l->out, l->narrow ? dnnl_bf16 : dnnl_f32);
    if (s != dnnl_success) return s;
    md_ref weights = MD_REF(any);
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    if (l->weights) s = dnnl_memory_get_memory_desc(l->weights, &weights);
    if (s == dnnl_success) s = make_attr(&attr, l->act, add);
    if (s == dnnl_success)
        s = matmul_pd(&pd, l->engine, MD_REF(p->src), weights, l->bias ? MD_REF(l->bias_md) : NULL,
                      MD_REF(p->dst), attr);
    if (s == dnnl_success && !l->weights)
        s = pack_weights(l, dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0), w);
    if (s == dnnl_success) {
        size_t need =
            dnnl_memory_desc_get_size(dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
        if (need > p->workspace) p->workspace = need;
        s = dnnl_primitive_create(out, pd);
    }
    dnnl_primitive_desc_destroy(pd);
    dnnl_primitive_attr_destroy(attr);
    MD_FREE(any);
    return s;
}

static dnnl_status_t make_product(nsamp_layer *l, size_t rows, const float *w, product *p) {
    dnnl_status_t s = md_create(&p->src, rows, l->in, l->in, 1, l->narrow ? dnnl_bf16 : dnnl_f32);
    if (s != dnnl_success) return s;
    s = md_create(&p->dst, rows, l->out, l->out, 1, dnnl_f32);
    if (s != dnnl_success) {
        MD_FREE(p->src);
        return s;
    }
    p->rows = rows; /* from here on nsamp_layer_destroy frees it */
    s = make_primitive(l, p, false, w, &p->run);
    if (s == dnnl_success && l->act == NSAMP_IDENTITY) s = make_primitive(l, p, true, w, &p->add);
    return s;
}

/* oneDNN plans for as many threads as OpenMP would give it. */
static dnnl_status_t make_products(nsamp_layer *l, size_t max_rows, const float *w) {
    const int threads = omp_get_max_threads();
    dnnl_status_t s = dnnl_success;
    omp_set_num_threads(1);
    for (size_t i = 0; i < BLOCK_SIZES && s == dnnl_success; i++)
        if (block_rows[i] <= max_rows || i + 1 == BLOCK_SIZES)
            s = make_product(l, block_rows[i], w, &l->products[i]);
    omp_set_num_threads(threads);
    return s;
}

static dnnl_status_t make_bias(nsamp_layer *l, const float *bias) {
    dnnl_status_t s = md_create(&l->bias_md, 1, l->out, l->out, 1, dnnl_f32);
    if (s != dnnl_success) return s;
    s = dnnl_memory_create(&l->bias, MD_REF(l->bias_md), l->engine, DNNL_MEMORY_ALLOCATE);
    void *data = NULL;
    if (s == dnnl_success) s = dnnl_memory_get_data_handle(l->bias, &data);
    if (s == dnnl_success) memcpy(data, bias, l->out * sizeof *bias);
    if (s != dnnl_success) MD_FREE(l->bias_md);
    return s;
}

static size_t aligned(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

/* Scratch for every thread that OpenMP may start: nothing is allocated while chains advance. */
static bool make_scratch(nsamp_layer *l) {
    size_t workspace = 0, last = BLOCK_SIZES - 1, widest = 0;
    for (size_t i = 0; i < BLOCK_SIZES; i++) {
        if (l->products[i].workspace > workspace) workspace = l->products[i].workspace;
        if (l->products[i].rows > widest) widest = l->products[i].rows;
    }
    l->x_at = aligned(workspace);
    const size_t numbers = (l->rounds ? widest : block_rows[last]) * l->in;
    l->y_at = l->x_at + aligned(numbers * (l->narrow ? sizeof(nsamp_bf16) : sizeof(float)));
    l->slot_bytes = l->y_at + aligned(block_rows[last] * l->out * sizeof(float));
    l->slots = (size_t)omp_get_max_threads();
    if ((size_t)omp_get_num_procs() > l->slots) l->slots = (size_t)omp_get_num_procs();
    void *scratch = NULL;
    if (posix_memalign(&scratch, 64, l->slots * l->slot_bytes)) return false;
    l->scratch = scratch;
    return true;
}

static bool rows_keep_their_bits(void) {
    return (dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core) == dnnl_cpu_isa_avx512_core;
}

/* dnnl_sgemm uses all threads outside a parallel region, and may then split the sum over k. */
static void plain_product(size_t m, size_t n, size_t k, const float *a, const float *b, float *c) {
    const int threads = omp_in_parallel() ? 1 : omp_get_max_threads();
    if (threads > 1) omp_set_num_threads(1);
    dnnl_sgemm('N', 'T', (dnnl_dim_t)m, (dnnl_dim_t)n, (dnnl_dim_t)k, 1, a, (dnnl_dim_t)k, b, (dnnl_dim_t)k,
               0, c, (dnnl_dim_t)n);
    if (threads > 1) omp_set_num_threads(threads);
}

nsamp_status nsamp_layer_create(size_t in, size_t out, const float *w, const float *bias,
                                nsamp_activation act, nsamp_precision precision, size_t max_rows,
                                nsamp_layer **layer, nsamp_error *err) {
    *layer = NULL;
    const nsamp_status status = nsamp_layer_check(in, out, precision, max_rows, err);
    if (status) return status;
    nsamp_layer *l = calloc(1, sizeof *l);
    if (!l) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a layer of %zu x %zu weights", out, in);
    l->in = in;
    l->out = out;
    l->act = act;
    l->rounds = precision == NSAMP_BF16;
    l->narrow = l->rounds && nsamp_matmul_bf16_is_native();
    if (!l->narrow && !rows_keep_their_bits()) {
        const nsamp_status made =
            nsamp_plain_create(in, out, w, bias, act, precision, plain_product, &l->plain, err);
        if (made)
            free(l);
        else
            *layer = l;
        return made;
    }
    dnnl_status_t s = dnnl_engine_create(&l->engine, dnnl_cpu, 0);
    if (s == dnnl_success) s = dnnl_stream_create(&l->stream, l->engine, dnnl_stream_default_flags);
    if (s == dnnl_success && bias) s = make_bias(l, bias);
    float *rounded = NULL;
    if (l->rounds && !l->narrow) {
        rounded = malloc(in * out * sizeof *rounded);
        if (rounded)
            nsamp_round_to_bf16(in * out, w, rounded);
        else
            s = dnnl_out_of_memory;
    }
    if (s == dnnl_success) s = make_products(l, max_rows, rounded ? rounded : w);
    free(rounded);
    if (s == dnnl_success && !make_scratch(l)) s = dnnl_out_of_memory;
    if (s == dnnl_success) {
        *layer = l;
        return NSAMP_OK;
    }
    const bool narrow = l->narrow;
    nsamp_layer_destroy(l);
    if (s == dnnl_out_of_memory)
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a layer of %zu x %zu weights", out, in);
    if (narrow)
        return nsamp_fail(err, NSAMP_EUSAGE, "%s has no bf16 product on this CPU (status %d): use fp32",
                          nsamp_matmul_name(), (int)s);
    return nsamp_fail(err, NSAMP_EINTERNAL, "%s refuses a product of %zu x %zu weights: status %d",
                      nsamp_matmul_name(), out, in, (int)s);
}

void nsamp_layer_destroy(nsamp_layer *l) {
    if (!l) return;
    nsamp_plain_destroy(l->plain);
    for (size_t i = 0; i < BLOCK_SIZES; i++) {
        product *p = &l->products[i];
        if (!p->rows) continue;
        dnnl_primitive_destroy(p->run);
        dnnl_primitive_destroy(p->add);
        MD_FREE(p->src);
        MD_FREE(p->dst);
    }
    if (l->bias) MD_FREE(l->bias_md);
    dnnl_memory_destroy(l->bias);
    dnnl_memory_destroy(l->weights);
    dnnl_stream_destroy(l->stream);
    dnnl_engine_destroy(l->engine);
    free(l->scratch);
    free(l);
}

/* ---- applying it ---- */

/* Memory objects are made for the call, so that any number of threads may be at it; they are a few small
 * structs. */
static void execute(const nsamp_layer *l, const product *p, const void *x, float *y, void *workspace,
                    bool add) {
    dnnl_memory_t src = NULL, dst = NULL, pad = NULL;
    const_dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t run = add ? p->add : p->run;
    dnnl_status_t s = dnnl_memory_create(&src, MD_REF(p->src), l->engine, (void *)x);
    if (s == dnnl_success) s = dnnl_memory_create(&dst, MD_REF(p->dst), l->engine, y);
    if (s == dnnl_success) s = dnnl_primitive_get_primitive_desc(run, &pd);
    if (s == dnnl_success)
        s = dnnl_memory_create(&pad, dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0), l->engine,
                               workspace);
    if (s == dnnl_success) {
        dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, src},
                                  {DNNL_ARG_WEIGHTS, l->weights},
                                  {DNNL_ARG_DST, dst},
                                  {DNNL_ARG_SCRATCHPAD, pad},
                                  {DNNL_ARG_BIAS, l->bias}};
        s = dnnl_primitive_execute(run, l->stream, l->bias ? 5 : 4, args);
    }
    dnnl_memory_destroy(pad);
    dnnl_memory_destroy(dst);
    dnnl_memory_destroy(src);
    if (s != dnnl_success)
        abort(); /* all was checked and sized at creation: only a few small structs could fail */
}

static void apply_block(const nsamp_layer *l, const product *p, size_t count, const float *x, float *y,
                        bool add, char *slot) {
    const void *src = x;
    float *dst = y;
    if (l->narrow) {
        nsamp_bf16 *xs = (void *)(slot + l->x_at);
        for (size_t i = 0; i < count * l->in; i++)
            xs[i] = nsamp_bf16_of(x[i]);
        memset(xs + count * l->in, 0, (p->rows - count) * l->in * sizeof *xs);
        src = xs;
    } else if (l->rounds || count < p->rows) {
        float *xs = (void *)(slot + l->x_at);
        if (l->rounds)
            nsamp_round_to_bf16(count * l->in, x, xs);
        else
            memcpy(xs, x, count * l->in * sizeof *xs);
        memset(xs + count * l->in, 0, (p->rows - count) * l->in * sizeof *xs);
        src = xs;
    }
    if (count < p->rows) {
        dst = (void *)(slot + l->y_at);
        if (add) memcpy(dst, y, count * l->out * sizeof *dst);
    }
    execute(l, p, src, dst, slot, add);
    if (count < p->rows) memcpy(y, dst, count * l->out * sizeof *dst);
}

/* Rows from the largest blocks down; the last may be short. */
static void apply_rows(const nsamp_layer *l, size_t rows, const float *x, float *y, bool add, size_t slot) {
    char *own = NULL;
    char *scratch = l->scratch + slot * l->slot_bytes;
    if (slot >= l->slots) { /* more threads than there were processors when the layer was made */
        void *p = NULL;
        if (posix_memalign(&p, 64, l->slot_bytes)) abort();
        scratch = own = p;
    }
    while (rows) {
        size_t i = 0;
        while (i + 1 < BLOCK_SIZES && (!l->products[i].rows || l->products[i].rows > rows))
            i++;
        size_t count = rows < l->products[i].rows ? rows : l->products[i].rows;
        apply_block(l, &l->products[i], count, x, y, add, scratch);
        rows -= count;
        x += count * l->in;
        y += count * l->out;
    }
    free(own);
}

/* Rows that a team shares. */
typedef struct shared {
    const nsamp_layer *l;
    size_t rows, step;
    const float *x;
    float *y;
    bool add;
} shared;

static void shared_piece(void *user, size_t piece, int thread) {
    const shared *const s = user;
    const size_t first = piece * s->step, left = s->rows - first;
    apply_rows(s->l, left < s->step ? left : s->step, s->x + first * s->l->in, s->y + first * s->l->out,
               s->add, (size_t)thread);
}

void nsamp_layer_apply(const nsamp_layer *l, size_t rows, const float *x, float *y, bool accumulate) {
    if (l->plain) {
        nsamp_plain_apply(l->plain, rows, x, y, accumulate);
        return;
    }
    if (omp_in_parallel()) {
        apply_rows(l, rows, x, y, accumulate, (size_t)omp_get_thread_num());
        return;
    }
    /* The largest blocks that give every thread one. */
    const int threads = omp_get_max_threads();
    size_t step = block_rows[BLOCK_SIZES - 1];
    for (size_t i = BLOCK_SIZES; i-- > 0;)
        if (l->products[i].rows && rows / l->products[i].rows >= (size_t)threads) step = l->products[i].rows;
    shared s = {l, rows, step, x, y, accumulate};
    omp_set_num_threads(1); /* within a piece the library must not use more */
    nsamp_team_for(threads, (rows + step - 1) / step, shared_piece, &s);
    omp_set_num_threads(threads);
}

static const char *isa_name(void) {
    switch (dnnl_get_effective_cpu_isa()) {
    case dnnl_cpu_isa_sse41:
        return "sse41";
    case dnnl_cpu_isa_avx:
        return "avx";
    case dnnl_cpu_isa_avx2:
        return "avx2";
    case dnnl_cpu_isa_avx2_vnni:
        return "avx2_vnni";
    case dnnl_cpu_isa_avx512_core:
        return "avx512_core";
    case dnnl_cpu_isa_avx512_core_vnni:
        return "avx512_core_vnni";
    case dnnl_cpu_isa_avx512_core_bf16:
        return "avx512_core_bf16";
    case dnnl_cpu_isa_avx512_core_amx:
        return "avx512_core_amx";
    default:
        return "another instruction set";
    }
}

const char *nsamp_matmul_name(void) {
    static char name[64];
#pragma omp critical(nsamp_matmul_name)
    if (!name[0]) {
        const dnnl_version_t *v = dnnl_version();
        snprintf(name, sizeof name, "oneDNN %d.%d.%d, %s", v->major, v->minor, v->patch, isa_name());
    }
    return name;
}

#endif
