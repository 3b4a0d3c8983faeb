/* test_same_bits.c: what a BLAS could decide is the same with each of OpenBLAS's cores and for any number of
 * threads: components and coordinates of images, a trained network, modes and factors of Gaussian targets,
 * roots of mh-spiking, the reservoir's noise. Each case runs in a process of its own, since OpenBLAS chooses
 * once: this program with --bits THREADS prints a line of what it found. Not here: whether the numbers are
 * right (test_images.c, test_eigen.c ...). */
#define _GNU_SOURCE /* popen, setenv */
#include <cblas.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scratch.h"
#include "systems/model.h"
#include "targets/images.h"

/* ---- the child
 * ----------------------------------------------------------------------------------------------- */

static uint64_t hash; /* FNV-1a */

static void add(const void *p, size_t bytes) {
    const unsigned char *const c = p;
    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ c[i]) * UINT64_C(1099511628211);
}

static void begin(void) {
    hash = UINT64_C(14695981039346656037);
}

static void end(const char *what) {
    printf(" %s %016llx", what, (unsigned long long)hash);
}

static nsamp_job *job_of(const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_job *const job = nsamp_job_create();
    for (; *pairs; pairs += 2)
        if (nsamp_job_set(job, pairs[0], pairs[1], &err)) fprintf(stderr, "%s\n", err.text), exit(1);
    return job;
}

enum { IMAGES = 600, SIDE = 18, PIXELS = SIDE * SIDE };

/* Sums of a few patterns and some noise. */
static const char *write_images(void) {
    static uint8_t file[16 + IMAGES * PIXELS] = {0, 0, 8, 3,    0, 0, IMAGES >> 8, IMAGES & 255,
                                                 0, 0, 0, SIDE, 0, 0, 0,           SIDE};
    uint32_t word = 1;
    for (int i = 0; i < IMAGES; i++)
        for (int j = 0; j < PIXELS; j++) {
            word = word * 1664525u + 1013904223u;
            const int pattern = i * (j / SIDE) % 7 + i / 3 * (j % SIDE) % 11;
            file[16 + i * PIXELS + j] = (uint8_t)(pattern * 10 + (int)(word >> 28));
        }
    const char *const path = "images-idx3-ubyte";
    FILE *const f = fopen(path, "wb");
    if (!f || fwrite(file, sizeof file, 1, f) != 1 || fclose(f)) exit(1);
    return path;
}

static void images_bits(void) {
    const char *const pairs[] = {"data.images", write_images(), "data.held_out", "100", "data.pca", "60",
                                 NULL};
    nsamp_error err = {0};
    nsamp_images *im;
    nsamp_job *const job = job_of(pairs);
    if (nsamp_images_load(job, &im, &err)) fprintf(stderr, "%s\n", err.text), exit(1);
    begin();
    add(im->pca->components, im->m * im->pca->pixels * sizeof *im->pca->components);
    add(im->pca->variances, im->m * sizeof *im->pca->variances);
    add(&im->pca->scale, sizeof im->pca->scale);
    end("components");
    begin();
    add(im->x, (im->train + im->held_out) * im->m * sizeof *im->x);
    end("coordinates");
    nsamp_images_destroy(im);
    nsamp_job_destroy(job);
}

static void training_bits(const char *threads) {
    const char *const path = "model.nc";
    const char *const pairs[] = {"target.name",
                                 "images",
                                 "data.images",
                                 "images-idx3-ubyte",
                                 "data.held_out",
                                 "100",
                                 "data.pca",
                                 "20",
                                 "train.hidden",
                                 "40",
                                 "train.batch",
                                 "50",
                                 "train.sigmas",
                                 "0.1",
                                 "train.epochs",
                                 "2",
                                 "train.wiener",
                                 "yes",
                                 "train.form",
                                 "denoiser",
                                 "model.file",
                                 path,
                                 "run.backend",
                                 "cpu",
                                 "run.threads",
                                 threads,
                                 NULL};
    nsamp_error err = {0};
    nsamp_job *const job = job_of(pairs);
    if (nsamp_train(job, NULL, NULL, &err)) fprintf(stderr, "%s\n", err.text), exit(1);
    nsamp_job_destroy(job);
    FILE *const f = fopen(path, "rb");
    if (!f) exit(1);
    begin();
    for (int c; (c = fgetc(f)) != EOF;) {
        const unsigned char byte = (unsigned char)c;
        add(&byte, 1);
    }
    fclose(f);
    end("trained");
}

