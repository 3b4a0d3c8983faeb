/* report.c: writes and reads the file of a bench. What follows from other numbers (rates of dimensions and normals, shares) is written for
 * other programs and not read. */
#include "bench/report.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "io/json.h"
#include "io/newfile.h"

enum { VERSION = 1 };

const char *nsamp_bench_size_name(int size) {
    return size == NSAMP_BENCH_SMALL ? "small" : size == NSAMP_BENCH_MEDIUM ? "medium" : "large";
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static void put_text(FILE *out, const char *name, const char *text) {
    fprintf(out, ", \"%s\": ", name);
    nsamp_json_put_text(out, text);
}

static void put_number(FILE *out, const char *name, double number) {
    fprintf(out, ", \"%s\": ", name);
    nsamp_json_put_number(out, number, 6);
}

static void put_machine(FILE *out, const nsamp_machine *m) {
    fprintf(out, " \"machine\": {\"cores\": %d", m->cores);
    put_number(out, "threads", m->threads);
    put_text(out, "cpu", m->cpu);
    put_text(out, "isa", m->isa);
    put_text(out, "backend", m->backend);
    put_text(out, "kernel_compiler", m->kernel_compiler);
    put_text(out, "products", m->products);
    put_text(out, "blas", m->blas);
    put_text(out, "openblas_coretype", m->openblas_coretype);
    fprintf(out, ", \"l1_bytes\": %.0f, \"l2_bytes\": %.0f, \"l3_bytes\": %.0f},\n", m->l1_bytes, m->l2_bytes,
            m->l3_bytes);
}

static void put_rate(FILE *out, const nsamp_rate *rate) {
    fprintf(out, "\"rate\": %.6g, \"low\": %.6g, \"high\": %.6g", rate->median, rate->low, rate->high);
}

static void put_bounds(FILE *out, const nsamp_bench_row *row) {
    fprintf(out, ",\n   \"bounds\": {");
    for (int b = 0; b < NSAMP_BOUND_count; b++) {
        fprintf(out, "%s\"%s\": ", b ? ", " : "", nsamp_bound_names[b]);
        nsamp_json_put_number(out, row->bound[b] > 0 ? row->bound[b] : NAN, 6);
    }
    fprintf(out, "}, \"shares\": {");
    for (int b = 0; b < NSAMP_BOUND_count; b++) {
        fprintf(out, "%s\"%s\": ", b ? ", " : "", nsamp_bound_names[b]);
        nsamp_json_put_number(out, row->bound[b] > 0 ? row->rate.median / row->bound[b] : NAN, 4);
    }
    fprintf(out, "}");
    put_text(out, "binds", row->binds < NSAMP_BOUND_count ? nsamp_bound_names[row->binds] : "");
}

static void put_row(FILE *out, const nsamp_bench_row *row) {
    const nsamp_counts *c = &row->counts;
    fprintf(out, "  {\"size\": \"%s\"", nsamp_bench_size_name(row->size));
    put_text(out, "system", row->system);
    put_text(out, "title", row->title);
    put_text(out, "job", row->job);
    if (row->error[0]) {
        put_text(out, "error", row->error);
        fprintf(out, ", \"failed\": %s}", row->failed ? "true" : "false");
        return;
    }
    put_text(out, "kernel", row->kernel);
    put_text(out, "backend", row->backend);
    fprintf(out, ", \"chains\": %llu, \"dim\": %zu", (unsigned long long)row->chains, row->dim);
    put_text(out, "unit", row->unit);
    fprintf(out, ",\n   ");
    put_rate(out, &row->rate);
    put_number(out, "dim_steps", row->rate.median * (double)row->dim);
    put_number(out, "normals", row->rate.median * c->normals);
    put_number(out, "effective", row->rate.median / row->tau);
    put_number(out, "tau", row->tau);
    put_text(out, "tau_source", row->tau_source);
    fprintf(out,
            ",\n   \"counts\": {\"normals\": %.10g, \"words\": %.10g, \"flop\": %.10g, \"elementary\": "
            "%.10g, \"product\": %.10g, "
            "\"bytes\": %.10g, \"working_set\": %.10g}",
            c->normals, c->words, c->flop, c->elementary, c->product, c->bytes, c->working_set);
    put_number(out, "product_ceiling", row->product);
    put_text(out, "copy", row->copy);
    put_bounds(out, row);
    put_number(out, "reference_error", row->reference < 0 ? NAN : row->reference);
    fprintf(out, "}");
}

void nsamp_bench_write(FILE *out, const nsamp_bench_report *r) {
    fprintf(out, "{\"nsamp_bench\": %d", VERSION);
    put_text(out, "date", r->machine.date);
    put_text(out, "program", r->machine.program);
    put_text(out, "overrides", r->overrides);
    put_number(out, "laws_passed", (double)r->laws);
    put_number(out, "runs", r->watch.runs);
    put_number(out, "run_seconds", r->watch.seconds);
    fprintf(out, ",\n");
    put_machine(out, &r->machine);
    fprintf(out, " \"ceilings\": {");
    for (int k = 0, any = 0; k < NSAMP_CEILING_count; k++) {
        if (!(r->ceilings.rate[k].median > 0)) continue;
        fprintf(out, "%s\n  \"%s\": {", any++ ? "," : "", nsamp_ceiling_names[k].name);
        put_rate(out, &r->ceilings.rate[k]);
        put_text(out, "unit", nsamp_ceiling_names[k].unit);
        put_text(out, "what", nsamp_ceiling_names[k].what);
        fprintf(out, "}");
    }
    fprintf(out, "},\n \"rows\": [");
    for (size_t i = 0; i < r->count; i++) {
        fprintf(out, "%s\n", i ? "," : "");
        put_row(out, &r->rows[i]);
    }
    fprintf(out, "\n ]}\n");
}

nsamp_status nsamp_bench_save(const char *path, const nsamp_bench_report *report, nsamp_error *err) {
    nsamp_newfile file;
    nsamp_status status = nsamp_newfile_begin(path, true, &file, err);
    if (status) return status;
    FILE *out = fopen(file.temp, "w");
    if (out) nsamp_bench_write(out, report);
    bool failed = !out || ferror(out);
    if (out && fclose(out)) failed = true;
    status = failed ? nsamp_fail(err, NSAMP_EIO, "%s: cannot be written: %s", path, strerror(errno))
                    : nsamp_newfile_commit(&file, err);
    nsamp_newfile_abandon(&file);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void get_text(const nsamp_json *from, const char *name, char *to, size_t size) {
    snprintf(to, size, "%s", nsamp_json_text(from, name, ""));
}
#define GET_TEXT(from, name, to) get_text(from, name, to, sizeof(to))

/* A number from 0 to most; anything else is 0. */
static double get_count(const nsamp_json *from, const char *name, double most) {
    const double v = nsamp_json_number(from, name, 0);
    return v >= 0 && v <= most ? v : 0;
}

static nsamp_rate get_rate(const nsamp_json *from) {
    return (nsamp_rate){get_count(from, "rate", 1e300), get_count(from, "low", 1e300),
                        get_count(from, "high", 1e300)};
}

static void get_machine(const nsamp_json *from, nsamp_machine *m) {
    m->cores = (int)get_count(from, "cores", 1e6);
    m->threads = (int)get_count(from, "threads", 1e6);
    GET_TEXT(from, "cpu", m->cpu);
    GET_TEXT(from, "isa", m->isa);
    GET_TEXT(from, "backend", m->backend);
    GET_TEXT(from, "kernel_compiler", m->kernel_compiler);
    GET_TEXT(from, "products", m->products);
    GET_TEXT(from, "blas", m->blas);
    GET_TEXT(from, "openblas_coretype", m->openblas_coretype);
    m->l1_bytes = get_count(from, "l1_bytes", 1e18);
    m->l2_bytes = get_count(from, "l2_bytes", 1e18);
    m->l3_bytes = get_count(from, "l3_bytes", 1e18);
}

static void get_numbers(const nsamp_json *from, nsamp_bench_row *row) {
    const nsamp_json *counts = nsamp_json_member(from, "counts"), *bounds = nsamp_json_member(from, "bounds");
    const char *binds = nsamp_json_text(from, "binds", "");
    row->chains = (uint64_t)get_count(from, "chains", 4294967296.0);
    row->dim = (size_t)get_count(from, "dim", 1e9);
    row->rate = get_rate(from);
    row->tau = nsamp_json_number(from, "tau", NAN);
    row->reference = nsamp_json_number(from, "reference_error", -1);
    row->product = get_count(from, "product_ceiling", 1e300);
    row->counts =
        (nsamp_counts){get_count(counts, "normals", 1e300),    get_count(counts, "words", 1e300),
                       get_count(counts, "flop", 1e300),       get_count(counts, "elementary", 1e300),
                       get_count(counts, "product", 1e300),    get_count(counts, "bytes", 1e300),
                       get_count(counts, "working_set", 1e300)};
    row->binds = NSAMP_BOUND_count;
    for (int b = 0; b < NSAMP_BOUND_count; b++) {
        row->bound[b] = get_count(bounds, nsamp_bound_names[b], 1e300);
        if (!strcmp(binds, nsamp_bound_names[b]) && row->bound[b] > 0) row->binds = (nsamp_bound)b;
    }
    GET_TEXT(from, "unit", row->unit);
    GET_TEXT(from, "kernel", row->kernel);
    GET_TEXT(from, "backend", row->backend);
    GET_TEXT(from, "copy", row->copy);
    GET_TEXT(from, "tau_source", row->tau_source);
}

static void get_row(const nsamp_json *from, nsamp_bench_row *row) {
    const char *size = nsamp_json_text(from, "size", "");
    const nsamp_json *failed = nsamp_json_member(from, "failed");
    row->size = !strcmp(size, "small")    ? NSAMP_BENCH_SMALL
                : !strcmp(size, "medium") ? NSAMP_BENCH_MEDIUM
                                          : NSAMP_BENCH_LARGE;
    GET_TEXT(from, "system", row->system);
    GET_TEXT(from, "title", row->title);
    GET_TEXT(from, "job", row->job);
    GET_TEXT(from, "error", row->error);
    row->failed = failed && failed->number != 0;
    if (!row->error[0]) get_numbers(from, row);
}

static nsamp_status get_report(const char *path, const nsamp_json *root, nsamp_bench_report *r,
                               nsamp_error *err) {
    const nsamp_json *rows = nsamp_json_member(root, "rows"), *ceilings = nsamp_json_member(root, "ceilings");
    const double version = nsamp_json_number(root, "nsamp_bench", 0);
    if (version != VERSION || !rows || rows->type != NSAMP_JSON_ARRAY)
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: not written by nsamp bench (\"nsamp_bench\": %d, \"rows\": [...])", path,
                          VERSION);
    GET_TEXT(root, "date", r->machine.date);
    GET_TEXT(root, "program", r->machine.program);
    GET_TEXT(root, "overrides", r->overrides);
    r->laws = (size_t)get_count(root, "laws_passed", 1e9);
    r->watch = (nsamp_stopwatch){get_count(root, "run_seconds", 1e9), (int)get_count(root, "runs", 1e6)};
    get_machine(nsamp_json_member(root, "machine"), &r->machine);
    for (int k = 0; k < NSAMP_CEILING_count; k++)
        r->ceilings.rate[k] = get_rate(nsamp_json_member(ceilings, nsamp_ceiling_names[k].name));
    size_t count = 0;
    for (const nsamp_json *c = rows->child; c; c = c->next)
        count++;
    r->rows = calloc(count + 1, sizeof *r->rows);
    if (!r->rows) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu rows", count);
    for (const nsamp_json *c = rows->child; c; c = c->next)
        get_row(c, &r->rows[r->count++]);
    return NSAMP_OK;
}

nsamp_status nsamp_bench_load(const char *path, nsamp_bench_report *report, nsamp_error *err) {
    nsamp_json *root;
    memset(report, 0, sizeof *report);
    nsamp_status status = nsamp_json_read(path, &root, err);
    if (!status) status = get_report(path, root, report, err);
    nsamp_json_destroy(root);
    return status;
}
