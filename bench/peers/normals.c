/* normals.c: nsamp's normals written to a buffer that stays in the cache, for the row `normals` of bench-peers: what
 * a C program gets that includes noise_row.h.
 *
 *     normals STEPS THREADS [FILE]
 *
 * A step fills [TILES][DRAWS][LANES] floats, 512 KiB, the tiles shared out to the threads. Prints the time and the rate as `nsamp run`
 * does, a chain-step being DRAWS normals. FILE gets the last buffer, as chains [TILES * LANES][DRAWS], to be held to the law. */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "kernels/noise_row.h"

enum { TILES = 4, LANES = 64, DRAWS = 512, MOST_THREADS = 256 };

static _Alignas(64) float buffer[TILES][DRAWS * LANES];

typedef struct share {
    uint64_t steps;
    int first, threads;
} share;

static void *fill(void *of) {
    const share *s = of;
    const nsamp_noise_key key = {1, 0, 10};
    nsamp_row row;
    for (uint64_t step = 0; step < s->steps; step++)
        for (int tile = s->first; tile < TILES; tile += s->threads) {
            nsamp_row_begin(&row, key, NSAMP_PURPOSE_CHECK, (uint32_t)(tile * LANES), step, LANES);
            for (uint32_t b = 0; b < DRAWS / 4; b++)
                nsamp_row_normals(&row, key, b, LANES, &buffer[tile][4 * LANES * b]);
        }
    return NULL;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Runs the shares, the first on this thread. */
static double advance(uint64_t steps, int threads) {
    pthread_t thread[MOST_THREADS];
    share shares[MOST_THREADS] = {{0}};
    const double began = now();
    for (int i = 0; i < threads; i++) {
        shares[i] = (share){steps, i, threads};
        if (i && pthread_create(&thread[i], NULL, fill, &shares[i])) exit(1);
    }
    fill(&shares[0]);
    for (int i = 1; i < threads; i++)
        pthread_join(thread[i], NULL);
    return now() - began;
}

static int write_chains(const char *path) {
    FILE *file = fopen(path, "wb");
    if (!file) return 1;
    size_t missing = 0;
    for (int tile = 0; tile < TILES; tile++)
        for (int lane = 0; lane < LANES; lane++)
            for (int draw = 0; draw < DRAWS; draw++)
                missing += 1 - fwrite(&buffer[tile][draw * LANES + lane], sizeof(float), 1, file);
    return fclose(file) || missing;
}

int main(int argc, char **argv) {
    const uint64_t steps = argc > 2 ? strtoull(argv[1], NULL, 10) : 0;
    const int threads = argc > 2 ? atoi(argv[2]) : 0;
    if (!steps || threads < 1 || threads > MOST_THREADS) {
        fprintf(stderr, "usage: normals STEPS THREADS [FILE]\n");
        return 2;
    }
    const double seconds = advance(steps, threads);
    printf("%d chains x %" PRIu64 " steps in %.6f s: %.6e chain-steps/s\n", TILES * LANES, steps, seconds,
           (double)steps * TILES * LANES / seconds);
    return argc > 3 ? write_chains(argv[3]) : 0;
}
