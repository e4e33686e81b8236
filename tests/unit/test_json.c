/* The JSON reader against cases of RFC 8259, and the writer against the reader. */
#include "runtime/json.h"
#include "runtime/json_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct text {
    const char *bytes;
    size_t length;
};
#define TEXT(literal)                \
    {                                \
        literal, sizeof(literal) - 1 \
    }

static const struct text accepted[] = {
    TEXT("{}"),
    TEXT("[]"),
    TEXT("0"),
    TEXT("-0"),
    TEXT("-1.5e+10"),
    TEXT("1E5"),
    TEXT("123456789012345678901234567890"),
    TEXT("0.1e-400"),
    TEXT("true"),
    TEXT("false"),
    TEXT("null"),
    TEXT("\"\""),
    TEXT(" \t\r\n[ ]\n "),
    TEXT("[[],[[]],{}]"),
    TEXT("{\"a\":{\"b\":[1,2,{\"c\":null}]}}"),
    TEXT("{\"\":0}"),
    TEXT("{\"a\":1,\"a\":2}"), /* duplicate keys are the caller's to find */
    TEXT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    TEXT("\"\\u0000\\u00e9\\uFFFF\""),
    TEXT("\"\\ud83d\\ude00\""),
    TEXT("\"\xc2\x80\xdf\xbf\""),
    TEXT("\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\""),
    TEXT("\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\""),
    TEXT("\"\x7f\""),
};

static const struct text rejected[] = {
    TEXT(""),
    TEXT(" "),
    TEXT("{"),
    TEXT("["),
    TEXT("}"),
    TEXT("]"),
    TEXT("[}"),
    TEXT("{]"),
    TEXT("[1,]"),
    TEXT("[,1]"),
    TEXT("[1 2]"),
    TEXT("[1,,2]"),
    TEXT("{\"a\"}"),
    TEXT("{\"a\":}"),
    TEXT("{\"a\":1,}"),
    TEXT("{,}"),
    TEXT("{a:1}"),
    TEXT("{'a':1}"),
    TEXT("{1:1}"),
    TEXT("{\"a\" 1}"),
    TEXT("{\"a\"::1}"),
    TEXT("{\"a\":1 \"b\":2}"),
    TEXT("1 2"),
    TEXT("[] []"),
    TEXT("{}x"),
    TEXT("01"),
    TEXT("-"),
    TEXT("+1"),
    TEXT(".5"),
    TEXT("1."),
    TEXT("1.e5"),
    TEXT("1e"),
    TEXT("1e+"),
    TEXT("0x10"),
    TEXT("-01"),
    TEXT("1_000"),
    TEXT("NaN"),
    TEXT("Infinity"),
    TEXT("-Infinity"),
    TEXT("tru"),
    TEXT("True"),
    TEXT("nulll"),
    TEXT("// c\n1"),
    TEXT("/* c */1"),
    TEXT("\""),
    TEXT("\"abc"),
    TEXT("\"\\\""),
    TEXT("\"\\x41\""),
    TEXT("\"\\u12\""),
    TEXT("\"\\u12g4\""),
    TEXT("\"\\ud800\""),
    TEXT("\"\\ud800\\u0041\""),
    TEXT("\"\\udc00\""),
    TEXT("\"\\ud800\\"),
    TEXT("\"a\nb\""),
    TEXT("\"a\tb\""),
    TEXT("\"\0\""),
    TEXT("[1\0]"),
    TEXT("\"\x80\""),
    TEXT("\"\xc0\xaf\""),
    TEXT("\"\xc1\xbf\""),
    TEXT("\"\xe0\x9f\xbf\""),
    TEXT("\"\xed\xa0\x80\""),
    TEXT("\"\xf0\x8f\xbf\xbf\""),
    TEXT("\"\xf4\x90\x80\x80\""),
    TEXT("\"\xf5\x80\x80\x80\""),
    TEXT("\"\xe2\x82\""),
    TEXT("\"\xe2\x82"),
    TEXT("\xef\xbb\xbf{}"),
    TEXT("\xff\xfe{\0}\0"),
};

