/* kernels.cu: what with_cupy.py compiles at run time, with DIM, LANES, ... defined there.
 *
 * Every launch does STEPS steps from step0 on. A thread's numbers are a sequence of Philox4x32-10 of its own, at a place that
 * the step gives. */
#ifdef OWN_PHILOX
/* Where curand_kernel.h is not installed: the same generator and the same Box-Muller transform. */
struct curandStatePhilox4_32_10_t {
    uint4 counter;
    uint2 key;
};
static __device__ void curand_init(unsigned long long seed, unsigned long long sequence, unsigned long long offset,
                                   curandStatePhilox4_32_10_t *state) {
    const unsigned long long block = offset / 4; /* every use here begins at a multiple of four */
    state->counter = make_uint4((unsigned)block, (unsigned)(block >> 32), (unsigned)sequence, (unsigned)(sequence >> 32));
    state->key = make_uint2((unsigned)seed, (unsigned)(seed >> 32));
}
static __device__ uint4 curand4(curandStatePhilox4_32_10_t *state) {
    uint4 c = state->counter;
    uint2 k = state->key;
    for (int round = 0; round < 10; round++) {
        const unsigned high0 = __umulhi(0xD2511F53u, c.x), low0 = 0xD2511F53u * c.x;
        const unsigned high1 = __umulhi(0xCD9E8D57u, c.z), low1 = 0xCD9E8D57u * c.z;
        c = make_uint4(high1 ^ c.y ^ k.x, low1, high0 ^ c.w ^ k.y, low0);
        k.x += 0x9E3779B9u;
        k.y += 0xBB67AE85u;
    }
    if (++state->counter.x == 0) state->counter.y++;
    return c;
}
static __device__ float2 box_muller(unsigned x, unsigned y) {
    const float u = x * 2.3283064e-10f + 1.1641532e-10f, v = y * 1.4629181e-9f + 7.3145904e-10f;
    const float radius = sqrtf(-2.0f * logf(u));
    float sine, cosine;
    __sincosf(v, &sine, &cosine);
    return make_float2(sine * radius, cosine * radius);
}
static __device__ float4 curand_normal4(curandStatePhilox4_32_10_t *state) {
    const uint4 words = curand4(state);
    const float2 a = box_muller(words.x, words.y), b = box_muller(words.z, words.w);
    return make_float4(a.x, a.y, b.x, b.y);
}
#else
#include <curand_kernel.h>
#endif

typedef unsigned long long u64;

#ifdef COUPLED
/* LANES 1: x [DIM][chains], a thread a chain; LANES 32: x [chains][DIM], a warp a chain, four coordinates in turn to each lane. */
enum { FOURS = (DIM + 4 * LANES - 1) / (4 * LANES) };

static __device__ size_t place(int chain, int chains, int i) {
    return LANES == 1 ? (size_t)i * chains + chain : (size_t)chain * DIM + i;
}

