/* plot_curves.c: the loss curve of a model file; the moments of a run against their exact values. */
#include "stats/plot_kinds.h"

#include <math.h>

#include "error.h"
#include "stats/figure.h"
#include "train/network.h"

enum { BARS_MOST = 60 }; /* coordinates with an error bar each; a band shows more of them */

/* ---- loss ---- */

static bool all_positive(const nsamp_network *net) {
    for (size_t k = 0; k < net->losses; k++)
        if (net->loss_train[k] <= 0.0 || net->loss_held_out[k] <= 0.0) return false;
    return true;
}

/* Lines "batch loss" where the loss was taken; how many. */
static size_t write_losses(FILE *out, const char *name, const nsamp_network *net, const double *loss) {
    size_t count = 0;
    fprintf(out, "$%s << EOD\n", name);
    for (size_t k = 0; k < net->losses; k++) {
        if (k && net->loss_level[k] != net->loss_level[k - 1]) fputc('\n', out); /* no line between levels */
        if (isfinite(loss[k])) {
            fprintf(out, "%.10g %.8g\n", net->loss_batch[k], loss[k]);
            count++;
        }
    }
    fputs("EOD\n", out);
    return count;
}

static void draw_loss(nsamp_figure *f, const nsamp_network *net) {
    const size_t train = write_losses(f->script, "training", net, net->loss_train);
    const size_t held_out = write_losses(f->script, "held_out", net, net->loss_held_out);
    nsamp_figure_panel(f, 0.13, 0.95, 0.15, 0.95);
    for (size_t k = 1; k < net->losses; k++)
        if (net->loss_level[k] != net->loss_level[k - 1])
            fprintf(
                f->script,
                "set arrow from first %.10g, graph 0 to first %.10g, graph 1 nohead linecolor '#CCCCCC'\n",
                0.5 * (net->loss_batch[k] + net->loss_batch[k - 1]),
                0.5 * (net->loss_batch[k] + net->loss_batch[k - 1]));
    if (all_positive(net)) fputs("set logscale y\n", f->script);
    fputs("set xlabel 'batches'; set ylabel 'loss'; set xrange [*:*] noextend\nplot ", f->script);
    if (train)
        fputs("$training using 1:2 with lines linewidth 1.5 linecolor '" NSAMP_BLUE "' title 'training'",
              f->script);
    if (held_out)
        fprintf(f->script,
                "%s$held_out using 1:2 with lines linewidth 1.5 linecolor '" NSAMP_ORANGE
                "' title 'held out'",
                train ? ", " : "");
    fputc('\n', f->script);
}

nsamp_status nsamp_plot_loss(const char *path, const char *out, nsamp_error *err) {
    nsamp_network *net;
    nsamp_figure f;
    nsamp_status status = nsamp_network_load(path, &net, err);
    if (status) return status;
    bool any = false;
    for (size_t k = 0; k < net->losses; k++)
        any = any || isfinite(net->loss_train[k]) || isfinite(net->loss_held_out[k]);
    if (!any)
        status = nsamp_fail(err, NSAMP_EUSAGE, "%s: holds no loss curve", path);
    else
        status = nsamp_figure_begin(&f, out, 6.0, 4.0, err);
    if (!status) {
        draw_loss(&f, net);
        status = nsamp_figure_end(&f, err);
    }
    nsamp_network_destroy(net);
    return status;
}

/* ---- moments ---- */

/* $NAME: "coordinate value se exact", "nan" where unknown. Returns whether exact values are there. */
static bool write_moment(FILE *out, const nsamp_result *r, const char *name) {
    char other[32];
    const nsamp_result_array *value = nsamp_result_find(r, "moments", name);
    snprintf(other, sizeof other, "%s_se", name);
    const nsamp_result_array *se = nsamp_result_find(r, "moments", other);
    snprintf(other, sizeof other, "%s_exact", name);
    const nsamp_result_array *exact = nsamp_result_find(r, "moments", other);
    fprintf(out, "$%s << EOD\n", name);
    for (size_t i = 0; value && i < value->count; i++)
        fprintf(out, "%zu %.10g %.6g %.10g\n", i, value->value[i], se && i < se->count ? se->value[i] : NAN,
                exact && i < exact->count ? exact->value[i] : NAN);
    fputs("EOD\n", out);
    return exact != NULL;
}

static void draw_moment(nsamp_figure *f, const nsamp_result *r, const char *name, const char *title,
                        double left, double right) {
    const bool exact = write_moment(f->script, r, name);
    nsamp_figure_panel(f, left, right, 0.15, 0.88);
    fprintf(f->script,
            "set title '%s'; set xlabel 'coordinate'; set xrange [-0.5:%.1f]; set offsets 0, 0, graph 0.12, "
            "graph 0.08\n",
            title, (double)r->dim - 0.5);
    if (r->dim <= 12) fputs("set xtics 1\n", f->script);
    if (r->dim > BARS_MOST)
        fprintf(f->script,
                "plot $%s using 1:($2-$3):($2+$3) with filledcurves linecolor '" NSAMP_PALE
                "' title 'one standard error', "
                "$%s using 1:2 with points pointtype 7 pointsize 0.25 linecolor '" NSAMP_BLUE "' title 'run'",
                name, name);
    else
        fprintf(f->script,
                "plot $%s using 1:2:3 with yerrorbars pointtype 7 pointsize 0.6 linewidth 0.8 linecolor "
                "'" NSAMP_BLUE "' title 'run, one standard error'",
                name);
    if (exact)
        fprintf(f->script,
                ", $%s using ($1-0.5):4:(1):(0) with vectors nohead linewidth 1.6 linecolor '" NSAMP_ORANGE
                "' title 'exact'",
                name);
    fputc('\n', f->script);
}

nsamp_status nsamp_plot_moments(const nsamp_result *r, const char *out, nsamp_error *err) {
    nsamp_figure f;
    const nsamp_status status = nsamp_figure_begin(&f, out, 9.0, 4.0, err);
    if (status) return status;
    fputs("set multiplot\n", f.script);
    draw_moment(&f, r, "mean", "mean", 0.08, 0.49);
    draw_moment(&f, r, "var", "variance", 0.57, 0.98);
    fputs("unset multiplot\n", f.script);
    return nsamp_figure_end(&f, err);
}