/* Reads to the end from an exact heap copy, so that sanitizers see a read beyond it. */
static enum rt_json_token read_all(const char *bytes, size_t length)
{
    char *copy = malloc(length ? length : 1);
    memcpy(copy, bytes, length);
    struct rt_json json;
    rt_json_open(&json, copy, length);
    enum rt_json_token token;
    size_t tokens = 0;
    do {
        token = rt_json_next(&json);
        assert_true(++tokens <= 2 * length + 2);
    } while (token > RT_JSON_END);
    assert_true((token == RT_JSON_ERROR) == (json.error != NULL));
    free(copy);
    return token;
}

static void accepts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        if (read_all(accepted[i].bytes, accepted[i].length) != RT_JSON_END)
            fail_msg("rejected: %s", accepted[i].bytes);
}

static void rejects(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rejected / sizeof *rejected; i++)
        if (read_all(rejected[i].bytes, rejected[i].length) != RT_JSON_ERROR)
            fail_msg("accepted: %s", rejected[i].bytes);
}

/* Every proper prefix of a complete object is an error, and none reads beyond its end. */
static void rejects_prefixes(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\\u00e9\": [1.5e3, true, {\"b\": \"\xe2\x82\xac\"}], \"c\": null}";
    assert_int_equal(read_all(text, sizeof text - 1), RT_JSON_END);
    for (size_t length = 0; length < sizeof text - 1; length++)
        assert_int_equal(read_all(text, length), RT_JSON_ERROR);
}

static void limits_depth(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    char *text = malloc(2 * MANY);
    memset(text, '[', MANY);
    assert_int_equal(read_all(text, MANY), RT_JSON_ERROR);
    memset(text, '[', RT_JSON_DEPTH + 1);
    memset(text + RT_JSON_DEPTH + 1, ']', RT_JSON_DEPTH + 1);
    assert_int_equal(read_all(text + 1, 2 * RT_JSON_DEPTH), RT_JSON_END);
    assert_int_equal(read_all(text, 2 * RT_JSON_DEPTH + 2), RT_JSON_ERROR);
    for (int i = 0; i < MANY / 5; i++)
        memcpy(text + 5 * i, "{\"a\":", 5);
    assert_int_equal(read_all(text, MANY), RT_JSON_ERROR);
    free(text);
}

static void gives_tokens(void **state)
{
    (void)state;
    static const char text[] = "{\"k\": [1, \"s\", true, false, null, {}]}";
    static const enum rt_json_token expected[] = {
        RT_JSON_OBJECT,    RT_JSON_KEY,        RT_JSON_ARRAY, RT_JSON_NUMBER, RT_JSON_STRING,
        RT_JSON_TRUE,      RT_JSON_FALSE,      RT_JSON_NULL,  RT_JSON_OBJECT, RT_JSON_OBJECT_END,
        RT_JSON_ARRAY_END, RT_JSON_OBJECT_END, RT_JSON_END,   RT_JSON_END,
    };
    struct rt_json json;
    rt_json_open(&json, text, sizeof text - 1);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(rt_json_next(&json), expected[i]);
}

static void resolves_strings(void **state)
{
    (void)state;
    static const char text[] = "\"a\\n\\u00e9\\ud83d\\ude00\\u0000z\"";
    static const char expected[] = "a\n\xc3\xa9\xf0\x9f\x98\x80\0z";
    struct rt_json json;
    char out[sizeof text];
    rt_json_open(&json, text, sizeof text - 1);
    assert_int_equal(rt_json_next(&json), RT_JSON_STRING);
    assert_true(json.escaped);
    assert_int_equal(rt_json_string(&json, out, json.token_length), sizeof expected - 1);
    assert_memory_equal(out, expected, sizeof expected);
    for (size_t capacity = 0; capacity < sizeof expected; capacity++)
        assert_true(rt_json_string(&json, out, capacity) == (size_t)-1);
    assert_int_equal(rt_json_string(&json, out, sizeof expected), sizeof expected - 1);
    rt_json_open(&json, "\"dt\\u0079pe\"", 12);
    rt_json_next(&json);
    assert_true(rt_json_is(&json, "dtype"));
    assert_false(rt_json_is(&json, "dtyp"));
    assert_false(rt_json_is(&json, "dtypes"));
}

