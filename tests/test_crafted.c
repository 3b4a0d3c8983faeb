/* test_crafted.c: checkpoints whose sums are right and whose numbers no training or run can have reached:
 * refused in one line, never used. As somebody makes them who knows the format, or a machine whose memory
 * failed before the sums were taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "io/checkpoint.h"
#include "job/settings.h"
#include "scratch.h"
#include "train/training.h"

/* A checkpoint read into memory, to be changed and written again with right sums. */
typedef struct copy {
    char *identity;
    uint64_t step;
    nsamp_section list[12];
    size_t count;
} copy;

static copy read_copy(const char *path, const char *const *names, size_t count) {
    nsamp_error err;
    nsamp_checkpoint *file;
    copy c = {.count = count};
    size_t bytes;
    uint64_t job[2]; /* the first entry of the table: offset and bytes, as checkpoint.h says */
    unsigned char *head = scratch_read(path, &bytes);
    memcpy(job, head + 48 + 40, sizeof job);
    c.identity = strndup((const char *)head + job[0], job[1]);
    free(head);
    if (nsamp_checkpoint_open(path, c.identity, &file, &err) || !file) fail_msg("%s", err.text);
    c.step = nsamp_checkpoint_step(file);
    for (size_t i = 0; i < count; i++) {
        const size_t n = nsamp_checkpoint_bytes(file, names[i]);
        void *data = malloc(n + 1);
        if (!data || nsamp_checkpoint_read(file, names[i], data, n, &err)) fail_msg("%s", err.text);
        c.list[i] = (nsamp_section){names[i], data, n};
    }
    nsamp_checkpoint_close(file);
    return c;
}

static void write_copy(const char *path, const copy *c) {
    nsamp_error err;
    if (nsamp_checkpoint_save(path, c->identity, c->step, c->list, c->count, &err)) fail_msg("%s", err.text);
}

static void free_copy(copy *c) {
    for (size_t i = 0; i < c->count; i++)
        free((void *)c->list[i].data);
    free(c->identity);
}

/* ---- training ---- */

static nsamp_status train(const char *more, nsamp_error *err) {
    char settings[1024];
    nsamp_job *job = nsamp_job_create();
    snprintf(settings, sizeof settings,
             "target.name=equicorrelated target.dim=2 target.rho=0.5 train.draws=4000 train.hidden=8 "
             "train.batch=100 "
             "train.sigmas=1,0.5 train.epochs=1 train.seed=4 run.threads=1 model.file=%s %s",
             scratch("m.nc"), more);
    if (!job || nsamp_job_set_all(job, settings, err)) fail_msg("%s", err->text);
    const nsamp_status status = nsamp_train(job, NULL, NULL, err);
    nsamp_job_destroy(job);
    return status;
}

static const char *const training_sections[] = {"counters",    "numbers",        "curve_batch",
                                                "curve_train", "curve_held_out", "curve_level"};

