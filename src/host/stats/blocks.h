/* blocks.h: cutting draws into blocks for a delete-a-block jackknife: whole chains where there are at least
 * 16, parts of chains otherwise. Used by the estimates that have no simpler standard error. */
#ifndef NSAMP_HOST_STATS_BLOCKS_H
#define NSAMP_HOST_STATS_BLOCKS_H

#include <stddef.h>

enum { NSAMP_BLOCKS_MAX = 128, NSAMP_BLOCKS_MIN = 16 };

/* Block b holds draws [b * length, (b + 1) * length) of the chain-major series; what is left over at the end,
 * less than a block, is not used. A part may hold the end of one chain and the start of the next. */
typedef struct nsamp_blocks {
    size_t count, length;
} nsamp_blocks;

/* count 0: too few draws. */
static inline nsamp_blocks nsamp_blocks_of(size_t chains, size_t draws) {
    nsamp_blocks b = {0, 0};
    if (chains >= NSAMP_BLOCKS_MIN) {
        const size_t each = (chains + NSAMP_BLOCKS_MAX - 1) / NSAMP_BLOCKS_MAX;
        b.count = chains / each;
        b.length = each * draws;
    } else if (chains && draws >= 2 * NSAMP_BLOCKS_MIN) {
        b.count = chains * ((2 * NSAMP_BLOCKS_MIN + chains - 1) / chains);
        b.length = chains * draws / b.count;
    }
    return b;
}

#endif
