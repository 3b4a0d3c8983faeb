/* cuda_rsn_step.cu: what lies between the products of a step of reservoir-sampler networks: loading and storing blocks,
 * activations, the update with its noise. Elementwise in float32; the update is that of kernels/systems/rsn.h to the
 * bit, so paths differ by the rounding of products alone. */
#include "kernels/cuda_rsn.h"
#include "kernels/noise.h"

enum { THREADS = 256, L = NSAMP_CUDA_LANES, TILE_ROW = L + 1 /* no two lanes in one bank */ };

/* Four neighbours, moved at once. */
struct alignas(16) four {
    float v[4];
};
struct alignas(8) four16 {
    nsamp_bf16 v[4];
};

static uint32_t blocks_of(size_t threads) {
    return (uint32_t)((threads + THREADS - 1) / THREADS);
}

/* ---- where the block is -------------------------------------------------------------------------------- */

static __global__ void block_begin(nsamp_cuda_rsn_place *place, uint64_t step, uint64_t chain0,
                                   uint32_t chains) {
    place->step = step;
    place->chain0 = chain0;
    place->chains = chains;
}

static __global__ void block_end(nsamp_cuda_rsn_place *place, uint32_t steps) {
    place->step += steps;
}

cudaError_t nsamp_cuda_rsn_begin(const nsamp_cuda_rsn_block *b, uint64_t step, uint64_t chain0,
                                 uint32_t chains, cudaStream_t stream) {
    NSAMP_LAUNCH(block_begin, 1, 1, 0, stream, b->place, step, chain0, chains);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_rsn_end(const nsamp_cuda_rsn_block *b, uint32_t steps, cudaStream_t stream) {
    NSAMP_LAUNCH(block_end, 1, 1, 0, stream, b->place, steps);
    return cudaGetLastError();
}

/* ---- tiles and rows ------------------------------------------------------------------------------------ */

/* A block a square of 32 chains and 32 of their numbers, turned over in shared memory. */
static __global__ void __launch_bounds__(THREADS)
    block_load(const float *tiles, uint32_t S, uint32_t first, uint32_t count, float *to, nsamp_bf16 *to16,
               uint32_t row) {
    NSAMP_SHARED;
    float *const square = (float *)nsamp_shared;
    const uint32_t lane = threadIdx.x % L, warp = threadIdx.x / L, from = blockIdx.x * L, tile = blockIdx.y;
    for (uint32_t i = warp; i < L && from + i < count; i += THREADS / L)
        square[i * TILE_ROW + lane] = tiles[((size_t)tile * S + first + from + i) * L + lane];
    __syncthreads();
    for (uint32_t i = warp; i < L && from + lane < count; i += THREADS / L) {
        const size_t at = (size_t)(tile * L + i) * row + from + lane;
        const float value = square[lane * TILE_ROW + i];
        to[at] = value;
        if (to16) to16[at] = nsamp_bf16_of(value);
    }
}

static __global__ void __launch_bounds__(THREADS)
    block_store(const float *rows, uint32_t row, float *tiles, uint32_t S, uint32_t first, uint32_t count) {
    NSAMP_SHARED;
    float *const square = (float *)nsamp_shared;
    const uint32_t lane = threadIdx.x % L, warp = threadIdx.x / L, from = blockIdx.x * L, tile = blockIdx.y;
    for (uint32_t i = warp; i < L && from + lane < count; i += THREADS / L)
        square[i * TILE_ROW + lane] = rows[(size_t)(tile * L + i) * row + from + lane];
    __syncthreads();
    for (uint32_t i = warp; i < L && from + i < count; i += THREADS / L)
        tiles[((size_t)tile * S + first + from + i) * L + lane] = square[lane * TILE_ROW + i];
}

static const size_t SQUARE_BYTES = sizeof(float) * L * TILE_ROW;

cudaError_t nsamp_cuda_rsn_load(const float *tiles_at, uint32_t tiles, uint32_t S, uint32_t first,
                                uint32_t count, float *to, nsamp_bf16 *to16, uint32_t row,
                                cudaStream_t stream) {
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(block_load, dim3((count + L - 1) / L, tiles), threads, SQUARE_BYTES, stream, tiles_at, S,
                 first, count, to, to16, row);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_rsn_store(const float *from, uint32_t row, float *tiles_at, uint32_t tiles, uint32_t S,
                                 uint32_t first, uint32_t count, cudaStream_t stream) {
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(block_store, dim3((count + L - 1) / L, tiles), threads, SQUARE_BYTES, stream, from, row,
                 tiles_at, S, first, count);
    return cudaGetLastError();
}

/* ---- units --------------------------------------------------------------------------------------------- */

/* z: four numbers at `at`, as float32. */
static __device__ __forceinline__ four read4(const float *z, const nsamp_bf16 *h16, size_t at) {
    if (z) return *(const four *)(z + at);
    const four16 narrow = *(const four16 *)(h16 + at);
    four wide;
    for (int i = 0; i < 4; i++)
        wide.v[i] = nsamp_bf16_value(narrow.v[i]);
    return wide;
}

static __device__ __forceinline__ void write4(nsamp_bf16 *to, size_t at, const four &value) {
    four16 narrow;
    for (int i = 0; i < 4; i++)
        narrow.v[i] = nsamp_bf16_of(value.v[i]);
    *(four16 *)(to + at) = narrow;
}

/* Relu is the product's work. */
template <uint32_t PHI> static __device__ __forceinline__ float phi_of(float z) {
    return PHI == NSAMP_RSN_TANH ? nsamp_tanh(z) : PHI == NSAMP_RSN_SOFTPLUS ? nsamp_softplus(z) : z;
}

template <uint32_t PHI>
static __global__ void __launch_bounds__(THREADS) block_activate(float *z, nsamp_bf16 *h16, size_t quads) {
    const size_t quad = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (quad >= quads) return;
    four value = *(const four *)(z + 4 * quad);
    for (int i = 0; i < 4; i++)
        value.v[i] = phi_of<PHI>(value.v[i]);
    if (h16)
        write4(h16, 4 * quad, value);
    else
        *(four *)(z + 4 * quad) = value;
}

template <uint32_t PHI>
static __global__ void __launch_bounds__(THREADS)
    block_relax(const float *z, nsamp_bf16 *h16, float *r, float h, size_t quads) {
    const size_t quad = (size_t)blockIdx.x * THREADS + threadIdx.x;
    if (quad >= quads) return;
    const four value = read4(z, h16, 4 * quad);
    four state = *(const four *)(r + 4 * quad);
    for (int i = 0; i < 4; i++)
        state.v[i] = nsamp_fma(h, phi_of<PHI>(value.v[i]), state.v[i]);
    *(four *)(r + 4 * quad) = state;
    if (h16) write4(h16, 4 * quad, state);
}

static size_t quads_of(const nsamp_cuda_rsn_block *b) {
    return (size_t)b->chains * b->n / 4;
}

cudaError_t nsamp_cuda_rsn_activate(const nsamp_cuda_rsn_block *b, cudaStream_t stream) {
    auto *const kernel =
        b->phi == NSAMP_RSN_TANH ? block_activate<NSAMP_RSN_TANH> : block_activate<NSAMP_RSN_SOFTPLUS>;
    const size_t quads = quads_of(b);
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(kernel, blocks_of(quads), threads, 0, stream, b->z, b->h16, quads);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_rsn_relax(const nsamp_cuda_rsn_block *b, cudaStream_t stream) {
    auto *const kernel = b->phi == NSAMP_RSN_TANH   ? block_relax<NSAMP_RSN_TANH>
                         : b->phi == NSAMP_RSN_RELU ? block_relax<NSAMP_RSN_RELU>
                                                    : block_relax<NSAMP_RSN_SOFTPLUS>;
    const size_t quads = quads_of(b);
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(kernel, blocks_of(quads), threads, 0, stream, b->z, b->h16, b->r, b->h, quads);
    return cudaGetLastError();
}

/* ---- the update ---------------------------------------------------------------------------------------- */

/* A thread for four neighbouring outputs of a chain, whose normals are one Philox block. */
typedef struct quad {
    uint32_t chain, first; /* row of the block; first output */
    size_t at;             /* in x, y, xi */
    bool mine;             /* there is such a quad, of a chain that exists */
} quad;

static __device__ __forceinline__ quad quad_here(const nsamp_cuda_rsn_block &b,
                                                 const nsamp_cuda_rsn_place &place) {
    const uint32_t quads = (b.m + 3) / 4, index = blockIdx.x * THREADS + threadIdx.x;
    quad q;
    q.chain = index / quads;
    q.first = index % quads * 4;
    q.at = (size_t)q.chain * b.row + q.first;
    q.mine = q.chain < place.chains;
    return q;
}

/* The normals of a quad; those beyond m meet weights of zero. */
template <uint32_t ROUNDS>
static __device__ __forceinline__ four normals(const nsamp_cuda_rsn_block &b, uint64_t chain0, const quad &q,
                                               uint64_t step) {
    nsamp_noise_key key = b.noise;
    key.rounds = ROUNDS;
    four z;
    nsamp_normals4(key, NSAMP_PURPOSE_STEP, (uint32_t)(chain0 + q.chain), step, q.first / 4, z.v);
    return z;
}

template <uint32_t ROUNDS>
static __global__ void __launch_bounds__(THREADS) block_draw(nsamp_cuda_rsn_block b) {
    const nsamp_cuda_rsn_place place = *b.place;
    const quad q = quad_here(b, place);
    if (q.mine) *(four *)(b.xi + q.at) = normals<ROUNDS>(b, place.chain0, q, place.step);
}

/* Threads that find their chain bad write the same step, so their order does not matter. */
template <uint32_t ROUNDS>
static __global__ void __launch_bounds__(THREADS) block_move(nsamp_cuda_rsn_block b, uint32_t offset) {
    const nsamp_cuda_rsn_place place = *b.place;
    const quad q = quad_here(b, place);
    if (!q.mine) return;
    const uint64_t step = place.step + offset;
    const four z = normals<ROUNDS>(b, place.chain0, q, b.reservoir ? step + 1 : step);
    const four y = *(const four *)(b.y + q.at);
    four x = y;
    float all = 0;
    if (b.reservoir) {
        *(four *)(b.xi + q.at) = z;
    } else {
        x = *(const four *)(b.x + q.at);
        for (int i = 0; i < 4; i++)
            x.v[i] = nsamp_fma(b.h, y.v[i] - x.v[i], nsamp_fma(b.a, z.v[i], x.v[i]));
    }
    for (int i = 0; i < 4; i++)
        all = nsamp_fma(x.v[i] * 0x1p27f, 0.0f, all); /* NaN where one is beyond 2^101 or not finite */
    *(four *)(b.x + q.at) = x;
    if (b.x16) write4(b.x16, q.at, x);
    unsigned long long *const first = b.first_bad + place.chain0 + q.chain;
    if (all != 0.0f && *first == ~0ull) *first = step;
}

static uint32_t update_blocks(const nsamp_cuda_rsn_block *b) {
    return blocks_of((size_t)b->chains * ((b->m + 3) / 4));
}

cudaError_t nsamp_cuda_rsn_draw(const nsamp_cuda_rsn_block *b, cudaStream_t stream) {
    auto *const kernel = b->noise.rounds == 7 ? block_draw<7> : block_draw<10>;
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(kernel, update_blocks(b), threads, 0, stream, *b);
    return cudaGetLastError();
}

cudaError_t nsamp_cuda_rsn_move(const nsamp_cuda_rsn_block *b, uint32_t offset, cudaStream_t stream) {
    auto *const kernel = b->noise.rounds == 7 ? block_move<7> : block_move<10>;
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(kernel, update_blocks(b), threads, 0, stream, *b, offset);
    return cudaGetLastError();
}
