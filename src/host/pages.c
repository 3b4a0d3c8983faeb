/* pages.c: allocation and first touch of large arrays. */
#define _DEFAULT_SOURCE /* madvise */

#include "pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20, SMALL_PAGE = 4096 };

static void *allocate(size_t count, size_t size) {
    if (count > SIZE_MAX / 2 / size) return NULL;
    const size_t bytes = count * size, align = bytes < 2 * (size_t)HUGE_PAGE ? SMALL_PAGE : HUGE_PAGE;
    void *p = NULL;
    if (posix_memalign(&p, align, bytes ? bytes : 1)) return NULL;
#ifdef MADV_HUGEPAGE
    if (align == HUGE_PAGE)
        (void)madvise(p, bytes, MADV_HUGEPAGE); /* advice: without it small pages are used */
#endif
    return p;
}

#define FILLED(type, name)                                                                                   \
    type *name(size_t count, type value) {                                                                   \
        type *const p = allocate(count, sizeof *p);                                                          \
        if (!p) return NULL;                                                                                 \
        _Pragma("omp parallel for simd schedule(static)") for (size_t i = 0; i < count; i++) p[i] = value;   \
        return p;                                                                                            \
    }
FILLED(double, nsamp_pages_doubles)
FILLED(float, nsamp_pages_floats)

void nsamp_pages_copy(void *to, const void *from, size_t bytes) {
    const size_t piece = (size_t)1 << 20, pieces = (bytes + piece - 1) / piece;
#pragma omp parallel for schedule(static) if (pieces > 1)
    for (size_t i = 0; i < pieces; i++) {
        const size_t first = i * piece;
        memcpy((char *)to + first, (const char *)from + first, bytes - first < piece ? bytes - first : piece);
    }
}
