/* cuda_device.cu: see cuda_device.h. */
#include "kernels/cuda_device.h"

#include <stdio.h>
#include "kernels/cuda_kernels.h"

extern "C" {
#include "error.h"
}

const char *nsamp_cuda_device_missing(void) {
    static char text[256];
    int count = 0, driver = 0;
    if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
        return "no CUDA device: no NVIDIA driver is installed here";
    cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count == 0) error = cudaErrorNoDevice;
    if (error != cudaSuccess) {
        snprintf(text, sizeof text, "no CUDA device: %s", cudaGetErrorString(error));
        return text;
    }
    cudaDeviceProp device;
    error = cudaGetDeviceProperties(&device, 0);
    if (error == cudaSuccess) error = nsamp_cuda_image();
    if (error == cudaSuccess) return NULL;
    snprintf(text, sizeof text, "the CUDA device cannot be used: %s", cudaGetErrorString(error));
    return text;
}

nsamp_status nsamp_cuda_failed(nsamp_error *err, cudaError_t error, const char *what) {
    return nsamp_fail(err, error == cudaErrorMemoryAllocation ? NSAMP_ENOMEM : NSAMP_EIO, "CUDA: %s: %s",
                      what, cudaGetErrorString(error));
}

void nsamp_cuda_carve(nsamp_cuda_arena *a, void **at, size_t bytes) {
    if (a->base && bytes) *at = a->base + a->used;
    a->used += (bytes + 255) / 256 * 256;
}
