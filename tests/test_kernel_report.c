/* test_kernel_report.c: what nvcc made of the CUDA kernels (build/kernels-sm90.txt, mk/kernels.mk) against what is planned:
 * nothing spilled, no stack, the occupancy of mk/occupancy.txt, instructions a normal as docs/gpu.md has them, and the rows
 * that it quotes the same as in the report kept in bench/results where the compiler is the same. Where there is no nvcc, or no cuobjdump, the tests
 * that need it are skipped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { LINE = 256 };

static FILE *report(void) {
    if (!*REPORT) {
        print_message("no nvcc here: the kernels were not compiled for sm_90\n");
        skip();
    }
    FILE *file = fopen(REPORT, "r");
    if (!file) fail_msg("%s is missing", REPORT);
    return file;
}

/* Calls row for each line of the table whose first line begins with `head`; returns their number. */
static int each_row(const char *head, void row(const char *line)) {
    FILE *file = report();
    char line[LINE];
    int inside = 0, rows = 0;
    while (fgets(line, sizeof line, file)) {
        if (!strncmp(line, "kernel (", 8)) {
            inside = strstr(line, head) != NULL;
            continue;
        }
        if (!inside || !strncmp(line, "no cuobjdump", 12)) continue;
        row(line);
        rows++;
    }
    fclose(file);
    return rows;
}

/* ---- registers ----------------------------------------------------------------------------------------- */

static void check_registers(const char *line) {
    char name[LINE];
    int registers, spills, stack, shared, threads, warps, planned;
    assert_int_equal(sscanf(line, "%255s %d %d %d %d %d %d %d", name, &registers, &spills, &stack, &shared,
                            &threads, &warps, &planned),
                     8);
    if (spills || stack) fail_msg("%s: %d bytes spilled, %d bytes of stack", name, spills, stack);
    if (registers < 8 || registers > 255) fail_msg("%s: %d registers", name, registers);
    if (planned < 0) fail_msg("%s: mk/occupancy.txt does not plan it", name);
    const int a_warp = (registers + 7) / 8 * 8 * 32, blocks = 65536 / (a_warp * (threads / 32));
    if (warps != (blocks * threads / 32 > 64 ? 64 / (threads / 32) * (threads / 32) : blocks * threads / 32))
        fail_msg("%s: %d registers do not leave room for %d warps", name, registers, warps);
    if (warps < planned) fail_msg("%s: %d warps a multiprocessor, %d planned", name, warps, planned);
}

static void test_registers_and_occupancy(void **state) {
    (void)state;
    assert_in_range(each_row("registers", check_registers), 60, 400);
}

/* ---- instructions -------------------------------------------------------------------------------------- */

static int counted;

/* Calls row for each line of the counts -> counted; skips the test where there are none. */
static void count_rows(void row(const char *line)) {
    counted = 0;
    if (each_row("all", row)) return;
    print_message("no cuobjdump here: instructions are not counted\n");
    skip();
}

/* equi_advance<G,NB,rounds,fast,tail>: a thread makes 4 NB normals a step, and updates as many coordinates. With a tail a thread alone with up to
 * 16 of them has the last block twice: whole, and as a pair from words that steps share; only one of the two runs. */
static void check_instructions(const char *line) {
    char fast[8], tail[8];
    unsigned G, blocks, rounds;
    int all, fp32, wide, lop3, mufu, mma, shared, memory;
    if (sscanf(line, "equi_advance<%uu,%uu,%uu,%5[a-z],%5[a-z]> %d %d %d %d %d %d %d %d", &G, &blocks,
               &rounds, fast, tail, &all, &fp32, &wide, &lop3, &mufu, &mma, &shared, &memory) != 13)
        return;
    const int is_fast = !strcmp(fast, "true"), twice = !strcmp(tail, "true") && G == 1 && blocks <= 4,
              normals = 4 * ((int)blocks + twice), pairs = 2 * (int)blocks + twice;
    const double each = (double)all / normals;
    counted++;
    if (mma) fail_msg("%s: products in a kernel without any", line);
    /* Special functions: log, sin, cos, root of each pair; exact: the root's first guess. */
    if (mufu != pairs * (is_fast ? 4 : 1)) fail_msg("%s: %d special functions", line, mufu);
    if (rounds != 10) return;
    /* Of 20 wide products of ten rounds, four are the chain's or the block's. */
    if (wide < 14 * normals / 4 || wide > 18 * normals / 4) fail_msg("%s: %d wide products", line, wide);
    if (memory) fail_msg("%s: %d loads and stores in a step", line, memory);
    /* A sum over the threads of a chain takes up to 50 instructions a step more. */
    const double most = (is_fast ? 21.0 : 36.0) + (G > 1 ? 50.0 / normals : 0);
    if (each > most || each < (is_fast ? 16 : 30))
        fail_msg("%s: %.1f instructions a normal, update included", line, each);
}

