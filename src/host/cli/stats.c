/* stats.c: nsamp stats: what output files hold, as tables or JSON. */
#include <stdio.h>
#include <stdlib.h>
#include "cli/cli.h"
#include "error.h"
#include "stats/report.h"

static nsamp_status stats(const cli_args *args, nsamp_error *err) {
    bool json = cli_flag_value(&cli_verb_stats, args, "--json") != NULL;
    if (!args->count)
        return nsamp_fail(err, NSAMP_EUSAGE, "nsamp stats needs an output file: nsamp stats OUT.nc");
    size_t bad = 0;
    for (int i = 0; i < args->count; i++) {
        char *text = NULL;
        size_t found = 0;
        nsamp_status status = nsamp_report(args->words[i], json, &text, &found, err);
        if (status) return status;
        printf("%s%s", i && !json ? "\n" : "", text);
        free(text);
        bad += found;
    }
    if (!bad || !cli_flag_value(&cli_verb_stats, args, "--strict")) return NSAMP_OK;
    return nsamp_fail(err, NSAMP_ECHECK, "%zu finding%s above (verdict), and --strict allows none", bad,
                      bad == 1 ? "" : "s");
}

static const cli_flag flags[] = {
    {"--json", NULL, NULL, "every number under its name in the file, one object a file"},
    {"--strict", NULL, NULL, "end with exit code 6 where the verdict finds anything wrong"},
    {NULL, NULL, NULL, NULL},
};

static const cli_example examples[] = {
    {"nsamp stats equicorrelated.nc", "moments, diagnostics and distances to the target, as a table"},
    {"nsamp stats --json digits-sample.nc > digits.json", "the same for a program"},
    {"nsamp stats --strict equicorrelated.nc || echo not converged", "in a script"},
    {NULL, NULL},
};

const cli_verb cli_verb_stats = {
    .name = "stats",
    .synopsis = "stats [--json] [--strict] OUT.nc ...",
    .summary = "what an output holds",
    .about = "Reads output files and prints moments with standard errors and exact values, R-hat, effective "
             "sample sizes, the "
             "system's own statistics, and the distances of the stored draws to their target. Under the "
             "table stands a "
             "verdict: what is wrong with the run, what it means, and which key helps.",
    .flags = flags,
    .examples = examples,
    .run = stats,
};
