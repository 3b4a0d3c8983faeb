/* roofline.c: see roofline.h. Points cluster, so their names stand in a column at the right, ceilings and cases in the order of their rates,
 * each with a line to its own. */
#include "bench/roofline.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "stats/figure.h"

/* Page in units of figure.h, and the axes on it. */
static const double WIDTH = 10, LEFT = 0.065, RIGHT = 0.63, BOTTOM = 0.085, TOP = 0.905, NAMES = 0.655;
/* Least distance of two names, in units of the page. */
static const double NAME_GAP = 0.2;

/* A case, or a flat ceiling (row NULL), where its line ends. */
typedef struct point {
    const nsamp_bench_row *row;
    double x, y;  /* FLOP a byte, GFLOP/s */
    double place; /* of its name, 0 to 1 of the axes' height */
    char name[160];
    const char *colour;
    int mark;
} point;

typedef struct picture {
    nsamp_figure f;
    const nsamp_bench_report *report;
    point *points;
    size_t count;
    double x0, x1, y0, y1; /* ranges */
    double height;         /* of the page, in units of figure.h */
} picture;

/* Every FLOP that is counted, those of the noise too. */
static double flop_of(const nsamp_counts *c) {
    return c->flop + c->elementary + NSAMP_FLOP_NORMAL * c->normals;
}

static void choose_style(point *p) {
    static const struct {
        const char *system, *title, *colour;
        int mark;
    } styles[] = {
        {"langevin", "", NSAMP_PURPLE, 13}, /* targets with a score, where no later row says otherwise */
        {"langevin", "equicorrelated", NSAMP_BLUE, 7},
        {"langevin", "gaussian", NSAMP_SKY, 5},
        {"rsn", "", NSAMP_ORANGE, 9},
        {"mh-spiking", "", NSAMP_GREEN, 11},
        {"training", "", "#555555", 15}};
    p->colour = "#555555";
    p->mark = 7;
    for (size_t k = 0; k < sizeof styles / sizeof *styles; k++)
        if (!strcmp(p->row->system, styles[k].system) &&
            !strncmp(p->row->title, styles[k].title, strlen(styles[k].title))) {
            p->colour = styles[k].colour;
            p->mark = styles[k].mark;
        }
}

static int by_rate(const void *a, const void *b) {
    const point *p = a, *q = b;
    if (p->y != q->y) return p->y < q->y ? -1 : 1;
    return p->row < q->row ? -1 : p->row > q->row;
}

/* Places in ascending order, moved as little as needed to be `gap` apart within [0, 1]. */
static void spread(point *p, size_t count, double gap) {
    for (size_t i = 1; i < count; i++)
        p[i].place = fmax(p[i].place, p[i - 1].place + gap);
    double most = 1;
    for (size_t i = count; i-- > 0; most = p[i].place - gap)
        p[i].place = fmin(p[i].place, most);
}

static void name_case(point *p) {
    const nsamp_bench_row *row = p->row;
    const bool langevin = !strcmp(row->system, "langevin");
    int used = snprintf(p->name, sizeof p->name, "%s%s%s", langevin ? "" : row->system, langevin ? "" : ", ",
                        row->title);
    if (row->binds < NSAMP_BOUND_count && used > 0 && (size_t)used < sizeof p->name)
        snprintf(p->name + used, sizeof p->name - (size_t)used, "   %.0f %% of %s",
                 100 * row->rate.median / row->bound[row->binds], nsamp_bound_text(row));
}

static void add_cases(picture *p) {
    for (size_t i = 0; i < p->report->count; i++) {
        const nsamp_bench_row *row = &p->report->rows[i];
        const double flop = flop_of(&row->counts);
        if (row->error[0] || !(row->rate.median > 0 && flop > 0 && row->counts.bytes > 0)) continue;
        point *q = &p->points[p->count++];
        *q = (point){.row = row, .x = flop / row->counts.bytes, .y = flop * row->rate.median * 1e-9};
        choose_style(q);
        name_case(q);
        p->x0 = fmin(p->x0, q->x);
        p->x1 = fmax(p->x1, q->x);
        p->y0 = fmin(p->y0, q->y);
        p->y1 = fmax(p->y1, q->y);
    }
}

