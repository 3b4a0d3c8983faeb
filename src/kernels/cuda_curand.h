/* cuda_curand.h: normals by cuRAND's host interface, written to device memory: what nsamp bench compares its own with. Nothing else uses
 * it. The library (libcurand.so.10, of CUDA 12 and 13) is opened when it is asked for, and not linked. Only .cu files include this. */
#ifndef NSAMP_KERNELS_CUDA_CURAND_H
#define NSAMP_KERNELS_CUDA_CURAND_H

#include "kernels/cuda_launch.h"
#include "nsamp.h"

typedef struct nsamp_curand nsamp_curand;

/* NULL if the library is there, else one line that says what is missing; a constant string. Loads it. */
const char *nsamp_curand_missing(void);
/* A Philox4x32-10 generator on the stream. NSAMP_EIO with that line, or with the library's status; NSAMP_ENOMEM. */
nsamp_status nsamp_curand_create(cudaStream_t stream, nsamp_curand **curand, nsamp_error *err);
/* The next standard normals -> out [count] on the device, count even; enqueues. NSAMP_EIO. */
nsamp_status nsamp_curand_normals(nsamp_curand *curand, size_t count, float *out, nsamp_error *err);
/* NULL: nothing. */
void nsamp_curand_destroy(nsamp_curand *curand);

#endif
