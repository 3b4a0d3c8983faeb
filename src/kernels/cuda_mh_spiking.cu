/* cuda_mh_spiking.cu: mh-spiking with the table of proposals in shared memory: one thread a chain, its state in registers for all steps
 * of a launch. Networks whose table does not fit, and p above 63, take the lane kernel (cuda_lane.cu).
 *
 * The step is that of systems/mh_spiking.h, its sums in the same tree, so the bits are those of the CPU. A chain's numbers are v [p],
 * then one that the decay makes 1 at each step and that meets |w|^2/2, then zeros, in Q groups of four. A row of the table has the same
 * groups in 16-byte words; G = p/4 + 1 of them are not zero and stored. Rows begin an odd number of words apart: then neurons
 * drawn at random read all eight groups of banks alike (an even distance would use half of them or fewer). Spike counters
 * stay in global memory: one neuron in n is touched by a spike. */
#include "kernels/cuda_kernels.h"
#include "kernels/cuda_noise.h"
#include "kernels/systems/mh_spiking.h"

enum { L = NSAMP_CUDA_LANES, WARPS = 8 /* a block, where a multiprocessor has room for several */ };

/* What a launch reads: rows [n][stride], then keep [G] and shift [G], in words of four floats. */
typedef struct mh_table {
    const float4 *rows, *keep, *shift;
    uint32_t groups, stride; /* G; G or G + 1, odd */
} mh_table;

static __host__ __device__ __forceinline__ uint32_t groups_of(const nsamp_mh_spiking_params &p) {
    return p.dim / 4 + 1;
}

static size_t shared_bytes(const nsamp_mh_spiking_params &p) {
    const uint32_t groups = groups_of(p);
    return sizeof(float4) * ((size_t)p.neurons * (groups | 1) + 2 * (size_t)groups);
}

static __device__ __forceinline__ float4 group_of(const nsamp_mh_spiking_params &p, const void *params,
                                                  uint64_t offset, uint32_t row, uint32_t group) {
    const float *const at =
        (const float *)((const char *)params + offset) + (size_t)row * p.stride + 4 * group;
    return make_float4(at[0], at[1], at[2], at[3]);
}

/* All threads of a block fill its shared memory. */
static __device__ __forceinline__ mh_table load_table(const nsamp_mh_spiking_params &p, const void *params,
                                                      float4 *shared) {
    mh_table t;
    t.groups = groups_of(p);
    t.stride = t.groups | 1;
    float4 *const keep = shared + (size_t)p.neurons * t.stride, *const shift = keep + t.groups;
    for (uint32_t i = threadIdx.x; i < p.neurons * t.groups; i += blockDim.x)
        shared[i / t.groups * t.stride + i % t.groups] =
            group_of(p, params, p.row_offset, i / t.groups + 1, i % t.groups);
    for (uint32_t i = threadIdx.x; i < t.groups; i += blockDim.x) {
        keep[i] = group_of(p, params, p.keep_offset, 0, i);
        shift[i] = group_of(p, params, p.shift_offset, 0, i);
    }
    __syncthreads();
    t.rows = shared;
    t.keep = keep;
    t.shift = shift;
    return t;
}

