/* bench.c: nsamp bench: throughput, and its share of what this machine can do. The tables are in bench_table.c. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "bench/report.h"
#include "cli/bench_table.h"
#include "cli/cli.h"
#include "cli/progress.h"
#include "clock.h"
#include "error.h"
#include "io/newfile.h"

enum { WORDS = 64 };
static const double PLAIN_S = 5;

/* What is shown while it runs. */
typedef struct display {
    bool quiet, terminal;
    double began, told;
} display;

/* nsamp_bench_progress: one line, rewritten on a terminal, a line every few seconds elsewhere. */
static int say(const char *what, size_t index, size_t count, void *user) {
    display *d = user;
    const double now = nsamp_clock();
    char left[64] = "", line[192];
    if (!index) d->began = now;
    if (index > 3) {
        char seconds[40];
        cli_duration((now - d->began) / (double)index * (double)(count - index), seconds, sizeof seconds);
        snprintf(left, sizeof left, ", about %s left", seconds);
    }
    snprintf(line, sizeof line, "%zu/%zu %s%s", index + 1, count, what, left);
    if (!d->quiet && d->terminal)
        fprintf(stderr, "\r%-79.79s", line);
    else if (!d->quiet && index && now - d->told >= PLAIN_S)
        fprintf(stderr, "%s\n", line);
    if (now - d->told >= PLAIN_S) d->told = now;
    return cli_stop_requested();
}

static nsamp_status read_sizes(const char *text, int *sizes, nsamp_error *err) {
    *sizes = !strcmp(text, "small")    ? NSAMP_BENCH_SMALL
             : !strcmp(text, "medium") ? NSAMP_BENCH_MEDIUM
             : !strcmp(text, "large")  ? NSAMP_BENCH_LARGE
             : !strcmp(text, "all")    ? NSAMP_BENCH_ALL
                                       : 0;
    if (*sizes) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_EUSAGE, "--size %.40s: valid: small, medium, large, all", text);
}

/* Words with an '=' are settings put on top of every case, the others are systems. */
static nsamp_status read_words(const cli_args *args, const char **systems, const char **settings,
                               nsamp_bench_options *o, nsamp_error *err) {
    if (args->count > WORDS)
        return nsamp_fail(err, NSAMP_EUSAGE, "nsamp bench takes at most %d words, not %d", WORDS,
                          args->count);
    for (int i = 0; i < args->count; i++)
        if (strchr(args->words[i], '='))
            settings[o->nsettings++] = args->words[i];
        else
            systems[o->nsystems++] = args->words[i];
    o->systems = systems;
    o->settings = settings;
    return NSAMP_OK;
}

static nsamp_status measure(const cli_args *args, nsamp_bench_report *report, nsamp_error *err) {
    const char *systems[WORDS], *settings[WORDS];
    const char *size = cli_flag_value(&cli_verb_bench, args, "--size"),
               *file = cli_flag_value(&cli_verb_bench, args, "--output");
    const bool quick = cli_flag_value(&cli_verb_bench, args, "--quick");
    nsamp_bench_options o = {.against = cli_flag_value(&cli_verb_bench, args, "--against"),
                             .sizes = NSAMP_BENCH_ALL,
                             .watch = quick ? nsamp_bench_quick : nsamp_bench_watch};
    display d = {.quiet = args->quiet, .terminal = isatty(STDERR_FILENO) != 0};
    nsamp_status status = read_words(args, systems, settings, &o, err);
    if (!status && o.against && !strchr(o.against, '='))
        status = nsamp_fail(err, NSAMP_EUSAGE, "--against %.40s: not a setting, \"section.key=value ...\"",
                            *o.against ? o.against : "\"\"");
    if (!status && o.against && cli_flag_value(&cli_verb_bench, args, "--markdown"))
        status =
            nsamp_fail(err, NSAMP_EUSAGE, "--markdown is the table of the README, which has no --against");
    if (!status && quick && !size) size = "small";
    if (!status && size) status = read_sizes(size, &o.sizes, err);
    if (!status && file) status = nsamp_newfile_check(file, true, err);
    if (status) return status;
    cli_stop_on_signals();
    d.told = nsamp_clock();
    status = nsamp_bench_run(&o, say, &d, report, err);
    if (!d.quiet && d.terminal) fprintf(stderr, "\r%-79s\r", "");
    nsamp_error unwritten;
    if ((!status || report->count) && file && nsamp_bench_save(file, report, &unwritten)) {
        *err = unwritten;
        return unwritten.status;
    }
    return status;
}

