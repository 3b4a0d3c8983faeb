/* bench_table.c: see bench_table.h. */
#include "cli/bench_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "1.85e+08", or "-" where there is none. */
static const char *rate_text(double rate, char text[16]) {
    if (rate > 0 && isfinite(rate))
        snprintf(text, 16, "%.3g", rate);
    else
        snprintf(text, 16, "-");
    return text;
}

/* Share of a ceiling in per cent, a star at the one that binds. */
static const char *share_text(const nsamp_bench_row *row, nsamp_bound b, char text[16]) {
    if (row->bound[b] > 0)
        snprintf(text, 16, "%.0f%s", 100 * row->rate.median / row->bound[b], row->binds == b ? "*" : " ");
    else
        snprintf(text, 16, "- ");
    return text;
}

/* What a ceiling's value is printed in. */
static double scaled(nsamp_ceiling k, double value, const char **unit) {
    const char *u = nsamp_ceiling_names[k].unit;
    *unit = !strcmp(u, "FLOP/s")    ? "GFLOP/s"
            : !strcmp(u, "B/s")     ? "GB/s"
            : !strcmp(u, "words/s") ? "1e9 words/s"
                                    : "1e9 normals/s";
    return value * 1e-9;
}

static void print_machine(const nsamp_machine *m) {
    printf("%s, %s\n", m->program, m->date);
    printf("%s, %d core%s, %d thread%s\n", m->cpu, m->cores, m->cores == 1 ? "" : "s", m->threads,
           m->threads == 1 ? "" : "s");
    printf("backend %s; CPU kernels %s, compiled by %s\n", m->backend, m->isa, m->kernel_compiler);
    printf("products by %s; %s%s%s\n", m->products, m->blas,
           *m->openblas_coretype ? ", OPENBLAS_CORETYPE=" : "", m->openblas_coretype);
}

static void print_ceilings(const nsamp_bench_report *r) {
    const double fma = r->ceilings.rate[NSAMP_CEILING_fma].median;
    printf("\nceilings, measured in this process (median of %d; slowest to fastest)\n", r->watch.runs);
    for (int k = 0; k < NSAMP_CEILING_count; k++) {
        const nsamp_rate *c = &r->ceilings.rate[k];
        const char *unit;
        const double value = scaled((nsamp_ceiling)k, c->median, &unit);
        if (!(value > 0)) continue;
        printf("  %-13s %8.4g %-13s (%.4g to %.4g)  %s", nsamp_ceiling_names[k].name, value, unit,
               c->low * 1e-9, c->high * 1e-9, nsamp_ceiling_names[k].what);
        if (k == NSAMP_CEILING_noise && fma > 0) printf(": F/%.0f", fma / c->median);
        printf("\n");
    }
    if (*r->ceilings.left_out) printf("  left out: %s\n", r->ceilings.left_out);
}

static void print_row(const nsamp_bench_row *row, int threads) {
    char a[16], b[16], c[16], d[16], s[NSAMP_BOUND_count][16];
    if (row->error[0]) {
        printf("  %-34s %s: %s\n", row->title, row->failed ? "FAILED its check" : "not run", row->error);
        return;
    }
    const nsamp_counts *n = &row->counts;
    printf("  %-34s %9s %6.1f %9s %9s %9s%s %8.3g %8.3g", row->title, rate_text(row->rate.median, a),
           100 * (row->rate.high - row->rate.low) / row->rate.median,
           rate_text(row->rate.median * (double)row->dim, b),
           rate_text(row->rate.median * (n->normals + n->words), c),
           rate_text(row->rate.median / row->tau, d), !strcmp(row->tau_source, "law") ? "'" : " ",
           n->flop + n->elementary, n->bytes);
    for (int k = 0; k < NSAMP_BOUND_count; k++)
        printf(" %7s", share_text(row, (nsamp_bound)k, s[k]));
    if (!strcmp(row->system, "mh-spiking")) printf("  %.2f ns a core", 1e9 * threads / row->rate.median);
    printf("\n");
}

static void print_head(const char *system) {
    const bool training = !strcmp(system, "training");
    printf("\n%-36s %9s %6s %9s %9s %10s %8s %8s %7s %7s %7s %7s\n", system,
           training ? "samples/s" : "steps/s", "range%", "dims/s", "normals/s", training ? "" : "ESS/s ",
           "FLOP", "bytes", "noise% ", "F% ", "prod% ", "copy% ");
}

/* A case over the same with the other settings. */
static void print_against(const nsamp_bench_report *r) {
    printf("\nby turns against %s (%d rounds, each case checked with either)\n%-36s %9s %9s %7s  %s\n",
           r->against, nsamp_measure_rounds(&r->watch), "", "a second", "the other", "ratio",
           "lowest to highest");
    for (size_t i = 0; i < r->count; i++) {
        const nsamp_bench_row *row = &r->rows[i];
        const nsamp_bench_against *a = &row->against;
        char own[16], other[16];
        if (row->error[0]) continue;
        if (!i || strcmp(row->system, row[-1].system)) printf("%s\n", row->system);
        printf("  %-34s ", row->title);
        if (a->error[0])
            printf("%s: %s\n", a->failed ? "FAILED its check" : "not run", a->error);
        else
            printf("%9s %9s %7.3f  %.3f to %.3f\n", rate_text(a->own, own), rate_text(a->rate.median, other),
                   a->ratio.median, a->ratio.low, a->ratio.high);
    }
}

