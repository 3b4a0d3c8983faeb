/* fuzz_job.c: libFuzzer over job files and over section.key=value words. Beside the sanitizers, it holds the
 * parser to its word: a refusal has one line of text and leaves the job alone, an accepted job gives points
 * that are plain jobs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "job/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int holds) {
    if (!holds) abort();
}

/* "section.key=value" for each line. */
static nsamp_status set_lines(nsamp_job *job, const char *text, size_t size, nsamp_error *err) {
    nsamp_status status = NSAMP_OK;
    char *copy = malloc(size + 1);
    require(copy != NULL);
    memcpy(copy, text, size);
    copy[size] = 0;
    for (char *line = copy; !status && line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        char *equals = strchr(line, '=');
        if (!equals) continue;
        *equals = 0;
        status = nsamp_job_set_from(job, line, equals + 1, "command line", err);
        *equals = '=';
    }
    free(copy);
    return status;
}

static int same_job(const nsamp_job *a, const nsamp_job *b) {
    char *one = nsamp_job_identity(a), *other = nsamp_job_identity(b);
    require(one && other);
    const int same = !strcmp(one, other);
    free(one);
    free(other);
    return same;
}

static void use(const nsamp_job *job) {
    size_t count = nsamp_job_sweep_count(job);
    char label[64];
    require(count >= 1 && count <= 1000000);
    nsamp_job *point = nsamp_job_sweep_at(job, count - 1, label, sizeof label);
    require(point != NULL && nsamp_job_sweep_count(point) == 1 && !nsamp_job_require_plain(point, NULL));
    require(count > 1 || same_job(point, job));
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++)
        require(strlen(nsamp_job_text(point, k)) + strlen(nsamp_job_origin(point, k)) < 1 << 21);
    nsamp_job_destroy(point);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static nsamp_job *defaults;
    if (!defaults) defaults = nsamp_job_create();
    nsamp_error err = {0};
    nsamp_job *job = nsamp_job_copy(defaults);
    if (!size || !job) {
        nsamp_job_destroy(job);
        return 0;
    }
    const char *text = (const char *)data + 1;
    int words = data[0] & 1;
    nsamp_status status =
        words ? set_lines(job, text, size - 1, &err) : nsamp_job_parse(job, "f.ini", text, size - 1, &err);
    if (status) {
        require(err.status == status && err.text[0] && !strpbrk(err.text, "\r\n"));
        require(words || same_job(job, defaults));
    } else {
        use(job);
    }
    nsamp_job_destroy(job);
    return 0;
}
