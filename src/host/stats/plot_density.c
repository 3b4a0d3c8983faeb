/* plot_density.c: the density of 2-D draws beside the target's. */
#include "stats/plot_kinds.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "stats/compare.h"
#include "stats/distances.h"
#include "stats/figure.h"

enum { GRID = 400, LEVELS = 3, RANGE_DRAWS = 50000 };

static const double masses[LEVELS] = {0.5, 0.8, 0.95};

typedef struct window {
    double low[2], high[2];
} window;

/* Grows the window to hold the middle 99.8 % of v [n], which is sorted here. */
static void include(window *w, size_t axis, double *v, size_t n) {
    nsamp_sort(v, n);
    w->low[axis] = fmin(w->low[axis], v[(size_t)(0.001 * (double)n)]);
    w->high[axis] = fmax(w->high[axis], v[n - 1 - (size_t)(0.001 * (double)n)]);
}

/* The window of the finite draws x [n][2] and of the target. NSAMP_ENOMEM; NSAMP_EUSAGE: nothing is finite. */
static nsamp_status find_window(const float *x, size_t n, const nsamp_target *t, window *w) {
    double *const v = malloc((n + 1) * sizeof *v), *const exact =
                                                       t ? nsamp_target_draws(t, RANGE_DRAWS, 0) : NULL;
    const bool room_for_all = v && (exact || !t);
    bool ok = room_for_all;
    for (size_t axis = 0; axis < 2 && ok; axis++) {
        size_t finite = 0;
        w->low[axis] = INFINITY;
        w->high[axis] = -INFINITY;
        for (size_t k = 0; k < n; k++)
            if (isfinite(x[2 * k + axis])) v[finite++] = (double)x[2 * k + axis];
        if (finite) include(w, axis, v, finite);
        if (exact) include(w, axis, exact + axis * RANGE_DRAWS, RANGE_DRAWS);
        const double room = w->high[axis] > w->low[axis] ? 0.06 * (w->high[axis] - w->low[axis]) : 0.5;
        ok = isfinite(room);
        w->low[axis] -= room;
        w->high[axis] += room;
    }
    free(v);
    free(exact);
    return ok ? NSAMP_OK : room_for_all ? NSAMP_EUSAGE : NSAMP_ENOMEM;
}

/* $draws: "x y density" of the draws in bins of equal size. *most: the largest density. False: out of memory. */
static bool write_draws(FILE *out, const float *x, size_t n, const window *w, double *most) {
    const size_t bins =
        (size_t)fmin(120.0, fmax(20.0, 1.6 * cbrt((double)n))); /* enough draws a bin to see a density */
    double *const count = calloc(bins * bins, sizeof *count);
    double size[2];
    if (!count) return false;
    *most = 0.0;
    for (size_t a = 0; a < 2; a++)
        size[a] = (w->high[a] - w->low[a]) / (double)bins;
    for (size_t k = 0; k < n; k++) {
        const double u = ((double)x[2 * k] - w->low[0]) / size[0],
                     v = ((double)x[2 * k + 1] - w->low[1]) / size[1];
        if (u >= 0.0 && u < (double)bins && v >= 0.0 && v < (double)bins)
            count[(size_t)u * bins + (size_t)v] += 1.0;
    }
    fputs("$draws << EOD\n", out);
    for (size_t i = 0; i < bins; i++, fputc('\n', out))
        for (size_t j = 0; j < bins; j++) {
            const double density = count[i * bins + j] / ((double)n * size[0] * size[1]);
            *most = fmax(*most, density);
            fprintf(out, "%.6g %.6g %.6g\n", w->low[0] + ((double)i + 0.5) * size[0],
                    w->low[1] + ((double)j + 0.5) * size[1], density);
        }
    fputs("EOD\n", out);
    free(count);
    return true;
}

/* Densities whose regions above hold the given masses of the table; false: out of memory. */
static bool find_levels(const nsamp_pit *p, double level[LEVELS]) {
    const size_t n = p->nodes * p->nodes;
    double *const f = malloc(n * sizeof *f), cell = p->step[0] * p->step[1], mass = 0.0;
    if (!f) return false;
    for (size_t k = 0; k < n; k++)
        f[k] = p->density[k];
    nsamp_sort(f, n);
    for (size_t k = n, next = 0; k > 0 && next < LEVELS; k--) {
        mass += f[k - 1] * cell;
        while (next < LEVELS && mass >= masses[next])
            level[next++] = f[k - 1];
    }
    free(f);
    return true;
}

