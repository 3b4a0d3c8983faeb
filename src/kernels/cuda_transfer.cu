/* cuda_transfer.cu: see cuda_transfer.h. */
#include "kernels/cuda_transfer.h"

extern "C" {
#include "pages.h"
}

nsamp_status nsamp_cuda_transfer_create(nsamp_cuda_transfer *t, size_t bytes, nsamp_error *err) {
    t->bytes = bytes;
    for (int k = 0; k < 2; k++) {
        NSAMP_CUDA_TRY(err, cudaMallocHost((void **)&t->buffer[k], bytes));
        NSAMP_CUDA_TRY(err, cudaEventCreateWithFlags(&t->done[k], cudaEventDisableTiming));
    }
    return NSAMP_OK;
}

void nsamp_cuda_transfer_destroy(nsamp_cuda_transfer *t) {
    for (int k = 0; k < 2; k++) {
        cudaFreeHost(t->buffer[k]);
        if (t->done[k]) cudaEventDestroy(t->done[k]);
    }
}

/* Bytes of the part that begins at `first`. */
static size_t part_of(const nsamp_cuda_transfer *t, size_t first, size_t bytes) {
    return bytes - first < t->bytes ? bytes - first : t->bytes;
}

nsamp_status nsamp_cuda_send(nsamp_cuda_transfer *t, void *to, const void *from, size_t bytes,
                             cudaStream_t stream, nsamp_error *err) {
    for (size_t first = 0; first < bytes; first += t->bytes) {
        const uint32_t k = t->next++ % 2;
        const size_t part = part_of(t, first, bytes);
        if (t->used[k]) NSAMP_CUDA_TRY(err, cudaEventSynchronize(t->done[k]));
        nsamp_pages_copy(t->buffer[k], (const char *)from + first, part);
        NSAMP_CUDA_TRY(
            err, cudaMemcpyAsync((char *)to + first, t->buffer[k], part, cudaMemcpyHostToDevice, stream));
        NSAMP_CUDA_TRY(err, cudaEventRecord(t->done[k], stream));
        t->used[k] = true;
    }
    return NSAMP_OK;
}

/* A part is on its way while the one before is copied out. */
nsamp_status nsamp_cuda_receive(nsamp_cuda_transfer *t, void *to, const void *from, size_t bytes,
                                cudaStream_t stream, nsamp_error *err) {
    const size_t parts = (bytes + t->bytes - 1) / t->bytes;
    for (size_t i = 0; i <= parts; i++) {
        if (i < parts) {
            const size_t first = i * t->bytes;
            NSAMP_CUDA_TRY(err, cudaMemcpyAsync(t->buffer[i % 2], (const char *)from + first,
                                                part_of(t, first, bytes), cudaMemcpyDeviceToHost, stream));
            NSAMP_CUDA_TRY(err, cudaEventRecord(t->done[i % 2], stream));
            t->used[i % 2] = true;
        }
        if (i) {
            const size_t first = (i - 1) * t->bytes;
            NSAMP_CUDA_TRY(err, cudaEventSynchronize(t->done[(i - 1) % 2]));
            nsamp_pages_copy((char *)to + first, t->buffer[(i - 1) % 2], part_of(t, first, bytes));
        }
    }
    return NSAMP_OK;
}
