/* test_shim_mutants.c: the tests of the CUDA kernels can fail. Each mutant is test_cuda_shim, test_cuda_train, test_cuda_rsn, test_cuda_rsn_small
 * or test_cuda_transfer with one fault put into a kernel (mk/cuda.mk lists them: a barrier left out, a wrong shuffle, another order of sums ...); it
 * must end with a failed test, not pass and not crash; what the shim refuses outright ends in its abort. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <cmocka.h>

/* A mutant and the tests that must see it; the unchanged program passes them in the suite. */
static const struct {
    const char *name, *tests;
    int refused; /* by the shim */
} mutants[] = {{"barrier", "*block*", 0},
               {"parity", "*block*", 0},
               {"shuffle", "*part*", 0},
               {"tree", "*part*", 0},
               {"step", "*thread*", 0},
               {"tail", "*thread*", 0},
               {"kept", "*thread*", 0},
               {"swapped", "*thread*", 0},
               {"total", "*thread*", 0},
               {"square", "*products*", 0},
               {"group", "*products*", 0},
               {"lane", "*mh_lane*", 0},
               {"turn", "*part*", 0},
               {"draw", "blocks*", 0},
               {"named", "blocks*", 0},
               {"widen", "blocks*", 0},
               {"finish", "blocks*", 0},
               {"mh_pair", "*shared", 0},
               {"mh_stride", "*shared", 0},
               {"mh_last", "*shared", 0},
               {"mh_tree", "*order*", 0},
               {"mh_burn", "*shared", 0},
               {"mh_wrap", "*mh_late*", 0},
               {"mh_bad", "*mh_bad*", 0},
               {"clear", "*thread*", 0},
               {"send_wait", "*back*", 0},
               {"take_wait", "*back*", 0},
               {"few_pivot", "*bits*", 0},
               {"few_linear", "*bits*", 0},
               {"few_far", "*diverge", 0},
               {"tensor_swap", "*tensor_step", 0},
               {"tensor_bias", "*tensor_step", 0},
               {"tensor_chain", "*tensor_step", 0},
               {"tensor_flag", "*tensor_flags", 0},
               {"tensor_left", "*tensor_step", 0},
               {"wgmma_order", "*tensor_step", 0},
               {"wgmma_fence", "*tensor_step", 1},
               {"wgmma_wait", "*tensor_step", 0},
               {"wgmma_add", "*tensor_step", 0},
               {"wgmma_next", "*tensor_step", 0},
               {"wgmma_chain", "*tensor_step", 0},
               {"wgmma_alone", "*tensor_step", 1},
               {"wgmma_deal", "*repeats", 0},
               {"slope", "gradient*", 0},
               {"bias", "gradient*", 0},
               {"clean", "gradient*", 0},
               {"chunk", "gradient*", 0},
               {"largest", "adam*", 0},
               {"rsn_step", "*fp32*", 0},
               {"rsn_next", "*fp32*", 0},
               {"rsn_offset", "*bits*", 0},
               {"rsn_end", "*bits*", 0},
               {"rsn_barrier", "*bits*", 0},
               {"rsn_relax", "*fp32*", 0},
               {"rsn_bad", "*div*", 0},
               {"rsn_beta", "*fp32*", 0},
               {"rsn_tf32", "*fp32*", 0},
               {"rsn_block", "*bits*", 0},
               {"rsn_deal", "*bits*", 0},
               {"rsn_follow", "*bits*", 0},
               {"rsn_join", "*bits*", 0}};

static void test_every_mutant_fails(void **state) {
    (void)state;
    assert_int_equal(sizeof mutants / sizeof mutants[0], MUTANT_COUNT);
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        char command[256];
        snprintf(command, sizeof command, "%s%s '%s' >/dev/null 2>&1", MUTANT_PATH, mutants[i].name,
                 mutants[i].tests);
        const int status = system(command);
        assert_true(status != -1);
        /* cmocka ends with the number of failed tests; each pattern matches one. An abort is told as a shell tells it, if there is one between. */
        const int end = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        if (end != (mutants[i].refused ? 128 + SIGABRT : 1))
            fail_msg("mutant %s ended with status %d", mutants[i].name, end);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_mutant_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
