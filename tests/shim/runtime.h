/* runtime.h: what the parts of the shim need of one another. */
#ifndef NSAMP_SHIM_RUNTIME_H
#define NSAMP_SHIM_RUNTIME_H

#include "cuda_runtime.h"

/* Does the work now or, where the stream is captured, records it. */
void nsamp_shim_enqueue(cudaStream_t stream, std::function<void()> work);
/* What cudaGetLastError will say, unless it already has something to say. */
void nsamp_shim_error(cudaError_t error);
/* The part of the dynamic linker that is curand.cpp's. */
void *nsamp_shim_curand_open(const char *name);
void *nsamp_shim_curand_symbol(void *library, const char *name);

#endif
