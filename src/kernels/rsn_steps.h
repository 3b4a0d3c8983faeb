/* rsn_steps.h: steps of rsn around y = W1 phi(W2 x + b), for CPU kernels of a source of their own (rsn_panels.c, rsn_bf16.c), which say
 * only how y is made. Noise and update are those of systems/rsn.h. */
#ifndef NSAMP_KERNELS_RSN_STEPS_H
#define NSAMP_KERNELS_RSN_STEPS_H

#include <string.h>

#include "kernels/systems/rsn.h"

/* y [m][L] from x, the tile's first m rows. xi [m][L]: noise, with which a reservoir steps and y is W1 r; NULL: y is only looked at,
 * and the state stays. The tile's scratch begins with y and xi. */
typedef void nsamp_rsn_y_fn(const nsamp_rsn_params *p, const nsamp_tile *tile, const float *xi, float *y);

/* make is a constant in each call, and so are the rounds of the noise. */
NSAMP_HD void nsamp_rsn_steps(nsamp_rsn_y_fn *make, const nsamp_rsn_params *p, const nsamp_tile *tile,
                              uint64_t step0, uint32_t nsteps) {
    const uint32_t m = p->dim, L = tile->lanes;
    float *const y = (float *)tile->scratch, *const xi = y + (size_t)m * L;
    for (uint32_t n = 0; n < nsteps; n++) {
        if (L % 64)
            nsamp_rsn_normals(tile, m, step0 + n, xi, 16, L);
        else
            nsamp_rsn_normals(tile, m, step0 + n, xi, 64, L);
        make(p, tile, xi, y);
        nsamp_rsn_move(p, tile, y, xi, n, L);
    }
}

/* As in cpu.c: a copy for each number of rounds. */
NSAMP_HD void nsamp_rsn_advance_by(nsamp_rsn_y_fn *make, const void *params, const nsamp_tile *tile,
                                   uint64_t step0, uint32_t nsteps) {
    nsamp_tile copy = *tile;
    if (tile->noise.rounds == 7) {
        copy.noise.rounds = 7;
        nsamp_rsn_steps(make, (const nsamp_rsn_params *)params, &copy, step0, nsteps);
    } else {
        copy.noise.rounds = 10;
        nsamp_rsn_steps(make, (const nsamp_rsn_params *)params, &copy, step0, nsteps);
    }
}

NSAMP_HD void nsamp_rsn_observe_by(nsamp_rsn_y_fn *make, const void *params, const nsamp_tile *tile,
                                   float *x) {
    const nsamp_rsn_params *const p = (const nsamp_rsn_params *)params;
    if (p->jump)
        make(p, tile, NULL, x);
    else
        memcpy(x, tile->state, sizeof *x * p->dim * tile->lanes);
}

#endif
