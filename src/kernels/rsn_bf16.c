/* rsn_bf16.c: see rsn_bf16.h. Compiled for each instruction set as cpu.c is, and once more for the matrix unit; all give the same bits. */
#include "kernels/rsn_bf16.h"

#include "kernels/amx.h"
#include "kernels/systems/rsn.h"

enum {
    LANES = NSAMP_RSN_BF16_LANES,
    SIDE = NSAMP_AMX_SIDE,
    DEPTH = NSAMP_AMX_DEPTH,
    FACTORS = NSAMP_AMX_FACTORS,
    SUMS = NSAMP_AMX_SUMS,
    PAIRS = SUMS, /* of bf16 numbers in a right tile */
    ROWS = 32     /* pairs of rows of 16 in 32 units by 32 chains */
};

typedef nsamp_rsn_bf16_parts parts;

/* The products of parts: of the weight and of the other factor, in the order that loads the fewest tiles. Of factors in one part the
 * fifth alone. */
enum { PRODUCTS = 6, ONLY = 4 };
static const unsigned char left_part[PRODUCTS] = {2, 1, 1, 0, 0, 0},
                           right_part[PRODUCTS] = {0, 0, 1, 1, 0, 2};

/* Rows of 16 numbers -> P parts of their pairs, `stride` pairs from one to the next. even and odd are used up. */
NSAMP_HD void split(const uint32_t P, float *even, float *odd, uint32_t *to, size_t stride) {
    NSAMP_UNROLL for (uint32_t i = 0; i < P; i++, to += stride) {
        nsamp_amx_pairs(false, even, odd, to);
        if (i + 1 == P) continue;
        NSAMP_FOR_LANES(j, SIDE) {
            even[j] -= nsamp_float_of(to[j] << 16);
            odd[j] -= nsamp_float_of(to[j] & 0xffff0000u);
        }
    }
}

/* x [m][L] -> pairs of its parts. */
NSAMP_HD void narrow_x(const uint32_t P, uint32_t m, uint32_t L, uint32_t depth, const float *x,
                       uint32_t *to) {
    for (uint32_t g = 0; g < L; g += LANES)
        for (uint32_t k = 0; k < depth * DEPTH; k += 2)
            for (uint32_t c = 0; c < 2; c++) {
                const float *const row = x + (size_t)k * L + g + c * SIDE;
                float even[SIDE] = {0}, odd[SIDE] = {0};
                if (k < m) memcpy(even, row, sizeof even);
                if (k + 1 < m) memcpy(odd, row + L, sizeof odd);
                split(P, even, odd,
                      to + (((size_t)(g / LANES) * depth + k / DEPTH) * P * 2 + c) * PAIRS +
                          k % DEPTH / 2 * SIDE,
                      2 * PAIRS);
            }
}

/* Pairs of rows first to last - 1 of the 32 of four tiles of sums (units 0 to 15 of two times 16 chains, then units 16 to 31)
 * -> phi of them in two right tiles a part. */
NSAMP_HD void narrow_units(const uint32_t phi, const uint32_t P, const float *sums, uint32_t first,
                           uint32_t last, uint32_t *to) {
    for (uint32_t i = first; i < last; i++) {
        const float *const rows = sums + i * 2 * SIDE;
        uint32_t *const row = to + (i / 8 % 2 * SIDE + i / 16 * 8 + i % 8) * SIDE;
        if (phi == NSAMP_RSN_RELU && P == 1) {
            nsamp_amx_pairs(true, rows, rows + SIDE, row);
            continue;
        }
        float a[2 * SIDE] __attribute__((aligned(64)));
        NSAMP_FOR_LANES(j, 2 * SIDE) a[j] = nsamp_rsn_phi(phi, rows[j]);
        split(P, a, a + SIDE, row, 2 * PAIRS);
    }
}

/* Lines of the next panel's weights, fetched into the second-level cache while this one is worked on: `each` at a time. */
typedef struct ahead {
    const char *next, *end;
    uint32_t each; /* bytes */
} ahead;

