/* bench.c: nsamp bench: throughput, and its share of what this machine can do. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bench/bench.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "error.h"

static int say_case(const char *what, size_t index, size_t count, void *user) {
    const bool *quiet = user;
    if (!*quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r%-79.79s\r%zu/%zu %.70s", "", index + 1, count, what);
    return cli_stop_requested();
}

static void print_ceilings(const nsamp_bench_report *r) {
    printf("%s, %d thread%s, %s kernels, products by %s\n\n", r->machine, r->threads,
           r->threads == 1 ? "" : "s", r->isa, r->products);
    printf("ceilings, measured in this process (medians of %d)\n", NSAMP_BENCH_RUNS);
    printf("  F, float32 FMA          %8.1f GFLOP/s\n", r->fma * 1e-9);
    printf("  noise alone             %8.3g normals/s = F/%.0f\n", r->noise, r->fma / r->noise);
    printf("  product fp32            %8.1f GFLOP/s   (m 300, n 20,000, 512 chains, two plain layers)\n",
           r->product_fp32 * 1e-9);
    if (r->product_bf16 > 0)
        printf("  product bf16            %8.1f GFLOP/s   %.2f times fp32\n", r->product_bf16 * 1e-9,
               r->product_bf16 / r->product_fp32);
    else
        printf("  product bf16            none on this processor\n");
    const nsamp_training_rate *t = &r->training;
    printf("\ntraining, m %zu, n %zu, batch %zu\n", t->m, t->n, t->batch);
    printf(
        "  %.4g samples/s (%.4g to %.4g), %.1f GFLOP/s in its five products, %.0f %% of the product rate\n\n",
        t->samples, t->low, t->high, t->flops * 1e-9, 100 * t->flops / r->product_fp32);
}

static void print_row(const nsamp_bench_row *row) {
    printf("%s %s\n", row->system, row->job);
    if (row->error[0]) {
        printf("  not run: %s\n", row->error);
        return;
    }
    printf("  %.3g chain-steps/s (%.3g to %.3g), %.3g dimension-steps/s", row->chain_steps, row->low,
           row->high, row->dim_steps);
    if (row->share_product > 0)
        printf(", %.0f %% of the product rate", 100 * row->share_product);
    else if (!strcmp(row->bound, "noise"))
        printf(", %.0f %% of the noise rate", 100 * row->share_noise);
    else if (!strcmp(row->bound, "fma"))
        printf(", %.0f %% of F", 100 * row->share_fma);
    if (!strcmp(row->system, "mh-spiking"))
        printf(", %.2f ns a proposal a core", 1e9 * row->threads / row->chain_steps);
    printf("\n");
}

static void json_text(const char *text) {
    putchar('"');
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        if ((unsigned char)*text >= ' ') putchar(*text);
    }
    putchar('"');
}

static void print_json(const nsamp_bench_report *r) {
    printf("{\"machine\": ");
    json_text(r->machine);
    printf(", \"threads\": %d, \"isa\": \"%s\", \"products\": ", r->threads, r->isa);
    json_text(r->products);
    printf(",\n \"ceilings\": {\"fma_flops\": %.6g, \"normals\": %.6g, \"product_fp32_flops\": %.6g, "
           "\"product_bf16_flops\": %.6g},\n",
           r->fma, r->noise, r->product_fp32, r->product_bf16);
    printf(" \"training\": {\"m\": %zu, \"n\": %zu, \"batch\": %zu, \"samples\": %.6g, \"flops\": %.6g},\n "
           "\"rows\": [",
           r->training.m, r->training.n, r->training.batch, r->training.samples, r->training.flops);
    for (size_t i = 0; i < r->count; i++) {
        const nsamp_bench_row *row = &r->rows[i];
        printf("%s\n  {\"system\": \"%s\", \"job\": ", i ? "," : "", row->system);
        json_text(row->job);
        if (row->error[0]) {
            printf(", \"error\": ");
            json_text(row->error);
            putchar('}');
            continue;
        }
        printf(", \"chain_steps\": %.6g, \"low\": %.6g, \"high\": %.6g, \"dim_steps\": %.6g, \"normals\": "
               "%.6g, \"flops\": %.6g, "
               "\"share_noise\": %.4f, \"share_fma\": %.4f, \"share_product\": %.4f, \"bound\": \"%s\"}",
               row->chain_steps, row->low, row->high, row->dim_steps, row->normals, row->flops,
               row->share_noise, row->share_fma, row->share_product, row->bound);
    }
    printf("\n ]}\n");
}

/* Words with an '=' are settings put on top of every case, the others are systems. */
static nsamp_status bench(const cli_args *args, nsamp_error *err) {
    const char *systems[64], *settings[64];
    size_t nsystems = 0, nsettings = 0;
    if (args->count > 64)
        return nsamp_fail(err, NSAMP_EUSAGE, "nsamp bench takes at most 64 words, not %d", args->count);
    for (int i = 0; i < args->count; i++)
        if (strchr(args->words[i], '='))
            settings[nsettings++] = args->words[i];
        else
            systems[nsystems++] = args->words[i];
    nsamp_bench_report report;
    bool quiet = args->quiet;
    cli_stop_on_signals();
    nsamp_status status =
        nsamp_bench_run(systems, nsystems, settings, nsettings, say_case, &quiet, &report, err);
    if (!quiet && isatty(STDERR_FILENO)) fprintf(stderr, "\r%-79.79s\r", "");
    if (!status && cli_flag_value(&cli_verb_bench, args, "--json")) {
        print_json(&report);
    } else if (!status) {
        print_ceilings(&report);
        for (size_t i = 0; i < report.count; i++) {
            if (!i || strcmp(report.rows[i].system, report.rows[i - 1].system)) printf("\n");
            print_row(&report.rows[i]);
        }
    }
    nsamp_bench_report_free(&report);
    return status;
}

static const cli_flag flags[] = {{"--json", NULL, NULL, "every number, for machines"},
                                 {NULL, NULL, NULL, NULL}};

static const cli_example examples[] = {
    {"nsamp bench", "every system, all threads; one or two minutes"},
    {"nsamp bench langevin run.threads=1", "one system on one core"},
    {NULL, NULL},
};

const cli_verb cli_verb_bench = {
    .name = "bench",
    .synopsis = "bench [SYSTEM ...] [section.key=value ...] [--json]",
    .summary = "throughput, and percent of this machine's ceiling",
    .about = "Checks the systems against their laws, measures what this machine can do (fused multiply-adds, "
             "noise alone, matrix "
             "products), then times each system as a run would advance it, accumulators included: the median "
             "of five blocks of steps, "
             "with the slowest and the fastest. Shares are of ceilings measured in the same process. Run it "
             "on a quiet machine.",
    .flags = flags,
    .examples = examples,
    .run = bench,
};
