/* images.h: the image data set of a job: IDX files, L2 normalisation, principal components of the training
 * images, scaled coordinates. Not here: the distribution over it (a target of its own), training. */
#ifndef NSAMP_HOST_TARGETS_IMAGES_H
#define NSAMP_HOST_TARGETS_IMAGES_H

#include "job/job.h"
#include "targets/pca.h"

typedef struct nsamp_images {
    size_t train, held_out; /* numbers of images */
    size_t m;               /* coordinates of each: data.pca */
    float *x;               /* [train][m] */
    float *x_held_out;      /* [held_out][m], behind x in one allocation; unused where held_out is 0 */
    double *var;            /* [m]: variances of the training coordinates, descending; of mean 1 */
    uint8_t *labels;        /* [train + held_out], or NULL where there is no label file */
    nsamp_pca *pca;
    char source[4096]; /* the image file that was read */
} nsamp_images;

/* Reads data.images (and data.labels), or the MNIST names in data.dir (train-images-idx3-ubyte, else
 * t10k-..., gz or not), or the built-in 10,000 digits; keeps the last data.held_out images apart; principal
 * components of the others. All from the job's keys; the same bits for any number of threads. On failure
 * *images is NULL: NSAMP_EIO for files, NSAMP_EUSAGE for data.held_out or data.pca beyond what the file
 * holds. */
nsamp_status nsamp_images_load(const nsamp_job *job, nsamp_images **images, nsamp_error *err);
void nsamp_images_destroy(nsamp_images *images);

#endif
