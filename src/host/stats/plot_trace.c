/* plot_trace.c: traces of a few chains, and the marginals of all stored draws against the target's. */
#include "stats/plot_kinds.h"

#include <math.h>
#include <stdlib.h>

#include "error.h"
#include "stats/compare.h"
#include "stats/distances.h"
#include "stats/figure.h"

enum { PANELS = 3, CHAINS = 3, POINTS = 2000, BINS = 60, CURVE = 400, EXACT_DRAWS = 200000 };

static const char *const chain_colours[CHAINS] = {NSAMP_BLUE, NSAMP_GREEN, NSAMP_PURPLE};

/* Range of the picture: the middle 99.8 % of the draws, widened. x [n] sorted. */
static void range_of(const double *x, size_t n, double *low, double *high) {
    *low = x[(size_t)(0.001 * (double)n)];
    *high = x[n - 1 - (size_t)(0.001 * (double)n)];
    const double room = *high > *low ? 0.15 * (*high - *low) : 0.5 + 0.1 * fabs(*low);
    *low -= room;
    *high += room;
}

static size_t above(const double *x, size_t n, double value) {
    size_t a = 0, b = n;
    while (a < b) {
        const size_t m = (a + b) / 2;
        if (x[m] < value)
            a = m + 1;
        else
            b = m;
    }
    return a;
}

/* Density of sorted x [n] in `bins` bins of [low, high]: lines "bin_low bin_high density". Returns the
 * largest. */
static double write_histogram(FILE *out, const char *name, size_t panel, const double *x, size_t n,
                              double low, double high, size_t bins) {
    const double width = (high - low) / (double)bins;
    double most = 0.0;
    fprintf(out, "$%s%zu << EOD\n", name, panel);
    for (size_t b = 0; b < bins; b++) {
        const double from = low + (double)b * width;
        const size_t count = above(x, n, from + width) - above(x, n, from);
        const double density = (double)count / ((double)n * width);
        fprintf(out, "%.6g %.6g %.6g\n", from, from + width, density);
        most = fmax(most, density);
    }
    fputs("EOD\n", out);
    return most;
}

static size_t bins_for(size_t draws) {
    const double bins = 2.0 * cbrt((double)draws);
    return (size_t)(bins < 12.0 ? 12.0 : bins > BINS ? BINS : bins);
}

static double gauss(double x, double mean, double sd) {
    return exp(-0.5 * (x - mean) * (x - mean) / (sd * sd)) / (sd * 2.5066282746310002);
}

/* The target's marginal of coordinate i, where it has a formula: a Gaussian, or a mixture of them. */
static bool marginal_formula(const nsamp_target *t, size_t i, double x, double *density) {
    *density = 0.0;
    for (size_t k = 0; k < t->components; k++) {
        const double sd = t->covs ? sqrt(t->covs[(k * t->dim + i) * t->dim + i]) : t->sds[k];
        *density += t->weights[k] * gauss(x, t->means[k * t->dim + i], sd);
    }
    if (t->components) return true;
    if (!t->gaussian || !t->mean || !t->var) return false;
    *density = gauss(x, t->mean[i], sqrt(t->var[i]));
    return true;
}

/* Lines "x density" of the target's marginal: its formula, the table of a 1-D density, or a histogram of
 * exact draws. */
static nsamp_status write_marginal(FILE *out, const nsamp_target *t, size_t i, double low, double high,
                                   nsamp_error *err) {
    double density;
    nsamp_pit *pit = NULL;
    nsamp_status status = NSAMP_OK;
    if (marginal_formula(t, i, low, &density) || t->dim == 1) {
        if (!marginal_formula(t, i, low, &density)) status = nsamp_target_pit(t, &pit, err);
        if (status) return status;
        fprintf(out, "$target%zu << EOD\n", i);
        for (size_t k = 0; k <= CURVE; k++) {
            const double x = low + (high - low) * (double)k / CURVE, h = (high - low) / CURVE;
            if (pit)
                density = (nsamp_pit_cdf(pit, x + 0.5 * h) - nsamp_pit_cdf(pit, x - 0.5 * h)) / h;
            else
                marginal_formula(t, i, x, &density);
            fprintf(out, "%.6g %.6g\n", x, density);
        }
        fputs("EOD\n", out);
        nsamp_pit_destroy(pit);
        return NSAMP_OK;
    }
    double *const x = nsamp_target_draws(t, EXACT_DRAWS / (t->dim < 10 ? 1 : 10), 1);
    const size_t n = EXACT_DRAWS / (t->dim < 10 ? 1 : 10);
    if (!x) return nsamp_fail(err, NSAMP_ENOMEM, "no memory for exact draws");
    nsamp_sort(x + i * n, n);
    const double width = (high - low) / (2 * BINS);
    fprintf(out, "$target%zu << EOD\n", i);
    for (size_t b = 0; b < 2 * BINS; b++) {
        const double from = low + (double)b * width;
        const size_t count = above(x + i * n, n, from + width) - above(x + i * n, n, from);
        fprintf(out, "%.6g %.6g\n", from + 0.5 * width, (double)count / ((double)n * width));
    }
    fputs("EOD\n", out);
    free(x);
    return NSAMP_OK;
}

