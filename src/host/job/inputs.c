/* inputs.c: files and folders that a job reads. A relative name in a job file means a file beside that job file or, where there is none, in
 * the folder where nsamp was started; on the command line it means the latter. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "error.h"
#include "job/value.h"

bool nsamp_key_names_contents(nsamp_key key) {
    return key == NSAMP_KEY_system_model || key == NSAMP_KEY_target_file || key == NSAMP_KEY_data_images ||
           key == NSAMP_KEY_data_labels;
}

static bool is_relative_name(nsamp_key key, const char *text) {
    return (nsamp_key_names_contents(key) || key == NSAMP_KEY_data_dir) && *text && *text != '/' &&
           strncmp(text, "builtin:", 8) != 0;
}

/* Length of the folder with its slash in an origin "FOLDER/FILE:LINE"; 0: no job file, or one in the folder where nsamp was started. */
static size_t job_folder(const char *origin) {
    const char *colon = strrchr(origin, ':');
    if (!colon || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")]) return 0;
    size_t len = (size_t)(colon - origin);
    while (len && origin[len - 1] != '/')
        len--;
    return len;
}

nsamp_status nsamp_value_find_input(nsamp_key key, nsamp_value *value, nsamp_error *err) {
    const size_t folder = job_folder(value->origin), size = folder + strlen(value->text) + 1;
    if (!folder || !is_relative_name(key, value->text)) return NSAMP_OK;
    char *path = malloc(size);
    if (!path)
        return nsamp_fail(err, NSAMP_ENOMEM, "%s: out of memory for a path of %zu bytes", value->origin,
                          size);
    snprintf(path, size, "%.*s%s", (int)folder, value->origin, value->text);
    if (access(path, F_OK)) {
        free(path);
        return NSAMP_OK;
    }
    value->beside = path;
    return NSAMP_OK;
}

nsamp_status nsamp_job_input(const nsamp_job *job, nsamp_key key, const char **path, nsamp_error *err) {
    const nsamp_value *v = &job->values[key];
    const size_t folder = job_folder(v->origin);
    *path = v->beside ? v->beside : v->text;
    if (!folder || v->beside || !is_relative_name(key, v->text) || !access(v->text, F_OK)) return NSAMP_OK;
    const nsamp_option *o = &nsamp_options[key];
    return nsamp_fail(err, NSAMP_EIO,
                      "%s: %s.%s = %s: no such file: neither beside the job file (%.*s%s) nor in the folder "
                      "where nsamp was "
                      "started (%s)",
                      v->origin, o->section, o->key, v->text, (int)folder, v->origin, v->text, v->text);
}
