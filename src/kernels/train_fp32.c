/* train_fp32.c: see train_fp32.h. Compiled for each instruction set as cpu.c is. */
#include "kernels/train_fp32.h"

#include <string.h>

#include "kernels/isa_name.h"

enum {
    LANES = NSAMP_TRAIN_FP32_LANES,
    ROWS = NSAMP_SUMS_ROWS,
    W = NSAMP_WIDTH,
    STEP = 16,
    STRIP = 8, /* terms of a block of sums between which LINES lines are fetched */
    LINES = 4,
    TOGETHER = 8 * LANES,
    NARROW = 8, /* inputs that fill half a vector at most */
    LINE = 64   /* bytes */
};

typedef nsamp_train_fp32 shape;
typedef nsamp_train_fp32_batch batch;
typedef nsamp_train_fp32_ahead ahead;
typedef nsamp_sums_terms terms;

/* Lanes of the group or panel that begins with number `first` of `count`, in whole steps of 16. */
static inline uint32_t lanes_of(uint32_t first, uint32_t count) {
    return nsamp_lesser((count - first + STEP - 1) / STEP * STEP, LANES);
}

/* ---- what is done between products ------------------------------------------------------------------------- */

/* What a call fetches: first what it reads soon, of the next rows or inputs, then what its caller asked for. */
enum { SOON = 2, ARRAYS = SOON + 4 };
typedef struct fetch {
    struct {
        const float *at;
        size_t count; /* numbers from there on */
    } array[ARRAYS];
} fetch;

/* Of each strip of a block: LINES lines from `next` on. */
typedef struct lines {
    const char *next;
    size_t step;
} lines;

static fetch fetch_of(const ahead *ahead) {
    fetch f = {0};
    for (uint32_t k = 0; k < ARRAYS - SOON; k++)
        if (ahead->from[k]) f.array[SOON + k].at = ahead->from[k], f.array[SOON + k].count = ahead->count;
    return f;
}

/* For a block of n terms; where there is nothing more, lines that are looked at anyway. */
static lines lines_of(fetch *f, const float *anyway, uint32_t n) {
    const size_t numbers = (size_t)((n + STRIP - 1) / STRIP) * LINES * (LINE / sizeof(float));
    for (uint32_t k = 0; k < ARRAYS; k++)
        if (f->array[k].count) {
            const lines l = {(const char *)f->array[k].at, LINES * LINE};
            const size_t now = numbers < f->array[k].count ? numbers : f->array[k].count;
            f->array[k].at += now;
            f->array[k].count -= now;
            return l;
        }
    return (lines){(const char *)anyway, 0};
}

static void read_soon(fetch *f, uint32_t k, const float *at, size_t count) {
    f->array[k].at = at;
    f->array[k].count = count;
}

/* ---- blocks of sums: functions of their own, so that each is there once ------------------------------------ */

/* A block of R rows of sums by G lanes, a multiple of 16 and at most 64. Terms come in runs of `run`, each with its w `jump` numbers behind the last. */
typedef struct task {
    terms terms;
    uint32_t run;
    size_t jump;
    int from, as;
    const float *there; /* what the sums begin with, */
    float *to;          /* and where they go, [R][64] */
    uint32_t G;
} task;

NSAMP_HD void piece(const uint32_t R, const uint32_t V, const task *p, lines l) {
    const uint32_t n = p->terms.n;
    nsamp_floats t[NSAMP_SUMS_ALL];
    if (p->from == NSAMP_SUMS_FROM_BIAS)
        nsamp_sums_begin(R, V, NSAMP_SUMS_FROM_BIAS, p->there, LANES, t);
    else if (p->from == NSAMP_SUMS_FROM_ZERO)
        nsamp_sums_begin(R, V, NSAMP_SUMS_FROM_ZERO, p->there, LANES, t);
    else
        nsamp_sums_begin(R, V, NSAMP_SUMS_FROM_THERE, p->there, LANES, t);
    terms strip = p->terms;
    const float *w = p->terms.w;
    for (uint32_t first = 0; first < n; first += p->run, w += p->jump) {
        const uint32_t last = nsamp_lesser(n, first + p->run);
        strip.w = w;
        strip.z = p->terms.z + first * strip.zs;
        for (uint32_t i = first; i < last; i += STRIP) {
            strip.n = nsamp_lesser(last - i, STRIP);
            NSAMP_UNROLL for (uint32_t k = 0; k < LINES; k++) __builtin_prefetch(l.next + k * LINE, 0, 2);
            nsamp_sums_add(R, V, &strip, t);
            strip.w += STRIP * strip.ws;
            strip.z += STRIP * strip.zs;
            l.next += l.step;
        }
    }
    if (p->as == NSAMP_SUMS_RELU_OR_NAN)
        nsamp_sums_put(R, V, NSAMP_SUMS_RELU_OR_NAN, t, p->to, LANES);
    else
        nsamp_sums_put(R, V, NSAMP_SUMS_PLAIN, t, p->to, LANES);
}