/* The sum of sixteen numbers in the tree of blocks.h, of which those from N on are zero. */
template <uint32_t N> static __device__ __forceinline__ float tree_sum(float (&sum)[16]) {
#pragma unroll
    for (uint32_t k = 0; k < 8; k++)
        if (k + 8 < N) sum[k] += sum[k + 8];
#pragma unroll
    for (uint32_t k = 0; k < 4; k++)
        if (k + 4 < N) sum[k] += sum[k + 4];
    return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

/* Whether fewer than Q groups may be there: choose() takes shapes of up to four for exactly as many. */
static constexpr __host__ __device__ bool some_groups(uint32_t Q) {
    return Q > 4;
}

/* One step of one chain: nsamp_mh_step. Without a leak all numbers but those of the last group stay as they are, and G = Q. The table
 * and the start hold no -0 where that would be seen: y is never -0, so `y + w or y` is `y + (w or 0)`. */
template <uint32_t Q, bool LEAK>
static __device__ __forceinline__ uint32_t step(const nsamp_mh_spiking_params &p, const mh_table &t,
                                                float (&v)[4 * Q], uint32_t w0, uint32_t w1,
                                                uint32_t *neuron) {
    const uint32_t j = (uint32_t)(((uint64_t)w0 * p.neurons) >> 32);
    const float4 *const row = t.rows + j * t.stride;
    const float bar = nsamp_log(nsamp_uniform(w1)) * p.cool;
    float r[4 * Q], sum[16];
#pragma unroll
    for (uint32_t k = 0; k < 16; k++)
        sum[k] = 0.0f;
#pragma unroll
    for (uint32_t q = 0; q < Q; q++) {
        if (some_groups(Q) && q >= t.groups) break;
        const float4 four = row[q];
        r[4 * q] = four.x, r[4 * q + 1] = four.y, r[4 * q + 2] = four.z, r[4 * q + 3] = four.w;
        if (LEAK || q == Q - 1) {
            const float4 keep = t.keep[q], shift = t.shift[q];
            v[4 * q] = nsamp_fma(keep.x, v[4 * q], shift.x);
            v[4 * q + 1] = nsamp_fma(keep.y, v[4 * q + 1], shift.y);
            v[4 * q + 2] = nsamp_fma(keep.z, v[4 * q + 2], shift.z);
            v[4 * q + 3] = nsamp_fma(keep.w, v[4 * q + 3], shift.w);
        }
#pragma unroll
        for (uint32_t d = 4 * q; d < 4 * q + 4; d++)
            sum[d % 16] = nsamp_fma(r[d], v[d], sum[d % 16]);
    }
    const uint32_t spike = (uint32_t)(tree_sum<4 * Q>(sum) < bar);
#pragma unroll
    for (uint32_t q = 0; q < Q; q++) {
        if (some_groups(Q) && q >= t.groups) break;
#pragma unroll
        for (uint32_t d = 4 * q; d < 4 * q + 4; d++)
            v[d] = spike ? v[d] + r[d] : v[d];
    }
    *neuron = j;
    return spike;
}

/* The most warps of a block: those that a table leaves alone on a multiprocessor. */
static constexpr uint32_t most_warps(uint32_t Q) {
    return Q <= 8 ? 2 * WARPS : WARPS;
}

/* Steps step0 to step0 + nsteps, over which the upper bits of step/2 are the same. */
template <uint32_t Q, bool LEAK, uint32_t ROUNDS>
static __global__ void __launch_bounds__(most_warps(Q) * L)
    mh_advance(nsamp_cuda_view view, const nsamp_mh_spiking_params p, const nsamp_keys keys, uint64_t step0,
               uint32_t nsteps) {
    NSAMP_SHARED;
    const mh_table table = load_table(p, view.params, (float4 *)nsamp_shared);
    const uint64_t index = (uint64_t)blockIdx.x * (blockDim.x / L) + threadIdx.x / L;
    if (index >= view.tiles) return;
    const uint32_t lane = threadIdx.x % L;
    float *const home = view.state + index * view.state_len * L + lane;
    uint32_t *const count = (uint32_t *)home + (size_t)p.dim * L;
    float v[4 * Q], all = 0.0f;
#pragma unroll
    for (uint32_t d = 0; d < 4 * Q; d++) {
        v[d] = d < p.dim ? home[d * L] : 0.0f;
        if (d < p.dim) all += v[d];
    }
    unsigned long long *const first_bad = view.first_bad + index * L + lane;
    if (!(all - all == 0.0f) && *first_bad == ~0ull) *first_bad = step0; /* nsamp_mh_flag */
    const uint64_t end = step0 + nsteps, counted = p.counts ? p.burn_in : ~0ull;
    const nsamp_stream noise =
        nsamp_stream_of(keys, NSAMP_PURPOSE_STEP, (uint32_t)(index * L) + lane, step0 / 2);
    for (uint64_t pair = step0 / 2; 2 * pair < end; pair++) {
        const nsamp_words words = nsamp_stream_words<ROUNDS>(noise, keys, (uint32_t)pair, 0);
        uint32_t j;
        if (2 * pair >= step0) {
            const uint32_t spike = step<Q, LEAK>(p, table, v, words.w[0], words.w[1], &j);
            if (spike && 2 * pair >= counted) nsamp_mh_count(&count[(size_t)j * L], spike);
        }
        if (2 * pair + 1 < end) {
            const uint32_t spike = step<Q, LEAK>(p, table, v, words.w[2], words.w[3], &j);
            if (spike && 2 * pair + 1 >= counted) nsamp_mh_count(&count[(size_t)j * L], spike);
        }
    }
#pragma unroll
    for (uint32_t d = 0; d < 4 * Q; d++)
        if (d < p.dim) home[d * L] = v[d];
}

typedef void mh_kernel(nsamp_cuda_view, nsamp_mh_spiking_params, nsamp_keys, uint64_t, uint32_t);

/* Exactly Q groups, up to 4; else Q or fewer. */
typedef struct mh_shape {
    uint32_t groups;
    bool leak;
    uint32_t warps;       /* the most of a block */
    mh_kernel *kernel[2]; /* 10 rounds, 7 rounds */
} mh_shape;
#define MH(Q, LEAK)                                                                                          \
    {                                                                                                        \
        Q, LEAK, most_warps(Q), {                                                                            \
            mh_advance<Q, LEAK, 10>, mh_advance<Q, LEAK, 7>                                                  \
        }                                                                                                    \
    }
static const mh_shape shapes[] = {MH(1, false), MH(2, false), MH(3, false), MH(4, false),
                                  MH(1, true),  MH(2, true),  MH(3, true),  MH(4, true),
                                  MH(6, true),  MH(8, true),  MH(12, true), MH(16, true)};

static const mh_shape *choose(const nsamp_mh_spiking_params *p) {
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
        if (shapes[i].leak ? groups_of(*p) <= shapes[i].groups
                           : !p->leak && groups_of(*p) == shapes[i].groups)
            return &shapes[i];
    return NULL;
}

static cudaError_t launch_advance(const nsamp_cuda_view *v, const void *host_params, uint64_t step0,
                                  uint32_t nsteps) {
    const nsamp_mh_spiking_params *const p = (const nsamp_mh_spiking_params *)host_params;
    const mh_shape *const s = choose(p);
    mh_kernel *const kernel = s->kernel[v->noise.rounds == 7];
    const size_t shared = shared_bytes(*p);
    const uint32_t first = nsamp_stream_steps(step0, nsteps, 2);
    uint32_t warps = 2 * shared > v->shared_most ? s->warps : (uint32_t)WARPS;
    while (warps > 1 && v->tiles / warps < 2 * v->multiprocessors)
        warps /= 2;
    cudaError_t error = nsamp_cuda_permit(kernel, shared);
    if (error) return error;
    NSAMP_LAUNCH(kernel, (uint32_t)((v->tiles + warps - 1) / warps), warps * L, shared, v->stream, *v, *p,
                 nsamp_keys_of(v->noise), step0, first);
    error = cudaGetLastError();
    return error || first == nsteps ? error : launch_advance(v, host_params, step0 + first, nsteps - first);
}

static cudaError_t launch_observe(const nsamp_cuda_view *v, uint64_t tiles, float *x) {
    return nsamp_cuda_lane_kernel(NSAMP_KERNEL_mh_spiking)->observe(v, tiles, x);
}

const nsamp_cuda_kernel *nsamp_cuda_mh_kernel(const nsamp_mh_spiking_params *p, const nsamp_cuda_view *v) {
    static const nsamp_cuda_kernel kernel = {launch_advance, launch_observe, false};
    return choose(p) && shared_bytes(*p) <= v->shared_most ? &kernel : NULL;
}