/* $target: "x y density" on about GRID x GRID nodes of the table. Returns the largest. */
static double write_target(FILE *out, const nsamp_pit *p, const window *w) {
    size_t from[2], to[2], stride[2];
    double most = 0.0;
    for (size_t a = 0; a < 2; a++) {
        const double last = (double)(p->nodes - 1);
        from[a] = (size_t)fmin(last, fmax(0.0, floor((w->low[a] - p->low[a]) / p->step[a])));
        to[a] = (size_t)fmin(last, fmax(0.0, ceil((w->high[a] - p->low[a]) / p->step[a])));
        stride[a] = (to[a] - from[a]) / GRID + 1;
    }
    fputs("$target << EOD\n", out);
    for (size_t i = from[0]; i <= to[0]; i += stride[0], fputc('\n', out))
        for (size_t j = from[1]; j <= to[1]; j += stride[1]) {
            const double f = p->density[i * p->nodes + j];
            most = fmax(most, f);
            fprintf(out, "%.6g %.6g %.6g\n", p->low[0] + (double)i * p->step[0],
                    p->low[1] + (double)j * p->step[1], f);
        }
    fputs("EOD\n", out);
    return most;
}

static void panel(nsamp_figure *f, const window *w, double left, double right, const char *title,
                  const char *data, bool contours, const char *colour, bool first) {
    nsamp_figure_panel(f, left, right, 0.15, 0.91);
    fprintf(f->script, "set xrange [%.6g:%.6g]; set yrange [%.6g:%.6g]\n", w->low[0], w->high[0], w->low[1],
            w->high[1]);
    fprintf(f->script, "set title '%s'; set xlabel 'x_0'; %s\n", title,
            first ? "set ylabel 'x_1'" : "set format y ''");
    fprintf(f->script, "plot %s using 1:2:3 with image", data);
    if (contours)
        fprintf(f->script, ", $contours using 1:2 with lines linewidth 1.2 linecolor '%s'%s", colour,
                first ? "" : " title '50, 80, 95 % of the target'");
    fputc('\n', f->script);
}

static nsamp_status draw(nsamp_figure *f, const float *x, size_t n, const nsamp_pit *p, const window *w,
                         nsamp_error *err) {
    double most;
    if (!write_draws(f->script, x, n, w, &most))
        return nsamp_fail(err, NSAMP_ENOMEM, "no memory for a density of %zu draws", n);
    if (p) {
        double level[LEVELS] = {0};
        most = write_target(f->script, p, w);
        if (!find_levels(p, level))
            return nsamp_fail(err, NSAMP_ENOMEM, "no memory for the levels of a density");
        fprintf(f->script,
                "set contour base; unset surface; set cntrparam levels discrete %.8g, %.8g, %.8g\n"
                "set table $contours; splot $target using 1:2:3 with lines; unset table; unset contour; set "
                "surface\n",
                level[0], level[1], level[2]);
    }
    fprintf(f->script, "set cbrange [0:%.6g]\nset multiplot\n", most);
    panel(f, w, 0.09, p ? 0.48 : 0.89, "draws", "$draws", p != NULL, NSAMP_ORANGE, true);
    fputs("set colorbox user origin 0.91, 0.15 size 0.015, 0.76; set cblabel 'density' offset 1.5, 0\n",
          f->script);
    if (p) panel(f, w, 0.50, 0.89, "target", "$target", true, NSAMP_ORANGE, false);
    fputs("unset multiplot\n", f->script);
    return NSAMP_OK;
}

nsamp_status nsamp_plot_density(const nsamp_result *r, const nsamp_target *t, const char *out,
                                nsamp_error *err) {
    nsamp_figure f;
    nsamp_pit *p = NULL;
    float *x;
    window w;
    if (r->dim != 2 || !r->chains)
        return nsamp_fail(
            err, NSAMP_EUSAGE,
            "%s: a density needs stored draws of dimension 2: it has %zu chains of dimension %zu", r->path,
            r->chains, r->dim);
    nsamp_status status = nsamp_result_draws(r, r->chains, 0, &x, err);
    if (status) return status;
    const size_t n = r->chains * r->draws;
    status = find_window(x, n, t, &w);
    if (status)
        status =
            nsamp_fail(err, status, "%s: %s", r->path,
                       status == NSAMP_ENOMEM ? "no memory for its draws" : "no finite draws to picture");
    if (!status && t) status = nsamp_target_pit(t, &p, err);
    if (!status) status = nsamp_figure_begin(&f, out, p ? 9.0 : 5.0, 4.4, err);
    if (!status) {
        status = draw(&f, x, n, p, &w, err);
        if (status)
            nsamp_figure_abandon(&f);
        else
            status = nsamp_figure_end(&f, err);
    }
    nsamp_pit_destroy(p);
    free(x);
    return status;
}