NSAMP_HD void all_lanes(const uint32_t R, const task *p, lines ahead) {
    if (W == 16) {
        if (p->G == 4 * W)
            piece(R, 4, p, ahead);
        else if (p->G == 3 * W)
            piece(R, 3, p, ahead);
        else if (p->G == 2 * W)
            piece(R, 2, p, ahead);
        else
            piece(R, 1, p, ahead);
        return;
    }
    task some = *p;
    for (uint32_t l = 0; l < p->G; l += 2 * W) {
        piece(R, 2, &some, ahead);
        ahead = (lines){(const char *)p->terms.z, 0}; /* they are fetched once */
        some.terms.z += 2 * W;
        some.to += 2 * W;
        if (p->from == NSAMP_SUMS_FROM_THERE) some.there += 2 * W;
    }
}

NSAMP_HD_CALL void six(const task *p, lines ahead) {
    all_lanes(6, p, ahead);
}
NSAMP_HD_CALL void four(const task *p, lines ahead) {
    all_lanes(4, p, ahead);
}
NSAMP_HD_CALL void two(const task *p, lines ahead) {
    all_lanes(2, p, ahead);
}
NSAMP_HD_CALL void one(const task *p, lines ahead) {
    all_lanes(1, p, ahead);
}

/* A block of what is left of `rows` rows -> how many of them. */
static inline uint32_t block(uint32_t rows, const task *p, fetch *f) {
    const lines ahead = lines_of(f, p->terms.z, p->terms.n);
    if (rows >= ROWS) return six(p, ahead), ROWS;
    if (rows >= 4) return four(p, ahead), 4;
    if (rows >= 2) return two(p, ahead), 2;
    return one(p, ahead), 1;
}

/* ---- rows of a batch --------------------------------------------------------------------------------------- */

static void take(const shape *s, uint32_t first, uint32_t count, uint32_t input, const float *x,
                 const batch *to) {
    const uint32_t there = nsamp_lesser(s->m - input, LANES);
    float *const across = to->across + (size_t)first * s->m + (size_t)input * LANES, *const down =
                                                                                         to->down +
                                                                                         (size_t)input *
                                                                                             s->rows +
                                                                                         (size_t)first *
                                                                                             LANES;
    for (uint32_t i = 0; i < there; i++) {
        for (uint32_t r = 0; r < count; r++)
            across[i * LANES + r] = x[(size_t)r * s->m + input + i];
        for (uint32_t r = count; r < LANES; r++)
            across[i * LANES + r] = 0.0f;
    }
    for (uint32_t r = 0; r < count; r++) {
        memcpy(down + r * LANES, x + (size_t)r * s->m + input, there * sizeof *x);
        memset(down + r * LANES + there, 0, (LANES - there) * sizeof *x);
    }
}

/* ---- forward ----------------------------------------------------------------------------------------------- */

NSAMP_HD void activate(const int phi, uint32_t count, float *h) {
    NSAMP_FOR_LANES(l, count) h[l] = nsamp_activate(phi, h[l]);
}

static void forward(const shape *s, uint32_t units, const float *w2, const float *w1, const float *b,
                    const batch *x, bool add, const ahead *ahead, float *h, float *f) {
    const uint32_t m = s->m;
    const int as = s->activation == NSAMP_TRAIN_RELU ? NSAMP_SUMS_RELU_OR_NAN : NSAMP_SUMS_PLAIN,
              from = add ? NSAMP_SUMS_FROM_THERE : NSAMP_SUMS_FROM_ZERO;
    fetch fetched = fetch_of(ahead);
    for (uint32_t r = 0; r < s->rows; r += LANES, h += (size_t)units * LANES, f += (size_t)m * LANES) {
        const uint32_t G = lanes_of(r, s->rows);
        if (s->rows - r > LANES) {
            read_soon(&fetched, 0, x->across + (size_t)(r + LANES) * m, (size_t)m * LANES);
            if (add) read_soon(&fetched, 1, f + (size_t)m * LANES, (size_t)m * LANES);
        }
        for (uint32_t u = 0, done; u < units; u += done) {
            const terms sums = {w2 + (size_t)u * m, x->across + (size_t)r * m, 1, m, LANES, m};
            float *const hu = h + (size_t)u * LANES;
            const task hidden = {sums, m, 0, NSAMP_SUMS_FROM_BIAS, as, b + u, hu, G};
            done = block(units - u, &hidden, &fetched);
            if (s->activation == NSAMP_TRAIN_TANH)
                activate(NSAMP_TRAIN_TANH, done * LANES, hu);
            else if (s->activation == NSAMP_TRAIN_SOFTPLUS)
                activate(NSAMP_TRAIN_SOFTPLUS, done * LANES, hu);
        }
        for (uint32_t i = 0, done; i < m; i += done) {
            const terms sums = {w1 + i, h, m, 1, LANES, units};
            float *const fi = f + (size_t)i * LANES;
            const task outputs = {sums, units, 0, from, NSAMP_SUMS_PLAIN, fi, fi, G};
            done = block(m - i, &outputs, &fetched);
        }
    }
}

