/* cpu.c: the CPU kernels. Compiled once for each instruction set (NSAMP_ISA = base, v3, v4), by clang where
 * there is one; the tables are chosen between at run time by src/host/engine. All give the same bits. */
#include "kernels/isa_name.h"
#include "kernels/kernel.h"
#include "kernels/systems/all.h"

/* Lanes a tile; 0: any multiple of 16, in tile->lanes. */
enum {
    NSAMP_LANES_langevin_equi = 64,
    NSAMP_LANES_langevin_gauss = 64,
    NSAMP_LANES_langevin_score = 64,
    NSAMP_LANES_mh_spiking = 64,
    NSAMP_LANES_rsn = 64,
    NSAMP_LANES_rsn_noise = 0,
    NSAMP_LANES_rsn_move = 0
};

/* Every kernel is compiled for 10 and for 7 rounds: in each copy tile->noise.rounds is a constant, the rounds
 * unroll and the loops over lanes vectorise. Systems write key.rounds and see nothing of this. The copy of
 * the tile also tells the compiler that no store to the state changes it. */
#define NSAMP_ADVANCE_ROUNDS(name, R)                                                                        \
    do {                                                                                                     \
        nsamp_tile copy = *tile;                                                                             \
        copy.noise.rounds = (R);                                                                             \
        nsamp_##name##_advance(params, &copy, NSAMP_LANES_##name, step0, nsteps);                            \
    } while (0)

#define NSAMP_KERNEL(name)                                                                                   \
    static void advance_##name(const void *params, const nsamp_tile *tile, uint64_t step0,                   \
                               uint32_t nsteps) {                                                            \
        if (tile->noise.rounds == 7)                                                                         \
            NSAMP_ADVANCE_ROUNDS(name, 7);                                                                   \
        else                                                                                                 \
            NSAMP_ADVANCE_ROUNDS(name, 10);                                                                  \
    }                                                                                                        \
    static void observe_##name(const void *params, const nsamp_tile *tile, float *x) {                       \
        nsamp_##name##_observe(params, tile, NSAMP_LANES_##name, x);                                         \
    }
#include "kernels/kernels.def"
#undef NSAMP_KERNEL

static const nsamp_cpu_kernel table[NSAMP_KERNEL_count] = {
#define NSAMP_KERNEL(name) {#name, NSAMP_LANES_##name, advance_##name, observe_##name},
#include "kernels/kernels.def"
#undef NSAMP_KERNEL
};

const nsamp_cpu_kernel *NSAMP_PASTE(nsamp_cpu_kernels_, NSAMP_ISA)(void) {
    return table;
}
