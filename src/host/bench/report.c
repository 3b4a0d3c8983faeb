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
#include "io/plainfile.h"

enum { VERSION = 1 };

const char *nsamp_bench_size_name(int size) {
    return size == NSAMP_BENCH_SMALL ? "small" : size == NSAMP_BENCH_MEDIUM ? "medium" : "large";
}

/* ---- writing ------------------------------------------------------------------------------------------- */

static void put_text(json_t *to, const char *name, const char *text) {
    json_object_set_new(to, name, nsamp_json_text(text));
}

static void put_number(json_t *to, const char *name, double number) {
    json_object_set_new(to, name, nsamp_json_number(number));
}

static void put_rate(json_t *to, const nsamp_rate *rate) {
    put_number(to, "rate", rate->median);
    put_number(to, "low", rate->low);
    put_number(to, "high", rate->high);
}

static json_t *machine_of(const nsamp_machine *m) {
    json_t *to = json_object();
    put_text(to, "cpu", m->cpu);
    put_number(to, "cores", m->cores);
    put_number(to, "threads", m->threads);
    put_text(to, "isa", m->isa);
    put_text(to, "backend", m->backend);
    put_text(to, "kernel_compiler", m->kernel_compiler);
    put_text(to, "products", m->products);
    put_text(to, "blas", m->blas);
    put_text(to, "openblas_coretype", m->openblas_coretype);
    put_number(to, "l1_bytes", m->l1_bytes);
    put_number(to, "l2_bytes", m->l2_bytes);
    put_number(to, "l3_bytes", m->l3_bytes);
    return to;
}

static json_t *ceilings_of(const nsamp_ceilings *c) {
    json_t *to = json_object();
    for (int k = 0; k < NSAMP_CEILING_count; k++) {
        if (!(c->rate[k].median > 0)) continue;
        json_t *ceiling = json_object();
        put_rate(ceiling, &c->rate[k]);
        put_text(ceiling, "unit", nsamp_ceiling_names[k].unit);
        put_text(ceiling, "what", nsamp_ceiling_names[k].what);
        json_object_set_new(to, nsamp_ceiling_names[k].name, ceiling);
    }
    return to;
}

static json_t *counts_of(const nsamp_counts *c) {
    json_t *to = json_object();
    put_number(to, "normals", c->normals);
    put_number(to, "words", c->words);
    put_number(to, "flop", c->flop);
    put_number(to, "elementary", c->elementary);
    put_number(to, "product", c->product);
    put_number(to, "bytes", c->bytes);
    put_number(to, "working_set", c->working_set);
    return to;
}

static void put_bounds(json_t *to, const nsamp_bench_row *row) {
    json_t *bounds = json_object(), *shares = json_object();
    for (int b = 0; b < NSAMP_BOUND_count; b++) {
        const bool any = row->bound[b] > 0;
        put_number(bounds, nsamp_bound_names[b], any ? row->bound[b] : NAN);
        put_number(shares, nsamp_bound_names[b], any ? row->rate.median / row->bound[b] : NAN);
    }
    json_object_set_new(to, "bounds", bounds);
    json_object_set_new(to, "shares", shares);
    put_text(to, "binds", row->binds < NSAMP_BOUND_count ? nsamp_bound_names[row->binds] : "");
}

static json_t *against_of(const nsamp_bench_against *a) {
    json_t *to = json_object();
    if (a->error[0]) {
        put_text(to, "error", a->error);
        json_object_set_new(to, "failed", json_boolean(a->failed));
        return to;
    }
    put_text(to, "kernel", a->kernel);
    put_text(to, "backend", a->backend);
    put_number(to, "own", a->own);
    put_rate(to, &a->rate);
    put_number(to, "ratio", a->ratio.median);
    put_number(to, "ratio_low", a->ratio.low);
    put_number(to, "ratio_high", a->ratio.high);
    return to;
}