/* ---- back -------------------------------------------------------------------------------------------------- */

/* d [G] *= phi'(h), and what each of 16 lanes has -> added to sums [16]. */
NSAMP_HD void slopes(const int phi, uint32_t G, const float *h, float *d, float *sums) {
    float lanes[STEP];
    memcpy(lanes, sums, sizeof lanes);
    for (uint32_t l = 0; l < G; l += STEP) {
        float part[STEP];
        NSAMP_FOR_LANES(j, STEP) part[j] = d[l + j] * nsamp_slope(phi, h[l + j]);
        NSAMP_FOR_LANES(j, STEP) lanes[j] += part[j];
        memcpy(d + l, part, sizeof part);
    }
    memcpy(sums, lanes, sizeof lanes);
}

static void back(const shape *s, uint32_t units, const float *w1, const batch *e, const float *h,
                 const ahead *ahead, float *d, float *gb) {
    const uint32_t m = s->m;
    float lanes[NSAMP_TRAIN_FP32_UNITS][STEP];
    memset(lanes, 0, units * sizeof lanes[0]);
    fetch fetched = fetch_of(ahead);
    for (uint32_t r = 0; r < s->rows; r += LANES, h += (size_t)units * LANES, d += (size_t)units * LANES) {
        const uint32_t G = lanes_of(r, s->rows);
        if (s->rows - r > LANES) {
            read_soon(&fetched, 0, e->across + (size_t)(r + LANES) * m, (size_t)m * LANES);
            read_soon(&fetched, 1, h + (size_t)units * LANES, (size_t)units * LANES);
        }
        for (uint32_t u = 0, done; u < units; u += done) {
            const terms sums = {w1 + (size_t)u * m, e->across + (size_t)r * m, 1, m, LANES, m};
            const task errors = {
                sums, m, 0, NSAMP_SUMS_FROM_ZERO, NSAMP_SUMS_PLAIN, NULL, d + (size_t)u * LANES, G};
            done = block(units - u, &errors, &fetched);
            for (uint32_t k = u; k < u + done; k++) {
                const float *const hk = h + (size_t)k * LANES;
                float *const dk = d + (size_t)k * LANES;
                if (s->activation == NSAMP_TRAIN_RELU)
                    slopes(NSAMP_TRAIN_RELU, G, hk, dk, lanes[k]);
                else if (s->activation == NSAMP_TRAIN_TANH)
                    slopes(NSAMP_TRAIN_TANH, G, hk, dk, lanes[k]);
                else
                    slopes(NSAMP_TRAIN_SOFTPLUS, G, hk, dk, lanes[k]);
            }
        }
    }
    for (uint32_t u = 0; u < units; u++) {
        gb[u] = 0.0f;
        for (uint32_t j = 0; j < STEP; j++)
            gb[u] += lanes[u][j];
    }
}

/* ---- gradients and Adam ------------------------------------------------------------------------------------ */

/* As nsamp_adam_moments and nsamp_adam_weight, k weights together; k is W or, where `some`, less. */
NSAMP_HD void step_vector(const bool some, const nsamp_adam *a, nsamp_floats g, float *w, float *m, float *v,
                          float *seen, uint32_t k) {
#define LOAD(p)     (some ? nsamp_floats_load_some((p), k) : nsamp_floats_load(p))
#define STORE(p, x) (some ? nsamp_floats_store_some((p), (x), k) : nsamp_floats_store((p), (x)))
    const nsamp_floats old = LOAD(w);
    g = nsamp_floats_fma(nsamp_floats_all(a->decay), old, g);
    const nsamp_floats mean = nsamp_floats_normal_or_zero(
                           nsamp_floats_fma(nsamp_floats_all(a->beta1), LOAD(m),
                                            nsamp_floats_mul(nsamp_floats_all(1.0f - a->beta1), g))),
                       square = nsamp_floats_normal_or_zero(nsamp_floats_fma(
                           nsamp_floats_all(a->beta2), LOAD(v),
                           nsamp_floats_mul(nsamp_floats_all(1.0f - a->beta2), nsamp_floats_mul(g, g))));
    STORE(m, mean);
    STORE(v, square);
    nsamp_floats largest = square;
    if (seen) {
        largest = nsamp_floats_max(square, LOAD(seen));
        STORE(seen, largest);
    }
    const nsamp_floats below = nsamp_floats_fma(nsamp_floats_sqrt(largest), nsamp_floats_all(a->unbias),
                                                nsamp_floats_all(a->epsilon));
    STORE(w, nsamp_floats_fma(nsamp_floats_all(-a->rate), nsamp_floats_div(mean, below), old));
#undef LOAD
#undef STORE
}

