/* builds.h: the builds of a kernel by gcc and clang, -O0 and -O3, for every instruction set and perhaps the matrix unit (mk/variants.mk
 * makes them and their list), and what tests of them share. Before it: BUILDS_LIST, the list's file; BUILDS_TYPE, what a build exports;
 * BUILDS_NAME(name), under which name; BUILDS_UNIT, 1 where some are for the matrix unit, else 0; and cmocka.h. */
#ifndef NSAMP_TESTS_BUILDS_H
#define NSAMP_TESTS_BUILDS_H

#include <float.h>
#include <stdbool.h>
#include <string.h>

#include "isa.h"
#include "tiles.h"

#define VARIANT(name, isa) extern const BUILDS_TYPE BUILDS_NAME(name);
#include BUILDS_LIST
#undef VARIANT

typedef struct variant {
    const char *name, *isa;
    const BUILDS_TYPE *kernel;
} variant;

static const variant variants[] = {
#define VARIANT(name, isa) {#name, isa, &BUILDS_NAME(name)},
#include BUILDS_LIST
#undef VARIANT
};

enum { VARIANTS = sizeof variants / sizeof *variants };

static inline bool runs(const variant *v) {
    return !strcmp(v->isa, "amx") ? nsamp_isa_has_amx() : tiles_table(v->isa) != NULL;
}

#if BUILDS_UNIT
/* After a call: what the kernel changes of a thread is as it was, the mode of subnormal numbers and the tiles. */
static inline void assert_given_back(const variant *v) {
    volatile float tiny = FLT_MIN;
    if (!(tiny * 0.5f > 0.0f)) fail_msg("%s leaves subnormal numbers as 0", v->name);
#ifdef NSAMP_X86_64
    if (nsamp_isa_has_amx()) {
        unsigned low, high;
        __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(1)); /* parts of the state that are in use */
        if (low & 3 << 17) fail_msg("%s leaves tiles in use", v->name);
    }
#endif
}
#endif

/* A test of its own, so that what was not run is a skip that is printed. */
static void test_instruction_sets(void **state) {
    (void)state;
    int missing = 0, unit = 0;
    for (size_t v = 0; v < VARIANTS; v++) {
        missing += !runs(&variants[v]);
        unit += !strcmp(variants[v].isa, "amx");
    }
    if (BUILDS_UNIT && !unit) print_message("the compiler does not know the matrix unit: not built\n");
    if (missing)
        print_message("%d of %d builds need what this processor lacks: not run\n", missing, VARIANTS);
    if (missing || (BUILDS_UNIT && !unit)) skip();
}

#endif
