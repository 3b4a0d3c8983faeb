/* options.c: the table of options.def, and what is valid for a key in words. */
#include <stdio.h>
#include <string.h>
#include "job/job.h"
#include "job/number.h"

const nsamp_option nsamp_options[NSAMP_KEY_count] = {
#define NSAMP_OPTION(section, key, type, def, min, max, choices, unit, help)                                 \
    {#section, #key, NSAMP_##type, def, min, max, choices, unit, help},
#include "job/options.def"
#undef NSAMP_OPTION
};

nsamp_key nsamp_key_find(const char *name) {
    const char *dot = strchr(name, '.');
    if (!dot) return NSAMP_KEY_count;
    size_t len = (size_t)(dot - name);
    for (nsamp_key k = 0; k < NSAMP_KEY_count; k++) {
        const nsamp_option *o = &nsamp_options[k];
        if (strlen(o->section) == len && !memcmp(o->section, name, len) && !strcmp(o->key, dot + 1)) return k;
    }
    return NSAMP_KEY_count;
}

/* An end of a range: whole numbers in full up to 10^6, else as a double. */
static void end_text(double v, bool whole, char *text, size_t size) {
    if (whole && v >= 9.2e18)
        snprintf(text, size, "2^63 - 1");
    else if (whole && v > 1e6 && v == 4294967296.0)
        snprintf(text, size, "2^32");
    else if (whole && v == 281474976710656.0)
        snprintf(text, size, "2^48");
    else if (whole)
        snprintf(text, size, "%.0f", v);
    else
        nsamp_number_text(v, text, size);
}

void nsamp_option_valid(nsamp_key key, char *text, size_t size) {
    const nsamp_option *o = &nsamp_options[key];
    char low[40], high[40];
    end_text(o->min, o->type == NSAMP_INT, low, sizeof low);
    end_text(o->max, o->type == NSAMP_INT, high, sizeof high);
    switch (o->type) {
    case NSAMP_INT:
        snprintf(text, size, "a whole number from %s to %s", low, high);
        break;
    case NSAMP_REAL:
        snprintf(text, size, "a number from %s to %s", low, high);
        break;
    case NSAMP_REALS:
        snprintf(text, size, "numbers from %s to %s", low, high);
        break;
    case NSAMP_BOOL:
        snprintf(text, size, "yes or no");
        break;
    case NSAMP_TEXT:
        snprintf(text, size, "text");
        break;
    case NSAMP_CHOICE:
        snprintf(text, size, "%s", o->choices);
        break;
    }
}
