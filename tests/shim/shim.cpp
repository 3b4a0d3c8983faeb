/* shim.cpp: fibres that stand for CUDA threads. See cuda_runtime.h here. */
#include "cuda_runtime.h"
#include "shim.h"
#include "runtime.h"

#include <stdio.h>
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SHIM_ASAN 1
/* Newer compilers give each function a second, heap-like stack by default, mapped afresh for each of the many fibres. */
extern "C" const char *__asan_default_options(void);
extern "C" const char *__asan_default_options(void) {
    return "detect_stack_use_after_return=0";
}
#else
#define SHIM_ASAN 0
#endif

enum { MAX_THREADS = 1024, WARP = 32, STACK_BYTES = 64 * 1024, SHARED_BYTES = 228 * 1024 };

nsamp_shim_place nsamp_shim_here;
alignas(64) unsigned char nsamp_shared[SHARED_BYTES];

enum fibre_state { READY, AT_BARRIER, AT_WARP, AT_WARPGROUP, DONE };

/* Where a stack of its own goes on. On x86-64 a stack pointer, below which lie the registers that a call
 * keeps; ucontext, whose switches are system calls, elsewhere. */
#if defined(__x86_64__)
typedef void *place;
extern "C" void nsamp_shim_switch(place *from, place to);
__asm__(".text\n.globl nsamp_shim_switch\n.type nsamp_shim_switch, @function\nnsamp_shim_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size nsamp_shim_switch, .-nsamp_shim_switch\n");
static void switch_to(place *from, place *to) {
    nsamp_shim_switch(from, *to);
}
static void begin_at(place *at, char *stack, size_t bytes, void (*function)(void)) {
    void **top = (void **)(stack + bytes) - 2; /* aligned as at a function's entry, after a call's push */
    top[1] = NULL;
    top[0] = (void *)function;
    for (int i = 1; i <= 6; i++)
        top[-i] = NULL;
    *at = top - 6;
}
#else
typedef ucontext_t place;
static void switch_to(place *from, place *to) {
    swapcontext(from, to);
}
static void begin_at(place *at, char *stack, size_t bytes, void (*function)(void)) {
    getcontext(at);
    at->uc_stack.ss_sp = stack;
    at->uc_stack.ss_size = bytes;
    at->uc_link = NULL;
    makecontext(at, function, 0);
}
#endif

struct fibre {
    place context;
    char *stack;
    void *fake_stack; /* AddressSanitizer's */
    fibre_state state;
    dim3 thread;
    uint32_t mask; /* of the warp collective it waits in */
};

static fibre fibres[MAX_THREADS];
static place scheduler;
[[maybe_unused]] static void *scheduler_fake_stack;
[[maybe_unused]] static const void *scheduler_stack;
[[maybe_unused]] static size_t scheduler_stack_bytes;
static uint32_t running, threads;
static uint32_t slots[MAX_THREADS]; /* what lanes give in a warp collective */
static const std::function<void()> *body;
static nsamp_shim_order order = NSAMP_SHIM_FORWARD;
static uint64_t order_state = 1, launches, switches;

[[noreturn]] static void fail(const char *what) {
    fprintf(stderr, "shim: %s: block (%u, %u), thread %u\n", what, blockIdx.x, blockIdx.y, running);
    abort();
}

/* ---- fibres -------------------------------------------------------------------------------------------- */

static void leave(bool for_ever) {
    fibre *f = &fibres[running];
#if SHIM_ASAN
    __sanitizer_start_switch_fiber(for_ever ? NULL : &f->fake_stack, scheduler_stack, scheduler_stack_bytes);
#endif
    (void)for_ever;
    switch_to(&f->context, &scheduler);
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(f->fake_stack, NULL, NULL);
#endif
}

static void trampoline(void) {
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(NULL, &scheduler_stack, &scheduler_stack_bytes);
#endif
    (*body)();
    fibres[running].state = DONE;
    leave(true);
}