/* F, products, and what the noise alone does in FLOP. */
static void add_ceilings(picture *p) {
    static const struct {
        nsamp_ceiling ceiling;
        const char *name;
    } flat[] = {
        {NSAMP_CEILING_fma, "F, multiply-adds"},          {NSAMP_CEILING_product_fp32, "products, fp32"},
        {NSAMP_CEILING_product_tf32, "products, TF32"},   {NSAMP_CEILING_product_bf16, "products, bf16"},
        {NSAMP_CEILING_matrix_unit, "matrix unit, bf16"}, {NSAMP_CEILING_noise, "noise alone"},
        {NSAMP_CEILING_noise_fast, "noise alone, fast"}};
    for (size_t k = 0; k < sizeof flat / sizeof *flat; k++) {
        const bool normals =
            flat[k].ceiling == NSAMP_CEILING_noise || flat[k].ceiling == NSAMP_CEILING_noise_fast;
        const double each = normals ? NSAMP_FLOP_NORMAL : 1,
                     g = p->report->ceilings.rate[flat[k].ceiling].median * 1e-9 * each;
        if (!(g > 0)) continue;
        point *q = &p->points[p->count++];
        *q = (point){.x = p->x1, .y = g, .colour = "#000000"};
        snprintf(q->name, sizeof q->name, "%s: %.*f GFLOP/s", flat[k].name, g < 100 ? 1 : 0, g);
        p->y1 = fmax(p->y1, g);
        p->y0 = fmin(p->y0, g);
    }
}

static nsamp_status collect(picture *p, nsamp_error *err) {
    p->points = calloc(p->report->count + NSAMP_CEILING_count, sizeof *p->points);
    if (!p->points) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for a figure");
    p->x0 = p->y0 = INFINITY;
    add_cases(p);
    if (!p->count) return nsamp_fail(err, NSAMP_EUSAGE, "no case of this bench was timed: nothing to draw");
    p->x0 /= 3;
    p->x1 *= 2;
    add_ceilings(p);
    p->y0 /= 2;
    p->y1 *= 1.6;
    qsort(p->points, p->count, sizeof *p->points, by_rate);
    for (size_t i = 0; i < p->count; i++)
        p->points[i].place = log(p->points[i].y / p->y0) / log(p->y1 / p->y0);
    p->height = fmax(6.2, 0.18 * (double)p->count + 1);
    spread(p->points, p->count, fmin(NAME_GAP / p->height, 1.0 / (double)p->count));
    return NSAMP_OK;
}

/* ---- ceilings ------------------------------------------------------------------------------------------ */

static double widest_slope(const nsamp_bench_report *r) {
    double most = 0;
    for (int k = NSAMP_CEILING_copy_l1; k <= NSAMP_CEILING_copy_memory; k++)
        most = fmax(most, r->ceilings.rate[k].median * 1e-9);
    return most;
}

/* A flat ceiling, from where the widest slope meets it. */
static void draw_roof(const picture *p, const point *q) {
    const double slope = widest_slope(p->report);
    fprintf(p->f.script,
            "set arrow from first %.8g, first %.8g to first %.8g, first %.8g nohead linewidth 1.4 linecolor "
            "'#000000' "
            "dashtype %d\n",
            slope > 0 ? fmin(fmax(p->x0, q->y / slope), p->x1) : p->x0, q->y, p->x1, q->y,
            *q->name == 'F' ? 1 : 2);
}

/* Copies: bytes a second times FLOP a byte. Names along the lines, below the lowest and above the others. */
static void draw_slopes(const picture *p) {
    static const char *const names[] = {"copy, first-level cache", "copy, second-level cache",
                                        "copy, last-level cache", "copy, memory"};
    const double decade_x = (RIGHT - LEFT) * WIDTH / log10(p->x1 / p->x0),
                 decade_y = (TOP - BOTTOM) * p->height / log10(p->y1 / p->y0);
    const double turn = atan2(decade_y, decade_x), angle = turn * 180 / acos(-1.0),
                 most = p->report->ceilings.rate[NSAMP_CEILING_fma].median * 1e-9;
    double last = INFINITY;
    for (int k = 0; k < 4; k++) {
        const double g = p->report->ceilings.rate[NSAMP_CEILING_copy_l1 + k].median * 1e-9;
        if (!(g > 0)) continue;
        const double x_low = fmax(p->x0, p->y0 / g),
                     x_high = fmin(p->x1, (most > 0 ? fmin(most, p->y1) : p->y1) / g);
        if (!(x_high > x_low)) continue;
        fprintf(p->f.script,
                "set arrow from first %.8g, first %.8g to first %.8g, first %.8g nohead linewidth 1.3 "
                "linecolor '#888888'%s\n",
                x_low, g * x_low, x_high, g * x_high, k ? " dashtype 4" : "");
        if (g < last / 1.3 || !isfinite(last)) { /* two that coincide get one name */
            const double x = x_low * pow(x_high / x_low, 0.12);
            fprintf(p->f.script,
                    "set label '%s %.0f GB/s' at first %.8g, first %.8g left rotate by %.2f offset character "
                    "%.2f, character %.2f font ',14' textcolor '#666666'\n",
                    names[k], g, x, g * x, angle, -1.5 * sin(turn), 0.75 * cos(turn));
        }
        last = g;
    }
}

