/* cuda_transfer.h: large arrays between the host's memory and the device's. What malloc gives the driver copies itself, in
 * small pieces and by one thread; here all threads copy it to and from two page-locked buffers, while the device reads or
 * writes the other of them. Only .cu files include this. */
#ifndef NSAMP_KERNELS_CUDA_TRANSFER_H
#define NSAMP_KERNELS_CUDA_TRANSFER_H

#include "kernels/cuda_device.h"

static const size_t NSAMP_CUDA_BUFFER = 32 << 20; /* bytes: long enough for a bus to be busy */

typedef struct nsamp_cuda_transfer {
    char *buffer[2];     /* [bytes], page-locked */
    cudaEvent_t done[2]; /* the device is through with the buffer */
    bool used[2];        /* done was recorded */
    size_t bytes;
    uint32_t next; /* buffer that send fills */
} nsamp_cuda_transfer;

/* Buffers of so many bytes; *t is zero. After a failure, too, *t must be destroyed. */
nsamp_status nsamp_cuda_transfer_create(nsamp_cuda_transfer *t, size_t bytes, nsamp_error *err);
void nsamp_cuda_transfer_destroy(nsamp_cuda_transfer *t);

/* Enqueued on the stream; `from`, on the host, has been read on return. */
nsamp_status nsamp_cuda_send(nsamp_cuda_transfer *t, void *to, const void *from, size_t bytes,
                             cudaStream_t stream, nsamp_error *err);
/* After what is on the stream; `to`, on the host, is there on return. */
nsamp_status nsamp_cuda_receive(nsamp_cuda_transfer *t, void *to, const void *from, size_t bytes,
                                cudaStream_t stream, nsamp_error *err);

#endif