/* mh_advance<Q,leak,rounds>: two steps of a thread, which has one chain. */
static void check_mh(const char *line) {
    char leak[8];
    int Q, rounds, all, fp32, wide, lop3, mufu, mma, shared, memory;
    if (sscanf(line, "mh_advance<%du,%5[a-z],%du> %d %d %d %d %d %d %d %d", &Q, leak, &rounds, &all, &fp32,
               &wide, &lop3, &mufu, &mma, &shared, &memory) != 11)
        return;
    const int leaks = !strcmp(leak, "true");
    counted++;
    if (mma || mufu) fail_msg("%s: products, or approximations", line);
    /* For each group of four the sum, the spike, and the decay where there is one or in the last group; up to four groups a level of the
     * tree; the logarithm and what is left of the tree. */
    const int decays = leaks ? Q : 1, levels = Q < 4 ? Q : 4;
    if (fp32 != 2 * (8 * Q + 4 * decays + 4 * levels + 12))
        fail_msg("%s: %d operations of float32, not %d", line, fp32,
                 2 * (8 * Q + 4 * decays + 4 * levels + 12));
    if (shared != 2 * (Q + 2 * decays)) fail_msg("%s: %d loads from shared memory", line, shared);
    if (memory != 4) fail_msg("%s: %d accesses of memory, and a counter takes 2", line, memory);
    if (all > 165 + (leaks ? 48 : 30) * Q) fail_msg("%s: %d instructions for two proposals", line, all);
}

/* rsn_few<m,K,phi,rounds>:units: four units of K chains, one of them where a sum of the rest is left over; relu to m = 4: hinges, of which the
 * maximum is not counted in fp32. A weight is read once, 16 bytes at a time. */
static void check_units(const char *line) {
    unsigned m, K, phi, rounds;
    int all, fp32, wide, lop3, mufu, mma, shared;
    if (sscanf(line, "rsn_few<%uu,%uu,%uu,%uu>:units %d %d %d %d %d %d %d", &m, &K, &phi, &rounds, &all,
               &fp32, &wide, &lop3, &mufu, &mma, &shared) != 11 ||
        phi != 1)
        return;
    const unsigned hinged = m <= 4, adds = hinged ? 2 * m - 1 : 2 * m;
    const unsigned reads = ((hinged ? 2 * m : 1 + 2 * m) + 3) / 4;
    counted++;
    if ((unsigned)fp32 != 4 * K * adds) fail_msg("%s: not %u multiply-adds", line, 4 * K * adds);
    if ((unsigned)shared != 4 * reads) fail_msg("%s: not %u reads of weights", line, 4 * reads);
    if ((unsigned)all > 4 * (K * (2 * m + 4) + reads + 4)) fail_msg("%s: %d instructions", line, all);
}

