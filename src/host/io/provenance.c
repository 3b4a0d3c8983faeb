/* provenance.c: see provenance.h. */
#include "provenance.h"

#include <netcdf.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static void option(nsamp_nc *w, const nsamp_job *job, nsamp_key key) {
    const nsamp_option *o = &nsamp_options[key];
    char name[128], origin[144];
    snprintf(name, sizeof name, "%s.%s", o->section, o->key);
    snprintf(origin, sizeof origin, "%s.origin", name);
    const char *text = nsamp_job_text(job, key);
    double value;
    size_t count = 1;
    const double *values = &value;
    switch (o->type) {
    case NSAMP_INT:
        nsamp_nc_int(w, w->id, NC_GLOBAL, name, nsamp_job_int(job, key));
        break;
    case NSAMP_REAL:
        value = nsamp_job_real(job, key);
        nsamp_nc_reals(w, w->id, NC_GLOBAL, name, 1, values);
        break;
    case NSAMP_REALS:
        values = nsamp_job_reals(job, key, &count);
        nsamp_nc_reals(w, w->id, NC_GLOBAL, name, count, values);
        break;
    case NSAMP_BOOL:
        nsamp_nc_text(w, w->id, NC_GLOBAL, name, nsamp_job_bool(job, key) ? "yes" : "no");
        break;
    case NSAMP_TEXT:
    case NSAMP_CHOICE:
        nsamp_nc_text(w, w->id, NC_GLOBAL, name, text);
        break;
    }
    nsamp_nc_text(w, w->id, NC_GLOBAL, origin, nsamp_job_origin(job, key));
}

void nsamp_provenance_group(nsamp_nc *w, int group) {
    char date[32];
    const time_t now = time(NULL);
    struct tm utc;
    if (!gmtime_r(&now, &utc) || !strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S+00:00", &utc)) *date = 0;
    nsamp_nc_text(w, group, NC_GLOBAL, "created_at", date);
    nsamp_nc_text(w, group, NC_GLOBAL, "inference_library", "nsamp");
    nsamp_nc_text(w, group, NC_GLOBAL, "inference_library_version", NSAMP_VERSION);
}

void nsamp_provenance_write(nsamp_nc *w, const nsamp_job *job) {
    char machine[256] = "unknown";
    struct utsname u;
    if (uname(&u) >= 0)
        snprintf(machine, sizeof machine, "%s %s, %ld processors", u.sysname, u.machine,
                 sysconf(_SC_NPROCESSORS_ONLN));
    nsamp_provenance_group(w, w->id);
    nsamp_nc_text(w, w->id, NC_GLOBAL, "nsamp_version", NSAMP_VERSION);
    nsamp_nc_int(w, w->id, NC_GLOBAL, "noise_version", NSAMP_NOISE_VERSION);
    nsamp_nc_int(w, w->id, NC_GLOBAL, "seed", nsamp_job_int(job, NSAMP_KEY_run_seed));
    nsamp_nc_text(w, w->id, NC_GLOBAL, "host", uname(&u) >= 0 ? u.nodename : "unknown");
    nsamp_nc_text(w, w->id, NC_GLOBAL, "machine", machine);
    for (int key = 0; key < NSAMP_KEY_count; key++)
        option(w, job, (nsamp_key)key);
}
