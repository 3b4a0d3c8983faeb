/* eigen.c: see eigen.h. */
#include "eigen.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "isa.h"
#include "team.h"

const nsamp_doubles_kernels *nsamp_doubles(void) {
#ifdef NSAMP_X86_64
    const char *const isa = nsamp_isa_best();
    if (!strcmp(isa, "v4")) return &nsamp_doubles_v4;
    if (!strcmp(isa, "v3")) return &nsamp_doubles_v3;
#endif
    return &nsamp_doubles_base;
}

static double dot(size_t n, const double *a, const double *b) {
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* sqrt(a^2 + b^2) without overflow or underflow; the library's hypot differs between machines. */
static double length_of(double a, double b) {
    a = fabs(a);
    b = fabs(b);
    const double large = a > b ? a : b, ratio = large > 0 ? (a > b ? b : a) / large : 0;
    return large * sqrt(1 + ratio * ratio);
}

/* ---- tridiagonal form
 * ---------------------------------------------------------------------------------------- */

/* T = H^T A H, H the product of reflections 1 - factor v v^T. */
typedef struct form {
    size_t n;
    double *a;              /* [n][n]: after reflection k, row k holds its v from number k + 1 on */
    double *factor;         /* [n] */
    double *diagonal, *off; /* [n]; off[i] lies between i and i + 1 */
} form;

/* v, w of the reflection that is still to be applied; y: room. [n] each, numbered as the matrix is. */
typedef struct pending {
    double *v, *w, *y;
} pending;

/* Beside the largest number of the matrix, which is about 1: a sum of squares. */
static const double NOTHING = 1e-280;

/* Row k is up to date: its reflection -> v, and what it leaves beside the diagonal. -> factor; 0: nothing to
 * reflect. */
static double reflection_of(size_t n, double *row, double *left) {
    const double beside = dot(n - 1, row + 1, row + 1);
    *left = row[0];
    if (beside < NOTHING) return 0;
    const double length = sqrt(row[0] * row[0] + beside);
    *left = row[0] > 0 ? -length : length;
    row[0] -= *left;
    return 2 / (row[0] * row[0] + beside);
}

static void make_tridiagonal(form *f, pending *p) {
    const nsamp_doubles_kernels *const k = nsamp_doubles();
    const size_t n = f->n;
    memset(p->v, 0, n * sizeof *p->v);
    memset(p->w, 0, n * sizeof *p->w);
    for (size_t i = 0; i < n; i++) {
        double *const row = f->a + i * n;
        for (size_t j = i; j < n; j++)
            row[j] -= p->v[i] * p->w[j] + p->w[i] * p->v[j];
        f->diagonal[i] = row[i];
        const size_t from = i + 1, left = n - from;
        if (!left) break;
        const double factor = f->factor[i] = reflection_of(left, row + from, &f->off[i]);
        if (factor == 0) memset(row + from, 0, left * sizeof *row);
        memset(p->y + from, 0, left * sizeof *p->y);
        k->reflect(left, p->v + from, p->w + from, row + from, f->a + from * n + from, n, p->y + from);
        /* factor^2 alone may be too large */
        const double half = factor * (factor / 2 * dot(left, row + from, p->y + from));
        for (size_t j = from; j < n; j++) {
            p->v[j] = row[j];
            p->w[j] = factor * p->y[j] - half * row[j];
        }
    }
}

/* ---- QL
 * ------------------------------------------------------------------------------------------------------ */

/* All rotations, in sweeps from a row upwards. */
typedef struct rotations {
    size_t count, room, sweeps, sweep_room;
    double *cs;         /* [count][2] */
    size_t (*sweep)[2]; /* [sweeps]: rows of the first rotation, of the last */
} rotations;

/* Room for one more of `count` parts; NULL: no memory, and p is as it was. */
static void *grow(void *p, size_t *room, size_t count, size_t size) {
    if (count < *room) return p;
    const size_t more = *room ? 2 * *room : 1024;
    void *const q = more < SIZE_MAX / 2 / size ? realloc(p, more * size) : NULL;
    if (q) *room = more;
    return q;
}

/* One sweep of QL over rows l .. m; -> false: no memory. */
static bool sweep(double *d, double *e, size_t l, size_t m, rotations *all) {
    double g = (d[l + 1] - d[l]) / (2 * e[l]), r = length_of(g, 1);
    g = d[m] - d[l] + e[l] / (g + (g >= 0 ? r : -r));
    double s = 1, c = 1, p = 0;
    size_t i = m;
    void *more = grow(all->sweep, &all->sweep_room, all->sweeps, sizeof *all->sweep);
    if (!more) return false;
    all->sweep = more;
    while (i-- > l) {
        const double f = s * e[i], b = c * e[i];
        r = length_of(f, g);
        e[i + 1] = r;
        if (r == 0) { /* the matrix falls apart here */
            d[i + 1] -= p;
            e[m] = 0;
            break;
        }
        s = f / r;
        c = g / r;
        g = d[i + 1] - p;
        const double q = (d[i] - g) * s + 2 * c * b;
        p = s * q;
        d[i + 1] = g + p;
        g = c * q - b;
        more = grow(all->cs, &all->room, all->count, 2 * sizeof *all->cs);
        if (!more) return false;
        all->cs = more;
        all->cs[2 * all->count] = c;
        all->cs[2 * all->count + 1] = s;
        all->count++;
    }
    all->sweep[all->sweeps][0] = m - 1;
    all->sweep[all->sweeps][1] = i == SIZE_MAX || i < l ? l : i + 1;
    if (r == 0) {
        if (i + 1 < m) all->sweeps++; /* it turned something */
        return true;
    }
    all->sweeps++;
    d[l] -= p;
    e[l] = g;
    e[m] = 0;
    return true;
}

/* d, e -> eigenvalues in d, in no order, and the rotations that made them. Beside small numbers on the
 * diagonal small numbers count too; where that finds no end, because rounding makes such numbers, only those
 * that count in the whole matrix do. */
static nsamp_status make_diagonal(size_t n, double *d, double *e, rotations *all, nsamp_error *err) {
    enum { FINE_SWEEPS = 12, MOST_SWEEPS = 100 };
    double norm = 0;
    e[n - 1] = 0;
    for (size_t i = 0; i < n; i++)
        norm = fmax(norm, fabs(d[i]) + fabs(e[i]));
    for (size_t l = 0; l < n; l++)
        for (int tries = 0;; tries++) {
            size_t m = l;
            while (m + 1 < n &&
                   fabs(e[m]) >
                       DBL_EPSILON * (tries < FINE_SWEEPS ? fabs(d[m]) + fabs(d[m + 1]) : norm) + DBL_MIN)
                m++;
            if (m == l) break;
            if (tries == MOST_SWEEPS)
                return nsamp_fail(err, NSAMP_EINTERNAL,
                                  "the eigenvalues of a matrix of %zu rows do not converge", n);
            if (!sweep(d, e, l, m, all))
                return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the eigenvectors of %zu rows", n);
        }
    return NSAMP_OK;
}

/* ---- eigenvectors
 * -------------------------------------------------------------------------------------------- */

enum { STRIP = 64 }; /* vectors of a piece */

typedef struct vectors {
    const form *f;
    const rotations *all;
    const size_t *order; /* [n] rows of the eigenvalues, ascending */
    size_t count;
    double *x; /* [n][count]: columns are vectors */
} vectors;

/* Q G_1 G_2 ... of unit vectors: the last rotation first. */
static void make_vectors(void *user, size_t piece, int thread) {
    const vectors *const s = user;
    const nsamp_doubles_kernels *const k = nsamp_doubles();
    const size_t n = s->f->n, first = piece * STRIP,
                 width = s->count - first < STRIP ? s->count - first : STRIP;
    double *const x = s->x + first, t[STRIP];
    (void)thread;
    for (size_t i = 0; i < width; i++)
        x[s->order[n - s->count + first + i] * s->count + i] = 1;
    size_t at = s->all->count;
    for (size_t i = s->all->sweeps; i-- > 0;) {
        const size_t *const rows = s->all->sweep[i], turns = rows[0] - rows[1] + 1;
        at -= turns;
        const nsamp_rotations r = {rows[1], turns, s->all->cs + 2 * at};
        k->rotate(&r, width, x, s->count);
    }
    for (size_t i = n - 1; i-- > 0;)
        if (s->f->factor[i] != 0)
            k->mirror(n - i - 1, s->f->factor[i], s->f->a + i * n + i + 1, width, x + (i + 1) * s->count,
                      s->count, t);
}

static void fix_sign(double *v, size_t n) {
    size_t top = 0;
    for (size_t j = 1; j < n; j++)
        if (fabs(v[j]) > fabs(v[top])) top = j;
    if (v[top] < 0)
        for (size_t j = 0; j < n; j++)
            v[j] = -v[j];
}

typedef struct numbered {
    double value;
    size_t row;
} numbered;

static int by_value(const void *pa, const void *pb) {
    const numbered *a = pa, *b = pb;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return a->row < b->row ? -1 : 1;
}

/* values [n] -> ascending; order: where they came from. */
static void sort(size_t n, double *values, numbered *room, size_t *order) {
    for (size_t i = 0; i < n; i++)
        room[i] = (numbered){values[i], i};
    qsort(room, n, sizeof *room, by_value);
    for (size_t i = 0; i < n; i++) {
        values[i] = room[i].value;
        order[i] = room[i].row;
    }
}

/* The power of two that brings the largest number to about 1, so that no square leaves the range; 0: not
 * finite. */
static double scale_of(size_t count, const double *a) {
    double largest = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i])) return 0;
        if (fabs(a[i]) > largest) largest = fabs(a[i]);
    }
    int exponent = 0;
    if (largest > 0) frexp(largest, &exponent);
    return ldexp(1, exponent < -1000 ? 1000 : exponent > 1000 ? -1000 : -exponent);
}

