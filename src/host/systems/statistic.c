/* statistic.c: frees a list of statistics. */
#include <stdlib.h>

#include "systems/model.h"

void nsamp_statistics_free(nsamp_statistic *list, size_t count) {
    for (size_t i = 0; list && i < count; i++) {
        free(list[i].value);
        free(list[i].se);
        free(list[i].expected);
    }
    free(list);
}
