/* test_cuda_transfer.cpp: arrays to the device and back by two buffers (cuda_transfer.h), of every length about theirs and
 * with streams that work at once, late, or ahead. */
#include <vector>

#include "kernels/cuda_transfer.h"
#include "shim.h"

extern "C" {
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
}

enum { BUFFER = 512 };

static std::vector<char> numbers(size_t bytes, unsigned seed) {
    std::vector<char> all(bytes);
    for (size_t i = 0; i < bytes; i++)
        all[i] = (char)((seed = seed * 1664525u + 1013904223u) >> 24);
    return all;
}

/* Two arrays one after the other, so that the second meets buffers that are in use; what is sent is overwritten at once. */
static void there_and_back(size_t bytes, cudaStream_t stream) {
    nsamp_cuda_transfer t = {};
    nsamp_error err = {};
    void *device[2];
    std::vector<char> sent[2], back(bytes);
    assert_int_equal(nsamp_cuda_transfer_create(&t, BUFFER, &err), NSAMP_OK);
    for (unsigned k = 0; k < 2; k++) {
        sent[k] = numbers(bytes, k + 1);
        std::vector<char> from = sent[k];
        assert_int_equal(cudaMalloc(&device[k], bytes + 1), cudaSuccess);
        assert_int_equal(nsamp_cuda_send(&t, device[k], from.data(), bytes, stream, &err), NSAMP_OK);
        from.assign(bytes, 0);
    }
    for (unsigned k = 0; k < 2; k++) {
        assert_int_equal(nsamp_cuda_receive(&t, back.data(), device[k], bytes, stream, &err), NSAMP_OK);
        if (back != sent[k]) fail_msg("%zu bytes, array %u: not what was sent", bytes, k);
        assert_int_equal(((unsigned char *)device[k])[bytes], 0xff); /* and nothing beyond */
        cudaFree(device[k]);
    }
    nsamp_cuda_transfer_destroy(&t);
}

static void test_there_and_back(void **) {
    static const size_t parts[] = {0, 1, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER, 5 * BUFFER - 3};
    for (int when = NSAMP_SHIM_AT_ONCE; when <= NSAMP_SHIM_AHEAD; when++) {
        cudaStream_t stream;
        nsamp_shim_set_streams((nsamp_shim_streaming)when);
        assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
        for (size_t bytes : parts)
            there_and_back(bytes, stream);
        cudaStreamDestroy(stream);
    }
    nsamp_shim_set_streams(NSAMP_SHIM_AT_ONCE);
    assert_int_equal(nsamp_shim_streams() + nsamp_shim_events(), 0);
    assert_int_equal(nsamp_shim_allocated(), 0);
}

int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_there_and_back)};
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