static bool number(const char *text, uint64_t *out)
{
    struct rt_json json;
    rt_json_open(&json, text, strlen(text));
    assert_int_equal(rt_json_next(&json), RT_JSON_NUMBER);
    return rt_json_unsigned(&json, out);
}

static void reads_unsigned(void **state)
{
    (void)state;
    uint64_t value;
    assert_true(number("0", &value) && value == 0);
    assert_true(number("18446744073709551615", &value) && value == UINT64_MAX);
    assert_false(number("18446744073709551616", &value));
    assert_false(number("99999999999999999999999", &value));
    assert_false(number("-1", &value));
    assert_false(number("1.0", &value));
    assert_false(number("1e3", &value));
}

static void skips_values(void **state)
{
    (void)state;
    static const char text[] = "[[1, {\"a\": [2]}], \"s\", 3]";
    struct rt_json json;
    rt_json_open(&json, text, sizeof text - 1);
    assert_int_equal(rt_json_next(&json), RT_JSON_ARRAY);
    assert_true(rt_json_skip(&json, rt_json_next(&json)));
    assert_int_equal(rt_json_next(&json), RT_JSON_STRING);
    assert_true(rt_json_skip(&json, RT_JSON_STRING));
    assert_int_equal(rt_json_next(&json), RT_JSON_NUMBER);
    rt_json_open(&json, "[[1, 2", 6);
    rt_json_next(&json);
    assert_false(rt_json_skip(&json, rt_json_next(&json)));
}

static void tells_places(void **state)
{
    (void)state;
    struct rt_json json;
    unsigned line, column;
    rt_json_open(&json, "{\n  \"a\": x}", 11);
    while (rt_json_next(&json) > RT_JSON_END)
        ;
    rt_json_place(&json, &line, &column);
    assert_int_equal(line, 2);
    assert_int_equal(column, 8);
    assert_string_equal(json.error, "expected a value");
}

static void write_sample(FILE *file, bool indented)
{
    struct rt_json_writer json;
    rt_json_write_open(&json, file, indented);
    rt_json_write_object(&json, NULL);
    rt_json_write_text(&json, "text", "q\"b\\n\n\x01\xe2\x82\xac");
    rt_json_write_bytes(&json, "bad", "a\xff\xe2\x82z", 5);
    rt_json_write_text(&json, "none", NULL);
    rt_json_write_array(&json, "list");
    rt_json_write_int(&json, NULL, INT64_MIN);
    rt_json_write_unsigned(&json, NULL, UINT64_MAX);
    rt_json_write_double(&json, NULL, 0.1);
    rt_json_write_double(&json, NULL, 1.0 / 0.0);
    rt_json_write_bool(&json, NULL, true);
    rt_json_write_object(&json, NULL);
    rt_json_write_end(&json);
    rt_json_write_end(&json);
    rt_json_write_end(&json);
}

static void writes(void **state)
{
    (void)state;
    static const char expected[] =
        "{\"text\": \"q\\\"b\\\\n\\n\\u0001\xe2\x82\xac\", "
        "\"bad\": \"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\", \"none\": null, "
        "\"list\": [-9223372036854775808, 18446744073709551615, 0.1, null, true, {}]}\n";
    for (int indented = 0; indented < 2; indented++) {
        char *text = NULL;
        size_t length = 0;
        FILE *file = open_memstream(&text, &length);
        write_sample(file, indented);
        fclose(file);
        assert_int_equal(read_all(text, length), RT_JSON_END);
        if (!indented)
            assert_string_equal(text, expected);
        else
            assert_non_null(strstr(text, "\n  \"list\": [\n    -9223372036854775808,\n"));
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),          cmocka_unit_test(rejects),
        cmocka_unit_test(rejects_prefixes), cmocka_unit_test(limits_depth),
        cmocka_unit_test(gives_tokens),     cmocka_unit_test(resolves_strings),
        cmocka_unit_test(reads_unsigned),   cmocka_unit_test(skips_values),
        cmocka_unit_test(tells_places),     cmocka_unit_test(writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
