/* fuzz_bench.c: libFuzzer over the reader of a bench's file, and the JSON reader under it. Beside the sanitizers: what is refused has one line of
 * text and no rows; what is accepted is written as a file that is accepted, and from then on stays the same. */
#define _GNU_SOURCE /* syscall */
#include <string.h>

#include "bench/report.h"
#include "memory_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
    if (!holds) abort();
}

/* What is in the file after reading and writing it; NULL: refused. */
static char *rewritten(const void *data, size_t size, size_t *written) {
    nsamp_error err = {0};
    nsamp_bench_report report;
    char *out = NULL;
    const nsamp_status status = nsamp_bench_load(memory_file(data, size), &report, &err);
    if (status) {
        require(err.status == status && err.text[0] && !strpbrk(err.text, "\r\n") && !report.count);
    } else {
        FILE *f = open_memstream(&out, written);
        require(f != NULL);
        nsamp_bench_write(f, &report);
        fclose(f);
    }
    nsamp_bench_report_free(&report);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    size_t first, second, third;
    char *a = rewritten(data, size, &first);
    if (!a) return 0;
    char *b = rewritten(a, first, &second);
    require(b != NULL);
    char *c = rewritten(b, second, &third);
    require(c && second == third && !memcmp(b, c, second));
    free(a);
    free(b);
    free(c);
    return 0;
}