NSAMP_HD void fetch(ahead *a) {
    const char *const until = (size_t)(a->end - a->next) < a->each ? a->end : a->next + a->each;
    for (; a->next < until; a->next += 64)
        __builtin_prefetch(a->next, 0, 2);
}

/* The hidden units of one panel for 32 chains. What the vector ports do to one block of 32 units is put between the products of the
 * next. */
NSAMP_HD void units_of_panel(nsamp_amx *t, const nsamp_rsn_bf16 *q, const uint32_t phi, const uint32_t P,
                             const nsamp_bf16 *w, uint32_t first, uint32_t count, const uint32_t *x,
                             uint32_t *hidden, ahead *weights) {
    float sums[2][4 * SUMS] __attribute__((aligned(64)));
    const uint32_t from = P == 1 ? ONLY : 0, until = P == 1 ? ONLY + 1 : PRODUCTS;
    const uint32_t each = (ROWS + q->depth * (until - from) - 1) / (q->depth * (until - from));
    const float *bias = q->bias + (size_t)first * SIDE;
    (void)t;
    for (uint32_t u = 0; u < count / DEPTH; u++, bias += 2 * SUMS) {
        const float *const before = sums[(u + 1) % 2];
        uint32_t *const to = hidden + (u ? u - 1 : 0) * P * (2 * PAIRS);
        const uint32_t *xk = x;
        uint32_t done = u ? 0 : ROWS;
        NSAMP_AMX_GET(t, 0, bias);
        NSAMP_AMX_GET(t, 1, bias);
        NSAMP_AMX_GET(t, 2, bias + SUMS);
        NSAMP_AMX_GET(t, 3, bias + SUMS);
        for (uint32_t k = 0; k < q->depth; k++, w += P * (2 * FACTORS), xk += P * (2 * PAIRS))
            NSAMP_UNROLL for (uint32_t s = from; s < until; s++) {
                const bool left = s == from || left_part[s] != left_part[s - 1],
                           right = s == from || right_part[s] != right_part[s - 1];
                fetch(weights);
                if (left) NSAMP_AMX_LEFT(t, 4, w + left_part[s] * (2 * FACTORS));
                if (right) NSAMP_AMX_RIGHT(t, 6, xk + right_part[s] * (2 * PAIRS));
                NSAMP_AMX_PRODUCT(t, 0, 4, 6);
                if (left) NSAMP_AMX_LEFT(t, 5, w + left_part[s] * (2 * FACTORS) + FACTORS);
                NSAMP_AMX_PRODUCT(t, 2, 5, 6);
                if (right) NSAMP_AMX_RIGHT(t, 7, xk + right_part[s] * (2 * PAIRS) + PAIRS);
                NSAMP_AMX_PRODUCT(t, 1, 4, 7);
                NSAMP_AMX_PRODUCT(t, 3, 5, 7);
                const uint32_t next = done + each < ROWS ? done + each : ROWS;
                narrow_units(phi, P, before, done, next, to);
                done = next;
            }
        float *const now = sums[u % 2];
        NSAMP_AMX_PUT(t, 0, now);
        NSAMP_AMX_PUT(t, 1, now + SUMS);
        NSAMP_AMX_PUT(t, 2, now + 2 * SUMS);
        NSAMP_AMX_PUT(t, 3, now + 3 * SUMS);
    }
    const uint32_t last = count / DEPTH - 1;
    narrow_units(phi, P, sums[last % 2], 0, ROWS, hidden + last * P * (2 * PAIRS));
}