static json_t *row_of(const nsamp_bench_row *row, bool against) {
    json_t *to = json_object();
    put_text(to, "size", nsamp_bench_size_name(row->size));
    put_text(to, "system", row->system);
    put_text(to, "title", row->title);
    put_text(to, "job", row->job);
    if (row->error[0]) {
        put_text(to, "error", row->error);
        json_object_set_new(to, "failed", json_boolean(row->failed));
        return to;
    }
    put_text(to, "kernel", row->kernel);
    put_text(to, "backend", row->backend);
    put_number(to, "chains", (double)row->chains);
    put_number(to, "dim", (double)row->dim);
    put_text(to, "unit", row->unit);
    put_rate(to, &row->rate);
    put_number(to, "dim_steps", row->rate.median * (double)row->dim);
    put_number(to, "normals", row->rate.median * row->counts.normals);
    put_number(to, "effective", row->rate.median / row->tau);
    put_number(to, "tau", row->tau);
    put_text(to, "tau_source", row->tau_source);
    json_object_set_new(to, "counts", counts_of(&row->counts));
    put_number(to, "product_ceiling", row->product);
    put_text(to, "copy", row->copy);
    put_bounds(to, row);
    put_number(to, "reference_error", row->reference < 0 ? NAN : row->reference);
    if (against) json_object_set_new(to, "against", against_of(&row->against));
    return to;
}

bool nsamp_bench_write(FILE *out, const nsamp_bench_report *r) {
    json_t *root = json_object(), *rows = json_array();
    put_number(root, "nsamp_bench", VERSION);
    put_text(root, "date", r->machine.date);
    put_text(root, "program", r->machine.program);
    put_text(root, "overrides", r->overrides);
    if (*r->against) put_text(root, "against", r->against);
    put_number(root, "laws_passed", (double)r->laws);
    json_object_set_new(root, "ceilings_beside", json_boolean(r->beside));
    put_number(root, "runs", r->watch.runs);
    put_number(root, "run_seconds", r->watch.seconds);
    json_object_set_new(root, "machine", machine_of(&r->machine));
    json_object_set_new(root, "ceilings", ceilings_of(&r->ceilings));
    put_text(root, "ceilings_left_out", r->ceilings.left_out);
    for (size_t i = 0; i < r->count; i++)
        json_array_append_new(rows, row_of(&r->rows[i], *r->against));
    json_object_set_new(root, "rows", rows);
    return nsamp_json_write(out, root);
}

