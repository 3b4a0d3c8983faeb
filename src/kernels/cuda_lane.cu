/* cuda_lane.cu: every system of kernels.def with one thread a chain, made from the text that the CPU runs.
 *
 * A warp is a tile of 32 lanes. Its state and scratch lie in shared memory for all steps of a launch where a
 * tile is small, else in global memory, coalesced in both cases. A thread touches its own column only, so
 * there is nothing to synchronise. Systems for which this is slow have kernels of their own
 * (cuda_langevin_equi.cu). */
#include "kernels/cuda_kernels.h"
#include "kernels/systems/all.h"

enum { L = NSAMP_CUDA_LANES, MAX_WARPS = 4, MAX_TILE_BYTES = 24 * 1024 };

#define NSAMP_KERNEL(name)                                                                                   \
    struct system_##name {                                                                                   \
        static __device__ __forceinline__ void advance(const void *params, const nsamp_tile *tile,           \
                                                       uint64_t step0, uint32_t nsteps) {                    \
            nsamp_##name##_advance(params, tile, L, step0, nsteps);                                          \
        }                                                                                                    \
        static __device__ __forceinline__ void observe(const void *params, const nsamp_tile *tile,           \
                                                       float *x) {                                           \
            nsamp_##name##_observe(params, tile, L, x);                                                      \
        }                                                                                                    \
    };
#include "kernels/kernels.def"
#undef NSAMP_KERNEL

/* The tile of this warp, moved to this thread's lane; shared: [warps][S][32] floats and scratch, or nothing.
 */
static __device__ __forceinline__ nsamp_tile lane_tile(const nsamp_cuda_view &v, uint64_t index,
                                                       unsigned char *shared, bool in_shared, uint32_t *bad) {
    const uint32_t lane = threadIdx.x % L, warp = threadIdx.x / L;
    const size_t state_bytes = sizeof(float) * v.state_len * L, bytes = state_bytes + v.scratch_bytes;
    unsigned char *const own = shared + warp * bytes;
    nsamp_tile tile;
    tile.state = (in_shared ? (float *)own : v.state + index * v.state_len * L) + lane;
    tile.scratch =
        (uint32_t *)(in_shared ? own + state_bytes : (unsigned char *)v.scratch + index * v.scratch_bytes) +
        lane;
    tile.bad = bad;
    tile.chain0 = (uint32_t)(index * L) + lane;
    tile.lanes = L;
    tile.noise = v.noise;
    return tile;
}

template <class System, uint32_t ROUNDS>
static __global__ void __launch_bounds__(MAX_WARPS *L, 4)
    lane_advance(nsamp_cuda_view v, uint64_t step0, uint32_t nsteps, bool in_shared) {
    NSAMP_SHARED;
    const uint64_t index = (uint64_t)blockIdx.x * (blockDim.x / L) + threadIdx.x / L;
    if (index >= v.tiles) return;
    uint32_t bad = 0;
    nsamp_tile tile = lane_tile(v, index, nsamp_shared, in_shared, &bad);
    tile.noise.rounds = ROUNDS;
    float *const home = v.state + index * v.state_len * L + threadIdx.x % L;
    if (in_shared)
        for (uint32_t i = 0; i < v.state_len; i++)
            tile.state[i * L] = home[i * L];
    System::advance(v.params, &tile, step0, nsteps);
    if (in_shared)
        for (uint32_t i = 0; i < v.state_len; i++)
            home[i * L] = tile.state[i * L];
    unsigned long long *const first = v.first_bad + index * L + threadIdx.x % L;
    if (bad && *first == ~0ull) *first = step0 + bad - 1;
}

template <class System>
static __global__ void __launch_bounds__(MAX_WARPS *L)
    lane_observe(nsamp_cuda_view v, uint64_t tiles, float *x, bool in_shared) {
    NSAMP_SHARED;
    const uint64_t index = (uint64_t)blockIdx.x * (blockDim.x / L) + threadIdx.x / L;
    if (index >= tiles) return;
    uint32_t bad = 0;
    nsamp_tile tile = lane_tile(v, index, nsamp_shared, in_shared, &bad);
    tile.state = v.state + index * v.state_len * L + threadIdx.x % L;
    System::observe(v.params, &tile, x + index * v.dim * L + threadIdx.x % L);
}

bool nsamp_cuda_lane_in_shared(size_t state_len, size_t scratch_bytes) {
    return sizeof(float) * state_len * L + scratch_bytes <= MAX_TILE_BYTES;
}

typedef struct shape {
    bool in_shared;
    uint32_t warps, grid;
    size_t shared;
} shape;

/* Up to 48 KiB of shared memory a block need no permission. */
static shape choose(const nsamp_cuda_view *v, uint64_t tiles) {
    const size_t bytes = sizeof(float) * v->state_len * L + v->scratch_bytes;
    shape s;
    s.in_shared = nsamp_cuda_lane_in_shared(v->state_len, v->scratch_bytes);
    s.warps = MAX_WARPS;
    while (s.in_shared && s.warps > 1 && s.warps * bytes > 2 * MAX_TILE_BYTES)
        s.warps /= 2;
    while (s.warps > 1 && tiles / s.warps < 2 * v->multiprocessors)
        s.warps /= 2;
    s.shared = s.in_shared ? s.warps * bytes : 0;
    s.grid = (uint32_t)((tiles + s.warps - 1) / s.warps);
    return s;
}

template <class System>
static cudaError_t launch_advance(const nsamp_cuda_view *v, const void *, uint64_t step0, uint32_t nsteps) {
    const shape s = choose(v, v->tiles);
    auto *const kernel = v->noise.rounds == 7 ? lane_advance<System, 7> : lane_advance<System, 10>;
    NSAMP_LAUNCH(kernel, s.grid, s.warps * L, s.shared, v->stream, *v, step0, nsteps, s.in_shared);
    return cudaGetLastError();
}

template <class System>
static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    const shape s = choose(v, tiles);
    auto *const kernel = lane_observe<System>;
    NSAMP_LAUNCH(kernel, s.grid, s.warps * L, s.shared, v->stream, *v, tiles, x, s.in_shared);
    return cudaGetLastError();
}

const nsamp_cuda_kernel *nsamp_cuda_lane_kernel(nsamp_kernel_id id) {
    static const nsamp_cuda_kernel table[NSAMP_KERNEL_count] = {
#define NSAMP_KERNEL(name) {launch_advance<system_##name>, launch_observe<system_##name>, false},
#include "kernels/kernels.def"
#undef NSAMP_KERNEL
    };
    return &table[id];
}
