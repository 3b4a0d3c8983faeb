/* cuda_runtime.h of the shim: the part of CUDA that src/kernels/ uses, for a host C++ compiler, so that the
 * same .cu files run in the tests without a GPU. Found before the toolkit's header by the include path of the
 * tests alone.
 *
 * A CUDA thread is a fibre; barriers and warp collectives yield; the blocks of a grid run one after the
 * other, the threads of a block in an order that the test chooses (nsamp_shim_set_order). Launches and copies
 * are done when the call returns or, where the test wants that (nsamp_shim_set_streams), when the host waits for them; on a
 * stream that is captured, each time that its graph runs. Device memory is malloc'ed and filled with a signalling pattern, shared
 * memory beyond what the launch asked for is poisoned under AddressSanitizer, so that a kernel that reads
 * what it did not write, or beyond its arrays, is caught. Not a simulator: no timing, no memory model,
 * nothing of what these kernels do not use. shim.cpp has the fibres, runtime.cpp memory, streams and graphs,
 * cublas.cpp a cuBLASLt. */
#ifndef NSAMP_SHIM_CUDA_RUNTIME_H
#define NSAMP_SHIM_CUDA_RUNTIME_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <functional>
#include <tuple>
#include "approx.h"

#define __CUDACC__    1
#define __CUDA_ARCH__ 900
#define __host__
#define __device__
#define __global__
#define __shared__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__    __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

#define CUDART_VERSION 13000

typedef struct nsamp_shim_stream *cudaStream_t;

struct dim3 {
    uint32_t x, y, z;
    dim3(uint32_t x_ = 1, uint32_t y_ = 1, uint32_t z_ = 1) : x(x_), y(y_), z(z_) {
    }
};

struct __align__(16) float4 {
    float x, y, z, w;
};
static inline float4 make_float4(float x, float y, float z, float w) {
    return {x, y, z, w};
}

struct __align__(8) float2 {
    float x, y;
};

struct __align__(8) uint2 {
    uint32_t x, y;
};
static inline uint2 make_uint2(uint32_t x, uint32_t y) {
    return {x, y};
}

/* ---- inside a kernel ----------------------------------------------------------------------------------- */

typedef struct nsamp_shim_place {
    dim3 thread, block, block_dim, grid_dim;
} nsamp_shim_place;
extern nsamp_shim_place nsamp_shim_here; /* of the fibre that runs */
#define threadIdx nsamp_shim_here.thread
#define blockIdx  nsamp_shim_here.block
#define blockDim  nsamp_shim_here.block_dim
#define gridDim   nsamp_shim_here.grid_dim

void nsamp_shim_barrier(void);
/* The value that lane `from` of the warp gave; all lanes of the mask must come. */
uint32_t nsamp_shim_exchange(uint32_t mask, uint32_t value, uint32_t from);
uint32_t nsamp_shim_ballot(uint32_t mask, int predicate);
uint32_t nsamp_shim_lane(void);

static inline void __syncthreads(void) {
    nsamp_shim_barrier();
}
static inline void __syncwarp(uint32_t mask = 0xffffffffu) {
    nsamp_shim_ballot(mask, 0);
}
static inline uint32_t __ballot_sync(uint32_t mask, int predicate) {
    return nsamp_shim_ballot(mask, predicate);
}
static inline int __any_sync(uint32_t mask, int predicate) {
    return nsamp_shim_ballot(mask, predicate) != 0;
}
static inline uint32_t __shfl_sync(uint32_t mask, uint32_t value, uint32_t from, uint32_t width = 32) {
    return nsamp_shim_exchange(mask, value, nsamp_shim_lane() / width * width + from % width);
}
static inline uint32_t __shfl_down_sync(uint32_t mask, uint32_t value, uint32_t delta, uint32_t width = 32) {
    const uint32_t lane = nsamp_shim_lane();
    return nsamp_shim_exchange(mask, value, lane % width + delta < width ? lane + delta : lane);
}
static inline uint32_t __shfl_xor_sync(uint32_t mask, uint32_t value, uint32_t bits, uint32_t width = 32) {
    const uint32_t lane = nsamp_shim_lane();
    return nsamp_shim_exchange(mask, value, (lane ^ bits) / width == lane / width ? lane ^ bits : lane);
}
static inline uint32_t nsamp_shim_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}
static inline float nsamp_shim_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
static inline float __shfl_sync(uint32_t mask, float value, uint32_t from, uint32_t width = 32) {
    return nsamp_shim_float(__shfl_sync(mask, nsamp_shim_bits(value), from, width));
}
static inline float __shfl_down_sync(uint32_t mask, float value, uint32_t delta, uint32_t width = 32) {
    return nsamp_shim_float(__shfl_down_sync(mask, nsamp_shim_bits(value), delta, width));
}
static inline float __shfl_xor_sync(uint32_t mask, float value, uint32_t bits, uint32_t width = 32) {
    return nsamp_shim_float(__shfl_xor_sync(mask, nsamp_shim_bits(value), bits, width));
}
static inline unsigned long long atomicMin(unsigned long long *at, unsigned long long value) {
    const unsigned long long old = *at;
    if (value < old) *at = value;
    return old;
}
static inline float __fmaf_rn(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
}
static inline float __fsqrt_rn(float a) {
    return __builtin_sqrtf(a);
}
static inline float __fdiv_rn(float a, float b) {
    return a / b;
}
static inline uint32_t __umulhi(uint32_t a, uint32_t b) {
    return (uint32_t)(((uint64_t)a * b) >> 32);
}
template <class T> static inline T __ldg(const T *at) {
    return *at;
}
template <class T> static inline T __ldcg(const T *at) {
    return *at;
}
template <class T> static inline void __stcg(T *at, T value) {
    *at = value;
}

