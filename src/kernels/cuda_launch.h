/* cuda_launch.h: how the .cu files meet their world, which is nvcc or, in the tests, a C++ compiler with
 * tests/shim before the CUDA headers. Only .cu files include this. What the shim replaces goes through the
 * names here. */
#ifndef NSAMP_KERNELS_CUDA_LAUNCH_H
#define NSAMP_KERNELS_CUDA_LAUNCH_H

#include <stdint.h>
#include <cuda_runtime.h>

/* kernel: a function or a pointer to one; grid and block: uint32_t or dim3; shared: bytes of dynamic shared
 * memory. */
#ifndef NSAMP_LAUNCH
#define NSAMP_LAUNCH(kernel, grid, block, shared, stream, ...)                                               \
    (kernel)<<<(grid), (block), (shared), (stream)>>>(__VA_ARGS__)
#endif

/* The dynamic linker, for libraries that are opened when they are needed. */
#ifndef NSAMP_LIBRARY_OPEN
#include <dlfcn.h>
#define NSAMP_LIBRARY_OPEN(name)           dlopen((name), RTLD_NOW | RTLD_LOCAL)
#define NSAMP_LIBRARY_SYMBOL(handle, name) dlsym((handle), (name))
#define NSAMP_LIBRARY_CLOSE(handle)        dlclose(handle)
#endif

/* The block's dynamic shared memory, the only kind used. */
#define NSAMP_SHARED extern __shared__ __align__(16) unsigned char nsamp_shared[]

static constexpr uint32_t NSAMP_WARP = 32;
#define NSAMP_FULL_WARP 0xffffffffu

#endif
