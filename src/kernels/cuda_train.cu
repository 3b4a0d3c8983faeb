/* cuda_train.cu: see cuda_train.h. A thread has four or eight neighbouring numbers of a row, 16 bytes where they
 * are read or written. */
#include "kernels/cuda_train.h"

enum { THREADS = 256, WARPS = THREADS / 32, QUAD = 4 };

template <class T, int COUNT> struct __align__(sizeof(T) * COUNT) pack {
    T v[COUNT];
};
typedef pack<float, QUAD> quad;

template <class T, int COUNT> static __device__ __forceinline__ pack<T, COUNT> load(const T *at) {
    return *(const pack<T, COUNT> *)at;
}
template <class T, int COUNT> static __device__ __forceinline__ void store(T *at, const pack<T, COUNT> &p) {
    *(pack<T, COUNT> *)at = p;
}

static __device__ __forceinline__ float value_of(float x) {
    return x;
}
static __device__ __forceinline__ float value_of(nsamp_bf16 x) {
    return nsamp_bf16_value(x);
}
static __device__ __forceinline__ void put(float *to, float x) {
    *to = x;
}
static __device__ __forceinline__ void put(nsamp_bf16 *to, float x) {
    *to = nsamp_bf16_of(x);
}

static __device__ __forceinline__ void store_rounded(nsamp_bf16 *at, const quad &x) {
    pack<nsamp_bf16, QUAD> in;
    for (int k = 0; k < QUAD; k++)
        put(&in.v[k], x.v[k]);
    store(at, in);
}

static uint32_t blocks_of(uint64_t work) {
    return (uint32_t)((work + THREADS - 1) / THREADS);
}

/* ---- rows of a batch ----------------------------------------------------------------------------------- */

static __device__ __forceinline__ quad noise_of(const nsamp_cuda_train &t, const nsamp_cuda_head &head,
                                                uint32_t row, uint32_t column) {
    float *const eps = t.eps + (uint64_t)row * t.row_m + column;
    quad z = {{0.0f, 0.0f, 0.0f, 0.0f}};
    if (head.noise == NSAMP_CUDA_NOISE_GIVEN) return load<float, QUAD>(eps);
    if (head.noise == NSAMP_CUDA_NO_NOISE) return z;
    nsamp_noise_key key = head.key;
    key.rounds = 10;
    nsamp_normals4(key, NSAMP_PURPOSE_TRAIN, row, head.first + head.now, column / QUAD, z.v);
    const float by = t.widen[row];
    for (int k = 0; k < QUAD; k++)
        z.v[k] *= by;
    store(eps, z);
    return z;
}

/* x, padded with the constant input and zeros, as float32 and as products take it. */
template <class T>
static __device__ __forceinline__ void put_row(const nsamp_cuda_train &t, uint32_t row, uint32_t column,
                                               quad x) {
    for (uint32_t k = 0; k < QUAD; k++)
        if (column + k >= t.m) x.v[k] = column + k == t.m ? 1.0f : 0.0f;
    const uint64_t at = (uint64_t)row * t.row_m + column;
    store(t.x + at, x);
    if constexpr (sizeof(T) != sizeof(float)) store_rounded((T *)t.x_in + at, x);
}

template <class T> static __global__ void __launch_bounds__(THREADS) make_rows(nsamp_cuda_train t) {
    const nsamp_cuda_head &head = *t.head;
    const uint32_t quads = t.row_m / QUAD;
    const uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x;
    const uint32_t row = (uint32_t)(i / quads), column = (uint32_t)(i % quads) * QUAD;
    if (row >= t.batch) return;
    const uint64_t given = (uint64_t)head.now * t.batch + row;
    const float *const from =
        head.named ? head.data + (uint64_t)head.named[given] * t.m : head.x0 + given * t.m;
    const quad z = noise_of(t, head, row, column);
    quad x0, x;
    for (uint32_t k = 0; k < QUAD; k++) {
        x0.v[k] = column + k < t.m ? from[column + k] : 0.0f;
        x.v[k] = x0.v[k] + head.sigma * z.v[k];
    }
    put_row<T>(t, row, column, x);
    if (t.control_variate) put_row<T>(t, t.batch + row, column, x0);
}