nsamp_status nsamp_bench_save(const char *path, const nsamp_bench_report *report, nsamp_error *err) {
    nsamp_newfile file;
    nsamp_status status = nsamp_newfile_begin(path, true, &file, err);
    if (status) return status;
    FILE *out = fopen(file.temp, "w");
    bool failed = !out || !nsamp_bench_write(out, report);
    if (out && fclose(out)) failed = true;
    status = failed ? nsamp_fail(err, NSAMP_EIO, "%s: cannot be written: %s", path, strerror(errno))
                    : nsamp_newfile_commit(&file, err);
    nsamp_newfile_abandon(&file);
    return status;
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static void get_text(const json_t *from, const char *name, char *to, size_t size) {
    snprintf(to, size, "%s", nsamp_json_text_of(from, name));
}
#define GET_TEXT(from, name, to) get_text(from, name, to, sizeof(to))

/* A number from 0 to most; anything else is 0. */
static double get_count(const json_t *from, const char *name, double most) {
    const double v = nsamp_json_number_of(from, name, 0);
    return v >= 0 && v <= most ? v : 0;
}

static nsamp_rate get_rate(const json_t *from) {
    return (nsamp_rate){get_count(from, "rate", 1e300), get_count(from, "low", 1e300),
                        get_count(from, "high", 1e300)};
}

static void get_machine(const json_t *from, nsamp_machine *m) {
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

static void get_against(const json_t *from, nsamp_bench_against *a) {
    GET_TEXT(from, "error", a->error);
    GET_TEXT(from, "kernel", a->kernel);
    GET_TEXT(from, "backend", a->backend);
    a->failed = json_is_true(json_object_get(from, "failed"));
    a->own = get_count(from, "own", 1e300);
    a->rate = get_rate(from);
    a->ratio = (nsamp_rate){get_count(from, "ratio", 1e300), get_count(from, "ratio_low", 1e300),
                            get_count(from, "ratio_high", 1e300)};
}

static void get_numbers(const json_t *from, nsamp_bench_row *row) {
    const json_t *counts = json_object_get(from, "counts"), *bounds = json_object_get(from, "bounds");
    const char *binds = nsamp_json_text_of(from, "binds");
    row->chains = (uint64_t)get_count(from, "chains", 4294967296.0);
    row->dim = (size_t)get_count(from, "dim", 1e9);
    row->rate = get_rate(from);
    row->tau = nsamp_json_number_of(from, "tau", NAN);
    row->reference = nsamp_json_number_of(from, "reference_error", -1);
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
    get_against(json_object_get(from, "against"), &row->against);
}

static void get_row(const json_t *from, nsamp_bench_row *row) {
    const char *size = nsamp_json_text_of(from, "size");
    row->size = !strcmp(size, "small")    ? NSAMP_BENCH_SMALL
                : !strcmp(size, "medium") ? NSAMP_BENCH_MEDIUM
                                          : NSAMP_BENCH_LARGE;
    GET_TEXT(from, "system", row->system);
    GET_TEXT(from, "title", row->title);
    GET_TEXT(from, "job", row->job);
    GET_TEXT(from, "error", row->error);
    row->failed = json_is_true(json_object_get(from, "failed"));
    if (!row->error[0]) get_numbers(from, row);
}

static nsamp_status get_report(const char *path, const json_t *root, nsamp_bench_report *r,
                               nsamp_error *err) {
    const json_t *rows = json_object_get(root, "rows"), *ceilings = json_object_get(root, "ceilings");
    const double version = nsamp_json_number_of(root, "nsamp_bench", 0);
    if (version != VERSION || !json_is_array(rows))
        return nsamp_fail(err, NSAMP_EIO,
                          "%s: not written by nsamp bench (\"nsamp_bench\": %d, \"rows\": [...])", path,
                          VERSION);
    GET_TEXT(root, "date", r->machine.date);
    GET_TEXT(root, "program", r->machine.program);
    GET_TEXT(root, "overrides", r->overrides);
    GET_TEXT(root, "against", r->against);
    r->laws = (size_t)get_count(root, "laws_passed", 1e9);
    r->beside = json_is_true(json_object_get(root, "ceilings_beside"));
    r->watch = (nsamp_stopwatch){get_count(root, "run_seconds", 1e9), (int)get_count(root, "runs", 1e6)};
    get_machine(json_object_get(root, "machine"), &r->machine);
    for (int k = 0; k < NSAMP_CEILING_count; k++)
        r->ceilings.rate[k] = get_rate(json_object_get(ceilings, nsamp_ceiling_names[k].name));
    GET_TEXT(root, "ceilings_left_out", r->ceilings.left_out);
    const size_t count = json_array_size(rows);
    r->rows = calloc(count + 1, sizeof *r->rows);
    if (!r->rows) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory for %zu rows", count);
    for (size_t i = 0; i < count; i++)
        get_row(json_array_get(rows, i), &r->rows[r->count++]);
    return NSAMP_OK;
}

nsamp_status nsamp_bench_load(const char *path, nsamp_bench_report *report, nsamp_error *err) {
    FILE *file;
    json_error_t why;
    memset(report, 0, sizeof *report);
    nsamp_status status = nsamp_fopen_plain(path, &file, err);
    if (status) return status;
    json_t *root = json_loadf(file, JSON_REJECT_DUPLICATES, &why);
    fclose(file);
    status = root ? get_report(path, root, report, err)
                  : nsamp_fail(err, NSAMP_EIO, "%s:%d: not JSON: %s", path, why.line, why.text);
    json_decref(root);
    return status;
}