/* ---- points -------------------------------------------------------------------------------------------- */

/* The name in the column, with a line to the point. */
static void draw_name(const picture *p, const point *q) {
    FILE *s = p->f.script;
    const double width = RIGHT - LEFT;
    fprintf(s,
            "set arrow from first %.8g, first %.8g to graph %.5f, graph %.5f nohead linewidth 0.5 linecolor "
            "'#77%s'\n",
            q->x, q->y, (NAMES - 0.005 - LEFT) / width, q->place, q->colour + 1);
    fprintf(s, "set label ");
    nsamp_figure_quote(s, q->name);
    fprintf(s, " at graph %.5f, graph %.5f left font ',14' textcolor '%s'\n", (NAMES - LEFT) / width,
            q->place, q->colour);
}

static void draw_points(const picture *p) {
    FILE *s = p->f.script;
    const char *between = "plot ";
    for (size_t i = 0; i < p->count; i++)
        if (p->points[i].row)
            fprintf(s, "$point%zu << EOD\n%.8g %.8g\nEOD\n", i, p->points[i].x, p->points[i].y);
    for (size_t i = 0; i < p->count; i++) {
        if (!p->points[i].row) continue;
        fprintf(s, "%s$point%zu using 1:2 with points pointtype %d pointsize 1.5 linecolor '%s' notitle",
                between, i, p->points[i].mark, p->points[i].colour);
        between = ", ";
    }
    fputc('\n', s);
}

/* Marks at 1, 2 and 5 times the powers of ten. */
static void draw_tics(FILE *s, const char *axis, double low, double high) {
    static const double digits[] = {1, 2, 5};
    const char *between = "";
    fprintf(s, "set %s (", axis);
    for (int k = (int)floor(log10(low)); k <= (int)ceil(log10(high)); k++)
        for (int d = 0; d < 3; d++) {
            const double at = digits[d] * pow(10, k);
            if (at < low || at > high) continue;
            fprintf(s, "%s%.6g", between, at);
            between = ", ";
        }
    fprintf(s, ")\n");
}

static void draw(const picture *p) {
    char title[512];
    const nsamp_machine *m = &p->report->machine;
    const bool cpu = !strncmp(m->backend, "cpu", 3);
    FILE *s = p->f.script;
    nsamp_figure_panel((nsamp_figure *)&p->f, LEFT, RIGHT, BOTTOM, TOP);
    fprintf(s, "set logscale xy\nset xrange [%.8g:%.8g]\nset yrange [%.8g:%.8g]\nset format '%%g'\n", p->x0,
            p->x1, p->y0, p->y1);
    draw_tics(s, "xtics", p->x0, p->x1);
    draw_tics(s, "ytics", p->y0, p->y1);
    fprintf(s, "set xlabel 'arithmetic intensity, FLOP a byte'\nset ylabel 'arithmetic, GFLOP/s (noise and "
               "elementary functions included)'\n");
    snprintf(title, sizeof title, "nsamp bench: %s, %d thread%s, %s%s kernels, %.10s%s%.*s",
             cpu ? m->cpu : m->backend, m->threads, m->threads == 1 ? "" : "s",
             *m->isa == 'v' ? "x86-64-" : "", m->isa, m->date, *p->report->overrides ? ", " : "", 120,
             p->report->overrides);
    fprintf(s, "set label 1 ");
    nsamp_figure_quote(s, title);
    fprintf(s, " at screen %.4f, screen 0.965 left font ',19'\n", LEFT);
    fprintf(s,
            "set label 2 'case   share of the ceiling that binds' at screen %.4f, screen %.4f left font "
            "',14' textcolor '#222222'\n",
            NAMES, TOP + 0.02);
    draw_slopes(p);
    for (size_t i = 0; i < p->count; i++) {
        if (!p->points[i].row) draw_roof(p, &p->points[i]);
        draw_name(p, &p->points[i]);
    }
    draw_points(p);
}

nsamp_status nsamp_bench_plot(const nsamp_bench_report *report, const char *out, nsamp_error *err) {
    picture p = {.report = report};
    nsamp_status status = collect(&p, err);
    if (!status) status = nsamp_figure_begin(&p.f, out, WIDTH, p.height, err);
    if (!status) {
        draw(&p);
        status = nsamp_figure_end(&p.f, err);
    }
    free(p.points);
    return status;
}
