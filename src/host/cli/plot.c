/* plot.c: nsamp plot: the picture of an output or a model file. */
#include <stdio.h>
#include <string.h>
#include "bench/report.h"
#include "bench/roofline.h"
#include "cli/cli.h"
#include "error.h"
#include "io/plainfile.h"
#include "stats/plot.h"

/* FILE.nc or FILE.json -> FILE.png, in the same folder. */
static nsamp_status default_path(const char *file, char *out, size_t size, nsamp_error *err) {
    size_t len = strlen(file);
    if (len > 3 && !strcmp(file + len - 3, ".nc")) len -= 3;
    if (len > 5 && !strcmp(file + len - 5, ".json")) len -= 5;
    if (snprintf(out, size, "%.*s.png", (int)len, file) >= (int)size)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "the path is longer than %zu characters; -o OUT.png names a shorter one", size);
    return NSAMP_OK;
}

/* A bench is the one kind of file that starts with a brace. */
static bool is_bench(const char *path) {
    FILE *f;
    if (nsamp_fopen_plain(path, &f, NULL)) return false;
    const int first = fgetc(f);
    fclose(f);
    return first == '{';
}

static nsamp_status plot_bench(const char *path, const char *out, const char *kind, nsamp_error *err) {
    nsamp_bench_report report;
    if (kind && strcmp(kind, "roofline"))
        return nsamp_fail(err, NSAMP_EUSAGE, "%s: a bench has a roofline and no %.40s", path, kind);
    nsamp_status status = nsamp_bench_load(path, &report, err);
    if (!status) status = nsamp_bench_plot(&report, out, err);
    nsamp_bench_report_free(&report);
    return status;
}

static nsamp_status plot(const cli_args *args, nsamp_error *err) {
    char path[4096];
    const char *out = cli_flag_value(&cli_verb_plot, args, "--output");
    const char *kind = cli_flag_value(&cli_verb_plot, args, "--kind");
    if (args->count != 1)
        return nsamp_fail(err, NSAMP_EUSAGE,
                          "nsamp plot takes one file, not %d: nsamp plot OUT.nc [-o OUT.png]", args->count);
    nsamp_status status = out ? NSAMP_OK : default_path(args->words[0], path, sizeof path, err);
    if (!out) out = path;
    if (!status)
        status = is_bench(args->words[0]) ? plot_bench(args->words[0], out, kind, err)
                                          : nsamp_plot(args->words[0], out, kind, err);
    if (!status && !args->quiet) printf("wrote %s\n", out);
    return status;
}

static const cli_flag flags[] = {
    {"--output", "-o", "FILE", "picture to write: .png, .svg or .pdf (default: the file's name with .png)"},
    {"--kind", NULL, "KIND",
     "images, density, trace, moments, loss or roofline (default: the first that fits)"},
    {NULL, NULL, NULL, NULL},
};

static const cli_example examples[] = {
    {"nsamp plot heart.nc", "the density of the draws beside the target's, in heart.png"},
    {"nsamp plot equicorrelated.nc -o trace.pdf --kind trace", "paths of a few chains, and the marginals"},
    {"nsamp plot digits.nc -o loss.svg", "the loss curve of a model"},
    {"nsamp plot bench.json -o roofline.png", "the rates of nsamp bench under the ceilings of the machine"},
    {NULL, NULL},
};

const cli_verb cli_verb_plot = {
    .name = "plot",
    .synopsis = "plot FILE [-o OUT.png|svg|pdf]",
    .summary = "the picture that fits a file",
    .about = "Draws an output of nsamp run or a model of nsamp train: images as a grid, two dimensions as a "
             "density beside the "
             "target's, otherwise traces and marginals against the target's; a model as its loss curve; "
             "what nsamp bench wrote as a roofline. "
             "Figures need gnuplot, "
             "image grids do not.",
    .flags = flags,
    .examples = examples,
    .run = plot,
};
