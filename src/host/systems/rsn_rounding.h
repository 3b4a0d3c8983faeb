/* rsn_rounding.h: what products of bf16 numbers do to a network: its weights as the products see them, and the error of its
 * drift. The products themselves are in matmul/ and in the kernels of a GPU. */
#ifndef NSAMP_HOST_SYSTEMS_RSN_ROUNDING_H
#define NSAMP_HOST_SYSTEMS_RSN_ROUNDING_H

#include <stdbool.h>
#include "train/network.h"

/* net with W1 and W2, and with bias also b, rounded to bf16, to the nearest, ties to even; sigma and the like are left out. NSAMP_ENOMEM.
 * The caller destroys *rounded. */
nsamp_status nsamp_rsn_round(const nsamp_network *net, bool bias, nsamp_network **rounded, nsamp_error *err);

/* sqrt(E |d~ - d|^2 / E |d|^2) over draws from N(mean [m], cov [m * m]): d = W1 phi(W2 x + b) - x in double, d~ the same with the weights
 * of `rounded`, and with x and the hidden units rounded to bf16 before each product. As many draws as make a fraction of a second,
 * 8 to 1024, always the same ones. NAN where cov is not positive definite or there is no memory. Only for relu. */
double nsamp_rsn_drift_error(const nsamp_network *net, const nsamp_network *rounded, const double *mean,
                             const double *cov);

#endif
