/* isa_name.h: names in sources that are compiled once for each instruction set, which NSAMP_ISA names: base, v3, v4, amx. */
#ifndef NSAMP_KERNELS_ISA_NAME_H
#define NSAMP_KERNELS_ISA_NAME_H

#define NSAMP_PASTE2(a, b) a##b
#define NSAMP_PASTE(a, b)  NSAMP_PASTE2(a, b)
#define NSAMP_TEXT2(a)     #a
#define NSAMP_TEXT(a)      NSAMP_TEXT2(a)

#endif