static void write_traces(const nsamp_figure *f, const nsamp_result *r, const float *x, size_t i) {
    const size_t stride = r->draws / POINTS + 1;
    for (size_t c = 0; c < CHAINS && c < r->chains; c++) {
        fprintf(f->script, "$trace%zu_%zu << EOD\n", i, c);
        for (size_t t = 0; t < r->draws; t += stride)
            fprintf(f->script, "%.10g %.6g\n", r->steps[t], (double)x[(c * r->draws + t) * r->dim + i]);
        fputs("EOD\n", f->script);
    }
}

/* Inches, of the page and between panels; 0.4 above the first panel and 0.7 below the last. */
static const double gap = 0.35;

static double panel_height(size_t panels) {
    return panels == 1 ? 2.6 : 1.6;
}

static double page_height(size_t panels) {
    return 0.4 + panel_height(panels) * (double)panels + gap * (double)(panels - 1) + 0.7;
}

/* A round step that gives about four tics from 0 to `high`. */
static double tic_step(double high) {
    const double rough = high / 4.0, unit = pow(10.0, floor(log10(rough)));
    return rough < 1.5 * unit   ? unit
           : rough < 3.5 * unit ? 2.0 * unit
           : rough < 7.5 * unit ? 5.0 * unit
                                : 10.0 * unit;
}

static void draw_panels(nsamp_figure *f, const nsamp_result *r, size_t i, size_t panels, bool target,
                        double low, double high, double most) {
    const double page = page_height(panels), height = panel_height(panels);
    const double top = 1.0 - (0.4 + (height + gap) * (double)i) / page, bottom = top - height / page;
    const bool last = i + 1 == panels;
    nsamp_figure_panel(f, 0.085, 0.64, bottom, top);
    fprintf(f->script, "set yrange [%.6g:%.6g]; set ylabel 'x_%zu'\n", low, high, i);
    fputs(last ? "set xlabel 'steps'\n" : "set format x ''\n", f->script);
    if (!i)
        fprintf(f->script, "set title 'the first %zu of %zu chains'\n",
                r->chains < CHAINS ? r->chains : CHAINS, r->chains);
    fputs("plot ", f->script);
    for (size_t c = 0; c < CHAINS && c < r->chains; c++)
        fprintf(f->script, "%s$trace%zu_%zu using 1:2 with lines linewidth 0.8 linecolor '%s'", c ? ", " : "",
                i, c, chain_colours[c]);
    fputc('\n', f->script);
    nsamp_figure_panel(f, 0.68, 0.97, bottom, top);
    fprintf(f->script, "set yrange [%.6g:%.6g]; set xrange [0:*]; set format y ''\n", low, high);
    if (!i) fputs("set title 'all draws'\n", f->script);
    fprintf(f->script, "set xtics %.3g; %s\n", tic_step(most), last ? "set xlabel 'density'" : "");
    fprintf(f->script,
            "plot $draws%zu using (0.5*$3):(0.5*($1+$2)):(0):3:1:2 with boxxyerror linecolor '" NSAMP_SKY
            "' fillstyle solid 1 border linecolor '" NSAMP_SKY "'%s",
            i, i ? "" : " title 'draws'");
    if (target)
        fprintf(f->script, ", $target%zu using 2:1 with lines linewidth 2 linecolor '" NSAMP_ORANGE "'%s", i,
                i ? "" : " title 'target'");
    fputc('\n', f->script);
}

/* Data and panels of coordinate i of all draws x; v: room for one number a draw. */
static nsamp_status add_coordinate(nsamp_figure *f, const nsamp_result *r, const nsamp_target *t,
                                   const float *x, double *v, size_t i, size_t panels, nsamp_error *err) {
    double low, high;
    size_t finite = 0;
    for (size_t k = 0; k < r->chains * r->draws; k++)
        if (isfinite(x[k * r->dim + i])) v[finite++] = (double)x[k * r->dim + i];
    if (!finite) return nsamp_fail(err, NSAMP_EUSAGE, "%s: no finite draw of coordinate %zu", r->path, i);
    nsamp_sort(v, finite);
    range_of(v, finite, &low, &high);
    const double most = write_histogram(f->script, "draws", i, v, finite, low, high, bins_for(finite));
    write_traces(f, r, x, i);
    const nsamp_status status = t ? write_marginal(f->script, t, i, low, high, err) : NSAMP_OK;
    if (!status) draw_panels(f, r, i, panels, t != NULL, low, high, most);
    return status;
}

static size_t panels_of(const nsamp_result *r) {
    return r->dim < PANELS ? r->dim : PANELS;
}

nsamp_status nsamp_plot_trace(const nsamp_result *r, const nsamp_target *t, const char *out,
                              nsamp_error *err) {
    nsamp_figure f;
    float *x;
    nsamp_status status = nsamp_result_draws(r, r->chains, 0, &x, err);
    if (status) return status;
    const size_t panels = panels_of(r);
    double *const v = malloc((r->chains * r->draws + 1) * sizeof *v);
    status = v ? nsamp_figure_begin(&f, out, 8.0, page_height(panels), err)
               : nsamp_fail(err, NSAMP_ENOMEM, "%s: no memory for its draws", r->path);
    if (!status) {
        fputs("set multiplot\n", f.script);
        for (size_t i = 0; i < panels && !status; i++)
            status = add_coordinate(&f, r, t, x, v, i, panels, err);
        fputs("unset multiplot\n", f.script);
        if (status)
            nsamp_figure_abandon(&f);
        else
            status = nsamp_figure_end(&f, err);
    }
    free(v);
    free(x);
    return status;
}
