/* identity.c: the part of a job that decides its numbers, as text: a checkpoint keeps it, and a run that goes on from there
 * must have the same. Not here: the checkpoint itself (io/checkpoint.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/plainfile.h"
#include "job/value.h"

/* Keys that change how, where or for how long a run computes and what is kept of it on the way, but not its
 * numbers. The name of the output belongs to a run: two outputs do not go on from one checkpoint. */
static bool shapes_result(nsamp_key key) {
    const char *section = nsamp_options[key].section;
    /* The built-in networks are made of these. */
    if (key == NSAMP_KEY_train_hidden || key == NSAMP_KEY_train_activation) return true;
    if (key == NSAMP_KEY_output_file) return true;
    if (!strcmp(section, "output") || !strcmp(section, "model") || !strcmp(section, "train")) return false;
    switch (key) {
    case NSAMP_KEY_run_backend:
    case NSAMP_KEY_run_isa:
    case NSAMP_KEY_run_threads:
    case NSAMP_KEY_run_tile:
    case NSAMP_KEY_run_checkpoint:
    case NSAMP_KEY_run_checkpoint_every_s:
    case NSAMP_KEY_run_resume:
    case NSAMP_KEY_run_max_walltime_s:
    case NSAMP_KEY_run_dry:
        return false;
    default:
        return true;
    }
}

bool nsamp_key_shapes_training(nsamp_key key) {
    const char *section = nsamp_options[key].section;
    if (key == NSAMP_KEY_train_checkpoint_every_s || key == NSAMP_KEY_train_resume ||
        key == NSAMP_KEY_train_max_walltime_s || key == NSAMP_KEY_train_max_batches)
        return false;
    return !strcmp(section, "target") || !strcmp(section, "data") || !strcmp(section, "train");
}

/* Size and hash (FNV-1a, 64 bits) of the plain file that a value names; false where there is none, which its reader will
 * say. */
static bool put_contents(FILE *out, const char *path) {
    FILE *f;
    nsamp_error ignored = {0};
    if (!*path || nsamp_fopen_plain(path, &f, &ignored)) return false;
    unsigned char block[1 << 14];
    uint64_t hash = 0xcbf29ce484222325u, bytes = 0;
    for (size_t n; (n = fread(block, 1, sizeof block, f)); bytes += n)
        for (size_t i = 0; i < n; i++)
            hash = (hash ^ block[i]) * 0x100000001b3u;
    const bool whole = !ferror(f);
    fclose(f);
    if (whole)
        fprintf(out, "a file of %llu bytes, hash %016llx", (unsigned long long)bytes,
                (unsigned long long)hash);
    return whole;
}

/* Values, not spellings: 1000 and 1e3 are the same job. */
static void put_value(FILE *out, nsamp_key key, const nsamp_value *v) {
    if (nsamp_key_names_contents(key) && put_contents(out, v->beside ? v->beside : v->text)) return;
    const nsamp_type type = nsamp_options[key].type;
    if (type == NSAMP_TEXT) fputs(v->text, out);
    if (type == NSAMP_CHOICE || type == NSAMP_BOOL) {
        char text[64];
        nsamp_value_point_text(key, v, 0, text, sizeof text);
        fputs(text, out);
        return;
    }
    for (size_t i = 0; i < v->count && v->ints; i++)
        fprintf(out, "%s%lld", i ? ", " : "", (long long)v->ints[i]);
    for (size_t i = 0; i < v->count && v->reals; i++)
        fprintf(out, "%s%.17g", i ? ", " : "", v->reals[i]);
}

static char *identity(const nsamp_job *job, bool (*shapes)(nsamp_key)) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out) return NULL;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        if (!shapes(k)) continue;
        fprintf(out, "%s.%s = ", nsamp_options[k].section, nsamp_options[k].key);
        put_value(out, k, &job->values[k]);
        fputc('\n', out);
    }
    const bool failed = ferror(out) != 0;
    if (!fclose(out) && !failed) return text;
    free(text);
    return NULL;
}

char *nsamp_job_identity(const nsamp_job *job) {
    return identity(job, shapes_result);
}

char *nsamp_job_training_identity(const nsamp_job *job) {
    return identity(job, nsamp_key_shapes_training);
}

/* The line of `text` that begins with the key of the line `like`; "" where there is none. */
static const char *line_of(const char *text, const char *like, size_t key) {
    for (const char *at = text; *at; at += strcspn(at, "\n"), at += *at == '\n')
        if (!strncmp(at, like, key)) return at;
    return "";
}

void nsamp_identity_difference(const char *there, const char *here, char *text, size_t size) {
    size_t more = 0;
    *text = 0;
    for (const char *at = here; *at; at += strcspn(at, "\n"), at += *at == '\n') {
        const size_t key = strcspn(at, "=") + 1, length = strcspn(at, "\n");
        if (key > length) continue;
        const char *other = line_of(there, at, key);
        const size_t other_length = strcspn(other, "\n");
        if (length == other_length && !strncmp(at, other, length)) continue;
        if (more++) continue;
        const char *a = *other ? other + key : " not known", *b = at + key;
        snprintf(text, size, "%.*s is%.*s there,%.*s here", (int)(key > 2 ? key - 2 : 0), at,
                 (int)(*other ? (other_length - key > 80 ? 80 : other_length - key) : 10), a,
                 (int)(length - key > 80 ? 80 : length - key), b);
    }
    const size_t used = strlen(text);
    if (!more)
        snprintf(text, size, "it has keys that this job has not");
    else if (more > 1)
        snprintf(text + used, size - used, "; %zu more keys differ", more - 1);
}