cudaError_t nsamp_cuda_train_rows(const nsamp_cuda_train *t) {
    auto *const kernel = t->bf16 ? make_rows<nsamp_bf16> : make_rows<float>;
    const uint32_t grid = blocks_of((uint64_t)t->batch * (t->row_m / QUAD)), threads = THREADS;
    NSAMP_LAUNCH(kernel, grid, threads, 0, t->stream, *t);
    return cudaGetLastError();
}

/* ---- activation and slope ------------------------------------------------------------------------------ */

template <class T> static __global__ void __launch_bounds__(THREADS) apply_activation(nsamp_cuda_train t) {
    enum { COUNT = 16 / sizeof(T) };
    const uint64_t i = ((uint64_t)blockIdx.x * THREADS + threadIdx.x) * COUNT;
    if (i >= t.rows * t.row_n) return;
    T *const at = (T *)t.h + i;
    pack<T, COUNT> h = load<T, COUNT>(at);
    for (int k = 0; k < COUNT; k++)
        put(&h.v[k], nsamp_activate(t.activation, value_of(h.v[k])));
    store(at, h);
}

cudaError_t nsamp_cuda_train_activate(const nsamp_cuda_train *t) {
    auto *const kernel = t->bf16 ? apply_activation<nsamp_bf16> : apply_activation<float>;
    const uint32_t grid = blocks_of(t->rows * t->row_n / (t->bf16 ? 8 : 4)), threads = THREADS;
    NSAMP_LAUNCH(kernel, grid, threads, 0, t->stream, *t);
    return cudaGetLastError();
}

template <class T>
static __global__ void __launch_bounds__(THREADS)
    apply_slope(nsamp_cuda_train t, uint64_t first, uint32_t units) {
    enum { COUNT = 16 / sizeof(T) };
    const uint32_t packs = units / COUNT;
    const uint64_t i = (uint64_t)blockIdx.x * THREADS + threadIdx.x, row = i / packs;
    const uint32_t unit = (uint32_t)(i % packs) * COUNT;
    if (row >= t.rows) return;
    T *const at = (T *)t.dh + row * units + unit;
    const pack<T, COUNT> h = load<T, COUNT>((const T *)t.h + row * t.row_n + first + unit);
    pack<T, COUNT> d = load<T, COUNT>(at);
    for (int k = 0; k < COUNT; k++)
        put(&d.v[k], value_of(d.v[k]) * nsamp_slope(t.activation, value_of(h.v[k])));
    store(at, d);
}

cudaError_t nsamp_cuda_train_slope(const nsamp_cuda_train *t, uint64_t first, uint32_t units) {
    auto *const kernel = t->bf16 ? apply_slope<nsamp_bf16> : apply_slope<float>;
    const uint32_t grid = blocks_of((uint64_t)t->rows * units / (t->bf16 ? 8 : 4)), threads = THREADS;
    NSAMP_LAUNCH(kernel, grid, threads, 0, t->stream, *t, first, units);
    return cudaGetLastError();
}

/* ---- residual and loss --------------------------------------------------------------------------------- */

template <class T>
static __device__ __forceinline__ void residual_of(const nsamp_cuda_train &t, const nsamp_residual &p,
                                                   bool clean, uint32_t row, uint32_t column, double *loss) {
    const uint64_t at = (uint64_t)(clean ? t.batch + row : row) * t.row_m + column;
    const quad f = load<float, QUAD>(t.f + at), x = load<float, QUAD>(t.x + at),
               eps = load<float, QUAD>(t.eps + (uint64_t)row * t.row_m + column);
    pack<T, QUAD> e;
    for (uint32_t k = 0; k < QUAD; k++) {
        float value = 0.0f;
        if (column + k < t.m)
            value = clean ? nsamp_residual_clean(&p, f.v[k], x.v[k], eps.v[k], loss)
                          : nsamp_residual_noisy(&p, f.v[k], x.v[k], eps.v[k], loss);
        put(&e.v[k], value);
    }
    store((T *)t.e + at, e);
}

/* A warp a row; the lanes' sums are added in their order. */
template <class T> static __global__ void __launch_bounds__(THREADS) take_residual(nsamp_cuda_train t) {
    NSAMP_SHARED;
    double *const sums = (double *)nsamp_shared + threadIdx.x / NSAMP_WARP * NSAMP_WARP;
    const uint32_t row = blockIdx.x * WARPS + threadIdx.x / NSAMP_WARP, lane = threadIdx.x % NSAMP_WARP;
    if (row >= t.batch) return;
    const nsamp_residual p = t.head->residual;
    double loss = 0.0;
    for (uint32_t column = lane * QUAD; column < t.row_m; column += NSAMP_WARP * QUAD) {
        residual_of<T>(t, p, false, row, column, &loss);
        if (t.control_variate) residual_of<T>(t, p, true, row, column, &loss);
    }
    sums[lane] = loss;
    __syncwarp();
    if (lane) return;
    for (uint32_t i = 1; i < NSAMP_WARP; i++)
        loss += sums[i];
    t.loss[row] = loss;
}

