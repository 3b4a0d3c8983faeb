/* test_train.c: nsamp_train from a job to a model file: what it learns against exact answers, that a stopped
 * or killed training ends with the bytes of an unbroken one, that threads do not matter, what it refuses.
 * Called with arguments, the program is the training that one of its tests kills. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "job/settings.h"
#include "scratch.h"
#include "train/network.h"

static char self[4096]; /* this program */

static nsamp_job *job_of(const char *settings, const char *more) {
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_create();
    if (nsamp_job_set_all(job, settings, &err) || (more && nsamp_job_set_all(job, more, &err))) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    return job;
}

static nsamp_status train(const char *settings, const char *more, nsamp_progress_fn *progress, void *user,
                          nsamp_error *err) {
    nsamp_job *job = job_of(settings, more);
    nsamp_status status = nsamp_train(job, progress, user, err);
    nsamp_job_destroy(job);
    return status;
}

static void must_train(const char *settings, const char *more) {
    nsamp_error err = {0};
    if (train(settings, more, NULL, NULL, &err)) fail_msg("%s", err.text);
}

static nsamp_network *load(const char *path) {
    nsamp_error err = {0};
    nsamp_network *net = NULL;
    if (nsamp_network_load(path, &net, &err)) fail_msg("%s", err.text);
    return net;
}

static char *bytes_of(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    char *data = malloc(*size);
    assert_int_equal(fread(data, 1, *size, f), *size);
    fclose(f);
    return data;
}

static void assert_same_file(const char *a, const char *b) {
    size_t na, nb;
    char *x = bytes_of(a, &na), *y = bytes_of(b, &nb);
    assert_int_equal(na, nb);
    assert_memory_equal(x, y, na);
    free(x), free(y);
}

/* ---- what it learns ---- */

#define GAUSSIAN                                                                                             \
    "target.name=equicorrelated target.dim=3 target.rho=0.5 target.variance=1.5 train.draws=20000 "          \
    "train.hidden=200 "                                                                                      \
    "train.batch=256 train.lr=3e-3 train.warmup=20 train.seed=4 "

/* The inverse of variance ((1 - rho) I + rho 11^T) + sigma^2 I, by its two entries. */
static void gaussian_precision(double variance, double rho, double sigma, int dim, double *diagonal,
                               double *off) {
    const double a = variance * (1 - rho) + sigma * sigma, b = variance * rho;
    *off = -b / (a * (a + dim * b));
    *diagonal = 1 / a + *off;
}

typedef struct {
    double held_out, score_error;
    int calls;
} last_report;

static int note(const nsamp_progress *p, void *user) {
    last_report *r = user;
    r->held_out = p->held_out;
    r->score_error = p->score_error;
    r->calls++;
    assert_true(p->done <= p->total && p->level >= 1 && p->level <= p->levels);
    return 0;
}

/* For Gaussian data the least loss is (m / sigma^2 - tr (C + sigma^2 I)^-1) / 2, reached by the linear score
 * alone; what is above it is half the distance of the network's score to that one. */
