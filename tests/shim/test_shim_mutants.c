/* test_shim_mutants.c: the tests of the CUDA kernels can fail. Each mutant is test_cuda_shim, test_cuda_train, test_cuda_rsn, test_cuda_rsn_small
 * or test_cuda_transfer with one fault put into a kernel (mk/cuda.mk lists them: a barrier left out, a wrong shuffle, another order of sums ...); it
 * must end with failed tests, not pass and not crash. */
#include <setjmp.h>
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
} mutants[] = {{"barrier", "*block*"},
               {"parity", "*block*"},
               {"shuffle", "*part*"},
               {"tree", "*part*"},
               {"step", "*thread*"},
               {"total", "*thread*"},
               {"square", "*products*"},
               {"group", "*products*"},
               {"lane", "*lane*"},
               {"turn", "*part*"},
               {"draw", "blocks*"},
               {"named", "blocks*"},
               {"widen", "blocks*"},
               {"finish", "blocks*"},
               {"mh_pair", "*shared"},
               {"mh_stride", "*shared"},
               {"mh_last", "*shared"},
               {"mh_tree", "*order*"},
               {"mh_burn", "*shared"},
               {"mh_wrap", "*mh_late*"},
               {"mh_bad", "*mh_bad*"},
               {"clear", "*thread*"},
               {"send_wait", "*back*"},
               {"take_wait", "*back*"},
               {"few_pivot", "*bits*"},
               {"few_linear", "*bits*"},
               {"few_far", "*diverge"},
               {"tensor_swap", "*tensor_step"},
               {"tensor_bias", "*tensor_step"},
               {"tensor_chain", "*tensor_step"},
               {"tensor_flag", "*tensor_flags"},
               {"tensor_left", "*tensor_step"},
               {"slope", "gradient*"},
               {"bias", "gradient*"},
               {"clean", "gradient*"},
               {"chunk", "gradient*"},
               {"largest", "adam*"},
               {"rsn_step", "*fp32*"},
               {"rsn_next", "*fp32*"},
               {"rsn_offset", "*bits*"},
               {"rsn_end", "*bits*"},
               {"rsn_barrier", "*bits*"},
               {"rsn_relax", "*fp32*"},
               {"rsn_bad", "*div*"},
               {"rsn_beta", "*fp32*"},
               {"rsn_tf32", "*fp32*"},
               {"rsn_block", "*bits*"},
               {"rsn_deal", "*bits*"},
               {"rsn_follow", "*bits*"},
               {"rsn_join", "*bits*"}};

static void test_every_mutant_fails(void **state) {
    (void)state;
    assert_int_equal(sizeof mutants / sizeof mutants[0], MUTANT_COUNT);
    for (size_t i = 0; i < sizeof mutants / sizeof mutants[0]; i++) {
        char command[256];
        snprintf(command, sizeof command, "%s%s '%s' >/dev/null 2>&1", MUTANT_PATH, mutants[i].name,
                 mutants[i].tests);
        const int status = system(command);
        assert_true(status != -1 && WIFEXITED(status));
        /* cmocka ends with the number of failed tests; each pattern matches one. */
        if (WEXITSTATUS(status) != 1)
            fail_msg("mutant %s ended with status %d", mutants[i].name, WEXITSTATUS(status));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_mutant_fails)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