/* y += W1 hidden of one panel for 32 chains, in tiles; from the first panel y = W1 hidden. */
NSAMP_HD void outputs_of_panel(nsamp_amx *t, const nsamp_rsn_bf16 *q, const uint32_t P, const nsamp_bf16 *w,
                               uint32_t first, uint32_t count, const uint32_t *hidden, float *y) {
    const uint32_t from = P == 1 ? ONLY : 0, until = P == 1 ? ONLY + 1 : PRODUCTS;
    (void)t;
    for (uint32_t i = 0; i < q->rows; i += 2, y += 4 * SUMS) {
        const bool two = i + 1 < q->rows;
        const uint32_t together = two ? 2 * FACTORS : FACTORS;
        const uint32_t *h = hidden;
        if (first) {
            NSAMP_AMX_GET(t, 0, y);
            NSAMP_AMX_GET(t, 1, y + SUMS);
            if (two) {
                NSAMP_AMX_GET(t, 2, y + 2 * SUMS);
                NSAMP_AMX_GET(t, 3, y + 3 * SUMS);
            }
        } else {
            NSAMP_AMX_CLEAR(t, 0);
            NSAMP_AMX_CLEAR(t, 1);
            NSAMP_AMX_CLEAR(t, 2);
            NSAMP_AMX_CLEAR(t, 3);
        }
        for (uint32_t k = 0; k < count / DEPTH; k++, h += P * (2 * PAIRS), w += P * together)
            NSAMP_UNROLL for (uint32_t s = from; s < until; s++) {
                const bool left = s == from || left_part[s] != left_part[s - 1],
                           right = s == from || right_part[s] != right_part[s - 1];
                if (left) NSAMP_AMX_LEFT(t, 4, w + left_part[s] * together);
                if (right) NSAMP_AMX_RIGHT(t, 6, h + right_part[s] * (2 * PAIRS));
                NSAMP_AMX_PRODUCT(t, 0, 4, 6);
                if (two) {
                    if (left) NSAMP_AMX_LEFT(t, 5, w + left_part[s] * together + FACTORS);
                    NSAMP_AMX_PRODUCT(t, 2, 5, 6);
                }
                if (right) NSAMP_AMX_RIGHT(t, 7, h + right_part[s] * (2 * PAIRS) + PAIRS);
                NSAMP_AMX_PRODUCT(t, 1, 4, 7);
                if (two) NSAMP_AMX_PRODUCT(t, 3, 5, 7);
            }
        NSAMP_AMX_PUT(t, 0, y);
        NSAMP_AMX_PUT(t, 1, y + SUMS);
        if (!two) continue;
        NSAMP_AMX_PUT(t, 2, y + 2 * SUMS);
        NSAMP_AMX_PUT(t, 3, y + 3 * SUMS);
    }
}

/* Bytes of weights that leave room in a second-level cache for another panel; and that stay there altogether. */
enum { PANEL_BYTES = 512 << 10, RESIDENT_BYTES = 1 << 20 };

/* All panels for all chains of the tile; the weights of a panel stay in the second-level cache for them. */
NSAMP_HD void panels(const nsamp_rsn_bf16 *q, const uint32_t phi, const uint32_t P, uint32_t L,
                     const parts *s) {
    const uint32_t panel = nsamp_rsn_bf16_panel(P), groups = L / LANES;
    const size_t unit = ((size_t)q->depth * DEPTH + (size_t)q->rows * SIDE) * P; /* weights of a unit */
    const bool far = unit * panel * sizeof(nsamp_bf16) <= PANEL_BYTES &&
                     unit * q->units * sizeof(nsamp_bf16) > RESIDENT_BYTES;
    nsamp_amx t;
    nsamp_amx_begin(&t);
    for (uint32_t first = 0, count; first < q->units; first += count) {
        count = q->units - first < panel ? q->units - first : panel;
        const uint32_t next = first + count < q->units ? first + count : 0,
                       after = q->units - next < panel ? q->units - next : panel,
                       times = groups * (count / DEPTH) * q->depth * (P == 1 ? 1 : PRODUCTS);
        const nsamp_bf16 *const w = q->weights + first * unit;
        ahead weights = {(const char *)(q->weights + next * unit),
                         (const char *)(q->weights + (far ? next + after : next) * unit),
                         (uint32_t)((unit * after * sizeof(nsamp_bf16) / 64 + times - 1) / times * 64)};
        for (uint32_t g = 0; g < groups; g++) {
            units_of_panel(&t, q, phi, P, w, first, count, s->x + (size_t)g * q->depth * P * (2 * PAIRS),
                           s->hidden, &weights);
            outputs_of_panel(&t, q, P, w + (size_t)count * q->depth * P * DEPTH, first, count, s->hidden,
                             s->sums + (size_t)g * q->rows * (2 * SUMS));
        }
    }
    NSAMP_AMX_END(&t);
}

