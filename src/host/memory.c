/* memory.c: see memory.h. What cannot be read sets no limit. */
#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

typedef struct least {
    double bytes;
    const char *whose;
} least;

static void take(least *l, double bytes, const char *whose) {
    if (!(bytes < l->bytes)) return;
    l->bytes = fmax(bytes, 0);
    l->whose = whose;
}

/* The number that a file holds; INFINITY where there is none ("max"). */
static double number_in(const char *file) {
    char text[64] = "";
    FILE *f = fopen(file, "re");
    if (f && !fgets(text, sizeof text, f)) *text = 0;
    if (f) fclose(f);
    char *end;
    const double value = strtod(text, &end);
    return end == text ? INFINITY : value;
}

/* The limits of a group and of those above it, root being where its kind of groups is mounted. */
static void take_groups(least *l, const char *root, char *group, const char *name) {
    char file[1024];
    for (;;) {
        snprintf(file, sizeof file, "%.300s%.600s/%s", root, group, name);
        take(l, number_in(file), "its control group (cgroup) allows");
        char *slash = strrchr(group, '/');
        if (!slash) return;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup: "0::/path" for version 2, "number:controllers:/path" for version 1. */
static void take_control_groups(least *l) {
    char line[1024];
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        if (!controllers[1])
            take_groups(l, "/sys/fs/cgroup", group, "memory.max");
        else if (strstr(controllers + 1, "memory"))
            take_groups(l, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
    if (f) fclose(f);
}

/* Fields of /proc/self/statm, in pages: size, resident, shared, text, lib, data. */
static void take_limits(least *l) {
    double pages[6] = {0};
    FILE *f = fopen("/proc/self/statm", "re");
    for (int i = 0; f && i < 6; i++)
        if (fscanf(f, "%lf", &pages[i]) != 1) pages[i] = 0;
    if (f) fclose(f);
    const double page = (double)sysconf(_SC_PAGESIZE);
    struct rlimit most;
    if (!getrlimit(RLIMIT_AS, &most) && most.rlim_cur != RLIM_INFINITY)
        take(l, (double)most.rlim_cur - pages[0] * page, "the limit of its address space (ulimit -v) leaves");
    if (!getrlimit(RLIMIT_DATA, &most) && most.rlim_cur != RLIM_INFINITY)
        take(l, (double)most.rlim_cur - pages[5] * page, "the limit of its data (ulimit -d) leaves");
}

const char *nsamp_bytes_text(double bytes, char text[32]) {
    static const char *const unit[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    size_t i = 0;
    while (bytes >= 1024 && i < 6)
        bytes /= 1024, i++;
    snprintf(text, 32, i ? "%.1f %s" : "%.0f %s", bytes, unit[i]);
    return text;
}

double nsamp_memory_limit(char *whose, size_t size) {
    char text[32];
    least l = {INFINITY, ""};
    take(&l, (double)sysconf(_SC_PHYS_PAGES) * (double)sysconf(_SC_PAGESIZE), "this machine has");
    take_control_groups(&l);
    take_limits(&l);
    snprintf(whose, size, "%s %s", l.whose, nsamp_bytes_text(l.bytes, text));
    return l.bytes;
}
