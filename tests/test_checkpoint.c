/* test_checkpoint.c: sections come back; a damaged, cut or missing checkpoint gives way to the one before it;
 * other jobs are refused; a full disk takes nothing away. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "io/checkpoint.h"
#include "io/newfile.h"
#include "scratch.h"

static const char JOB[] = "run.seed = 1\nrun.steps = 100\nsystem.dt = 0.05\n",
                  OTHER[] = "run.seed = 1\nrun.steps = 200\nsystem.dt = 0.1\n";
enum { STATE = 1000 };

/* Sections that depend on the step, one of them empty. */
static nsamp_status save(uint64_t step, nsamp_error *err) {
    static float state[STATE];
    for (int i = 0; i < STATE; i++)
        state[i] = (float)(step * STATE + (uint64_t)i);
    const nsamp_section sections[] = {
        {"state", state, sizeof state}, {"step", &step, sizeof step}, {"nothing", NULL, 0}};
    return nsamp_checkpoint_save(scratch("run.ckpt"), JOB, step, sections, 3, err);
}

static void must_save(uint64_t step) {
    nsamp_error err = {0};
    assert_int_equal(save(step, &err), NSAMP_OK);
}

/* Opens, checks all contents against the step they say, returns the step; 0 when there is none. */
static uint64_t load(char note[600]) {
    nsamp_error err = {0};
    nsamp_checkpoint *c = NULL;
    float state[STATE];
    uint64_t step = 0;
    assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), JOB, &c, &err), NSAMP_OK);
    if (!c) return 0;
    assert_true(nsamp_checkpoint_has(c, "nothing"));
    assert_false(nsamp_checkpoint_has(c, "stat"));
    assert_int_equal(nsamp_checkpoint_bytes(c, "state"), sizeof state);
    assert_int_equal(nsamp_checkpoint_read(c, "nothing", NULL, 0, &err), NSAMP_OK);
    assert_int_equal(nsamp_checkpoint_read(c, "step", &step, sizeof step, &err), NSAMP_OK);
    assert_int_equal(nsamp_checkpoint_read(c, "state", state, sizeof state, &err), NSAMP_OK);
    assert_int_equal(nsamp_checkpoint_read(c, "state", state, sizeof state - 4, &err), NSAMP_EIO);
    assert_int_equal(nsamp_checkpoint_read(c, "missing", state, 4, &err), NSAMP_EIO);
    assert_int_equal(nsamp_checkpoint_step(c), step);
    for (int i = 0; i < STATE; i++)
        assert_true(state[i] == (float)(step * STATE + (uint64_t)i));
    if (note) strcpy(note, nsamp_checkpoint_note(c));
    nsamp_checkpoint_close(c);
    return step;
}

static void sections_come_back(void **state) {
    (void)state;
    char note[600];
    assert_int_equal(load(note), 0); /* none yet: not an error */
    must_save(3);
    assert_int_equal(load(note), 3);
    assert_string_equal(note, "");
    must_save(4);
    must_save(5);
    assert_int_equal(load(note), 5);
    assert_string_equal(note, "");
    assert_int_equal(scratch_count(NULL), 2); /* run.ckpt and run.ckpt.prev */
    unlink(scratch("run.ckpt"));              /* as if killed between the two renames */
    assert_int_equal(load(note), 4);
    assert_non_null(strstr(note, "is missing; going on from"));
    nsamp_checkpoint_remove(scratch("run.ckpt"));
    assert_int_equal(scratch_count(NULL), 0);
}

static void spoil(const unsigned char *data, size_t bytes, const unsigned char *prev, size_t prev_bytes) {
    char note[600];
    scratch_write(scratch("run.ckpt"), data, bytes);
    scratch_write(scratch("run.ckpt.prev"), prev, prev_bytes);
    assert_int_equal(load(note), 1);
    assert_non_null(strstr(note, "going on from"));
    assert_int_equal(access(scratch("run.ckpt.damaged"), F_OK), 0);
}

