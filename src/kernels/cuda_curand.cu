/* cuda_curand.cu: see cuda_curand.h. */
#include "kernels/cuda_curand.h"

#include <curand.h>
#include <stdlib.h>

extern "C" {
#include "error.h"
}

#define FUNCTIONS(X)                                                                                         \
    X(CreateGenerator)                                                                                       \
    X(DestroyGenerator)                                                                                      \
    X(SetStream)                                                                                             \
    X(SetPseudoRandomGeneratorSeed)                                                                          \
    X(GenerateNormal)

#define MEMBER(name) decltype(&curand##name) name;
static struct {
    void *handle; /* of the dynamic linker; kept until the program ends */
    FUNCTIONS(MEMBER)
} lib;

struct nsamp_curand {
    curandGenerator_t generator;
};

const char *nsamp_curand_missing(void) {
    static const char *const names[] = {"libcurand.so.10", "libcurand.so",
                                        "/usr/local/cuda/lib64/libcurand.so"};
    void *handle = NULL;
    if (lib.handle) return NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !handle; i++)
        handle = NSAMP_LIBRARY_OPEN(names[i]);
    if (!handle) return "cuRAND's normals need libcurand.so.10, which is not found";
    bool all = true;
#define FIND(name)                                                                                           \
    all = (lib.name = (decltype(lib.name))NSAMP_LIBRARY_SYMBOL(handle, "curand" #name)) != NULL && all;
    FUNCTIONS(FIND)
    if (!all) {
        NSAMP_LIBRARY_CLOSE(handle);
        return "the libcurand.so that is found lacks functions of cuRAND 10";
    }
    lib.handle = handle;
    return NULL;
}

static nsamp_status failed(nsamp_error *err, curandStatus_t status, const char *what) {
    return nsamp_fail(err, NSAMP_EIO, "cuRAND: %s: status %d", what, (int)status);
}

nsamp_status nsamp_curand_create(cudaStream_t stream, nsamp_curand **curand, nsamp_error *err) {
    const char *const missing = nsamp_curand_missing();
    *curand = NULL;
    if (missing) return nsamp_fail(err, NSAMP_EIO, "%s", missing);
    nsamp_curand *c = (nsamp_curand *)calloc(1, sizeof *c);
    if (!c) return nsamp_fail(err, NSAMP_ENOMEM, "out of memory");
    curandStatus_t status = lib.CreateGenerator(&c->generator, CURAND_RNG_PSEUDO_PHILOX4_32_10);
    if (status) {
        free(c);
        return failed(err, status, "curandCreateGenerator");
    }
    status = lib.SetStream(c->generator, stream);
    if (!status) status = lib.SetPseudoRandomGeneratorSeed(c->generator, 1);
    if (status) {
        nsamp_curand_destroy(c);
        return failed(err, status, "a generator on a stream");
    }
    *curand = c;
    return NSAMP_OK;
}

nsamp_status nsamp_curand_normals(nsamp_curand *curand, size_t count, float *out, nsamp_error *err) {
    const curandStatus_t status = lib.GenerateNormal(curand->generator, out, count, 0.0f, 1.0f);
    return status ? failed(err, status, "curandGenerateNormal") : NSAMP_OK;
}

void nsamp_curand_destroy(nsamp_curand *curand) {
    if (!curand) return;
    lib.DestroyGenerator(curand->generator);
    free(curand);
}
