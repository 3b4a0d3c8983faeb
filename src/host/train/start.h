/* start.h: the weights that a training starts from. */
#ifndef NSAMP_HOST_TRAIN_START_H
#define NSAMP_HOST_TRAIN_START_H

#include "train/learner.h"
#include "train/settings.h"

/* Fills weights, laid out as a learner's numbers. var [m]: variance of the data; sigma: last noise level;
 * both in the units of x.
 *   torch   W2 and b uniform on +-1/sqrt(m), W1 uniform on +-1/sqrt(n): torch.nn.Linear
 *   unit    W2 ~ N(0, 1/m), b uniform on +-1, W1 uniform on +-0.3/sqrt(n)
 * wiener: then column k of W2 times var_k / (var_k + sigma^2), the gain of the best linear filter of noise
 * with variance sigma^2, and all of W2 times one number, so that the mean square of its entries stays what it
 * was expected to be. */
void nsamp_start_weights(const nsamp_learner_shape *shape, const nsamp_train_settings *s, const double *var,
                         double sigma, float *weights);

#endif
