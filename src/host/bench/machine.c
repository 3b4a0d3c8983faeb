/* machine.c: see machine.h. */
#define _DEFAULT_SOURCE /* sysconf's names of caches */
#include "bench/machine.h"

#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/ceilings.h"
#include "isa.h"
#include "kernels/ceilings.h"
#include "kernels/noise.h"
#include "threads.h"

/* "model name", or family and model where a virtual machine hides it. */
static void name_cpu(char *text, size_t size) {
    char line[512], name[96] = "unknown processor", family[16] = "", model[16] = "";
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && fgets(line, sizeof line, f) && *line != '\n') {
        const char *colon = strchr(line, ':');
        if (!colon || !colon[1]) continue;
        const int length = (int)strcspn(colon + 2, "\n");
        if (!strncmp(line, "model name", 10)) snprintf(name, sizeof name, "%.*s", length, colon + 2);
        if (!strncmp(line, "cpu family", 10)) snprintf(family, sizeof family, "%.*s", length, colon + 2);
        if (!strncmp(line, "model\t", 6)) snprintf(model, sizeof model, "%.*s", length, colon + 2);
    }
    if (f) fclose(f);
    if (*family)
        snprintf(text, size, "%s (family %s, model %s)", name, family, model);
    else
        snprintf(text, size, "%s", name);
}

/* OpenBLAS's version and the core it chose. */
static void name_blas(char *text, size_t size) {
    char name[32] = "BLAS", version[32] = "of unknown make";
    sscanf(openblas_get_config(), "%31s %31s", name, version);
    snprintf(text, size, "%s %s, core %s", name, version, openblas_get_corename());
}

static const char *kernel_compiler(const char *isa) {
#ifdef NSAMP_X86_64
    if (!strcmp(isa, "v4")) return nsamp_ceiling_compiler_v4();
    if (!strcmp(isa, "v3")) return nsamp_ceiling_compiler_v3();
#endif
    (void)isa;
    return nsamp_ceiling_compiler_base();
}

nsamp_status nsamp_machine_describe(const nsamp_job *job, nsamp_machine *m, nsamp_error *err) {
    const char *isa, *coretype = getenv("OPENBLAS_CORETYPE");
    const int64_t threads = nsamp_job_int(job, NSAMP_KEY_run_threads);
    const time_t now = time(NULL);
    struct tm utc;
    memset(m, 0, sizeof *m);
    nsamp_status status = nsamp_isa_find(job, &isa, err);
    if (status) return status;
    if (gmtime_r(&now, &utc)) strftime(m->date, sizeof m->date, "%Y-%m-%dT%H:%MZ", &utc);
    snprintf(m->program, sizeof m->program, "nsamp %s, noise version %d", NSAMP_VERSION, NSAMP_NOISE_VERSION);
    name_cpu(m->cpu, sizeof m->cpu);
    name_blas(m->blas, sizeof m->blas);
    m->cores = (int)sysconf(_SC_NPROCESSORS_ONLN);
    m->threads = nsamp_threads_of(threads);
    m->l1_bytes = nsamp_cache_bytes(1);
    m->l2_bytes = nsamp_cache_bytes(2);
    m->l3_bytes = nsamp_cache_bytes(3);
    snprintf(m->isa, sizeof m->isa, "%s", isa);
    snprintf(m->kernel_compiler, sizeof m->kernel_compiler, "%s", kernel_compiler(isa));
    snprintf(m->products, sizeof m->products, "%s", nsamp_matmul_name());
    snprintf(m->openblas_coretype, sizeof m->openblas_coretype, "%.31s", coretype ? coretype : "");
    return NSAMP_OK;
}
