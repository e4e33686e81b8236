/*
 * The character classes and form C of every code point against the golden hashes of
 * tests/fixtures/tokenizers/make_unicode.py.
 */
#include "runtime/tokenizer/unicode.h"
#include "tests/unit/tokenizer_strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BLOCK = 4096, BYTES = 256 };
enum { CLASSES = RT_UNICODE_LETTER | RT_UNICODE_NUMBER | RT_UNICODE_SPACE };

/* The full decomposition by the table, Hangul by arithmetic; returns its bytes. */
static size_t decompose(uint32_t code, char *out)
{
    if (code >= 0xac00 && code <= 0xd7a3) {
        uint32_t index = code - 0xac00;
        size_t length = rt_utf8_put(0x1100 + index / 588, out);
        length += rt_utf8_put(0x1161 + index % 588 / 28, out + length);
        return index % 28 ? length + rt_utf8_put(0x11a7 + index % 28, out + length) : length;
    }
    for (size_t i = 0; i < rt_unicode_decompositions; i++) {
        const struct rt_unicode_pair *pair = &rt_unicode_decomposition[i];
        if (pair->code != code)
            continue;
        size_t length = decompose(pair->first, out);
        return pair->second ? length + decompose(pair->second, out + length) : length;
    }
    return rt_utf8_put(code, out);
}

static uint64_t chain_form(uint64_t hash, const char *text, size_t length)
{
    uint8_t out[3 * BYTES];
    size_t bytes = rt_nfc((const uint8_t *)text, length, out);
    assert_true(bytes <= rt_nfc_bound(length));
    return string_chain_bytes(hash, (const char *)out, bytes);
}

static uint64_t chain_around(uint64_t hash, const char *before, uint32_t code, const char *after)
{
    char text[BYTES];
    size_t length = strlen(before);
    memcpy(text, before, length);
    length += rt_utf8_put(code, text + length);
    memcpy(text + length, after, strlen(after));
    return chain_form(hash, text, length + strlen(after));
}

static uint64_t chain_forms(uint64_t hash, uint32_t code)
{
    char whole[BYTES], text[BYTES];
    hash = chain_around(hash, "", code, "");
    hash = chain_around(hash, "a", code, "\u0301\u0323");
    hash = chain_around(hash, "\u1100", code, "\u11a8");
    size_t length = decompose(code, whole);
    size_t first = rt_utf8_length(whole, whole + length);
    memcpy(text, whole, first);
    memcpy(text + first, "\u0327", 2);
    memcpy(text + first + 2, whole + first, length - first);
    return chain_form(hash, text, length + 2);
}

static void test_every_code_point(void **state)
{
    (void)state;
    FILE *file = fopen("tests/fixtures/tokenizers/unicode.golden", "r");
    assert_non_null(file);
    for (uint32_t first = 0; first < RT_UNICODE_END; first += BLOCK) {
        unsigned long long golden_classes, golden_forms;
        uint64_t classes = string_chain(0, NULL, 0), forms = 0;
        for (uint32_t code = first; code < first + BLOCK; code++) {
            if (code >= 0xd800 && code <= 0xdfff)
                continue;
            int32_t class = (int32_t)(rt_unicode_class(code) & CLASSES);
            classes = (classes ^ (uint32_t)class) * 0x100000001b3u;
            forms = chain_forms(forms, code);
        }
        assert_int_equal(fscanf(file, "%llx %llx", &golden_classes, &golden_forms), 2);
        if (classes != golden_classes || forms != golden_forms)
            fail_msg("U+%04X to U+%04X: %s", first, first + BLOCK - 1,
                     classes != golden_classes ? "classes" : "form C");
    }
    fclose(file);
}

/* A million marks in the wrong order: sorting them must not take quadratic time. */
static void test_many_marks(void **state)
{
    (void)state;
    enum { MARKS = 500000 };
    uint8_t *text = malloc(2 * MARKS), *out = malloc(rt_nfc_bound(2 * MARKS));
    assert_true(text && out);
    for (size_t i = 0; i < MARKS; i++)
        memcpy(text + 2 * i, i % 2 ? "\u0323" : "\u0301", 2);
    assert_int_equal(rt_nfc(text, 2 * MARKS, out), 2 * MARKS);
    assert_memory_equal(out, "\u0323\u0323", 4);
    assert_memory_equal(out + 2 * MARKS - 4, "\u0301\u0301", 4);
    free(text);
    free(out);
}

static void test_wrong_bytes_stay(void **state)
{
    (void)state;
    static const uint8_t text[] = "e\xff\xcc\x81 \xcc e\xcc\x81\xf0\x9f";
    uint8_t out[3 * sizeof text];
    assert_int_equal(rt_nfc(text, sizeof text, out), sizeof text - 1);
    assert_memory_equal(out, "e\xff\xcc\x81 \xcc \xc3\xa9\xf0\x9f", sizeof text - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_many_marks),
        cmocka_unit_test(test_wrong_bytes_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
