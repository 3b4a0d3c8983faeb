/* isa.h: which of the compiled instruction sets this processor has. */
#ifndef NSAMP_HOST_ISA_H
#define NSAMP_HOST_ISA_H

#include "job/job.h"

/* *isa = "v4", "v3" or "base" (constant strings): the best that this processor has, or what run.isa asks for.
 * NSAMP_EUSAGE where it has not got that. */
nsamp_status nsamp_isa_find(const nsamp_job *job, const char **isa, nsamp_error *err);

/* Whether this process may use a matrix unit with bf16 products beside AVX-512 (Intel AMX): the processor has it, this program was
 * compiled for it, and the system grants it, which it is asked for once. */
bool nsamp_isa_has_amx(void);

/* The best that this processor has, the matrix unit aside. */
const char *nsamp_isa_best(void);

#endif
