/*
 * The deterministic test strings of tests/fixtures/tokenizers/strings.py, made again: the two
 * must agree byte for byte, which the golden hashes prove.
 */
#ifndef SINTER_TESTS_TOKENIZER_STRINGS_H
#define SINTER_TESTS_TOKENIZER_STRINGS_H

#include "runtime/utf8.h"

#include <string.h>

enum { STRING_MOST = 4096, IDS_MOST = 16 };

static const uint32_t string_ranges[][2] = {
    {0x20, 0x7e},     {0x61, 0x7a},       {0x61, 0x7a},       {0x20, 0x20},     {0x30, 0x39},
    {0xa0, 0x24f},    {0x300, 0x36f},     {0x370, 0x5ff},     {0x600, 0x6ff},   {0x900, 0xdff},
    {0xe00, 0xfff},   {0x1100, 0x11ff},   {0x1e00, 0x20cf},   {0x2100, 0x2bff}, {0x3000, 0x30ff},
    {0x4e00, 0x9fff}, {0xac00, 0xd7a3},   {0xfb00, 0xfdff},   {0x10000, 0x10fff},
    {0x1d400, 0x1d7ff}, {0x1f300, 0x1faff}, {0x0, 0x1f},      {0x0, 0xd7ff},    {0xe000, 0x10ffff},
};

static const char *const string_snippets[] = {
    " ", "  ", "   ", "\n", "\n\n", "\r\n", " \n ", "\t", "\u00a0", "\u3000", "\u2581", "'s",
    "'ll", "'VE", "'\u017f", "'t", "<s>", "</s>", "<unk>", "<|end|>", "<pad>", "<tool>",
    "<unused7>", "<mask>", "<0x41>", "e\u0301", "a\u0323\u0302", "\u1112\u1161\u11ab", "123",
    "4567", "...", " the", "The ", "hello", "world", "\u0e01\u0e33\u0e19",
    "\u0939\u093f\u0928\u094d\u0926\u0940", "\u05e9\u05dc\u05d5\u05dd",
    "\U0001f468\u200d\U0001f469", "\u4f60\u597d", "\u3053\u3093", "\u043f\u0440\u0438",
    "\u00e9t\u00e9", "!?", "()", "{\"a\": 1}", "x_y", "word", " word ",
};

/* splitmix64 */
static uint64_t string_below(uint64_t *state, uint64_t bound)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % bound;
}

#define STRING_COUNT(array) (sizeof(array) / sizeof *(array))

/* String `index`, in out[STRING_MOST]; returns its bytes. */
static inline size_t string_make(uint64_t index, char *out)
{
    uint64_t state = index;
    size_t length = 0, pieces = string_below(&state, 48);
    for (size_t i = 0; i < pieces; i++) {
        if (string_below(&state, 4) == 0) {
            const char *snippet =
                string_snippets[string_below(&state, STRING_COUNT(string_snippets))];
            memcpy(out + length, snippet, strlen(snippet));
            length += strlen(snippet);
        } else {
            const uint32_t *range =
                string_ranges[string_below(&state, STRING_COUNT(string_ranges))];
            uint32_t code =
                range[0] + (uint32_t)string_below(&state, range[1] - range[0] + 1);
            length += rt_utf8_put(code, out + length);
        }
    }
    return length;
}

/* Random ids, in out[IDS_MOST]; returns how many. */
static inline size_t string_ids(uint64_t index, uint64_t vocabulary, int32_t *out)
{
    uint64_t state = index + (1ull << 32);
    size_t count = string_below(&state, 16);
    for (size_t i = 0; i < count; i++) {
        uint64_t low = string_below(&state, 2);
        out[i] = (int32_t)string_below(&state, low && vocabulary > 300 ? 300 : vocabulary);
    }
    return count;
}

/* FNV-1a over 32-bit words, chained; start with 0. */
static inline uint64_t string_chain(uint64_t hash, const int32_t *words, size_t count)
{
    hash ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (uint32_t)words[i]) * 0x100000001b3u;
    return hash;
}

/* The same over bytes. */
static inline uint64_t string_chain_bytes(uint64_t hash, const char *bytes, size_t count)
{
    hash ^= 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * 0x100000001b3u;
    return hash;
}

#endif