cudaError_t nsamp_cuda_train_residual(const nsamp_cuda_train *t) {
    auto *const kernel = t->bf16 ? take_residual<nsamp_bf16> : take_residual<float>;
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(kernel, (t->batch + WARPS - 1) / WARPS, threads, threads * sizeof(double), t->stream, *t);
    return cudaGetLastError();
}

static __global__ void __launch_bounds__(THREADS) finish_step(nsamp_cuda_train t) {
    NSAMP_SHARED;
    double *const sums = (double *)nsamp_shared;
    double loss = 0.0;
    for (uint32_t row = threadIdx.x; row < t.batch; row += THREADS)
        loss += t.loss[row];
    sums[threadIdx.x] = loss;
    for (uint32_t half = THREADS / 2; half; half /= 2) {
        __syncthreads();
        if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
    }
    if (threadIdx.x) return;
    t.losses[t.head->now] = sums[0] / (double)t.batch;
    t.head->now++;
}

cudaError_t nsamp_cuda_train_finish(const nsamp_cuda_train *t) {
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(finish_step, 1u, threads, threads * sizeof(double), t->stream, *t);
    return cudaGetLastError();
}

/* ---- weights ------------------------------------------------------------------------------------------- */

/* One pass over the weights of a chunk: blockIdx.y is 0 for W2 and b, 1 for W1. Padding stays zero: its gradient may
 * be anything. */
static __global__ void __launch_bounds__(THREADS)
    apply_adam(nsamp_cuda_train t, uint64_t first, uint32_t units) {
    const uint32_t quads = t.row_m / QUAD, i = blockIdx.x * THREADS + threadIdx.x, part = blockIdx.y;
    const uint32_t unit = i / quads, column = i % quads * QUAD, columns = part ? t.m : t.m + 1;
    if (unit >= units || first + unit >= t.n || column >= columns) return;
    const nsamp_adam a = t.adam[t.head->now];
    const uint64_t at = (part * t.row_n + first + unit) * t.row_m + column;
    const quad g = load<float, QUAD>(t.g + ((uint64_t)part * units + unit) * t.row_m + column);
    quad w = load<float, QUAD>(t.w + at), mean = load<float, QUAD>(t.mean + at),
         square = load<float, QUAD>(t.square + at), largest = square;
    if (t.largest) largest = load<float, QUAD>(t.largest + at);
    for (uint32_t k = 0; k < QUAD; k++) {
        if (column + k >= columns) continue;
        const float now = nsamp_adam_moments(&a, w.v[k], g.v[k], &mean.v[k], &square.v[k]);
        if (!t.largest || now > largest.v[k]) largest.v[k] = now;
        w.v[k] = nsamp_adam_weight(&a, w.v[k], mean.v[k], largest.v[k]);
    }
    store(t.w + at, w);
    store(t.mean + at, mean);
    store(t.square + at, square);
    if (t.largest) store(t.largest + at, largest);
    if (t.bf16) store_rounded(t.w_in + at, w);
}

cudaError_t nsamp_cuda_train_adam(const nsamp_cuda_train *t, uint64_t first, uint32_t units) {
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(apply_adam, dim3(blocks_of((uint64_t)units * (t->row_m / QUAD)), 2), threads, 0, t->stream,
                 *t, first, units);
    return cudaGetLastError();
}

static __global__ void __launch_bounds__(THREADS) round_weights(nsamp_cuda_train t) {
    const uint64_t i = ((uint64_t)blockIdx.x * THREADS + threadIdx.x) * QUAD;
    if (i >= 2 * t.row_n * t.row_m) return;
    store_rounded(t.w_in + i, load<float, QUAD>(t.w + i));
}

cudaError_t nsamp_cuda_train_round(const nsamp_cuda_train *t) {
    const uint32_t threads = THREADS;
    NSAMP_LAUNCH(round_weights, blocks_of(2 * t->row_n * t->row_m / QUAD), threads, 0, t->stream, *t);
    return cudaGetLastError();
}