static void enter(uint32_t index) {
    fibre *f = &fibres[index];
    running = index;
    nsamp_shim_here.thread = f->thread;
    switches++;
#if SHIM_ASAN
    __sanitizer_start_switch_fiber(&scheduler_fake_stack, f->stack, STACK_BYTES);
#endif
    switch_to(&scheduler, &f->context);
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(scheduler_fake_stack, NULL, NULL);
#endif
}

static void prepare(uint32_t index, dim3 block) {
    fibre *f = &fibres[index];
    if (!f->stack && !(f->stack = (char *)malloc(STACK_BYTES))) fail("out of memory for stacks");
#if SHIM_ASAN
    __asan_unpoison_memory_region(f->stack, STACK_BYTES); /* what the last fibre's frames left */
#endif
    begin_at(&f->context, f->stack, STACK_BYTES, trampoline);
    f->state = READY;
    f->thread = dim3(index % block.x, index / block.x % block.y, index / (block.x * block.y));
}

static uint64_t random_word(void) {
    order_state ^= order_state << 13;
    order_state ^= order_state >> 7;
    order_state ^= order_state << 17;
    return order_state;
}

/* The order of n turns: of warps, or of the lanes of one. */
static void set_turns(uint32_t n, uint32_t *turns) {
    for (uint32_t i = 0; i < n; i++)
        turns[i] = order == NSAMP_SHIM_REVERSED ? n - 1 - i : i;
    if (order != NSAMP_SHIM_SHUFFLED) return;
    for (uint32_t i = n; i > 1; i--) {
        const uint32_t j = (uint32_t)(random_word() % i), t = turns[i - 1];
        turns[i - 1] = turns[j];
        turns[j] = t;
    }
}

/* Wakes the lanes of a warp whose collective is complete. */
static void wake_warp(uint32_t base) {
    for (uint32_t i = base; i < base + WARP && i < threads; i++) {
        if (fibres[i].state != AT_WARP) continue;
        const uint32_t mask = fibres[i].mask;
        bool all = true;
        for (uint32_t l = 0; l < WARP && all; l++)
            if (mask >> l & 1)
                all =
                    base + l < threads && fibres[base + l].state == AT_WARP && fibres[base + l].mask == mask;
        for (uint32_t l = 0; l < WARP && all; l++)
            if (mask >> l & 1) fibres[base + l].state = READY;
    }
}

/* Lets a warp run on as far as it can before any other does, so that a missing barrier shows: threads that wait for
 * nobody get far ahead of the rest. Shuffled: as far as chance lets it. */
static bool run_warp(uint32_t base) {
    uint32_t turns[WARP];
    bool ran = false, again;
    do {
        again = false;
        set_turns(WARP, turns);
        for (uint32_t k = 0; k < WARP; k++) {
            const uint32_t i = base + turns[k];
            if (i >= threads || fibres[i].state != READY) continue;
            enter(i);
            again = ran = true;
        }
        wake_warp(base);
    } while (again && (order != NSAMP_SHIM_SHUFFLED || random_word() % 4));
    return ran;
}

/* Ends a barrier that all threads have reached; false when all threads have ended. A barrier is for all threads of the
 * block: one that has ended makes it a fault, as it is on a GPU. */
static bool pass_barrier(void) {
    uint32_t waiting = 0, done = 0;
    for (uint32_t i = 0; i < threads; i++) {
        waiting += fibres[i].state == AT_BARRIER;
        done += fibres[i].state == DONE;
    }
    if (done == threads) return false;
    if (waiting != threads) fail("threads wait for others that do not come");
    for (uint32_t i = 0; i < threads; i++)
        fibres[i].state = READY;
    return true;
}

static void run_block(dim3 block) {
    const uint32_t warps = (threads + WARP - 1) / WARP;
    uint32_t turns[MAX_THREADS / WARP];
    for (uint32_t i = 0; i < threads; i++)
        prepare(i, block);
    do {
        bool ran;
        do {
            ran = false;
            set_turns(warps, turns);
            for (uint32_t w = 0; w < warps; w++)
                ran = run_warp(turns[w] * WARP) || ran;
        } while (ran);
    } while (pass_barrier());
}

