/* shim.h: what a test asks of the shim, from C. */
#ifndef NSAMP_SHIM_H
#define NSAMP_SHIM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The order in which the threads of a block get their turns. Shuffled: a new order at each pass over the
 * block. */
typedef enum nsamp_shim_order {
    NSAMP_SHIM_FORWARD,
    NSAMP_SHIM_REVERSED,
    NSAMP_SHIM_SHUFFLED
} nsamp_shim_order;

void nsamp_shim_set_order(nsamp_shim_order order, uint64_t seed);
/* When the work of a stream is done. At once: when it is enqueued. Late: when the host waits for it, and of another stream
 * no more than an event asks for. Ahead: when the host waits for any stream, that of all others first, as far as events let
 * it. */
typedef enum nsamp_shim_streaming {
    NSAMP_SHIM_AT_ONCE,
    NSAMP_SHIM_LATE,
    NSAMP_SHIM_AHEAD
} nsamp_shim_streaming;

void nsamp_shim_set_streams(nsamp_shim_streaming when);
/* Multiprocessors that the device claims: 0 makes launchers choose their narrowest kernels, many their
 * widest. */
void nsamp_shim_set_multiprocessors(int count);
/* The compute capability that it claims: 90, or 80. */
void nsamp_shim_set_capability(int capability);
/* Bytes of its second-level cache: 1 MiB unless told. */
void nsamp_shim_set_cache(int bytes);
/* Bytes of device memory: allocations beyond fail. */
void nsamp_shim_set_memory(size_t bytes);
/* Device memory that is allocated now. */
size_t nsamp_shim_allocated(void);
/* Kernel launches and switches between threads so far. */
uint64_t nsamp_shim_launches(void);
uint64_t nsamp_shim_switches(void);
/* Errors of the approximations, as a share of what is documented; approx.h. NAN (the default): different for each argument. */
extern double nsamp_shim_approx;
/* Streams, events and graphs (captured or made ready) that are there now; launches of graphs so far. */
int nsamp_shim_streams(void);
int nsamp_shim_events(void);
int nsamp_shim_graphs(void);
uint64_t nsamp_shim_replays(void);
/* What nsamp_shim_open finds: the version of a cuBLASLt (131000), 0 for none. */
void nsamp_shim_set_cublas(size_t version);
/* Its handles, descriptions and preferences that are there now; products so far. */
int nsamp_shim_cublas_objects(void);
uint64_t nsamp_shim_products(void);
/* Whether it finds a cuRAND (yes). Generators that are there now; normals so far. */
void nsamp_shim_set_curand(int there);
int nsamp_shim_curand_generators(void);
uint64_t nsamp_shim_curand_normals(void);

#ifdef __cplusplus
}
#endif
#endif