#include "mma.h"
#include "wgmma.h"

/* ---- launches ------------------------------------------------------------------------------------------ */

/* Calls body() once for each thread of the grid, on a fibre; on a stream that is captured, when its graph runs. */
void nsamp_shim_run(dim3 grid, dim3 block, size_t shared, cudaStream_t stream, std::function<void()> body);

/* Arguments are copied at the launch, as the parameters of the kernel. */
template <class... Parameters, class... Arguments>
static void nsamp_shim_launch(dim3 grid, dim3 block, size_t shared, cudaStream_t stream,
                              void (*kernel)(Parameters...), Arguments... arguments) {
    const std::tuple<Parameters...> copies(arguments...);
    nsamp_shim_run(grid, block, shared, stream, [=]() { std::apply(kernel, copies); });
}
#define NSAMP_LAUNCH(kernel, grid, block, shared, stream, ...)                                               \
    nsamp_shim_launch((grid), (block), (shared), (stream), (kernel), __VA_ARGS__)

/* Libraries that are opened when they are needed: cublas.cpp, unless the test says that it is not there. */
void *nsamp_shim_open(const char *name);
void *nsamp_shim_symbol(void *library, const char *name);
#define NSAMP_LIBRARY_OPEN(name)           nsamp_shim_open(name)
#define NSAMP_LIBRARY_SYMBOL(handle, name) nsamp_shim_symbol((handle), (name))
#define NSAMP_LIBRARY_CLOSE(handle)        ((void)(handle))

/* ---- the runtime --------------------------------------------------------------------------------------- */

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorInvalidConfiguration = 9,
    cudaErrorNoDevice = 100,
    cudaErrorStreamCaptureUnsupported = 900
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaDeviceAttr { cudaDevAttrMaxSharedMemoryPerBlockOptin = 97, cudaDevAttrMultiProcessorCount = 16 };
enum cudaFuncAttribute { cudaFuncAttributeMaxDynamicSharedMemorySize = 8 };
enum { cudaStreamNonBlocking = 1 };
enum { cudaEventDisableTiming = 2 };
typedef struct nsamp_shim_event *cudaEvent_t;
typedef struct nsamp_shim_graph *cudaGraph_t;
typedef struct nsamp_shim_graph_exec *cudaGraphExec_t;
enum cudaStreamCaptureMode {
    cudaStreamCaptureModeGlobal = 0,
    cudaStreamCaptureModeThreadLocal = 1,
    cudaStreamCaptureModeRelaxed = 2
};
struct cudaDeviceProp {
    char name[256];
    int major, minor, multiProcessorCount, l2CacheSize;
    size_t totalGlobalMem, sharedMemPerBlockOptin;
};
struct cudaFuncAttributes {
    int numRegs;
};

const char *cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaDriverGetVersion(int *version);
cudaError_t cudaGetDeviceCount(int *count);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device);
cudaError_t cudaMalloc(void **at, size_t bytes);
cudaError_t cudaFree(void *at);
cudaError_t cudaMallocHost(void **at, size_t bytes);
cudaError_t cudaFreeHost(void *at);
cudaError_t cudaMemGetInfo(size_t *available, size_t *total);
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream);
cudaError_t cudaMemcpy2DAsync(void *to, size_t to_row, const void *from, size_t from_row, size_t width,
                              size_t rows, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void *at, int value, size_t bytes, cudaStream_t stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventSynchronize(cudaEvent_t event);
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t *graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec);
template <class F> static cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *attributes, F *) {
    attributes->numRegs = 32;
    return cudaSuccess;
}
template <class F> static cudaError_t cudaFuncSetAttribute(F *, cudaFuncAttribute, int) {
    return cudaSuccess;
}

#endif
