/*
 * Token ids and decoded texts against the reference libraries, through golden files that
 * tests/fixtures/tokenizers/make.py wrote: 20,000 random strings per tokenizer, a committed
 * text, and all shared texts. Then what must hold without a reference: round trips, streams
 * that do not depend on how they are cut, and running times.
 */
#include "compiler/tokenizer/tokenizer.h"
#include "ir/base/arena.h"
#include "runtime/tokenizer.h"
#include "runtime/tokenizer/unicode.h"
#include "tests/unit/tokenizer_strings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

#define FIXTURES "tests/fixtures/tokenizers/"

enum { STRINGS = 20000, GROUP = 40, STREAMED = 600, MEGABYTE = 1000000, PATH_MOST = 512 };

/* Under sanitizers everything takes several times as long. */
#if defined(__SANITIZE_ADDRESS__)
enum { SECONDS_MOST = 10 };
#else
enum { SECONDS_MOST = 1 };
#endif

static const struct subject {
    const char *name;   /* the folder of golden files */
    const char *shared; /* a tokenizer.model (perhaps compressed) of the shared data, or NULL */
    bool exact;         /* decoding gives back the text */
} subjects[] = {
    {"gpt2", NULL, true},
    {"llama3", NULL, true},
    {"qwen2", NULL, true},
    {"sentencepiece", NULL, true},
    {"squeezed", NULL, false},
    {"llama", NULL, true},
    {"metaspace", NULL, false},
    {"shared/stories260k", "weights/stories260K/hf_derived/tokenizer.model", true},
    {"shared/mistral", "tokenizers/mistral/tokenizer.model.v1", true},
    {"shared/gemma", "tokenizers/gemma/gemma_tokenizer_reconstructed.model.gz", true},
};
enum { SUBJECTS = sizeof subjects / sizeof *subjects };

static struct arena *arenas[SUBJECTS];
static struct rt_tokenizer tokenizers[SUBJECTS]; /* blob NULL: not there */

static const char *shared_data(void)
{
    static const char *found;
    const char *set = getenv("SINTER_SHARED_DATA");
    found = getenv("SINTER_NO_SHARED") ? "/nonexistent" : set ? set : "../shared/data";
    return found;
}

/* A whole file, decompressed if it is compressed; NULL if it is not there. To be freed. */
static char *read_all(const char *path, size_t *length)
{
    gzFile file = gzopen(path, "rb");
    if (!file)
        return NULL;
    char *text = NULL;
    size_t capacity = 0;
    int got = 0;
    *length = 0;
    do {
        capacity = capacity * 2 + (1 << 20);
        text = realloc(text, capacity);
        assert_non_null(text);
        got = gzread(file, text + *length, (unsigned)(capacity - *length));
        *length += got > 0 ? (size_t)got : 0;
    } while (*length == capacity);
    gzclose(file);
    return text;
}

static struct tokenizer_blob compile(struct arena *arena, const struct subject *subject)
{
    char path[PATH_MOST];
    struct tokenizer_files files = {0};
    if (!subject->shared) {
        snprintf(path, sizeof path, FIXTURES "%s", subject->name);
        return tokenizer_compile(arena, path);
    }
    snprintf(path, sizeof path, "%s/%s", shared_data(), subject->shared);
    char *text = read_all(path, &files.model.length);
    if (!text)
        return (struct tokenizer_blob){0};
    files.model.name = path;
    files.model.text = text;
    struct tokenizer_blob blob = tokenizer_compile_files(arena, &files);
    free(text);
    return blob;
}

static int open_all(void **state)
{
    (void)state;
    for (int i = 0; i < SUBJECTS; i++) {
        arenas[i] = arena_create();
        struct tokenizer_blob blob = compile(arenas[i], &subjects[i]);
        if (!blob.bytes)
            printf("SKIPPED 1 tokenizer %s\n", subjects[i].name);
        else
            assert_int_equal(rt_tokenizer_open(&tokenizers[i], blob.bytes, blob.size), 0);
    }
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    for (int i = 0; i < SUBJECTS; i++)
        arena_destroy(arenas[i]);
    return 0;
}

static int32_t *encode(int subject, const char *text, size_t length, unsigned flags,
                       size_t *count)
{
    int32_t *ids;
    assert_int_equal(
        rt_tokenizer_encode(&tokenizers[subject], text, length, flags, &ids, count), 0);
    return ids;
}

static uint64_t chain_encoded(uint64_t hash, int subject, const char *text, size_t length,
                              unsigned flags, size_t *count)
{
    int32_t *ids = encode(subject, text, length, flags, count);
    hash = string_chain(hash, ids, *count);
    free(ids);
    return hash;
}

static uint64_t chain_decoded(uint64_t hash, int subject, const int32_t *ids, size_t count)
{
    char *text;
    size_t length;
    assert_int_equal(rt_tokenizer_decode(&tokenizers[subject], ids, count, 0, &text, &length), 0);
    hash = string_chain_bytes(hash, text, length);
    free(text);
    return hash;
}

