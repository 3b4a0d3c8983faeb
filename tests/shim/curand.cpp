/* curand.cpp: a stand-in for cuRAND in the tests: counts what is asked of it and fills the output with numbers of the right place and scale,
 * which are not normals. Refuses what the library refuses: odd counts, and a generator that has no seed or no stream of its own. */
#include "curand.h"
#include "runtime.h"
#include "shim.h"

struct nsamp_shim_generator {
    cudaStream_t stream;
    bool seeded;
};

static bool present = true;
static int generators;
static uint64_t normals;

void nsamp_shim_set_curand(int there) {
    present = there;
}
int nsamp_shim_curand_generators(void) {
    return generators;
}
uint64_t nsamp_shim_curand_normals(void) {
    return normals;
}

void *nsamp_shim_curand_open(const char *name) {
    return present && !strcmp(name, "libcurand.so.10") ? &present : NULL;
}

void *nsamp_shim_curand_symbol(void *library, const char *name) {
#define SYMBOL(function)                                                                                     \
    { #function, (void *)function }
    static const struct {
        const char *name;
        void *function;
    } table[] = {SYMBOL(curandCreateGenerator), SYMBOL(curandDestroyGenerator), SYMBOL(curandSetStream),
                 SYMBOL(curandSetPseudoRandomGeneratorSeed), SYMBOL(curandGenerateNormal)};
    for (size_t i = 0; library == &present && i < sizeof table / sizeof table[0]; i++)
        if (!strcmp(table[i].name, name)) return table[i].function;
    return NULL;
}

curandStatus_t curandCreateGenerator(curandGenerator_t *generator, curandRngType_t type) {
    if (type != CURAND_RNG_PSEUDO_PHILOX4_32_10) return CURAND_STATUS_TYPE_ERROR;
    *generator = new nsamp_shim_generator{NULL, false};
    generators++;
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandDestroyGenerator(curandGenerator_t generator) {
    if (!generator) return CURAND_STATUS_NOT_INITIALIZED;
    delete generator;
    generators--;
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetStream(curandGenerator_t generator, cudaStream_t stream) {
    generator->stream = stream;
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandSetPseudoRandomGeneratorSeed(curandGenerator_t generator, unsigned long long) {
    generator->seeded = true;
    return CURAND_STATUS_SUCCESS;
}
curandStatus_t curandGenerateNormal(curandGenerator_t generator, float *out, size_t count, float mean,
                                    float deviation) {
    if (count % 2) return CURAND_STATUS_LENGTH_NOT_MULTIPLE;
    if (!generator->seeded || !generator->stream || !(deviation > 0)) return CURAND_STATUS_OUT_OF_RANGE;
    nsamp_shim_enqueue(generator->stream, [=]() {
        for (size_t i = 0; i < count; i++)
            out[i] = mean + (i % 2 ? deviation : -deviation);
    });
    normals += count;
    return CURAND_STATUS_SUCCESS;
}
