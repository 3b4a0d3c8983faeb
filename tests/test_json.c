/* test_json.c: the JSON reader: every kind of value, every kind of mistake, every cut; what is written is read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "io/json.h"
#include "scratch.h"

static nsamp_json *parsed(const char *text) {
    nsamp_json *j;
    nsamp_error err = {0};
    if (nsamp_json_parse("text", text, strlen(text), &j, &err)) fail_msg("%s: %s", text, err.text);
    return j;
}

static void refused(const char *text, const char *why) {
    nsamp_json *j;
    nsamp_error err = {0};
    assert_int_equal(nsamp_json_parse("text", text, strlen(text), &j, &err), NSAMP_EIO);
    assert_null(j);
    if (!strstr(err.text, why)) fail_msg("%s: '%s' does not say '%s'", text, err.text, why);
}

static const char SAMPLE[] =
    "{\"a\": [1, -2.5e-3, true, false, null, \"x\"], \"b\": {\"c\": \"q\\\"\\\\\\/\\b\\f\\n\\r\\t\"},\n"
    " \"\\u00e9\": \"\\u20ac\\ud83d\\ude00\", \"empty\": [[], {}]}";

static void test_values(void **state) {
    (void)state;
    nsamp_json *j = parsed(SAMPLE);
    const nsamp_json *a = nsamp_json_member(j, "a")->child;
    assert_true(a->number == 1 && a->next->number == -2.5e-3);
    a = a->next->next;
    assert_true(a->type == NSAMP_JSON_BOOL && a->number == 1 && a->next->number == 0);
    assert_int_equal(a->next->next->type, NSAMP_JSON_NULL);
    assert_string_equal(a->next->next->next->text, "x");
    assert_null(a->next->next->next->next);
    assert_string_equal(nsamp_json_text(nsamp_json_member(j, "b"), "c", ""), "q\"\\/\b\f\n\r\t");
    assert_string_equal(nsamp_json_text(j, "\xc3\xa9", ""), "\xe2\x82\xac\xf0\x9f\x98\x80");
    assert_int_equal(nsamp_json_member(j, "empty")->child->type, NSAMP_JSON_ARRAY);
    assert_null(nsamp_json_member(j, "empty")->child->child);
    assert_true(nsamp_json_number(j, "b", 7) == 7 && nsamp_json_number(NULL, "b", 8) == 8);
    assert_string_equal(nsamp_json_text(j, "a", "other"), "other");
    nsamp_json_destroy(j);
    j = parsed(" -0 ");
    assert_true(j->type == NSAMP_JSON_NUMBER && j->number == 0);
    nsamp_json_destroy(j);
}

static void test_mistakes(void **state) {
    (void)state;
    static const char *const wrong[][2] = {
        {"", "no value"},
        {"{", "without a name"},
        {"[1,]", "no value"},
        {"[1 2]", "does not end"},
        {"{\"a\" 1}", "no colon"},
        {"{\"a\": 1,}", "a name"},
        {"{a: 1}", "without a name"},
        {"\"abc", "does not end"},
        {"\"\\x\"", "backslash"},
        {"\"\\u12g4\"", "backslash"},
        {"\"\\ud800\"", "backslash"},
        {"\"\\udc00\"", "backslash"},
        {"\"\\u0000\"", "backslash"},
        {"\"a\nb\"", "control"},
        {"01", "no value"},
        {"1.", "its point"},
        {"1e", "its exponent"},
        {"+1", "no value"},
        {"1e999", "beyond"},
        {"nul", "no value"},
        {"1 2", "follows"},
        {"[1}", "does not end"},
        {"\n\n?", "text:3"},
        {"-", "no value"},
        {"0000000000000000000000000000000000000000000000000000000000000000000", "no value"},
        {"1000000000000000000000000000000000000000000000000000000000000000000", "more than 63"}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refused(wrong[i][0], wrong[i][1]);
    char deep[80];
    memset(deep, '[', 33);
    memset(deep + 33, ']', 33);
    deep[66] = 0;
    refused(deep, "32 deep");
    deep[65] = 0;
    nsamp_json_destroy(parsed(deep + 1));
}

/* No beginning of a text is a text, and none is read beyond its end (under a sanitizer). */
static void test_cuts(void **state) {
    (void)state;
    for (size_t n = 0; n + 1 < sizeof SAMPLE - 1; n++) {
        char *copy = malloc(n + 1);
        nsamp_json *j;
        memcpy(copy, SAMPLE, n);
        assert_int_equal(nsamp_json_parse("cut", copy, n, &j, NULL), NSAMP_EIO);
        free(copy);
    }
}

static void test_written(void **state) {
    (void)state;
    static const char text[] = "a \"quoted\" \\ back\nslash \x01 \xc3\xa9";
    char *out = NULL;
    size_t size;
    FILE *f = open_memstream(&out, &size);
    fprintf(f, "[");
    nsamp_json_put_text(f, text);
    fprintf(f, ", ");
    nsamp_json_put_number(f, 0.1 + 0.2, 17);
    fprintf(f, ", ");
    nsamp_json_put_number(f, NAN, 6);
    fprintf(f, "]");
    fclose(f);
    nsamp_json *j = parsed(out);
    assert_string_equal(j->child->text, text);
    assert_true(j->child->next->number == 0.1 + 0.2);
    assert_int_equal(j->child->next->next->type, NSAMP_JSON_NULL);
    nsamp_json_destroy(j);
    free(out);
}

static void test_files(void **state) {
    (void)state;
    nsamp_json *j;
    nsamp_error err = {0};
    char *many = malloc(300000);
    memset(many, ' ', 300000);
    many[0] = '[';
    many[299999] = ']';
    scratch_write(scratch("many"), many, 300000);
    assert_int_equal(nsamp_json_read(scratch("many"), &j, &err), NSAMP_OK);
    nsamp_json_destroy(j);
    free(many);
    assert_int_equal(nsamp_json_read(scratch("none"), &j, &err), NSAMP_EIO);
    assert_int_equal(nsamp_json_read(scratch_folder, &j, &err), NSAMP_EIO);
    assert_null(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),  cmocka_unit_test(test_mistakes), cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_written), cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, scratch_open, scratch_close);
}
