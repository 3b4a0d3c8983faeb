/* isa.c: see isa.h. */
#include "isa.h"

#include <string.h>

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