/* Starts of chains and, where they hold no pointers, the parameters of the kernel. */
static void model_bits(const char *what, bool params, const char *const *pairs) {
    nsamp_error err = {0};
    nsamp_model *m;
    nsamp_job *const job = job_of(pairs);
    if (nsamp_model_create(job, &m, &err)) fprintf(stderr, "%s\n", err.text), exit(1);
    nsamp_job_destroy(job);
    begin();
    if (params) add(m->params, m->params_bytes);
    if (m->target && m->target->chol) add(m->target->chol, m->dim * m->dim * sizeof *m->target->chol);
    double *const x = calloc(m->dim, sizeof *x);
    float *const state = calloc(m->state_len, sizeof *state);
    if (!x || !state) exit(1);
    for (uint32_t chain = 0; chain < 8; chain++) {
        m->start(m, nsamp_noise_key_of(1, 10), chain, x, state);
        add(state, m->state_len * sizeof *state);
    }
    free(x);
    free(state);
    nsamp_model_destroy(m);
    end(what);
}

static int print_bits(const char *threads) {
    static const char
        *const naive[] = {"system.name",   "langevin",   "target.name", "gaussian",   "target.file",
                          "builtin:decay", "target.dim", "90",          "target.rho", "0.7",
                          "run.start",     "target",     "system.dt",   "0.01",       NULL},
               *const natural[] = {"system.name",     "langevin",      "target.name", "gaussian",
                                   "target.file",     "builtin:decay", "target.dim",  "90",
                                   "target.rho",      "0.7",           "run.start",   "target",
                                   "system.geometry", "natural",       NULL},
               *const spiking[] = {"system.name",    "mh-spiking", "target.name", "gaussian",   "target.file",
                                   "builtin:decay",  "target.dim", "40",          "target.rho", "0.7",
                                   "system.neurons", "80",         "run.start",   "target",     NULL},
               *const reservoir[] = {"system.name",
                                     "rsn",
                                     "system.level",
                                     "reservoir",
                                     "system.model",
                                     "builtin:tanh",
                                     "target.dim",
                                     "30",
                                     "train.hidden",
                                     "90",
                                     NULL};
    omp_set_num_threads(atoi(threads));
    printf("%s", openblas_get_corename());
    /* the model file holds names as they are given */
    if (scratch_open(NULL) || chdir(scratch_folder)) return 1;
    images_bits();
    training_bits(threads);
    scratch_close(NULL);
    model_bits("naive", true, naive);
    model_bits("natural", true, natural);
    model_bits("spiking", true, spiking);
    model_bits("reservoir", false, reservoir);
    printf("\n");
    return 0;
}

/* ---- the parent
 * ---------------------------------------------------------------------------------------------- */

/* What a child says after the name of the core -> text; its core -> core. False: it failed. */
static bool ask(const char *coretype, int threads, char core[64], char text[1024]) {
    char command[600], self[400] = "";
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) return false;
    snprintf(command, sizeof command, "%s%s '%s' --bits %d", *coretype ? "OPENBLAS_CORETYPE=" : "", coretype,
             self, threads);
    FILE *const out = popen(command, "r");
    char line[1100] = "";
    const bool said = out && fgets(line, sizeof line, out);
    const bool well = out && pclose(out) == 0;
    char *const rest = strchr(line, ' ');
    if (!said || !well || !rest) return false;
    snprintf(core, 64, "%.*s", (int)(rest - line), line);
    snprintf(text, 1024, "%s", rest);
    return true;
}

static void every_core_gives_the_same_bits(void **state) {
    (void)state;
    static const char *const cores[] = {"Prescott", "Nehalem", "Sandybridge", "Haswell", "SkylakeX", "Zen"};
    char core[64], first[1024], text[1024];
    int met = 0, skipped = 0;
    assert_true(ask("", 1, core, first));
    for (size_t i = 0; i < sizeof cores / sizeof *cores; i++) {
        const bool asked = ask(cores[i], 1, core, text);
        if (!asked || strcasecmp(core, cores[i])) {
            print_message("%s skipped: %s\n", cores[i],
                          asked ? "this OpenBLAS takes another core" : "not here");
            skipped++;
            continue;
        }
        assert_string_equal(text, first);
        met++;
    }
    print_message("%d cores met, %d skipped\n", met, skipped);
}

static void any_number_of_threads_gives_the_same_bits(void **state) {
    (void)state;
    char core[64], first[1024], text[1024];
    assert_true(ask("", 1, core, first));
    for (int threads = 2; threads <= 3; threads++) {
        assert_true(ask("", threads, core, text));
        assert_string_equal(text, first);
    }
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--bits")) return print_bits(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_core_gives_the_same_bits),
        cmocka_unit_test(any_number_of_threads_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
