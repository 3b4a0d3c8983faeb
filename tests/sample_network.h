/* sample_network.h: a small network with all parts, for the tests and the fuzzer of the model file. */
#ifndef NSAMP_TESTS_SAMPLE_NETWORK_H
#define NSAMP_TESTS_SAMPLE_NETWORK_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/network.h"

enum { NET_M = 3, NET_N = 5, NET_HEIGHT = 2, NET_WIDTH = 4, NET_LOSSES = 2 };

/* images: with principal components. The caller destroys. */
static inline nsamp_network *net_sample(int images) {
    nsamp_network *net = nsamp_network_create(NET_M, NET_N);
    if (!net) abort();
    net->activation = NSAMP_TANH;
    net->denoiser = true;
    net->sigma = 0.4;
    net->score_error = 0.07;
    for (int i = 0; i < NET_M * NET_N; i++) {
        net->w1[i] = 0.1f * (float)i - 0.7f;
        net->w2[i] = 1.0f / (float)(i + 3);
    }
    for (int i = 0; i < NET_N; i++)
        net->b[i] = -0.3f * (float)i;
    for (int i = 0; i < NET_M; i++)
        net->start_var[i] = 1.0 / (i + 1);
    net->job_text = strdup("train.hidden = 5\ntrain.seed = 7\n");
    net->losses = NET_LOSSES;
    net->loss_batch = calloc(NET_LOSSES, sizeof(double));
    net->loss_train = calloc(NET_LOSSES, sizeof(double));
    net->loss_held_out = calloc(NET_LOSSES, sizeof(double));
    net->loss_level = calloc(NET_LOSSES, sizeof(int));
    if (!net->job_text || !net->loss_batch || !net->loss_train || !net->loss_held_out || !net->loss_level)
        abort();
    for (int i = 0; i < NET_LOSSES; i++) {
        net->loss_batch[i] = 100 * (i + 1);
        net->loss_train[i] = 9.5 - i;
        net->loss_held_out[i] = i ? 9.25 : NAN;
        net->loss_level[i] = i + 1;
    }
    if (!images) return net;
    net->pca = nsamp_pca_create(NET_HEIGHT, NET_WIDTH, NET_M);
    if (!net->pca) abort();
    net->pca->scale = 13.5;
    for (int i = 0; i < NET_HEIGHT * NET_WIDTH; i++)
        net->pca->mean[i] = 0.01 * i;
    for (int i = 0; i < NET_M * NET_HEIGHT * NET_WIDTH; i++)
        net->pca->components[i] = sin(i);
    for (int i = 0; i < NET_M; i++)
        net->pca->variances[i] = 0.5 / (i + 1);
    return net;
}

#endif
