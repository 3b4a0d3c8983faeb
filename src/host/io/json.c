/* json.c: see json.h. */
#include "io/json.h"

bool nsamp_json_write(FILE *out, json_t *root) {
    const int failed = json_dumpf(root, out, JSON_INDENT(1) | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(17));
    json_decref(root);
    return !failed && fputc('\n', out) != EOF;
}