extern "C" __global__ void linear(float *x, const float *keeps, float keep, float noise, float couple, u64 seed, u64 step0, int chains) {
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, chain = thread / LANES, lane = thread % LANES;
    if (chain >= chains) return; /* whole warps */
    float v[FOURS][4];
#if KEEP_VECTOR && LANES > 1
    float own[FOURS][4];
#endif
#pragma unroll
    for (int k = 0; k < FOURS; k++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int i = 4 * (k * LANES + lane) + e;
            v[k][e] = i < DIM ? x[place(chain, chains, i)] : 0.0f;
#if KEEP_VECTOR && LANES > 1
            own[k][e] = i < DIM ? keeps[i] : 0.0f;
#endif
        }
    curandStatePhilox4_32_10_t state;
    curand_init(seed, thread, step0 * (4 * FOURS), &state);
    for (int step = 0; step < STEPS; step++) {
        float shift = 0.0f;
#if COUPLED
        float part[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
        for (int k = 0; k < FOURS; k++)
#pragma unroll
            for (int e = 0; e < 4; e++)
                if (4 * (k * LANES + lane) + e < DIM) part[e] += v[k][e];
        shift = (part[0] + part[1]) + (part[2] + part[3]);
#if LANES > 1
#pragma unroll
        for (int over = LANES / 2; over; over /= 2)
            shift += __shfl_xor_sync(0xffffffffu, shift, over);
#endif
        shift *= couple;
#endif
#pragma unroll
        for (int k = 0; k < FOURS; k++) {
            const float4 z4 = curand_normal4(&state);
            const float z[4] = {z4.x, z4.y, z4.z, z4.w};
#pragma unroll
            for (int e = 0; e < 4; e++) {
#if !KEEP_VECTOR
                const float factor = keep;
#elif LANES > 1
                const float factor = own[k][e];
#else
                const float factor = 4 * k + e < DIM ? __ldg(keeps + 4 * k + e) : 0.0f;
#endif
                v[k][e] = fmaf(factor, v[k][e], fmaf(noise, z[e], shift));
            }
        }
    }
#pragma unroll
    for (int k = 0; k < FOURS; k++)
#pragma unroll
        for (int e = 0; e < 4; e++) {
            const int i = 4 * (k * LANES + lane) + e;
            if (i < DIM) x[place(chain, chains, i)] = v[k][e];
        }
}
#endif

#ifdef TANH
/* x [2][chains]; weights [units][8]: w2 (2), b, nothing, h w1 (2), nothing. A thread has two chains, so that a unit is read once for both. */
static __device__ float phi(float a) {
    return TANH ? tanhf(a) : fmaxf(a, 0.0f);
}

extern "C" __global__ void planar(float *x, const float4 *weights, int units, float keep, float noise, u64 seed, u64 step0, int chains) {
    extern __shared__ float4 table[];
    for (int i = threadIdx.x; i < 2 * units; i += blockDim.x)
        table[i] = weights[i];
    __syncthreads();
    const int thread = blockIdx.x * blockDim.x + threadIdx.x, a = 2 * thread, b = a + 1;
    if (b >= chains) return; /* an even number of chains */
    float2 p = make_float2(x[a], x[chains + a]), q = make_float2(x[b], x[chains + b]);
    curandStatePhilox4_32_10_t state;
    curand_init(seed, thread, step0 * 4, &state);
    for (int step = 0; step < STEPS; step++) {
        float2 f = make_float2(0.0f, 0.0f), g = f;
#pragma unroll 4
        for (int i = 0; i < units; i++) {
            const float4 in = table[2 * i], out = table[2 * i + 1];
            const float r = phi(fmaf(in.x, p.x, fmaf(in.y, p.y, in.z))), s = phi(fmaf(in.x, q.x, fmaf(in.y, q.y, in.z)));
            f = make_float2(fmaf(out.x, r, f.x), fmaf(out.y, r, f.y));
            g = make_float2(fmaf(out.x, s, g.x), fmaf(out.y, s, g.y));
        }
        const float4 z = curand_normal4(&state);
        p = make_float2(fmaf(keep, p.x, fmaf(noise, z.x, f.x)), fmaf(keep, p.y, fmaf(noise, z.y, f.y)));
        q = make_float2(fmaf(keep, q.x, fmaf(noise, z.z, g.x)), fmaf(keep, q.y, fmaf(noise, z.w, g.y)));
    }
    x[a] = p.x, x[chains + a] = p.y, x[b] = q.x, x[chains + b] = q.y;
}
#endif

/* x <- keep x + y + noise z, four numbers a thread; one step a launch. */
extern "C" __global__ void update(float4 *x, const float4 *y, float keep, float noise, u64 seed, u64 step, int count) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= count) return;
    curandStatePhilox4_32_10_t state;
    curand_init(seed, i, step * 4, &state);
    const float4 z = curand_normal4(&state), u = x[i], f = y[i];
    x[i] = make_float4(fmaf(keep, u.x, fmaf(noise, z.x, f.x)), fmaf(keep, u.y, fmaf(noise, z.y, f.y)),
                       fmaf(keep, u.z, fmaf(noise, z.z, f.z)), fmaf(keep, u.w, fmaf(noise, z.w, f.w)));
}

#ifdef WIDTH
/* x [DIM][chains]; rows [neurons][WIDTH]: w_j, then |w_j|^2 / 2. Two proposals for four words: STEPS is even. */
static __device__ int propose(float *v, const float *rows, int neurons, unsigned which, unsigned word) {
    const float *row = rows + (size_t)__umulhi(which, (unsigned)neurons) * WIDTH;
    float w[DIM], energy = row[DIM];
#pragma unroll
    for (int i = 0; i < DIM; i++) {
        w[i] = row[i];
        energy = fmaf(w[i], v[i], energy);
    }
    const float u = word * 2.3283064e-10f + 1.1641532e-10f;
    const int spike = energy < -__logf(u);
#pragma unroll
    for (int i = 0; i < DIM; i++)
        v[i] += spike ? w[i] : 0.0f;
    return spike;
}

extern "C" __global__ void spiking(float *x, long long *accepted, const float *table, int neurons, u64 seed, u64 step0, int chains) {
    extern __shared__ float rows[];
    for (int i = threadIdx.x; i < neurons * WIDTH; i += blockDim.x)
        rows[i] = table[i];
    __syncthreads();
    const int chain = blockIdx.x * blockDim.x + threadIdx.x;
    if (chain >= chains) return;
    float v[DIM];
#pragma unroll
    for (int i = 0; i < DIM; i++)
        v[i] = x[(size_t)i * chains + chain];
    curandStatePhilox4_32_10_t state;
    curand_init(seed, chain, step0 * 2, &state);
    int count = 0;
    for (int step = 0; step < STEPS; step += 2) {
        const uint4 words = curand4(&state);
        count += propose(v, rows, neurons, words.x, words.y);
        count += propose(v, rows, neurons, words.z, words.w);
    }
#pragma unroll
    for (int i = 0; i < DIM; i++)
        x[(size_t)i * chains + chain] = v[i];
    accepted[chain] += count;
}
#endif
