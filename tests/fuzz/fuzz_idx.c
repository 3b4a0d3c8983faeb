/* fuzz_idx.c: libFuzzer over the IDX reader. First byte: bit 0 labels (else images), bit 1 the rest is
 * gzipped first, so that the fuzzer reaches behind the gzip checksum. Beside the sanitizers: what is accepted
 * has exactly the bytes of the file, what is refused has one line of text and no data. */
#define _GNU_SOURCE /* syscall */
#include <string.h>
#include <zlib.h>

#include "io/idx.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
    if (!holds) abort();
}

/* gzip of data into out; its size. Stored, not packed: fast, and as good for this. */
static size_t gzip(const uint8_t *data, size_t size, uint8_t *out, size_t room) {
    z_stream z = {0};
    require(deflateInit2(&z, Z_NO_COMPRESSION, Z_DEFLATED, 9 + 16, 1, Z_DEFAULT_STRATEGY) == Z_OK);
    z.next_in = (Bytef *)(uintptr_t)data;
    z.avail_in = (uInt)size;
    z.next_out = out;
    z.avail_out = (uInt)room;
    require(deflate(&z, Z_FINISH) == Z_STREAM_END);
    const size_t bytes = z.total_out;
    deflateEnd(&z);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static uint8_t packed[1 << 16];
    if (!size || size > 1 << 15) return 0;
    const int rank = data[0] & 1 ? 1 : 3, pack = data[0] & 2;
    const uint8_t *body = data + 1;
    const size_t bytes = size - 1, head = 4 + 4 * (size_t)rank;
    const char *path =
        pack ? memory_file(packed, gzip(body, bytes, packed, sizeof packed)) : memory_file(body, bytes);
    nsamp_error err = {0};
    nsamp_idx idx;
    const nsamp_status status = nsamp_idx_read(path, rank, &idx, &err);
    if (status) {
        require(err.status == status && err.text[0] && !strpbrk(err.text, "\r\n") && !idx.bytes &&
                !idx.count);
    } else if (pack || bytes < 2 || body[0] != 0x1f || body[1] != 0x8b) {
        require(bytes == head + idx.count * idx.height * idx.width &&
                !memcmp(idx.bytes, body + head, bytes - head));
    }
    nsamp_idx_free(&idx);
    return 0;
}