static void check_gaussian(const char *form, double sigma, const char *more) {
    char settings[512];
    last_report r = {0};
    nsamp_error err = {0};
    snprintf(settings, sizeof settings,
             GAUSSIAN
             "train.form=%s train.sigmas=%g train.epochs=25 model.file=gaussian.nc model.overwrite=yes",
             form, sigma);
    if (train(settings, more, note, &r, &err)) fail_msg("%s", err.text);
    double d, off;
    gaussian_precision(1.5, 0.5, sigma, 3, &d, &off);
    const double least = (3 / (sigma * sigma) - 3 * d) / 2;
    /* 16384 held-out rows: the loss has a standard error of sqrt(m / 2) / sigma^2 / 128 at most; six of them.
     */
    const double margin = 6 * sqrt(1.5) / (sigma * sigma) / 128;
    if (!(fabs(r.held_out - least) < margin + 0.02 * 3 * d))
        fail_msg("%s: held-out loss %g, the least is %g +- %g", form, r.held_out, least, margin);

    /* The distance to the blurred score at points of our own, by the formula of the network file. */
    nsamp_network *net = load("gaussian.nc");
    const double gain = net->denoiser ? net->sigma * net->sigma : 1;
    double error = 0, exact_error = 0, size = 0;
    double prec, prec_off;
    gaussian_precision(1.5, 0.5, 0, 3, &prec, &prec_off);
    for (int i = 0; i < 3 * 5; i++) {
        double x[3], sum = 0, s[3];
        for (int k = 0; k < 3; k++)
            x[k] = i / 3 == k ? (i % 3 - 1) * 1.2 : 0.3 * ((i * 7 + k * 3) % 5 - 2);
        for (int k = 0; k < 3; k++)
            sum += x[k];
        for (int k = 0; k < 3; k++)
            s[k] = -x[k];
        for (size_t j = 0; j < net->n; j++) {
            double z = net->b[j];
            for (int k = 0; k < 3; k++)
                z += net->w2[j * 3 + (size_t)k] * x[k];
            if (z > 0)
                for (int k = 0; k < 3; k++)
                    s[k] += net->w1[(size_t)k * net->n + j] * z;
        }
        for (int k = 0; k < 3; k++) {
            const double blurred = -(d - off) * x[k] - off * sum,
                         exact = -(prec - prec_off) * x[k] - prec_off * sum;
            error += pow(s[k] / gain - blurred, 2);
            exact_error += pow(s[k] / gain - exact, 2);
            size += blurred * blurred;
        }
    }
    if (!(error < 0.01 * size)) fail_msg("%s: score error %g of %g", form, error, size);
    /* The reported error is against the score of the target itself: the exact blur plus what was not learnt.
     */
    double blur_error = 0;
    {
        const double e1 = 1.5 * 0.5, e2 = 1.5 * 2, v = sigma * sigma; /* eigenvalues of C, twice and once */
        blur_error += 2 * e1 * pow(1 / e1 - 1 / (e1 + v), 2) + e2 * pow(1 / e2 - 1 / (e2 + v), 2);
    }
    assert_true(r.score_error == net->score_error);
    if (!(fabs(r.score_error - blur_error) < 0.02 * 3 * d + 0.2 * blur_error))
        fail_msg("%s: score error %g, the blur alone gives %g", form, r.score_error, blur_error);
    assert_int_equal(net->losses, 15); /* 500,000 rows, two times 16384 to a point */
    assert_true(net->loss_held_out[14] == r.held_out && net->loss_held_out[0] > r.held_out);
    for (int k = 0; k < 3; k++)
        assert_true(fabs(net->start_var[k] - 1.5) < 1e-12);
    assert_non_null(strstr(net->job_text, "train.hidden = 200\n"));
    nsamp_network_destroy(net);
}

static void learns_the_score_of_a_gaussian(void **state) {
    (void)state;
    check_gaussian("score", 0.5, NULL);
    check_gaussian("denoiser", 0.5, NULL);
    check_gaussian("score", 0.5, "train.control_variate=yes train.init=torch train.weighting=sigma2");
    check_gaussian("denoiser", 0.5, "train.precision=bf16 run.backend=cpu");
}

/* ---- the same bytes ---- */

#define LADDER                                                                                               \
    "target.name=equicorrelated target.dim=2 target.rho=0.3 train.draws=1000 train.hidden=600 "              \
    "train.batch=100 "                                                                                       \
    "train.sigmas=1,0.5,0.3 train.epochs=2.5,3,4 train.form=score train.lr=1e-3 train.amsgrad=yes "          \
    "train.weight_decay=1e-3 "

static void threads_change_nothing(void **state) {
    (void)state;
    must_train(LADDER "model.file=t1.nc", "run.threads=1");
    must_train(LADDER "model.file=t2.nc", "run.threads=2");
    must_train(LADDER "model.file=t3.nc", "run.threads=3 run.isa=base");
    assert_same_file("t1.nc", "t2.nc");
    assert_same_file("t1.nc", "t3.nc");
    must_train(LADDER "model.file=b1.nc", "train.precision=bf16 run.backend=cpu run.threads=1");
    must_train(LADDER "model.file=b2.nc", "train.precision=bf16 run.backend=cpu run.threads=3 run.isa=base");
    assert_same_file("b1.nc", "b2.nc");
    must_train(LADDER "model.file=t4.nc", "train.seed=2");
    nsamp_network *a = load("t1.nc"), *b = load("t4.nc");
    assert_memory_not_equal(a->w1, b->w1, 2 * 600 * sizeof(float));
    assert_int_equal(a->losses, 3); /* one a level, which are short */
    for (int i = 0; i < 3; i++)
        assert_int_equal(a->loss_level[i], i + 1);
    assert_true(a->loss_batch[0] == 25 && a->loss_batch[1] == 55 && a->loss_batch[2] == 95);
    nsamp_network_destroy(a);
    nsamp_network_destroy(b);
}