static void damage_falls_back(void **state) {
    (void)state;
    size_t n1, n2;
    must_save(1);
    must_save(2);
    unsigned char *prev = scratch_read(scratch("run.ckpt.prev"), &n1),
                  *data = scratch_read(scratch("run.ckpt"), &n2);
    for (size_t n = 0; n < n2; n += n < 400 ? 1 : 97)
        spoil(data, n, prev, n1);
    for (size_t i = 0; i < n2; i += i < 400 ? 1 : 97) {
        /* zeros between head and table, the job, the state and the step mean nothing */
        if ((i >= 304 && i < 320) || (i >= 320 + strlen(JOB) && i < 384) || (i >= 4384 && i < 4416) ||
            i >= 4424)
            continue;
        data[i] ^= 0x10;
        spoil(data, n2, prev, n1);
        data[i] ^= 0x10;
    }
    must_save(7); /* the good one stays behind the new one: the damaged one was put aside */
    assert_int_equal(load(NULL), 7);
    unlink(scratch("run.ckpt"));
    assert_int_equal(load(NULL), 1);
    free(prev);
    free(data);
    scratch_clear();
}

static void two_damaged_are_refused(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_checkpoint *c = NULL;
    must_save(1);
    must_save(2);
    assert_int_equal(truncate(scratch("run.ckpt"), 100), 0);
    assert_int_equal(truncate(scratch("run.ckpt.prev"), 100), 0);
    assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), JOB, &c, &err), NSAMP_EIO);
    assert_null(c);
    assert_non_null(strstr(err.text, "so is the one before it"));
    unlink(scratch("run.ckpt.prev"));
    assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), JOB, &c, &err), NSAMP_EIO);
    scratch_write(scratch("run.ckpt"), "not a checkpoint, but long enough to hold the head of one", 57);
    assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), JOB, &c, &err), NSAMP_EIO);
    assert_non_null(strstr(err.text, "is not a checkpoint"));
    must_save(1);
    size_t bytes;
    unsigned char *data = scratch_read(scratch("run.ckpt"), &bytes);
    unlink(scratch("run.ckpt.prev"));
    for (unsigned char version = 1; version < 3; version++) {
        data[12] = version; /* earlier layouts */
        scratch_write(scratch("run.ckpt"), data, bytes);
        assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), JOB, &c, &err), NSAMP_EUSAGE);
        assert_non_null(
            strstr(err.text, version == 1 ? "checkpoints of version 1" : "checkpoints of version 2"));
    }
    free(data);
    assert_int_equal(nsamp_checkpoint_open(scratch_folder, JOB, &c, &err), NSAMP_EIO);
    assert_non_null(strstr(err.text, "is a folder"));
    scratch_clear();
}

static void other_jobs_are_refused(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_checkpoint *c = NULL;
    must_save(1);
    must_save(2);
    assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), OTHER, &c, &err), NSAMP_EUSAGE);
    assert_null(c);
    assert_non_null(strstr(err.text, "another job: run.steps is 100 there, 200 here; 1 more keys differ"));
    assert_int_equal(load(NULL), 2);
    scratch_clear();
}

/* A link in the place of a checkpoint is not followed: what it points to is not what a run wrote there. */
static void links_are_refused(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_checkpoint *c = NULL;
    must_save(1);
    assert_int_equal(rename(scratch("run.ckpt"), scratch("elsewhere")), 0);
    assert_int_equal(symlink(scratch("elsewhere"), scratch("run.ckpt")), 0);
    assert_int_equal(nsamp_checkpoint_open(scratch("run.ckpt"), JOB, &c, &err), NSAMP_EIO);
    assert_null(c);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(save(2, &err), NSAMP_EUSAGE);
    assert_non_null(strstr(err.text, "symbolic link"));
    scratch_clear();
}

