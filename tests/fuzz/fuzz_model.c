/* fuzz_model.c: libFuzzer over the reader of model files. First byte odd: a right seal is put on the rest, so
 * that it reaches the netCDF library and the checks behind it; even: the rest is the file. What is accepted
 * must be a valid network; what is refused has one line of text. */
#define _GNU_SOURCE /* syscall */
#include <string.h>

#include "io/seal.h"
#include "memory_file.h"
#include "train/network_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    nsamp_error err = {0};
    nsamp_network *net = NULL;
    if (!size) return 0;
    const char *path = memory_file(data + 1, size - 1);
    if (data[0] & 1) require(!nsamp_seal(path, path, &err));
    const nsamp_status status = nsamp_network_load(path, &net, &err);
    if (status)
        require(err.status == status && err.text[0] && !strpbrk(err.text, "\r\n") && !net);
    else
        require(net && net->m && net->n && !nsamp_network_check(net, path, NSAMP_EIO, &err));
    nsamp_network_destroy(net);
    return 0;
}