/* The four hashes of make.py; `random` stays 0 where the golden value is. */
static void hash_group(int subject, uint64_t first, bool random, uint64_t hashes[4])
{
    memset(hashes, 0, 4 * sizeof *hashes);
    for (uint64_t index = first; index < first + GROUP; index++) {
        char text[STRING_MOST];
        size_t length = string_make(index, text), count;
        int32_t *ids = encode(subject, text, length, 0, &count), wild[IDS_MOST];
        hashes[0] = string_chain(hashes[0], ids, count);
        hashes[2] = chain_decoded(hashes[2], subject, ids, count);
        hashes[1] = chain_encoded(hashes[1], subject, text, length, RT_TOKENIZER_SPECIAL, &count);
        free(ids);
        count = string_ids(index, rt_tokenizer_vocabulary(&tokenizers[subject]), wild);
        if (random)
            hashes[3] = chain_decoded(hashes[3], subject, wild, count);
    }
}

static FILE *open_golden(int subject, const char *name)
{
    char path[PATH_MOST];
    snprintf(path, sizeof path, FIXTURES "%s/%s", subjects[subject].name, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    return file;
}

static void test_random_strings(void **state)
{
    (void)state;
    for (int subject = 0; subject < SUBJECTS; subject++) {
        if (!tokenizers[subject].blob)
            continue;
        FILE *file = open_golden(subject, "random.golden");
        for (uint64_t first = 0; first < STRINGS; first += GROUP) {
            unsigned long long golden[4];
            uint64_t hashes[4];
            assert_int_equal(fscanf(file, "%llx %llx %llx %llx", &golden[0], &golden[1],
                                    &golden[2], &golden[3]), 4);
            hash_group(subject, first, golden[3] != 0, hashes);
            for (int i = 0; i < 4; i++)
                if (hashes[i] != golden[i])
                    fail_msg("%s: strings %llu to %llu, hash %d", subjects[subject].name,
                             (unsigned long long)first, (unsigned long long)first + GROUP - 1, i);
        }
        fclose(file);
    }
}

static void test_mixed_text(void **state)
{
    (void)state;
    size_t length, count;
    char *text = read_all(FIXTURES "mixed.txt", &length);
    assert_non_null(text);
    for (int subject = 0; subject < SUBJECTS; subject++) {
        if (!tokenizers[subject].blob)
            continue;
        FILE *file = open_golden(subject, "mixed.golden");
        int32_t *ids = encode(subject, text, length, 0, &count);
        int golden;
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(fscanf(file, "%d", &golden), 1);
            assert_int_equal(ids[i], golden);
        }
        assert_int_equal(fscanf(file, "%d", &golden), EOF);
        free(ids);
        fclose(file);
    }
    free(text);
}

static uint64_t hash_lines(int subject, const char *text, size_t length)
{
    uint64_t hash = 0;
    size_t count;
    for (const char *at = text, *end = text + length; at <= end;) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        hash = chain_encoded(hash, subject, at, (size_t)(stop - at), 0, &count);
        at = stop + 1;
    }
    return hash;
}

static void check_text(int subject, const char *name, unsigned long long golden_count,
                       unsigned long long golden_whole, unsigned long long golden_lines)
{
    char path[PATH_MOST];
    size_t length, count, decoded_length;
    snprintf(path, sizeof path, "%s/text/%s", shared_data(), name);
    char *text = read_all(path, &length), *decoded;
    if (!text) {
        printf("SKIPPED 1 text %s with %s\n", name, subjects[subject].name);
        return;
    }
    int32_t *ids = encode(subject, text, length, 0, &count);
    assert_int_equal(count, golden_count);
    assert_true(string_chain(0, ids, count) == golden_whole);
    assert_true(hash_lines(subject, text, length) == golden_lines);
    assert_int_equal(rt_tokenizer_decode(&tokenizers[subject], ids, count, 0, &decoded,
                                         &decoded_length), 0);
    if (subjects[subject].exact) {
        assert_int_equal(decoded_length, length);
        assert_memory_equal(decoded, text, length);
    }
    free(decoded);
    free(ids);
    free(text);
}

static void test_shared_texts(void **state)
{
    (void)state;
    for (int subject = 0; subject < SUBJECTS; subject++) {
        if (!tokenizers[subject].blob)
            continue;
        FILE *file = open_golden(subject, "texts.golden");
        char name[128];
        unsigned long long golden[3];
        while (fscanf(file, "%127s %llu %llx %llx", name, &golden[0], &golden[1], &golden[2]) == 4)
            check_text(subject, name, golden[0], golden[1], golden[2]);
        fclose(file);
    }
}

/* Whether the round trip must be exact: no blank in disguise, nothing that may be an added
 * token, and nothing that a normalizer changes. */
static bool is_plain(const char *text, size_t length)
{
    static const char *const excluded[] = {"\u2581", "<", "x_y", "\u00e9t\u00e9"};
    uint8_t *composed = malloc(rt_nfc_bound(length) + 1);
    bool plain = rt_nfc((const uint8_t *)text, length, composed) == length &&
                 memcmp(composed, text, length) == 0;
    free(composed);
    for (size_t i = 0; i < STRING_COUNT(excluded); i++)
        plain &= !memmem(text, length, excluded[i], strlen(excluded[i]));
    return plain;
}

