/* train.c: nsamp train: trains the network of a job and says what came of it. */
#include <math.h>
#include <stdio.h>
#include "cli/cli.h"
#include "cli/progress.h"
#include "error.h"
#include "train/network.h"

/* What the model file holds: sizes, and the last losses of each noise level. */
static nsamp_status print_model(const char *path, nsamp_error *err) {
    nsamp_network *net = NULL;
    nsamp_status status = nsamp_network_load(path, &net, err);
    if (status) return status;
    /* The data's own units, in which train.sigmas is given; coordinates of images are scaled. */
    const double scale = net->pca ? net->pca->scale : 1;
    printf("%zu outputs, %zu reservoir units, %s form, last noise level %.4g", net->m, net->n,
           net->denoiser ? "denoiser" : "score", net->sigma / scale);
    if (net->pca) printf(" (%.4g in the scaled coordinates)", net->sigma);
    printf("\n");
    if (net->losses) printf("%5s %12s %14s %14s\n", "level", "batch", "training loss", "held-out loss");
    for (size_t i = 0; i < net->losses; i++) {
        bool last_of_level = i + 1 == net->losses || net->loss_level[i + 1] != net->loss_level[i];
        if (!last_of_level) continue;
        printf("%5d %12.0f %14.6g ", net->loss_level[i], net->loss_batch[i], net->loss_train[i]);
        if (isfinite(net->loss_held_out[i]))
            printf("%14.6g\n", net->loss_held_out[i]);
        else
            printf("%14s\n", "-");
    }
    if (isfinite(net->score_error))
        printf("score error E|grad log p - s|^2 on held-out draws: %.4g\n", net->score_error);
    printf("wrote %s\n", path);
    nsamp_network_destroy(net);
    return NSAMP_OK;
}

/* Progress as shown, and the last of it for the closing lines. */
typedef struct watched {
    cli_progress shown;
    nsamp_progress last;
    char where[256]; /* a copy: last.where ends with the training */
} watched;

static int watch(const nsamp_progress *now, void *user) {
    watched *w = user;
    w->last = *now;
    if (now->where) snprintf(w->where, sizeof w->where, "%s", now->where);
    return cli_progress_report(now, &w->shown);
}

static nsamp_status train(const cli_args *args, nsamp_error *err) {
    nsamp_job *job = NULL;
    watched w = {.last.seconds = 0};
    cli_stop_on_signals();
    nsamp_status status = cli_job_create(args, &job, err);
    if (!status) status = nsamp_job_require_plain(job, err);
    if (!status) status = cli_progress_begin(&w.shown, job, "samples/s", "", args->quiet, err);
    if (!status) {
        status = nsamp_train(job, watch, &w, err);
        cli_progress_end(&w.shown, status);
    }
    if (!status && !args->quiet) {
        printf("%.0f samples in %.2f s: %.4g samples/s\n", w.last.rate * w.last.seconds, w.last.seconds,
               w.last.rate);
        printf("computed on: %s\n", w.where);
        status = print_model(nsamp_job_text(job, NSAMP_KEY_model_file), err);
    }
    nsamp_job_destroy(job);
    return status;
}

static const cli_example examples[] = {
    {"nsamp train jobs/digits.ini",
     "a network for the 10,000 digits that come with nsamp; half a minute on two cores"},
    {"nsamp train jobs/mixture.ini && nsamp run jobs/mixture-sample.ini",
     "trains, then samples and compares"},
    {"nsamp train jobs/mnist.ini data.dir=mnist train.resume=yes", "goes on after a stop"},
    {NULL, NULL},
};

const cli_verb cli_verb_train = {
    .name = "train",
    .synopsis = "train [JOB.ini] [section.key=value ...]",
    .summary = "train a network; writes model.file",
    .about = "Trains the reservoir-sampler network that the keys of [train], [target] and [data] describe, "
             "by denoising score "
             "matching, and writes model.file, which holds the weights, the job and the loss curve. nsamp "
             "run with "
             "system.name=rsn samples it.\n\n"
             "SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU and train.max_walltime_s stop the training "
             "with a checkpoint and exit "
             "code 75; "
             "train.resume=yes goes on from there.",
    .examples = examples,
    .run = train,
};