/* phi is a constant in each call. */
NSAMP_HD void panels_of(const nsamp_rsn_bf16 *q, uint32_t phi, const uint32_t P, uint32_t L, const parts *s) {
    if (phi == NSAMP_RSN_RELU)
        panels(q, NSAMP_RSN_RELU, P, L, s);
    else if (phi == NSAMP_RSN_TANH)
        panels(q, NSAMP_RSN_TANH, P, L, s);
    else
        panels(q, NSAMP_RSN_SOFTPLUS, P, L, s);
}

/* Called, so that no arithmetic of the caller moves to where subnormal numbers are 0. */
NSAMP_HD_CALL void products(const nsamp_rsn_bf16 *q, uint32_t phi, uint32_t L, const parts *s) {
    if (q->parts == 1)
        panels_of(q, phi, 1, L, s);
    else
        panels_of(q, phi, 3, L, s);
}

/* y [m][L] = W1 phi(W2 x + b). */
NSAMP_HD void apply(const nsamp_rsn_params *p, const float *x, uint32_t L, const parts *s, float *y) {
    const nsamp_rsn_bf16 *const q = (const nsamp_rsn_bf16 *)p->product;
    if (q->parts == 1)
        narrow_x(1, p->dim, L, q->depth, x, s->x);
    else
        narrow_x(3, p->dim, L, q->depth, x, s->x);
    const unsigned mode = nsamp_amx_flush_begin();
    products(q, p->activation, L, s);
    nsamp_amx_flush_end(mode);
    for (uint32_t g = 0; g < L / LANES; g++)
        for (uint32_t k = 0; k < p->dim; k++)
            for (uint32_t c = 0; c < 2; c++) {
                const float *const from =
                    s->sums + ((size_t)(g * q->rows + k / SIDE) * 2 + c) * SUMS + k % SIDE * SIDE;
                memcpy(y + (size_t)k * L + g * LANES + c * SIDE, from, SIDE * sizeof *y);
            }
}

NSAMP_HD void steps(const void *params, const nsamp_tile *tile, uint64_t step0, uint32_t nsteps) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)params;
    const uint32_t L = tile->lanes;
    parts s;
    nsamp_rsn_bf16_carve((const nsamp_rsn_bf16 *)p->product, p->dim, L, (float *)tile->scratch, &s);
    for (uint32_t n = 0; n < nsteps; n++) {
        nsamp_rsn_normals(tile, p->dim, step0 + n, s.xi, 64, L);
        apply(p, tile->state, L, &s, s.y);
        nsamp_rsn_move(p, tile, s.y, s.xi, n, L);
    }
}

/* As in cpu.c: the rounds of the noise are a constant in each copy. */
static void advance(const void *params, const nsamp_tile *tile, uint64_t step0, uint32_t nsteps) {
    nsamp_tile copy = *tile;
    if (tile->noise.rounds == 7) {
        copy.noise.rounds = 7;
        steps(params, &copy, step0, nsteps);
    } else {
        copy.noise.rounds = 10;
        steps(params, &copy, step0, nsteps);
    }
}

static void observe(const void *params, const nsamp_tile *tile, float *x) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)params;
    parts s;
    if (!p->jump) {
        memcpy(x, tile->state, sizeof *x * p->dim * tile->lanes);
        return;
    }
    nsamp_rsn_bf16_carve((const nsamp_rsn_bf16 *)p->product, p->dim, tile->lanes, (float *)tile->scratch, &s);
    apply(p, tile->state, tile->lanes, &s, x);
}

#define NSAMP_PASTE2(a, b) a##b
#define NSAMP_PASTE(a, b)  NSAMP_PASTE2(a, b)
#define NSAMP_TEXT2(a)     #a
#define NSAMP_TEXT(a)      NSAMP_TEXT2(a)

const nsamp_cpu_kernel NSAMP_PASTE(nsamp_rsn_bf16_, NSAMP_ISA) = {"rsn_bf16_" NSAMP_TEXT(NSAMP_ISA), 0,
                                                                  advance, observe};
