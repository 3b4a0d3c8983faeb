/* plain.h: layers of matmul.h over nothing but a product c = a b of a library, for libraries whose own layers do not give a row
 * the same bits in any company. */
#ifndef NSAMP_HOST_MATMUL_PLAIN_H
#define NSAMP_HOST_MATMUL_PLAIN_H

#include "matmul/blocks.h"

typedef struct nsamp_plain_layer nsamp_plain_layer;

/* As nsamp_layer_create for a shape and precision that nsamp_layer_check has passed. product: called from any thread, also
 * outside a parallel region, and must do its work on that thread. NSAMP_ENOMEM. */
nsamp_status nsamp_plain_create(size_t in, size_t out, const float *w, const float *bias /* or NULL */,
                                nsamp_activation act, nsamp_precision precision, nsamp_product_fn *product,
                                nsamp_plain_layer **layer, nsamp_error *err);
void nsamp_plain_apply(const nsamp_plain_layer *layer, size_t rows, const float *x, float *y,
                       bool accumulate);
/* NULL: nothing. */
void nsamp_plain_destroy(nsamp_plain_layer *layer);

#endif
