/* network.h: a trained reservoir-sampler network and its file.
 *
 * drift(x) = -x + W1 phi(W2 x + b): W1 [m, n], W2 [n, m], b [n] (Chen, Jiang, Rao and Shea-Brown, NeurIPS 2023). In score
 * form the drift is the score s(x) of the data blurred by sigma; in denoiser form s(x) = drift(x) / sigma^2. */
#ifndef NSAMP_HOST_TRAIN_NETWORK_H
#define NSAMP_HOST_TRAIN_NETWORK_H

#include "job/job.h"
#include "matmul.h"

typedef struct nsamp_pca {
    size_t pixels, m, height, width;
    double *mean;       /* [pixels] */
    double *components; /* [m * pixels], orthonormal rows */
    double *variances;  /* [m], descending */
    double scale;       /* c: coordinates are c times the projection on the components */
} nsamp_pca;

typedef struct nsamp_network {
    size_t m, n;
    nsamp_activation activation;
    bool denoiser;
    double sigma;        /* last noise level, in the units of x (after scaling) */
    float *w1, *w2, *b;  /* [m * n], [n * m], [n] */
    double *start_var;   /* [m]: variance of the data in each coordinate */
    nsamp_pca *pca;      /* images; NULL otherwise */
    char *job_text;      /* the whole training job, "section.key = value" lines; may be NULL */
    size_t losses;       /* loss curve */
    double *loss_batch, *loss_train, *loss_held_out; /* [losses] */
    int *loss_level;     /* [losses] */
} nsamp_network;

/* Refuses in one line (NSAMP_EUSAGE or NSAMP_EIO) a file that is missing, truncated, of wrong shapes or not finite. */
nsamp_status nsamp_network_load(const char *path, nsamp_network **net, nsamp_error *err);
/* Temporary file, sync, rename. */
nsamp_status nsamp_network_save(const char *path, const nsamp_network *net, nsamp_error *err);
void nsamp_network_destroy(nsamp_network *net);

#endif
