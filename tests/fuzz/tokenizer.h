/*
 * What both tokenizer targets do with a file that compiled: encode the input itself and decode
 * the ids and some arbitrary ones as a stream. Nothing may crash, and a stream must equal the
 * text decoded at once.
 */
#ifndef SINTER_TESTS_FUZZ_TOKENIZER_H
#define SINTER_TESTS_FUZZ_TOKENIZER_H

#include "compiler/tokenizer/tokenizer.h"
#include "ir/base/arena.h"
#include "ir/base/diag.h"
#include "runtime/tokenizer.h"

#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

enum { FUZZ_TEXT = 512, FUZZ_IDS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_decode(const struct rt_tokenizer *tokenizer, const int32_t *ids, size_t count,
                        unsigned flags)
{
    size_t room = rt_detokenizer_bound(tokenizer), length, total = 0;
    struct rt_detokenizer stream;
    char *text, *buffer;
    if (rt_tokenizer_decode(tokenizer, ids, count, flags, &text, &length))
        abort();
    if (room > 1 << 20 || !(buffer = malloc((count + 1) * room + 1))) {
        free(text);
        return;
    }
    rt_detokenizer_init(&stream, tokenizer, flags);
    for (size_t i = 0; i <= count; i++) {
        size_t written;
        if (i < count ? rt_detokenizer_push(&stream, ids[i], buffer + total, room, &written)
                      : rt_detokenizer_finish(&stream, buffer + total, room, &written))
            abort();
        total += written;
    }
    if (total != length || memcmp(buffer, text, length) != 0)
        abort();
    free(buffer);
    free(text);
}

static void fuzz_use(const struct tokenizer_blob *blob, const uint8_t *data, size_t size)
{
    struct rt_tokenizer tokenizer;
    int32_t *ids, wild[FUZZ_IDS];
    size_t count, length = size < FUZZ_TEXT ? size : FUZZ_TEXT;
    if (rt_tokenizer_open(&tokenizer, blob->bytes, blob->size))
        abort();
    for (unsigned flags = 0; flags < 4; flags++) {
        const char *text = (const char *)data + size - length;
        rt_status_clear();
        if (rt_tokenizer_encode(&tokenizer, text, length, flags, &ids, &count) == 0)
            fuzz_decode(&tokenizer, ids, count < FUZZ_IDS ? count : FUZZ_IDS, flags);
        free(ids);
    }
    count = size < FUZZ_IDS ? size : FUZZ_IDS;
    for (size_t i = 0; i < count; i++)
        wild[i] = (int32_t)(int8_t)data[i];
    fuzz_decode(&tokenizer, wild, count, 0);
}

static void fuzz_files(const struct tokenizer_files *files, const uint8_t *data, size_t size)
{
    struct arena *arena = arena_create();
    jmp_buf trap;
    diag_set_trap(&trap);
    if (setjmp(trap) == 0) {
        struct tokenizer_blob blob = tokenizer_compile_files(arena, files);
        fuzz_use(&blob, data, size);
    }
    diag_set_trap(NULL);
    arena_destroy(arena);
}

#endif
