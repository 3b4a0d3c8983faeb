/* single_step.h: the instructions of a piece of code, one at a time by the processor's trap flag: their number, and what kind they are. x86-64
 * with Linux; needs no counters of a processor, which containers and virtual machines seldom give. A microsecond an instruction, on a virtual machine 30. */
#ifndef NSAMP_TESTS_SINGLE_STEP_H
#define NSAMP_TESTS_SINGLE_STEP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

typedef struct instructions {
    double all; /* executed */
    double
        vector; /* of several numbers: arithmetic, shuffles, loads, stores of vector registers (VEX and EVEX) */
    double scalar; /* arithmetic with one floating-point number */
} instructions;

/* Of an instruction, in the terms of the manual's chapter 2: which map its opcode is from (1: 0F, 2: 0F 38, 3: 0F 3A), and its prefix
 * (1: 66, 2: F3, 3: F2). */
typedef struct opcode {
    unsigned map, prefix, code;
    bool vex;
} opcode;

static opcode opcode_at(const unsigned char *p) {
    unsigned prefix = 0;
    for (;; p++) {
        if (*p == 0x66)
            prefix = prefix ? prefix : 1;
        else if (*p == 0xf3)
            prefix = 2;
        else if (*p == 0xf2)
            prefix = 3;
        else if (*p != 0x2e && *p != 0x3e && *p != 0x64 && *p != 0x65)
            break;
    }
    if (*p == 0x62) return (opcode){p[1] & 7u, p[2] & 3u, p[4], true};
    if (*p == 0xc4) return (opcode){p[1] & 31u, p[2] & 3u, p[3], true};
    if (*p == 0xc5) return (opcode){1, p[1] & 3u, p[2], true};
    if (*p >= 0x40 && *p <= 0x4f) p++;
    if (*p != 0x0f) return (opcode){0, prefix, *p, false};
    if (p[1] == 0x38) return (opcode){2, prefix, p[2], false};
    if (p[1] == 0x3a) return (opcode){3, prefix, p[2], false};
    return (opcode){1, prefix, p[1], false};
}

/* ADDSS to MAXSD and their roots; fused multiply-adds of one number. */
static bool is_scalar(opcode o) {
    if (o.map == 1)
        return o.prefix >= 2 && o.code >= 0x51 && o.code <= 0x5f && o.code != 0x5b && o.code != 0x5a;
    return o.map == 2 && o.prefix == 1 && o.vex && (o.code & 1) && (o.code & 15) >= 9 && o.code >= 0x99 &&
           o.code <= 0xbf;
}

/* Not those of mask or general registers. */
static bool is_vector(opcode o) {
    if (!o.vex || is_scalar(o)) return false;
    if (o.map == 1) return !((o.code >= 0x41 && o.code <= 0x4b) || (o.code >= 0x90 && o.code <= 0x99));
    return o.code < 0xf0 && !(o.map == 3 && o.code >= 0x30 && o.code <= 0x33);
}

static volatile uint64_t step_all, step_vector, step_scalar;

static void on_step(int signal, siginfo_t *info, void *context) {
    const opcode o =
        opcode_at((const unsigned char *)(uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP]);
    (void)signal, (void)info;
    step_all++;
    step_vector += is_vector(o);
    step_scalar += is_scalar(o);
}

/* Of work(argument) and a few around it, the same each time. */
__attribute__((noinline)) static instructions count_instructions(void (*const work)(void *), void *argument) {
    void (*volatile called)(void *) = work; /* so that no part of it is moved or left out */
    struct sigaction old, trap;
    memset(&trap, 0, sizeof trap);
    trap.sa_sigaction = on_step;
    trap.sa_flags = SA_SIGINFO;
    sigaction(SIGTRAP, &trap, &old);
    step_all = step_vector = step_scalar = 0;
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orl $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
                         : "cc", "memory");
    called(argument);
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp; pushfq; andl $0xfffffeff, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "cc", "memory");
    sigaction(SIGTRAP, &old, NULL);
    return (instructions){(double)step_all, (double)step_vector, (double)step_scalar};
}

#endif
