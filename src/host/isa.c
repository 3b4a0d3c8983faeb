/* isa.c: see isa.h. */
#define _DEFAULT_SOURCE /* syscall */

#include "isa.h"

#include <string.h>

#if defined(NSAMP_HAVE_AMX) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

static bool supports(const char *isa) {
#ifdef NSAMP_X86_64
    __builtin_cpu_init();
    bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
              __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    if (!strcmp(isa, "v3")) return v3;
    if (!strcmp(isa, "v4"))
        return v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl");
#endif
    return !strcmp(isa, "base");
}

#if defined(NSAMP_HAVE_AMX) && defined(__linux__)
/* Bits of CPUID, leaf 7: AMX's bf16 products and tiles, and AVX-512's conversions to bf16; of XCR0: state that the system saves. */
static bool processor_has_amx(void) {
    enum { AMX_BF16 = 1 << 22, AMX_TILE = 1 << 24, AVX512_BF16 = 1 << 5, OSXSAVE = 1 << 27, TILES = 3 << 17 };
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE)) return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low & TILES) != TILES || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return false;
    if (!(d & AMX_BF16) || !(d & AMX_TILE) || a < 1) return false;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & AVX512_BF16);
}

/* Linux gives the 8 KiB of a thread's tiles to processes that ask. */
static bool system_grants_amx(void) {
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XTILEDATA = 18 };
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XTILEDATA) == 0;
}
#endif

bool nsamp_isa_has_amx(void) {
#if defined(NSAMP_HAVE_AMX) && defined(__linux__)
    static int answer; /* 1: no, 2: yes */
    int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
    if (!known) {
        known = supports("v4") && processor_has_amx() && system_grants_amx() ? 2 : 1;
        __atomic_store_n(&answer, known, __ATOMIC_RELAXED);
    }
    return known == 2;
#else
    return false;
#endif
}

const char *nsamp_isa_best(void) {
    return supports("v4") ? "v4" : supports("v3") ? "v3" : "base";
}

nsamp_status nsamp_isa_find(const nsamp_job *job, const char **isa, nsamp_error *err) {
    static const char *const order[] = {"v4", "v3", "base"};
    const char *wanted = nsamp_job_text(job, NSAMP_KEY_run_isa);
    *isa = NULL;
    for (size_t i = 0; i < 3 && !*isa; i++)
        if ((!strcmp(wanted, "auto") || !strcmp(wanted, order[i])) && supports(order[i])) *isa = order[i];
    if (*isa) return NSAMP_OK;
    return nsamp_job_fail(job, NSAMP_KEY_run_isa, err,
                          "this processor does not have it; auto takes the best it has");
}