/* What is there is said without being touched. */
static void a_look_changes_nothing(void **state) {
    (void)state;
    char text[256];
    nsamp_checkpoint_look(scratch("run.ckpt"), text, sizeof text);
    assert_string_equal(text, "");
    must_save(7);
    nsamp_checkpoint_look(scratch("run.ckpt"), text, sizeof text);
    assert_non_null(strstr(text, "of step 7"));
    assert_int_equal(rename(scratch("run.ckpt"), scratch("run.ckpt.prev")), 0);
    nsamp_checkpoint_look(scratch("run.ckpt"), text, sizeof text);
    assert_non_null(strstr(text, "run.ckpt.prev of step 7"));
    scratch_write(scratch("run.ckpt"), "damaged", 7);
    nsamp_checkpoint_look(scratch("run.ckpt"), text, sizeof text);
    assert_non_null(strstr(text, "cannot be read"));
    assert_int_equal(scratch_count(NULL), 2);
    scratch_clear();
}

static void full_disk_keeps_the_old_one(void **state) {
    (void)state;
    struct rlimit before, now;
    char note[600];
    must_save(1);
    must_save(2);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    for (rlim_t most = 0; most < 4000; most += 333) {
        nsamp_error err = {0};
        now = (struct rlimit){.rlim_cur = most, .rlim_max = before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
        const nsamp_status status = save(9, &err);
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        assert_int_equal(status, NSAMP_EIO);
        assert_non_null(strstr(err.text, "File too large"));
        assert_int_equal(load(note), 2);
        assert_string_equal(note, "");
        assert_int_equal(scratch_count(NULL), 2);
    }
    nsamp_error err = {0};
    assert_int_equal(nsamp_checkpoint_save(scratch("no/folder/x"), JOB, 1, NULL, 0, &err), NSAMP_EUSAGE);
    scratch_clear();
}

/* Files in the folder of the scratch files whose name holds `part`. */
static int files_with(const char *part) {
    DIR *dir = opendir(scratch("."));
    assert_non_null(dir);
    int found = 0;
    for (const struct dirent *e; (e = readdir(dir));)
        found += strstr(e->d_name, part) != NULL;
    closedir(dir);
    return found;
}

/* What a killed process left goes with the next write of the same file; what a living one is writing stays, and
 * so does what belongs to another file. */
static void orphans_are_swept(void **state) {
    (void)state;
    nsamp_error err = {0};
    nsamp_newfile mine, other;
    const pid_t child = fork();
    if (!child) {
        nsamp_newfile f;
        _exit(nsamp_newfile_begin(scratch("swept"), true, &f, &err) != NSAMP_OK);
    }
    int how;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFEXITED(how) && !WEXITSTATUS(how));
    assert_int_equal(files_with("swept.tmp-"), 1);
    assert_int_equal(nsamp_newfile_begin(scratch("swep"), true, &other, &err), NSAMP_OK);
    assert_int_equal(files_with("swept.tmp-"), 1);
    assert_int_equal(nsamp_newfile_begin(scratch("swept"), true, &mine, &err), NSAMP_OK);
    assert_int_equal(files_with("swept.tmp-"), 1);
    nsamp_newfile_sweep(scratch("swept"));
    assert_int_equal(files_with("swept.tmp-"), 1);
    nsamp_newfile_abandon(&mine);
    nsamp_newfile_abandon(&other);
    assert_int_equal(files_with(".tmp-"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections_come_back),          cmocka_unit_test(damage_falls_back),
        cmocka_unit_test(two_damaged_are_refused),     cmocka_unit_test(other_jobs_are_refused),
        cmocka_unit_test(links_are_refused),           cmocka_unit_test(a_look_changes_nothing),
        cmocka_unit_test(full_disk_keeps_the_old_one), cmocka_unit_test(orphans_are_swept),
    };
    return cmocka_run_group_tests_name("checkpoint", tests, scratch_open, scratch_close);
}