/* rsn_tensor<precision,M,pieces,phi>:units: 16 units of 16 chains a piece; each product of fragments takes 16 (bf16) or 8 inner numbers. */
static void check_tensor(const char *line) {
    char precision[8];
    unsigned M, pieces, phi;
    int all, fp32, wide, lop3, mufu, mma;
    if (sscanf(line, "rsn_tensor<%4[a-z0-9],%uu,%uu,%uu>:units %d %d %d %d %d %d", precision, &M, &pieces,
               &phi, &all, &fp32, &wide, &lop3, &mufu, &mma) != 10)
        return;
    const unsigned products = pieces * M / 4 * (strcmp(precision, "bf16") ? 2 : 1);
    counted++;
    if ((unsigned)mma != products) fail_msg("%s: not %u products", line, products);
    if (phi == 1 && fp32) fail_msg("%s: arithmetic beside the products", line);
    /* A tensor core takes some 2 clocks and more for a product of bf16, 4 of tf32, four of them side by side. */
    if (phi == 1 && (unsigned)all > 4 * products + 40) fail_msg("%s: %d instructions", line, all);
}

/* rsn_wgmma<M,phi,rounds>:units: 64 units of 16 chains, whose products are M/16 and 4 instructions of a warpgroup; beside them the bias of
 * 32 numbers, 16 roundings, 8 loads. */
static void check_wgmma(const char *line) {
    unsigned M, phi, rounds;
    int all, fp32, wide, lop3, mufu, mma, shared, memory;
    if (sscanf(line, "rsn_wgmma<%uu,%uu,%uu>:units %d %d %d %d %d %d %d %d", &M, &phi, &rounds, &all, &fp32,
               &wide, &lop3, &mufu, &mma, &shared, &memory) != 11)
        return;
    counted++;
    if (shared != 8 || memory) fail_msg("%s: not 8 loads of the bias", line);
    if (phi != 3 && (fp32 != 32 || (unsigned)mufu != (phi == 2 ? 32u : 0u)))
        fail_msg("%s: not one addition and one activation a number", line);
    if (phi == 1 && all > 104) fail_msg("%s: %d instructions", line, all);
}

static void test_instructions_a_unit(void **state) {
    (void)state;
    count_rows(check_units);
    assert_int_equal(counted, 20);
    count_rows(check_tensor);
    assert_int_equal(counted, 18);
    count_rows(check_wgmma);
    assert_int_equal(counted, 18);
}

static void test_instructions_a_proposal(void **state) {
    (void)state;
    count_rows(check_mh);
    assert_int_equal(counted, 24);
}

static void test_instructions_a_normal(void **state) {
    (void)state;
    count_rows(check_instructions);
    assert_in_range(counted, 176, 180);
}

/* ---- the kept report ----------------------------------------------------------------------------------- */

static int kept_rows;

/* The rows that docs/gpu.md quotes must stand in the kept report as they are now. */
static void check_kept(const char *line) {
    char row[LINE];
    if (strncmp(line, "equi_advance<", 13) && strncmp(line, "mh_advance<", 11) && strncmp(line, "rsn_", 4))
        return;
    FILE *kept = fopen("bench/results/kernels-sm90.txt", "r");
    if (!kept) fail_msg("bench/results/kernels-sm90.txt is missing; make kernels-report writes it");
    int found = 0;
    while (!found && fgets(row, sizeof row, kept))
        found = !strcmp(row, line);
    fclose(kept);
    if (!found) fail_msg("not in bench/results/kernels-sm90.txt, which make kernels-report writes: %s", line);
    kept_rows++;
}

static void test_kept_report_is_current(void **state) {
    (void)state;
    FILE *now = report(), *kept = fopen("bench/results/kernels-sm90.txt", "r");
    char a[LINE] = "", b[LINE] = "";
    assert_non_null(kept);
    assert_true(fgets(b, sizeof b, kept) && fgets(b, sizeof b, kept) && fgets(a, sizeof a, now));
    fclose(now);
    fclose(kept);
    if (strcmp(a, b)) {
        print_message("the kept report is of another compiler: %s", b);
        skip();
    }
    kept_rows = 0;
    each_row("registers", check_kept);
    each_row("all", check_kept);
    assert_true(kept_rows >= 80);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registers_and_occupancy), cmocka_unit_test(test_instructions_a_normal),
        cmocka_unit_test(test_instructions_a_proposal), cmocka_unit_test(test_instructions_a_unit),
        cmocka_unit_test(test_kept_report_is_current),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