nsamp_status nsamp_eigen(size_t n, double *a, size_t count, double *values, double *out, nsamp_error *err) {
    const double scale = scale_of(n * n, a);
    if (scale == 0) return nsamp_fail(err, NSAMP_EUSAGE, "a matrix of %zu rows is not finite", n);
    for (size_t i = 0; i < n * n; i++)
        a[i] *= scale;
    double *const room = malloc(5 * n * sizeof *room), *const x = calloc(n * count + 1, sizeof *x);
    numbered *const marks = malloc(n * sizeof *marks);
    size_t *const order = malloc(n * sizeof *order);
    rotations all = {0};
    nsamp_status status = NSAMP_OK;
    if (!room || !x || !marks || !order) {
        status = nsamp_fail(err, NSAMP_ENOMEM, "out of memory for the eigenvectors of %zu rows", n);
    } else {
        form f = {n, a, room, values, room + n};
        pending p = {room + 2 * n, room + 3 * n, room + 4 * n};
        make_tridiagonal(&f, &p);
        status = make_diagonal(n, values, f.off, &all, err);
        if (!status) {
            sort(n, values, marks, order);
            vectors v = {&f, &all, order, count, x};
            nsamp_team_for(omp_get_max_threads(), (count + STRIP - 1) / STRIP, make_vectors, &v);
        }
    }
    for (size_t k = 0; !status && k < count; k++) {
        for (size_t i = 0; i < n; i++)
            out[k * n + i] = x[i * count + k];
        fix_sign(out + k * n, n);
    }
    for (size_t i = 0; !status && i < n; i++)
        values[i] /= scale;
    free(all.cs);
    free(all.sweep);
    free(order);
    free(marks);
    free(x);
    free(room);
    return status;
}