static void resumed_training_gives_the_same_bytes(void **state) {
    (void)state;
    const char *const kept[] = {"train.restart=yes", "train.restart=no",
                                "train.restart=no train.precision=bf16 run.backend=cpu"};
    for (int i = 0; i < 3; i++) {
        const char *keep = kept[i];
        char parts[256];
        nsamp_error err = {0};
        must_train(LADDER "model.file=whole.nc model.overwrite=yes", keep);
        snprintf(parts, sizeof parts, "%s train.resume=yes train.max_batches=13", keep);
        int stops = 0;
        while (train(LADDER "model.file=parts.nc model.overwrite=yes", parts, NULL, NULL, &err) ==
               NSAMP_STOPPED) {
            assert_int_equal(access("parts.nc.ckpt", F_OK), 0);
            assert_true(++stops < 20);
        }
        assert_int_equal(stops, 7); /* 95 batches by 13 */
        assert_same_file("whole.nc", "parts.nc");
        assert_int_equal(access("parts.nc.ckpt", F_OK), -1);
        assert_int_equal(remove("parts.nc"), 0);
    }
}

static int stop_now(const nsamp_progress *p, void *user) {
    (void)p, (void)user;
    return 1;
}

static void a_checkpoint_of_another_job_is_refused(void **state) {
    (void)state;
    nsamp_error err = {0};
    assert_int_equal(train(LADDER "model.file=other.nc", NULL, stop_now, NULL, &err), NSAMP_STOPPED);
    assert_non_null(strstr(err.text, "other.nc.ckpt"));
    assert_int_equal(train(LADDER "model.file=other.nc", "train.resume=yes train.lr=2e-3", NULL, NULL, &err),
                     NSAMP_EUSAGE);
    assert_int_equal(access("other.nc", F_OK), -1);
    must_train(LADDER "model.file=other.nc", "train.resume=yes run.threads=1 train.checkpoint_every_s=0");
}

#define DIGITS                                                                                               \
    "target.name=images data.pca=20 train.hidden=700 train.epochs=6 train.batch=300 model.file=digits.nc "

static void a_killed_training_gives_the_same_bytes(void **state) {
    (void)state;
    must_train(DIGITS, NULL);
    assert_int_equal(rename("digits.nc", "digits-whole.nc"), 0);
    int kills = 0;
    for (int round = 0; round < 3; round++) {
        pid_t child = fork();
        if (child == 0) {
            execl(self, self, DIGITS "train.checkpoint_every_s=0.001 train.resume=yes", (char *)NULL);
            _exit(127);
        }
        /* Until it has written a checkpoint of its own, and a little longer. */
        struct stat before = {0}, s;
        stat("digits.nc.ckpt", &before);
        for (int i = 0; i < 6000; i++) {
            const struct timespec wait = {0, 10000000};
            nanosleep(&wait, NULL);
            if (!stat("digits.nc.ckpt", &s) && s.st_ino != before.st_ino) break;
        }
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) kills++;
    }
    assert_true(kills >= 1);
    if (access("digits.nc", F_OK)) must_train(DIGITS, "train.resume=yes");
    assert_same_file("digits-whole.nc", "digits.nc");
    nsamp_network *net = load("digits.nc");
    assert_non_null(net->pca);
    assert_true(fabs(net->sigma - 0.03 * net->pca->scale) < 1e-12);
    assert_true(isnan(net->score_error));
    assert_true(net->loss_held_out[net->losses - 1] < 0.5 * net->loss_held_out[0]);
    nsamp_network_destroy(net);
}

/* Mean of |D(x0 + by sigma eps) - x0|^2 over coordinates and rows, for rows of our own. */
static double denoising_error(const nsamp_network *net, double by) {
    enum { ROWS = 300 };
    double sum = 0;
    uint64_t state = 1;
    for (int r = 0; r < ROWS; r++) {
        double x[20], x0[20];
        for (size_t k = 0; k < 20; k++) {
            double z[2];
            for (int i = 0; i < 2; i++) { /* uniforms with variance 1 */
                state = state * 6364136223846793005u + 1442695040888963407u;
                z[i] = sqrt(12.0) * ((double)(state >> 11) * 0x1p-53 - 0.5);
            }
            x0[k] = sqrt(net->start_var[k]) * z[0];
            x[k] = x0[k] + by * net->sigma * z[1];
        }
        double d[20] = {0};
        for (size_t j = 0; j < net->n; j++) {
            double h = net->b[j];
            for (size_t k = 0; k < 20; k++)
                h += net->w2[j * 20 + k] * x[k];
            for (size_t k = 0; k < 20 && h > 0; k++)
                d[k] += net->w1[k * net->n + j] * h;
        }
        for (size_t k = 0; k < 20; k++)
            sum += (d[k] - x0[k]) * (d[k] - x0[k]);
    }
    return sum / (20 * ROWS);
}

