/* cuda_draws.cu: sorts, histograms and reductions over draws by Thrust: see cuda_draws.h. */
#include "kernels/cuda_draws.h"

#include <math.h>
#include <new>
#include <thrust/binary_search.h>
#include <thrust/device_vector.h>
#include <thrust/functional.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/zip_iterator.h>
#include <thrust/sort.h>
#include <thrust/system_error.h>
#include <thrust/transform_reduce.h>
#include <thrust/tuple.h>

typedef thrust::device_vector<float> draws;
typedef thrust::tuple<float, float> pair;

struct to_double {
    __host__ __device__ double operator()(float x) const {
        return (double)x;
    }
};

struct squared_deviation {
    double mean;
    __host__ __device__ double operator()(float x) const {
        return ((double)x - mean) * ((double)x - mean);
    }
};

struct distance {
    __host__ __device__ double operator()(const pair &p) const {
        return fabs((double)thrust::get<0>(p) - (double)thrust::get<1>(p));
    }
};

/* At draw i of the sorted sample, how far its distribution function, just below and at the draw, is from the other's. */
struct step_gap {
    double n, others;
    __host__ __device__ double operator()(const thrust::tuple<size_t, size_t, size_t, size_t> &t) const {
        const double below = fabs((double)thrust::get<0>(t) / n - (double)thrust::get<1>(t) / others);
        const double at = fabs((double)thrust::get<2>(t) / n - (double)thrust::get<3>(t) / others);
        return below > at ? below : at;
    }
};

/* Bin of a draw; bins for those outside, NaN among them. */
struct bin_of {
    double low, width;
    size_t bins;
    __host__ __device__ size_t operator()(float x) const {
        const double at = ((double)x - low) / width;
        return at >= 0 && at < (double)bins ? (size_t)at : bins;
    }
};

/* Thrust reports failures by exceptions; C callers get a 1. */
template <class Work> static int guarded(Work work) {
    try {
        work();
        return 0;
    } catch (const thrust::system_error &) {
        return 1;
    } catch (const std::bad_alloc &) {
        return 1;
    }
}

extern "C" int nsamp_draws_moments(size_t n, const float *x, double *mean, double *var) {
    *mean = *var = NAN;
    return guarded([=] {
        const draws d(x, x + n);
        const double m =
            thrust::transform_reduce(d.begin(), d.end(), to_double(), 0.0, thrust::plus<double>()) /
            (double)n;
        const squared_deviation square = {m};
        *mean = m;
        *var = thrust::transform_reduce(d.begin(), d.end(), square, 0.0, thrust::plus<double>()) /
               ((double)n - 1);
    });
}

extern "C" int nsamp_draws_w1(size_t n, const float *a, const float *b, double *w1) {
    *w1 = NAN;
    return guarded([=] {
        draws da(a, a + n), db(b, b + n);
        thrust::sort(da.begin(), da.end());
        thrust::sort(db.begin(), db.end());
        const auto first = thrust::make_zip_iterator(thrust::make_tuple(da.begin(), db.begin()));
        *w1 = thrust::transform_reduce(first, first + (ptrdiff_t)n, distance(), 0.0, thrust::plus<double>()) /
              (double)n;
    });
}

extern "C" int nsamp_draws_ks(size_t na, const float *a, size_t nb, const float *b, double *ks) {
    *ks = NAN;
    return guarded([=] {
        draws da(a, a + na), db(b, b + nb);
        thrust::sort(da.begin(), da.end());
        thrust::sort(db.begin(), db.end());
        thrust::device_vector<size_t> below(na), at(na), others_below(na), others_at(na);
        thrust::lower_bound(da.begin(), da.end(), da.begin(), da.end(), below.begin());
        thrust::upper_bound(da.begin(), da.end(), da.begin(), da.end(), at.begin());
        thrust::lower_bound(db.begin(), db.end(), da.begin(), da.end(), others_below.begin());
        thrust::upper_bound(db.begin(), db.end(), da.begin(), da.end(), others_at.begin());
        const auto first = thrust::make_zip_iterator(
            thrust::make_tuple(below.begin(), others_below.begin(), at.begin(), others_at.begin()));
        const step_gap gap = {(double)na, (double)nb};
        *ks = thrust::transform_reduce(first, first + (ptrdiff_t)na, gap, 0.0, thrust::maximum<double>());
    });
}

extern "C" int nsamp_draws_histogram(size_t n, const float *x, double low, double high, size_t bins,
                                     size_t *counts) {
    for (size_t i = 0; i < bins; i++)
        counts[i] = 0;
    return guarded([=] {
        const draws d(x, x + n);
        const bin_of bin = {low, (high - low) / (double)bins, bins};
        thrust::device_vector<size_t> index(n), ends(bins);
        thrust::transform(d.begin(), d.end(), index.begin(), bin);
        thrust::sort(index.begin(), index.end());
        const thrust::counting_iterator<size_t> numbers(0);
        thrust::upper_bound(index.begin(), index.end(), numbers, numbers + (ptrdiff_t)bins, ends.begin());
        thrust::copy(ends.begin(), ends.end(), counts);
        for (size_t i = bins; i-- > 1;)
            counts[i] -= counts[i - 1];
    });
}