static void test_round_trip(void **state)
{
    (void)state;
    for (int subject = 0; subject < SUBJECTS; subject++) {
        int checked = 0;
        for (uint64_t index = 0; tokenizers[subject].blob && index < STRINGS; index++) {
            char text[STRING_MOST], *decoded;
            size_t length = string_make(index, text), count, decoded_length;
            if (!subjects[subject].exact || !is_plain(text, length))
                continue;
            int32_t *ids = encode(subject, text, length, 0, &count);
            assert_int_equal(rt_tokenizer_decode(&tokenizers[subject], ids, count, 0, &decoded,
                                                 &decoded_length), 0);
            assert_int_equal(decoded_length, length);
            assert_memory_equal(decoded, text, length);
            free(decoded);
            free(ids);
            checked++;
        }
        assert_true(!tokenizers[subject].blob || !subjects[subject].exact || checked > 2000);
    }
}

static bool is_complete_utf8(const char *text, size_t length)
{
    for (size_t at = 0, bytes; at < length; at += bytes)
        if ((bytes = rt_utf8_length(text + at, text + length)) == 0)
            return false;
    return true;
}

/* After every id: what came out so far and what ending here would add are together the decoded
 * prefix, so no cut changes the stream; and little is held back. */
static void check_stream(int subject, const int32_t *ids, size_t count, unsigned flags)
{
    const struct rt_tokenizer *tokenizer = &tokenizers[subject];
    size_t room = rt_detokenizer_bound(tokenizer), total = 0, length, whole;
    char *streamed = malloc((count + 2) * room), *decoded;
    struct rt_detokenizer stream;
    rt_detokenizer_init(&stream, tokenizer, flags);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(
            rt_detokenizer_push(&stream, ids[i], streamed + total, room, &length), 0);
        assert_true(is_complete_utf8(streamed + total, length));
        total += length;
        struct rt_detokenizer end = stream;
        assert_int_equal(rt_detokenizer_finish(&end, streamed + total, room, &length), 0);
        assert_true(length <= 9); /* three bytes as U+FFFD */
        assert_int_equal(
            rt_tokenizer_decode(tokenizer, ids, i + 1, flags, &decoded, &whole), 0);
        assert_int_equal(whole, total + length);
        assert_memory_equal(decoded, streamed, whole);
        free(decoded);
    }
    free(streamed);
}

static void test_streams(void **state)
{
    (void)state;
    for (int subject = 0; subject < SUBJECTS; subject++)
        for (uint64_t index = 0; tokenizers[subject].blob && index < STREAMED; index++) {
            char text[STRING_MOST];
            int32_t wild[IDS_MOST];
            size_t length = string_make(index, text), count;
            int32_t *ids = encode(subject, text, length, RT_TOKENIZER_SPECIAL, &count);
            check_stream(subject, ids, count < 60 ? count : 60, index % 2);
            free(ids);
            count = string_ids(index, rt_tokenizer_vocabulary(&tokenizers[subject]), wild);
            check_stream(subject, wild, count, index % 2);
        }
}

static void test_long_runs(void **state)
{
    (void)state;
    static const char *const units[] = {"a", " ", "\n", "1", "'", "\u00e9", "\u0301", "\u4f60",
                                        "\u2581", "a ", "ab", "\u0301\u0323"};
    for (int subject = 0; subject < SUBJECTS; subject++)
        for (size_t i = 0; tokenizers[subject].blob && i < STRING_COUNT(units); i++) {
            size_t unit = strlen(units[i]), count;
            char *text = malloc(MEGABYTE + unit);
            for (size_t at = 0; at < MEGABYTE; at += unit)
                memcpy(text + at, units[i], unit);
            clock_t start = clock();
            free(encode(subject, text, MEGABYTE / unit * unit, 0, &count));
            double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
            if (seconds > SECONDS_MOST)
                fail_msg("%s: 1 MB of '%s' took %.2f s", subjects[subject].name, units[i],
                         seconds);
            free(text);
        }
}

static void test_wrong_bytes(void **state)
{
    (void)state;
    static const char text[] = "good \xe4\xbd\xa0 \xf0\x9f\x98 bad \xff\xc0\xaf";
    for (int subject = 0; subject < SUBJECTS; subject++) {
        int32_t *ids;
        size_t count;
        if (!tokenizers[subject].blob)
            continue;
        rt_status_clear();
        rt_status status =
            rt_tokenizer_encode(&tokenizers[subject], text, sizeof text, 0, &ids, &count);
        if (rt_tokenizer_takes_bytes(&tokenizers[subject])) {
            assert_int_equal(status, 0);
            assert_true(count > 0);
        } else {
            assert_int_equal(status, EXIT_DATA);
            assert_non_null(strstr(rt_status_text(), "byte 9;"));
            assert_null(ids);
        }
        free(ids);
    }
    rt_status_clear();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mixed_text),   cmocka_unit_test(test_random_strings),
        cmocka_unit_test(test_shared_texts), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_streams),      cmocka_unit_test(test_long_runs),
        cmocka_unit_test(test_wrong_bytes),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