static void wider_noise_teaches_to_pull_back(void **state) {
    (void)state;
    must_train(DIGITS "model.overwrite=yes", NULL);
    nsamp_network *plain = load("digits.nc");
    must_train(DIGITS "model.overwrite=yes", "train.wide_share=0.3 train.wide_factor=6");
    nsamp_network *wide = load("digits.nc");
    const double without = denoising_error(plain, 6), with = denoising_error(wide, 6);
    if (!(with < 0.85 * without))
        fail_msg("error at six sigma: %g with wide noise, %g without", with, without);
    nsamp_network_destroy(plain);
    nsamp_network_destroy(wide);
}

/* ---- time, and what is refused ---- */

static void seconds_end_a_level(void **state) {
    (void)state;
    must_train(LADDER "model.file=seconds.nc", "train.epochs=0 train.seconds=0.1,0.2,0.1");
    nsamp_network *net = load("seconds.nc");
    assert_int_equal(net->loss_level[net->losses - 1], 3);
    nsamp_network_destroy(net);
}

static void what_cannot_be_trained_is_refused(void **state) {
    (void)state;
    static const struct {
        const char *more, *word;
        nsamp_status status;
    } cases[] = {
        {"train.epochs=1,2", "2 numbers for 3 noise levels", NSAMP_EUSAGE},
        {"train.epochs=0 train.seconds=1,0,1", "level 2", NSAMP_EUSAGE},
        {"train.draws=0", "not a data set", NSAMP_EUSAGE},
        {"target.name=images", "data set", NSAMP_EUSAGE},
        {"train.wide_share=0.1", "denoiser", NSAMP_EUSAGE},
        {"train.precision=tf32 run.backend=cpu", "valid here: fp32, bf16", NSAMP_EUSAGE},
        {"train.beta1=1", "below 1", NSAMP_EUSAGE},
        {"train.beta2=1", "below 1", NSAMP_EUSAGE},
        {"target.rho=-2", "", NSAMP_EUSAGE},
        {"model.file=no-such-folder/m.nc", "no-such-folder", NSAMP_EUSAGE},
        {"train.lr=1e6 train.warmup=0 train.beta1=0.999 train.beta2=0 train.amsgrad=no", "diverged",
         NSAMP_EDIVERGED},
        {"target.variance=1e90", "too far for squares", NSAMP_EUSAGE},
        {"target.mean=1e7", "float32 loses noise", NSAMP_EUSAGE},
        {"train.sigmas=1,1e-9,1", "float32 loses noise", NSAMP_EUSAGE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        nsamp_error err = {0};
        nsamp_job *job = nsamp_job_create();
        nsamp_status status = nsamp_job_set_all(job, LADDER "model.file=refused.nc", &err);
        if (!status) status = nsamp_job_set_all(job, cases[i].more, &err);
        if (!status) status = nsamp_train(job, NULL, NULL, &err);
        if (status != cases[i].status || !strstr(err.text, cases[i].word))
            fail_msg("%s: status %d, '%s'", cases[i].more, status, err.text);
        assert_int_equal(access("refused.nc", F_OK), -1);
        nsamp_job_destroy(job);
    }
    nsamp_error err = {0};
    must_train(LADDER "model.file=kept.nc", NULL);
    assert_int_equal(train(LADDER "model.file=kept.nc", NULL, NULL, NULL, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "kept.nc"));
}

static int enter_folder(void **state) {
    return scratch_open(state) || chdir(scratch_folder);
}

static int leave_folder(void **state) {
    return chdir("/") || scratch_close(state);
}

int main(int argc, char **argv) {
    if (argc > 1) return (int)train(argv[1], NULL, NULL, NULL, NULL);
    if (readlink("/proc/self/exe", self, sizeof self - 1) <= 0) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_the_score_of_a_gaussian),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(resumed_training_gives_the_same_bytes),
        cmocka_unit_test(a_checkpoint_of_another_job_is_refused),
        cmocka_unit_test(a_killed_training_gives_the_same_bytes),
        cmocka_unit_test(wider_noise_teaches_to_pull_back),
        cmocka_unit_test(seconds_end_a_level),
        cmocka_unit_test(what_cannot_be_trained_is_refused),
    };
    return cmocka_run_group_tests(tests, enter_folder, leave_folder);
}