static nsamp_status bench(const cli_args *args, nsamp_error *err) {
    const char *from = cli_flag_value(&cli_verb_bench, args, "--read");
    nsamp_bench_report report = {0};
    nsamp_status status;
    if (from && (args->count || cli_flag_value(&cli_verb_bench, args, "--output") ||
                 cli_flag_value(&cli_verb_bench, args, "--against")))
        status = nsamp_fail(
            err, NSAMP_EUSAGE,
            "--read shows what was measured before: it takes no systems, settings, --against or -o");
    else
        status = from ? nsamp_bench_load(from, &report, err) : measure(args, &report, err);
    if (!status || report.count) {
        bool written = true;
        if (cli_flag_value(&cli_verb_bench, args, "--json"))
            written = nsamp_bench_write(stdout, &report);
        else if (cli_flag_value(&cli_verb_bench, args, "--markdown"))
            cli_bench_markdown(&report);
        else
            cli_bench_table(&report);
        if (!written && !status) status = nsamp_fail(err, NSAMP_EIO, "standard output cannot be written");
    }
    nsamp_bench_report_free(&report);
    return status;
}

static const cli_flag flags[] = {
    {"--size", NULL, "SIZE", "small, medium, large or all (default: all)"},
    {"--quick", NULL, NULL, "a short look: runs of 0.04 s, and the small sizes unless --size says otherwise"},
    {"--against", NULL, "SETTINGS",
     "each case by turns with itself under these settings too, \"section.key=value ...\", and the ratio of "
     "their rates"},
    {"--json", NULL, NULL, "every number, for machines (docs/performance.md has the schema)"},
    {"--output", "-o", "FILE", "also write that to a file, whole or not at all; an existing one is replaced"},
    {"--markdown", NULL, NULL, "the table of the README"},
    {"--read", NULL, "FILE", "measure nothing: show a file that --output wrote"},
    {NULL, NULL, NULL, NULL}};

static const cli_example examples[] = {
    {"nsamp bench -o bench.json && nsamp plot bench.json",
     "everything, all threads, some eight minutes; and the roofline"},
    {"nsamp bench langevin run.threads=1 --quick", "the small cases of one system on one core"},
    {"nsamp bench rsn --size large run.isa=v3", "large networks with the AVX2 kernels"},
    {"nsamp bench rsn --size large --against run.path=product",
     "large networks, and how much faster they are than by products of the library"},
    {"nsamp bench --read bench.json --markdown", "what was measured before, as Markdown"},
    {NULL, NULL},
};

const cli_verb cli_verb_bench = {
    .name = "bench",
    .synopsis = "bench [SYSTEM ...] [section.key=value ...]",
    .summary = "throughput, and percent of this machine's ceilings",
    .about = "Holds the systems to their laws, measures what this machine can do (fused multiply-adds, noise "
             "alone, matrix products, copies), "
             "then times each case as a run would advance it, accumulators included: the median of five runs "
             "with the slowest and the "
             "fastest. Shares are of ceilings measured in the same process. Systems: langevin, rsn, "
             "mh-spiking, training; settings are put "
             "on top of every case and named in the output. A case that fails its check has no rate, and the "
             "exit code is 6. Run it on a "
             "quiet machine.",
    .flags = flags,
    .examples = examples,
    .run = bench,
};
