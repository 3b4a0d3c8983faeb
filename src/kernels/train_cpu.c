/* train_cpu.c: the loops of train.h on the CPU, compiled for each instruction set as cpu.c is. Sums run over
 * 16 fixed lanes, so that every instruction set adds in the same order. */
#include "kernels/isa_name.h"
#include "kernels/train.h"

enum { LANES = 16 };

static void normals(nsamp_noise_key key, uint32_t purpose, uint32_t row0, size_t rows, uint64_t step,
                    size_t m, float *z) {
    key.rounds = 10;
    for (size_t first = 0; first < rows; first += LANES)
        for (size_t block = 0; block < (m + 3) / 4; block++) {
            float draw[4][LANES];
            NSAMP_FOR_LANES(l, LANES) {
                float four[4];
                nsamp_normals4(key, purpose, row0 + (uint32_t)first + l, step, (uint32_t)block, four);
                draw[0][l] = four[0];
                draw[1][l] = four[1];
                draw[2][l] = four[2];
                draw[3][l] = four[3];
            }
            size_t lanes = rows - first < LANES ? rows - first : LANES,
                   draws = m - 4 * block < 4 ? m - 4 * block : 4;
            for (size_t l = 0; l < lanes; l++)
                for (size_t k = 0; k < draws; k++)
                    z[(first + l) * m + 4 * block + k] = draw[k][l];
        }
}

static void residual(const nsamp_residual *p, int clean, size_t rows, size_t m, const float *f,
                     const float *x, const float *eps, float *e, double *loss) {
    for (size_t r = 0; r < rows; r++) {
        double total = 0.0;
        for (size_t i = r * m; i < (r + 1) * m; i++)
            e[i] = clean ? nsamp_residual_clean(p, f[i], x[i], eps[i], &total)
                         : nsamp_residual_noisy(p, f[i], x[i], eps[i], &total);
        loss[r] = total;
    }
}

static void adam(const nsamp_adam *a, size_t count, const float *g, float *w, float *m, float *v,
                 float *seen) {
    const nsamp_adam c = *a;
    if (seen) {
        NSAMP_PRAGMA(omp simd) for (size_t i = 0; i < count; i++) {
            float now = nsamp_adam_moments(&c, w[i], g[i], &m[i], &v[i]);
            seen[i] = now > seen[i] ? now : seen[i];
            w[i] = nsamp_adam_weight(&c, w[i], m[i], seen[i]);
        }
    } else {
        NSAMP_PRAGMA(omp simd) for (size_t i = 0; i < count; i++) {
            float now = nsamp_adam_moments(&c, w[i], g[i], &m[i], &v[i]);
            w[i] = nsamp_adam_weight(&c, w[i], m[i], now);
        }
    }
}

const nsamp_train_kernels *NSAMP_PASTE(nsamp_train_kernels_, NSAMP_ISA)(void) {
    static const nsamp_train_kernels table = {normals, residual, adam};
    return &table;
}