#define AT(field, to)                                                                                        \
    { #field, offsetof(nsamp_train_counters, field), to, 0 }
#define AT_REAL(field, to)                                                                                   \
    { #field, offsetof(nsamp_train_counters, field), 0, to }

static void trainings(void **state) {
    (void)state;
    static const struct {
        const char *name;
        size_t at;
        uint64_t number;
        double real;
    } bad[] = {
        AT(batch, 0),
        AT(batch, UINT64_MAX),
        AT(level, 2),
        AT(level, UINT64_MAX),
        AT(level_batch, UINT64_MAX),
        AT(level_batch, 41),
        AT(adam_steps, UINT64_MAX),
        AT(level_points, UINT64_MAX),
        AT(level_points, 101),
        AT(points, 200), /* the capacity: the next point would lie beyond it */
        AT(points, UINT64_MAX),
        AT(points, 101),
        AT(summed, UINT64_MAX),
        AT_REAL(loss_sum, NAN),
        AT_REAL(loss_sum, INFINITY),
        AT_REAL(level_seconds, NAN),
        AT_REAL(level_seconds, -1.0),
        AT_REAL(held_out, INFINITY),
    };
    nsamp_error err;
    assert_int_equal(train("train.max_batches=45", &err), NSAMP_STOPPED);
    const char *path = scratch("m.nc.ckpt");
    copy c = read_copy(path, training_sections, 6);
    unsigned char *counters = (unsigned char *)c.list[0].data, good[sizeof(nsamp_train_counters)];
    assert_int_equal(c.list[0].bytes, sizeof good);
    memcpy(good, counters, sizeof good);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        memcpy(counters, good, sizeof good);
        memcpy(counters + bad[k].at, bad[k].real == 0 ? (const void *)&bad[k].number : &bad[k].real, 8);
        write_copy(scratch("m.nc.ckpt"), &c);
        err = (nsamp_error){0};
        if (train("train.resume=yes", &err) != NSAMP_EIO || !strstr(err.text, bad[k].name) ||
            !strstr(err.text, "m.nc.ckpt"))
            fail_msg("case %zu, %s: status %d: %s", k, bad[k].name, err.status, err.text);
        assert_int_not_equal(access(scratch("m.nc"), F_OK), 0);
    }
    memcpy(counters, good, sizeof good);
    static const struct {
        size_t section;
        double real;
        int32_t level;
    } curve[] = {{2, NAN, 0},      {2, -1, 0}, {2, 1e9, 0}, {3, NAN, 0},
                 {4, INFINITY, 0}, {5, 0, 0},  {5, 0, 3},   {5, 0, -1}};
    for (size_t k = 0; k < sizeof curve / sizeof *curve; k++) {
        unsigned char *data = (unsigned char *)c.list[curve[k].section].data, was[8];
        const size_t size = curve[k].section == 5 ? sizeof(int32_t) : sizeof(double);
        memcpy(was, data, size);
        memcpy(data, size == 4 ? (const void *)&curve[k].level : &curve[k].real, size);
        write_copy(scratch("m.nc.ckpt"), &c);
        err = (nsamp_error){0};
        if (train("train.resume=yes", &err) != NSAMP_EIO ||
            !strstr(err.text, training_sections[curve[k].section]))
            fail_msg("curve %zu: status %d: %s", k, err.status, err.text);
        memcpy(data, was, size);
    }
    write_copy(scratch("m.nc.ckpt"), &c); /* as it was */
    if (train("train.resume=yes", &err)) fail_msg("%s", err.text);
    free_copy(&c);
}

/* ---- runs ---- */

static int stop(const nsamp_progress *p, void *user) {
    (void)p;
    (void)user;
    return 1;
}

static nsamp_status run(const char *more, nsamp_progress_fn *progress, nsamp_error *err) {
    char settings[1024];
    nsamp_job *job = nsamp_job_create();
    nsamp_plan *plan = NULL;
    snprintf(settings, sizeof settings,
             "target.name=equicorrelated target.dim=2 target.rho=0.5 run.chains=16 run.steps=100000000 "
             "run.threads=1 output.file=%s %s",
             scratch("o.nc"), more);
    if (!job || nsamp_job_set_all(job, settings, err)) fail_msg("%s", err->text);
    nsamp_status status = nsamp_plan_create(job, &plan, err);
    nsamp_job_destroy(job);
    if (!status) status = nsamp_plan_run(plan, progress, NULL, err);
    nsamp_plan_destroy(plan);
    return status;
}

static const char *const run_sections[] = {"state",  "first_bad", "sums",   "products",  "every",  "seconds",
                                           "chunks", "frame",     "run_id", "run_id_at", "draw_at"};

static void runs(void **state) {
    (void)state;
    static const struct {
        size_t section, at; /* the number to be replaced */
        const char *named;
        double real;
        uint64_t number;
    } bad[] = {
        {0, 0, "state", NAN, 0},        {0, 31, "state", INFINITY, 0}, {1, 3, "first_bad", 0, UINT64_MAX - 1},
        {2, 0, "sums", NAN, 0},         {2, 1, "sums", -INFINITY, 0},  {4, 0, "every", 0, 0},
        {4, 0, "every", 0, UINT64_MAX}, {5, 0, "seconds", NAN, 0},     {5, 0, "seconds", -1, 0},
        {5, 0, "seconds", INFINITY, 0}};
    nsamp_error err;
    if (run("", stop, &err) != NSAMP_STOPPED) fail_msg("%s", err.text);
    copy c = read_copy(scratch("o.nc.ckpt"), run_sections, 11);
    for (size_t k = 0; k < sizeof bad / sizeof *bad; k++) {
        const size_t size = bad[k].section ? 8 : sizeof(float);
        unsigned char *data = (unsigned char *)c.list[bad[k].section].data + bad[k].at * size, was[8];
        const float narrow = (float)bad[k].real;
        assert_true(bad[k].at * size < c.list[bad[k].section].bytes);
        memcpy(was, data, size);
        memcpy(data,
               bad[k].section == 0 ? (const void *)&narrow
               : bad[k].real == 0  ? (const void *)&bad[k].number
                                   : &bad[k].real,
               size);
        write_copy(scratch("o.nc.ckpt"), &c);
        err = (nsamp_error){0};
        if (run("run.resume=yes", stop, &err) != NSAMP_EIO || !strstr(err.text, "o.nc.ckpt") ||
            (bad[k].section != 4 && !strstr(err.text, bad[k].named)))
            fail_msg("case %zu, %s: status %d: %s", k, bad[k].named, err.status, err.text);
        assert_int_not_equal(access(scratch("o.nc"), F_OK), 0);
        memcpy(data, was, size);
    }
    write_copy(scratch("o.nc.ckpt"), &c); /* as it was */
    if (run("run.resume=yes", stop, &err) != NSAMP_STOPPED) fail_msg("%s", err.text);
    free_copy(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trainings),
        cmocka_unit_test(runs),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
