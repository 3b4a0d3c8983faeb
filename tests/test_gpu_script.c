/* test_gpu_script.c: mk/gpu.sh, which make bench-gpu runs on somebody's GPU, with a false nvidia-smi and a false nsamp: the
 * order of things, what a failure stops and what it does not, and the time limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char folder[64];

static void write_program(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fprintf(file, "#!/bin/sh\n%s\n", text);
    assert_int_equal(fclose(file), 0);
    char command[160];
    snprintf(command, sizeof command, "chmod +x %s", path);
    assert_int_equal(system(command), 0);
}

static const char GPU[] =
    "case $1 in *name*) echo 'False GPU 1, 999.9';; *clocks*) echo '1980 MHz, 1980 MHz, 2619 MHz, 700 W';; "
    "*) echo 9.0;; esac";

static int setup(void **state) {
    (void)state;
    strcpy(folder, "/tmp/nsamp-gpu-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    write_program("nvidia-smi", GPU);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

/* Runs the script; its exit code, and everything it wrote. */
static int script(const char *what, const char *seconds, char *output, size_t size) {
    char command[512];
    snprintf(command, sizeof command,
             "PATH=%s:$PATH NSAMP_GPU_RESULTS=%s NSAMP_GPU_SECONDS=%s mk/gpu.sh %s %s/nsamp 2>&1", folder,
             folder, seconds, what, folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    const size_t n = fread(output, 1, size - 1, pipe);
    output[n] = 0;
    const int status = pclose(pipe);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int occurrences(const char *text, const char *what) {
    int n = 0;
    for (const char *at = strstr(text, what); at; at = strstr(at + 1, what))
        n++;
    return n;
}

static void test_all_is_well(void **state) {
    (void)state;
    char text[20000];
    write_program("nsamp", "echo \"ran $*\"");
    const int code = script("bench", "100", text, sizeof text);
    if (code) fail_msg("%s", text);
    assert_non_null(strstr(text, "False GPU 1, 999.9"));
    assert_non_null(strstr(text, "1980 MHz"));
    const char *const laws = strstr(text, "ran check run.backend=cuda"), *const first =
                                                                             strstr(text, "ran bench");
    assert_true(laws && first && laws < first);
    const int items = occurrences(text, "ran bench");
    assert_true(items >= 12);
    assert_int_equal(occurrences(text, "run.math=fast run.backend=cuda"), 3);
    assert_int_equal(occurrences(text, "ran bench --quick training --size large"), 3);
    assert_non_null(strstr(text, "ran bench --quick mh-spiking"));
    assert_int_equal(
        occurrences(text, "LEFT OUT") + occurrences(text, "FAILED") + occurrences(text, "STOPPED"), 0);
    /* the same is in the file */
    char path[128], command[256];
    snprintf(command, sizeof command, "ls %s/gpu-bench-*.txt", folder);
    FILE *pipe = popen(command, "r");
    assert_true(pipe && fgets(path, sizeof path, pipe));
    pclose(pipe);
    path[strcspn(path, "\n")] = 0;
    char kept[20000];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    kept[fread(kept, 1, sizeof kept - 1, file)] = 0;
    fclose(file);
    assert_int_equal(occurrences(kept, "ran bench"), items);
    assert_non_null(strstr(kept, "False GPU 1"));
}

static void test_failed_laws_stop_everything(void **state) {
    (void)state;
    char text[20000];
    write_program("nsamp", "echo \"ran $*\"; [ \"$1\" != check ]");
    assert_int_equal(script("bench", "100", text, sizeof text), 1);
    assert_int_equal(occurrences(text, "ran bench"), 0);
    assert_non_null(strstr(text, "nothing is timed"));
}

static void test_one_failure_does_not_stop_the_rest(void **state) {
    (void)state;
    char text[20000];
    write_program("nsamp", "echo \"ran $*\"; case \"$*\" in *training*) exit 6;; *math=fast*) exit 6;; esac");
    assert_int_equal(script("bench", "100", text, sizeof text), 1);
    assert_true(occurrences(text, "ran bench") >= 12);
    assert_int_equal(occurrences(text, "FAILED"), 6);
    assert_non_null(strstr(text, "FAILED   training: exit code 6"));
    assert_non_null(strstr(text, "FAILED   training, bf16: exit code 6"));
    assert_non_null(strstr(text, "FAILED   langevin, small, fast"));
}

static void test_time_limit(void **state) {
    (void)state;
    char text[20000];
    write_program("nsamp", "echo \"ran $*\"; case \"$*\" in *rsn*) exec sleep 600;; esac");
    assert_int_equal(script("bench", "7", text, sizeof text), 1);
    assert_int_equal(occurrences(text, "STOPPED"), 1);
    assert_true(occurrences(text, "LEFT OUT") >= 8);
    assert_non_null(strstr(text, "items measured"));
}

static void test_no_gpu(void **state) {
    (void)state;
    char text[20000];
    write_program("nsamp", "echo \"ran $*\"");
    write_program("nvidia-smi", "exit 9");
    assert_int_equal(script("bench", "100", text, sizeof text), 1);
    assert_string_equal(text, "bench-gpu: no NVIDIA GPU here (nvidia-smi finds none)\n");
    write_program("nvidia-smi", GPU);
    write_program("nsamp", "echo 'no CUDA device: no NVIDIA driver' >&2; exit 2");
    assert_int_equal(script("bench", "100", text, sizeof text), 1);
    assert_string_equal(text, "bench-gpu: no CUDA device: no NVIDIA driver\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_is_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failed_laws_stop_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_failure_does_not_stop_the_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_gpu, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
