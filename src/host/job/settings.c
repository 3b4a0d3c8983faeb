/* settings.c: splits "key=value key=value" and sets each. */
#include "job/settings.h"

#include <stdio.h>
#include <string.h>

#include "error.h"

nsamp_status nsamp_job_set_all(nsamp_job *job, const char *settings, nsamp_error *err) {
    char text[512], *save = NULL;
    if ((size_t)snprintf(text, sizeof text, "%s", settings) >= sizeof text)
        return nsamp_fail(err, NSAMP_EUSAGE, "settings longer than %zu characters", sizeof text - 1);
    nsamp_status status = NSAMP_OK;
    for (char *s = strtok_r(text, " ", &save); s && !status; s = strtok_r(NULL, " ", &save)) {
        char *eq = strchr(s, '=');
        if (!eq) return nsamp_fail(err, NSAMP_EUSAGE, "'%s': not of the form section.key=value", s);
        *eq = 0;
        status = nsamp_job_set(job, s, eq + 1, err);
    }
    return status;
}