/* A block of weights, rows by columns of a matrix of m columns from number `at` on; g [rows][64], used up. */
NSAMP_HD_CALL void step_block(const nsamp_adam *adam, float *g, const nsamp_train_fp32_weights *to, size_t at,
                              uint32_t m, uint32_t rows, uint32_t columns) {
    const nsamp_adam a = *adam;
    if (m <= NARROW) { /* the block has the whole rows, and they lie behind one another */
        for (uint32_t r = 1; r < rows; r++)
            for (uint32_t c = 0; c < m; c++)
                g[r * m + c] = g[r * LANES + c];
        columns = rows * m;
        rows = 1;
    }
    for (uint32_t r = 0; r < rows; r++, at += m, g += LANES) {
        float *const seen = to->seen ? to->seen + at : NULL;
        uint32_t c = 0;
        for (; c + W <= columns; c += W)
            step_vector(false, &a, nsamp_floats_load(g + c), to->w + at + c, to->m + at + c, to->v + at + c,
                        seen ? seen + c : NULL, W);
        if (c < columns)
            step_vector(true, &a, nsamp_floats_load_some(g + c, columns - c), to->w + at + c, to->m + at + c,
                        to->v + at + c, seen ? seen + c : NULL, columns - c);
    }
}

/* Sums go on over up to TOGETHER rows while they are in registers; of larger batches they wait in scratch. */
static void step(const shape *s, uint32_t units, const float *left, const batch *right,
                 const nsamp_adam *adam, const ahead *ahead, float *scratch,
                 const nsamp_train_fp32_weights *to) {
    const uint32_t m = s->m;
    float known[ROWS * LANES] __attribute__((aligned(64)));
    fetch fetched = fetch_of(ahead);
    for (uint32_t r = 0; r < s->rows; r += TOGETHER, left += (size_t)units * TOGETHER)
        for (uint32_t i = 0; i < m; i += LANES) {
            const uint32_t rows = nsamp_lesser(s->rows - r, TOGETHER);
            const float *const z = right->down + ((size_t)i / LANES * s->rows + r) * LANES;
            if (i + LANES < m) read_soon(&fetched, 0, z + (size_t)s->rows * LANES, (size_t)rows * LANES);
            for (uint32_t u = 0, done; u < units; u += done) {
                const bool last = s->rows - r <= TOGETHER;
                const terms sums = {left + (size_t)u * LANES, z, 1, LANES, LANES, rows};
                float *const there = scratch + ((size_t)i / LANES * units + u) * LANES;
                const task gradient = {sums,
                                       LANES,
                                       (size_t)units * LANES,
                                       r ? NSAMP_SUMS_FROM_THERE : NSAMP_SUMS_FROM_ZERO,
                                       NSAMP_SUMS_PLAIN,
                                       there,
                                       last ? known : there,
                                       lanes_of(i, m)};
                done = block(units - u, &gradient, &fetched);
                if (last) step_block(adam, known, to, (size_t)u * m + i, m, done, nsamp_lesser(m - i, LANES));
            }
        }
}

/* ---- outputs ----------------------------------------------------------------------------------------------- */

static void outputs(const shape *s, size_t parts, size_t stride, const float *f, uint32_t first,
                    uint32_t count, uint32_t output, float *to) {
    const uint32_t last = nsamp_lesser(s->m - output, LANES) + output;
    for (uint32_t i = output; i < last; i++) {
        const float *from = f + (size_t)first * s->m + (size_t)i * LANES;
        float sums[LANES];
        memcpy(sums, from, sizeof sums);
        for (size_t p = 1; p < parts; p++) {
            from += stride;
            NSAMP_FOR_LANES(l, LANES) sums[l] += from[l];
        }
        for (uint32_t r = 0; r < count; r++)
            to[(size_t)r * s->m + i] = sums[r];
    }
}

const nsamp_train_fp32_kernels NSAMP_PASTE(nsamp_train_fp32_, NSAMP_ISA) = {
    NSAMP_TEXT(NSAMP_ISA), take, forward, back, step, outputs};