void cli_bench_table(const nsamp_bench_report *r) {
    print_machine(&r->machine);
    if (*r->overrides) printf("settings of this bench: %s\n", r->overrides);
    print_ceilings(r);
    for (size_t i = 0; i < r->count; i++) {
        if (!i || strcmp(r->rows[i].system, r->rows[i - 1].system)) print_head(r->rows[i].system);
        print_row(&r->rows[i], r->machine.threads);
    }
    if (*r->against) print_against(r);
    printf("\nsteps/s: chain-steps a second, median of %d runs; range%%: from the slowest to the fastest. "
           "ESS/s: effective samples a second, from "
           "the\nsmallest ESS of the timed run; ' from the exact autocorrelation time of the recursion, "
           "where the run is shorter than 20 of "
           "them.\nFLOP and bytes are those of one step (docs/performance.md). Shares of each ceiling in per "
           "cent; * binds; noise%% of mh-spiking is of the words alone, prod%% of bf16 in one kernel of "
           "matrix_unit.%s\n%zu laws passed before.\n",
           r->watch.runs,
           r->beside ? " fma, noise, words and the matrix unit of its rows were measured again\nbefore and "
                       "after each row; its shares "
                       "are of the faster of both."
                     : "",
           r->laws);
}

/* ---- Markdown ------------------------------------------------------------------------------------------ */

/* "82 % of the noise rate", "60 % of F". */
static void markdown_share(const nsamp_bench_row *row) {
    const bool rate = row->binds != NSAMP_BOUND_fma;
    if (row->binds < NSAMP_BOUND_count)
        printf("%.0f %% of %s%s%s", 100 * row->rate.median / row->bound[row->binds], rate ? "the " : "",
               row->counts.words > 0 && row->binds == NSAMP_BOUND_noise ? "word"
                                                                        : nsamp_bound_names[row->binds],
               rate ? " rate" : "");
    else
        printf("-");
}

static void markdown_ceilings(const nsamp_rate *c) {
    const double fma = c[NSAMP_CEILING_fma].median, noise = c[NSAMP_CEILING_noise].median,
                 fast = c[NSAMP_CEILING_noise_fast].median, curand = c[NSAMP_CEILING_curand].median,
                 fp32 = c[NSAMP_CEILING_product_fp32].median, tf32 = c[NSAMP_CEILING_product_tf32].median,
                 bf16 = c[NSAMP_CEILING_product_bf16].median, unit = c[NSAMP_CEILING_matrix_unit].median;
    char between[40] = "";
    char share[32] = "";
    if (fma > 0) {
        printf("| F, float32 multiply-adds | %.1f GFLOP | | a ceiling |\n", fma * 1e-9);
        snprintf(share, sizeof share, " = F/%.0f", fma / noise);
    }
    if (noise > 0) printf("| normals, bit-exact | %.3g%s | | a ceiling |\n", noise, share);
    if (fast > 0) printf("| normals, run.math = fast | %.3g | | a ceiling |\n", fast);
    if (curand > 0) printf("| cuRAND's normals, written to memory | %.3g | | a ceiling |\n", curand);
    if (tf32 > 0) snprintf(between, sizeof between, " tf32 %.1f,", tf32 * 1e-9);
    if (fp32 > 0)
        printf("| products, m 300, n 20,000 | fp32 %.1f,%s bf16 %.1f GFLOP | | ceilings |\n", fp32 * 1e-9,
               between, bf16 * 1e-9);
    if (unit > 0)
        printf("| matrix unit (AMX), bf16 tiles from registers | %.0f GFLOP | | a ceiling |\n", unit * 1e-9);
}

static void markdown_row(const nsamp_bench_row *row, int threads) {
    char a[16], b[16], e[16];
    printf("| %s, %s | %s %ss", row->system, row->title, rate_text(row->rate.median, a), row->unit);
    if (!strcmp(row->system, "langevin"))
        printf(", %s dimensions", rate_text(row->rate.median * (double)row->dim, b));
    if (!strcmp(row->system, "mh-spiking"))
        printf(", %.2f ns a proposal a core", 1e9 * threads / row->rate.median);
    printf(" | %s | ", row->tau > 0 ? rate_text(row->rate.median / row->tau, e) : "");
    markdown_share(row);
    printf(" |\n");
}

void cli_bench_markdown(const nsamp_bench_report *r) {
    const nsamp_machine *m = &r->machine;
    const char *mark = *r->overrides ? "`" : "";
    printf("`nsamp bench`%s%s%s%s, %.10s, %s, %d thread%s, %s kernels by %s, products by %s:\n\n",
           *mark ? " " : "", mark, r->overrides, mark, m->date,
           strncmp(m->backend, "cpu", 3) ? m->backend : m->cpu, m->threads, m->threads == 1 ? "" : "s",
           m->isa, m->kernel_compiler, m->products);
    printf("| work | a second | effective samples a second | what binds |\n|---|---|---|---|\n");
    markdown_ceilings(r->ceilings.rate);
    for (size_t i = 0; i < r->count; i++)
        if (!r->rows[i].error[0]) markdown_row(&r->rows[i], m->threads);
}
