/* network_check.h: what makes a network valid; private to network.c and network_file.c. */
#ifndef NSAMP_HOST_TRAIN_NETWORK_CHECK_H
#define NSAMP_HOST_TRAIN_NETWORK_CHECK_H

#include "train/network.h"

/* NSAMP_OK, or `status` with "PATH: what is not finite or does not fit". */
nsamp_status nsamp_network_check(const nsamp_network *net, const char *path, nsamp_status status,
                                 nsamp_error *err);

#endif