static void run_grid(dim3 grid, dim3 block, size_t shared_bytes, const std::function<void()> &run) {
    launches++;
    threads = block.x * block.y * block.z;
    body = &run;
    nsamp_shim_here.grid_dim = grid;
    nsamp_shim_here.block_dim = block;
#if SHIM_ASAN
    __asan_poison_memory_region(nsamp_shared + shared_bytes, sizeof nsamp_shared - shared_bytes);
#endif
    for (uint32_t z = 0; z < grid.z; z++)
        for (uint32_t y = 0; y < grid.y; y++)
            for (uint32_t x = 0; x < grid.x; x++) {
                nsamp_shim_here.block = dim3(x, y, z);
                memset(nsamp_shared, 0xff, shared_bytes);
                run_block(block);
            }
#if SHIM_ASAN
    __asan_unpoison_memory_region(nsamp_shared, sizeof nsamp_shared);
#endif
}

void nsamp_shim_run(dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
                    std::function<void()> run) {
    const uint32_t size = block.x * block.y * block.z;
    if (!size || size > MAX_THREADS || !grid.x || !grid.y || !grid.z || grid.y > 65535 || grid.z > 65535 ||
        grid.x > 0x7fffffffu || shared_bytes > sizeof nsamp_shared) {
        nsamp_shim_error(cudaErrorInvalidConfiguration);
        return;
    }
    nsamp_shim_enqueue(stream, [=]() { run_grid(grid, block, shared_bytes, run); });
}

/* ---- collectives --------------------------------------------------------------------------------------- */

void nsamp_shim_barrier(void) {
    fibres[running].state = AT_BARRIER;
    leave(false);
}

uint32_t nsamp_shim_lane(void) {
    return running % WARP;
}

static void warp_barrier(uint32_t mask) {
    if (!(mask >> nsamp_shim_lane() & 1)) fail("a warp collective whose mask lacks the caller");
    fibres[running].mask = mask;
    fibres[running].state = AT_WARP;
    leave(false);
}

uint32_t nsamp_shim_exchange(uint32_t mask, uint32_t value, uint32_t from) {
    const uint32_t base = running / WARP * WARP;
    if (from >= WARP || !(mask >> from & 1)) fail("a shuffle from a lane outside its mask");
    slots[running] = value;
    warp_barrier(mask);
    const uint32_t result = slots[base + from];
    warp_barrier(mask);
    return result;
}

uint32_t nsamp_shim_ballot(uint32_t mask, int predicate) {
    const uint32_t base = running / WARP * WARP;
    uint32_t result = 0;
    slots[running] = predicate != 0;
    warp_barrier(mask);
    for (uint32_t l = 0; l < WARP; l++)
        if (mask >> l & 1) result |= slots[base + l] << l;
    warp_barrier(mask);
    return result;
}

/* ---- the test's wishes --------------------------------------------------------------------------------- */

void nsamp_shim_set_order(nsamp_shim_order wanted, uint64_t seed) {
    order = wanted;
    order_state = seed ? seed : 1;
}
double nsamp_shim_approx = NAN;
nsamp_shim_fragment nsamp_shim_fragments[1024];

/* ---- warpgroups ---------------------------------------------------------------------------------------- */

nsamp_shim_async nsamp_shim_asyncs[1024];

void nsamp_shim_fail(const char *what) {
    fail(what);
}

void nsamp_shim_warpgroup(void) {
    const uint32_t first = running / 128 * 128;
    if (first + 128 > threads) fail("a warpgroup that is not whole");
    fibres[running].state = AT_WARPGROUP;
    bool all = true;
    for (uint32_t i = first; i < first + 128; i++) {
        if (fibres[i].state == DONE) fail("a product without the whole warpgroup");
        all = all && fibres[i].state == AT_WARPGROUP;
    }
    for (uint32_t i = first; all && i < first + 128; i++)
        fibres[i].state = READY;
    leave(false);
}

uint64_t nsamp_shim_block(void) {
    return launches << 32 | blockIdx.x;
}

uint64_t nsamp_shim_launches(void) {
    return launches;
}
uint64_t nsamp_shim_switches(void) {
    return switches;
}
