/* network.h: a trained reservoir-sampler network and its file.
 *
 * drift(x) = -x + W1 phi(W2 x + b): W1 [m, n], W2 [n, m], b [n] (Chen, Jiang, Rao and Shea-Brown, NeurIPS
 * 2023). In score form the drift is the score s(x) of the data blurred by sigma; in denoiser form s(x) =
 * drift(x) / sigma^2. */
#ifndef NSAMP_HOST_TRAIN_NETWORK_H
#define NSAMP_HOST_TRAIN_NETWORK_H

#include "job/job.h"
#include "matmul.h"
#include "targets/pca.h"

typedef struct nsamp_network {
    size_t m, n;
    nsamp_activation activation;
    bool denoiser;
    double sigma; /* last noise level, in the units of x (after scaling) */
    double
        score_error; /* E_p |grad log p - s|^2 over held-out draws, at the end of training; NaN: not known */
    float *w1, *w2, *b; /* [m * n], [n * m], [n] */
    double *start_var;  /* [m]: variance of the data in each coordinate */
    nsamp_pca *pca;     /* images; NULL otherwise */
    char *job_text;     /* the whole training job, "section.key = value" lines; may be NULL */
    size_t losses;      /* loss curve */
    double *loss_batch, *loss_train, *loss_held_out; /* [losses]; held_out NaN where it was not taken */
    int *loss_level;                                 /* [losses] */
} nsamp_network;

/* Zeroed, w1, w2, b and start_var allocated. NULL: out of memory, or m n beyond what memory can address. */
nsamp_network *nsamp_network_create(size_t m, size_t n);
/* The file is netCDF (classic model, 64-bit data) with a seal at the end (io/seal.h), verified before
 * anything is parsed. Refuses in one line (NSAMP_EIO) a file that is missing, truncated, damaged, of wrong
 * shapes or not finite (the losses may be NaN). On failure *net is NULL. */
nsamp_status nsamp_network_load(const char *path, nsamp_network **net, nsamp_error *err);
/* Temporary file, sync, rename; an existing file is replaced only with overwrite (else NSAMP_EUSAGE). The same network gives the
 * same bytes. NSAMP_EINTERNAL when it holds what nsamp_network_load would refuse. */
nsamp_status nsamp_network_save(const char *path, bool overwrite, const nsamp_network *net, nsamp_error *err);
void nsamp_network_destroy(nsamp_network *net);

#endif
