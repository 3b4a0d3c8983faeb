/* cuda_device.h: what the CUDA code of the host side shares: whether there is a device, errors in the project's terms, one
 * allocation that several arrays share. Only .cu files include this. */
#ifndef NSAMP_KERNELS_CUDA_DEVICE_H
#define NSAMP_KERNELS_CUDA_DEVICE_H

#include "kernels/cuda_launch.h"
#include "nsamp.h"

/* NULL if a device is there that can run these kernels, else why not, in one line that is valid until the next
 * call. */
const char *nsamp_cuda_device_missing(void);

/* NSAMP_ENOMEM or NSAMP_EIO, with what failed and what CUDA says. */
nsamp_status nsamp_cuda_failed(nsamp_error *err, cudaError_t error, const char *what);

/* Leaves the function with the failure of a call. */
#define NSAMP_CUDA_TRY(err, call)                                                                            \
    do {                                                                                                     \
        const cudaError_t try_error = (call);                                                                \
        if (try_error != cudaSuccess) return nsamp_cuda_failed((err), try_error, #call);                     \
    } while (0)

/* Arrays in one allocation, each aligned to 256 bytes. With base NULL, carving only counts. */
typedef struct nsamp_cuda_arena {
    char *base;
    size_t used; /* bytes */
} nsamp_cuda_arena;

/* The next bytes -> *at, which is left alone where there is no base or bytes is 0. */
void nsamp_cuda_carve(nsamp_cuda_arena *a, void **at, size_t bytes);

#endif
