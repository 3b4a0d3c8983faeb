/* nearest.c: the nearest known name by edit distance (optimal string alignment). */
#include <stdio.h>
#include <string.h>
#include "job/nearest.h"

enum { LONGEST = 63 };

static unsigned least(unsigned a, unsigned b) {
    return a < b ? a : b;
}

unsigned nsamp_edit_distance(const char *a, const char *b) {
    unsigned rows[3][LONGEST + 1];
    size_t n = strnlen(a, LONGEST), m = strnlen(b, LONGEST);
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(least(last[j], now[j - 1]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
    }
    return rows[n % 3][m];
}

nsamp_key nsamp_nearest_key(const char *name) {
    const char *dot = strchr(name, '.'), *bare = dot ? dot + 1 : name;
    nsamp_key best = 0;
    unsigned least_cost = ~0u;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        char full[2 * LONGEST];
        snprintf(full, sizeof full, "%s.%s", nsamp_options[k].section, nsamp_options[k].key);
        unsigned cost = 2 * nsamp_edit_distance(dot ? name : bare, dot ? full : nsamp_options[k].key);
        if (!strcmp(bare, nsamp_options[k].key)) cost = least(cost, 1);
        if (cost < least_cost) {
            least_cost = cost;
            best = k;
        }
    }
    return best;
}

const char *nsamp_nearest_section(const char *name) {
    const char *best = nsamp_options[0].section;
    unsigned least_cost = ~0u;
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        unsigned cost = nsamp_edit_distance(name, nsamp_options[k].section);
        if (cost < least_cost) {
            least_cost = cost;
            best = nsamp_options[k].section;
        }
    }
    return best;
}

void nsamp_nearest_choice(const char *name, const char *choices, char *out, size_t size) {
    unsigned least_cost = ~0u;
    for (const char *c = choices; *c;) {
        size_t len = strcspn(c, "|");
        char choice[LONGEST + 1];
        snprintf(choice, sizeof choice, "%.*s", (int)len, c);
        unsigned cost = nsamp_edit_distance(name, choice);
        if (cost < least_cost) {
            least_cost = cost;
            snprintf(out, size, "%s", choice);
        }
        c += len + (c[len] == '|');
    }
}
